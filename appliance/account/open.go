package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"maild/appliance/aliases"
)

// What can be wrong with the file as a whole. Each leaves it untouched.
var (
	ErrDamaged = errors.New("accounts database is damaged")
	ErrNewer   = errors.New("accounts database was written by a newer maild")
	ErrOlder   = errors.New("accounts database was written by an older maild")
	ErrNotOurs = errors.New("not an accounts database of maild")
)

const (
	busyTimeout = 10 * time.Second // a change takes milliseconds; this is a stuck disk
	maxConns    = 8                // readers beside the one writer SQLite allows

	// verifications is how many passwords are verified at once: each takes
	// the memory its hash asks for, 64 MiB for ours.
	verifications = 2
)

// Open opens accounts.db, makes it when there is none, and brings the schema up
// to date. With ReadOnly it does neither: a missing file is fs.ErrNotExist, an
// older one ErrOlder. A file that cannot be trusted is ErrDamaged, ErrNewer or
// ErrNotOurs; missing rights are fs.ErrPermission.
func Open(ctx context.Context, o Options) (*Directory, error) {
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("accounts database: %w", err)
	}
	o.Path = path
	if err := prepare(ctx, o); err != nil {
		return nil, fmt.Errorf("accounts database: %w", err)
	}
	db, err := connect(path, o.ReadOnly)
	if err != nil {
		return nil, fmt.Errorf("accounts database %s: %w", path, err)
	}
	d := &Directory{db: db, options: o, slots: make(chan struct{}, verifications)}
	if o.Aliases != "" {
		d.aliases = aliases.Open(o.Aliases, fold, d.log())
	}
	if err := d.accept(ctx); err != nil {
		return nil, fmt.Errorf("accounts database %s: %w", path, errors.Join(err, db.Close()))
	}
	d.exists, err = db.PrepareContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM accounts a JOIN domains d ON d.id = a.domain_id WHERE d.name = ? AND a.local = ?)`)
	if err != nil {
		return nil, fmt.Errorf("accounts database %s: %w", path, errors.Join(err, db.Close()))
	}
	return d, nil
}

// prepare sees that there is a file that we may use. The file itself is not
// opened here: closing it again would drop the locks that SQLite holds on it
// elsewhere in this process (sqlite.org/howtocorrupt.html §2.2).
func prepare(ctx context.Context, o Options) error {
	info, err := os.Stat(o.Path)
	if errors.Is(err, fs.ErrNotExist) && !o.ReadOnly {
		return create(ctx, o.Path)
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w: not a regular file", o.Path, ErrNotOurs)
	}
	if info.Size() == 0 {
		// SQLite would take it for a new database, and every user would be
		// unknown: mail lost by permanent replies.
		return fmt.Errorf("%s: %w: the file is empty: restore it from a backup, or remove it to start without any account",
			o.Path, ErrDamaged)
	}
	return access(o)
}

// access says that rights are missing in better words than SQLite's "unable to
// open database file".
func access(o Options) error {
	mode := uint32(unix.R_OK)
	if !o.ReadOnly {
		mode |= unix.W_OK
		dir := filepath.Dir(o.Path)
		if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
			return &fs.PathError{Op: "write in", Path: dir, Err: err}
		}
	}
	if err := unix.Faccessat(unix.AT_FDCWD, o.Path, mode, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: "open", Path: o.Path, Err: err}
	}
	return nil
}

// create makes a new file beside the path, whole and on disk, and links it
// there. So nobody ever sees half of it, and of two processes that start at
// once both end with the same file. Only the owner can read it.
func create(ctx context.Context, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	temp := f.Name()
	if err := f.Close(); err != nil {
		return err
	}
	if err := errors.Join(fill(ctx, temp), link(temp, path)); err != nil {
		return fmt.Errorf("create %s: %w", path, errors.Join(err, os.Remove(temp)))
	}
	return os.Remove(temp)
}

func fill(ctx context.Context, path string) error {
	db, err := connect(path, false)
	if err != nil {
		return err
	}
	return errors.Join(useWAL(ctx, db), migrate(ctx, db, migrations()), db.Close())
}

func link(temp, path string) error {
	err := os.Link(temp, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// connect makes the pool. Pragmas stand in the DSN, where they hold for every
// connection of the pool.
func connect(path string, readOnly bool) (*sql.DB, error) {
	q := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"foreign_keys(1)",
		"synchronous(FULL)",
	}}
	if readOnly {
		q.Set("mode", "ro")
		if frozen(path) {
			q.Set("immutable", "1")
		}
	} else {
		q.Set("mode", "rw")
		q.Set("_txlock", "immediate")
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	return db, nil
}

// frozen reports whether the file stands where SQLite can keep no shared
// memory, as on a read-only medium, and is in nobody's use.
func frozen(path string) bool {
	err := unix.Faccessat(unix.AT_FDCWD, filepath.Dir(path), unix.W_OK, unix.AT_EACCESS)
	if err == nil {
		return false
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Lstat(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

func useWAL(ctx context.Context, db *sql.DB) error {
	var mode string
	if err := db.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("this file system cannot hold a write-ahead log (journal mode is %s)", mode)
	}
	return nil
}

// accept checks that the file is ours and whole before anything is written.
func (d *Directory) accept(ctx context.Context) error {
	version, err := d.inspect(ctx)
	if err != nil {
		return asDamage(err)
	}
	latest := len(migrations())
	switch {
	case version > latest:
		return fmt.Errorf("%w: its schema is %d, this program knows %d: install the newer package again", ErrNewer, version, latest)
	case d.options.ReadOnly && version < latest:
		return fmt.Errorf("%w: its schema is %d, this program needs %d: start maild once to bring it up to date", ErrOlder, version, latest)
	case d.options.ReadOnly:
		return nil
	}
	if err := useWAL(ctx, d.db); err != nil {
		return asDamage(err)
	}
	return asDamage(migrate(ctx, d.db, migrations()))
}

// inspect reads what the file says of itself and walks through its pages.
func (d *Directory) inspect(ctx context.Context) (version int, err error) {
	var id int
	if err := d.db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id); err != nil {
		return 0, err
	}
	if id != applicationID {
		return 0, fmt.Errorf("%w: its application_id is %#x", ErrNotOurs, id)
	}
	if err := d.db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return 0, err
	}
	if d.options.ReadOnly {
		return version, nil
	}
	var verdict string
	if err := d.db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return 0, err
	}
	if verdict != "ok" {
		return 0, fmt.Errorf("%w: %s: restore it from a backup", ErrDamaged, verdict)
	}
	return version, nil
}

// asDamage marks SQLite's verdicts about the file with ErrDamaged.
func asDamage(err error) error {
	var s *sqlite.Error
	if !errors.As(err, &s) {
		return err
	}
	switch s.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w: restore it from a backup", ErrDamaged, err)
	}
	return err
}
