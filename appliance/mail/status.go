package mail

import (
	"errors"
	"fmt"
	"syscall"
)

// EnhancedCode is an enhanced mail system status code (RFC 3463).
type EnhancedCode [3]int

func (c EnhancedCode) String() string { return fmt.Sprintf("%d.%d.%d", c[0], c[1], c[2]) }

// Status is what a peer is told: reply code, enhanced code, and a text made
// for it, which never holds a cause, a path or another account's name.
type Status struct {
	Code     int
	Enhanced EnhancedCode
	Text     string
}

// IsTemporary reports whether the peer is asked to try again.
func (s Status) IsTemporary() bool { return s.Code/100 == 4 }

// IsSuccess reports whether the peer was given what it asked for.
func (s Status) IsSuccess() bool { return s.Code/100 == 2 }

func (s Status) String() string { return fmt.Sprintf("%d %s %s", s.Code, s.Enhanced, s.Text) }

// Error is an error that knows what the peer shall be told. Its cause, if any,
// is for the log alone.
type Error struct {
	Status Status
	Cause  error
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Status.String()
	}
	return e.Status.String() + ": " + e.Cause.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Reject makes an error that tells the peer code, enhanced code and text.
func Reject(code int, enhanced EnhancedCode, text string) *Error {
	return &Error{Status: Status{code, enhanced, text}}
}

// StatusOf is the one place where an error becomes what a peer is told: the
// status it carries; 452 for a full disk; 451 for anything else. An error
// without a status is a local fault, and local faults are temporary.
func StatusOf(err error) Status {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Status
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return Status{452, EnhancedCode{4, 3, 1}, "insufficient system storage, try again later"}
	default:
		return Status{451, EnhancedCode{4, 3, 0}, "local error in processing, try again later"}
	}
}
