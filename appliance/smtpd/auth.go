package smtpd

import (
	"errors"
	"time"

	"github.com/emersion/go-sasl"

	"maild/appliance/account"
	"maild/appliance/mail"
)

// AuthMechanisms is not asked by go-smtp: conn writes the reply to EHLO.
func (s *session) AuthMechanisms() []string { return nil }

// Auth starts a SASL exchange. conn has seen to it that TLS is active.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(identity, username, password string) error {
			if identity != "" && identity != username {
				return toReply(mail.Reject(535, mail.EnhancedCode{5, 7, 8}, "logging in for another account is not possible"))
			}
			return s.authenticate(username, password)
		}), nil
	case sasl.Login:
		return &loginServer{authenticate: s.authenticate}, nil
	}
	return nil, toReply(mail.Reject(504, mail.EnhancedCode{5, 5, 4}, "mechanism not offered"))
}

// authenticate checks a password. What the client learns of a failure does not
// depend on whether there is such an account.
func (s *session) authenticate(name, password string) error {
	start := time.Now()
	a, err := s.c.cfg.Accounts.Authenticate(s.ctx, name, password)
	switch {
	case errors.Is(err, account.ErrBadCredentials):
		err = &mail.Error{Status: mail.Status{Code: 535, Enhanced: mail.EnhancedCode{5, 7, 8}, Text: "wrong user name or password"}}
	case errors.Is(err, account.ErrSuspended):
		err = &mail.Error{Status: mail.Status{Code: 525, Enhanced: mail.EnhancedCode{5, 7, 13}, Text: "account is suspended"}}
	case err != nil:
		err = &mail.Error{Status: mail.Status{Code: 454, Enhanced: mail.EnhancedCode{4, 7, 0}, Text: "cannot check passwords now, try again later"}, Cause: err}
	}
	if err != nil {
		s.logRefusal(err, "command", "AUTH", "account", name)
		if s.c.authFails++; s.c.authFails >= maxAuthFailures {
			s.c.closing = true
		}
		return toReply(err)
	}
	s.user = &a.Account
	log := s.c.log
	if a.AppPassword != "" {
		log = log.With("app_password", a.AppPassword)
	}
	log.Info("auth", "account", a.Name(), "status", "235 2.7.0", "elapsed", time.Since(start).Round(time.Microsecond))
	return nil
}

// loginServer is the LOGIN mechanism, which no RFC describes and old clients
// need: it asks for the name, then for the password. QUIRK: Outlook sends the
// name as initial response.
type loginServer struct {
	authenticate func(name, password string) error
	name         string
	step         int
}

// Next implements sasl.Server.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if l.step == 0 {
		l.step = 1
		if response == nil {
			return []byte("Username:"), false, nil
		}
	}
	if l.step == 1 {
		l.name, l.step = string(response), 2
		return []byte("Password:"), false, nil
	}
	return nil, true, l.authenticate(l.name, string(response))
}
