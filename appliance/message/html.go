package message

import (
	"html"
	"strings"
	"unicode"
)

// htmlText reduces HTML to text that can be read: no markup, scripts or styles; blocks on lines of their own. The work is linear in the
// input, whatever it is.
func htmlText(s string) string {
	h := &htmlReader{s: s, lower: asciiLower(s)}
	for h.pos < len(h.s) {
		i := strings.IndexByte(h.s[h.pos:], '<')
		if i < 0 {
			h.text(h.s[h.pos:])
			break
		}
		h.text(h.s[h.pos : h.pos+i])
		h.pos += i
		h.markup()
	}
	return strings.TrimSpace(h.out.String())
}

// htmlReader goes through HTML once.
type htmlReader struct {
	s, lower string
	pos      int
	out      strings.Builder
	breaks   int  // line feeds due before the next text
	space    bool // a space is due before it
	pre      int  // depth of <pre>

	unquoted bool    // quotes do not come in pairs: they count no more
	none     [4]bool // there is no more of this searched text: nothing is searched twice in vain
}

// What find looks for.
const (
	endOfTag = iota
	doubleQuote
	singleQuote
	endOfComment
)

// find gives the index after the next occurrence from i on, or -1.
func (h *htmlReader) find(what, i int) int {
	if h.none[what] {
		return -1
	}
	text := [...]string{">", `"`, "'", "-->"}[what]
	n := strings.Index(h.s[i:], text)
	if n < 0 {
		h.none[what] = true
		return -1
	}
	return i + n + len(text)
}

// markup takes what begins with "<".
func (h *htmlReader) markup() {
	rest := h.s[h.pos:]
	if strings.HasPrefix(rest, "<!--") {
		if end := h.find(endOfComment, h.pos+4); end >= 0 {
			h.pos = end
			return
		}
	}
	if len(rest) < 2 || !isLetter(rest[1]) && !strings.ContainsRune("/!?", rune(rest[1])) {
		h.text("<")
		h.pos++
		return
	}
	end := -1
	if !h.unquoted {
		end = h.tagEnd(h.pos + 1)
		h.unquoted = end < 0
	}
	if h.unquoted {
		end = h.find(endOfTag, h.pos+1)
	}
	if end < 0 {
		h.text("<")
		h.pos++
		return
	}
	name := h.lower[h.pos+1 : end-1]
	if i := strings.IndexAny(name, " \t\r\n\f>"); i >= 0 {
		name = name[:i]
	}
	h.pos = end
	h.tag(strings.TrimSuffix(name, "/"))
}

// tagEnd gives the index after the tag's ">", past quoted values.
func (h *htmlReader) tagEnd(i int) int {
	for {
		n := strings.IndexAny(h.s[i:min(len(h.s), i+tagStep)], `"'>`)
		switch {
		case n < 0 && i+tagStep >= len(h.s):
			return -1
		case n < 0:
			return h.find(endOfTag, i)
		case h.s[i+n] == '>':
			return i + n + 1
		}
		quote := doubleQuote
		if h.s[i+n] == '\'' {
			quote = singleQuote
		}
		// Only after "=" a quote begins a value.
		if before := strings.TrimRight(h.s[max(0, i+n-8):i+n], " \t\r\n"); !strings.HasSuffix(before, "=") {
			i += n + 1
			continue
		}
		if end := h.find(quote, i+n+1); end >= 0 {
			i = end
		} else {
			i += n + 1
		}
	}
}

// tagStep is how far a tag may go on without a quote or its end.
const tagStep = 4096

// tag does what an element means for text.
func (h *htmlReader) tag(name string) {
	switch name {
	case "script", "style", "title", "template":
		if i := strings.Index(h.lower[h.pos:], "</"+name); i >= 0 {
			h.pos += i
		} else {
			h.pos = len(h.s)
		}
	case "br", "br/":
		h.breaks++
	case "p", "/p", "h1", "/h1", "h2", "/h2", "h3", "/h3", "h4", "/h4", "h5", "/h5", "h6", "/h6", "ul", "/ul", "ol", "/ol", "table", "/table",
		"blockquote", "/blockquote", "pre", "/pre", "hr":
		h.breaks = max(h.breaks, 2)
		if name == "pre" {
			h.pre++
		}
		if name == "/pre" {
			h.pre = max(0, h.pre-1)
		}
	case "div", "/div", "tr", "/tr", "/li", "dt", "dd", "section", "/section", "header", "/header", "footer", "/footer", "article", "/article":
		h.breaks = max(h.breaks, 1)
	case "li":
		h.breaks = max(h.breaks, 1)
		h.text("-")
		h.space = true
	case "td", "th":
		h.space = true
	}
}

// text adds text between tags, white space reduced to one space.
func (h *htmlReader) text(raw string) {
	for _, r := range html.UnescapeString(raw) {
		switch {
		case h.pre > 0 && r == '\n':
			h.breaks++
		case r == '\u00ad', r == '\u200b', r == '\u200c', r == '\ufeff', r == '\u034f':
			// Soft hyphens and fillers, of which newsletters have hundreds.
		case h.pre > 0 && r == ' ':
			h.gap()
			h.out.WriteByte(' ')
		case unicode.IsSpace(r):
			h.space = true
		default:
			h.gap()
			h.out.WriteRune(r)
		}
	}
}

// gap writes the line feeds or the space that are due.
func (h *htmlReader) gap() {
	switch {
	case h.out.Len() == 0:
	case h.breaks > 0:
		h.out.WriteString(strings.Repeat("\n", min(h.breaks, 2)))
	case h.space:
		h.out.WriteByte(' ')
	}
	h.breaks, h.space = 0, false
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// asciiLower has the same indices as s.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}
