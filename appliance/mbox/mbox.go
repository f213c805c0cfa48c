// Package mbox reads and writes mailboxes that are one file: messages one after another, each after a line that begins with "From ".
// There is no standard but RFC 4155, which names the media type and leaves the format open; what differs is how a line of a message that
// begins with "From " is kept from being taken for the next one:
//
//	mboxrd   ">" is put before such lines, and before those that have one or more ">" before "From " already. Nothing is lost.
//	mboxo    ">" is put before "From " alone. Lines that began with ">From " cannot be told from these.
//	mboxcl2  nothing is put anywhere; a Content-Length field tells where the message ends
//
// [Writer] writes mboxrd. Each message has the fields Status, X-Status and X-Keywords, in this order, right after the "From " line; a [Reader]
// that finds the three there takes these and no others, so that what was written is read as the same message with the same flags, whatever fields
// it has itself. What mbox cannot keep: fractions of a second, and that a message does not end with a line end.
//
// Lines end in LF in what is given and what is got; CRLF in a file is read as LF. Memory is constant, whatever the size of messages and lines.
package mbox

import "time"

// Format says how lines that look like the beginning of a message were quoted.
type Format int

// The formats.
const (
	// Auto takes a Content-Length field where it leads to the next message or the end of the file, which only an [io.ReaderAt] can tell;
	// otherwise it reads mboxrd.
	Auto Format = iota
	RD
	O
	CL2
)

// Formats are the names of the formats.
func Formats() map[string]Format {
	return map[string]Format{"auto": Auto, "rd": RD, "o": O, "cl2": CL2}
}

// Envelope is what the mailbox tells about a message beside its content.
type Envelope struct {
	Sender string    // of the "From " line; "" = none, MAILER-DAEMON
	Date   time.Time // of the "From " line, in UTC, to the second; zero = none that can be read
	// Flags are letters of Maildir: D F P R S T, and other single characters, which are keywords there.
	Flags string
	// Keywords are those that are no single characters.
	Keywords []string
	// Fresh is a message that no mail reader has seen yet.
	Fresh bool
	// Expunged is a message that its reader has deleted already, and has not yet taken out of the file: Thunderbird until it compacts.
	Expunged bool
	// Internal is no message: a mail reader keeps notes for itself in it.
	Internal bool
	// Offset is where the "From " line begins, in octets. A Writer does not ask for it.
	Offset int64
}
