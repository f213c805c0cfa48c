package smtpd

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"maild/appliance/account"
	"maild/appliance/delivery"
	"maild/appliance/mail"
	"maild/appliance/message"
)

// session is the go-smtp session of a connection, from its first EHLO on: policy
// and transactions. It takes the arguments of commands from conn, which has read
// them from the line as it came.
type session struct {
	c    *conn
	ctx  context.Context
	user *account.Account // who has authenticated; nil: nobody

	tx *transaction // nil outside of one
}

// transaction is what lies between MAIL and the end of the message.
type transaction struct {
	msg     delivery.Message
	keys    []string // go-smtp's names of the recipients
	started time.Time
}

var (
	_ smtp.LMTPSession = (*session)(nil)
	_ smtp.AuthSession = (*session)(nil)
)

func (s *session) hasRecipients() bool { return s.tx != nil && len(s.tx.keys) > 0 }

// userName is who has authenticated, for the log.
func (s *session) userName() string {
	if s.user == nil {
		return ""
	}
	return s.user.Name()
}

// Mail starts a transaction.
func (s *session) Mail(string, *smtp.MailOptions) error {
	m := s.c.pending
	if err := s.maySend(m); err != nil {
		s.logRefusal(err, "command", "MAIL", "from", m.from.Path(), "account", s.userName())
		return toReply(err)
	}
	now := time.Now()
	s.tx = &transaction{started: now, msg: delivery.Message{
		ID: newID(), Time: now, Origin: s.c.origin(m.utf8), Separate: s.c.kind == LMTP,
		Envelope: mail.Envelope{From: m.from, SizeOctets: m.sizeOctets, EightBit: m.eightBit, UTF8: m.utf8},
	}}
	return nil
}

// maySend: on submission, who has logged in may use the addresses that are the
// account's own, and the null reverse-path of an MDN (RFC 8098 §2).
func (s *session) maySend(m mailCommand) error {
	limit := s.c.cfg.MaxMessageOctets
	switch {
	case s.c.kind.isSubmission() && s.user == nil:
		return mail.Reject(530, mail.EnhancedCode{5, 7, 0}, "authentication required")
	case limit > 0 && m.sizeOctets > limit:
		return mail.Reject(552, mail.EnhancedCode{5, 3, 4}, "message too large for this server")
	case s.user == nil || m.from.IsNull():
		return nil
	}
	owns, err := s.c.cfg.Accounts.OwnsReversePath(s.ctx, *s.user, m.from.Address)
	if err == nil && !owns {
		err = mail.Reject(553, mail.EnhancedCode{5, 7, 1}, "this sender address is not yours to use")
	}
	return err
}

// Rcpt adds a recipient, whom delivery knows.
func (s *session) Rcpt(key string, _ *smtp.RcptOptions) error {
	tx, to := s.tx, s.c.recipient
	r, err := s.recipient(tx, to)
	if err != nil {
		s.logRefusal(err, "command", "RCPT", "id", tx.msg.ID, "from", tx.msg.Envelope.From.Path(), "to", to.Path())
		return toReply(err)
	}
	tx.msg.Recipients = append(tx.msg.Recipients, r)
	tx.msg.Envelope.To = append(tx.msg.Envelope.To, to)
	tx.keys = append(tx.keys, key)
	return nil
}

func (s *session) recipient(tx *transaction, to mail.ForwardPath) (delivery.Recipient, error) {
	if max := s.c.cfg.MaxRecipients; max > 0 && len(tx.keys) >= max {
		// RFC 5321 §4.5.3.1.10: 452, and the client sends the rest in a
		// transaction of its own.
		return delivery.Recipient{}, mail.Reject(452, mail.EnhancedCode{4, 5, 3}, "too many recipients")
	}
	r, err := s.c.cfg.Delivery.Recipient(s.ctx, to, s.user != nil)
	if err == nil {
		err = s.c.cfg.Delivery.Room(s.ctx, tx.msg.Envelope, r)
	}
	return r, err
}

// Data receives a message for which one reply is given: of several outcomes the
// one that makes the client try again, else the first failure.
func (s *session) Data(io.Reader) error {
	results, id := s.receive()
	for _, temporary := range []bool{true, false} {
		for _, res := range results {
			if !res.Status.IsSuccess() && res.Status.IsTemporary() == temporary {
				return statusReply(res.Status)
			}
		}
	}
	return accepted(id)
}

// LMTPData receives a message for which each recipient has a reply (RFC 2033
// §4.2).
func (s *session) LMTPData(_ io.Reader, status smtp.StatusCollector) error {
	tx := s.tx
	results, id := s.receive()
	for i, res := range results {
		if res.Status.IsSuccess() {
			status.SetStatus(tx.keys[i], accepted(id))
		} else {
			status.SetStatus(tx.keys[i], statusReply(res.Status))
		}
	}
	// go-smtp gives this to recipients without a status: there is none.
	return toReply(errors.New("no result"))
}

func accepted(id string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "accepted as " + id}
}

// receive hands the message to delivery and logs what became of it.
func (s *session) receive() ([]mail.Result, string) {
	tx := s.tx
	var octets int64
	results := s.c.cfg.Delivery.Deliver(s.ctx, tx.msg, func(dst io.Writer) (err error) {
		octets, err = s.c.receive(dst)
		return err
	})
	for _, res := range results {
		s.logResult(tx, res, octets)
	}
	return results, tx.msg.ID
}

func (s *session) logResult(tx *transaction, res mail.Result, octets int64) {
	args := []any{"id", tx.msg.ID, "from", tx.msg.Envelope.From.Path(), "to", res.Recipient.Path(), "account", strings.Join(res.Accounts, " "),
		"octets", octets, "status", res.Status.String(), "elapsed", time.Since(tx.started).Round(time.Microsecond)}
	if res.Err != nil {
		args = append(args, "err", res.Err)
	}
	switch {
	case res.Status.IsSuccess():
		s.c.log.Info(string(res.Action), args...)
	case res.Status.IsTemporary():
		s.c.log.Warn(string(res.Action), args...)
	default:
		s.c.log.Info("rejected", args...)
	}
}

// Reset ends the transaction.
func (s *session) Reset() { s.tx = nil }

// Logout does nothing: a session holds nothing but memory.
func (s *session) Logout() error { return nil }

// newID names a transaction: 60 random bits.
func newID() string { return strings.ToLower(rand.Text()[:12]) }

// logRefusal logs a command that was answered with an error: what the client was
// told, and the cause, if there is more to it.
func (s *session) logRefusal(err error, args ...any) {
	status := mail.StatusOf(err)
	args = append(args, "status", status.String())
	var e *mail.Error
	if !errors.As(err, &e) || e.Cause != nil {
		args = append(args, "err", err)
	}
	if status.IsTemporary() {
		s.c.log.Warn("delayed", args...)
		return
	}
	s.c.log.Info("rejected", args...)
}

// origin describes the client for the Received field. The protocol names are
// those of RFC 3848 and RFC 6531 §4.3.
func (c *conn) origin(utf8 bool) message.Origin {
	o := message.Origin{Hello: c.hello, Client: c.clientAddr(), Protocol: "ESMTP"}
	switch {
	case c.kind == LMTP:
		o.Protocol = "LMTP"
	case !c.esmtp:
		o.Protocol = "SMTP"
	case utf8:
		o.Protocol = "UTF8SMTP"
	}
	if c.tls != nil {
		o.Protocol += "S"
		o.TLS, o.TLSNote = tlsNames(c.tls)
	}
	if c.sess.user != nil {
		o.Protocol += "A"
	}
	return o
}
