package message

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// scanOctets is what is read of a multipart at a time. It holds the whole of most messages without attachments.
const scanOctets = 8 << 10

// findAttachment looks for the first attachment of a multipart whose header, top, takes the first at octets of r.
//
// It sees the parts that bodyWalker sees, but looks at no line within them: it goes from one "\n--" to the next.
func findAttachment(r io.ReaderAt, at int64, top part) (bool, error) {
	var room [4]multipart
	first, ok := follow(nil, top)
	if !ok || at >= AttachmentOctets {
		return false, nil
	}
	s := partScanner{r: r, at: at, stack: append(room[:0], first)}
	for s.next() {
		p, bare := s.part()
		m, ok := follow(s.stack, p)
		switch {
		case !ok || p.attached:
			if p.isAttachment(s.stack[len(s.stack)-1].mediaType) {
				return true, s.err
			}
		case !bare:
			s.stack = append(s.stack, m)
		}
	}
	return false, s.err
}

// partScanner goes through a multipart from part to part. It stands at pos, where the line before the next to be looked at ends.
type partScanner struct {
	r     io.ReaderAt
	at    int64 // where in r buf ends
	buf   []byte
	pos   int
	ended bool // there is no more to read
	err   error
	stack []multipart // those that are open
}

// next goes to the end of the next delimiter that begins a part, taking those that end a multipart on the way.
func (s *partScanner) next() bool {
	for len(s.stack) > 0 && s.seek() {
		end := s.lineEnd(1)
		level, last, ok := delimiter(s.stack, s.buf[s.pos+1:s.pos+end])
		s.pos += end
		switch {
		case !ok:
		case last:
			s.stack = s.stack[:level]
		default:
			s.stack = s.stack[:level+1]
			return true
		}
	}
	return false
}

// part reads the header of the part that begins, and goes to its end. bare is a part without the blank line that ends a header: a
// delimiter comes next.
func (s *partScanner) part() (p part, bare bool) {
	for n := 1; ; {
		if s.pos+n >= len(s.buf) && !s.fill() {
			p = parsePart(s.buf[min(s.pos+1, len(s.buf)):])
			s.pos = len(s.buf)
			return p, false
		}
		end := s.lineEnd(n)
		line := s.buf[s.pos+n : s.pos+end]
		if len(bytes.TrimRight(line, "\r")) == 0 {
			p = parsePart(s.buf[s.pos+1 : s.pos+n])
			s.pos += end
			return p, false
		}
		if _, _, ok := delimiter(s.stack, line); ok {
			p = parsePart(s.buf[s.pos+1 : s.pos+n])
			s.pos += n - 1
			return p, true
		}
		n = end + 1
	}
}

// seek goes to the next line end after which a line begins with "--".
func (s *partScanner) seek() bool {
	for {
		if i := bytes.Index(s.buf[s.pos:], []byte("\n--")); i >= 0 {
			s.pos += i
			return true
		}
		s.pos = max(s.pos, len(s.buf)-len("\n-"))
		if !s.fill() {
			return false
		}
	}
}

// lineEnd gives where the line ends that begins n after pos, counted from pos, which may move in buf.
func (s *partScanner) lineEnd(n int) int {
	for {
		if i := bytes.IndexByte(s.buf[s.pos+n:], '\n'); i >= 0 {
			return n + i
		}
		n = len(s.buf) - s.pos
		if !s.fill() {
			return n
		}
	}
}

// fill reads on, and reports whether there was more. What lies before pos is given up, so buf grows only for a line or a header that is
// longer, and no further than twice AttachmentOctets.
func (s *partScanner) fill() bool {
	room := min(AttachmentOctets-s.at, scanOctets)
	if s.ended || room <= 0 {
		return false
	}
	s.buf = s.buf[:copy(s.buf, s.buf[s.pos:])]
	s.pos = 0
	s.buf = slices.Grow(s.buf, int(room))
	n, err := s.r.ReadAt(s.buf[len(s.buf):len(s.buf)+int(room)], s.at)
	s.buf = s.buf[:len(s.buf)+n]
	s.at += int64(n)
	if err != nil {
		s.ended = true
		if !errors.Is(err, io.EOF) {
			s.err = err
		}
	}
	return n > 0
}
