package foreign

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// put makes files with a line of their own name in them, and the directories above.
func put(t testing.TB, top string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte("From "+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// seen is what a visitor was told, in lines.
type seen struct {
	t     *testing.T
	lines []string
}

func (s *seen) visitor() Visitor {
	return Visitor{
		Folder: func(f Folder) error {
			s.lines = append(s.lines, "folder "+f.Name)
			return nil
		},
		File: func(f File) error {
			file, err := f.Open()
			if err != nil {
				return err
			}
			defer file.Close()
			text, err := io.ReadAll(file)
			if err != nil || int64(len(text)) != f.Octets || len(text) > 0 && string(text) != "From "+f.Path+"\n" {
				s.t.Errorf("%s has %q, error %v", f.Path, text, err)
			}
			s.lines = append(s.lines, strings.TrimSpace(f.Folder+": "+string(f.Key)+" "+string(f.Flags)+map[bool]string{true: " new"}[f.New]))
			return nil
		},
		Skipped: func(path, _ string) { s.lines = append(s.lines, "skipped "+path) },
		Failed:  func(path string, err error) { s.lines = append(s.lines, "failed "+path) },
	}
}

func (s *seen) expect(name string, err error, want ...string) {
	s.t.Helper()
	slices.Sort(s.lines)
	slices.Sort(want)
	if err != nil || !reflect.DeepEqual(s.lines, want) {
		s.t.Errorf("%s:\n%s\nwant:\n%s\nerror %v", name, strings.Join(s.lines, "\n"), strings.Join(want, "\n"), err)
	}
	s.lines = nil
}

func TestMaildirs(t *testing.T) {
	t.Parallel()
	s := &seen{t: t}
	top := t.TempDir()
	put(t, top, "cur/1.a:2,SF", "cur/2.b", "new/3.c", "tmp/4.d", "cur/.hidden", "dovecot.index", "courierimapkeywords/:list", "subscriptions",
		".Sent/cur/5.e:2,S", ".Sent/new/", ".Sent.2026/cur/", ".Sent.2026/tmp/", ".Entw&APw-rfe/cur/6.f:2,D", ".Entw&APw-rfe/new/", ".Entwürfe2/cur/", ".Entwürfe2/tmp/",
		"fs/lists/go/cur/7.g:2,", "fs/lists/go/new/", ".notmail/x", ".half/cur/8.h", ".Sent/.Deep/cur/9.i:2,S", ".Sent/.Deep/tmp/", "cur/dir/x")
	for link, to := range map[string]string{".Link": ".Sent", ".Out": "/etc", "cur/10.j": "1.a:2,SF", "file": "subscriptions"} {
		if err := os.Symlink(to, filepath.Join(top, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(top, "new/11.k"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.expect("mixed", Maildirs(t.Context(), top, s.visitor()),
		"folder INBOX", "INBOX: 1.a FS", "INBOX: 2.b", "INBOX: 3.c  new", "skipped cur/.hidden", "skipped cur/10.j", "skipped cur/dir", "skipped new/11.k",
		"skipped .Link", "skipped .Out", "skipped courierimapkeywords",
		"folder Sent", "Sent: 5.e S", "folder Sent.2026", "folder Entwürfe", "Entwürfe: 6.f D", "folder Entwürfe2", "folder fs.lists.go", "fs.lists.go: 7.g",
		"folder Sent.Deep", "Sent.Deep: 9.i S")
	if err := os.WriteFile(filepath.Join(top, ".Sent", keywordsFile), []byte("0 NonJunk\n1 $Forwarded\n27 none\nx y\n25 last\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var keywords map[string]string
	v := s.visitor()
	v.Folder = func(f Folder) error {
		if f.Name == "Sent" {
			keywords = f.Keywords
		}
		return nil
	}
	if err := Maildirs(t.Context(), top, v); err != nil || !reflect.DeepEqual(keywords, map[string]string{"a": "NonJunk", "b": "$Forwarded", "z": "last"}) {
		t.Errorf("keywords %v, error %v", keywords, err)
	}
	s.lines = nil

	many := t.TempDir()
	put(t, many, "inbox/cur/1.a:2,S", "inbox/new/", "Sent/cur/2.b:2,S", "Sent/tmp/", "readme")
	s.expect("a directory of Maildirs", Maildirs(t.Context(), many, s.visitor()), "folder INBOX", "INBOX: 1.a S", "folder Sent", "Sent: 2.b S")

	if err := Maildirs(t.Context(), t.TempDir(), s.visitor()); !errors.Is(err, ErrNothing) {
		t.Errorf("nothing: %v", err)
	}
	deep := t.TempDir()
	put(t, deep, strings.Repeat("d/", maxDepth+2)+"cur/1.a", "cur/", "new/")
	s.expect("too deep", Maildirs(t.Context(), deep, s.visitor()), "folder INBOX", "failed "+strings.TrimSuffix(strings.Repeat("d/", maxDepth+1), "/"))
}

func TestMboxes(t *testing.T) {
	t.Parallel()
	s := &seen{t: t}
	top := t.TempDir()
	put(t, top, "Inbox", "Inbox.msf", "Inbox.sbd/Work", "Inbox.sbd/Work.sbd/Old", "Sent.mbox", "lists/go", "Apple.mbox/mbox", "Apple.mbox/table_of_contents.db", ".hidden", "Entw&APw-rfe", "filterlog.html")
	for name, text := range map[string]string{"text": "hello\n", "empty": "", "none.mbox": "", "Inbox.sbd/Nothing": "", "late": "\n\r\nFrom late\n"} {
		if err := os.WriteFile(filepath.Join(top, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("Inbox", filepath.Join(top, "link")), os.Remove(filepath.Join(top, "late"))); err != nil {
		t.Fatal(err)
	}
	s.expect("a directory", Mboxes(t.Context(), top, s.visitor()),
		"folder INBOX", "INBOX:", "folder Work", "Work:", "folder Work.Old", "Work.Old:", "folder Nothing", "Nothing:", "folder Sent", "Sent:", "folder none", "none:",
		"folder lists.go", "lists.go:", "folder Apple", "Apple:", "folder Entwürfe", "Entwürfe:", "skipped text", "skipped empty", "skipped link")
	s.expect("a file", Mboxes(t.Context(), filepath.Join(top, "Sent.mbox"), s.visitor()), "folder INBOX", "INBOX:")
	if err := Mboxes(t.Context(), t.TempDir(), s.visitor()); !errors.Is(err, ErrNothing) {
		t.Errorf("nothing: %v", err)
	}
	if err := Mboxes(t.Context(), "/dev/null", s.visitor()); err == nil || errors.Is(err, ErrNothing) {
		t.Errorf("a device: %v", err)
	}
	if err := Mboxes(t.Context(), filepath.Join(top, "nowhere"), s.visitor()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nowhere: %v", err)
	}
}

// TestStops holds that an error of the visitor, and the end of the context, end a walk.
func TestStops(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	put(t, top, "cur/1.a", "cur/2.b", "new/", "box", "box2")
	stop := errors.New("stop")
	walks := map[string]func(context.Context, string, Visitor) error{"maildirs": Maildirs, "mboxes": Mboxes}
	for name, walk := range walks {
		s := &seen{t: t}
		count := 0
		v := s.visitor()
		v.File = func(File) error { count++; return stop }
		if err := walk(t.Context(), top, v); err != stop || count != 1 {
			t.Errorf("%s: %d files, error %v", name, count, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		v.File = func(File) error { cancel(); return nil }
		if err := walk(ctx, top, v); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", name, err)
		}
		v = s.visitor()
		v.Folder = func(Folder) error { return stop }
		if err := walk(t.Context(), top, v); err != stop {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestSwapped holds that a directory which becomes a link while it is walked does not lead out of the tree.
func TestSwapped(t *testing.T) {
	t.Parallel()
	top, secret := t.TempDir(), t.TempDir()
	put(t, secret, "9.x")
	put(t, top, "cur/1.a", "new/", ".Sent/cur/2.b", ".Sent/new/")
	s := &seen{t: t}
	v := s.visitor()
	file := v.File
	v.File = func(f File) error {
		if f.Folder == "INBOX" {
			// What was .Sent/cur is the directory of somebody else now.
			sent := filepath.Join(top, ".Sent/cur")
			if err := errors.Join(os.RemoveAll(sent), os.Symlink(secret, sent)); err != nil {
				t.Fatal(err)
			}
		}
		return file(f)
	}
	s.expect("swapped", Maildirs(t.Context(), top, v), "folder INBOX", "INBOX: 1.a", "skipped .Sent/cur")
}
