package smtpd

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"maild/appliance/mail"
)

// Limits on what a client may make us hold or wait for.
const (
	// RFC 5321 §4.5.3.1.4 asks for 512 octets and more for each extension;
	// two paths of 256 octets and all parameters fit well within this.
	maxCommandOctets = 2048
	// RFC 4954 §4.3: a server must take lines of this length after AUTH.
	maxAuthOctets = 12288
	// How many octets past the size limit are read to find the end of a
	// message that is already refused, before the connection is cut.
	maxDrainOctets = 256 << 20
	// Commands that make no sense, before the connection is cut.
	maxJunkCommands = 20
	// RFC 4954 §4: failed attempts before the connection is cut.
	maxAuthFailures  = 3
	handshakeTimeout = 30 * time.Second

	commandBufferOctets = 1024
	bodyBufferOctets    = 64 << 10
)

// mode is what the octets of a connection are at the moment.
type mode int

const (
	modeCommand mode = iota
	modeAuth         // a line of a SASL exchange
	modeBody         // the message after DATA
	modeChunk        // octets announced by BDAT
)

// conn is the one place where go-smtp is kept from the network. It is the
// net.Conn that go-smtp reads and writes, and it
//
//   - hands on only commands it has parsed itself, in a form that go-smtp
//     cannot misread, and answers all others (command.go);
//   - keeps the message from go-smtp: the session reads it from here, and
//     go-smtp is given an empty one (receive.go);
//   - turns replies into ours and sends them together (reply.go);
//   - has a deadline for each read and each write, and once either fails
//     the connection is dead for good;
//   - does STARTTLS by itself, so that it always sees plain text.
//
// All methods are for the goroutines of one go-smtp connection, which take
// turns; only stop and kill may be called from elsewhere.
type conn struct {
	net.Conn // the network connection: addresses and, at the end, Close
	srv      *Server
	cfg      *Config // as it was when the client came
	kind     Kind
	id       string
	log      *slog.Logger
	sess     *session // nil before the first EHLO

	transport net.Conn // what is read and written: Conn, or TLS over it
	tls       *tls.ConnectionState
	shaken    bool // the TLS handshake of a TLS listener is done

	mode      mode
	in        buffer
	give      []byte // what go-smtp reads next
	chunked   bool   // a message comes by BDAT
	chunkLeft int64  // octets of its present chunk not yet read
	lastChunk bool   // which is the last
	aborted   string // the command that ended it before, "" if none
	mute      bool   // go-smtp's replies are not for the client

	replyPart []byte           // of a reply line of go-smtp's
	out       []byte           // replies not yet sent
	verb      string           // the command that is being answered
	hello     string           // argument of EHLO, "" before it
	esmtp     bool             // EHLO or LHLO, not HELO
	pending   mailCommand      // what MAIL said
	recipient mail.ForwardPath // what RCPT said
	junk      int
	authFails int
	dead      bool // nothing is read or written any more
	closing   bool // dead once the replies are sent

	closeOnce sync.Once

	mu       sync.Mutex // guards what stop shares with the connection
	stopping bool
	waiting  bool // for a command, outside a transaction
}

// Read gives go-smtp its next octets: a command, or the end of a message.
func (c *conn) Read(p []byte) (int, error) {
	for {
		if len(c.give) > 0 {
			n := copy(p, c.give)
			c.give = c.give[n:]
			return n, nil
		}
		if c.closing {
			c.flush()
			c.dead = true
		}
		if c.dead {
			return 0, io.EOF
		}
		if c.mode == modeBody { // the session has not received it
			c.receiveBody(io.Discard)
			continue
		}
		c.mute = false
		if c.aborted != "" {
			c.repeatAborted()
		} else if line, ok := c.readLine(); ok {
			c.command(line)
		}
	}
}

// readLine reads a line, with its line end. It answers a line that is too long
// itself, and returns false.
func (c *conn) readLine() (line []byte, ok bool) {
	for {
		if line, found := c.in.line(); found {
			if len(line) > c.lineLimit(line) {
				c.reject(500, "5.5.2", "line too long")
				return nil, false
			}
			return line, true
		}
		if start := c.in.b[c.in.r:c.in.w]; len(start) > c.lineLimit(start) {
			c.dropLine()
			return nil, false
		}
		if _, err := c.Fill(); err != nil {
			c.timedOut(err)
			return nil, false
		}
	}
}

// lineLimit is how long the line that starts like this may become.
func (c *conn) lineLimit(start []byte) int {
	if c.mode == modeAuth || len(start) > 4 && strings.EqualFold(string(start[:5]), "AUTH ") {
		return maxAuthOctets
	}
	return maxCommandOctets
}

// dropLine passes over a line that is too long, at most a megabyte of it.
func (c *conn) dropLine() {
	for range 1 << 20 / commandBufferOctets {
		end := c.in.indexLineEnd()
		if end >= 0 {
			c.Consume(end + 1)
			c.reject(500, "5.5.2", "line too long")
			return
		}
		c.Consume(c.in.unread())
		if _, err := c.Fill(); err != nil {
			c.timedOut(err)
			return
		}
	}
	c.say(421, "4.5.0", "line far too long, closing connection")
	c.closing = true
}

// Fill implements message.Source.
func (c *conn) Fill() ([]byte, error) {
	if c.in.fresh() {
		return c.in.look(), nil
	}
	if c.dead {
		return nil, io.ErrUnexpectedEOF
	}
	if !c.flush() || !c.awaitInput() {
		return nil, io.ErrUnexpectedEOF
	}
	if c.mode == modeCommand {
		c.in.shrink()
	}
	n, err := c.transport.Read(c.in.space())
	c.in.added(n)
	if n > 0 {
		c.endWait()
		return c.in.look(), nil
	}
	if c.endWait() {
		// Woken by stop: the client was idle.
		c.say(421, "4.3.2", c.cfg.Hostname+" is shutting down, closing connection")
		c.flush()
		c.dead = true
		return nil, io.ErrUnexpectedEOF
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, err
}

// Consume implements message.Source.
func (c *conn) Consume(n int) { c.in.consume(n) }

// awaitInput sets the deadline of the next read. It returns false, and the
// client has been told, if the server is stopping and the client idle.
func (c *conn) awaitInput() bool {
	timeout := c.cfg.CommandTimeout
	if c.mode == modeBody || c.mode == modeChunk {
		timeout = c.cfg.DataTimeout
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = c.mode == modeCommand && !c.inTransaction()
	if c.waiting && c.stopping {
		c.say(421, "4.3.2", c.cfg.Hostname+" is shutting down, closing connection")
		c.flush()
		c.dead = true
		return false
	}
	c.transport.SetReadDeadline(time.Now().Add(timeout))
	return true
}

// endWait reports whether the wait was ended by stop.
func (c *conn) endWait() (stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stopped = c.waiting && c.stopping
	c.waiting = false
	return stopped
}

// stop ends the connection with 421 if the client is idle, or else when its
// transaction has ended. Safe for concurrent use.
func (c *conn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = true
	if c.waiting {
		c.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// kill ends the connection at once. Safe for concurrent use.
func (c *conn) kill() { c.Conn.Close() }

// timedOut ends the connection after a read error, saying so where the client
// can still hear it. RFC 5321 §4.5.3.2, §3.8: 421.
func (c *conn) timedOut(err error) {
	if c.dead {
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.say(421, "4.4.2", "timeout waiting for input, closing connection")
		c.flush()
	}
	c.dead = true
}

// flush sends the replies gathered so far. It reports false, and the connection
// is dead, if that cannot be done in time.
func (c *conn) flush() bool {
	if c.dead || !c.handshake() {
		return false
	}
	if len(c.out) == 0 {
		return true
	}
	c.transport.SetWriteDeadline(time.Now().Add(c.cfg.WriteTimeout))
	_, err := c.transport.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		c.dead = true
	}
	return err == nil
}

// Close sends what is left to say and closes the connection.
func (c *conn) Close() error {
	c.closeOnce.Do(func() {
		c.flush()
		c.dead = true
		c.srv.forget(c) // before the client sees the end, and comes again
		if c.transport != c.Conn {
			c.Conn.SetDeadline(time.Now().Add(time.Second)) // for close_notify
			c.transport.Close()
		}
		c.Conn.Close()
		c.in.release()
	})
	return nil
}

// go-smtp sets no deadlines, as its timeouts are left at zero; conn does.

// SetDeadline does nothing.
func (c *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
