package mbox

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// The fields that keep flags. UW IMAP began with them; mutt, Dovecot and others write them.
const (
	statusField   = "Status"
	xStatusField  = "X-Status"
	keywordsField = "X-Keywords"
)

// forwarded is the keyword that Maildir has a letter for, P (RFC 5788).
const forwarded = "$Forwarded"

// statusFields are the three, as a Writer begins every message.
func statusFields(e Envelope) string {
	status, x, keywords := "O", "", []string{}
	if e.Fresh {
		status = ""
	}
	for _, c := range e.Flags {
		switch c {
		case 'S':
			status = "R" + status
		case 'R':
			x += "A"
		case 'F':
			x += "F"
		case 'D':
			x += "T"
		case 'T':
			x += "D"
		case 'P':
			keywords = append(keywords, forwarded)
		default:
			keywords = append(keywords, string(c))
		}
	}
	keywords = append(keywords, e.Keywords...)
	return statusField + ": " + status + "\n" + xStatusField + ": " + x + "\n" + keywordsField + ": " + strings.Join(keywords, " ") + "\n"
}

// flags gathers what the fields of a message tell.
type flags struct {
	letters  []byte
	keywords []string
	old      bool // a mail reader has seen the message
	expunged bool
}

func (f *flags) set(letters ...byte) {
	for _, c := range letters {
		if !slices.Contains(f.letters, c) {
			f.letters = append(f.letters, c)
		}
	}
}

// take reads one field. It reports false when the field must stay in the message.
func (f *flags) take(name, value string) bool {
	switch strings.ToLower(name) {
	case "status":
		f.status(value)
	case "x-status":
		f.xStatus(value)
	case "x-keywords", "x-mozilla-keys":
		return f.words(value)
	case "x-mozilla-status":
		return f.mozilla(value)
	case "x-mozilla-status2":
		return isHex(value)
	case "x-uid", "x-imapbase":
		// Numbers of UW IMAP and Dovecot, which mean nothing in another mailbox.
	default:
		return false
	}
	return true
}

func (f *flags) status(value string) {
	for _, c := range value {
		switch c {
		case 'R':
			f.old = true
			f.set('S')
		case 'O':
			f.old = true
		case 'D':
			f.set('T')
		}
	}
}

func (f *flags) xStatus(value string) {
	for _, c := range value {
		switch c {
		case 'A':
			f.set('R')
		case 'F':
			f.set('F')
		case 'T':
			f.set('D')
		case 'D':
			f.set('T')
		}
	}
}

// words reads keywords. Those with a name of their own are told, and their field stays, since Maildir has no names.
func (f *flags) words(value string) bool {
	all := true
	for word := range strings.FieldsSeq(value) {
		switch {
		case strings.EqualFold(word, forwarded):
			f.set('P')
		case len(word) == 1 && word[0] > ' ' && word[0] <= '~' && word[0] != '/':
			f.set(word[0])
		default:
			f.keywords = append(f.keywords, word)
			all = false
		}
	}
	return all
}

// The bits of X-Mozilla-Status, which Thunderbird keeps in four hexadecimal digits.
const (
	mozillaRead      = 0x0001
	mozillaReplied   = 0x0002
	mozillaMarked    = 0x0004
	mozillaExpunged  = 0x0008
	mozillaForwarded = 0x1000
)

func (f *flags) mozilla(value string) bool {
	bits, err := strconv.ParseUint(strings.TrimSpace(value), 16, 16)
	if err != nil {
		return false
	}
	f.old = true
	f.expunged = f.expunged || bits&mozillaExpunged != 0
	for _, b := range []struct {
		bit    uint64
		letter byte
	}{{mozillaRead, 'S'}, {mozillaReplied, 'R'}, {mozillaMarked, 'F'}, {mozillaForwarded, 'P'}} {
		if bits&b.bit != 0 {
			f.set(b.letter)
		}
	}
	return true
}

func isHex(value string) bool {
	_, err := strconv.ParseUint(strings.TrimSpace(value), 16, 32)
	return err == nil
}

// takeStatus reads the flags of a message from its header block, and gives the block without the fields that tell nothing more. used is a field of the
// mailbox that goes, too; "" is none.
func takeStatus(head []byte, used string, e *Envelope) []byte {
	var f flags
	if rest, ok := f.own(head); ok {
		head = rest
	} else if beginsField(head) {
		head = f.foreign(head, used, e)
	}
	slices.Sort(f.letters)
	e.Flags, e.Keywords, e.Expunged = string(f.letters), f.keywords, f.expunged
	e.Fresh = !f.old && len(f.letters) == 0
	return head
}

// own takes the three fields as a Writer puts them.
func (f *flags) own(head []byte) (rest []byte, ok bool) {
	rest = head
	var values [3]string
	for i, name := range []string{statusField, xStatusField, keywordsField} {
		line, after, found := bytes.Cut(rest, []byte{'\n'})
		value, isField := bytes.CutPrefix(line, []byte(name+": "))
		if !found || !isField {
			return nil, false
		}
		values[i], rest = string(value), after
	}
	f.status(values[0])
	f.xStatus(values[1])
	f.words(values[2])
	return rest, true
}

// foreign takes the fields wherever they stand.
//
// QUIRK: UW IMAP and Dovecot keep the next UID and the names of keywords in a message of their own at the beginning, which has X-IMAP.
func (f *flags) foreign(head []byte, used string, e *Envelope) []byte {
	kept := make([]byte, 0, len(head))
	fromDaemon := false
	for rest := head; len(rest) > 0; {
		n := fieldEnd(rest)
		field := rest[:n]
		rest = rest[n:]
		name, value, _ := strings.Cut(string(field), ":")
		switch {
		case strings.EqualFold(name, "X-IMAP"):
			e.Internal = true
		case strings.EqualFold(name, "Subject") && strings.Contains(value, "DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA"):
			fromDaemon = true
		}
		if f.take(name, value) || used != "" && strings.EqualFold(name, used) {
			continue
		}
		kept = append(kept, field...)
	}
	e.Internal = e.Internal && fromDaemon
	return kept
}

// fieldEnd is where a field ends, with the lines that continue it.
func fieldEnd(b []byte) int {
	at := 0
	for {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return len(b)
		}
		at += i + 1
		if at == len(b) || b[at] != ' ' && b[at] != '\t' {
			return at
		}
	}
}

// fieldValue is the value of the first field called name in a header block.
func fieldValue(head []byte, name string) (string, bool) {
	for rest := head; len(rest) > 0; {
		n := fieldEnd(rest)
		got, value, _ := strings.Cut(string(rest[:n]), ":")
		if strings.EqualFold(got, name) {
			return strings.TrimSpace(value), true
		}
		rest = rest[n:]
	}
	return "", false
}
