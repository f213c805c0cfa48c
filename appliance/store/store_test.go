package store

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"maild/index"
	"maild/maildir"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newStore(t testing.TB) (*Store, *index.Index) {
	t.Helper()
	dir := t.TempDir()
	boxes := OpenMailboxes(filepath.Join(dir, "mail"))
	ix, err := index.Open(context.Background(), index.Options{Path: filepath.Join(dir, "index.db"), Source: boxes, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() {
		ix.Close()
		boxes.Close()
	})
	return New(boxes, ix), ix
}

const text = "Subject: hello\nMessage-ID: <1@example.com>\nFrom: Zoe <zoe@example.com>\n\nbody\n"

// put delivers text to an account.
func put(t testing.TB, s *Store, account string) {
	t.Helper()
	d, err := s.Stage(account)
	must(t, err)
	_, err = d.Write([]byte(text))
	must(t, err)
	must(t, d.Seal())
	_, err = d.Commit([]byte(text))
	must(t, err)
}

// The row written at delivery is the one that a fresh look at the file gives.
func TestDeliveryEqualsReconcile(t *testing.T) {
	t.Parallel()
	s, ix := newStore(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- ix.Run(ctx) }()
	put(t, s, "ann@example.org")
	must(t, ix.Flush(ctx))
	fresh := all(t, ix)
	_, err := ix.Reconcile(ctx, index.ReconcileOptions{Reparse: true, Force: true})
	must(t, err)
	again := all(t, ix)
	cancel()
	<-done
	if len(fresh) != 1 || fresh[0].Header.Subject != "hello" || fresh[0].Folder != maildir.Inbox || !fresh[0].New {
		t.Fatalf("after delivery: %+v", fresh)
	}
	fresh[0].Header.All, again[0].Header.All = nil, nil
	if !reflect.DeepEqual(fresh, again) {
		t.Errorf("after delivery\n%+v\nafter a rebuild\n%+v", fresh, again)
	}
}

func all(t testing.TB, ix *index.Index) (list []index.Message) {
	t.Helper()
	must(t, ix.Search(context.Background(), index.Query{}, func(m index.Message) error {
		list = append(list, m)
		return nil
	}))
	return list
}

func TestSource(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	ctx := context.Background()
	put(t, s, "ann@example.org")
	put(t, s, "bob@example.net")
	must(t, os.MkdirAll(filepath.Join(s.root, "example.org", "not-a-maildir"), 0o700))
	must(t, os.WriteFile(filepath.Join(s.root, "a-file"), nil, 0o600))
	must(t, os.Symlink(filepath.Join(s.root, "example.org"), filepath.Join(s.root, "link.example")))
	accounts, err := s.Accounts(ctx)
	if want := []string{"bob@example.net", "ann@example.org"}; err != nil || !reflect.DeepEqual(accounts, want) {
		t.Errorf("Accounts: %v, %v, want %v", accounts, err, want)
	}
	folders, err := s.Folders(ctx, "ann@example.org")
	if err != nil || !reflect.DeepEqual(folders, []string{maildir.Inbox}) {
		t.Errorf("Folders: %v, %v", folders, err)
	}
	var files []index.File
	must(t, s.Scan(ctx, "ann@example.org", maildir.Inbox, index.WholeFolder, func(f index.File) error {
		files = append(files, f)
		return nil
	}))
	content, f, err := s.Read(ctx, "ann@example.org", maildir.Inbox, files[0], index.WantText)
	block := content.Header
	if err != nil || !strings.HasPrefix(string(block), "Subject: hello\n") || f.Octets != int64(len(text)) || time.Since(f.Arrived) > time.Hour || !f.New || content.Attachment || content.Text == "" {
		t.Errorf("Read: %q, %+v, %v", block, f, err)
	}
	for key, want := range map[string]bool{files[0].Key: true, "none": false} {
		if _, here, err := s.Probe(ctx, "ann@example.org", maildir.Inbox, index.File{Key: key, New: true}); err != nil || here != want {
			t.Errorf("Probe %s: %v, %v", key, here, err)
		}
	}
	if _, here, err := s.Probe(ctx, "nobody@example.org", maildir.Inbox, index.File{Key: "x"}); err != nil || here {
		t.Errorf("Probe in no account: %v, %v", here, err)
	}
	stamp, err := s.Stamp(ctx, "ann@example.org", maildir.Inbox)
	if err != nil || stamp.New == 0 || stamp.Cur == 0 {
		t.Errorf("Stamp: %+v, %v", stamp, err)
	}
	if _, err := s.Folders(ctx, "nobody@example.org"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Folders of nobody: %v", err)
	}
}

// Accounts does not find what is behind a link, so nothing is delivered there.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	put(t, s, "ann@example.org")
	must(t, os.Symlink(filepath.Join(s.root, "example.org"), filepath.Join(s.root, "link.example")))
	must(t, os.Symlink("ann", filepath.Join(s.root, "example.org", "bob")))
	for _, account := range []string{"ann@link.example", "bob@example.org"} {
		if d, err := s.Stage(account); err == nil {
			d.Abort()
			t.Errorf("%s: a link was followed", account)
		}
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	m := OpenMailboxes("/mail")
	for _, bad := range []string{"", "ann", "@example.org", "ann@", "../x@example.org", "a/b@example.org", "ann@..", "ann@a/b", ".@x", "a\x00@x"} {
		if p, err := m.Path(bad); err == nil {
			t.Errorf("Path(%q) = %s", bad, p)
		}
	}
	if p, err := m.Path("ann@example.org"); err != nil || p != "/mail/example.org/ann" {
		t.Errorf("Path: %s, %v", p, err)
	}
}

// More accounts than trees are kept open for.
func TestManyAccounts(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	for i := range maxIdleTrees + 10 {
		put(t, s, "u"+strconv.Itoa(i)+"@example.org")
	}
	if n := len(s.trees); n > maxIdleTrees {
		t.Errorf("%d trees are open", n)
	}
	accounts, err := s.Accounts(context.Background())
	if err != nil || len(accounts) != maxIdleTrees+10 {
		t.Errorf("%d accounts, %v", len(accounts), err)
	}
}

// A tree that goes away while it is open is made anew: by the next message for its
// account, and by one that is linked into it.
func TestTreeGone(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	for _, account := range []string{"ann@example.org", "bob@example.org"} {
		put(t, s, account)
		path, err := s.Path(account)
		must(t, err)
		must(t, os.Rename(path, path+"-old"))
	}
	d, err := s.Stage("ann@example.org")
	must(t, err)
	_, err = d.Write([]byte(text))
	must(t, err)
	must(t, d.Seal())
	linked, err := d.Link("bob@example.org")
	must(t, err)
	for _, draft := range []*Draft{d, linked} {
		_, err := draft.Commit([]byte(text))
		must(t, err)
		files, err := filepath.Glob(filepath.Join(draft.store.root, "example.org", strings.TrimSuffix(draft.Account(), "@example.org"), "new", "*"))
		if err != nil || len(files) != 1 {
			t.Errorf("new/ of %s: %v, %v, want one file", draft.Account(), files, err)
		}
	}
}

func TestCleanTmp(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	put(t, s, "ann@example.org")
	d, err := s.Stage("ann@example.org")
	must(t, err)
	defer d.Abort()
	for _, c := range []struct {
		later time.Duration
		want  int
	}{{0, 0}, {maildir.StaleTmpAge - time.Hour, 0}, {maildir.StaleTmpAge + time.Hour, 1}} {
		n, err := s.CleanTmp(context.Background(), func(t *maildir.Tree) (int, error) { return t.CleanTmp(time.Now().Add(c.later), maildir.StaleTmpAge) })
		if n != c.want || err != nil {
			t.Errorf("after %s: %d removed, %v, want %d", c.later, n, err, c.want)
		}
	}
}
