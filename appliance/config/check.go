package config

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"maild/appliance/mail"
)

// maxSocketOctets is the room for a path in sockaddr_un, less its NUL (unix(7)).
const maxSocketOctets = 107

// hostname accepts a domain name, or nothing for the machine's own.
func hostname(s string) (string, *fault) {
	if s == "" {
		return "", nil
	}
	domain, err := mail.ParseDomain(s)
	if err != nil {
		return "", faultf(`write a domain name such as "mail.example.org"`, "%v", err)
	}
	return domain, nil
}

// postmaster is the one key that holds an address.
func postmaster() kind {
	return kind{
		typ:  "text",
		form: "an address, as in \"anna@example.org\"",
		set: func(c *Config, v any) *fault {
			s, ok := v.(string)
			if !ok {
				return faultf(quoteHint(v), "%s where an address is wanted", describe(v))
			}
			if s == "" {
				c.Postmaster = mail.Address{}
				return nil
			}
			address, err := mail.ParseAddress(s)
			if err != nil {
				return faultf(`write an address such as "anna@example.org"`, "%v", err)
			}
			c.Postmaster = address
			return nil
		},
		get: func(c *Config) string { return quoteTOML(c.Postmaster.String()) },
	}
}

// login accepts what useradd(8) does, which is what the system can have.
func login(s string) (string, *fault) {
	ok := s != "" && len(s) <= 32 && s[0] != '-'
	for i := range len(s) {
		ok = ok && (isAlnum(s[i]) || strings.IndexByte("_-.", s[i]) >= 0)
	}
	if !ok {
		return "", faultf(`write a login name such as "maild"`, "%q is not a login name", s)
	}
	return s, nil
}

func absolute(s string) (string, *fault) {
	if !filepath.IsAbs(s) || strings.ContainsRune(s, 0) {
		return "", faultf("write it in full, from /", "%q is not an absolute path", s)
	}
	return filepath.Clean(s), nil
}

// absoluteOrNone accepts "" as off.
func absoluteOrNone(s string) (string, *fault) {
	if s == "" {
		return "", nil
	}
	return absolute(s)
}

func socket(s string) (string, *fault) {
	s, f := absoluteOrNone(s)
	if f == nil && len(s) > maxSocketOctets {
		return "", faultf(fmt.Sprintf("a Unix socket's path has at most %d octets", maxSocketOctets), "%q is too long", s)
	}
	return s, f
}

// listener accepts "host:port" with an IP address, localhost or no host. Other
// names are refused: they may not resolve while the machine starts.
func listener(s string) (string, *fault) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		remedy := `write ":25", "192.0.2.1:25" or "[2001:db8::1]:25"`
		if _, err := strconv.ParseUint(s, 10, 16); err == nil {
			remedy = fmt.Sprintf("write %q", ":"+s)
		} else if ip, err := netip.ParseAddr(s); err == nil {
			remedy = fmt.Sprintf("write %q", net.JoinHostPort(ip.String(), "25"))
		}
		return "", faultf(remedy, "%q is not an address and a port", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", faultf("write a number from 0 to 65535", "%q has no valid port", s)
	}
	if host == "" || host == "localhost" {
		return s, nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "", faultf("write an IP address, localhost, or nothing for every address", "%q has no valid host", s)
	}
	return net.JoinHostPort(ip.String(), port), nil
}

// separator is one character that an address may hold without quotes and that
// is no letter, digit or dot.
func separator(s string) (string, *fault) {
	if s == "" || len(s) == 1 && strings.Contains("!#$%&'*+-/=?^_`{|}~", s) {
		return s, nil
	}
	return "", faultf(`write one character such as "+", "-" or "=", or "" for none`, "%q is no separator", s)
}

// fieldName: RFC 5322 §3.6.8. The word "all" comes back in lower case.
func fieldName(s string) (string, *fault) {
	ok := s != ""
	for i := range len(s) {
		ok = ok && s[i] > ' ' && s[i] < 0x7f && s[i] != ':'
	}
	if !ok {
		return "", faultf(`write names such as "X-Spam-Status", without colon or space`, "%q is not a header field name", s)
	}
	if strings.EqualFold(s, "all") {
		return "all", nil
	}
	return s, nil
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// crossFault is a fault between keys. It stands at the last of their lines, and
// is left out when one of them is at fault by itself.
type crossFault struct {
	keys []string
	fault
}

// crossCheck finds what no single key shows.
func crossCheck(c *Config) []crossFault {
	var out []crossFault
	pair := []string{"tls.certificate", "tls.key"}
	switch {
	case c.TLS.Certificate != "" && c.TLS.Key == "":
		out = append(out, crossFault{pair, fault{"tls.certificate stands without tls.key", "name both files, or neither"}})
	case c.TLS.Certificate == "" && c.TLS.Key != "":
		out = append(out, crossFault{pair, fault{"tls.key stands without tls.certificate", "name both files, or neither"}})
	}
	if len(c.Index.Headers) > 1 && slices.Contains(c.Index.Headers, "all") {
		out = append(out, crossFault{[]string{"index.headers"},
			fault{`index.headers: "all" stands beside other names`, `write headers = "all" alone`}})
	}
	return append(out, duplicateListeners(c)...)
}

func duplicateListeners(c *Config) []crossFault {
	type place struct{ key, address string }
	var seen []place
	var out []crossFault
	add := func(key string, addresses []string) {
		for _, address := range addresses {
			i := slices.IndexFunc(seen, func(p place) bool { return overlap(p.address, address) })
			if i >= 0 {
				text := fmt.Sprintf("%s: %q is taken by %s (%q)", key, address, seen[i].key, seen[i].address)
				out = append(out, crossFault{[]string{key, seen[i].key}, fault{text, "give each listener a port of its own"}})
			}
			seen = append(seen, place{key, address})
		}
	}
	add("listen.mx", c.Listen.MX)
	add("listen.submission", c.Listen.Submission)
	add("listen.submissions", c.Listen.Submissions)
	return out
}

// overlap reports whether two listeners would want the same port. Port 0 is a
// free port each time.
func overlap(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	numberA, _ := strconv.ParseUint(portA, 10, 16)
	numberB, _ := strconv.ParseUint(portB, 10, 16)
	if numberA != numberB || numberA == 0 {
		return false
	}
	return hostA == hostB || covers(hostA, hostB) || covers(hostB, hostA)
}

// covers reports whether the wildcard host a takes what b wants.
func covers(a, b string) bool {
	if a == "" {
		return true
	}
	ipA, errA := netip.ParseAddr(a)
	ipB, errB := netip.ParseAddr(b)
	if errA != nil || errB != nil {
		return false
	}
	return ipA.IsUnspecified() && ipA.Is4() == ipB.Is4()
}
