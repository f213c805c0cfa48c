package message

import (
	"net/netip"
	"strings"
	"time"

	"maild/appliance/mail"
)

// Origin is where a message came from, for its Received field.
type Origin struct {
	Hello    string     // argument of EHLO, already known to be harmless
	Client   netip.Addr // invalid for a Unix socket
	Protocol string     // RFC 3848: ESMTP, ESMTPS, ESMTPSA, LMTP, …
	TLS      string     // RFC 8314 §4.3: cipher suite, "" without TLS
	TLSNote  string     // protocol version, for the reader
}

// Trace is what a host writes above a message it takes (RFC 5321 §4.4).
type Trace struct {
	From   mail.ReversePath
	Origin Origin
	Host   string // this host
	ID     string // the transaction, also in the reply and the log
	Time   time.Time

	// For is the only recipient, or zero when there are several: they must
	// not learn of each other (RFC 5321 §7.2).
	For mail.ForwardPath
	// Account is the only account the message goes to, or "".
	Account string
}

// AppendTo appends the trace fields to b, with LF line ends: Return-Path, then
// X-Original-To and Delivered-To for a single account, then Received.
func (t Trace) AppendTo(b []byte) []byte {
	b = append(b, "Return-Path: "...)
	b = append(b, t.From.Path()...)
	b = append(b, '\n')
	if t.Account != "" {
		b = append(b, "X-Original-To: "...)
		b = append(b, t.For.String()...)
		b = append(b, "\nDelivered-To: "...)
		b = append(b, t.Account...)
		b = append(b, '\n')
	}
	return t.appendReceived(b)
}

// appendReceived: RFC 5321 §4.4 Time-stamp-line, with the tls clause of
// RFC 8314 §7.4.
func (t Trace) appendReceived(b []byte) []byte {
	var s strings.Builder
	s.WriteString("Received: from " + t.Origin.Hello)
	if t.Origin.Client.IsValid() {
		s.WriteString(" (" + literal(t.Origin.Client) + ")")
	} else {
		s.WriteString(" (local)")
	}
	s.WriteString("\n\tby " + t.Host + " with " + t.Origin.Protocol)
	if t.Origin.TLS != "" {
		s.WriteString(" (" + t.Origin.TLSNote + ") tls " + t.Origin.TLS)
	}
	s.WriteString("\n\tid " + t.ID)
	if !t.For.IsZero() {
		s.WriteString(" for " + t.For.Path())
	}
	s.WriteString("; ")
	b = append(b, s.String()...)
	b = t.Time.AppendFormat(b, "Mon, 2 Jan 2006 15:04:05 -0700")
	return append(b, '\n')
}

// literal writes an IP address as RFC 5321 §4.1.3 has it.
func literal(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return "[" + a.String() + "]"
	}
	return "[IPv6:" + a.String() + "]"
}
