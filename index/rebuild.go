package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrRebuilding says that another process is building the index anew. Its remedy is to wait for it.
var ErrRebuilding = errors.New("the index is being rebuilt already")

const (
	rebuildSuffix = ".rebuilding"
	// chunkRows and chunkOctets bound what is sorted and written at a time. Words are written fastest in the order of ids. The first chunks are smaller, so
	// that the writing begins soon.
	firstChunk  = 2500
	chunkRows   = 20_000
	chunkOctets = 32 << 20
	// catchUps is how often what changed meanwhile is looked for before the new file takes its place. What still changes then is found after it.
	catchUps = 3
	// showEvery is how often Progress is called.
	showEvery = 100 * time.Millisecond
)

// RebuildOptions say how.
type RebuildOptions struct {
	Progress func(Progress)
}

// Rebuild reads all mail again, in parallel, into a new file beside the one at Path, brings it up to what changed meanwhile, and puts it in
// its place by a rename. Until then the former one serves and is kept up to date, here and in other processes; they notice and open the new one. It may
// end at any point, by a power cut too: then the former one stands, and the next Rebuild begins anew. Ids stay what they are. A missing or
// damaged file is replaced as well. ErrRebuilding when another one is at work.
func (ix *Index) Rebuild(ctx context.Context, opt RebuildOptions) (Report, error) {
	if ix.opt.ReadOnly || ix.opt.Source == nil {
		return Report{}, errors.New("rebuild the index: it was opened read-only or without a source")
	}
	rb := &rebuild{ix: ix, opt: opt, start: time.Now(), path: ix.opt.Path + rebuildSuffix}
	unlock, err := rb.lock()
	if err != nil {
		return Report{}, fmt.Errorf("rebuild the index: %w", err)
	}
	defer unlock()
	err = rb.build(ctx)
	if err == nil {
		err = rb.catchUp(ctx)
	}
	if err == nil {
		err = rb.swap(ctx)
	}
	if err != nil {
		rb.remove()
		return rb.result(), fmt.Errorf("rebuild the index: %w", err)
	}
	if _, err := ix.Reconcile(ctx, ReconcileOptions{}); err != nil {
		return rb.result(), err
	}
	return rb.result(), nil
}

// rebuild is one at work.
type rebuild struct {
	ix    *Index
	opt   RebuildOptions
	start time.Time
	path  string // of the file that is being built

	batch   batch
	refs    []referenceRow
	seen    map[string]struct{} // words
	folders atomic.Int64
	scanned atomic.Int64
	failed  atomic.Int64
	total   atomic.Int64
	written atomic.Int64
}

type referenceRow struct{ hash, id int64 }

// referencesAtOnce are written by one statement.
const referencesAtOnce = 100

// maxReferenceRows is how many wait to be written in order: 64 MiB.
const maxReferenceRows = 4 << 20

func (rb *rebuild) result() Report {
	return Report{Scanned: rb.scanned.Load(), Added: rb.written.Load(), Failed: rb.failed.Load(), Elapsed: time.Since(rb.start)}
}

// lock makes the new file and holds an flock on it, so that two do not build at once. SQLite's own locks are of another kind.
func (rb *rebuild) lock() (unlock func(), err error) {
	for range attempts {
		f, err := os.OpenFile(rb.path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, ErrRebuilding
			}
			return nil, err
		}
		// Whoever held it before may have renamed it into place: then it is the index itself.
		info, err := f.Stat()
		if here, herr := os.Lstat(rb.path); err == nil && herr == nil && os.SameFile(info, here) {
			if err := f.Truncate(0); err != nil {
				f.Close()
				return nil, err
			}
			return func() { f.Close() }, nil
		}
		f.Close()
	}
	return nil, ErrRebuilding
}

// remove takes away what was built.
func (rb *rebuild) remove() {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(rb.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			rb.ix.log.Warn("index: cannot remove what was built", "path", rb.path+suffix, "error", err)
		}
	}
}

// indexesLater are made when all rows are there: that is faster.
const indexesLater = `CREATE INDEX message_message_id ON message (message_id) WHERE message_id != '';
CREATE INDEX message_folder ON message (folder, id, octets);
CREATE INDEX message_new ON message (folder) WHERE new = 1;
CREATE INDEX message_shifted ON message (folder) WHERE id != arrived;`

// build fills the new file. It is worth nothing until it is whole, so nothing is synced before.
func (rb *rebuild) build(ctx context.Context) error {
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if err := os.Remove(rb.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	db, err := sql.Open("sqlite", dsn(rb.path, "mode=rw", "_pragma=journal_mode(OFF)", "_pragma=synchronous(OFF)", "_pragma=cache_size(-128000)", "_pragma=locking_mode(EXCLUSIVE)"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := create(ctx, db); err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	exec := func(text string, args ...any) {
		if err == nil {
			_, err = conn.ExecContext(ctx, text, args...)
		}
	}
	exec(`DROP INDEX message_message_id; DROP INDEX message_folder; DROP INDEX message_new; DROP INDEX message_shifted`)
	exec(dropTotals)
	// A segment of words for each chunk, and no merging until all are there.
	exec(wordsConfig(134217728, 0, maxSegments))
	if err != nil {
		return err
	}
	var stmts statements
	if err := stmts.prepare(ctx, conn); err != nil {
		return err
	}
	rb.seen = map[string]struct{}{}
	rb.batch = batch{statements: &stmts, conn: conn, folders: map[place]int64{}, ids: &idRun{}, words: rb.seen, body: rb.ix.body.Load(), bulk: true}
	err = rb.fill(ctx)
	stmts.close()
	exec(indexesLater)
	exec(setTotals)
	exec(totals)
	exec(wordsConfig(1048576, 8, 16))
	exec(`INSERT OR REPLACE INTO meta (name, value) VALUES ('headers', ?), ('filled', ?)`, rb.ix.builtString(), filledMark)
	exec(`PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = WAL`)
	if err != nil {
		return err
	}
	return errors.Join(conn.Close(), db.Close())
}

// maxSegments is more than the chunks of ten million messages, and about what FTS5 takes.
const maxSegments = 1900

// wordsConfig sets options of the words (https://sqlite.org/fts5.html#special_insert_commands).
func wordsConfig(hashOctets, automerge, crisismerge int) string {
	var b strings.Builder
	for _, table := range []string{"terms", "bodies"} {
		fmt.Fprintf(&b, `INSERT INTO %[1]s (%[1]s, rank) VALUES ('hashsize', %[2]d), ('automerge', %[3]d), ('crisismerge', %[4]d);`, table, hashOctets, automerge, crisismerge)
	}
	return b.String()
}

// catchUp brings the new file up to what happened while it was built.
func (rb *rebuild) catchUp(ctx context.Context) error {
	opt := rb.ix.opt
	opt.Path = rb.path
	next := &Index{opt: opt, log: rb.ix.log, fields: rb.ix.fields}
	next.init()
	next.body.Store(rb.ix.body.Load())
	// It needs no lock: nobody else has this file.
	var err error
	if next.gen, err = openGeneration(ctx, rb.path, false); err != nil {
		return err
	}
	for range catchUps {
		var r Report
		if r, err = next.reconcileInPlace(ctx); err != nil || r.Added+r.Changed+r.Removed+r.Moved == 0 {
			break
		}
	}
	return errors.Join(err, next.Close())
}

// reconcileInPlace is Reconcile for a file that is not served: what is wrong with it ends the work.
func (ix *Index) reconcileInPlace(ctx context.Context) (Report, error) {
	r, _, err := ix.reconcileOnce(ctx, ReconcileOptions{}, time.Now())
	return r, err
}

// swap puts the new file in the place of the former one. In between there is a moment without a log beside the former file: a power cut then
// costs rows of the last minutes, and the directory times in that file tell so.
func (rb *rebuild) swap(ctx context.Context) error {
	if err := syncFile(rb.path); err != nil {
		return err
	}
	ix := rb.ix
	ix.wmu.Lock()
	defer ix.wmu.Unlock()
	if ix.closed.Load() {
		return errors.New("the index was closed")
	}
	if err := ix.lock.acquire(lockPatience); err != nil {
		return err
	}
	defer ix.lock.release()
	old := ix.current()
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Rename(ix.opt.Path+suffix, rb.path+".former"+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(rb.path, ix.opt.Path); err != nil {
		return err
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		// They are of no use to anybody; what cannot be removed now is in the way of nothing.
		_ = os.Remove(rb.path + ".former" + suffix)
	}
	if err := syncFile(filepath.Dir(ix.opt.Path)); err != nil {
		return err
	}
	g, err := openGeneration(ctx, ix.opt.Path, false)
	if err != nil {
		return err
	}
	ix.mu.Lock()
	ix.gen = g
	ix.mu.Unlock()
	ix.marks.addAll()
	return old.close()
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// countFiles adds up the files of all folders, by name only.
func (ix *Index) countFiles(ctx context.Context, n *atomic.Int64) error {
	source := ix.opt.Source
	accounts, err := source.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		folders, err := source.Folders(ctx, account)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, f := range folders {
			err := source.Scan(ctx, account, f, WholeFolder, func(File) error { n.Add(1); return nil })
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
