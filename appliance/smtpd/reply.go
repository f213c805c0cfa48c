package smtpd

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"

	"maild/appliance/mail"
)

// toReply turns an error into what go-smtp sends, by the one mapping there is
// (mail.StatusOf). go-smtp does not unwrap errors, and makes a permanent 554 with
// the text of any that is not its own type: so it never sees one.
func toReply(err error) error {
	if err == nil {
		return nil
	}
	return statusReply(mail.StatusOf(err))
}

func statusReply(s mail.Status) *smtp.SMTPError {
	return &smtp.SMTPError{Code: s.Code, EnhancedCode: smtp.EnhancedCode(s.Enhanced), Message: s.Text}
}

// maxReplyOctets is the longest reply line, with CRLF (RFC 5321 §4.5.3.1.5).
const maxReplyOctets = 512

// say queues one of our own replies. What it quotes of the client's input may be
// long, or UTF-8 that the client has not asked for (RFC 6531 §3.7.4.2).
func (c *conn) say(code int, enhanced, text string) {
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, fmt.Sprintf("%d %s %s", code, enhanced, text))
	c.out = append(c.out, line[:min(len(line), maxReplyOctets-2)]...)
	c.out = append(c.out, "\r\n"...)
}

// reject answers a command that makes no sense here; too many of them end the
// connection.
func (c *conn) reject(code int, enhanced, text string) {
	c.verb = ""
	c.mode = modeCommand
	c.junk++
	if c.junk >= maxJunkCommands {
		c.say(421, "4.7.0", "too many errors, closing connection")
		c.closing = true
		return
	}
	c.say(code, enhanced, text)
}

func (c *conn) rejectWith(err error) {
	s := mail.StatusOf(err)
	c.reject(s.Code, s.Enhanced.String(), s.Text)
}

// Write takes go-smtp's replies, puts them into our words, and keeps them until
// there is nothing more to read: pipelined commands are answered in one segment
// (RFC 2920 §3.2).
func (c *conn) Write(p []byte) (int, error) {
	c.replyPart = append(c.replyPart, p...)
	for {
		line, rest, found := bytes.Cut(c.replyPart, []byte("\r\n"))
		if !found {
			return len(p), nil
		}
		c.replyLine(string(line))
		c.replyPart = append(c.replyPart[:0], rest...)
	}
}

// replyLine handles one line of a reply of go-smtp's. What it learns from it is
// that go-smtp now waits for a message, or for a line of a SASL exchange.
func (c *conn) replyLine(line string) {
	if len(line) < 4 {
		return
	}
	code, more := line[:3], line[3] == '-'
	switch {
	case c.mute:
		return
	case c.verb == "" && code == "220":
		line = "220 " + c.cfg.Hostname + " " + c.kind.greeting() + " maild"
	case code == "250" && (c.verb == "EHLO" || c.verb == "LHLO"):
		if more {
			return
		}
		c.out = append(c.out, c.capabilities()...)
		return
	case code == "250" && c.verb == "HELO":
		line = "250 " + c.cfg.Hostname
	case code == "250" && c.verb == "MAIL":
		line = "250 2.1.0 sender ok"
	case code == "250" && c.verb == "RCPT":
		line = "250 2.1.5 recipient ok"
	case code == "354" && c.chunked:
		return
	case code == "354":
		c.mode = modeBody
		line = "354 end with <CR><LF>.<CR><LF>"
	case code == "334":
		c.mode = modeAuth
	case code == "235":
		line = "235 2.7.0 authenticated"
	case c.verb == "QUIT" && code == "221":
		line = "221 2.0.0 " + c.cfg.Hostname + " closing connection"
	case strings.HasPrefix(line, "454 4.7.0 Invalid base64"):
		line = "501 5.5.2 invalid base64" // RFC 4954 §4
	}
	c.out = append(c.out, line...)
	c.out = append(c.out, "\r\n"...)
}

// capabilities is the reply to EHLO: what is really done here, and now.
func (c *conn) capabilities() string {
	lines := []string{c.cfg.Hostname, "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING"}
	if n := c.cfg.MaxMessageOctets; n > 0 {
		lines = append(lines, "SIZE "+strconv.FormatInt(n, 10))
	} else {
		lines = append(lines, "SIZE")
	}
	if c.canStartTLS() {
		lines = append(lines, "STARTTLS")
	}
	if c.offersAuth() && c.sess.user == nil {
		lines = append(lines, "AUTH PLAIN LOGIN")
	}
	var b strings.Builder
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		b.WriteString("250" + sep + l + "\r\n")
	}
	return b.String()
}
