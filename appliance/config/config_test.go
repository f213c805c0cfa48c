package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"maild/appliance/mail"
)

func TestEmptyFileIsDefault(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "\ufeff", "# nothing\r\n", "[listen]\n"} {
		got, err := Parse("maild.toml", []byte(data))
		if err != nil {
			t.Fatalf("Parse(%q): %v", data, err)
		}
		if !reflect.DeepEqual(got, Default()) {
			t.Errorf("Parse(%q) = %+v, want the default", data, got)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse("maild.toml", []byte(`
hostname = "Mail.Müller.Example."
"data_dir" = '/srv/mail/'
user = "vmail"
postmaster = "anna@MÜLLER.example"
listen.mx = ["192.0.2.1:25", "[2001:DB8::1]:25"] # two
listen.submission = "localhost:2587"
listen.submissions = []
tls = { certificate = "/etc/ssl/a.pem", key = "/etc/ssl/a.key" }
[limits]
message_size = 1000000
recipients = 10
command_timeout = "1h30m"
data_timeout = "2d"
[delivery]
subaddress_separator = ""
[quota]
octets = "2GiB"
messages = 1000
over = "permanent"
grace = 0
warn = [95, 50, 95]
[index]
headers = "ALL"
[log]
level = "debug"
format = "json"
file = "/var/log/maild.log"
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Hostname = "mail.xn--mller-kva.example"
	want.DataDir = "/srv/mail"
	want.User = "vmail"
	want.Postmaster = mail.Address{Local: "anna", Domain: "xn--mller-kva.example"}
	want.Listen = Listen{MX: []string{"192.0.2.1:25", "[2001:db8::1]:25"}, Submission: []string{"localhost:2587"}, Submissions: []string{}}
	want.TLS = TLS{Certificate: "/etc/ssl/a.pem", Key: "/etc/ssl/a.key"}
	want.Limits.MessageSize = 1000000
	want.Limits.Recipients = 10
	want.Limits.CommandTimeout = Duration(90 * time.Minute)
	want.Limits.DataTimeout = Duration(48 * time.Hour)
	want.Delivery.SubaddressSeparator = ""
	want.Quota = Quota{Octets: 2 << 30, Messages: 1000, Over: "permanent", Warn: []int{50, 95}}
	want.Index.Headers = []string{"all"}
	want.Log = Log{File: "/var/log/maild.log", Level: "debug", Format: "json"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if cert, key := got.SelfSigned(); got.AccountsDB() != "/srv/mail/accounts.db" || got.IndexDB() != "/srv/mail/index.db" ||
		got.MailDir() != "/srv/mail/mail" || got.LockFile() != "/srv/mail/maild.lock" ||
		filepath.Dir(cert) != "/srv/mail/tls" || filepath.Dir(key) != "/srv/mail/tls" {
		t.Error("a path is not below data_dir")
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, data, want string }{
		{"misspelt", "\n\nhostnam = \"a\"\n", `f:3: unknown key "hostnam": did you mean "hostname"?`},
		{"misspelt in table", "[limits]\n# x\nrecipient = 1", `f:3: unknown key "limits.recipient": did you mean "recipients"?`},
		{"misspelt dotted", "limits.recipient = 1", `f:1: unknown key "limits.recipient": did you mean "recipients"?`},
		{"misspelt quoted", "'log'.\"levle\" = 'info'", `f:1: unknown key "log.levle": did you mean "level"?`},
		{"misspelt inline", "log = {\tlevel = 'info', fromat = 'text' }", `f:1: unknown key "log.fromat": did you mean "format"?`},
		{"after long values", "listen.mx = [\n  \":1\", # ] \"\n  ':2',\n]\nuser = \"\"\"\nmaild\\\n\"\"\"\nusr = 1",
			`f:8: unknown key "usr": did you mean "user"?`},
		{"wrong place", "message_size = 1", `f:1: unknown key "message_size": "message_size" belongs below [limits]`},
		{"wrong table", "[log]\nuser = 'a'", `f:2: unknown key "log.user": "user" belongs at the top, before the first [table]`},
		{"misspelt table", "[limit]\nrecipients = 1", `f:1: unknown table [limit]: did you mean [limits]?`},
		{"unknown table", "[smarthost]\nname = 1", `f:1: unknown table [smarthost]: remove it; the tables are listen, tls, limits, delivery, quota, index, log`},
		{"unknown", "[log]\nzzzzzzzzzzzz = 1", `f:2: unknown key "log.zzzzzzzzzzzz": remove it; the keys here are file, format, level`},
		{"key with dots in quotes", `"limits.recipients" = 1`, `f:1: unknown key "\"limits.recipients\"": did you mean "limits.recipients"?`},
		{"not a table", "log = 'debug'", `f:1: log: text where a table is wanted: write [log] on a line of its own, its keys below`},
		{"table twice", "[[log]]\nlevel = 'info'", `f:1: log: a list where a table is wanted: write [log] on a line of its own, its keys below`},
		{"integer duration", "[limits]\ndata_timeout = 30", `f:2: limits.data_timeout: 30 has no unit: write it like "30s" or "30m"`},
		{"duration without unit", "[limits]\ndata_timeout = '30'", `f:2: limits.data_timeout: "30" has no unit: write it like "30s" or "30m"`},
		{"zero duration", "index.sweep = '0s'", `f:1: index.sweep: "0s" is too short: write a duration such as "30s"`},
		{"decimal duration", "index.sweep = 1.5", `f:1: index.sweep: a decimal number where a duration is wanted: write it like "30s"`},
		{"bad size", "limits.message_size = '25M'", `f:1: limits.message_size: "25M" has no unit that is known: write it like "25MiB" or "25MB"`},
		{"negative size", "limits.message_size = -1", `f:1: limits.message_size: -1 is too small: write a size such as "50MiB"`},
		{"zero", "limits.recipients = 0", `f:1: limits.recipients: 0 is out of range: write a whole number from 1 to 2147483647`},
		{"quoted number", "limits.recipients = '9'", `f:1: limits.recipients: text where a whole number is wanted: write a number without quotes`},
		{"number for text", "user = 1", `f:1: user: a whole number where text is wanted: write it in quotes: "1"`},
		{"bad hostname", "hostname = 'a b'", `f:1: hostname: domain "a b": "a b" is not a label of letters, digits and hyphens: write a domain name such as "mail.example.org"`},
		{"bad postmaster", "postmaster = 'anna'", `f:1: postmaster: address "anna": the part after @ is missing: write an address such as "anna@example.org"`},
		{"relative", "data_dir = 'mail'", `f:1: data_dir: "mail" is not an absolute path: write it in full, from /`},
		{"empty directory", "data_dir = ''", `f:1: data_dir: "" is not an absolute path: write it in full, from /`},
		{"login", "user = 'a/b'", `f:1: user: "a/b" is not a login name: write a login name such as "maild"`},
		{"port alone", "listen.mx = '25'", `f:1: listen.mx: "25" is not an address and a port: write ":25"`},
		{"address alone", "listen.mx = '2001:db8::1'", `f:1: listen.mx: "2001:db8::1" is not an address and a port: write "[2001:db8::1]:25"`},
		{"host name", "listen.mx = 'mail.example:25'", `f:1: listen.mx: "mail.example:25" has no valid host: write an IP address, localhost, or nothing for every address`},
		{"large port", "listen.mx = ':70000'", `f:1: listen.mx: ":70000" has no valid port: write a number from 0 to 65535`},
		{"number in list", "listen.mx = [25]", `f:1: listen.mx: a whole number in a list of texts: write it in quotes: "25"`},
		{"relative socket", "listen.lmtp = 'lmtp'", `f:1: listen.lmtp: "lmtp" is not an absolute path: write it in full, from /`},
		{"separator", "delivery.subaddress_separator = '++'", `f:1: delivery.subaddress_separator: "++" is no separator: write one character such as "+", "-" or "=", or "" for none`},
		{"quota too small", "quota.octets = -1", `f:1: quota.octets: -1 is too small: write a size such as "50MiB"`},
		{"quota in messages", "quota.messages = -1", `f:1: quota.messages: -1 is out of range: write a whole number from 0 to 2147483647`},
		{"quota over", "quota.over = 'temporery'", `f:1: quota.over: unknown value "temporery": did you mean "temporary"?`},
		{"warn in text", "quota.warn = '80%'", `f:1: quota.warn: text where a list of per cent is wanted: write a list such as [80, 95]`},
		{"warn in list", "quota.warn = ['80%']", `f:1: quota.warn: text in a list of per cent: write a list such as [80, 95]`},
		{"warn too high", "quota.warn = [101]", `f:1: quota.warn: 101 per cent is out of range: write a whole number from 1 to 100`},
		{"field name", "index.headers = ['X-A:']", `f:1: index.headers: "X-A:" is not a header field name: write names such as "X-Spam-Status", without colon or space`},
		{"all and more", "index.headers = ['all', 'X-A']", `f:1: index.headers: "all" stands beside other names: write headers = "all" alone`},
		{"level", "log.level = 'Debugg'", `f:1: log.level: unknown value "Debugg": did you mean "debug"?`},
		{"level unknown", "log.level = 'verbose'", `f:1: log.level: unknown value "verbose": write one of debug, info, warn, error`},
		{"certificate without key", "[tls]\ncertificate = '/a'", `f:2: tls.certificate stands without tls.key: name both files, or neither`},
		{"key without certificate", "[tls]\nkey = '/a'", `f:2: tls.key stands without tls.certificate: name both files, or neither`},
		{"same port", "listen.mx = ':587'", `f:1: listen.submission: ":587" is taken by listen.mx (":587"): give each listener a port of its own`},
		{"wildcard", "listen.mx = [':25', '0.0.0.0:26', '127.0.0.1:26']", `f:1: listen.mx: "127.0.0.1:26" is taken by listen.mx ("0.0.0.0:26"): give each listener a port of its own`},
		{"syntax", "\nuser = maild\n", `f:2: expected value but found "maild" instead (at or after key "user"): write text in quotes, as in key = "value"`},
		{"twice", "user = 'a'\nuser = 'b'", `f:2: Key 'user' has already been defined.`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse("f", []byte(tt.data))
			if err == nil {
				t.Fatalf("accepted as %+v", c)
			}
			if err.Error() != tt.want {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
		})
	}
}

func TestNoFalseProblems(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		"listen.mx = ['127.0.0.1:25', '[::1]:25', '192.0.2.1:25']",
		"listen.mx = ':0'\nlisten.submission = ':0'",
		"listen.mx = '0.0.0.0:25'\nlisten.submission = '[::]:25'",
		"listen.lmtp = '/run/maild/lmtp'",
		"postmaster = ''\nhostname = ''",
		"index.headers = []",
	} {
		if _, err := Parse("f", []byte(data)); err != nil {
			t.Errorf("%s: %v", data, err)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Parse("f", []byte("usr = 'a'\ndata_dir = 'x'\n[limits]\nrecipients = 0\n[tls]\ncertificate = 'a'\nkey = '/b'\n"))
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("got %v", err)
	}
	var lines []int
	for _, p := range ps {
		lines = append(lines, p.Line)
	}
	if want := []int{1, 2, 4, 6}; !reflect.DeepEqual(lines, want) {
		t.Errorf("problems on lines %v, want %v:\n%v", lines, want, err)
	}
	var one Problem
	if !errors.As(err, &one) || one.Line != 1 {
		t.Errorf("the list does not unwrap to its problems: %+v", one)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.toml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	path := filepath.Join(dir, "maild.toml")
	if err := os.WriteFile(path, []byte("user = 'vmail'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil || c.User != "vmail" {
		t.Errorf("user %q, %v", c.User, err)
	}
	if err := os.WriteFile(path, []byte("usr = 'vmail'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+":1: ") {
		t.Errorf("bad file: %v", err)
	}
}

func TestReference(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile("../../packaging/maild.toml")
	if err != nil {
		t.Fatal(err)
	}
	if string(shipped) != Reference() {
		t.Error("packaging/maild.toml is not Reference(): write it anew")
	}
	got, err := Parse("maild.toml", shipped)
	if err != nil || !reflect.DeepEqual(got, Default()) {
		t.Errorf("as shipped: %+v, %v", got, err)
	}
	// With every "#" in front of a key removed, it says the same.
	var live strings.Builder
	keys := 0
	for line := range strings.Lines(Reference()) {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") && strings.Contains(rest, " = ") {
			line, keys = rest, keys+1
		}
		live.WriteString(line)
	}
	if keys != len(Keys()) {
		t.Errorf("%d keys in the reference, want %d", keys, len(Keys()))
	}
	got, err = Parse("maild.toml", []byte(live.String()))
	if err != nil || !reflect.DeepEqual(got, Default()) {
		t.Errorf("switched on: %+v, %v", got, err)
	}
}

// TestEveryFieldHasItsKey fails when a field of Config is added without a key:
// a key that is set must change the Config, and no field may be left over.
func TestEveryFieldHasItsKey(t *testing.T) {
	t.Parallel()
	fields := 0
	var walk func(reflect.Type)
	walk = func(s reflect.Type) {
		for i := range s.NumField() {
			f := s.Field(i).Type
			if f.Kind() == reflect.Struct && f != reflect.TypeFor[mail.Address]() {
				walk(f)
			} else {
				fields++
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	if fields != len(Keys()) {
		t.Errorf("%d fields, %d keys", fields, len(Keys()))
	}
	values := []any{"permanent", "7s", "/x", "a.example", "b@b.example", "[::1]:9", "=", int64(7), "warn", "json", true}
	for _, k := range keys() {
		changed := false
		for _, v := range values {
			c := defaults()
			if k.set(&c, v) == nil && !reflect.DeepEqual(c, defaults()) {
				changed = true
			}
		}
		if !changed {
			t.Errorf("%s changes nothing", k.name)
		}
		if k.doc == "" {
			t.Errorf("%s has no text", k.name)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	described := Describe()
	var names []string
	for _, k := range described {
		names = append(names, k.Name)
		if k.Type == "" || k.Doc == "" || strings.Contains(k.Name, ".") && k.Table == "" || !json.Valid([]byte(k.Default)) {
			t.Errorf("%+v lacks something, or its default is no JSON", k)
		}
		if found, err := Find(k.Name); err != nil || len(found) != 1 || found[0] != k {
			t.Errorf("Find(%s) = %v, %v", k.Name, found, err)
		}
	}
	if !slices.Equal(names, Keys()) {
		t.Errorf("described are %v", names)
	}
	if limits, err := Find("limits"); err != nil || len(limits) < 5 || limits[0].Name != "limits.message_size" {
		t.Errorf("Find(limits) = %v, %v", limits, err)
	}
	for _, name := range []string{"limits.recipient", "recipients", "recipient"} {
		if _, err := Find(name); err == nil || !strings.Contains(err.Error(), `"limits.recipients"`) {
			t.Errorf("Find(%s): %v", name, err)
		}
	}
	if _, err := Find("zzzzzzzzzzzzzz"); err == nil || !strings.Contains(err.Error(), "the keys are hostname,") {
		t.Errorf("got %v", err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	data := []byte("user = \"mail\"\nlimits.recipients = 7\n[listen]\nmx = ':2525'\n")
	c, err := Parse("f", data)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{}
	for _, s := range c.Settings(data) {
		if s.Line > 0 {
			given[s.Name] = fmt.Sprintf("%d %s", s.Line, s.Value)
		} else if s.Name != "hostname" && s.Value != s.Default {
			t.Errorf("%s is %s by default, which is %s", s.Name, s.Value, s.Default)
		}
	}
	want := map[string]string{"user": `1 "mail"`, "limits.recipients": "2 7", "listen.mx": `4 [":2525"]`}
	if !maps.Equal(given, want) {
		t.Errorf("given are %v, want %v", given, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(Reference()))
	f.Add([]byte(Default().TOML()))
	f.Add([]byte("listen.mx = [\n  ':1', # ]\n]\n[limits]\nrecipients = 0\n[[log]]\n'a' . \"b\" = {c = 1, d = [{e = 2}]}"))
	f.Add([]byte("user = \"\"\"a\\\"\"\"\"\"\nusr = '''\n'''''\n\"\\u0041\" = 1979-05-27 07:32:00\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data)
		if err != nil {
			var ps Problems
			if !errors.As(err, &ps) || len(ps) == 0 {
				t.Fatalf("not Problems: %v", err)
			}
			lines := strings.Count(string(data), "\n") + 1
			for _, p := range ps {
				if p.Line < 0 || p.Line > lines {
					t.Fatalf("line %d of %d: %v", p.Line, lines, p)
				}
			}
			return
		}
		again, err := Parse("again", []byte(c.TOML()))
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("written and read again: %+v, %v\nwas %+v", again, err, c)
		}
	})
}

// FuzzLocate holds that every key the parser finds has a line.
func FuzzLocate(f *testing.F) {
	f.Add("a.b = 1\n[c]\n\"d e\".f = {g.h = 'x', i = [1, {j = 2}]}\n[[k]]\nl = \"\"\"\n\"\"\"")
	f.Add("[ a . 'b' ]\n\"\\u00e9\\n\" = [[1,\n2], [\n]]\n''=1")
	f.Fuzz(func(t *testing.T, document string) {
		var m map[string]any
		meta, err := toml.Decode(document, &m)
		lines := locate(document)
		if err != nil || strings.Contains(document, `\`) {
			return // escapes TOML knows and Go does not keep a key from being found
		}
		for _, k := range meta.Keys() {
			if lines[k.String()] == 0 {
				t.Fatalf("no line for %s in %q: %v", k, document, lines)
			}
		}
	})
}
