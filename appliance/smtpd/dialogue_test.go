package smtpd

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"maild/appliance/account"
	"maild/appliance/delivery"
	"maild/appliance/mail"
)

// TestDialogues plays testdata/*.smtp against a server. In these files
//
//	listen mx          connects to a listener, with its 220 still to be read
//	C: text            sends a line
//	C" "a\x00\r\n"     sends a Go string as it is
//	S: text            expects a reply line; * stands for anything
//	TLS                starts TLS on the client's side
//	EOF                expects the server to close the connection
//	mail ann 1         expects so many messages in the INBOX of ann@example.org
//	has ann text       expects text in one of them
//	app ann            makes an app password for ann@example.org; $plain(ann) is the initial response of AUTH PLAIN with it
//	suspend ann        suspends that account
//	alias a@b c@d      makes an alias; one for the whole domain is @b
//	file root: ann     writes the aliases file; \n is a line feed
//	quota ann 600 0    limits ann@example.org to so many octets and messages
//	over permanent     from the next connection on, full accounts are refused for good
//
// Empty lines and lines with # say nothing.
func TestDialogues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.smtp")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".smtp"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			must(t, err)
			p := player{t: t, b: newBench(t, nil), plain: map[string]string{}}
			for i, line := range strings.Split(string(text), "\n") {
				p.at = fmt.Sprintf("%s:%d", file, i+1)
				p.play(line)
			}
			if n := p.b.leftInTmp(); n > 0 {
				t.Errorf("%d files left in tmp/", n)
			}
		})
	}
}

// player is where in a dialogue a test is.
type player struct {
	t     *testing.T
	b     *bench
	c     *client
	at    string
	plain map[string]string // initial responses
}

func (p *player) play(line string) {
	p.t.Helper()
	word, rest, _ := strings.Cut(line, " ")
	if strings.HasPrefix(word, "#") {
		return
	}
	switch word {
	case "":
	case "listen":
		p.c = p.b.dial(map[string]Kind{"mx": MX, "submission": Submission, "submissions": Submissions, "lmtp": LMTP}[rest])
	case "C:":
		p.c.send(p.fill(rest) + "\r\n")
	case `C"`:
		raw, err := strconv.Unquote(rest)
		if err != nil {
			p.t.Fatalf("%s: %v", p.at, err)
		}
		p.c.send(raw)
	case "S:":
		if got := p.c.line(); !matches(rest, got) {
			p.t.Fatalf("%s: got %q, want %q", p.at, got, rest)
		}
	case "TLS":
		p.c.startTLS()
	case "EOF":
		if got := p.c.line(); got != "EOF" {
			p.t.Fatalf("%s: got %q, want the connection closed", p.at, got)
		}
	case "mail", "has":
		p.look(word, rest)
	case "app", "suspend", "alias", "file":
		p.prepare(word, rest)
	case "quota":
		p.limit(rest)
	case "over":
		cfg := *p.b.srv.cfg.Load()
		d := cfg.Delivery
		cfg.Delivery = &delivery.Delivery{Accounts: d.Accounts, Store: d.Store, Hostname: d.Hostname, MaxReceived: d.MaxReceived, Log: d.Log,
			Quota: delivery.Quota{Permanent: rest == "permanent"}}
		p.b.srv.Reload(cfg)
	default:
		p.t.Fatalf("%s: %q is not understood", p.at, line)
	}
}

// prepare does what an administrator does.
func (p *player) prepare(word, rest string) {
	p.t.Helper()
	ctx := p.t.Context()
	ann := mail.Address{Local: rest, Domain: "example.org"}
	switch word {
	case "app":
		password, err := p.b.accounts.AddAppPassword(ctx, ann, "phone")
		must(p.t, err)
		p.plain["$plain("+rest+")"] = base64.StdEncoding.EncodeToString([]byte("\x00" + ann.String() + "\x00" + password))
	case "suspend":
		must(p.t, p.b.accounts.Suspend(ctx, ann))
	case "alias":
		var list []mail.Address
		for _, word := range strings.Fields(rest) {
			local, domain, _ := strings.Cut(word, "@")
			list = append(list, mail.Address{Local: local, Domain: domain})
		}
		must(p.t, p.b.accounts.AddAlias(ctx, list[0], list[1:]))
	case "file":
		must(p.t, os.WriteFile(p.b.aliases, []byte(strings.ReplaceAll(rest, `\n`, "\n")+"\n"), 0o600))
	}
}

// limit gives an account limits.
func (p *player) limit(rest string) {
	p.t.Helper()
	var name string
	var octets, messages account.Limit
	_, err := fmt.Sscan(rest, &name, &octets, &messages)
	must(p.t, err)
	_, err = p.b.accounts.SetQuota(p.t.Context(), mail.Address{Local: name, Domain: "example.org"}, &octets, &messages)
	must(p.t, err)
}

// fill makes $repeat(x,3) in a line xxx.
func (p *player) fill(s string) string {
	for name, response := range p.plain {
		s = strings.ReplaceAll(s, name, response)
	}
	before, rest, ok := strings.Cut(s, "$repeat(")
	if !ok {
		return s
	}
	args, after, _ := strings.Cut(rest, ")")
	what, count, _ := strings.Cut(args, ",")
	n, err := strconv.Atoi(count)
	if err != nil {
		p.t.Fatalf("%s: %v", p.at, err)
	}
	return before + strings.Repeat(what, n) + after
}

func (p *player) look(word, rest string) {
	p.t.Helper()
	name, want, _ := strings.Cut(rest, " ")
	texts := p.b.messages(name + "@example.org")
	if word == "mail" {
		if strconv.Itoa(len(texts)) != want {
			p.t.Fatalf("%s: %d messages, want %s:\n%s", p.at, len(texts), want, strings.Join(texts, "\n---\n"))
		}
		return
	}
	want, err := strconv.Unquote(`"` + want + `"`)
	must(p.t, err)
	if !strings.Contains(strings.Join(texts, "\n"), want) {
		p.t.Fatalf("%s: %q is not in\n%s", p.at, want, strings.Join(texts, "\n---\n"))
	}
}

// matches compares with * for anything.
func matches(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for i, part := range parts[1:] {
		if i == len(parts)-2 {
			return strings.HasSuffix(s, part)
		}
		at := strings.Index(s, part)
		if at < 0 {
			return false
		}
		s = s[at+len(part):]
	}
	return s == ""
}
