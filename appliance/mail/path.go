package mail

import (
	"errors"
	"fmt"
	"strings"
)

// ReversePath is where reports about a message go: the argument of MAIL. The
// zero value is the null reverse-path "<>" of bounces (RFC 5321 §4.5.5).
type ReversePath struct{ Address }

// IsNull reports whether p is "<>".
func (p ReversePath) IsNull() bool { return p.IsZero() }

// Path is p with its angle brackets.
func (p ReversePath) Path() string { return "<" + p.String() + ">" }

// ForwardPath is one recipient as the client named it: the argument of RCPT.
// Its domain is empty for "<postmaster>", which RFC 5321 §4.5.1 asks every
// host to take.
type ForwardPath struct{ Address }

// Path is p with its angle brackets.
func (p ForwardPath) Path() string { return "<" + p.String() + ">" }

// ParseReversePath reads the reverse-path at the start of s, as it follows
// "MAIL FROM:", and returns what comes after its closing bracket.
func ParseReversePath(s string) (p ReversePath, rest string, err error) {
	if rest, ok := strings.CutPrefix(s, "<>"); ok {
		return ReversePath{}, rest, nil
	}
	a, rest, err := parsePath(s)
	if err == nil && a.Domain == "" {
		err = errors.New("the part after @ is missing")
	}
	if err != nil {
		return ReversePath{}, "", fmt.Errorf("reverse-path %q: %w", s, err)
	}
	return ReversePath{a}, rest, nil
}

// ParseForwardPath reads the forward-path at the start of s, as it follows
// "RCPT TO:", and returns what comes after its closing bracket.
func ParseForwardPath(s string) (p ForwardPath, rest string, err error) {
	a, rest, err := parsePath(s)
	if err == nil && a.Domain == "" && !strings.EqualFold(a.Local, "postmaster") {
		err = errors.New("the part after @ is missing")
	}
	if err != nil {
		return ForwardPath{}, "", fmt.Errorf("forward-path %q: %w", s, err)
	}
	return ForwardPath{a}, rest, nil
}

// parsePath: Path = "<" [ A-d-l ":" ] Mailbox ">".
func parsePath(s string) (a Address, rest string, err error) {
	inner, ok := strings.CutPrefix(s, "<")
	if !ok {
		return Address{}, "", errors.New("an address stands in angle brackets")
	}
	if strings.HasPrefix(inner, "@") {
		// RFC 5321 §4.1.1.3: a source route is accepted and ignored.
		colon := strings.IndexByte(inner, ':')
		if colon < 0 {
			return Address{}, "", errors.New("the source route has no end")
		}
		inner = inner[colon+1:]
	}
	a, rest, err = parseMailbox(inner)
	if err != nil {
		return Address{}, "", err
	}
	rest, ok = strings.CutPrefix(rest, ">")
	if !ok {
		return Address{}, "", errors.New("the closing bracket is missing")
	}
	if len(a.String())+2 > MaxPathOctets {
		return Address{}, "", fmt.Errorf("the path is longer than %d octets", MaxPathOctets)
	}
	return a, rest, nil
}
