package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

var (
	errReplaced = errors.New("the file was removed or replaced")
	errNewer    = errors.New("written by a newer release")
	errForeign  = errors.New("not an index")
	errOlder    = errors.New("written by an older release")
)

// generation is one file that stood at Path, from opening to its end. SQLite goes on working on a file that was
// removed or replaced without noticing, so its identity is held against what stands at Path.
type generation struct {
	path    string
	id      fileID
	version int
	read    *sql.DB // as many connections as there are readers: a bounded pool could deadlock on itself
	write   *sql.DB

	mu     sync.Mutex // guards what follows; held only by who has the write turn, and close
	conn   *sql.Conn
	stmts  statements
	ids    idRun
	words  map[string]struct{} // of the table word, as far as known
	wal    fileID
	octets int64 // size of the main file when last looked at: it never shrinks
	mtime  time.Time

	folders sync.Map // folder id -> place
}

// fileID is a file's identity; the zero value is no file.
type fileID struct{ dev, ino uint64 }

func statID(path string) (fileID, fs.FileInfo, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return fileID{}, nil, err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, nil, fmt.Errorf("stat %s: no inode number", path)
	}
	return fileID{uint64(st.Dev), st.Ino}, fi, nil
}

// dsn names the file for the driver. All settings stand here, since a PRAGMA statement reaches one pooled connection only.
func dsn(path string, params ...string) string {
	escape := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23")
	q := url.Values{}
	q.Set("_txlock", "immediate")
	q.Add("_pragma", "busy_timeout(10000)")
	q.Add("_pragma", "foreign_keys(1)")
	q.Add("_pragma", "synchronous(NORMAL)")
	for _, p := range params {
		k, v, _ := strings.Cut(p, "=")
		q.Add(k, v)
	}
	return "file:" + escape.Replace(path) + "?" + q.Encode()
}

// openGeneration opens the file that stands at path. Its errors tell what is wrong with it: fs.ErrNotExist, errNewer, errOlder, errForeign,
// or SQLite's. Nothing is written.
func openGeneration(ctx context.Context, path string, readOnly bool) (*generation, error) {
	id, fi, err := statID(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() == 0 {
		return nil, errForeign
	}
	g := &generation{words: map[string]struct{}{}, path: path, id: id, octets: fi.Size(), mtime: fi.ModTime()}
	mode := "mode=rw"
	if readOnly {
		mode = "mode=ro"
	}
	if g.read, err = sql.Open("sqlite", dsn(path, mode, "_pragma=query_only(1)")); err != nil {
		return nil, err
	}
	g.read.SetMaxIdleConns(4)
	if g.write, err = sql.Open("sqlite", dsn(path, "mode=rw", "_pragma=journal_mode(WAL)", "_pragma=cache_size(-16000)", "_pragma=wal_autocheckpoint(4000)")); err != nil {
		return nil, err
	}
	g.write.SetMaxOpenConns(1)
	if err := g.check(ctx); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// check looks at the two numbers that tell whose file it is.
func (g *generation) check(ctx context.Context) error {
	var app int64
	err := g.read.QueryRowContext(ctx, `SELECT application_id, user_version FROM pragma_application_id, pragma_user_version`).Scan(&app, &g.version)
	switch {
	case err != nil:
		return err
	case app != applicationID || g.version < 1:
		return errForeign
	case g.version > schemaVersion:
		return fmt.Errorf("schema %d, this release knows %d: %w", g.version, schemaVersion, errNewer)
	case g.version < schemaVersion:
		return fmt.Errorf("schema %d: %w", g.version, errOlder)
	}
	return nil
}

// close is safe to call twice. The files must have been renamed before if they are to be kept as they are.
func (g *generation) close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var err error
	if g.conn != nil {
		g.stmts.close()
		err = g.conn.Close()
		g.conn = nil
	}
	return errors.Join(err, g.write.Close(), g.read.Close())
}

// writer gives the one connection that writes, opened when first needed. g.mu is held.
func (g *generation) writer(ctx context.Context) (*sql.Conn, error) {
	if g.conn != nil {
		return g.conn, nil
	}
	conn, err := g.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if err := g.stmts.prepare(ctx, conn); err != nil {
		conn.Close()
		return nil, err
	}
	g.conn = conn
	return conn, nil
}

// same holds the open file against what stands at Path now. g.mu is held.
func (g *generation) same() error {
	id, fi, err := statID(g.path)
	if err != nil || id != g.id {
		return errReplaced
	}
	if fi.Size() < g.octets {
		return fmt.Errorf("shrunk from %d to %d octets: %w", g.octets, fi.Size(), ErrDamaged)
	}
	g.octets = fi.Size()
	if g.conn == nil {
		return nil
	}
	wal, _, err := statID(g.path + "-wal")
	switch {
	case g.wal == fileID{} && err == nil:
		g.wal = wal
	case g.wal != fileID{} && wal != g.wal:
		return fmt.Errorf("its -wal was removed or replaced: %w", ErrDamaged)
	}
	return nil
}

// inspect reads the beginning of the main file itself, past the write-ahead log and SQLite's cache, if the file changed since the last time. The caller
// has the write turn and the file lock, so that no checkpoint is under way. g.mu is held.
func (g *generation) inspect(ctx context.Context) error {
	fi, err := os.Lstat(g.path)
	if err != nil {
		return errReplaced
	}
	if fi.ModTime().Equal(g.mtime) {
		return nil
	}
	db, err := sql.Open("sqlite", dsn(g.path, "mode=ro", "immutable=1"))
	if err != nil {
		return err
	}
	defer db.Close()
	var app, tables int64
	err = db.QueryRowContext(ctx, `SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id`).Scan(&app, &tables)
	if err == nil && (app != applicationID || tables == 0) {
		err = errForeign
	}
	if err == nil {
		g.mtime = fi.ModTime()
	}
	return err
}

// fault is what an error means for the file.
type fault int

const (
	faultNone     fault = iota
	faultOther          // of the rows or of the program: trying again does not help
	faultPassing        // locked, disk full, no descriptors: try again later
	faultReplaced       // another file, or none, stands at Path
	faultDamaged        // what stands at Path is no good
)

func faultOf(err error) fault {
	var se *sqlite.Error
	switch {
	case err == nil:
		return faultNone
	case errors.Is(err, errReplaced):
		return faultReplaced
	case errors.Is(err, ErrDamaged), errors.Is(err, errForeign), errors.Is(err, errNewer):
		return faultDamaged
	case errors.Is(err, errLocked):
		return faultPassing
	case errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone), strings.Contains(err.Error(), "database is closed"):
		return faultReplaced // another goroutine has opened anew
	case !errors.As(err, &se):
		return faultOther
	}
	switch se.Code() & 0xff {
	case sqlitelib.SQLITE_CORRUPT, sqlitelib.SQLITE_NOTADB:
		return faultDamaged
	case sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED, sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_IOERR,
		sqlitelib.SQLITE_READONLY, sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_NOMEM, sqlitelib.SQLITE_PROTOCOL:
		return faultPassing
	case sqlitelib.SQLITE_ERROR:
		if msg := err.Error(); strings.Contains(msg, "no such table") || strings.Contains(msg, "no such column") {
			return faultDamaged
		}
	}
	return faultOther
}
