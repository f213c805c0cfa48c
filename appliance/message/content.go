package message

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
)

const (
	// AttachmentOctets is how much of a message is looked at for attachments, from its beginning. It holds the text of nearly all messages,
	// and so the header of what follows.
	AttachmentOctets = 256 << 10
	// MaxContentOctets bounds the text of one message, with the names of its attachments.
	MaxContentOctets = 1 << 20
	// maxNamesOctets is the share of the names.
	maxNamesOctets = 64 << 10
)

// Content is what the index keeps of a message's body.
type Content struct {
	Attachment bool   // has one, as far as the first AttachmentOctets tell
	Text       string // with text wanted: the decoded text parts, and the names of attachments in lines of their own; valid UTF-8
}

// ReadContent reads of a message what the index wants of its body. r is the message from its beginning; its position, if it is a file, is neither
// used nor moved. block is its header as header.ReadBlock gives it.
//
// An attachment is what the sender attached, or what can only be shown apart. Signatures, encrypted bodies, images that an HTML part shows, other
// forms of the same text, and what belongs to a report are none.
//
// Without text, a message that is no multipart is not read at all; a multipart is read as far as its first attachment, at most
// AttachmentOctets. With it, all of the message is read. Text is that of ReadBody, at most MaxContentOctets of it. The same
// message always gives the same Content, and Attachment does not depend on wantText. The error is r's alone, and comes with what was
// found before it.
func ReadContent(r io.ReaderAt, block []byte, wantText bool) (c Content, err error) {
	top := parsePart(block)
	if top.isMultipart() {
		c.Attachment, err = findAttachment(r, int64(len(block)), top)
	} else {
		c.Attachment = top.isAttachment("")
	}
	if err == nil && wantText {
		c.Text, err = contentText(r, top)
	}
	if err != nil {
		return c, fmt.Errorf("read message: %w", err)
	}
	return c, nil
}

// contentText is the text of a message whose header is top.
func contentText(r io.ReaderAt, top part) (string, error) {
	if !top.isMultipart() && top.kind == leafOther {
		return top.info.Name, nil
	}
	w := &bodyWalker{max: MaxContentOctets, unsized: true, inHeader: true}
	err := w.walk(bufio.NewReaderSize(io.NewSectionReader(r, 0, math.MaxInt64), 64<<10))
	body := w.body()

	var names strings.Builder
	for _, a := range body.Attachments {
		if a.Name != "" && names.Len()+len(a.Name) < maxNamesOctets {
			names.WriteString("\n" + a.Name)
		}
	}
	text := body.Text
	if room := MaxContentOctets - names.Len(); len(text) > room {
		text = string(trimRune([]byte(text[:room])))
	}
	if text == "" {
		return strings.TrimPrefix(names.String(), "\n"), err
	}
	return text + names.String(), err
}

// isAttachment reports whether a part is an attachment to the one who reads the message. parent is the type of the multipart it stands in,
// "" for the message itself.
func (p part) isAttachment(parent string) bool {
	switch p.info.Type {
	case "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature":
		// RFC 3156 §5, RFC 8551 §3.5.3. They are sent with the disposition "attachment" for programs that do not know them.
		return false
	case "application/pgp-encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime":
		return false // the message itself, encrypted or wrapped in its signature
	}
	if parent == "multipart/encrypted" {
		return false // RFC 1847 §2.2: the message itself
	}
	if p.attached {
		return true
	}
	if p.kind != leafOther {
		return false
	}
	major, _, _ := strings.Cut(p.info.Type, "/")
	switch major {
	case "multipart":
		return p.boundary != "" // too deep to be followed; without a boundary nothing is known
	case "text":
		return parent != "" && parent != "multipart/alternative" && parent != "multipart/report"
	case "image":
		return parent != "multipart/related" || !p.contentID
	case "message":
		return parent != "multipart/digest" && parent != "multipart/report"
	}
	return true
}
