package index

import (
	"slices"
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
	attachment bool
	octets     int64
	arrived    int64  // microseconds since 1970
	date       *int64 // seconds since 1970
	texts
	extra string   // lines "name: value"
	words []string // of its addresses, folded
	body  string   // text to be found, where bodies are indexed

	// incomplete: what the header does not tell (attachment, body) must be read from the file.
	incomplete bool
}

// file is the file that the row was made of.
func (r *row) file() File { return File{Key: r.key, Flags: r.flags, New: r.new} }

// texts are the columns made from the header.
type texts struct {
	messageID, inReplyTo, refs, subject, sender, recipients, cc, replyTo, listID string
}

// rowOverheadOctets is about what a row costs beside its texts while it waits.
const rowOverheadOctets = 256

func (r *row) sizeOctets() int64 {
	t := &r.texts
	return rowOverheadOctets + int64(len(r.key)+len(r.extra)+len(r.body)+len(t.messageID)+len(t.inReplyTo)+len(t.refs)+len(t.subject)+
		len(t.sender)+len(t.recipients)+len(t.cc)+len(t.replyTo)+len(t.listID))
}

// maxReferences bounds what is kept of one message's references for threads: the first, which began the thread, and the last.
const maxReferences = 100

// references are the hashes of the ids that a row refers to, from its columns refs and in_reply_to.
func references(refs, inReplyTo string) []int64 {
	ids := append(splitIDs(refs), splitIDs(inReplyTo)...)
	if len(ids) > maxReferences {
		ids = append(ids[:1:1], ids[len(ids)-maxReferences+1:]...)
	}
	hashes := make([]int64, 0, len(ids))
	for _, id := range ids {
		if h := idHash(id); !slices.Contains(hashes, h) {
			hashes = append(hashes, h)
		}
	}
	return hashes
}

// needsContent reports whether the header alone leaves open what the index keeps of the content.
func needsContent(h *header.Header, body bool) bool {
	if body {
		return true
	}
	for _, f := range h.All {
		switch {
		case strings.EqualFold(f.Name, "Content-Disposition"):
			return true
		case strings.EqualFold(f.Name, "Content-Type") && !isPlainText(f.Value):
			return true
		}
	}
	return false
}

// isPlainText reports whether a Content-Type certainly is that of a text to be read, not of a file sent alone.
func isPlainText(contentType string) bool {
	mediaType, params, _ := strings.Cut(strings.ToLower(contentType), ";")
	mediaType = strings.TrimSpace(mediaType)
	return (mediaType == "text/plain" || mediaType == "text/html") && !strings.Contains(params, "name")
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
		extra:      extraFields(h.All, fields),
		attachment: m.Attachment, body: sanitize(m.Body), incomplete: m.Incomplete,
	}
	r.words = addressWords(r.sender + "\n" + r.recipients + "\n" + r.cc)
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
