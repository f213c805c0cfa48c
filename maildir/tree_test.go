package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b", "c")
	if _, err := Open(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of nothing: %v", err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			tree, err := Create(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer closeTree(t, tree)
			if err := deliverOne(tree, []byte("x")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, dir := range []string{"../..", "..", ".", "tmp", "new", "cur"} {
		if info, err := os.Stat(filepath.Join(path, dir)); err != nil || info.Mode() != fs.ModeDir|0o700 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
	if err := os.Remove(filepath.Join(path, "cur")); err != nil { // as after a crash half way
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of a half-made tree: %v", err)
	}
	tree, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := scan(t, tree, Inbox); len(got) != 8 {
		t.Errorf("%d messages", len(got))
	}
	closeTree(t, tree)
	if _, err := Create(filepath.Join(tree.MessagePath(scan(t, reopened(t, path), Inbox)[0]), "x")); err == nil {
		t.Error("a tree below a file")
	}
}

func reopened(t *testing.T, path string) *Tree {
	t.Helper()
	tree, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTree(t, tree) })
	return tree
}

func TestClosed(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	s := stage(t, tree, "x")
	if err := tree.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Stage(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Stage: %v", err)
	}
	if _, err := s.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Commit: %v", err)
	}
	if err := s.Abort(); err != nil {
		t.Error(err)
	}
	if got := files(t, tree); len(got) != 0 {
		t.Errorf("left %q", got)
	}
}

// TestDirectoryExchanged moves directories away under an open tree: mail must go where the path leads now.
func TestDirectoryExchanged(t *testing.T) {
	t.Parallel()
	for name, exchange := range map[string]func(path string) error{
		"new removed": func(path string) error { return os.RemoveAll(path + "/new") },
		"new moved":   func(path string) error { return os.Rename(path+"/new", path+"/old") },
		"tmp removed": func(path string) error { return os.Remove(path + "/tmp") },
		"new made anew": func(path string) error {
			return errors.Join(os.Rename(path+"/new", path+"/old"), os.Mkdir(path+"/new", 0o700))
		},
		"tree exchanged": func(path string) error {
			err := os.Rename(path, path+".old")
			_, createErr := Create(path)
			return errors.Join(err, createErr)
		},
	} {
		tree := testTree(t)
		deliver(t, tree, "before")
		if err := exchange(tree.Path()); err != nil {
			t.Fatal(name, err)
		}
		e := deliver(t, tree, "after")
		if _, err := os.Lstat(filepath.Join(tree.Path(), "new", e.FileName())); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDirectoryExchangedDuringCommit exchanges new/ between the rename and the fsync: the message must not be acknowledged.
func TestDirectoryExchangedDuringCommit(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	deliver(t, tree, "before")
	path := tree.Path()
	s := stage(t, tree, "x")
	tree.hook = func(step, _ string) error {
		if step != stepSyncDir {
			return nil
		}
		return errors.Join(os.Rename(path+"/new", path+"/old"), os.Mkdir(path+"/new", 0o700))
	}
	if _, err := s.Commit(); err == nil {
		t.Error("delivered into a directory that was moved away")
	}
	if got := files(t, tree); len(got) != 1 || !strings.HasPrefix(got[0], "old/") {
		t.Errorf("files %q", got)
	}
}

func TestTreeVanished(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	e := deliver(t, tree, "x")
	if err := os.RemoveAll(tree.Path()); err != nil {
		t.Fatal(err)
	}
	_, stageErr := tree.Stage()
	_, openErr := tree.OpenMessage(e)
	_, foldersErr := tree.Folders()
	_, stampErr := tree.Stamp(Inbox)
	scanErr := tree.Scan(Inbox, func(Entry) error { return nil })
	for _, err := range []error{stageErr, openErr, foldersErr, stampErr, scanErr} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	}
	if _, err := os.Lstat(tree.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the tree is back: %v", err)
	}
}

func TestSymlinkedDirectories(t *testing.T) {
	t.Parallel()
	for _, sub := range []string{"tmp", "new", "cur"} {
		for _, target := range []string{t.TempDir(), "."} { // out of the tree, and within
			tree := testTree(t)
			link := filepath.Join(tree.Path(), sub)
			if err := os.Remove(link); err != nil {
				t.Fatal(err)
			}
			symlink(t, target, link)
			if _, err := Create(tree.Path()); err == nil {
				t.Errorf("%s -> %s: Create follows", sub, target)
			}
			if sub == "cur" {
				if _, err := Open(tree.Path()); err == nil {
					t.Errorf("cur -> %s: Open follows", target)
				}
				if err := tree.Scan(Inbox, func(Entry) error { return nil }); err == nil {
					t.Errorf("cur -> %s: Scan follows", target)
				}
				continue
			}
			s, err := tree.Stage()
			if err == nil {
				err = s.Seal()
			}
			if err == nil {
				_, err = s.Commit()
				if err := s.Abort(); err != nil {
					t.Error(err)
				}
			}
			if err == nil {
				t.Errorf("%s -> %s: delivered", sub, target)
			}
			if sub == "tmp" {
				if _, err := tree.CleanTmp(farFuture(), StaleTmpAge); err == nil {
					t.Errorf("tmp -> %s: cleaned", target)
				}
			}
		}
	}
}

func TestSymlinkedFolder(t *testing.T) {
	t.Parallel()
	tree, foreign := testTree(t), testTree(t)
	e := deliver(t, foreign, "foreign")
	symlink(t, foreign.Path(), filepath.Join(tree.Path(), ".Link"))
	if got, err := tree.Folders(); err != nil || len(got) != 1 {
		t.Errorf("Folders: %q, %v", got, err)
	}
	e.Folder = "Link"
	_, stampErr := tree.Stamp("Link")
	_, openErr := tree.OpenMessage(e)
	_, findErr := tree.Find("Link", e.Key)
	s := stage(t, tree, "x")
	_, commitErr := s.CommitTo("Link", "")
	for op, err := range map[string]error{
		"Scan": tree.Scan("Link", func(Entry) error { return nil }), "Stamp": stampErr, "OpenMessage": openErr, "Find": findErr,
		"CommitTo": commitErr, "CreateFolder": tree.CreateFolder("Link"), "RemoveFolder": tree.RemoveFolder("Link"),
		"RenameFolder": tree.RenameFolder("Link", "Other"), "RemoveMessage": tree.RemoveMessage(e),
	} {
		if err == nil {
			t.Errorf("%s follows the link", op)
		}
	}
	if err := s.Abort(); err != nil {
		t.Error(err)
	}
	if got := files(t, foreign); len(got) != 1 {
		t.Errorf("the tree behind the link has %q", got)
	}
}

func TestIrregularMessages(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	e := deliver(t, tree, "secret")
	symlink(t, filepath.Join(tree.Path(), "new", e.FileName()), filepath.Join(tree.Path(), "cur", "1.link:2,S"))
	symlink(t, "1.nowhere", filepath.Join(tree.Path(), "new", "1.dangling"))
	if err := syscall.Mkfifo(filepath.Join(tree.Path(), "cur", "1.fifo:2,"), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, tree, "cur/1.directory:2,/x", "")
	if got := scan(t, tree, Inbox); len(got) != 1 || got[0] != e {
		t.Errorf("scan %v", got)
	}
	for _, bad := range []Entry{{Inbox, "1.link", "S", false}, {Inbox, "1.dangling", "", true}, {Inbox, "1.fifo", "", false}, {Inbox, "1.directory", "", false}} {
		if f, err := tree.OpenMessage(bad); err == nil {
			f.Close()
			t.Errorf("%s opened", bad.Key)
		}
		if _, err := tree.StatMessage(bad); err == nil {
			t.Errorf("%s described", bad.Key)
		}
		if _, err := tree.Find(Inbox, bad.Key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s found: %v", bad.Key, err)
		}
		if _, err := tree.ChangeFlags(Inbox, bad.Key, Flagged, ""); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s flagged: %v", bad.Key, err)
		}
	}
}

// TestManyFolders uses more directories than a tree keeps open, from several goroutines.
func TestManyFolders(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	const folders = 3 * maxOpenDirs
	for i := range folders {
		if err := tree.CreateFolder(fmt.Sprintf("F%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range folders {
				s, err := tree.stageCopy(strings.NewReader("x"))
				if err != nil {
					t.Error(err)
					return
				}
				e, err := s.CommitTo(fmt.Sprintf("F%d", i), Seen)
				if err == nil {
					_, err = tree.ChangeFlags(e.Folder, e.Key, Flagged, Seen)
				}
				if err == nil {
					_, err = tree.Move(e.Folder, e.Key, Inbox)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := scan(t, tree, Inbox); len(got) != 4*folders {
		t.Errorf("%d messages", len(got))
	}
	if len(tree.dirs) > maxOpenDirs {
		t.Errorf("%d directories are open", len(tree.dirs))
	}
}
