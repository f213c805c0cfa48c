package account

import (
	"context"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func osDir(path string) fs.FS { return os.DirFS(filepath.Dir(path)) }

// made gives the path of a closed, valid file with one account.
func made(t *testing.T) string {
	t.Helper()
	o := options(t.TempDir())
	d, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	add(t, d, "anna@a.example")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return o.Path
}

// execute runs SQL on a file as some other program might.
func execute(t *testing.T, path, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestUntrustedFile holds that a file we cannot trust is refused and left as
// it is, for writing and for reading.
func TestUntrustedFile(t *testing.T) {
	t.Parallel()
	overwrite := func(t *testing.T, path string, at int64, data string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(data), at); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, path string)
		want   error
		words  string
	}{
		{"newer", func(t *testing.T, p string) { execute(t, p, `PRAGMA user_version = 99`) }, ErrNewer, "install the newer package"},
		{"other program's", func(t *testing.T, p string) { execute(t, p, `PRAGMA application_id = 7`) }, ErrNotOurs, "0x7"},
		{"empty", func(t *testing.T, p string) { truncate(t, p, 0) }, ErrDamaged, "restore it from a backup"},
		{"cut off", func(t *testing.T, p string) { truncate(t, p, 9000) }, ErrDamaged, "restore it from a backup"},
		{"not SQLite", func(t *testing.T, p string) { overwrite(t, p, 0, "From: anna@a.example\n") }, ErrDamaged, "restore it from a backup"},
		{"a page overwritten", func(t *testing.T, p string) { overwrite(t, p, 4096, strings.Repeat("x", 4096)) }, ErrDamaged, "restore it from a backup"},
		{"a directory", func(t *testing.T, p string) { errorless(t, os.Remove(p)); errorless(t, os.Mkdir(p, 0o700)) }, ErrNotOurs, "regular"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := made(t)
			tt.damage(t, path)
			before, _ := os.ReadFile(path)
			d, err := Open(t.Context(), options(filepath.Dir(path)))
			if err == nil {
				d.Close()
			}
			wants(t, err, tt.want, path, tt.words)
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the file was changed")
			}
		})
	}
}

func errorless(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	errorless(t, os.Truncate(path, size))
}

func TestOpenNew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a ?#%20 b") // which a URI must not take apart
	errorless(t, os.Mkdir(dir, 0o700))
	o := options(dir)
	o.ReadOnly = true
	_, err := Open(t.Context(), o)
	wants(t, err, fs.ErrNotExist, o.Path)

	o.ReadOnly = false
	d := open(t, o)
	info, err := os.Stat(o.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others must not read password hashes", info.Mode(), err)
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000"} {
		var got string
		if err := d.db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v, want %s", pragma, got, err, want)
		}
	}
	_, err = Open(t.Context(), options(filepath.Join(dir, "none")))
	wants(t, err, fs.ErrNotExist)
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	path := made(t)
	o := options(filepath.Dir(path))
	o.ReadOnly = true
	d := open(t, o)
	if _, err := d.Account(t.Context(), addr(t, "anna@a.example")); err != nil {
		t.Error(err)
	}
	if err := d.AddDomain(t.Context(), "b.example"); err == nil {
		t.Error("a change was taken")
	}
}

// TestRestoredFile: a backup made by VACUUM INTO is no longer in WAL mode.
func TestRestoredFile(t *testing.T) {
	t.Parallel()
	path := made(t)
	execute(t, path, `PRAGMA journal_mode = DELETE`)
	d := open(t, options(filepath.Dir(path)))
	var mode string
	if err := d.db.QueryRow(`PRAGMA journal_mode`).Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal mode %s, %v", mode, err)
	}
	if _, err := d.Account(t.Context(), addr(t, "anna@a.example")); err != nil {
		t.Error(err)
	}
}

// TestMigrate brings a file of every version to the next, in a second file
// with one step more than there are today, so that the way is tried before
// the first release needs it.
func TestMigrate(t *testing.T) {
	t.Parallel()
	steps := append(migrations(), `ALTER TABLE accounts ADD COLUMN trial TEXT NOT NULL DEFAULT 'here'`)
	for from := 1; from < len(steps); from++ {
		path := filepath.Join(t.TempDir(), "accounts.db")
		errorless(t, os.WriteFile(path, nil, 0o600))
		db, err := connect(path, false)
		errorless(t, err)
		errorless(t, migrate(t.Context(), db, steps[:from]))
		_, err = db.Exec(`INSERT INTO domains VALUES (1, 'a.example', 1);
			INSERT INTO accounts (domain_id, local, password_hash, created_s) VALUES (1, 'anna', '', 1)`)
		errorless(t, err)
		for range 2 { // the second time there is nothing to do
			errorless(t, migrate(t.Context(), db, steps))
			var version int
			var trial string
			errorless(t, db.QueryRow(`PRAGMA user_version`).Scan(&version))
			errorless(t, db.QueryRow(`SELECT trial FROM accounts WHERE local = 'anna'`).Scan(&trial))
			if version != len(steps) || trial != "here" {
				t.Errorf("from %d: version %d, row %q", from, version, trial)
			}
		}
		// A step that breaks leaves the version before it.
		if err := migrate(t.Context(), db, append(steps, `CREATE TABLE half (x); SELECT * FROM nowhere`)); err == nil {
			t.Error("a broken step was taken")
		}
		var tables, version int
		errorless(t, db.QueryRow(`SELECT count(*) FROM sqlite_schema WHERE name = 'half'`).Scan(&tables))
		errorless(t, db.QueryRow(`PRAGMA user_version`).Scan(&version))
		if tables != 0 || version != len(steps) {
			t.Errorf("half a step stayed: %d tables, version %d", tables, version)
		}
		errorless(t, db.Close())
	}
}

func TestOlderReadOnly(t *testing.T) {
	t.Parallel()
	path := made(t)
	execute(t, path, `PRAGMA user_version = 0`)
	o := options(filepath.Dir(path))
	o.ReadOnly = true
	_, err := Open(t.Context(), o)
	wants(t, err, ErrOlder, "start maild once")
}

func TestClosedContext(t *testing.T) {
	t.Parallel()
	d := open(t, options(t.TempDir()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := d.Resolve(ctx, addr(t, "anna@a.example"))
	wants(t, err, context.Canceled)
	wants(t, d.AddDomain(ctx, "a.example"), context.Canceled)
}

func BenchmarkOpen(b *testing.B) {
	o := options(b.TempDir())
	populate(b, o, 10_000)
	for b.Loop() {
		d, err := Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRights needs a user whom the file modes hold back; root is not one.
func TestRights(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("file modes do not hold for root")
	}
	path := made(t)
	dir := filepath.Dir(path)
	t.Cleanup(func() { errorless(t, os.Chmod(dir, 0o700)) })

	errorless(t, os.Chmod(dir, 0o500))
	_, err := Open(t.Context(), options(dir))
	wants(t, err, fs.ErrPermission, "write in "+dir)

	// A copy on a medium that cannot be written can still be read.
	o := options(dir)
	o.ReadOnly = true
	d := open(t, o)
	if _, err := d.Account(t.Context(), addr(t, "anna@a.example")); err != nil {
		t.Error(err)
	}

	errorless(t, os.Chmod(path, 0))
	_, err = Open(t.Context(), o)
	wants(t, err, fs.ErrPermission, path)
	_, err = Open(t.Context(), options(filepath.Join(dir, "..", filepath.Base(dir))))
	wants(t, err, fs.ErrPermission)
}
