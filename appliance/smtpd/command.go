package smtpd

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"maild/appliance/mail"
)

// mailCommand is what MAIL said.
type mailCommand struct {
	from       mail.ReversePath
	sizeOctets int64
	eightBit   bool
	utf8       bool
}

// command answers a line from the client or passes it to go-smtp. In a SASL
// exchange the line is passed as it is.
func (c *conn) command(line []byte) {
	text, ok := strings.CutSuffix(string(line), "\r\n")
	switch {
	case !ok:
		// A lone LF must not end a line here if it does not end one in a
		// message: see message.ErrBareLineEnd.
		c.reject(500, "5.5.2", "a line ends in CRLF")
		return
	case !isText(text):
		c.reject(500, "5.5.2", "control character or invalid UTF-8 in command")
		return
	}
	if c.mode == modeAuth {
		c.mode = modeCommand
		c.give = []byte(text + "\r\n")
		return
	}
	verb, arg, _ := strings.Cut(text, " ")
	verb = strings.ToUpper(verb)
	if c.verbIsEarly(verb) {
		c.reject(503, "5.5.1", "send "+c.helloVerb()+" first")
		return
	}
	c.verb = verb
	arg = strings.TrimRight(arg, " ")
	if c.chunked && endsMessage(verb) {
		c.aborted = arg + " " // never empty
		return
	}
	c.dispatch(verb, arg)
}

// endsMessage reports the commands that give up a message between two chunks.
func endsMessage(verb string) bool {
	switch verb {
	case "RSET", "QUIT", "EHLO", "HELO", "LHLO":
		return true
	}
	return false
}

// verbIsEarly reports a command before EHLO that needs it. After STARTTLS the
// client starts anew (RFC 3207 §4.2).
func (c *conn) verbIsEarly(verb string) bool {
	switch verb {
	case "MAIL", "RCPT", "DATA", "BDAT", "AUTH", "VRFY", "STARTTLS":
		return c.hello == ""
	}
	return false
}

func (c *conn) helloVerb() string {
	if c.kind == LMTP {
		return "LHLO"
	}
	return "EHLO"
}

func (c *conn) dispatch(verb, arg string) {
	switch verb {
	case "EHLO", "HELO", "LHLO":
		c.helloCommand(verb, arg)
	case "MAIL":
		c.mailCommand(arg)
	case "RCPT":
		c.rcptCommand(arg)
	case "DATA":
		c.dataCommand(arg)
	case "BDAT":
		c.bdatCommand(arg)
	case "AUTH":
		c.authCommand(arg)
	case "STARTTLS":
		c.startTLSCommand(arg)
	case "RSET", "QUIT":
		if arg != "" {
			c.reject(501, "5.5.4", verb+" takes no argument")
			return
		}
		c.pass(verb)
	case "NOOP":
		c.say(250, "2.0.0", "ok")
	case "VRFY":
		// RFC 5321 §3.5.3: 252, for who has an address here is not told.
		c.say(252, "2.1.5", "cannot verify, but will take mail and try")
	case "HELP":
		c.say(214, "2.0.0", "see RFC 5321; this is maild")
	case "EXPN", "SEND", "SOML", "SAML", "TURN", "ETRN":
		c.reject(502, "5.5.1", verb+" is not implemented")
	default:
		c.reject(500, "5.5.2", "command not recognised")
	}
}

// pass hands go-smtp a command in the form it reads safely.
func (c *conn) pass(line string) { c.give = []byte(line + "\r\n") }

// helloCommand: RFC 5321 §4.1.1.1.
func (c *conn) helloCommand(verb, arg string) {
	switch {
	case (verb == "LHLO") != (c.kind == LMTP):
		c.reject(500, "5.5.1", "this listener wants "+c.helloVerb())
	case !isHello(arg):
		c.reject(501, "5.5.4", verb+" needs one domain name or address literal")
	default:
		c.hello, c.esmtp = arg, verb != "HELO"
		c.pass(verb + " " + arg)
	}
}

// isHello reports whether s may stand in a Received field as it is. QUIRK: not
// only domain names: desktop clients send all kinds of host names.
func isHello(s string) bool {
	if s == "" || len(s) > mail.MaxDomainOctets {
		return false
	}
	for _, r := range s {
		if r < utf8.RuneSelf && !strings.ContainsRune("-._:[]", r) && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') {
			return false
		}
	}
	return true
}

// mailCommand: RFC 5321 §4.1.1.2.
func (c *conn) mailCommand(arg string) {
	rest, ok := cutPrefixFold(arg, "FROM:")
	if !ok {
		c.reject(501, "5.5.4", "MAIL FROM:<address> expected")
		return
	}
	// QUIRK: a space after the colon, as old Outlook sends it, is let pass.
	from, rest, err := mail.ParseReversePath(strings.TrimLeft(rest, " "))
	if err != nil {
		c.reject(501, "5.1.7", "reverse-path not understood: "+cause(err))
		return
	}
	m := mailCommand{from: from}
	if err := c.mailParameters(&m, rest); err != nil {
		c.rejectWith(err)
		return
	}
	switch {
	case c.inTransaction():
		c.reject(503, "5.5.1", "a transaction is open: RSET ends it")
	case !from.IsASCII() && !m.utf8:
		c.reject(553, "5.6.7", "a non-ASCII address needs the SMTPUTF8 parameter")
	default:
		c.pending = m
		c.pass("MAIL FROM:" + from.Path())
	}
}

// mailParameters reads the parameters of MAIL that EHLO has offered.
func (c *conn) mailParameters(m *mailCommand, s string) error {
	if s != "" && s[0] != ' ' {
		return mail.Reject(501, mail.EnhancedCode{5, 5, 4}, "a space is missing after the address")
	}
	seen := map[string]bool{}
	for _, p := range strings.Fields(s) {
		name, value, _ := strings.Cut(p, "=")
		name = strings.ToUpper(name)
		bad := mail.Reject(501, mail.EnhancedCode{5, 5, 4}, "bad value of parameter "+name)
		if seen[name] {
			return mail.Reject(501, mail.EnhancedCode{5, 5, 4}, "a parameter is given twice")
		}
		seen[name] = true
		switch {
		case name == "SIZE": // RFC 1870 §3: up to 20 digits
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil && !errors.Is(err, strconv.ErrRange) || len(value) > 20 {
				return bad
			}
			m.sizeOctets = int64(min(n, math.MaxInt64))
		case name == "BODY": // RFC 6152 §2
			m.eightBit = strings.EqualFold(value, "8BITMIME")
			if !m.eightBit && !strings.EqualFold(value, "7BIT") {
				return bad
			}
		case name == "SMTPUTF8" && value == "": // RFC 6531 §3.4
			m.utf8 = true
		case name == "AUTH" && value != "" && c.offersAuth(): // RFC 4954 §5
			// Not trusted, and nobody asks for it: ignored.
		default:
			return mail.Reject(555, mail.EnhancedCode{5, 5, 4}, "parameter not recognised")
		}
	}
	return nil
}

// rcptCommand: RFC 5321 §4.1.1.3.
func (c *conn) rcptCommand(arg string) {
	rest, ok := cutPrefixFold(arg, "TO:")
	if !ok {
		c.reject(501, "5.5.4", "RCPT TO:<address> expected")
		return
	}
	to, rest, err := mail.ParseForwardPath(strings.TrimLeft(rest, " "))
	switch {
	case err != nil:
		c.reject(501, "5.1.3", "forward-path not understood: "+cause(err))
	case rest != "" && rest[0] != ' ':
		c.reject(501, "5.5.4", "a space is missing after the address")
	case strings.TrimSpace(rest) != "":
		c.reject(555, "5.5.4", "parameter not recognised")
	case !c.inTransaction():
		c.reject(503, "5.5.1", "send MAIL first")
	case c.chunked:
		c.reject(503, "5.5.1", "the message has begun: no more recipients")
	case !to.IsASCII() && !c.pending.utf8:
		c.reject(553, "5.6.7", "a non-ASCII address needs SMTPUTF8 in MAIL")
	default:
		if to.Domain == "" {
			to.Domain = c.cfg.Hostname // <postmaster>
		}
		c.recipient = to
		c.pass("RCPT TO:" + to.Path())
	}
}

// dataCommand: RFC 5321 §4.1.1.4.
func (c *conn) dataCommand(arg string) {
	switch {
	case arg != "":
		c.reject(501, "5.5.4", "DATA takes no argument")
	case !c.inTransaction():
		c.reject(503, "5.5.1", "send MAIL first")
	case c.chunked:
		c.reject(503, "5.5.1", "the message came by BDAT so far, and ends so")
	case !c.sess.hasRecipients():
		c.reject(554, "5.5.1", "no valid recipients")
	default:
		c.pass("DATA")
	}
}

// bdatCommand: RFC 3030 §2. The chunk follows the command even where the
// command is refused. go-smtp is told of a message by DATA: its own BDAT hands
// the chunks to another goroutine, which a closing connection makes panic.
func (c *conn) bdatCommand(arg string) {
	size, last, _ := strings.Cut(arg, " ")
	n, err := strconv.ParseUint(size, 10, 63)
	if err != nil || last != "" && !strings.EqualFold(last, "LAST") {
		// How many octets follow is not known, so they can't be skipped.
		c.say(501, "5.5.4", "BDAT octets [LAST] expected, closing connection")
		c.closing = true
		return
	}
	octets := int64(n)
	switch {
	case c.chunked:
		c.chunkLeft, c.lastChunk = octets, last != ""
	case !c.inTransaction():
		c.skipChunk(octets)
		c.reject(503, "5.5.1", "send MAIL first")
	case !c.sess.hasRecipients():
		c.skipChunk(octets)
		c.reject(554, "5.5.1", "no valid recipients")
	default:
		c.chunked, c.chunkLeft, c.lastChunk = true, octets, last != ""
		c.pass("DATA")
	}
}

// authCommand: RFC 4954 §4.
func (c *conn) authCommand(arg string) {
	switch {
	case !c.kind.isSubmission():
		c.reject(502, "5.5.1", "AUTH is not offered here: use the submission port")
	case c.tls == nil:
		c.reject(538, "5.7.11", "AUTH needs TLS: use STARTTLS first")
	case c.inTransaction():
		c.reject(503, "5.5.1", "AUTH is not allowed in a transaction")
	case c.sess.user != nil:
		c.reject(503, "5.5.1", "already authenticated")
	case arg == "" || strings.Count(arg, " ") > 1:
		c.reject(501, "5.5.4", "AUTH mechanism [initial-response] expected")
	default:
		c.pass("AUTH " + arg)
	}
}

// inTransaction reports whether MAIL was accepted and the message has not ended.
func (c *conn) inTransaction() bool { return c.sess != nil && c.sess.tx != nil }

// offersAuth reports whether EHLO lists AUTH.
func (c *conn) offersAuth() bool { return c.kind.isSubmission() && c.tls != nil }

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// isText reports whether a command has only characters that may be shown.
func isText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// cause is the innermost text of an error, without the input it quotes.
func cause(err error) string {
	for u := errors.Unwrap(err); u != nil; u = errors.Unwrap(err) {
		err = u
	}
	return err.Error()
}

// clientAddr is the client's IP address; invalid for a Unix socket.
func (c *conn) clientAddr() netip.Addr {
	if ap, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		return ap.Addr().Unmap()
	}
	return netip.Addr{}
}
