package maildir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// names are the files in new/ and cur/ of a folder.
func names(t testing.TB, tree *Tree, folder string) (list []Entry) {
	t.Helper()
	if err := tree.Scan(folder, func(e Entry) error { list = append(list, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return list
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func inode(t testing.TB, path string) uint64 {
	t.Helper()
	st, err := lstat(path)
	ok(t, err)
	return st.Ino
}

// What one batch does to messages of two trees, and that nothing is held afterwards (testTree checks).
func TestChanges(t *testing.T) {
	t.Parallel()
	ann, bob := testTree(t), testTree(t)
	ok(t, ann.CreateFolder("Archive"))
	flagged, moved, sent, removed := deliver(t, ann, "1\n"), deliver(t, ann, "2\n"), deliver(t, ann, "3\n"), deliver(t, ann, "4\n")
	was := inode(t, ann.MessagePath(sent))
	var b Changes
	flagged, changed, err := b.ChangeFlags(ann, flagged, "Sk", "F")
	ok(t, err)
	again, twice, err := b.ChangeFlags(ann, flagged, "S", "")
	ok(t, err)
	if !changed || twice {
		t.Errorf("changed: %v, then %v", changed, twice)
	}
	at, err := b.Move(ann, moved, ann, "Archive")
	ok(t, err)
	away, err := b.Move(ann, sent, bob, Inbox)
	ok(t, err)
	twin, err := b.Copy(ann, flagged, bob, Inbox)
	ok(t, err)
	ok(t, b.Remove(ann, removed))
	if errs := b.Sync(); errs != nil {
		t.Fatal(errs)
	}
	if flagged.Flags != "Sk" || flagged.New || again != flagged {
		t.Errorf("flagged: %+v, again %+v", flagged, again)
	}
	if at.Key != moved.Key || at.Folder != "Archive" || !at.New {
		t.Errorf("moved: %+v", at)
	}
	if away.Key != sent.Key || inode(t, bob.MessagePath(away)) != was {
		t.Errorf("moved to another tree: %+v", away)
	}
	if twin.Key == flagged.Key || twin.Flags != "Sk" || inode(t, bob.MessagePath(twin)) != inode(t, ann.MessagePath(flagged)) {
		t.Errorf("copied: %+v", twin)
	}
	if n := []int{len(names(t, ann, Inbox)), len(names(t, ann, "Archive")), len(names(t, bob, Inbox))}; n[0] != 1 || n[1] != 1 || n[2] != 2 {
		t.Errorf("messages: %v", n)
	}
	if err := b.Remove(ann, removed); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := b.Move(ann, flagged, ann, "Archiv"); !errors.Is(err, fs.ErrNotExist) || !errors.As(err, new(*TargetError)) {
		t.Errorf("moved to no folder: %v", err)
	}
	if _, err := b.Move(ann, moved, ann, "Archive"); !errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*TargetError)) {
		t.Errorf("moved what is gone: %v", err)
	}
}

// A message that others renamed is found again, and what they set stays.
func TestChangesFindsRenamed(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	e := deliver(t, tree, "1\n")
	_, err := tree.ChangeFlags(Inbox, e.Key, "Fz", "")
	ok(t, err)
	var b Changes
	now, _, err := b.ChangeFlags(tree, e, "S", "")
	ok(t, err)
	if errs := b.Sync(); errs != nil || now.Flags != "FSz" {
		t.Errorf("%+v, %v", now, errs)
	}
}

// Where a directory cannot be fsynced its messages are put back, those of another directory are not.
func TestChangesSyncFails(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	ok(t, tree.CreateFolder("A"))
	ok(t, tree.CreateFolder("B"))
	first, second, third := deliver(t, tree, "1\n"), deliver(t, tree, "2\n"), deliver(t, tree, "3\n")
	var b Changes
	_, err := b.Move(tree, first, tree, "A")
	ok(t, err)
	_, err = b.Move(tree, second, tree, "B")
	ok(t, err)
	_, err = b.Copy(tree, third, tree, "A")
	ok(t, err)
	bad := errors.New("bad disk")
	tree.hook = func(step, path string) error {
		if step == stepSyncDir && filepath.Base(filepath.Dir(path)) == ".A" {
			return bad
		}
		return nil
	}
	errs := b.Sync()
	if len(errs) != 3 || !errors.Is(errs[0], bad) || errs[1] != nil || !errors.Is(errs[2], bad) {
		t.Fatalf("%v", errs)
	}
	if n := []int{len(names(t, tree, Inbox)), len(names(t, tree, "A")), len(names(t, tree, "B"))}; n[0] != 2 || n[1] != 0 || n[2] != 1 {
		t.Errorf("messages: %v", n)
	}
}

// Across file systems the message is written anew, with its time.
func TestChangesAcrossFileSystems(t *testing.T) {
	t.Parallel()
	ann, bob := testTree(t), testTree(t)
	e, other := deliver(t, ann, "hello\n"), deliver(t, ann, "hello\n")
	at := time.Date(2020, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	ok(t, os.Chtimes(ann.MessagePath(e), at, at))
	ok(t, os.Chtimes(ann.MessagePath(other), at, at))
	ann.hook = func(step, path string) error {
		if step == stepRename || step == stepLink {
			return syscall.EXDEV
		}
		return nil
	}
	var b Changes
	moved, err := b.Move(ann, e, bob, Inbox)
	ok(t, err)
	copied, err := b.Copy(ann, other, bob, Inbox)
	ok(t, err)
	if errs := b.Sync(); errs != nil {
		t.Fatal(errs)
	}
	for _, e := range []Entry{moved, copied} {
		info, err := bob.StatMessage(e)
		if err != nil || !info.ModTime().Equal(at) || info.Size() != 6 || !e.New {
			t.Errorf("%+v: %v, %v", e, info, err)
		}
	}
	if list := names(t, ann, Inbox); len(list) != 1 || list[0].Key != other.Key {
		t.Errorf("left: %v", list)
	}
}

func TestRemoveEmptyFolder(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	ok(t, tree.CreateFolder("A"))
	e := deliver(t, tree, "1\n")
	_, err := tree.Move(Inbox, e.Key, "A")
	ok(t, err)
	for range 2 { // in new/, then in cur/
		if err := tree.RemoveEmptyFolder("A"); !errors.Is(err, ErrNotEmpty) || len(names(t, tree, "A")) != 1 {
			t.Fatalf("%v, %v", err, names(t, tree, "A"))
		}
		_, err := tree.Take("A", e.Key)
		ok(t, err)
	}
	ok(t, tree.RemoveMessage(Entry{Folder: "A", Key: e.Key}))
	ok(t, tree.RemoveEmptyFolder("A"))
	if folders, err := tree.Folders(); err != nil || len(folders) != 1 {
		t.Errorf("%v, %v", folders, err)
	}
	if err := tree.RemoveEmptyFolder("A"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
	if err := tree.RemoveEmptyFolder(Inbox); err == nil {
		t.Error("INBOX was removed")
	}
}
