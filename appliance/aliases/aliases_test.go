package aliases

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"maild/appliance/mail"
)

// write puts a file into dir, under a new inode, and gives its path.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	temp, err := os.CreateTemp(dir, "new-*")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := temp.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := temp.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// shown is what a name leads to, in one line.
func shown(f *File, name string) string {
	e, ok, err := f.Lookup(name)
	switch {
	case err != nil:
		return "fault: " + err.Error()
	case !ok:
		return "none"
	}
	var list []string
	for _, t := range e.Targets {
		s := t.Address.String()
		if t.Literal {
			s = `\` + s
		}
		list = append(list, s)
	}
	for _, r := range e.Refused {
		list = append(list, "refused "+r)
	}
	return fmt.Sprintf("%d: %s", e.Line, strings.Join(list, ", "))
}

func TestLookup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	members := write(t, dir, "members", "# the board\nann, bob@example.org\r\n  \nCarl Cole <carl@example.org>\n:include:"+dir+"/more\n|run\n")
	write(t, dir, "more", "dora")
	path := write(t, dir, "aliases", strings.NewReplacer("DIR", dir).Replace(`# what the machine writes
root: ann

MAILER-DAEMON:root,
	# a remark in the middle
	bob@Example.ORG
  , carl
"two words, \"quoted\"": \ann , "b c"
"a@b": ann
board: :include:DIR/members
here : "`+"\\\\ann"+`", "dora@example.org",<emil@example.org>
pipe: "|/usr/bin/vacation ann, bob", ann
file: /var/mail/x
null: /dev/null
jörg: ann@bücher.example
`+"\r\n"+`dos: ann`+"\r\n"))
	f := Open(path, strings.ToLower, slog.New(slog.DiscardHandler))
	for name, want := range map[string]string{
		"root":                   "2: ann",
		"ROOT":                   "2: ann",
		"mailer-daemon":          "4: root, bob@example.org, carl",
		`two words, "quoted"`:    `8: \ann, "b c"`,
		"a@b":                    "9: ann",
		"board":                  "10: ann, bob@example.org, carl@example.org, dora, refused |run",
		"here":                   `11: \ann, dora@example.org, emil@example.org`,
		"pipe":                   `12: ann, refused "|/usr/bin/vacation ann, bob"`,
		"file":                   "13: refused /var/mail/x",
		"null":                   "14: refused /dev/null",
		"JÖRG":                   "15: ann@xn--bcher-kva.example",
		"dos":                    "17: ann",
		"nobody":                 "none",
		"":                       "none",
		members:                  "none",
		"|/usr/bin/vacation ann": "none",
	} {
		if got := shown(f, name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
	var lines []int
	for _, p := range f.Problems() {
		if !strings.Contains(p.Text, "is refused") {
			t.Errorf("problem: %s", p)
		}
		lines = append(lines, p.Line)
	}
	if want := []int{6, 12, 13, 14}; !slices.Equal(lines, want) {
		t.Errorf("refused in lines %v, want %v", lines, want)
	}
}

// TestProblems holds that a line that makes no sense is told by its number, and takes nothing else with it.
func TestProblems(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"no colon":                      "there is no colon",
		": ann":                         "no name before the colon",
		"a b: ann":                      "put it in quotes",
		`"open: ann`:                    "a quote is not closed",
		`"shut" ann`:                    "there is no colon",
		"x@example.org: ann":            "has a domain",
		"x:":                            "leads nowhere",
		"x: , ,":                        "leads nowhere",
		"x: a b":                        "is no address",
		"x: ann@":                       "is no address",
		"x: ann@exa mple":               "is no address",
		"x: (remark) ann":               "is no address",
		"x: :fail: gone":                "is not known here",
		"x: :include:relative":          "no absolute path",
		"x: :include:/nowhere/at/all":   "no such file",
		"x: :include:/dev/null":         "not a regular file",
		"x: |run":                       "is refused",
		"ok: bob":                       "stands in line 1 already",
		"x: \x01":                       "no name that an address could have",
		"x: \xff":                       "no name that an address could have",
		"x: " + strings.Repeat("y", 70): "no name that an address could have",
		strings.Repeat("y", 70) + ": x": "no name that an address could have",
	} {
		path := write(t, t.TempDir(), "aliases", "ok: ann\n"+line+"\nlast: ann\n")
		f := Open(path, strings.ToLower, slog.New(slog.DiscardHandler))
		problems := f.Problems()
		if len(problems) != 1 || problems[0].Line != 2 || !strings.Contains(problems[0].String(), want) || !strings.HasPrefix(problems[0].String(), path+":2: ") {
			t.Errorf("%q: problems %v, want %q", line, problems, want)
		}
		if shown(f, "ok") != "1: ann" || shown(f, "last") != "3: ann" {
			t.Errorf("%q: the rest does not work", line)
		}
	}
}

// TestFaults holds that mail is put off where it is not known who should get it.
func TestFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	ring := filepath.Join(dir, "ring")
	write(t, dir, "ring", "ann\n:include:"+ring+"\n")
	write(t, dir, "big", strings.Repeat("# much\n", maxFileOctets/7+1))
	many := make([]string, maxTargets+1)
	for i := range many {
		many[i] = fmt.Sprintf("user%d", i)
	}
	write(t, dir, "many", strings.Join(many, "\n"))
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, name := range []string{"ring", "big", "many", "fifo", "none"} {
		fmt.Fprintf(&text, "%s: bob, :include:%s/%s\n", name, dir, name)
	}
	text.WriteString("fine: ann\n")
	f := Open(write(t, dir, "aliases", text.String()), strings.ToLower, log)
	for name, want := range map[string]string{
		"ring": "include one another", "big": "more than 4194304 octets", "many": "more than 1000 addresses",
		"fifo": "not a regular file", "none": "no such file",
	} {
		if got := shown(f, name); !strings.HasPrefix(got, "fault: ") || !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if got := shown(f, "fine"); got != "6: ann" {
		t.Errorf("fine: %s", got)
	}
	for name, want := range map[string]string{"missing": "none", "fifo": "fault: aliases file: ", "": "fault: aliases file: "} {
		f := Open(filepath.Join(dir, name), strings.ToLower, log)
		if got := shown(f, "root"); !strings.HasPrefix(got, want) {
			t.Errorf("file %q: %s, want %s", name, got, want)
		}
	}
}

// TestFollowed changes the file and what it includes, and holds that each change is seen, and told once.
func TestFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out bytes.Buffer
	path := filepath.Join(dir, "aliases")
	f := Open(path, strings.ToLower, slog.New(slog.NewTextHandler(&out, nil)))
	// later is a look of a second and more later.
	later := func() string {
		f.mu.Lock()
		f.checked = time.Time{}
		f.mu.Unlock()
		return shown(f, "root")
	}
	old := func(names ...string) {
		t.Helper()
		past := time.Now().Add(-time.Hour)
		for _, n := range names {
			if err := os.Chtimes(filepath.Join(dir, n), past, past); err != nil {
				t.Fatal(err)
			}
		}
	}
	step := func(want string, logged int, words string) {
		t.Helper()
		for range 3 {
			if got := later(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		if n := strings.Count(out.String(), "\n"); n != logged || !strings.Contains(out.String(), words) {
			t.Errorf("%d lines logged, want %d with %q:\n%s", n, logged, words, out.String())
		}
		out.Reset()
	}
	step("none", 0, "")
	write(t, dir, "aliases", "root: ann\n")
	old("aliases")
	step("1: ann", 0, "")
	write(t, dir, "aliases", "root: bob\n") // the same size
	old("aliases")
	step("1: bob", 0, "")
	write(t, dir, "aliases", "\nroot: |run, bob\nwrong\n")
	step("2: bob, refused |run", 2, "line=3")
	write(t, dir, "aliases", "root: :include:"+dir+"/list")
	step("fault: aliases file: "+path+":1: :include:"+dir+"/list: open "+dir+"/list: no such file or directory", 1, "is put off")
	write(t, dir, "list", "carl")
	old("list", "aliases")
	step("1: carl", 1, "nothing is wrong with it any more")
	write(t, dir, "list", "dora")
	old("list")
	step("1: dora", 0, "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	step("none", 0, "")
	// Within the same second nothing is looked at.
	write(t, dir, "aliases", "root: emil\n")
	if got := shown(f, "root"); got != "none" {
		t.Errorf("looked again at once: %s", got)
	}
}

// FuzzRead holds that whatever the file says, names and targets are such as addresses have, nothing that is refused becomes a target, every
// line number is one of the file's, and the logical lines hold all that is no comment.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"root: ann\n", "\"a b\": \\ann, \"|x y\", /z\n\tmore\n", "a: :include:/x\n", "# c\n a: b\n", "a: <b@c>, \"d@e\"", "a:\"", "\\a: \"\\"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(bytes.ToLower(text), []byte(":include:")) {
			return // the files of this machine are no part of it
		}
		c := &contents{entries: map[string]Entry{}, fold: strings.ToLower}
		c.parse("/etc/aliases", string(text))
		total := bytes.Count(text, []byte("\n")) + 1
		for key, e := range c.entries {
			if key != strings.ToLower(e.Name) || e.Name == "" || len(e.Name) > mail.MaxLocalPartOctets || !utf8.ValidString(e.Name) || e.Line < 1 || e.Line > total {
				t.Fatalf("entry %q: %+v", key, e)
			}
			for _, target := range e.Targets {
				a := target.Address
				if a.Local == "" || len(a.Local) > mail.MaxLocalPartOctets || strings.ContainsAny(a.Local, "\x00\r\n") {
					t.Fatalf("target %+v", target)
				}
				if a.Domain == "" {
					continue
				}
				if again, err := mail.ParseAddress(a.String()); err != nil || again != a {
					t.Fatalf("target %s is read again as %s, %v", a, again, err)
				}
			}
		}
		for _, p := range c.problems {
			if p.Line < 1 || p.Line > total || strings.ContainsAny(p.Text, "\n\r\x00\x1b") {
				t.Fatalf("problem %q", p)
			}
		}
	})
}
