package index

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A copy that is made while the index is written is whole, and says what the copied mail does.
func TestBackup(t *testing.T) {
	t.Parallel()
	src, copied := newMapSource(), newMapSource()
	ix := openTest(t, Options{Source: src, Headers: []string{"X-Kept"}})
	for i := range 300 {
		f := File{Key: fmt.Sprint("k", i), Flags: "S", Arrived: longAgo.Add(time.Duration(i) * time.Minute)}
		text := letter(fmt.Sprint(i, "@x"), "Bob <bob@acme.example>", fmt.Sprint("Hello ", i))
		src.put(inbox, f, text)
		if i%3 > 0 {
			copied.put(inbox, f, text)
		}
	}
	copied.put(inbox, File{Key: "later", New: true}, letter("later@x", "Eve <eve@acme.example>", "Later"))
	reconcile(t, ix, ReconcileOptions{})
	dir := t.TempDir()
	to := filepath.Join(dir, "index.db")
	for range 2 { // the second replaces the first
		r, err := Backup(t.Context(), ix.opt.Path, Options{Path: to, Source: copied})
		if err != nil || r.Added != 1 || r.Removed != 100 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) != 1 {
		t.Errorf("left: %v, %v", names, err)
	}
	if copied.reads != 2 {
		t.Errorf("%d messages were read", copied.reads)
	}
	if err := Check(t.Context(), to); err != nil {
		t.Error(err)
	}
	next, err := Open(t.Context(), Options{Path: to, Source: copied, ReadOnly: true, KeepHeaders: true})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if r, err := next.Verify(t.Context(), VerifyOptions{}); err != nil || r.Differences != 0 || r.Checked != 201 {
		t.Errorf("verify: %+v, %v", r, err)
	}
	if s, err := next.Status(t.Context()); err != nil || len(s.Headers) != 1 || !s.Filled {
		t.Errorf("status: %+v, %v", s, err)
	}
}

// Where there is nothing to copy, the error says so, and nothing is left.
func TestBackupOfNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from := filepath.Join(dir, "from.db")
	for name, text := range map[string]string{"missing": "", "foreign": "no database at all, but as long as the head of one would have to be ....................................."} {
		if text != "" {
			if err := os.WriteFile(from, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		to := filepath.Join(dir, name, "index.db")
		if err := os.Mkdir(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := Backup(t.Context(), from, Options{Path: to, Source: newMapSource()}); !errors.Is(err, ErrNoIndex) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(filepath.Dir(to)); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", name, left, err)
		}
		err := Check(t.Context(), from)
		if name == "missing" && !errors.Is(err, fs.ErrNotExist) || name == "foreign" && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: check: %v", name, err)
		}
	}
}

// Check sees a page that was overwritten.
func TestCheckFindsDamage(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	for i := range 300 {
		src.put(inbox, File{Key: fmt.Sprint("k", i)}, letter(fmt.Sprint(i, "@x"), "Bob <bob@acme.example>", "Hello"))
	}
	reconcile(t, ix, ReconcileOptions{})
	to := filepath.Join(t.TempDir(), "index.db")
	if _, err := Backup(t.Context(), ix.opt.Path, Options{Path: to, Source: src}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(data) / 2; i < len(data); i++ {
		data[i] ^= 0x5a
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(t.Context(), to); !errors.Is(err, ErrDamaged) {
		t.Errorf("check of a damaged index: %v", err)
	}
}
