package smtpd

import (
	"bytes"
	"sync"
)

// bodyBuffers are the large buffers, lent to connections while a message comes
// in, so that ten thousand idle ones cost little.
type bodyBuffers struct{ pool sync.Pool }

func (p *bodyBuffers) get() *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, bodyBufferOctets)
	return &b
}

// buffer holds input that is not consumed yet.
type buffer struct {
	b     []byte
	r, w  int // b[r:w] is unread
	shown int // octets of it that look has returned
	large *[]byte
	pool  *bodyBuffers
}

func (b *buffer) unread() int { return b.w - b.r }

// fresh reports whether there is input that look has not returned yet.
func (b *buffer) fresh() bool { return b.unread() > b.shown }

func (b *buffer) look() []byte {
	b.shown = b.unread()
	return b.b[b.r:b.w]
}

func (b *buffer) consume(n int) {
	b.r += n
	b.shown = max(0, b.shown-n)
	if b.r == b.w {
		b.r, b.w = 0, 0
	}
}

// space is where to read into; never empty. A buffer that is full of one line
// doubles: readLine bounds how far.
func (b *buffer) space() []byte {
	if b.b == nil {
		b.b = make([]byte, commandBufferOctets)
	}
	if b.w == len(b.b) && b.r > 0 {
		b.w = copy(b.b, b.b[b.r:b.w])
		b.r = 0
	}
	if b.w == len(b.b) {
		b.b = append(b.b, make([]byte, len(b.b))...)
	}
	return b.b[b.w:]
}

func (b *buffer) added(n int) { b.w += n }

// grow lends a large buffer.
func (b *buffer) grow(octets int) {
	if len(b.b) >= octets {
		return
	}
	b.large = b.pool.get()
	b.move(*b.large)
}

// shrink gives a large buffer back, unless a pipelining client has filled it
// with more than a small one takes.
func (b *buffer) shrink() {
	if b.large == nil || b.unread() > commandBufferOctets {
		return
	}
	b.move(make([]byte, commandBufferOctets))
	b.release()
}

func (b *buffer) move(to []byte) {
	b.w = copy(to, b.b[b.r:b.w])
	b.r = 0
	b.b = to
}

// release gives a large buffer back, whatever it still holds.
func (b *buffer) release() {
	if b.large == nil {
		return
	}
	if &b.b[0] == &(*b.large)[0] {
		b.b, b.r, b.w = nil, 0, 0
	}
	b.pool.pool.Put(b.large)
	b.large = nil
}

func (b *buffer) indexLineEnd() int { return bytes.IndexByte(b.b[b.r:b.w], '\n') }

// line takes a line off, with its LF. It is valid until space is next called.
func (b *buffer) line() (line []byte, found bool) {
	end := b.indexLineEnd()
	if end < 0 {
		return nil, false
	}
	line = b.b[b.r : b.r+end+1]
	b.consume(end + 1)
	b.shown = 0 // what follows may not be a command
	return line, true
}
