package mbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// bufferOctets is how much is read at a time.
const bufferOctets = 64 << 10

// Writer writes messages in mboxrd. Not safe for concurrent use.
type Writer struct {
	w  io.Writer
	in *bufio.Reader
}

// NewWriter returns a Writer that puts messages behind what w has already.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, in: bufio.NewReaderSize(nil, bufferOctets)}
}

// Message writes a message, whose content is all that r gives. After an error, be it of r or of writing, what was written has no end: take it
// back, or give the mailbox up.
func (w *Writer) Message(e Envelope, r io.Reader) error {
	if _, err := io.WriteString(w.w, fromLine(e.Sender, e.Date)+statusFields(e)); err != nil {
		return fmt.Errorf("write mbox: %w", err)
	}
	w.in.Reset(r)
	last := byte('\n')
	q := quoting{in: w.in}
	for {
		piece, err := w.in.ReadSlice('\n')
		if len(piece) > 0 {
			last = piece[len(piece)-1]
			if werr := w.piece(&q, piece); werr != nil {
				return fmt.Errorf("write mbox: %w", werr)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("read message: %w", err)
		}
	}
	end := "\n"
	if last != '\n' {
		end = "\n\n"
	}
	if _, err := io.WriteString(w.w, end); err != nil {
		return fmt.Errorf("write mbox: %w", err)
	}
	return nil
}

// piece writes a line, or a part of a long one, with the ">" that it needs.
func (w *Writer) piece(q *quoting, piece []byte) error {
	run, isFrom, piece := q.look(piece)
	if isFrom {
		if _, err := w.w.Write(piece[:run]); err != nil {
			return err
		}
		if _, err := w.w.Write([]byte{'>'}); err != nil {
			return err
		}
		piece = piece[run:]
	}
	_, err := w.w.Write(piece)
	return err
}

// quoting watches for lines of any number of ">" followed by "From ", however long these are.
type quoting struct {
	in     *bufio.Reader // where pieces come from, to look ahead
	within bool          // the next piece goes on with a line
	marks  bool          // and all of that line so far is ">"
	count  int64         // so many
}

// look tells of the next piece how many ">" it begins with, and whether with these its line begins with ">…>From ". The piece that it gives is the
// one it got, perhaps elsewhere in memory.
func (q *quoting) look(piece []byte) (run int, isFrom bool, same []byte) {
	if !q.within {
		q.marks, q.count = true, 0
	}
	q.within = piece[len(piece)-1] != '\n'
	if !q.marks {
		return 0, false, piece
	}
	for run < len(piece) && piece[run] == '>' {
		run++
	}
	q.count += int64(run)
	if run == len(piece) {
		return run, false, piece
	}
	q.marks = false
	rest := piece[run:]
	if len(rest) < len(fromWord) && q.within && bytes.HasPrefix([]byte(fromWord), rest) {
		piece = bytes.Clone(piece) // looking ahead may move what the buffer holds
		rest = piece[run:]
		more, _ := q.in.Peek(len(fromWord) - len(rest)) // what cannot be read now cannot be read then, and shows there
		return run, string(rest)+string(more) == fromWord, piece
	}
	return run, bytes.HasPrefix(rest, []byte(fromWord)), piece
}
