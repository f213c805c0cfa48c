package smtpd

import (
	"errors"
	"io"
	"strings"

	"maild/appliance/message"
)

// receive decodes the message that the client sends, by DATA or by BDAT, into
// dst: see message.Decode. An error that leaves the end of the message unfound
// ends the connection. go-smtp, which believes in DATA either way, is given an
// empty message.
func (c *conn) receive(dst io.Writer) (octets int64, err error) {
	if c.chunked {
		return c.receiveChunks(dst)
	}
	return c.receiveBody(dst)
}

// receiveBody decodes the message after DATA.
func (c *conn) receiveBody(dst io.Writer) (octets int64, err error) {
	c.in.grow(bodyBufferOctets)
	octets, err = message.Decode(dst, c, true, c.cfg.MaxMessageOctets, maxDrainOctets)
	c.in.shrink()
	c.endMessage(err)
	return octets, err
}

// receiveChunks decodes the message in the chunks of BDAT, of which the first is
// announced.
func (c *conn) receiveChunks(dst io.Writer) (octets int64, err error) {
	src := &chunkSource{c: c, in: buffer{pool: &c.srv.buffers}}
	src.in.grow(bodyBufferOctets)
	defer src.in.release()
	octets, err = message.Decode(dst, src, false, c.cfg.MaxMessageOctets, maxDrainOctets)
	c.chunked = false
	c.endMessage(err)
	return octets, err
}

// endMessage gives go-smtp the end of its message, or ends the connection.
func (c *conn) endMessage(err error) {
	var lost *message.SourceError
	switch {
	case errors.Is(err, errAborted):
		c.mute = true // the answer to the message; the command that ended it has its own
	case errors.As(err, &lost):
		if lost.Err == message.ErrTooBig {
			c.say(421, "4.3.2", "message far too large, closing connection")
			c.flush()
		}
		c.timedOut(lost.Err)
		return
	}
	c.mode = modeCommand
	c.give = []byte(".\r\n")
}

// errAborted is a message that RSET, QUIT or EHLO has ended between two chunks.
var errAborted = errors.New("message given up by the client")

// chunkSource is a message.Source over the chunks of BDAT. It has a buffer of its
// own, as a CR may be held back while the next command is read.
type chunkSource struct {
	c  *conn
	in buffer
}

// Fill returns io.EOF at the end of the last chunk.
func (s *chunkSource) Fill() ([]byte, error) {
	c := s.c
	for c.chunkLeft == 0 {
		if c.lastChunk {
			return s.in.look(), io.EOF
		}
		if err := c.nextChunk(); err != nil {
			return nil, err
		}
	}
	c.mode = modeChunk
	data, err := c.Fill()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // the chunk is cut short: not the end
	}
	if err != nil {
		return nil, err
	}
	room := s.in.space()
	n := copy(room[:min(int64(len(room)), c.chunkLeft)], data)
	s.in.added(n)
	c.take(n)
	if c.chunkLeft -= int64(n); c.chunkLeft == 0 {
		c.mode = modeCommand
	}
	return s.in.look(), nil
}

// Consume implements message.Source.
func (s *chunkSource) Consume(n int) { s.in.consume(n) }

// nextChunk answers a chunk and waits for the next.
func (c *conn) nextChunk() error {
	c.say(250, "2.0.0", "go on")
	c.chunkLeft = -1
	for c.chunkLeft < 0 {
		line, ok := c.readLine()
		if ok {
			c.command(line)
		}
		switch {
		case c.aborted != "":
			return errAborted
		case c.dead || c.closing:
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// skipChunk reads and drops a BDAT chunk that is refused.
func (c *conn) skipChunk(n int64) {
	c.mode = modeChunk
	defer func() { c.mode = modeCommand }()
	for n > 0 {
		data, err := c.Fill()
		if err != nil {
			c.timedOut(err)
			return
		}
		m := min(int64(len(data)), n)
		c.take(int(m))
		n -= m
	}
}

// take consumes n octets; Fill returns what is left of them again.
func (c *conn) take(n int) {
	c.in.consume(n)
	c.in.shown = 0
}

// repeatAborted runs the command that has ended a message in chunks, now that
// go-smtp is done with that.
func (c *conn) repeatAborted() {
	arg := strings.TrimRight(c.aborted, " ")
	c.aborted = ""
	c.dispatch(c.verb, arg)
}
