package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"maild/appliance/process"
	"maild/appliance/store"
	"maild/index"
	"maild/maildir"
)

// TestScripts runs the command lines in testdata/*.txt, each file in a data directory of its own, and holds what they write against what the
// file says:
//
//	$ mailctl user list          a command line; --root is added where there is none, <root> is filled in
//	< text                       a line of its standard input
//	text                         a line of its standard output
//	! text                       a line of its standard error
//	? 3                          its exit code, if it is not 0
//	@ deliver ACCOUNT FOLDER FLAGS TIME   a message, whose lines follow up to a single dot; FLAGS is "new", "-" or letters
//	@ terminal 80                from here on, output goes to a terminal so wide; 0 is none
//	@ daemon up                  or down: a daemon holds the lock
//	@ disk FREE SIZE FILES       octets and files that the disk has room for
//	@ write FILE TEXT            a file in the data directory is overwritten; \n in TEXT is a line feed
//	@ directory DIRECTORY        or a directory is made in its place
//	@ file FILE TIME             a file with the lines that follow up to a single dot; TIME is its own
//	@ symlink FILE TARGET        a symbolic link
//	@ fifo FILE                  a named pipe
//	@ remove FILE                one is removed; a pattern stands for all files that it matches
//	@ mode MODE FILE             its rights, in octal; . is the data directory itself
//	@ make FILE KIND             a file that is special: fifo, dir, or stale, which is old and empty
//	@ certificate HOST UNTIL     a self-signed certificate, as the daemon makes one
//	@ append FILE TEXT           a file gets a line more
//	@ empty index                an index is made that no mail has been read into yet
//	@ rewrite ACCOUNT OLD NEW    in the messages of an INBOX, one word is put in the place of another of the same length, behind the back of the index
//	# text                       a remark
//
// In what is expected, <root> is the data directory, <time>, <minute> and <stamp> are times, <key> the name of a message file, <password> and <app password> generated passwords, and <any>
// whatever is there up to a comma, a brace, or the end of the field. With UPDATE_TESTDATA set, the files are written anew instead; what they then say must be read.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &script{t: t, file: file, root: t.TempDir(), disk: diskView{50 << 30, 100 << 30, 1e6}, lines: strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")}
			s.run()
			if os.Getenv("UPDATE_TESTDATA") != "" {
				if err := os.WriteFile(file, []byte(s.written.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

type script struct {
	t       *testing.T
	file    string
	root    string
	lines   []string
	at      int // line to be read next, from 0
	width   int
	disk    diskView
	daemon  *process.Lock
	written strings.Builder
}

func (s *script) run() {
	s.t.Helper()
	for s.at < len(s.lines) {
		line := s.lines[s.at]
		s.at++
		s.written.WriteString(line + "\n")
		switch {
		case strings.HasPrefix(line, "$ mailctl"):
			s.command(line)
		case strings.HasPrefix(line, "@ "):
			s.directive(strings.Fields(line[2:]))
		case line == "", strings.HasPrefix(line, "# "):
		default:
			s.t.Fatalf("%s:%d: stray line %q", s.file, s.at, line)
		}
	}
	if s.daemon != nil {
		s.daemon.Release()
	}
}

// command runs one command line and compares.
func (s *script) command(line string) {
	s.t.Helper()
	where := fmt.Sprintf("%s:%d: %s", s.file, s.at, line)
	args := splitWords(strings.TrimPrefix(line, "$ "))
	if !slices.Contains(args, "--root") {
		args = append([]string{args[0], "--root", s.root}, args[1:]...)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "<root>", s.root)
	}
	var stdin strings.Builder
	for s.at < len(s.lines) && strings.HasPrefix(s.lines[s.at], "< ") {
		s.written.WriteString(s.lines[s.at] + "\n")
		stdin.WriteString(s.lines[s.at][2:] + "\n")
		s.at++
	}
	var want []string
	for s.at < len(s.lines) && !strings.HasPrefix(s.lines[s.at], "$ mailctl") && !strings.HasPrefix(s.lines[s.at], "@ ") && !strings.HasPrefix(s.lines[s.at], "# ") {
		want = append(want, s.lines[s.at])
		s.at++
	}
	var out, errs bytes.Buffer
	w := &world{in: strings.NewReader(stdin.String()), out: &out, errs: &errs, width: s.width, zone: time.UTC,
		now:  func() time.Time { return time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC) },
		disk: func(string) (diskView, error) { return s.disk, nil }}
	code := w.run(context.Background(), args)
	if strings.Contains(line, "--json ") || strings.HasSuffix(line, "--json") {
		if out.Len() > 0 && !json.Valid(out.Bytes()) {
			s.t.Errorf("%s\nno JSON: %s", where, out.String())
		}
	}
	got := strings.ReplaceAll(out.String(), s.root, "<root>")
	for line := range strings.Lines(strings.ReplaceAll(errs.String(), s.root, "<root>")) {
		got += "! " + line
	}
	if code != 0 {
		got += fmt.Sprintf("? %d\n", code)
	}
	got = strings.TrimRight(got, "\n")
	expected := strings.TrimRight(strings.Join(want, "\n"), "\n")
	if matches(expected, got) {
		s.written.WriteString(strings.TrimPrefix(expected+"\n", "\n") + "\n")
		return
	}
	s.written.WriteString(strings.TrimPrefix(withPlaceholders(got)+"\n", "\n") + "\n")
	if os.Getenv("UPDATE_TESTDATA") == "" {
		s.t.Errorf("%s\ngot:\n%s\n\nwant:\n%s", where, got, expected)
	}
}

// placeholders says what stands for each.
func placeholders() map[string]string {
	return map[string]string{
		"<time>":         `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z`,
		"<minute>":       `\d{4}-\d\d-\d\d \d\d:\d\d`,
		"<key>":          `\d+\.M\d+P\d+Q\d+\.[^"/:\n\t]*`,
		"<app password>": `[0-9a-z]{6}(?:-[0-9a-z]{6}){3}`,
		"<password>":     `[0-9a-z]{4}(?:-[0-9a-z]{4}){4}`,
		"<stamp>":        `\d{8}T\d{6}\.\d+Z`,
		"<any>":          `[^\n\t,}]*`,
	}
}

// withPlaceholders puts them where a text differs from run to run.
func withPlaceholders(text string) string {
	now := time.Now().UTC()
	recent := func(layout, name string) func(string) string {
		return func(s string) string {
			if t, err := time.Parse(layout, s); err != nil || now.Sub(t).Abs() > time.Hour {
				return s
			}
			return name
		}
	}
	p := placeholders()
	text = regexp.MustCompile(p["<time>"]).ReplaceAllStringFunc(text, recent(time.RFC3339, "<time>"))
	text = regexp.MustCompile(p["<minute>"]).ReplaceAllStringFunc(text, recent("2006-01-02 15:04", "<minute>"))
	text = regexp.MustCompile(p["<stamp>"]).ReplaceAllString(text, "<stamp>")
	text = regexp.MustCompile(p["<key>"]).ReplaceAllString(text, "<key>")
	text = regexp.MustCompile(p["<app password>"]).ReplaceAllString(text, "<app password>")
	return regexp.MustCompile(p["<password>"]).ReplaceAllString(text, "<password>")
}

// matches holds a text against another with placeholders.
func matches(want, got string) bool {
	pattern := regexp.QuoteMeta(want)
	for name, p := range placeholders() {
		pattern = strings.ReplaceAll(pattern, name, p)
	}
	return regexp.MustCompile(`^(?s:` + pattern + `)$`).MatchString(got)
}

// splitWords splits as a shell does, for single and double quotes.
func splitWords(line string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	open := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, open = r, true
		case quote == 0 && r == ' ':
			if open || word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
		}
	}
	if open || word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}

func (s *script) directive(words []string) {
	s.t.Helper()
	var err error
	switch words[0] {
	case "deliver":
		err = s.deliver(words[1], words[2], words[3], words[4])
	case "terminal":
		s.width, err = strconv.Atoi(words[1])
	case "disk":
		_, err = fmt.Sscan(strings.Join(words[1:], " "), &s.disk.FreeOctets, &s.disk.TotalOctets, &s.disk.FreeFiles)
	case "daemon":
		if words[1] == "up" {
			s.daemon, err = process.TakeLock(filepath.Join(s.root, "maild.lock"))
		} else {
			err = s.daemon.Release()
			s.daemon = nil
		}
	case "mode", "make", "certificate":
		err = s.spoil(words)
	case "write":
		err = os.WriteFile(filepath.Join(s.root, words[1]), []byte(strings.NewReplacer(`\n`, "\n", "<root>", s.root).Replace(strings.Join(words[2:], " "))), 0o600)
	case "append":
		err = s.append(words[1], strings.Join(words[2:], " "))
	case "empty":
		err = s.emptyIndex()
	case "file", "symlink", "fifo":
		err = s.putFile(words)
	case "rewrite":
		err = s.rewrite(words[1], words[2], words[3])
	case "directory":
		err = os.Mkdir(filepath.Join(s.root, words[1]), 0o700)
	case "remove":
		err = s.remove(words[1])
	default:
		err = fmt.Errorf("unknown directive %q", words[0])
	}
	if err != nil {
		s.t.Fatalf("%s:%d: %v", s.file, s.at, err)
	}
}

// remove removes files, of which there must be one at least.
func (s *script) remove(pattern string) error {
	files, err := filepath.Glob(filepath.Join(s.root, pattern))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no file %s", pattern)
	}
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

// emptyIndex makes an index without reading the mail into it.
func (s *script) emptyIndex() error {
	m := store.OpenMailboxes(filepath.Join(s.root, "mail"))
	defer m.Close()
	ix, err := index.Open(context.Background(), index.Options{Path: filepath.Join(s.root, "index.db"), Source: m})
	if err != nil {
		return err
	}
	return ix.Close()
}

// rewrite changes the content of messages where they are, and keeps their times.
func (s *script) rewrite(account, from, to string) error {
	if len(from) != len(to) {
		return fmt.Errorf("%q and %q are not of one length", from, to)
	}
	m := store.OpenMailboxes(filepath.Join(s.root, "mail"))
	defer m.Close()
	dir, err := m.Path(account)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "[nc][eu][wr]", "*"))
	if err != nil {
		return err
	}
	changed := 0
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !bytes.Contains(text, []byte(from)) {
			continue
		}
		changed++
		if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte(from), []byte(to)), 0o600); err != nil {
			return err
		}
		if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
			return err
		}
	}
	if changed == 0 {
		return fmt.Errorf("no message of %s has %q", account, from)
	}
	return nil
}

// deliver puts the lines that follow into a Maildir.
func (s *script) deliver(account, folder, flags, arrived string) error {
	s.t.Helper()
	var text strings.Builder
	for ; s.lines[s.at] != "."; s.at++ {
		s.written.WriteString(s.lines[s.at] + "\n")
		line, err := strconv.Unquote(`"` + strings.ReplaceAll(s.lines[s.at], `"`, `\"`) + `"`) // for \x1b and its like
		if err != nil {
			return err
		}
		text.WriteString(line + "\n")
	}
	s.written.WriteString(".\n")
	s.at++
	at, err := time.Parse(time.RFC3339Nano, arrived)
	if err != nil {
		return err
	}
	m := store.OpenMailboxes(filepath.Join(s.root, "mail"))
	defer m.Close()
	return m.Use(account, true, func(tree *maildir.Tree) error {
		if folder != maildir.Inbox {
			if err := tree.CreateFolder(folder); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
		staged, err := tree.Stage()
		if err != nil {
			return err
		}
		defer staged.Abort()
		if _, err := staged.Write([]byte(text.String())); err != nil {
			return err
		}
		if err := staged.Seal(); err != nil {
			return err
		}
		var e maildir.Entry
		switch flags {
		case "new":
			e, err = staged.CommitTo(folder, "")
		case "-":
			e, err = staged.CommitSeen(folder, "")
		default:
			e, err = staged.CommitTo(folder, maildir.ParseFlags(flags))
		}
		if err != nil {
			return err
		}
		return os.Chtimes(tree.MessagePath(e), at, at)
	})
}
