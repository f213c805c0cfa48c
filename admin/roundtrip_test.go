package admin

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"maild/appliance/store"
	"maild/maildir"
)

// TestRoundTrip holds that what is exported and imported again is the same: messages, flags, times and folders.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			root, out := t.TempDir(), t.TempDir()
			for _, name := range []string{"anna", "maildir", "mbox", "tar", "linked"} {
				must(t, "user", "add", name+"@example.org", "--no-password", "--root", root)
			}
			randomTree(t, rand.New(rand.NewPCG(1, seed)), filepath.Join(root, "mail/example.org/anna"))
			want := snapshot(t, root, "anna")
			for _, kind := range exportKinds() {
				must(t, "export", "anna@example.org", kind, filepath.Join(out, kind), "--root", root)
			}
			unpack(t, filepath.Join(out, "tar"), out)
			must(t, "import", "maildir", filepath.Join(out, "maildir"), "maildir@example.org", "--root", root)
			must(t, "import", "maildir", filepath.Join(out, "maildir"), "linked@example.org", "--link", "--root", root)
			must(t, "import", "maildir", filepath.Join(out, "anna@example.org"), "tar@example.org", "--root", root)
			must(t, "import", "mbox", filepath.Join(out, "mbox"), "mbox@example.org", "--root", root)
			for _, name := range []string{"anna", "maildir", "tar", "linked"} {
				compare(t, name, snapshot(t, root, name), want)
			}
			compare(t, "mbox", snapshot(t, root, "mbox"), asMbox(want))
			// And again: nothing is taken twice.
			for _, name := range []string{"maildir", "mbox"} {
				must(t, "import", name, filepath.Join(out, name), name+"@example.org", "--root", root)
			}
			compare(t, "maildir again", snapshot(t, root, "maildir"), want)
			compare(t, "mbox again", snapshot(t, root, "mbox"), asMbox(want))
			if code, _, errs := mailctl(t, "index", "verify", "--root", root); code != ExitOK {
				t.Errorf("index: code %d: %s", code, errs)
			}
		})
	}
}

// stored is a message as it lies in a tree; an empty key is a folder.
type stored struct {
	folder, content, flags string
	fresh, message         bool
	at                     time.Time
}

func (s stored) String() string {
	return fmt.Sprintf("%s|%s|%v|%s|%q", s.folder, s.flags, s.fresh, s.at.UTC().Format(time.RFC3339Nano), s.content)
}

// snapshot is all that an account holds, sorted.
func snapshot(t *testing.T, root, name string) (all []stored) {
	t.Helper()
	tree, err := maildir.Open(filepath.Join(root, "mail/example.org", name))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	folders, err := tree.Folders()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		all = append(all, stored{folder: f})
		err := tree.Scan(f, func(e maildir.Entry) error {
			file, err := tree.OpenMessage(e)
			if err != nil {
				return err
			}
			defer file.Close()
			text, err := io.ReadAll(file)
			info, serr := file.Stat()
			all = append(all, stored{f, string(text), string(e.Flags), e.New, true, info.ModTime()})
			return errors.Join(err, serr)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	sortStored(all)
	return all
}

func sortStored(all []stored) {
	slices.SortFunc(all, func(a, b stored) int { return strings.Compare(a.String(), b.String()) })
}

// asMbox is what an mbox keeps: no fractions of seconds, a line end at the end.
func asMbox(all []stored) []stored {
	list := slices.Clone(all)
	for i := range list {
		if s := &list[i]; s.message {
			s.at = s.at.Truncate(time.Second)
			if s.content != "" && !strings.HasSuffix(s.content, "\n") {
				s.content += "\n"
			}
		}
	}
	sortStored(list)
	return list
}

func compare(t *testing.T, name string, got, want []stored) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("%s: %.300v is missing", name, want[i])
		case i >= len(want):
			t.Errorf("%s: %.300v is one too many", name, got[i])
		case got[i].String() != want[i].String():
			t.Errorf("%s: %.300v, want %.300v", name, got[i], want[i])
		default:
			continue
		}
		return
	}
}

// randomTree fills a tree with what is hard to keep.
func randomTree(t *testing.T, r *rand.Rand, path string) {
	t.Helper()
	tree, err := maildir.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	folders := []string{maildir.Inbox}
	for _, f := range []string{"Sent", "Sent.2026", "Entwürfe", "a & b", "x.gz", "x.mbox", "notes.db", "日本語.R&D", "INBOX.Old", "~", "-"} {
		if r.IntN(2) == 0 {
			continue
		}
		if err := tree.CreateFolder(f); err != nil {
			t.Fatal(err)
		}
		folders = append(folders, f)
	}
	batch, err := tree.Batch()
	if err != nil {
		t.Fatal(err)
	}
	defer batch.Abort()
	for range 100 {
		in := maildir.Incoming{Folder: folders[r.IntN(len(folders))], New: r.IntN(4) == 0, ModTime: time.Unix(r.Int64N(2e9), r.Int64N(1e9))}
		if !in.New {
			for _, c := range "DFPRSTabz" {
				if r.IntN(4) == 0 {
					in.Flags += maildir.Flags(c)
				}
			}
		}
		err := batch.Write(strings.NewReader(randomMessage(r)))
		if err == nil {
			_, err = batch.Place(in)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
}

func randomMessage(r *rand.Rand) string {
	var b strings.Builder
	pieces := []string{"Subject: hello\n", "Status: RO\n", "X-Status: A\n", "X-Keywords: mine yours\n", "X-Mozilla-Status: 0008\n", "Content-Length: 7\n", " folded\n",
		"\n", "\n\n", "From here on\n", ">From there\n", ">>>From everywhere\n", "From a@b Sat Jan 31 08:00:00 2026\n", "text\n", "a\x00b\n", "bare\rCR\n", "caf\xe9 日本\n",
		"no line end", "Return-Path: <x y>\n"}
	for range r.IntN(9) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	if r.IntN(40) == 0 { // longer than a buffer
		b.WriteString(strings.Repeat("long ", 20000) + "\n" + strings.Repeat(">", 70000) + "From \n")
	}
	return b.String()
}

// unpack writes the files of a tar archive below dir, and holds that all of it stays there.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.FileInfo().IsDir() {
			if err := root.MkdirAll(strings.TrimSuffix(h.Name, "/"), 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		out, err := root.Create(h.Name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(out, in)
		if err := errors.Join(err, out.Close(), root.Chtimes(h.Name, h.ModTime, h.ModTime)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExportPartial holds what becomes of what a killed export has left, and of what only looks like it.
func TestExportPartial(t *testing.T) {
	t.Parallel()
	root, out := t.TempDir(), t.TempDir()
	fill(t, root, "anna@example.org", 20)
	for _, kind := range exportKinds() {
		must(t, "export", "anna@example.org", kind, filepath.Join(out, kind), "--root", root)
	}
	for _, kind := range exportKinds() {
		dest, partial := filepath.Join(out, kind), filepath.Join(out, "."+kind+partialSuffix)
		again := func() (int, string) {
			code, _, errs := mailctl(t, "export", "anna@example.org", kind, dest, "--force", "--root", root)
			return code, errs
		}
		if kind == kindTar {
			write(t, partial, "half an archive")
		} else {
			if err := os.Mkdir(partial, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(partial, "mine"), "")
			if code, errs := again(); code != ExitExists || !strings.Contains(errs, partial+" is in the way") {
				t.Errorf("%s: code %d: %s", kind, code, errs)
			}
			if _, err := os.Stat(filepath.Join(partial, "mine")); err != nil {
				t.Error(err)
			}
			write(t, filepath.Join(partial, exportMark), kind)
		}
		if code, errs := again(); code != ExitOK {
			t.Errorf("%s: code %d: %s", kind, code, errs)
		}
		for _, path := range []string{partial, filepath.Join(dest, "mine")} {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
				t.Errorf("%s is there: %v", path, err)
			}
		}
	}
}

// TestExportInterrupted holds that an export which does not come to its end leaves what was there as it was, and nothing beside it.
func TestExportInterrupted(t *testing.T) {
	t.Parallel()
	root, out := t.TempDir(), t.TempDir()
	fill(t, root, "anna@example.org", 20)
	for _, kind := range exportKinds() {
		must(t, "export", "anna@example.org", kind, filepath.Join(out, kind), "--root", root)
	}
	fill(t, root, "anna@example.org", 20)
	before := listing(t, out)
	for _, kind := range exportKinds() {
		ctx, cancel := context.WithCancel(t.Context())
		c := &call{world: &world{errs: io.Discard}, box: &box{mailboxes: store.OpenMailboxes(filepath.Join(root, "mail"))}}
		d := &destination{path: filepath.Join(out, kind), kind: kind, force: true}
		ex := &exporter{call: c, ctx: ctx, account: "anna@example.org"}
		err := ex.run(func() (exportSink, error) {
			switch kind {
			case kindTar:
				return &interrupted{newTarSink(d, "anna"), 10, cancel}, d.makeFile()
			case kindMbox:
				return &interrupted{newMboxDirSink(d), 10, cancel}, d.makeDir()
			}
			if err := d.makeDir(); err != nil {
				return nil, err
			}
			s, err := newMaildirSink(d)
			return &interrupted{s, 10, cancel}, err
		})
		if err := errors.Join(ex.close(), c.box.mailboxes.Close()); err != nil {
			t.Error(err)
		}
		if !errors.Is(err, context.Canceled) || ex.view.Messages != 10 {
			t.Errorf("%s: %d messages, error %v", kind, ex.view.Messages, err)
		}
	}
	if got := listing(t, out); !slices.Equal(got, before) {
		t.Errorf("left %q, want %q", got, before)
	}
}

// interrupted is a sink that ends a context after some messages.
type interrupted struct {
	exportSink
	left   int
	cancel func()
}

func (i *interrupted) message(e maildir.Entry, info os.FileInfo, file *os.File) error {
	if i.left--; i.left == 0 {
		i.cancel()
	}
	return i.exportSink.message(e, info, file)
}

// TestArchiveLate holds that mail which comes after the archive was written is not deleted.
func TestArchiveLate(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fill(t, root, "anna@example.org", 3)
	path := filepath.Join(root, "mail/example.org/anna")
	c := &call{world: &world{errs: io.Discard}, box: &box{mailboxes: store.OpenMailboxes(filepath.Join(root, "mail"))}}
	defer c.box.mailboxes.Close()
	r := &removal{call: c, name: "anna@example.org", path: path, archive: "anna.tar", dest: &destination{path: filepath.Join(root, "anna.tar"), kind: kindTar}}
	saved, err := r.save(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer saved.close()
	fill(t, root, "anna@example.org", 2)
	check := func(moved string) error { return r.checkSaved(t.Context(), saved, moved) }
	if err := purgeTree(path, check); !errors.Is(err, errMoreCame) || exitCode(err) != ExitPartial {
		t.Fatalf("error %v", err)
	}
	if n := len(snapshot(t, root, "anna")); n != 6 { // with the folder
		t.Errorf("%d things are left", n)
	}
	// A tree that was made meanwhile is in the way: nothing is lost.
	err = purgeTree(path, func(moved string) error {
		fill(t, root, "anna@example.org", 1)
		return check(moved)
	})
	kept, globErr := filepath.Glob(filepath.Join(root, "mail/example.org", keptPrefix+"*", "anna", "new", "*"))
	if !errors.Is(err, errMoreCame) || !strings.Contains(err.Error(), keptPrefix) || globErr != nil || len(kept) != 5 {
		t.Errorf("error %v, kept %q", err, kept)
	}
}

func listing(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
