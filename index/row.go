package index

import (
	"strings"
	"time"

	"maild/index/header"
)

// place is a mailbox of an account.
type place struct{ account, folder string }

// row is a message as it is stored.
type row struct {
	place
	key, flags string
	new        bool
	octets     int64
	arrived    int64  // microseconds since 1970
	date       *int64 // seconds since 1970
	texts
	extra string // lines "name: value"
}

// texts are the columns made from the header.
type texts struct {
	messageID, inReplyTo, refs, subject, sender, recipients, cc, replyTo, listID string
}

// rowOverheadOctets is about what a row costs beside its texts while it waits.
const rowOverheadOctets = 256

func (r *row) sizeOctets() int64 {
	t := &r.texts
	return rowOverheadOctets + int64(len(r.key)+len(r.extra)+len(t.messageID)+len(t.inReplyTo)+len(t.refs)+len(t.subject)+
		len(t.sender)+len(t.recipients)+len(t.cc)+len(t.replyTo)+len(t.listID))
}

// newRow takes from m what is stored. Nothing of it points into the header block any more, so that a waiting row
// does not hold one in memory.
func newRow(m Message, fields fieldFilter) row {
	h := &m.Header
	r := row{
		place: place{strings.ToLower(m.Account), m.Folder}, key: m.Key, flags: m.Flags, new: m.New, octets: m.Octets,
		arrived: max(1, m.Arrived.UnixMicro()),
		texts: texts{
			messageID: strings.Clone(h.MessageID), inReplyTo: strings.Join(h.InReplyTo, " "), refs: strings.Join(h.References, " "),
			subject: strings.Clone(h.Subject), sender: strings.Clone(h.From), recipients: strings.Clone(h.To), cc: strings.Clone(h.Cc),
			replyTo: strings.Clone(h.ReplyTo), listID: strings.Clone(h.ListID),
		},
		extra: extraFields(h.All, fields),
	}
	if m.Arrived.IsZero() {
		r.arrived = time.Now().UnixMicro()
	}
	if !h.Date.IsZero() {
		date := h.Date.Unix()
		r.date = &date
	}
	return r
}

// extraFields writes the further fields that are kept, a line each: decoded values contain no line end.
func extraFields(all []header.Field, fields fieldFilter) string {
	if !fields.all && len(fields.names) == 0 {
		return ""
	}
	var b strings.Builder
	for _, f := range all {
		name := strings.ToLower(f.Name)
		if !fields.has(name) {
			continue
		}
		b.WriteString(name)
		b.WriteString(": ")
		b.WriteString(header.Decode(f.Value))
		b.WriteByte('\n')
	}
	return b.String()
}

// columnOf is the column of message that answers for a header field; "" when there is none. The name is in lower case.
func columnOf(name string) string {
	switch name {
	case "subject":
		return "subject"
	case "from":
		return "sender"
	case "to":
		return "recipients"
	case "cc":
		return "cc"
	case "reply-to":
		return "reply_to"
	case "list-id":
		return "list_id"
	case "message-id":
		return "message_id"
	case "in-reply-to":
		return "in_reply_to"
	case "references":
		return "refs"
	}
	return ""
}
