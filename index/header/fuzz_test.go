package header

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode"
	"unicode/utf8"
)

// checkText fails unless s may be stored and shown.
func checkText(t *testing.T, what, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("%s is not UTF-8: %q", what, s)
	}
	if i := strings.IndexFunc(s, unicode.IsControl); i >= 0 {
		t.Errorf("%s has a control character at %d: %q", what, i, s)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "plain", "=?utf-8?q?J=C3=B6rg?=", "=?utf-8?B?w6Q=?= =?utf-8?B?w7Y=?=", "=?x?", "=?utf-8?q?=?utf-8?q?a?=", "\x1b$B4A;z\x1b(B", "caf\xe9",
		"=?iso-2022-jp?B?GyRCNEE7ehsoQg==?=", "=?utf-16?B?/v8AYQ==?=", "=?utf-8*en?q?a?=", "\x00\r\n\t",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Decode(s)
		checkText(t, "Decode", got)
		if len(got) > 4*len(s)+8 {
			t.Errorf("%d octets out of %d", len(got), len(s))
		}
		if utf8.ValidString(s) && !strings.Contains(s, "=?") && !strings.Contains(s, "\x1b") {
			if want := clean(s); got != want {
				t.Errorf("text without encoded words was changed: %q to %q", want, got)
			}
		}
	})
}

func FuzzToUTF8(f *testing.F) {
	for _, cs := range []string{"", "utf-8", "iso-8859-1", "gb18030", "iso-2022-kr", "hz-gb-2312", "utf-16le", "nonsense", "shift_jis", "\xff"} {
		f.Add(cs, []byte("caf\xe9 \xe3\x81\x82 ~{VPND~}"))
	}
	f.Fuzz(func(t *testing.T, charset string, b []byte) {
		if got := ToUTF8(charset, b); !utf8.ValidString(got) {
			t.Errorf("not UTF-8: %q", got)
		}
	})
}

func FuzzAddresses(f *testing.F) {
	for _, s := range []string{
		"a@b", "A <a@b>, \"B, C\" <c@d> (comment)", "g: a@b, c@d;", "undisclosed-recipients:;", "<@r:a@b>", "\"q s\"@x", "a at b", "Foo a@b", "<a@b",
		"=?utf-8?q?a=2Cb?= <c@d>", "(((", "\"\"\"", "a:b:c;;", "<<a>>", "[x@y", "a@b (c) <d@e>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list := Addresses(s)
		for _, a := range list {
			checkText(t, "Name", a.Name)
			checkText(t, "Addr", a.Addr)
			if a == (Address{}) {
				t.Errorf("an empty address in %q", list)
			}
		}
		out := FormatAddresses(list)
		checkText(t, "FormatAddresses", out)
		if len(out) > 8*len(s)+16 {
			t.Errorf("%d octets out of %d", len(out), len(s))
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, s := range []string{
		"Mon, 23 Nov 2026 15:00:33 +0000 (UTC)", "23 Nov 26 15:00 EST", "2026-11-23T15:00:33Z", "Mon Nov 23 15:00:33 2026", "31 Feb 2026", "1 Jan 99999", "((",
		"23-Nov-2026 3:04:05 PM GMT+0200", "0Z:",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := Date(s)
		if !ok && !d.IsZero() {
			t.Errorf("no date, but %v", d)
		}
		if ok && (d.Location() != time.UTC || d.Year() < 0 || d.Year() > 10_000) {
			t.Errorf("%q is %v", s, d)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("From a\nSubject: x\n y\nTo: a@b\r\n\r\nbody"))
	f.Add([]byte("Subject\x00: \xff\nMessage-ID: <a>\n:\n : \n"))
	f.Add([]byte("Content-Type: text/plain; charset=\"koi8-r\"\nSubject: \xf0\xf2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		block, err := ReadBlock(iotest.OneByteReader(bytes.NewReader(b)))
		if err != nil || len(block) > MaxBlockOctets || !bytes.HasPrefix(b, block) {
			t.Fatalf("ReadBlock: %d octets of %d, %v", len(block), len(b), err)
		}
		h := Parse(block)
		for what, s := range map[string]string{
			"Subject": h.Subject, "From": h.From, "To": h.To, "Cc": h.Cc, "ReplyTo": h.ReplyTo, "ListID": h.ListID, "MessageID": h.MessageID,
		} {
			checkText(t, what, s)
		}
		for _, id := range append(h.InReplyTo, h.References...) {
			checkText(t, "id", id)
			if id == "" || strings.Contains(id, " ") {
				t.Errorf("id %q", id)
			}
		}
		for _, fl := range h.All {
			if fl.Name == "" || strings.ContainsAny(fl.Name, ": \t\n") || strings.Contains(fl.Value, "\n") {
				t.Errorf("field %q", fl)
			}
		}
	})
}
