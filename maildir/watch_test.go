package maildir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"time"
)

func testWatcher(t *testing.T) *Watcher {
	t.Helper()
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// changes reads until it has n.
func changes(t *testing.T, w *Watcher, n int) (list []Change) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for len(list) < n {
		if err := w.Read(deadline, func(c Change) { list = append(list, c) }); err != nil {
			t.Fatalf("Read: %v after %+v", err, list)
		}
	}
	return list
}

// What is done in a watched directory is told in order.
func TestWatcher(t *testing.T) {
	t.Parallel()
	dir, w := t.TempDir(), testWatcher(t)
	watched := filepath.Join(dir, "cur")
	try(t, os.Mkdir(watched, 0o700))
	id, err := w.Add(watched, WatchMessages)
	try(t, err)
	file := filepath.Join(watched, "a:2,")
	try(t, os.WriteFile(file, nil, 0o600))
	try(t, os.Chtimes(file, time.Time{}, time.Unix(1, 0)))
	try(t, os.Rename(file, file+"S"))
	try(t, os.Rename(file+"S", filepath.Join(dir, "away")))
	try(t, os.Mkdir(filepath.Join(watched, "sub"), 0o700))
	try(t, os.Remove(filepath.Join(watched, "sub")))
	try(t, os.Rename(watched, watched+"2"))
	got := changes(t, w, 9)
	pair := got[3].Pair
	want := []Change{
		{id, Appeared, false, "a:2,", 0}, {id, Touched, false, "a:2,", 0}, {id, Touched, false, "a:2,", 0},
		{id, Vanished, false, "a:2,", pair}, {id, Appeared, false, "a:2,S", pair}, {id, Vanished, false, "a:2,S", got[5].Pair},
		{id, Appeared, true, "sub", 0}, {id, Vanished, true, "sub", 0}, {id, Displaced, got[8].Dir, "", 0},
	}
	if !reflect.DeepEqual(got, want) || pair == 0 || got[5].Pair == pair {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A directory has one watch, whatever its name; a removed one is not given again.
func TestWatcherNumbers(t *testing.T) {
	t.Parallel()
	dir, w := t.TempDir(), testWatcher(t)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	try(t, os.Mkdir(a, 0o700))
	first, err := w.Add(a, WatchDirs)
	try(t, err)
	try(t, os.Rename(a, b))
	again, err := w.Add(b, WatchDirs)
	if err != nil || again != first {
		t.Errorf("the renamed directory is %d, %v, want %d", again, err, first)
	}
	try(t, w.Remove(first))
	try(t, w.Remove(first))
	if other, err := w.Add(b, WatchDirs); err != nil || other == first {
		t.Errorf("after Remove it is %d, %v again", other, err)
	}
}

func TestWatcherRefuses(t *testing.T) {
	t.Parallel()
	dir, w := t.TempDir(), testWatcher(t)
	try(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	symlink(t, dir, filepath.Join(dir, "link"))
	for name, want := range map[string]error{"file": syscall.ENOTDIR, "link": syscall.ENOTDIR, "missing": fs.ErrNotExist} {
		if _, err := w.Add(filepath.Join(dir, name), WatchDirs); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

func TestWatcherClose(t *testing.T) {
	t.Parallel()
	w := testWatcher(t)
	none := func(c Change) { t.Errorf("told %+v", c) }
	if err := w.Read(time.Now().Add(time.Millisecond), none); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read without changes: %v", err)
	}
	done := make(chan error)
	go func() { done <- w.Read(time.Time{}, none) }()
	try(t, w.Close())
	if err := <-done; !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read that was ended by Close: %v", err)
	}
	if _, err := w.Add(t.TempDir(), WatchDirs); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Add after Close: %v", err)
	}
	if err := w.Remove(1); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Remove after Close: %v", err)
	}
}
