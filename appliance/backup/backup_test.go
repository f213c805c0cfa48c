package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"maild/appliance/account"
	"maild/appliance/config"
	"maild/appliance/mail"
	"maild/appliance/process"
	"maild/appliance/store"
	"maild/index"
	"maild/maildir"
)

const ann = "ann@example.org"

// box is a data directory with an account.
type box struct {
	t    *testing.T
	cfg  config.Config
	mail *store.Mailboxes
	n    int
}

func newBox(t *testing.T) *box {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	must(t, os.Mkdir(cfg.DataDir, 0o700))
	d, err := account.Open(t.Context(), account.Options{Path: cfg.AccountsDB(), Hostname: "box.example", Separator: "+"})
	must(t, err)
	_, err = d.AddAccount(t.Context(), mail.Address{Local: "ann", Domain: "example.org"}, "")
	must(t, errors.Join(err, d.Close()))
	b := &box{t: t, cfg: cfg, mail: store.OpenMailboxes(cfg.MailDir())}
	t.Cleanup(func() { must(t, b.mail.Close()) })
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// old is when messages arrived that were there long before any backup.
var old = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

// put puts a message into a folder, which is made.
func (b *box) put(folder string, flags maildir.Flags, text string) (e maildir.Entry) {
	b.t.Helper()
	must(b.t, b.mail.Use(ann, true, func(tree *maildir.Tree) error {
		if folder != maildir.Inbox {
			if err := tree.CreateFolder(folder); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
		// Not staged: nothing here needs to survive a power cut, and there are many.
		b.n++
		e = maildir.Entry{Folder: folder, Key: maildir.Key(fmt.Sprintf("1767323045.M%dP1.host,S=%d", b.n, len(text))), Flags: flags, New: flags == ""}
		if err := os.WriteFile(tree.MessagePath(e), []byte(text), 0o600); err != nil {
			return err
		}
		return os.Chtimes(tree.MessagePath(e), old, old)
	}))
	return e
}

// tree gives the tree of ann.
func (b *box) tree(fn func(*maildir.Tree) error) {
	b.t.Helper()
	must(b.t, b.mail.Use(ann, false, fn))
}

func (b *box) options(dest string) Options {
	b.t.Helper()
	dest, err := MakePlace(dest, b.cfg.DataDir)
	must(b.t, err)
	return Options{Data: b.cfg, Dest: dest, Version: "test", Host: "host",
		Unreadable: func(path string, err error) { b.t.Errorf("unreadable: %s: %v", path, err) },
		Note:       func(format string, args ...any) { b.t.Logf(format, args...) }}
}

// make makes a backup beside the data.
func (b *box) make(name string, change func(*Options)) (string, Manifest) {
	b.t.Helper()
	o := b.options(filepath.Join(b.cfg.DataDir+".backups", name))
	if change != nil {
		change(&o)
	}
	m, err := Make(b.t.Context(), o)
	must(b.t, err)
	b.verified(o.Dest)
	return o.Dest, m
}

// verified holds that a backup is what it says, and its index what its mail is.
func (b *box) verified(dest string) {
	b.t.Helper()
	for _, p := range problems(b.t, dest) {
		b.t.Errorf("%s: %+v", dest, p)
	}
	m := store.OpenMailboxes(filepath.Join(dest, "mail"))
	defer m.Close()
	ix, err := index.Open(b.t.Context(), index.Options{Path: filepath.Join(dest, "index.db"), Source: m, ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	must(b.t, err)
	defer ix.Close()
	if r, err := ix.Verify(b.t.Context(), index.VerifyOptions{}); err != nil || r.Differences > 0 {
		b.t.Errorf("index of %s: %+v, %v", dest, r, err)
	}
	if left, err := filepath.Glob(filepath.Join(dest, "mail", "*", "*", "tmp", "*")); err != nil || len(left) > 0 {
		b.t.Errorf("left in tmp: %v, %v", left, err)
	}
}

func problems(t testing.TB, dest string) (list []Problem) {
	t.Helper()
	_, _, err := Verify(t.Context(), dest, VerifyOptions{Found: func(p Problem) error { list = append(list, p); return nil }})
	must(t, err)
	return list
}

// in gives where each key is in a data directory, as "folder/flags"; twice in one folder is a failure.
func in(t testing.TB, dir string) map[maildir.Key][]string {
	t.Helper()
	m := store.OpenMailboxes(filepath.Join(dir, "mail"))
	defer m.Close()
	got := map[maildir.Key][]string{}
	_, _, err := eachFile(t.Context(), m, func(_ *maildir.Tree, _ string, e maildir.Entry) error {
		for _, place := range got[e.Key] {
			if strings.HasPrefix(place, e.Folder+"/") {
				t.Errorf("%s is twice in %s", e.Key, e.Folder)
			}
		}
		got[e.Key] = append(got[e.Key], e.Folder+"/"+string(e.Flags))
		return nil
	})
	must(t, err)
	return got
}

func (b *box) index() {
	b.t.Helper()
	ix, err := index.Open(b.t.Context(), index.Options{Path: b.cfg.IndexDB(), Source: b.mail})
	must(b.t, err)
	_, err = ix.Reconcile(b.t.Context(), index.ReconcileOptions{})
	must(b.t, errors.Join(err, ix.Close()))
}

// A backup has everything, and what other programs keep beside the mail.
func TestMake(t *testing.T) {
	t.Parallel()
	for _, copies := range []bool{false, true} {
		t.Run(fmt.Sprintf("copies=%v", copies), func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			e := b.put(maildir.Inbox, "", "Subject: a\n\nhello\n")
			b.put("Archive.2026", "FS", "Subject: b\n\nhello\n")
			b.index()
			var odd string
			b.tree(func(tree *maildir.Tree) error {
				// A name as nobody here would spell it.
				odd = filepath.Join(tree.Path(), "cur", "odd:2,SF")
				return errors.Join(os.WriteFile(odd, []byte("Subject: c\n\n"), 0o600),
					os.WriteFile(filepath.Join(tree.Path(), "dovecot-keywords"), []byte("0 work\n"), 0o600),
					os.WriteFile(filepath.Join(tree.Path(), "dovecot.index.log"), []byte("x"), 0o600))
			})
			dest, m := b.make("one", func(o *Options) { o.Copy, o.Config, o.ConfigPath = copies, []byte("# mine\n"), "/etc/maild.toml" })
			if m.Messages != 3 || m.Accounts != 1 || m.Folders != 2 || m.Unreadable != 0 || !m.Index || m.Config != "/etc/maild.toml" {
				t.Errorf("%+v", m)
			}
			if m.LinkedMessages != map[bool]int64{false: 3, true: 0}[copies] || m.CopiedMessages != 3-m.LinkedMessages {
				t.Errorf("%+v", m)
			}
			got := in(t, dest)
			if len(got) != 3 || got["odd"][0] != "INBOX/FS" || got[e.Key][0] != "INBOX/" {
				t.Errorf("%v", got)
			}
			user := filepath.Join(dest, "mail", "example.org", "ann")
			live, err := os.Stat(odd)
			must(t, err)
			kept, err := os.Stat(filepath.Join(user, "cur", "odd:2,FS"))
			if err != nil || os.SameFile(live, kept) == copies || !kept.ModTime().Equal(live.ModTime()) {
				t.Errorf("%v, %v", kept, err)
			}
			if text, err := os.ReadFile(filepath.Join(user, "dovecot-keywords")); err != nil || string(text) != "0 work\n" {
				t.Errorf("%q, %v", text, err)
			}
			if _, err := os.Lstat(filepath.Join(user, "dovecot.index.log")); err == nil {
				t.Error("a cache was copied")
			}
			if text, err := os.ReadFile(filepath.Join(dest, configName)); err != nil || string(text) != "# mine\n" {
				t.Errorf("%q, %v", text, err)
			}
			if _, err := Make(t.Context(), b.options(dest)); !errors.Is(err, ErrExists) {
				t.Errorf("over a complete one: %v", err)
			}
		})
	}
}

// A message to several accounts is one file in a backup of copies, too.
func TestCopiesOfOne(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	e := b.put(maildir.Inbox, "S", "Subject: to all\n\n")
	must(t, b.mail.Use("bob@example.org", true, func(bob *maildir.Tree) error {
		return b.mail.Use(ann, false, func(tree *maildir.Tree) error { return os.Link(tree.MessagePath(e), bob.MessagePath(e)) })
	}))
	dest, m := b.make("one", func(o *Options) { o.Copy = true })
	name := filepath.Join("mail/example.org/%s/cur", e.FileName())
	var infos []fs.FileInfo
	for _, path := range []string{filepath.Join(dest, fmt.Sprintf(name, "ann")), filepath.Join(dest, fmt.Sprintf(name, "bob")), filepath.Join(b.cfg.DataDir, fmt.Sprintf(name, "ann"))} {
		info, err := os.Stat(path)
		must(t, err)
		infos = append(infos, info)
	}
	if !os.SameFile(infos[0], infos[1]) || os.SameFile(infos[0], infos[2]) || m.CopiedMessages != 2 || m.CopiedOctets != infos[0].Size() {
		t.Errorf("%+v", m)
	}
}

// Places where no backup can go are refused, and nothing is left there.
func TestPlaces(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	dir := t.TempDir()
	must(t, errors.Join(os.Symlink(b.cfg.DataDir, filepath.Join(dir, "link")), os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)))
	for _, place := range []string{b.cfg.DataDir, filepath.Join(b.cfg.DataDir, "x"), filepath.Join(b.cfg.DataDir, "mail", "x", "y"), filepath.Join(dir, "link", "x")} {
		if _, err := MakePlace(place, b.cfg.DataDir); !errors.Is(err, ErrInside) {
			t.Errorf("%s: %v", place, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(b.cfg.DataDir, "x")); err == nil {
		t.Error("a refused place was made")
	}
	if _, err := Make(t.Context(), b.options(dir)); !errors.Is(err, ErrExists) {
		t.Errorf("a directory with other things: %v", err)
	}
	// Of two at once, one is told.
	o := b.options(filepath.Join(dir, "twice"))
	lock, err := process.TakeLock(partialPath(o.Dest))
	must(t, err)
	if _, err := Make(t.Context(), o); !errors.Is(err, process.ErrLocked) {
		t.Errorf("while another runs: %v", err)
	}
	if l, err := List(dir); err != nil || len(l) != 1 || !l[0].Running || l[0].Complete {
		t.Errorf("list: %+v, %v", l, err)
	}
	must(t, lock.Release())
	if _, err := Open(o.Dest); !errors.Is(err, ErrIncomplete) {
		t.Errorf("an incomplete one: %v", err)
	}
	if _, err := Make(t.Context(), o); err != nil {
		t.Error(err)
	}
}

// Messages that are moved and flagged between the passes are in the backup, under one name in each folder.
func TestMovesBetweenPasses(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for _, folder := range []string{"Archive", "Zoo"} { // one is read before INBOX's turn is over, one after
		b.put(folder, "S", "Subject: there\n\n")
	}
	var list []maildir.Entry
	for i := range 30 {
		list = append(list, b.put("Mid", "S", fmt.Sprintf("Subject: %d\n\n", i)))
	}
	var later maildir.Entry
	dest, _ := b.make("one", func(o *Options) {
		o.afterPass = func(pass int) {
			if pass != 1 {
				return
			}
			for i, e := range list {
				b.tree(func(tree *maildir.Tree) (err error) {
					switch i % 3 {
					case 0:
						_, err = tree.Move("Mid", e.Key, "Archive")
					case 1:
						_, err = tree.ChangeFlags("Mid", e.Key, "F", "S")
					}
					return err
				})
			}
			later = b.put(maildir.Inbox, "", "Subject: later\n\n")
		}
	})
	got := in(t, dest)
	for i, e := range list {
		want := []string{"Archive/S", "Mid/F", "Mid/S"}[i%3]
		if places := got[e.Key]; len(places) == 0 || !strings.Contains(strings.Join(places, " "), want) {
			t.Errorf("message %d: %v, want %s", i, places, want)
		}
	}
	if len(got[later.Key]) != 1 {
		t.Errorf("what was delivered before the last pass: %v", got[later.Key])
	}
}

// However messages are moved and flagged while a backup runs, each is in it.
func TestMovesMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	folders := []string{maildir.Inbox, "Archive", "Sent"}
	var list []maildir.Entry
	for i := range 600 {
		list = append(list, b.put(folders[i%3], "S", fmt.Sprintf("Subject: %d\n\n", i)))
	}
	b.index()
	var stop atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	for worker := range 2 {
		wg.Go(func() {
			other := store.OpenMailboxes(b.cfg.MailDir())
			defer other.Close()
			for n := worker; !stop.Load(); n += 2 {
				i := n % len(list)
				e := &list[i]
				err := other.Use(ann, false, func(tree *maildir.Tree) error {
					to := folders[(n/len(list)+i)%3]
					if _, err := tree.Move(e.Folder, e.Key, to); err != nil {
						return err
					}
					e.Folder = to
					_, err := tree.ChangeFlags(to, e.Key, []maildir.Flags{"F", "R", ""}[n%3], "FR")
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, name := range []string{"one", "two", "three"} {
		dest, _ := b.make(name, func(o *Options) { o.Copy = name == "two" })
		got := in(t, dest)
		for i := range list {
			if len(got[list[i].Key]) == 0 {
				t.Errorf("backup %s has no message %d", name, i)
			}
		}
	}
}

// A backup that was interrupted is gone on with, and has nothing of what was then and is not now.
func TestGoOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ first, second bool }{{false, false}, {true, true}, {false, true}} {
		t.Run(fmt.Sprintf("copies=%v,%v", c.first, c.second), func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			var list []maildir.Entry
			for i := range 3 * showEvery {
				list = append(list, b.put([]string{maildir.Inbox, "Old"}[i%2], "S", fmt.Sprintf("Subject: %d\n\n", i)))
			}
			ctx, cancel := context.WithCancel(t.Context())
			o := b.options(filepath.Join(t.TempDir(), "one"))
			o.Copy = c.first
			o.Progress = func(index.Progress) { cancel() }
			if _, err := Make(ctx, o); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if len(in(t, o.Dest)) == 0 && !c.first {
				t.Error("the interrupted backup has nothing yet: it is no test")
			}
			must(t, os.WriteFile(filepath.Join(o.Dest, "mail", "example.org", "ann", "tmp", "copy.1.1"), []byte("half"), 0o600))
			b.tree(func(tree *maildir.Tree) error {
				_, err := tree.ChangeFlags(maildir.Inbox, list[0].Key, "F", "S")
				return errors.Join(err, tree.RemoveMessage(list[2]), tree.RenameFolder("Old", "Older"))
			})
			o.Progress, o.Copy = nil, c.second
			m, err := Make(t.Context(), o)
			must(t, err)
			b.verified(o.Dest)
			got := in(t, o.Dest)
			if int64(len(got)) != m.Messages || len(got) != len(list)-1 || len(got[list[2].Key]) != 0 || got[list[0].Key][0] != "INBOX/F" || got[list[1].Key][0] != "Older/S" {
				t.Errorf("%d messages, %v", len(got), m)
			}
			links, err := filepath.Glob(filepath.Join(o.Dest, "mail/example.org/ann/cur/*"))
			must(t, err)
			for _, path := range links {
				kept, err1 := os.Stat(path)
				live, err2 := os.Stat(filepath.Join(b.cfg.DataDir, "mail/example.org/ann/cur", filepath.Base(path)))
				if must(t, errors.Join(err1, err2)); os.SameFile(kept, live) == c.second {
					t.Fatalf("%s: a link is %v", path, !c.second)
				}
			}
		})
	}
}

// Of an earlier backup, what has not changed is linked, whatever its flags and folder are now.
func TestPrevious(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	same, flagged, moved := b.put(maildir.Inbox, "S", "Subject: a\n\n"), b.put(maildir.Inbox, "S", "Subject: b\n\n"), b.put(maildir.Inbox, "S", "Subject: c\n\n")
	touched := b.put(maildir.Inbox, "S", "Subject: d\n\n")
	first, _ := b.make("one", func(o *Options) { o.Copy = true })
	b.put(maildir.Inbox, "S", "Subject: e\n\n")
	b.tree(func(tree *maildir.Tree) error {
		_, err1 := tree.ChangeFlags(maildir.Inbox, flagged.Key, "F", "")
		err2 := tree.CreateFolder("Sub")
		_, err3 := tree.Move(maildir.Inbox, moved.Key, "Sub")
		return errors.Join(err1, err2, err3, os.Chtimes(tree.MessagePath(touched), old.Add(time.Hour), old.Add(time.Hour)))
	})
	second, m := b.make("two", func(o *Options) { o.Copy, o.Previous = true, Newest(o.Dest, o.Host, o.Data.DataDir) })
	if m.UnchangedMessages != 3 || m.CopiedMessages != 2 || m.Previous != first {
		t.Errorf("%+v", m)
	}
	for _, names := range [][2]string{{"cur/" + string(same.Key) + ":2,S", "cur/" + string(same.Key) + ":2,S"},
		{"cur/" + string(flagged.Key) + ":2,S", "cur/" + string(flagged.Key) + ":2,FS"}, {"cur/" + string(moved.Key) + ":2,S", ".Sub/cur/" + string(moved.Key) + ":2,S"}} {
		was, err1 := os.Stat(filepath.Join(first, "mail/example.org/ann", names[0]))
		is, err2 := os.Stat(filepath.Join(second, "mail/example.org/ann", names[1]))
		if err := errors.Join(err1, err2); err != nil || !os.SameFile(was, is) {
			t.Errorf("%v: %v", names, err)
		}
	}
	// A backup of links is of no use to one of copies.
	linked, _ := b.make("three", nil)
	_, m = b.make("four", func(o *Options) { o.Copy, o.Previous = true, linked })
	if m.UnchangedMessages != 0 || m.CopiedMessages != 5 {
		t.Errorf("%+v", m)
	}
}
