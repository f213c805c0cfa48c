package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// farFuture is a time at which all that tests make is stale.
func farFuture() time.Time { return time.Now().Add(StaleTmpAge + time.Hour) }

// sidecars are what other programs leave beside the mail.
var sidecars = []string{
	"..cmeta", ".Sent.cmeta", ".Sent.ibex.index", "dovecot.index", "dovecot.index.log", "dovecot-uidlist", "dovecot-keywords", "dovecot-uidvalidity.5f",
	"courierimapuiddb", "courierimapsubscribed", "courierimapkeywords/x", "courierimaphieracl/y", "maildirsize", "subscriptions", "maildirfolder",
	".customflags", ".nodirs/x", ".notmuch/xapian/x", ".mbsyncstate", ".uidvalidity", "sieve/a.sieve", ".dovecot.sieve", "cur/.nfs0001", "new/.lock",
	".Sent/maildirfolder", ".Sent/dovecot.index.cache", ".Sent/courierimapacl", ".INBOX/cur/1.x:2,", "..dots/cur/1.x:2,", "plain/cur/1.x:2,",
}

func TestScanWithSidecars(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	for _, name := range sidecars {
		put(t, tree, name, "sidecar")
	}
	for _, name := range []string{"new/1.a", "cur/1.b:2,S", ".Sent/cur/1.c:2,FS", ".Sent/new/1.d"} {
		put(t, tree, name, "mail")
	}
	if got, err := tree.Folders(); err != nil || !slices.Equal(got, []string{"INBOX", "Sent"}) {
		t.Errorf("folders %q, %v", got, err)
	}
	if got, want := scan(t, tree, Inbox), []Entry{{Inbox, "1.a", "", true}, {Inbox, "1.b", "S", false}}; !slices.Equal(got, want) {
		t.Errorf("INBOX %v", got)
	}
	if got, want := scan(t, tree, "Sent"), []Entry{{"Sent", "1.c", "FS", false}, {"Sent", "1.d", "", true}}; !slices.Equal(got, want) {
		t.Errorf("Sent %v", got)
	}
}

// TestScanWhileChanging has messages taken, removed and added during a scan of several chunks.
func TestScanWhileChanging(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	const total = 3 * scanChunk
	for i := range total {
		put(t, tree, fmt.Sprintf("new/%d.x", i), "")
	}
	seen := make(map[Key]bool)
	n := 0
	err := tree.Scan(Inbox, func(e Entry) error {
		seen[e.Key] = true
		if !e.New || n >= total {
			return nil
		}
		key := Key(fmt.Sprintf("%d.x", total-1-n))
		n++
		if n%3 == 0 {
			if err := tree.RemoveMessage(Entry{Folder: Inbox, Key: key, New: true}); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			seen[key] = true
			return nil
		}
		return os.Rename(filepath.Join(tree.Path(), "new", string(key)), filepath.Join(tree.Path(), "cur", string(key)+":2,S"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != total {
		t.Errorf("%d of %d messages seen", len(seen), total)
	}
}

func TestScanEnds(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	deliver(t, tree, "x")
	deliver(t, tree, "y")
	stop := errors.New("stop")
	n := 0
	if err := tree.Scan(Inbox, func(Entry) error { n++; return stop }); err != stop || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
	for _, folder := range []string{"Nowhere", "", "..", "a/b"} {
		if err := tree.Scan(folder, func(Entry) error { return nil }); err == nil {
			t.Errorf("scanned %q", folder)
		}
	}
	if err := os.RemoveAll(filepath.Join(tree.Path(), "new")); err != nil {
		t.Fatal(err)
	}
	if got := scan(t, tree, Inbox); len(got) != 0 {
		t.Errorf("%v without new/", got)
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	put(t, tree, ".Entwürfe/cur/1.x:2,", "")
	when := time.Unix(1700000000, 123456789)
	for _, dir := range []string{"new", ".Entwürfe/cur"} {
		if err := os.Chtimes(filepath.Join(tree.Path(), dir), when, when); err != nil {
			t.Fatal(err)
		}
	}
	inbox, err := tree.Stamp(Inbox)
	if err != nil || inbox.New != when.UnixNano() || inbox.Cur == 0 {
		t.Errorf("INBOX %v, %v", inbox, err)
	}
	drafts, err := tree.Stamp("Entwürfe")
	if want := (Stamp{0, when.UnixNano()}); err != nil || drafts != want {
		t.Errorf("Entwürfe %v, %v", drafts, err)
	}
	deliver(t, tree, "x")
	if after, err := tree.Stamp(Inbox); err != nil || after.New == inbox.New || after.Cur != inbox.Cur {
		t.Errorf("after a delivery %v, %v", after, err)
	}
	if _, err := tree.Stamp("Nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Nowhere: %v", err)
	}
}

func TestCleanTmp(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	if err := tree.CreateFolder("Sent"); err != nil {
		t.Fatal(err)
	}
	e := deliver(t, tree, "kept")
	for _, name := range []string{"tmp/1.old", ".Sent/tmp/2.old", "tmp/removed.1/cur/3.x:2,", "tmp/foreign/x"} {
		put(t, tree, name, "x")
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	symlink(t, outside, filepath.Join(tree.Path(), "tmp", "4.link"))
	symlink(t, filepath.Dir(outside), filepath.Join(tree.Path(), "tmp", "removed.1", "link"))
	old := time.Now().Add(-2 * StaleTmpAge)
	// Only the modification time can be set back, as rsync does to the file it is writing.
	if err := os.Chtimes(filepath.Join(tree.Path(), "tmp", "1.old"), old, old); err != nil {
		t.Fatal(err)
	}
	if n, err := tree.CleanTmp(time.Now(), StaleTmpAge); n != 0 || err != nil {
		t.Errorf("removed %d fresh files, %v", n, err)
	}
	if n, err := tree.CleanTmp(farFuture(), StaleTmpAge); n != 3 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	want := []string{".Sent/maildirfolder", "new/" + e.FileName(), "tmp/4.link", "tmp/foreign/x"}
	if got := files(t, tree); !slices.Equal(got, want) {
		t.Errorf("left %q", got)
	}
	if _, err := os.Lstat(outside); err != nil {
		t.Error(err)
	}
}

func TestFolders(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	for _, name := range []string{"Sent", "Archive.2026", "Entwürfe", "R&D", "Archive"} {
		if err := tree.CreateFolder(name); err != nil {
			t.Fatal(err)
		}
		if err := tree.CreateFolder(name); !errors.Is(err, fs.ErrExist) {
			t.Errorf("created twice: %v", err)
		}
	}
	put(t, tree, ".Übung/cur/1.x:2,", "")    // as mutt spells it
	put(t, tree, ".Entwürfe/cur/1.x:2,", "") // both spellings: ours is meant
	put(t, tree, ".half/tmp/x", "")
	want := []string{"INBOX", "Archive", "Archive.2026", "Entwürfe", "R&D", "Sent", "Übung"}
	if got, err := tree.Folders(); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if got := scan(t, tree, "Übung"); len(got) != 1 {
		t.Errorf("Übung has %v", got)
	}
	if got := scan(t, tree, "Entwürfe"); len(got) != 0 {
		t.Errorf("Entwürfe has %v", got)
	}
	for _, file := range []string{".Archive.2026/maildirfolder", ".Entw&APw-rfe/maildirfolder", ".R&-D/maildirfolder"} {
		if _, err := os.Lstat(filepath.Join(tree.Path(), file)); err != nil {
			t.Error(err)
		}
	}
	for _, err := range []error{tree.CreateFolder("half"), tree.CreateFolder("sub.folder")} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "..", "a/b", "inbox", Inbox, "Übung", strings300()} {
		if tree.CreateFolder(bad) == nil {
			t.Errorf("created %q", bad)
		}
	}
}

func strings300() string { return string(make([]byte, 300)) }

func TestRenameFolder(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	for _, name := range []string{"A", "A.x", "A.x.y", "AB", "C"} {
		if err := tree.CreateFolder(name); err != nil {
			t.Fatal(err)
		}
	}
	s := stage(t, tree, "x")
	e, err := s.CommitTo("A.x", "")
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]error{"C": fs.ErrExist, "A.z": nil, Inbox: nil, "..": nil, "": nil} {
		if err := tree.RenameFolder("A", to); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("renamed to %q: %v", to, err)
		}
	}
	steps := 0
	tree.hook = func(step, _ string) error { // a crash after the first
		if steps++; step == stepRename && steps > 1 {
			return syscall.EIO
		}
		return nil
	}
	if err := tree.RenameFolder("A", "Ö"); !errors.Is(err, syscall.EIO) {
		t.Errorf("fault: %v", err)
	}
	tree.hook = nil
	if err := tree.RenameFolder("A", "Ö"); err != nil {
		t.Errorf("second run: %v", err)
	}
	if got, err := tree.Folders(); err != nil || !slices.Equal(got, []string{"INBOX", "AB", "C", "Ö", "Ö.x", "Ö.x.y"}) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := tree.Find("Ö.x", e.Key); err != nil {
		t.Error(err)
	}
	if _, err := tree.Find("A.x", e.Key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still in the old folder: %v", err)
	}
	if err := tree.RenameFolder("A", "B"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("renamed what is not there: %v", err)
	}
}

func TestRemoveFolder(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	for _, name := range []string{"A", "A.x"} {
		if err := tree.CreateFolder(name); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	put(t, tree, ".A/cur/1.x:2,", "x")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	symlink(t, filepath.Dir(outside), filepath.Join(tree.Path(), ".A", "link"))
	tree.hook = func(step, _ string) error { // a crash once it is out of sight
		if step == stepSyncDir {
			return syscall.EIO
		}
		return nil
	}
	if err := tree.RemoveFolder("A"); !errors.Is(err, syscall.EIO) {
		t.Errorf("fault: %v", err)
	}
	tree.hook = nil
	if got, err := tree.Folders(); err != nil || !slices.Equal(got, []string{"INBOX", "A.x"}) {
		t.Errorf("%q, %v", got, err)
	}
	if n, err := tree.CleanTmp(farFuture(), StaleTmpAge); n != 1 || err != nil {
		t.Errorf("cleaned %d, %v", n, err)
	}
	if err := tree.RemoveFolder("A.x"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"A", Inbox, "", "..", "."} {
		if tree.RemoveFolder(name) == nil {
			t.Errorf("removed %q", name)
		}
	}
	if got := files(t, tree); len(got) != 0 {
		t.Errorf("left %q", got)
	}
	if _, err := os.Lstat(outside); err != nil {
		t.Error(err)
	}
}
