package header

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// MaxBlockOctets is how much of a header block is read; fields beyond it are not indexed. Real blocks measure a few
// thousand octets; the bound keeps a hostile one from costing more than that many.
const MaxBlockOctets = 256 << 10

// firstReadOctets holds most real header blocks, so that one read of the file is enough.
const firstReadOctets = 8 << 10

// ReadBlock reads a message up to the blank line that ends its header, or up to MaxBlockOctets, or to the end of r.
// The blank line is not part of the result. Lines end in LF or CRLF. Octets after the blank line may have been read from r. An error
// of r other than io.EOF is returned together with what was read before it.
func ReadBlock(r io.Reader) ([]byte, error) {
	buf := make([]byte, 0, firstReadOctets)
	for {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(cap(buf)*4, MaxBlockOctets))
			copy(grown, buf)
			buf = grown
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		seen := max(0, len(buf)-3)
		buf = buf[:len(buf)+n]
		if end := blockEnd(buf, seen); end >= 0 {
			return buf[:end], nil
		}
		switch {
		case errors.Is(err, io.EOF) || len(buf) >= MaxBlockOctets:
			return buf, nil
		case err != nil:
			return buf, err
		}
	}
}

// blockEnd finds where the blank line starts, looking at line ends from offset from on; -1 when there is none.
func blockEnd(b []byte, from int) int {
	if bytes.HasPrefix(b, []byte("\n")) || bytes.HasPrefix(b, []byte("\r\n")) {
		return 0
	}
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return -1
		}
		from += i + 1
		rest := b[from:]
		if bytes.HasPrefix(rest, []byte("\n")) || bytes.HasPrefix(rest, []byte("\r\n")) {
			return from
		}
	}
}

// Field is one header field.
type Field struct {
	Name  string // as written: printable ASCII without colon and space (RFC 5322 §2.2)
	Value string // raw octets, unfolded and trimmed; Decode makes text of it
}

// Fields splits a block into its fields. A line that is neither a field nor the continuation of one (an mbox "From "
// line, garbage, a missing colon) is left out together with its continuations. A blank line ends the block, if there is one.
func Fields(block []byte) []Field {
	if end := blockEnd(block, 0); end >= 0 {
		block = block[:end]
	}
	text := string(block)
	fields := make([]Field, 0, min(strings.Count(text, "\n")+1, 64))
	var folded strings.Builder
	for text != "" {
		var line string
		line, text = cutLine(text)
		name, value, ok := splitField(line)
		if !isContinuation(text) {
			if ok {
				fields = append(fields, Field{name, strings.Trim(value, " \t\r")})
			}
			continue
		}
		folded.Reset()
		folded.WriteString(value)
		for isContinuation(text) {
			line, text = cutLine(text)
			folded.WriteString(line)
		}
		if ok {
			fields = append(fields, Field{name, strings.Trim(folded.String(), " \t\r")})
		}
	}
	return fields
}

// isContinuation reports whether text starts with a folded line (RFC 5322 §2.2.3).
func isContinuation(text string) bool {
	return text != "" && (text[0] == ' ' || text[0] == '\t')
}

// cutLine takes the first line off, without its line end.
func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

// splitField takes a line apart at its colon. White space before the colon is allowed (RFC 5322 §4.5), within the
// name it is not: such a line is prose.
func splitField(line string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(line, ":")
	if !ok {
		return "", "", false
	}
	name = strings.TrimRight(name, " \t")
	if name == "" {
		return "", "", false
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return "", "", false
		}
	}
	return name, value, true
}
