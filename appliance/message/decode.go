// Package message is what a host does to a message's octets on its way in: it
// takes them off the wire ([Decode]), adds the trace fields ([Trace]) and passes
// the header through a filter ([Intake]). Everything streams; memory does not
// grow with the message.
//
// On the wire lines end in CRLF; in a Maildir they end in LF. All of this
// package past [Decode] sees LF.
package message

import (
	"bytes"
	"errors"
	"io"
)

// ErrBareLineEnd is a CR without LF, or a LF without CR, in a message. RFC 5321
// §2.3.8 forbids both, and a host that repairs them lets a second message be
// smuggled past the next one.
var ErrBareLineEnd = errors.New("message has a CR or LF that is not part of CRLF")

// ErrTooBig is returned when a message has more octets than it may.
var ErrTooBig = errors.New("message is larger than allowed")

// Source gives the octets of a connection without taking more of them than the
// message has.
type Source interface {
	// Fill returns the octets not yet consumed. It reads at least one more
	// than it returned last time, unless it returns an error. The slice may be
	// overwritten by the caller and is valid until the next call.
	Fill() ([]byte, error)
	// Consume takes the first n octets away.
	Consume(n int)
}

// Decode copies one message from src to dst with LF line ends. With dots set,
// src is the data that follows DATA: it ends with CRLF.CRLF, of which the last
// three octets are consumed and not copied, and a leading dot of any other line
// is removed (RFC 5321 §4.5.2). Otherwise it ends where src reports io.EOF.
//
// Octets are counted with CRLF and without added dots, as RFC 1870 §3 does; more
// than max of them (0: no limit) is ErrTooBig.
//
// A message that is refused (ErrTooBig, ErrBareLineEnd, an error of dst) is still
// consumed up to its end, so that the connection can go on, but for at most
// drain octets beyond max. An error of src means that no end was seen, and the
// connection is of no further use.
func Decode(dst io.Writer, src Source, dots bool, max, drain int64) (octets int64, err error) {
	d := decoder{dots: dots, lineStart: true}
	var refused error
	for !d.done {
		data, err := src.Fill()
		if err == io.EOF && !dots {
			if len(data) > 0 {
				refused = firstError(refused, ErrBareLineEnd) // a CR was held back
			}
			return d.octets, refused
		}
		if err != nil {
			return d.octets, &SourceError{err}
		}
		n, used := d.decode(data)
		if d.bare {
			refused = firstError(refused, ErrBareLineEnd)
		}
		if max > 0 && d.octets > max {
			refused = firstError(refused, ErrTooBig)
			if d.octets > max+drain {
				return d.octets, &SourceError{ErrTooBig}
			}
		}
		if refused == nil && n > 0 {
			_, refused = dst.Write(data[:n])
		}
		src.Consume(used)
	}
	return d.octets, refused
}

// SourceError tells that the end of the message was not found, so that what
// follows on the connection must not be taken for commands.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return "read message: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *SourceError) Unwrap() error { return e.Err }

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// decoder turns wire lines into LF lines, a block at a time and in place.
type decoder struct {
	dots      bool
	lineStart bool  // the next octet follows CRLF, or is the first
	done      bool  // the end of data was seen
	bare      bool  // a CR or LF on its own was seen
	octets    int64 // decoded, with CRLF
}

// decode overwrites the start of b with what b decodes to and returns how much
// that is and how much of b it used. It leaves unused what more octets are
// needed to understand: a CR at the end, or the start of what may be the end.
func (d *decoder) decode(b []byte) (out, used int) {
	for used < len(b) && !d.done {
		rest := b[used:]
		if d.lineStart && d.dots && rest[0] == '.' {
			if len(rest) < 3 && bytes.HasPrefix([]byte(".\r\n"), rest) {
				break
			}
			if bytes.HasPrefix(rest, []byte(".\r\n")) {
				used += 3
				d.done = true
				break
			}
			used++
			rest = rest[1:]
			d.lineStart = false
		}
		n, end := d.line(rest)
		if n == 0 && end == 0 {
			break
		}
		out += copy(b[out:], rest[:n])
		d.octets += int64(n)
		if end == 2 {
			b[out] = '\n'
			out++
			d.octets += 2
		}
		used += n + end
	}
	return out, used
}

// line returns how many octets of b go out as they are, and how many octets of
// line end (2: CRLF) follow them.
func (d *decoder) line(b []byte) (n, end int) {
	n = bytes.IndexByte(b, '\n')
	switch {
	case n > 0 && b[n-1] == '\r':
		n--
		end = 2
		d.lineStart = true
	case n >= 0:
		// A LF alone does not start a line: only CRLF.CRLF is the end.
		d.bare = true
		n++
		d.lineStart = false
	default:
		n = len(b)
		if b[n-1] == '\r' {
			n--
		}
		if n > 0 {
			d.lineStart = false
		}
	}
	if bytes.IndexByte(b[:n], '\r') >= 0 {
		d.bare = true
	}
	return n, end
}
