package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"maild/index/header"
)

const (
	// maxDepth is how deep multiparts are followed into each other. Real mail has four or five; what lies deeper is an attachment.
	maxDepth = 32
	// maxAttachments is how many are listed; the others are counted.
	maxAttachments = 500
	// htmlFactor is how much more HTML is read than text is wanted: most of it is markup.
	htmlFactor = 4
)

// Body is what a person reads of a message.
type Body struct {
	Text        string // valid UTF-8 with LF; control characters of the message are in it
	FromHTML    bool   // there was no plain text: Text was made from HTML
	Cut         bool   // there is more text
	Attachments []Attachment
	Unlisted    int // further attachments
}

// Attachment is a part that is not shown as text.
type Attachment struct {
	Name   string // as its sender named it, "" if not; no path to be trusted
	Type   string // "image/jpeg", lower case
	Octets int64  // decoded
}

// ReadBody reads a message from its beginning and gives its text, at most about maxOctets of it, and a list of what else
// it holds. Plain text is preferred; HTML is reduced to text where there is no other. Transfer encodings (RFC 2045 §6)
// and character sets are decoded; faults in them are passed over as well as can be. Memory is bounded by maxOctets and does not grow with the
// message. The error is r's alone, and comes with what was read before it.
func ReadBody(r io.Reader, maxOctets int) (Body, error) {
	w := &bodyWalker{max: maxOctets, inHeader: true}
	err := w.walk(bufio.NewReaderSize(r, 64<<10))
	if err != nil {
		err = fmt.Errorf("read message: %w", err)
	}
	return w.body(), err
}

// bodyWalker takes a message apart, line by line.
type bodyWalker struct {
	max      int
	unsized  bool // the sizes of attachments are not wanted: they are passed over undecoded
	stack    []multipart
	inHeader bool
	block    []byte // header of the part that begins
	leaf     *leaf  // nil: a multipart's preamble or epilogue
	eol      string // a line end that belongs to the leaf unless a delimiter follows

	parted      bool   // there was a part that is no multipart
	preamble    []byte // what stood before it
	plain, html strings.Builder
	loose       []Attachment // HTML that is no alternative to plain text
	out         Body
	htmlCut     bool
}

// multipart is one that was begun and not yet ended.
type multipart struct {
	boundary    string
	mediaType   string
	alternative bool // it, or one around it, is a multipart/alternative
}

// follow gives the multipart that p begins inside of those of stack. ok is false where p is none, or cannot be followed.
func follow(stack []multipart, p part) (m multipart, ok bool) {
	if !p.isMultipart() || p.boundary == "" || len(stack) >= maxDepth {
		return multipart{}, false
	}
	alternative := len(stack) > 0 && stack[len(stack)-1].alternative
	return multipart{p.boundary, p.info.Type, alternative || p.info.Type == "multipart/alternative"}, true
}

// leaf is a part that is no multipart.
type leaf struct {
	info    Attachment
	kind    leafKind
	charset string
	decode  transferDecoder
	kept    []byte
	limit   int
	cut     bool
	loose   bool
}

type leafKind int

const (
	leafOther leafKind = iota
	leafPlain
	leafHTML
)

func (w *bodyWalker) walk(r *bufio.Reader) error {
	lineStart := true
	for {
		chunk, err := r.ReadSlice('\n')
		if len(chunk) > 0 {
			w.chunk(chunk, lineStart)
			lineStart = chunk[len(chunk)-1] == '\n'
		}
		if err == nil || errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		w.endHeader()
		w.write(w.eol)
		w.endLeaf()
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}

// chunk takes a line, or a piece of a very long one.
func (w *bodyWalker) chunk(chunk []byte, lineStart bool) {
	if lineStart {
		if level, last, ok := delimiter(w.stack, chunk); ok {
			w.endHeader()
			w.endLeaf()
			w.stack, w.inHeader = w.stack[:level+1], !last
			if last {
				w.stack = w.stack[:level]
			}
			return
		}
	}
	if !w.inHeader {
		w.content(chunk)
		return
	}
	if lineStart && len(strings.TrimRight(string(chunk), "\r\n")) == 0 {
		w.endHeader()
		return
	}
	if len(w.block)+len(chunk) <= header.MaxBlockOctets {
		w.block = append(w.block, chunk...)
	}
}

// delimiter reports whether a line is one of the boundaries that are open (RFC 2046 §5.1.1). An outer one ends what is inside.
//
// QUIRK: RFC 2046 lets a line that only begins with the boundary count, and mail with a boundary cut short in its header field is seen.
// A short boundary must stand alone, though: lines of text begin with "--", too.
func delimiter(stack []multipart, line []byte) (level int, last, ok bool) {
	if len(stack) == 0 || len(line) < 3 || line[0] != '-' || line[1] != '-' {
		return 0, false, false
	}
	text := bytes.TrimRight(line[2:], " \t\r\n")
	for level := len(stack) - 1; level >= 0; level-- {
		if rest, ok := cutBoundary(text, stack[level].boundary); ok && (len(rest) == 0 || string(rest) == "--") {
			return level, len(rest) > 0, true
		}
	}
	for level := len(stack) - 1; level >= 0; level-- {
		rest, ok := cutBoundary(text, stack[level].boundary)
		after, last := cutBoundary(rest, "--")
		if ok && (len(stack[level].boundary) >= unmistakable || after[0] == ' ' || after[0] == '\t') {
			return level, last, true
		}
	}
	return 0, false, false
}

// cutBoundary cuts boundary off the beginning of text, if it is there.
func cutBoundary(text []byte, boundary string) (rest []byte, ok bool) {
	if len(text) < len(boundary) || string(text[:len(boundary)]) != boundary {
		return text, false
	}
	return text[len(boundary):], true
}

// unmistakable is the length from which a boundary does not begin a line of text by chance.
const unmistakable = 20

// endHeader begins the part whose header has been read.
func (w *bodyWalker) endHeader() {
	if !w.inHeader {
		return
	}
	p := parsePart(w.block)
	w.inHeader, w.block, w.eol = false, w.block[:0], ""
	if m, ok := follow(w.stack, p); ok {
		w.stack = append(w.stack, m)
		return
	}
	alternative := len(w.stack) > 0 && w.stack[len(w.stack)-1].alternative
	w.parted = true
	l := &leaf{info: p.info, kind: p.kind, charset: p.charset, decode: p.decoder(), loose: !alternative}
	switch l.kind {
	case leafPlain:
		l.limit = max(0, w.max-w.plain.Len())
	case leafHTML:
		l.limit = max(0, htmlFactor*w.max-w.html.Len())
	}
	w.leaf = l
}

func (w *bodyWalker) content(raw []byte) {
	if w.leaf == nil {
		if !w.parted && len(w.preamble) < w.max {
			w.preamble = append(w.preamble, raw[:min(len(raw), w.max-len(w.preamble))]...)
		}
		return
	}
	if w.unsized && w.leaf.kind == leafOther {
		return
	}
	w.write(w.eol)
	chunk := string(raw)
	w.eol = ""
	if line, ok := strings.CutSuffix(chunk, "\n"); ok {
		line = strings.TrimSuffix(line, "\r")
		chunk, w.eol = line, "\n"
	}
	w.write(chunk)
}

func (w *bodyWalker) write(s string) {
	if w.leaf != nil && s != "" {
		w.leaf.add(w.leaf.decode.next(s))
	}
}

// add takes decoded content.
func (l *leaf) add(b []byte) {
	l.info.Octets += int64(len(b))
	if l.kind == leafOther {
		return
	}
	if room := l.limit - len(l.kept); len(b) > room {
		b, l.cut = b[:room], true
	}
	l.kept = append(l.kept, b...)
}

// endLeaf files the part that was read.
func (w *bodyWalker) endLeaf() {
	l := w.leaf
	w.leaf, w.eol = nil, ""
	if l == nil {
		return
	}
	l.add(l.decode.end())
	if l.cut {
		l.kept = trimRune(l.kept)
	}
	switch l.kind {
	case leafPlain:
		w.out.Cut = w.out.Cut || l.cut
		addText(&w.plain, header.ToUTF8(l.charset, l.kept))
	case leafHTML:
		w.htmlCut = w.htmlCut || l.cut
		addText(&w.html, header.ToUTF8(l.charset, l.kept))
		if l.loose && len(w.loose) < maxAttachments {
			w.loose = append(w.loose, l.info)
		}
	default:
		w.attach(l.info)
	}
}

func (w *bodyWalker) attach(a Attachment) {
	if len(w.out.Attachments) >= maxAttachments {
		w.out.Unlisted++
		return
	}
	w.out.Attachments = append(w.out.Attachments, a)
}

func addText(b *strings.Builder, s string) {
	if b.Len() > 0 && s != "" {
		b.WriteString("\n")
	}
	b.WriteString(s)
}

// trimRune removes the beginning of a character from the end of text that was cut there.
func trimRune(b []byte) []byte {
	for n := 1; n <= min(utf8.UTFMax-1, len(b)); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return b[:len(b)-n]
			}
			break
		}
	}
	return b
}

// body chooses between the texts.
func (w *bodyWalker) body() Body {
	out := w.out
	if !w.parted {
		// QUIRK: the boundary that was announced never comes. All of the message is shown, as it stands.
		out.Text = strings.ReplaceAll(header.ToUTF8("", trimRune(w.preamble)), "\r\n", "\n")
		return out
	}
	if strings.TrimSpace(w.plain.String()) != "" || w.html.Len() == 0 {
		out.Text = strings.ReplaceAll(w.plain.String(), "\r\n", "\n")
		w.out = out
		for _, a := range w.loose {
			w.attach(a)
		}
		return w.out
	}
	out.Text, out.FromHTML = htmlText(w.html.String()), true
	out.Cut = out.Cut || w.htmlCut
	if len(out.Text) > w.max {
		out.Text, out.Cut = string(trimRune([]byte(out.Text[:w.max]))), true
	}
	return out
}
