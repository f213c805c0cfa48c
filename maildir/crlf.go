package maildir

import (
	"bytes"
	"io"
)

// crlfBufferOctets is how much is read at a time.
const crlfBufferOctets = 32 << 10

// CRLF returns a reader that gives r with each line ended by CRLF, the form of the wire (RFC 5321 §2.3.8). A CRLF that is
// there already stays as it is, and so does a bare CR. Memory is constant.
func CRLF(r io.Reader) io.Reader {
	return &crlfReader{r: r}
}

type crlfReader struct {
	r       io.Reader
	buf     []byte
	pending []byte // of buf, not yet given out
	afterCR bool   // the last octet given out was CR
	err     error
}

// Read implements [io.Reader].
func (c *crlfReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(c.pending) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		if c.buf == nil {
			c.buf = make([]byte, crlfBufferOctets)
		}
		var n int
		n, c.err = c.r.Read(c.buf)
		c.pending = c.buf[:n]
	}
	n := 0
	for n < len(p) && len(c.pending) > 0 {
		n += c.step(p[n:])
	}
	return n, nil
}

// step gives out the octets up to the next LF, or a line end, or the CR that a line end lacks. Both p and pending
// hold something.
func (c *crlfReader) step(p []byte) int {
	if c.pending[0] == '\n' {
		if !c.afterCR {
			p[0] = '\r'
			c.afterCR = true
			return 1
		}
		p[0] = '\n'
		c.pending = c.pending[1:]
		c.afterCR = false
		return 1
	}
	line := c.pending
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	n := copy(p, line)
	c.pending = c.pending[n:]
	c.afterCR = p[n-1] == '\r'
	return n
}

// LF returns a reader that gives r with LF for each CRLF: the reverse of [CRLF]. A bare CR stays as it is. Memory is constant.
func LF(r io.Reader) io.Reader {
	return &lfReader{r: r}
}

type lfReader struct {
	r       io.Reader
	buf     []byte
	pending []byte // of buf, not yet given out
	held    bool   // the last octet read was CR, and may be half of a line end
	err     error
}

// Read implements [io.Reader].
func (l *lfReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if l.buf == nil {
		l.buf = make([]byte, crlfBufferOctets)
	}
	for len(l.pending) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		start := 0
		if l.held {
			l.buf[0] = '\r'
			start = 1
		}
		var n int
		n, l.err = l.r.Read(l.buf[start:])
		if n == 0 && l.err == nil {
			return 0, nil
		}
		text := l.buf[:start+n]
		if l.held = l.err == nil && text[len(text)-1] == '\r'; l.held {
			text = text[:len(text)-1]
		}
		l.pending = withoutCR(text)
	}
	n := copy(p, l.pending)
	l.pending = l.pending[n:]
	return n, nil
}

// withoutCR takes the CR out of each CRLF of p, in its place.
func withoutCR(p []byte) []byte {
	at := bytes.Index(p, []byte("\r\n"))
	if at < 0 {
		return p
	}
	to := at
	for rest := p[at+1:]; ; {
		next := bytes.Index(rest, []byte("\r\n"))
		if next < 0 {
			return p[:to+copy(p[to:], rest)]
		}
		to += copy(p[to:], rest[:next])
		rest = rest[next+1:]
	}
}
