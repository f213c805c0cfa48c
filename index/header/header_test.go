package header

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	block := "From someone Mon Nov 23 15:00:33 2026\n" +
		"Received: from a\n\tby b\n" +
		"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\r\n" +
		"no colon here\n folded garbage\n" +
		"SUBJECT : =?utf-8?B?w6Q=?=\n =?utf-8?B?w7Y=?= fin\n" +
		"Subject: second\n" +
		"To: a@example.org\nTo: \"B, C\" <b@example.org>\n" +
		"Date: Mon, 23 Nov 2026 16:00:33 +0100 (CET)\n" +
		"Message-ID: <1@example.org>\n" +
		"References: <a@x>\n <b@x>\n" +
		"In-Reply-To: <b@x>\n" +
		"List-Id: Things <things.example.org>\n" +
		"\nSubject: body\n"
	h := Parse([]byte(block))
	check := func(name, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	check("Subject", h.Subject, "äö fin")
	check("From", h.From, "Jörg <joerg@example.org>")
	check("To", h.To, `a@example.org, "B, C" <b@example.org>`)
	check("MessageID", h.MessageID, "1@example.org")
	check("ListID", h.ListID, "Things <things.example.org>")
	if want := time.Date(2026, 11, 23, 15, 0, 33, 0, time.UTC); !h.Date.Equal(want) {
		t.Errorf("Date = %v, want %v", h.Date, want)
	}
	if len(h.References) != 2 || h.References[1] != "b@x" || len(h.InReplyTo) != 1 {
		t.Errorf("References = %q, InReplyTo = %q", h.References, h.InReplyTo)
	}
	if len(h.All) != 11 {
		t.Errorf("%d fields, want 11: %q", len(h.All), h.All)
	}
}
