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
	"sync/atomic"
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

	mu    sync.Mutex // guards what follows; held only by who has the write turn, and close
	conn  *sql.Conn
	stmts statements
	ids   idRun
	words map[string]struct{} // of the table word, as far as known
	main  seenFile
	wal   seenFile
	doubt bool // another has written to one of them since it was last examined

	folders sync.Map    // folder id -> place
	filled  atomic.Bool // all mail there was has been read into it; it stays so
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
	g := &generation{words: map[string]struct{}{}, path: path, id: id, main: seenFile{id, fi.Size(), fi.ModTime()}}
	mode := "mode=rw"
	if readOnly {
		mode = "mode=ro"
	}
	if g.read, err = sql.Open("sqlite", dsn(path, mode, "_pragma=query_only(1)")); err != nil {
		return nil, err
	}
	g.read.SetMaxIdleConns(4)
	if g.write, err = sql.Open("sqlite", dsn(path, "mode=rw", "_pragma=journal_mode(WAL)", "_pragma=foreign_keys(1)", "_pragma=synchronous(NORMAL)", "_pragma=cache_size(-16000)", "_pragma=wal_autocheckpoint(0)")); err != nil {
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
	err := g.read.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&app)
	if err == nil {
		err = g.read.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&g.version)
	}
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

// seenFile is what a file was when it was last looked at.
type seenFile struct {
	id     fileID
	octets int64
	time   time.Time // of its last change
}

// errShrunk says that a file lost what it had. Neither of the two ever gets shorter by what SQLite does while they are open.
var errShrunk = fmt.Errorf("it got shorter: %w", ErrDamaged)

// again looks once more at the file at path. other reports whether somebody has written to it since. The error is fs.ErrNotExist, errReplaced or errShrunk.
func (f *seenFile) again(path string) (other bool, err error) {
	id, fi, err := statID(path)
	switch {
	case err != nil:
		return false, err
	case f.id != fileID{} && id != f.id:
		return false, errReplaced
	case fi.Size() < f.octets:
		return false, errShrunk
	}
	other = f.id != fileID{} && !fi.ModTime().Equal(f.time)
	*f = seenFile{id, fi.Size(), fi.ModTime()}
	return other, nil
}

// same holds the open file and its log against what stands at Path now. They are in doubt when anything has been written to the file, which only
// checkpoint does here, or to the log but by this process (wrote): it may have been another's transaction, or not. g.mu is held, and so are the
// write turn and the file lock, as a rule.
func (g *generation) same(wrote bool) error {
	other, err := g.main.again(g.path)
	switch {
	case errors.Is(err, ErrDamaged):
		return err
	case err != nil:
		return errReplaced
	}
	g.doubt = g.doubt || other
	if g.conn == nil {
		return nil
	}
	had := g.wal.id != fileID{}
	other, err = g.wal.again(g.path + "-wal")
	switch {
	case errors.Is(err, fs.ErrNotExist) && !had:
		return nil
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("its -wal: %w", err)
	case err != nil:
		return fmt.Errorf("its -wal was removed or replaced: %w", ErrDamaged)
	}
	g.doubt = g.doubt || other && !wrote
	return nil
}

// checkpointPages is how much of the log waits before it is folded into the file: 16 MiB.
const checkpointPages = 4000

// checkpoint folds the log into the file when there is enough in it. SQLite would do so by itself in the midst of a commit; then nobody could tell
// a file that it has written from one that another program has. The same holds as for same, which has just been called.
func (g *generation) checkpoint() error {
	var busy, pages, folded int64
	if err := g.stmts.logSize.QueryRow().Scan(&busy, &pages, &folded); err != nil || pages-folded < checkpointPages {
		return err
	}
	if err := g.stmts.fold.QueryRow().Scan(&busy, &pages, &folded); err != nil {
		return err
	}
	_, err := g.main.again(g.path)
	if errors.Is(err, fs.ErrNotExist) {
		return errReplaced
	}
	return err
}

// inspect reads the beginning of the main file itself, past the write-ahead log and SQLite's cache, if the files are in doubt. It reports whether
// the rest is to be examined. The caller has the write turn and the file lock, so that no checkpoint is under way. g.mu is held.
func (g *generation) inspect(ctx context.Context) (doubt bool, err error) {
	if !g.doubt {
		return false, nil
	}
	db, err := sql.Open("sqlite", dsn(g.path, "mode=ro", "immutable=1"))
	if err != nil {
		return false, err
	}
	defer db.Close()
	var app, tables int64
	err = db.QueryRowContext(ctx, `SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id`).Scan(&app, &tables)
	if err == nil && (app != applicationID || tables == 0) {
		err = errForeign
	}
	if err == nil {
		g.doubt = false
	}
	return true, err
}

// examine reads the whole file and its log, with no lock but a reader's, through a connection that has nothing in its cache.
func (g *generation) examine(ctx context.Context) error {
	db, err := sql.Open("sqlite", dsn(g.path, "mode=ro"))
	if err != nil {
		return err
	}
	defer db.Close()
	found, err := quickCheck(ctx, db, 1)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("%s: %w", found[0], ErrDamaged)
	}
	return err
}

// quickCheck gives what SQLite finds wrong with the file as a whole, at most so many faults.
func quickCheck(ctx context.Context, db *sql.DB, most int) (found []string, err error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	// QUIRK: the check goes by what FTS5 of this connection remembers of its segments, and calls those damaged that were merged since by another.
	// A query in the same transaction has it look.
	for _, text := range []string{`SELECT count(*) FROM terms WHERE terms MATCH 'x'`, `SELECT count(*) FROM bodies WHERE bodies MATCH 'x'`} {
		var n int64
		if err := tx.QueryRowContext(ctx, text).Scan(&n); err != nil {
			return nil, err
		}
	}
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(`PRAGMA quick_check(%d)`, most))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, err
		}
		if line != "ok" {
			found = append(found, line)
		}
	}
	return found, rows.Err()
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
