// Package mail is the vocabulary that every other part of the appliance
// speaks: addresses and paths, the envelope, reply statuses and the outcome of
// a delivery. It holds values only, no input or output.
//
// An [Address] is what RFC 5321 calls a Mailbox, local-part and domain. It is
// kept in one canonical form: the local-part without quotes or escapes, as the
// octets it means; the domain in lower case, as A-labels (RFC 5890), or as an
// address literal in brackets. [Address.String] quotes where the grammar asks
// for it, so an address may be parsed and printed any number of times.
package mail

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of RFC 5321 §4.5.3.1.1 to §4.5.3.1.3, in octets.
const (
	MaxLocalPartOctets = 64
	MaxDomainOctets    = 255
	MaxPathOctets      = 256 // with the angle brackets
	maxLabelOctets     = 63  // RFC 1035 §2.3.4
)

// Address is a mailbox name, local-part@domain. The zero value is no address.
type Address struct {
	Local  string // unquoted; case as it was given
	Domain string // lower case, A-labels; "[192.0.2.1]" for an address literal
}

// IsZero reports whether a is no address at all.
func (a Address) IsZero() bool { return a == Address{} }

// IsASCII reports whether a can be sent to a peer without SMTPUTF8 (RFC 6531).
func (a Address) IsASCII() bool { return isASCII(a.Local) }

// String is the address as it stands in SMTP commands and header fields, with
// the local-part quoted where RFC 5321 §4.1.2 asks for it. Without a local-part,
// as a catch-all alias has it, it is "@example.org".
func (a Address) String() string {
	if a.IsZero() {
		return ""
	}
	local := a.Local
	if local != "" && !isDotString(local) {
		local = quote(local)
	}
	if a.Domain == "" {
		return local
	}
	return local + "@" + a.Domain
}

// ParseAddress reads one RFC 5321 Mailbox. UTF-8 is accepted in both parts
// (RFC 6531 §3.3); whether the session may use it is the caller's affair.
func ParseAddress(s string) (Address, error) {
	a, rest, err := parseMailbox(s)
	if err != nil {
		return Address{}, fmt.Errorf("address %q: %w", s, err)
	}
	if rest != "" {
		return Address{}, fmt.Errorf("address %q: unexpected text after the domain", s)
	}
	if a.Domain == "" {
		return Address{}, fmt.Errorf("address %q: the part after @ is missing", s)
	}
	return a, nil
}

// ParseDomain gives the canonical form of a domain name: lower case, A-labels.
// Address literals are not domain names.
func ParseDomain(s string) (string, error) {
	d := strings.TrimSuffix(s, ".")
	if !isASCII(d) {
		a, err := idna.Lookup.ToASCII(d)
		if err != nil {
			return "", fmt.Errorf("domain %q: not an internationalised domain name", s)
		}
		d = a
	}
	d = strings.ToLower(d)
	if d == "" || len(d) > MaxDomainOctets {
		return "", fmt.Errorf("domain %q: a domain name has 1 to %d octets", s, MaxDomainOctets)
	}
	for label := range strings.SplitSeq(d, ".") {
		if !isLabel(label) {
			return "", fmt.Errorf("domain %q: %q is not a label of letters, digits and hyphens", s, label)
		}
	}
	return d, nil
}

// ReadableDomain gives a domain name in the letters that its A-labels stand for,
// where it can be read back as the same domain; else as it is.
func ReadableDomain(domain string) string {
	readable, err := idna.Display.ToUnicode(domain)
	if err != nil {
		return domain
	}
	if back, err := ParseDomain(readable); err != nil || back != domain {
		return domain
	}
	return readable
}

// Readable is String for people, who need not know A-labels.
func (a Address) Readable() string {
	a.Domain = ReadableDomain(a.Domain)
	return a.String()
}

// isLabel accepts LDH labels. QUIRK: and underscores, which real hosts have in
// their names and so in their reverse-paths.
func isLabel(l string) bool {
	if l == "" || len(l) > maxLabelOctets || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for i := range len(l) {
		c := l[i]
		if !isAlnum(c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// parseMailbox reads a Mailbox at the start of s and returns what follows it.
// A local-part alone, without "@", is returned with an empty domain.
func parseMailbox(s string) (a Address, rest string, err error) {
	a.Local, rest, err = parseLocalPart(s)
	if err != nil {
		return Address{}, "", err
	}
	if len(a.Local) > MaxLocalPartOctets {
		return Address{}, "", fmt.Errorf("the local-part is longer than %d octets", MaxLocalPartOctets)
	}
	if !strings.HasPrefix(rest, "@") {
		return a, rest, nil
	}
	a.Domain, rest, err = cutDomain(rest[1:])
	return a, rest, err
}

func parseLocalPart(s string) (local, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		return parseQuoted(s[1:])
	}
	n := 0
	for n < len(s) {
		r, size := utf8.DecodeRuneInString(s[n:])
		if r == utf8.RuneError && size <= 1 {
			return "", "", errors.New("the local-part is not UTF-8")
		}
		// QUIRK: docomo.ne.jp and others give out names with dots at the
		// ends or in a row, which the grammar wants quoted: accepted bare.
		if r < utf8.RuneSelf && !isAtext(byte(r)) && r != '.' {
			break
		}
		n += size
	}
	if n == 0 {
		return "", "", errors.New("the local-part is missing")
	}
	return s[:n], s[n:], nil
}

// parseQuoted reads a Quoted-string (RFC 5321 §4.1.2) after its opening quote.
func parseQuoted(s string) (local, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			if b.Len() == 0 {
				return "", "", errors.New("the local-part is empty")
			}
			if !utf8.ValidString(b.String()) {
				return "", "", errors.New("the local-part is not UTF-8")
			}
			return b.String(), s[i+1:], nil
		case c == '\\':
			i++
			if i == len(s) || s[i] < ' ' || s[i] > '~' {
				return "", "", errors.New("a backslash must be followed by a printable character")
			}
			b.WriteByte(s[i])
		case c < ' ' || c == 0x7f:
			return "", "", errors.New("control character in the local-part")
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("the quoted local-part is not closed")
}

// cutDomain reads a domain or an address literal at the start of s.
func cutDomain(s string) (domain, rest string, err error) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", errors.New("the address literal is not closed")
		}
		domain, err = parseLiteral(s[1:end])
		return domain, s[end+1:], err
	}
	end := strings.IndexAny(s, "> \t")
	if end < 0 {
		end = len(s)
	}
	domain, err = ParseDomain(s[:end])
	return domain, s[end:], err
}

// parseLiteral gives an address literal (RFC 5321 §4.1.3) in canonical form.
func parseLiteral(s string) (string, error) {
	text, v6 := s, false
	if len(s) > 5 && strings.EqualFold(s[:5], "IPv6:") {
		text, v6 = s[5:], true
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" || ip.Is6() != v6 {
		return "", fmt.Errorf("address literal [%s]: neither an IPv4 address nor IPv6: and an address", s)
	}
	if v6 {
		return "[IPv6:" + ip.String() + "]", nil
	}
	return "[" + ip.String() + "]", nil
}

func quote(local string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(local) {
		if local[i] == '"' || local[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(local[i])
	}
	b.WriteByte('"')
	return b.String()
}

// isDotString reports whether a local-part needs no quotes.
func isDotString(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for i := range len(atom) {
			if atom[i] < utf8.RuneSelf && !isAtext(atom[i]) {
				return false
			}
		}
	}
	return true
}

// isAtext: RFC 5322 §3.2.3, ASCII part.
func isAtext(c byte) bool {
	return isAlnum(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
