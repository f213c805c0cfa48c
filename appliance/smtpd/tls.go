package smtpd

import (
	"context"
	"crypto/tls"
	"time"
)

// canStartTLS reports whether STARTTLS is offered.
func (c *conn) canStartTLS() bool {
	return c.tls == nil && c.cfg.TLS != nil && c.kind != LMTP
}

// startTLSCommand: RFC 3207 §4. A handshake that fails ends the connection: what
// follows on it is not known to be commands.
func (c *conn) startTLSCommand(arg string) {
	switch {
	case arg != "":
		c.reject(501, "5.5.4", "STARTTLS takes no argument")
		return
	case c.tls != nil:
		c.reject(503, "5.5.1", "TLS is active already")
		return
	case !c.canStartTLS():
		c.reject(502, "5.5.1", "STARTTLS is not offered here")
		return
	case c.inTransaction():
		c.reject(503, "5.5.1", "STARTTLS is not allowed in a transaction")
		return
	case c.in.unread() > 0:
		// Plain text sent ahead must not be taken for protected commands
		// (CVE-2011-0411).
		c.say(503, "5.5.1", "nothing may follow STARTTLS, closing connection")
		c.closing = true
		return
	}
	c.say(220, "2.0.0", "ready to start TLS")
	if !c.flush() {
		return
	}
	c.transport = tls.Server(c.Conn, c.cfg.TLS)
	c.shaken = false
	c.handshake()
	c.hello = "" // RFC 3207 §4.2: what was said before is forgotten
}

// tlsNames gives the cipher suite and the protocol version for the trace.
func tlsNames(s *tls.ConnectionState) (suite, version string) {
	return tls.CipherSuiteName(s.CipherSuite), tls.VersionName(s.Version)
}

// handshake does the TLS handshake that is due, if any, and reports false, and
// the connection is dead, if it fails.
func (c *conn) handshake() bool {
	t, ok := c.transport.(*tls.Conn)
	if !ok || c.shaken {
		return true
	}
	c.shaken = true
	ctx, cancel := context.WithTimeout(c.srv.ctx, handshakeTimeout)
	defer cancel()
	c.Conn.SetDeadline(time.Now().Add(handshakeTimeout))
	if err := t.HandshakeContext(ctx); err != nil {
		c.dead = true
		c.log.Debug("rejected", "status", "TLS handshake", "err", err)
		return false
	}
	state := t.ConnectionState()
	c.tls = &state
	return true
}
