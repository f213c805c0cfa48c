// Package header reads the header block of an Internet message (RFC 5322) as data to be indexed and shown.
//
// The bytes come from strangers. Every function therefore takes anything and gives its best reading: none panics,
// none but ReadBlock (which does I/O) returns an error, every string that comes out is valid UTF-8 without control
// characters unless it is documented as raw, and the work is linear in the input. Nothing is repaired
// silently into something else: what cannot be understood is kept as text, so that it can still be searched.
//
// All functions are pure and safe for concurrent use.
package header

import (
	"strings"
	"time"
)

// Header is what the index keeps of a header block, decoded. Strings are valid UTF-8 without control characters.
type Header struct {
	Date       time.Time // UTC; zero when the field is missing or cannot be read
	MessageID  string    // without angle brackets
	InReplyTo  []string  // message ids without angle brackets
	References []string  // message ids without angle brackets, oldest first as written
	Subject    string
	From       string // `Name <addr>, Name <addr>`
	To         string // of all To fields
	Cc         string // of all Cc fields
	ReplyTo    string
	ListID     string
	All        []Field // every field in the order written; values raw
}

// Parse reads a header block as ReadBlock gives it. Where a field is repeated, the first one counts (RFC 5322 §3.6
// allows one; what comes later is more often an addition of somebody on the way), except To and Cc,
// whose addresses are joined. Raw 8-bit text that is not UTF-8 is read in the character set the message declares
// for its body, which is what its writer most likely used.
func Parse(block []byte) Header {
	h := Header{All: Fields(block)}
	d := decoder{}
	var to, cc []Address
	var seen fieldSet
	for _, f := range h.All {
		k := knownField(f.Name)
		if k == fieldOther {
			continue
		}
		first := seen.add(k)
		if d.fallback == "" && !isPlain(f.Value) {
			d.fallback = declaredCharset(h.All)
		}
		switch {
		case k == fieldTo:
			to = append(to, d.addresses(f.Value)...)
		case k == fieldCc:
			cc = append(cc, d.addresses(f.Value)...)
		case first:
			h.set(d, k, f.Value)
		}
	}
	h.To, h.Cc = FormatAddresses(to), FormatAddresses(cc)
	return h
}

func (h *Header) set(d decoder, k field, value string) {
	switch k {
	case fieldDate:
		h.Date, _ = Date(value)
	case fieldMessageID:
		if ids := d.messageIDs(value); len(ids) > 0 {
			h.MessageID = ids[0]
		} else {
			h.MessageID = strings.Join(strings.Fields(strings.Trim(d.decode(value), "<>")), "")
		}
	case fieldInReplyTo:
		h.InReplyTo = d.messageIDs(value)
	case fieldReferences:
		h.References = d.messageIDs(value)
	case fieldSubject:
		h.Subject = d.decode(value)
	case fieldFrom:
		h.From = FormatAddresses(d.addresses(value))
	case fieldReplyTo:
		h.ReplyTo = FormatAddresses(d.addresses(value))
	case fieldListID:
		h.ListID = d.decode(value)
	}
}

// field is one of the fields that Header has a place for.
type field uint8

const (
	fieldOther field = iota
	fieldDate
	fieldMessageID
	fieldInReplyTo
	fieldReferences
	fieldSubject
	fieldFrom
	fieldTo
	fieldCc
	fieldReplyTo
	fieldListID
)

// fieldSet remembers which fields were met.
type fieldSet uint16

// add puts k into the set and reports whether it was not there yet.
func (s *fieldSet) add(k field) bool {
	bit := fieldSet(1) << k
	first := *s&bit == 0
	*s |= bit
	return first
}

func knownField(name string) field {
	is := func(want string, k field) field {
		if strings.EqualFold(name, want) {
			return k
		}
		return fieldOther
	}
	switch len(name) {
	case 2:
		return max(is("to", fieldTo), is("cc", fieldCc))
	case 4:
		return max(is("from", fieldFrom), is("date", fieldDate))
	case 7:
		return max(is("subject", fieldSubject), is("list-id", fieldListID))
	case 8:
		return is("reply-to", fieldReplyTo)
	case 10:
		return max(is("message-id", fieldMessageID), is("references", fieldReferences))
	case 11:
		return is("in-reply-to", fieldInReplyTo)
	}
	return fieldOther
}

// declaredCharset is the charset parameter of the Content-Type field, or "".
func declaredCharset(all []Field) string {
	for _, f := range all {
		if !strings.EqualFold(f.Name, "content-type") {
			continue
		}
		v := strings.ToLower(f.Value)
		i := strings.Index(v, "charset")
		if i < 0 {
			return ""
		}
		v = strings.TrimLeft(v[i+len("charset"):], " \t")
		v, ok := strings.CutPrefix(v, "=")
		if !ok {
			return ""
		}
		v = strings.TrimLeft(v, " \t\"'")
		if end := strings.IndexAny(v, " \t;\"'"); end >= 0 {
			v = v[:end]
		}
		return v
	}
	return ""
}
