package mbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrFormat means that a file is no mbox.
var ErrFormat = errors.New("no mbox: it does not begin with a \"From \" line")

const (
	// maxHeadOctets is how much of a header is looked through for flags. What is beyond it is content like any other.
	maxHeadOctets = 256 << 10
	// peekOctets is how much of the line after a "From " line is looked at.
	peekOctets = 128
	// contentLength is the field that mboxcl2 has.
	contentLength = "Content-Length"
)

// Reader reads messages one after another. Not safe for concurrent use.
//
//	for {
//		e, err := r.Next() // io.EOF after the last one
//		io.Copy(w, r)      // its content
//	}
type Reader struct {
	in     *bufio.Reader
	at     io.ReaderAt // the same file, to see where a Content-Length leads; nil = it cannot be seen
	format Format
	offset int64 // of what is read next

	from    []byte // the line that begins the next message; nil = not seen yet
	fromAt  int64
	begun   bool
	ended   bool // there is no more
	within  bool // a message is being read
	left    int64
	quoting quoting
	inLine  bool   // the next piece goes on with a line
	blank   bool   // an empty line waits: the last one before the next message is not content
	held    bool   // a ">" waits: it may be that of a quoted line
	heldCR  bool   // a CR waits: it may be that of a line end
	out     []byte // content to be given out
	buf     []byte // that out is made in
}

// NewReader returns a Reader of r, which is at the beginning of the mailbox.
func NewReader(r io.Reader, f Format) *Reader {
	at, _ := r.(io.ReaderAt)
	in := bufio.NewReaderSize(r, bufferOctets)
	return &Reader{in: in, at: at, format: f, quoting: quoting{in: in}, buf: make([]byte, 0, bufferOctets+peekOctets)}
}

// Offset returns how many octets of the mailbox have been read.
func (r *Reader) Offset() int64 { return r.offset }

// Next goes to the next message, past what was not read of the one before. The error is io.EOF when there is none, ErrFormat when the file is no
// mailbox, and that of reading otherwise.
func (r *Reader) Next() (Envelope, error) {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return Envelope{}, err
	}
	if !r.begun {
		if err := r.begin(); err != nil {
			return Envelope{}, err
		}
	}
	if r.from == nil {
		return Envelope{}, io.EOF
	}
	e := Envelope{Offset: r.fromAt}
	e.Sender, e.Date = parseFrom(string(bytes.TrimRight(r.from, "\r\n")))
	r.from = nil
	r.within, r.left, r.inLine, r.blank, r.held, r.heldCR = true, -1, false, false, false, false
	r.quoting.within = false
	head, err := r.head()
	if err != nil {
		return Envelope{}, err
	}
	used := r.measure(head)
	r.out = takeStatus(head, used, &e)
	return e, nil
}

// begin finds the first message, after empty lines perhaps.
func (r *Reader) begin() error {
	r.begun = true
	for {
		at := r.offset
		line, err := r.slice()
		switch {
		case err != nil:
			return err
		case len(line) == 0:
			return io.EOF
		case isBlank(line):
			continue
		case !bytes.HasPrefix(line, []byte(fromWord)) || len(line) > maxFromOctets:
			return ErrFormat
		}
		r.from, r.fromAt = bytes.Clone(line), at
		return nil
	}
}

func isBlank(line []byte) bool { return string(line) == "\n" || string(line) == "\r\n" }

// slice reads the next line, or a part of a long one; nothing at the end.
func (r *Reader) slice() ([]byte, error) {
	piece, err := r.in.ReadSlice('\n')
	r.offset += int64(len(piece))
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("read mbox: %w", err)
	}
	return piece, nil
}

// scan is slice within a message: it ends before the next one.
func (r *Reader) scan() (piece []byte, err error) {
	at := r.offset
	piece, err = r.slice()
	if err != nil {
		return nil, err
	}
	if len(piece) == 0 {
		r.within, r.ended = false, true
		return nil, nil
	}
	if !r.inLine && bytes.HasPrefix(piece, []byte(fromWord)) && len(piece) <= maxFromOctets {
		piece = bytes.Clone(piece) // looking ahead may move what the buffer holds
		next, _ := r.in.Peek(peekOctets)
		if separates(piece, r.blank, next) {
			r.from, r.fromAt, r.within = piece, at, false
			return nil, nil
		}
	}
	return piece, nil
}

// head reads the header, up to an empty line, which waits.
func (r *Reader) head() ([]byte, error) {
	var head []byte
	for len(head) < maxHeadOctets {
		piece, err := r.scan()
		if err != nil || piece == nil {
			return append(head, r.rest()...), err
		}
		if !r.inLine && isBlank(piece) {
			r.blank = true
			return head, nil
		}
		r.buf = r.buf[:0]
		head = append(head, r.text(piece)...)
	}
	return head, nil
}

// measure sees whether a Content-Length tells where the message ends, and gives the name of the field if so.
func (r *Reader) measure(head []byte) string {
	if r.format != Auto && r.format != CL2 || !r.blank {
		return ""
	}
	if _, ok := new(flags).own(head); ok {
		return ""
	}
	value, ok := fieldValue(head, contentLength)
	n, err := strconv.ParseInt(value, 10, 63)
	switch {
	case !ok || err != nil || n < 0:
		return ""
	case r.at != nil && !r.leads(n):
		return ""
	case r.at == nil && r.format == Auto:
		return ""
	}
	r.left = n
	return contentLength
}

// leads reports whether after so many octets the next message begins, or the file ends.
func (r *Reader) leads(octets int64) bool {
	var around [1 + 4 + len(fromWord)]byte // the octet before, two line ends
	n, err := r.at.ReadAt(around[:], r.offset+octets-1)
	if n < 1 || err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	lineEnds, after := around[0] == '\n', around[1:n]
	for range 2 {
		rest := bytes.TrimPrefix(bytes.TrimPrefix(after, []byte("\r")), []byte("\n"))
		lineEnds = lineEnds || len(rest) < len(after)
		after = rest
	}
	return len(after) == 0 && n < len(around) || lineEnds && bytes.HasPrefix(after, []byte(fromWord))
}

// Read implements [io.Reader]: it gives the content of the message that Next has gone to, and io.EOF at its end.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if !r.within {
			return 0, io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// fill makes more content, or ends the message.
func (r *Reader) fill() error {
	r.buf = r.buf[:0]
	if r.left >= 0 {
		return r.fillMeasured()
	}
	piece, err := r.scan()
	switch {
	case err != nil:
		return err
	case piece == nil:
		r.out = r.rest()
	case !r.inLine && isBlank(piece):
		if r.blank {
			r.out = append(r.buf, '\n')
		}
		r.blank = true
	default:
		if r.blank {
			r.buf = append(r.buf, '\n')
			r.blank = false
		}
		r.out = r.text(piece)
	}
	return nil
}

// fillMeasured is fill where the length is known: nothing is quoted there.
func (r *Reader) fillMeasured() error {
	if r.blank { // between header and body: content
		r.blank = false
		r.out = append(r.buf, '\n')
		return nil
	}
	if r.left == 0 {
		r.out = r.rest()
		return r.afterMeasured()
	}
	// What the buffer holds already, without filling it for each line anew.
	piece, err := r.in.Peek(int(min(r.left, int64(max(1, r.in.Buffered())))))
	if len(piece) == 0 {
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("read mbox: %w", err)
		}
		r.within, r.ended = false, true
		r.out = r.rest()
		return nil
	}
	if i := bytes.IndexByte(piece, '\n'); i >= 0 {
		piece = piece[:i+1]
	}
	r.out = r.plain(piece)
	n, _ := r.in.Discard(len(piece)) // they are in the buffer
	r.offset += int64(n)
	r.left -= int64(n)
	return nil
}

// afterMeasured looks for the next message where a Content-Length says it is. Where it is not, the message goes on.
func (r *Reader) afterMeasured() error {
	r.left, r.inLine = -1, false
	for {
		at := r.offset
		next, err := r.in.Peek(len(fromWord))
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read mbox: %w", err)
		}
		blank := bytes.HasPrefix(next, []byte("\n")) || bytes.HasPrefix(next, []byte("\r\n"))
		if !blank && string(next) != fromWord && len(next) > 0 {
			return nil
		}
		line, err := r.slice()
		switch {
		case err != nil:
			return err
		case len(line) == 0:
			r.within, r.ended = false, true
			return nil
		case !blank:
			r.from, r.fromAt, r.within = bytes.Clone(line), at, false
			return nil
		}
	}
}

// text makes content of a piece: without the quoting. The result is valid until the next call.
func (r *Reader) text(piece []byte) []byte {
	run, isFrom, piece := r.quoting.look(piece)
	r.inLine = r.quoting.within
	if r.format == CL2 || run == 0 && !r.held {
		return r.plain(piece)
	}
	if run == len(piece) {
		if !r.held { // the whole line so far: one of them may be too many
			r.held = true
			piece = piece[1:]
		}
		return r.plain(piece)
	}
	quoted := isFrom && r.quoting.count > 0 && (r.format != O || r.quoting.count == 1)
	switch {
	case quoted && !r.held:
		piece = piece[1:]
	case !quoted && r.held:
		r.buf = append(r.buf, '>')
	}
	r.held = false
	return r.plain(piece)
}

// plain adds a piece to buf, with LF for CRLF.
func (r *Reader) plain(piece []byte) []byte {
	if r.heldCR && len(piece) > 0 && piece[0] != '\n' {
		r.buf = append(r.buf, '\r')
	}
	r.heldCR = false
	switch {
	case bytes.HasSuffix(piece, []byte("\r\n")):
		r.buf = append(append(r.buf, piece[:len(piece)-2]...), '\n')
	case bytes.HasSuffix(piece, []byte("\r")):
		r.buf = append(r.buf, piece[:len(piece)-1]...)
		r.heldCR = true
	default:
		r.buf = append(r.buf, piece...)
	}
	return r.buf
}

// rest is what waited and will be followed by nothing.
func (r *Reader) rest() []byte {
	r.buf = r.buf[:0]
	if r.held {
		r.buf = append(r.buf, '>')
	}
	if r.heldCR {
		r.buf = append(r.buf, '\r')
	}
	r.held, r.heldCR = false, false
	return r.buf
}
