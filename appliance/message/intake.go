package message

import (
	"bytes"
	"errors"
	"io"

	"maild/index/header"
)

// ErrLoop is returned for a message with more Received fields than allowed.
var ErrLoop = errors.New("message has too many Received fields: it is in a loop")

// Intake writes a message to its file: the given trace fields first, then the
// message as it comes, less any Return-Path of its own, which only the last host
// may write (RFC 5321 §4.4). It keeps the header block for the index.
//
// The header is scanned line by line as it passes: nothing of it is held but the
// first few octets of a line that a Write has cut.
type Intake struct {
	dst         io.Writer
	maxReceived int

	inHeader bool
	atLine   bool // the next octet starts a line
	drop     bool // within a field that is not passed on
	received int
	held     []byte // start of a line whose field name is not complete yet
	block    []byte // the header as written, up to header.MaxBlockOctets
}

// maxNameOctets is how much of a line is held to find the end of its field name.
const maxNameOctets = 64

// NewIntake starts a message in dst with trace. More than maxReceived Received
// fields in what follows is ErrLoop.
func NewIntake(dst io.Writer, trace []byte, maxReceived int) (*Intake, error) {
	in := &Intake{dst: dst, maxReceived: maxReceived, inHeader: true, atLine: true}
	in.block = append(make([]byte, 0, 4096), trace...)
	_, err := dst.Write(trace)
	return in, err
}

// Header is the header block as it stands in the file, trace fields included,
// the empty line not, cut at header.MaxBlockOctets. Valid after Close.
func (in *Intake) Header() []byte { return in.block }

// Write takes the next octets of the message, with LF line ends. It returns the
// first error of the file, or ErrLoop.
func (in *Intake) Write(p []byte) (int, error) {
	size := len(p)
	for len(p) > 0 && in.inHeader {
		n, err := in.headerPart(p)
		if err != nil {
			return 0, err
		}
		p = p[n:]
	}
	if len(p) > 0 {
		if _, err := in.dst.Write(p); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// Close passes on what was held. It does not close the file.
func (in *Intake) Close() error {
	held := in.held
	in.held = nil
	if len(held) == 0 {
		return nil
	}
	return in.pass(held)
}

// headerPart passes on what it can of a header and returns how much of p it
// used: all of it, or up to the empty line.
func (in *Intake) headerPart(p []byte) (used int, err error) {
	if len(in.held) > 0 {
		return in.heldLine(p)
	}
	start := 0 // of what is passed on next
	for used < len(p) {
		if in.atLine {
			kind := classify(p[used:])
			if kind != continuation && !in.drop {
				if err := in.pass(p[start:used]); err != nil {
					return 0, err
				}
			}
			if kind != continuation {
				start = used
			}
			switch kind {
			case undecided:
				in.held = append(in.held, p[used:]...)
				return len(p), nil
			case emptyLine:
				in.inHeader = false
				return used, nil
			}
			if err := in.enter(kind); err != nil {
				return 0, err
			}
		}
		used += in.skipLine(p[used:])
	}
	if in.drop {
		return used, nil
	}
	return used, in.pass(p[start:used])
}

// heldLine completes the held start of a line with p, as far as is needed to
// know its field name.
func (in *Intake) heldLine(p []byte) (used int, err error) {
	for used < len(p) && classify(in.held) == undecided {
		in.held = append(in.held, p[used])
		used++
	}
	kind := classify(in.held)
	if kind == undecided {
		return used, nil
	}
	if err := in.enter(kind); err != nil {
		return 0, err
	}
	line := in.held
	in.held = nil
	in.skipLine(line)
	if in.drop {
		return used, nil
	}
	return used, in.pass(line)
}

// enter notes that a line of the given kind starts.
func (in *Intake) enter(kind lineKind) error {
	switch kind {
	case continuation:
	case returnPath:
		in.drop = true
	case received:
		in.received++
		if in.received > in.maxReceived {
			return ErrLoop
		}
		in.drop = false
	default:
		in.drop = false
	}
	return nil
}

// skipLine returns how many octets of p belong to the line at its start.
func (in *Intake) skipLine(p []byte) int {
	if end := bytes.IndexByte(p, '\n'); end >= 0 {
		in.atLine = true
		return end + 1
	}
	in.atLine = false
	return len(p)
}

// pass writes a part of the header to the file.
func (in *Intake) pass(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	room := header.MaxBlockOctets - len(in.block)
	in.block = append(in.block, p[:max(0, min(room, len(p)))]...)
	_, err := in.dst.Write(p)
	return err
}

// lineKind is what a header line is to an Intake.
type lineKind int

const (
	undecided lineKind = iota // more octets are needed
	emptyLine
	continuation
	returnPath
	received
	other
)

// classify looks at the start of a line.
func classify(line []byte) lineKind {
	switch line[0] {
	case '\n':
		return emptyLine
	case ' ', '\t':
		return continuation
	}
	end := bytes.IndexAny(line[:min(len(line), maxNameOctets)], ":\n")
	if end < 0 {
		if len(line) < maxNameOctets {
			return undecided
		}
		return other
	}
	if line[end] == '\n' {
		return other // not a field; kept as it is
	}
	// RFC 5322 §4.5: obsolete syntax has white space before the colon.
	switch name := bytes.TrimRight(line[:end], " \t"); {
	case bytes.EqualFold(name, []byte("Return-Path")):
		return returnPath
	case bytes.EqualFold(name, []byte("Received")):
		return received
	}
	return other
}
