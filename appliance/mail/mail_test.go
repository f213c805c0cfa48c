package mail

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 65)
	for _, c := range []struct{ in, local, domain, out string }{
		{"ann@example.org", "ann", "example.org", "ann@example.org"},
		{"Ann@EXAMPLE.org.", "Ann", "example.org", "Ann@example.org"},
		{`"ann lee"@example.org`, "ann lee", "example.org", `"ann lee"@example.org`},
		{`"a\"b\\c"@example.org`, `a"b\c`, "example.org", `"a\"b\\c"@example.org`},
		{`"plain"@example.org`, "plain", "example.org", "plain@example.org"},
		{`"a@b"@example.org`, "a@b", "example.org", `"a@b"@example.org`},
		{"a..b.@docomo.example", "a..b.", "docomo.example", `"a..b."@docomo.example`},
		{"ann+tag=x@example.org", "ann+tag=x", "example.org", "ann+tag=x@example.org"},
		{"ann@[192.0.2.1]", "ann", "[192.0.2.1]", "ann@[192.0.2.1]"},
		{"ann@[ipv6:2001:DB8::1]", "ann", "[IPv6:2001:db8::1]", "ann@[IPv6:2001:db8::1]"},
		{"jürgen@bücher.example", "jürgen", "xn--bcher-kva.example", "jürgen@xn--bcher-kva.example"},
		{"ann@my_host.example", "ann", "my_host.example", "ann@my_host.example"},
		{"ann", "", "", ""},
		{"@example.org", "", "", ""},
		{`""@example.org`, "", "", ""},
		{"ann@", "", "", ""},
		{"ann@b@c", "", "", ""},
		{"ann@-x.example", "", "", ""},
		{"ann@a..b", "", "", ""},
		{"ann@../../etc", "", "", ""},
		{"ann\x00@example.org", "", "", ""},
		{"ann\r\n@example.org", "", "", ""},
		{"\"a\r\nb\"@example.org", "", "", ""},
		{"ann@exa\x00mple.org", "", "", ""},
		{"\xff@example.org", "", "", ""},
		{"\"\xff\"@example.org", "", "", ""},
		{"ann@[300.0.2.1]", "", "", ""},
		{"ann@[2001:db8::1]", "", "", ""},
		{"ann@[IPv6:192.0.2.1]", "", "", ""},
		{"ann@[IPv6:fe80::1%eth0]", "", "", ""},
		{`"unclosed@example.org`, "", "", ""},
		{long + "@example.org", "", "", ""},
		{"a@" + long + ".example", "", "", ""},
		{"ann @example.org", "", "", ""},
	} {
		a, err := ParseAddress(c.in)
		if c.out == "" {
			if err == nil {
				t.Errorf("ParseAddress(%q) = %q, want an error", c.in, a)
			}
			continue
		}
		if err != nil || a.Local != c.local || a.Domain != c.domain || a.String() != c.out {
			t.Errorf("ParseAddress(%q) = %+v (%s), %v, want %q at %q", c.in, a, a, err, c.local, c.domain)
		}
	}
}

func TestParsePaths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, reverse, forward, rest string }{
		{"<>", "<>", "", ""},
		{"<> SIZE=1", "<>", "", " SIZE=1"},
		{"<ann@example.org> BODY=8BITMIME", "<ann@example.org>", "<ann@example.org>", " BODY=8BITMIME"},
		{"<@a.example,@b.example:ann@example.org>", "<ann@example.org>", "<ann@example.org>", ""},
		{"<postmaster>", "", "<postmaster>", ""},
		{"<PostMaster>", "", "<PostMaster>", ""},
		{"<ann>", "", "", ""},
		{"ann@example.org", "", "", ""},
		{"<ann@example.org", "", "", ""},
		{"<@a.example ann@example.org>", "", "", ""},
		{"<a@b>c@d>", "<a@b>", "<a@b>", "c@d>"},
		{`<"a>b"@example.org>x`, `<"a>b"@example.org>`, `<"a>b"@example.org>`, "x"},
	} {
		r, rest, err := ParseReversePath(c.in)
		if (err == nil) != (c.reverse != "") || err == nil && (r.Path() != c.reverse || rest != c.rest) {
			t.Errorf("ParseReversePath(%q) = %s, %q, %v, want %s", c.in, r.Path(), rest, err, c.reverse)
		}
		f, rest, err := ParseForwardPath(c.in)
		if (err == nil) != (c.forward != "") || err == nil && (f.Path() != c.forward || rest != c.rest) {
			t.Errorf("ParseForwardPath(%q) = %s, %q, %v, want %s", c.in, f.Path(), rest, err, c.forward)
		}
	}
}

func TestStatusOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("pipe burst"), 451},
		{fmt.Errorf("write: %w", syscall.ENOSPC), 452},
		{fmt.Errorf("write: %w", syscall.EDQUOT), 452},
		{fmt.Errorf("rcpt: %w", Reject(550, EnhancedCode{5, 1, 1}, "no such user")), 550},
		{&Error{Status: Status{Code: 554}, Cause: syscall.ENOSPC}, 554},
	} {
		if got := StatusOf(c.err); got.Code != c.want {
			t.Errorf("StatusOf(%v) = %v, want %d", c.err, got, c.want)
		}
	}
	if s := StatusOf(errors.New("/secret/path")); strings.Contains(s.Text, "secret") {
		t.Errorf("a cause reached the peer: %v", s)
	}
}

func TestReadable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"jörg@xn--bcher-kva.example":  "jörg@bücher.example",
		"jörg@BÜCHER.example":         "jörg@bücher.example",
		"a@bu\u0308cher.example":      "a@bücher.example", // decomposed
		"a@bücher。example":            "a@bücher.example", // U+3002, as a Japanese keyboard has it
		"a@xn--fiqs8s":                "a@中国",
		"a@faß.example":               "a@faß.example",
		"a@xn--fa-hia.example":        "a@faß.example",
		"a@fass.example":              "a@fass.example",
		"a@example.org":               "a@example.org",
		"a@my_host.xn--bcher-kva.org": "a@my_host.xn--bcher-kva.org", // no host name of IDNA: it stays as it is
		"a@xn--0.example":             "a@xn--0.example",             // nothing that Punycode could mean
		"a@xn--a.example":             "a@xn--a.example",
		"a@[192.0.2.1]":               "a@[192.0.2.1]",
		`"a b"@xn--bcher-kva.example`: `"a b"@bücher.example`,
	} {
		a, err := ParseAddress(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if got := a.Readable(); got != want {
			t.Errorf("%q (%s) is readable as %q, want %q", in, a, got, want)
		}
		if again, err := ParseAddress(a.Readable()); err != nil || again != a {
			t.Errorf("%q is read again as %s, %v", a.Readable(), again, err)
		}
	}
	if got := (Address{Domain: "xn--bcher-kva.example"}).Readable(); got != "@bücher.example" {
		t.Errorf("a catch-all is readable as %q", got)
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"ann@example.org", `"a\"b"@[IPv6:::1]`, "ü@bücher.example", "a..b@c", "<>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		out := a.String()
		if strings.ContainsAny(out, "\r\n\x00") || !utf8.ValidString(out) {
			t.Fatalf("%q became %q", s, out)
		}
		if b, err := ParseAddress(out); err != nil || b != a {
			t.Fatalf("%q: %q does not parse back: %+v, %v", s, out, b, err)
		}
		if b, err := ParseAddress(a.Readable()); err != nil || b != a {
			t.Fatalf("%q: for people it is %q, which is read as %+v, %v", s, a.Readable(), b, err)
		}
		if strings.ContainsAny(a.Domain, "/\\ @<>") {
			t.Fatalf("%q: domain %q", s, a.Domain)
		}
	})
}
