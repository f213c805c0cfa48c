package main

import "strings"

// demoMessage is a message of the demo, in UTF-8.
type demoMessage struct {
	from    string
	to      []string
	subject string
	fields  string // more header fields, each line with its \n
	body    string
}

// wire is the message as SMTP wants it.
func (m demoMessage) wire() string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(m.subject))
	text := "From: " + m.from + "\nTo: " + strings.Join(m.to, ", ") + "\nSubject: " + m.subject +
		"\nDate: Mon, 23 Nov 2026 09:00:00 +0100\nMessage-ID: <" + id + "@demo.example>\nMIME-Version: 1.0\n" + m.fields + "\n" + m.body
	return strings.ReplaceAll(text, "\n", "\r\n")
}

// demoMessages look like what a mailbox holds: plain text, 8-bit text, an
// attachment, a mailing list, one message to two recipients.
func demoMessages() []demoMessage {
	const utf8 = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
	return []demoMessage{
		{"zoe@example.com", []string{"ann@demo.example"}, "Lunch on Thursday?", "", "Hi Ann,\n\nthe usual place at noon?\n\nZoe\n"},
		{"juergen@example.com", []string{"ann@demo.example"}, "Grüße aus Köln", utf8, "Schöne Grüße vom Rhein!\n\nJürgen\n"},
		{"billing@shop.example", []string{"bob@demo.example"}, "Invoice 2026-1107",
			"Content-Type: multipart/mixed; boundary=part\n",
			"--part\nContent-Type: text/plain\n\nYour invoice is attached.\n--part\nContent-Type: application/pdf; name=invoice.pdf\n" +
				"Content-Disposition: attachment; filename=invoice.pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0xLjQKJSBhIHRpbnkgZGVtbwo=\n--part--\n"},
		{"zoe@example.com", []string{"ann@demo.example", "bob@demo.example"}, "Meeting notes", "", "To both of you: the notes are on the wiki.\n"},
		{"dev-request@lists.example", []string{"bob@demo.example"}, "[dev] Release candidate 2", "List-Id: Developers <dev.lists.example>\n", "Please test.\n"},
	}
}
