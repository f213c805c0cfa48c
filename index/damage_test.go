package index

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// logBuffer is a log that a test can read.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func broken(t *testing.T, path string) []string {
	t.Helper()
	list, err := filepath.Glob(path + ".broken-*")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// overwrite writes into the file that stands at path, as a program would that knows nothing of SQLite.
func overwrite(path string, offset int64, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, offset)
	return errors.Join(err, f.Close())
}

func halve(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, fi.Size()/2)
}

func sqliteFile(path string, statements string) error {
	db, err := sql.Open("sqlite", dsn(path, "mode=rwc"))
	if err != nil {
		return err
	}
	_, err = db.Exec(statements)
	return errors.Join(err, db.Close())
}

var noise = bytes.Repeat([]byte("nonsense"), 8192)

// TestSetAside opens what is no usable index.
func TestSetAside(t *testing.T) {
	t.Parallel()
	fresh := func(path string) error {
		ix, err := Open(context.Background(), Options{Path: path})
		if err != nil {
			return err
		}
		return ix.Close()
	}
	after := func(f func(path string) error) func(string) error {
		return func(path string) error {
			if err := fresh(path); err != nil {
				return err
			}
			return f(path)
		}
	}
	for name, spoil := range map[string]func(path string) error{
		"empty":       func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"short":       func(path string) error { return os.WriteFile(path, []byte("SQLite"), 0o600) },
		"not SQLite":  func(path string) error { return os.WriteFile(path, noise, 0o600) },
		"another's":   func(path string) error { return sqliteFile(path, "CREATE TABLE x (y)") },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"newer": after(func(path string) error {
			return sqliteFile(path, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion+1))
		}),
		"truncated":     after(func(path string) error { return os.Truncate(path, 3000) }),
		"cut to a page": after(func(path string) error { return os.Truncate(path, 4096) }),
		"corrupt":       after(func(path string) error { return overwrite(path, 0, noise[:4096]) }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "index.db")
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			src := newMapSource()
			src.put(inbox, File{Key: "1"}, letter("1@x", "bob@x", "one"))
			var log logBuffer
			ix := openTest(t, Options{Path: path, Source: src, Log: slog.New(slog.NewTextHandler(&log, nil))})
			reconcile(t, ix, ReconcileOptions{})
			if got := keysOf(t, ix, ask("subject:one")); len(got) != 1 {
				t.Errorf("found %q", got)
			}
			if len(broken(t, path)) == 0 {
				t.Error("nothing was set aside")
			}
			if !strings.Contains(log.String(), "set aside") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

// TestWrecksAreFew: damage that comes again and again does not fill the disk with what is set aside.
func TestWrecksAreFew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "index.db")
	for range 5 {
		if err := os.WriteFile(path, noise, 0o600); err != nil {
			t.Fatal(err)
		}
		ix, err := Open(t.Context(), Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if err := ix.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if list := broken(t, path); len(list) != maxWrecks {
		t.Errorf("left: %q", list)
	}
}

// TestUpgrade opens a file of an older release: it is set aside, and a new one filled, which says how far it is.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "index.db")
	err := sqliteFile(path, fmt.Sprintf("CREATE TABLE folder (id INTEGER PRIMARY KEY); PRAGMA application_id = %d; PRAGMA user_version = 1", applicationID))
	if err != nil {
		t.Fatal(err)
	}
	src := benchSource(10)
	ix := openTest(t, Options{Path: path, Source: src})
	s, err := ix.Status(t.Context())
	if err != nil || s.SchemaVersion != schemaVersion || s.Filled || s.Total != 10 {
		t.Errorf("at first: %+v, %v", s, err)
	}
	runTest(t, ix)
	waitFor(t, ix, func() bool { s, err := ix.Status(t.Context()); return err == nil && s.Filled })
	if s, err := ix.Status(t.Context()); err != nil || s.Messages != 10 || s.Total != 0 || len(s.Broken) != 1 {
		t.Errorf("in the end: %+v, %v", s, err)
	}
}

// TestFileLostWhileRunning takes the file away in every way, under load. What is recorded before, meanwhile and after is found.
func TestFileLostWhileRunning(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(path string) error{
		"removed":     os.Remove,
		"log removed": func(path string) error { return os.Remove(path + "-wal") },
		"all removed": func(path string) error {
			return errors.Join(os.Remove(path), os.Remove(path+"-wal"), os.Remove(path+"-shm"))
		},
		"renamed": func(path string) error { return os.Rename(path, path+".elsewhere") },
		"replaced by garbage": func(path string) error {
			return errors.Join(os.WriteFile(path+".new", noise, 0o600), os.Rename(path+".new", path))
		},
		"replaced by an empty index": func(path string) error {
			ix, err := Open(context.Background(), Options{Path: path + ".new"})
			if err != nil {
				return err
			}
			return errors.Join(ix.Close(), os.Rename(path+".new", path))
		},
		"truncated":             func(path string) error { return os.Truncate(path, 0) },
		"halved":                halve,
		"overwritten":           func(path string) error { return overwrite(path, 0, noise) },
		"overwritten, and grew": func(path string) error { return os.WriteFile(path, bytes.Repeat(noise, 20), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := newMapSource()
			path := filepath.Join(t.TempDir(), "index.db")
			ix := openTest(t, Options{Path: path, Source: src, Log: slog.New(slog.DiscardHandler)})
			runTest(t, ix)
			n := 0
			record := func(count int) {
				for range count {
					n++
					key := fmt.Sprint(n)
					ix.Record(src.put(inbox, File{Key: key}, letter(key+"@x", "bob@x", "number "+key)))
				}
			}
			record(500)
			flush(t, ix)
			record(100)
			if err := harm(path); err != nil {
				t.Fatal(err)
			}
			record(500)
			waitFor(t, ix, func() bool { return count(ix) == int64(n) })
			record(10)
			waitFor(t, ix, func() bool { return count(ix) == int64(n) })
			numbered := ask("subject:number")
			byWord := 0
			waitFor(t, ix, func() bool {
				byWord = 0
				err := ix.Search(t.Context(), numbered, func(Message) error { byWord++; return nil })
				return err == nil && byWord == n
			})
			// What stands at Path is what another process finds.
			other, err := Open(t.Context(), Options{Path: path, ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			if c := count(other); c != int64(n) {
				t.Errorf("another process finds %d of %d", c, n)
			}
		})
	}
}

func count(ix *Index) int64 {
	s, err := ix.Status(context.Background())
	if err != nil {
		return -1
	}
	return s.Messages
}

// waitFor waits until Run has brought about a state, a minute at most.
func waitFor(t *testing.T, ix *Index, state func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !state() {
		if !sleep(ctx, 5*time.Millisecond) {
			t.Fatalf("gave up waiting; there are %d messages", count(ix))
		}
	}
}

// TestDamageInsideFound: pages are damaged that opening does not look at.
func TestDamageInsideFound(t *testing.T) {
	t.Parallel()
	src := benchSource(2000)
	path := filepath.Join(t.TempDir(), "index.db")
	ix := openTest(t, Options{Path: path, Source: src, Log: slog.New(slog.DiscardHandler)})
	reconcile(t, ix, ReconcileOptions{})
	if err := ix.Close(); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(40 * 4096); at < fi.Size(); at += 4096 {
		if err := overwrite(path, at, noise[:4096]); err != nil {
			t.Fatal(err)
		}
	}
	ix = openTest(t, Options{Path: path, Source: src, Log: slog.New(slog.DiscardHandler)})
	err = ix.Search(t.Context(), Query{}, func(Message) error { return nil })
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("search: %v, want ErrDamaged", err)
	}
	reconcile(t, ix, ReconcileOptions{Force: true})
	if c := count(ix); c != 2000 {
		t.Errorf("%d messages after a reconcile", c)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "index.db")
	if _, err := Open(t.Context(), Options{Path: path, ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, noise, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Path: path, ReadOnly: true}); err == nil {
		t.Error("garbage was opened")
	}
	if list := broken(t, path); len(list) > 0 {
		t.Errorf("set aside %q", list)
	}
}

// TestFileLostDuringReconcile: what was found out about one file is not written into another.
func TestFileLostDuringReconcile(t *testing.T) {
	t.Parallel()
	src := benchSource(3000)
	ix := openTest(t, Options{Source: src, Log: slog.New(slog.DiscardHandler)})
	reconcile(t, ix, ReconcileOptions{})
	left := 2
	src.onScan = func() {
		if left--; left == 0 {
			if err := os.Remove(ix.opt.Path); err != nil {
				t.Error(err)
			}
		}
	}
	reconcile(t, ix, ReconcileOptions{Reparse: true})
	if c := count(ix); c != 3000 {
		t.Errorf("%d messages", c)
	}
	if r := reconcile(t, ix, ReconcileOptions{Force: true}); r.Added+r.Changed+r.Removed != 0 {
		t.Errorf("something was left to do: %+v", r)
	}
	checkWhole(t, ix)
}

// TestDamageMetBySearch: the damage is where no writing goes; Run mends what a search has met.
func TestDamageMetBySearch(t *testing.T) {
	t.Parallel()
	src := benchSource(2000)
	path := filepath.Join(t.TempDir(), "index.db")
	ix := openTest(t, Options{Path: path, Source: src})
	reconcile(t, ix, ReconcileOptions{})
	if err := ix.Close(); err != nil {
		t.Fatal(err)
	}
	var root int64 // page of the index by Message-ID
	db, err := sql.Open("sqlite", dsn(path, "mode=ro"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow(`SELECT rootpage FROM sqlite_schema WHERE name = 'message_message_id'`).Scan(&root); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := overwrite(path, (root-1)*4096, noise[:4096]); err != nil {
		t.Fatal(err)
	}
	ix = openTest(t, Options{Path: path, Source: src, Log: slog.New(slog.DiscardHandler)})
	runTest(t, ix)
	waitFor(t, ix, func() bool {
		err := ix.Search(t.Context(), ask("id:nothing@example"), func(Message) error { return nil })
		return err == nil && count(ix) == 2000
	})
	if len(broken(t, path)) == 0 {
		t.Error("nothing was set aside")
	}
}

// TestDamageMetByNobody: the damage is where neither writing nor searching goes, in a file that is in use. That another program has written to it
// is reason enough to examine all of it.
func TestDamageMetByNobody(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "index.db")
	ix := openTest(t, Options{Path: path, Source: benchSource(100)})
	runTest(t, ix)
	waitFor(t, ix, func() bool { return count(ix) == 100 })
	g := ix.current()
	var root int64
	if err := g.read.QueryRow(`SELECT rootpage FROM sqlite_schema WHERE name = 'bodies_config'`).Scan(&root); err != nil {
		t.Fatal(err)
	}
	if err := overwrite(path, (root-1)*4096, noise[:4096]); err != nil {
		t.Fatal(err)
	}
	waitFor(t, ix, func() bool { return ix.current() != g && count(ix) == 100 })
	if len(broken(t, path)) == 0 {
		t.Error("nothing was set aside")
	}
}

// TestOwnWritesRaiseNoDoubt: a file that nobody else writes to is not examined again and again.
func TestOwnWritesRaiseNoDoubt(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	for i := range 2000 { // enough for checkpoints
		key := fmt.Sprint(i)
		ix.Record(src.put(inbox, File{Key: key}, letter(key+"@x", "bob@x", "number "+key)))
		flush(t, ix)
	}
	g, err := ix.inspect(t.Context())
	if err != nil || ix.doubted.Load() != nil {
		t.Errorf("in doubt: %v, %v", g.doubt, err)
	}
	other := openTest(t, Options{Path: ix.opt.Path, Source: src})
	other.Record(src.put(inbox, File{Key: "other"}, letter("other@x", "bob@x", "other")))
	flush(t, other)
	if _, err := ix.inspect(t.Context()); err != nil || ix.doubted.Load() == nil {
		t.Errorf("another process has written, and that raised no doubt: %v", err)
	}
}

// TestFileModes: nobody but the owner reads what mail is about.
func TestFileModes(t *testing.T) {
	t.Parallel()
	ix := openTest(t, Options{})
	ix.Record(newMapSource().put(inbox, File{Key: "1"}, letter("1@x", "bob@x", "one")))
	flush(t, ix)
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		fi, err := os.Stat(ix.opt.Path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if m := fi.Mode().Perm(); m != 0o600 {
			t.Errorf("index.db%s has mode %o", suffix, m)
		}
	}
}
