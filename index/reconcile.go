package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"maild/index/header"
)

const (
	// clockResolution is how old a directory time must be before it proves that nothing was changed after the
	// scan: file systems count in jiffies, network ones in seconds.
	clockResolution = 2 * time.Second
	// turnTime is how long a transaction of many changes goes on taking more: who delivers waits no longer than about that.
	turnTime = 20 * time.Millisecond
	// yieldFor lets another process, which polls for its turn, write between two batches.
	yieldFor = 2 * time.Millisecond
	// gatherFor is how long a batch waits for more rows.
	gatherFor = 30 * time.Millisecond
	// waiting is how many files wait for a reader, and changes for the writer.
	waiting = 256
	// attempts is how often a reconcile begins again because the file was replaced under it.
	attempts = 5
)

// ReconcileOptions say what to look at.
type ReconcileOptions struct {
	Accounts []string // "user@domain"; none = all, and accounts that are gone are removed
	Force    bool     // scan folders whose directory times have not changed, too
	Stat     bool     // look at the size and time of each file of the folders that are scanned
	Reparse  bool     // read every file again and mend its row in place; ids stay, search goes on
	Progress func(Progress)

	events  map[fileKey]Event   // look at these files only
	folders map[string][]string // of these accounts, look at these folders only
}

// Progress is called from one goroutine, after each batch.
type Progress struct {
	Folders, FoldersDone int64 // Folders grows as accounts are met
	Scanned, Written     int64 // files seen, rows committed
	Total                int64 // files there are; 0 = not known
	Elapsed              time.Duration
}

// Report says what a reconcile found.
type Report struct {
	Scanned int64 // files seen; those of folders that were not scanned do not count
	Added   int64
	Changed int64 // flags, and with Reparse contents
	Removed int64
	Moved   int64 // rows that followed their message to another folder or name
	Failed  int64 // files that cannot be read; their folders are scanned again next time
	Elapsed time.Duration
}

// Reconcile makes the rows of the given accounts what the Source holds. A folder whose directory times are those of its last
// complete scan costs one Stamp. It may be interrupted at any point and works beside Run, Record and other processes: a message that is
// recorded meanwhile is neither doubled nor lost. A damaged or replaced file is set aside and filled anew. Where
// Options.Headers are not those the file was built with, a Reparse of everything is what it does.
//
// Files that cannot be read are counted, not reported as an error; an error means that the work is not complete.
func (ix *Index) Reconcile(ctx context.Context, opt ReconcileOptions) (Report, error) {
	start := time.Now()
	if ix.opt.Source == nil {
		return Report{}, errors.New("reconcile: there is no source to follow")
	}
	ix.reconciles.Add(1)
	defer ix.reconciles.Add(-1)
	var (
		report Report
		err    error
	)
	for range attempts {
		var g *generation
		report, g, err = ix.reconcileOnce(ctx, opt, start)
		if f := faultOf(err); f != faultReplaced && f != faultDamaged {
			break
		}
		if rerr := ix.renew(ctx, g, err); rerr != nil {
			err = rerr
			break
		}
	}
	report.Elapsed = time.Since(start)
	if err != nil {
		return report, fmt.Errorf("reconcile: %w", err)
	}
	ix.lastReconcile.Store(time.Now().UnixNano())
	return report, nil
}

// reconcilePlaces is Reconcile for what Run found marked.
func (ix *Index) reconcilePlaces(ctx context.Context, all, sweep bool, places map[place]bool) error {
	if ix.opt.Source == nil {
		return nil
	}
	if all {
		report, err := ix.Reconcile(ctx, ReconcileOptions{Force: true, Stat: true})
		if err == nil && report.Added+report.Changed+report.Removed+report.Failed > 0 {
			ix.log.Info("index: reconciled", "scanned", report.Scanned, "added", report.Added, "changed", report.Changed,
				"removed", report.Removed, "failed", report.Failed, "elapsed", report.Elapsed)
		}
		return err
	}
	if sweep {
		_, err := ix.Reconcile(ctx, ReconcileOptions{})
		if err != nil || len(places) == 0 {
			return err
		}
	}
	accounts, folders := placesOf(places)
	_, err := ix.Reconcile(ctx, ReconcileOptions{Accounts: accounts, Force: true, Stat: true, folders: folders})
	return err
}

// reconciler is one pass. A walker finds out what differs, readers parse the files, and the calling goroutine writes.
type reconciler struct {
	ix      *Index
	gen     *generation // all reading and writing is for this one: what was read from one file says nothing of another
	opt     ReconcileOptions
	start   time.Time
	jobs    chan job
	changes chan change
	inHand  sync.WaitGroup // jobs whose change is not handed on yet
	doomed  []change       // folders that are gone
	cancel  context.CancelCauseFunc

	folders, scanned atomic.Int64
	failed           atomic.Int64
	report           Report
	foldersDone      int64
	written          int64
}

// job is a file to be read.
type job struct {
	in    *folderPass
	file  File
	again bool // its row is there: bring it up to date
}

// folderPass is one folder in a pass. Its stamp is stored when the walker and all readers are through with it.
type folderPass struct {
	place
	stamp    Stamp
	part     Part         // what is compared
	sound    bool         // the stamp is old enough to be trusted
	compared bool         // all its files are compared with its rows
	open     atomic.Int64 // the walker and the jobs not yet written
	failed   atomic.Bool
}

type changeKind uint8

const (
	changeAdd changeKind = iota
	changeRefresh
	changeFlags
	changeRemove
	changeFolderGone
	changeNothing // a job that came to nothing
)

// change is something to be written.
type change struct {
	kind  changeKind
	in    *folderPass
	row   row // add, refresh; flags: key, flags and new
	was   stored
	links bool                  // remove: the file was touched before it went, and with it those that are linked to it
	isKey func(key string) bool // remove: only if the row still is of that key
}

func (ix *Index) reconcileOnce(ctx context.Context, opt ReconcileOptions, start time.Time) (Report, *generation, error) {
	gen := ix.current()
	built, filled, err := gen.state(ctx)
	if err != nil {
		return Report{}, gen, err
	}
	whole := opt.events == nil && len(opt.Accounts) == 0
	rebuild := built != ix.builtString()
	if rebuild && opt.events != nil {
		return Report{}, gen, nil // the whole is about to be read
	}
	if rebuild {
		opt.Reparse, opt.Accounts, opt.folders, whole = true, nil, nil, true
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	rc := &reconciler{ix: ix, gen: gen, opt: opt, start: start, cancel: cancel, jobs: make(chan job, waiting), changes: make(chan change, waiting)}
	var wg, reading sync.WaitGroup
	for range readers() {
		reading.Go(func() { rc.read(ctx) })
	}
	wg.Go(func() {
		walk := rc.walk
		if opt.events != nil {
			walk = rc.walkEvents
		}
		err := walk(ctx)
		if err != nil {
			cancel(err)
		}
		close(rc.jobs)
		reading.Wait()
		for i := 0; i < len(rc.doomed) && err == nil; i++ {
			rc.emit(ctx, rc.doomed[i])
		}
		close(rc.changes)
	})
	err = rc.write(ctx)
	if err != nil {
		cancel(err)
		for range rc.changes { // lets the others end
		}
	}
	wg.Wait()
	rc.report.Scanned, rc.report.Failed = rc.scanned.Load(), rc.failed.Load()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil && rebuild && rc.report.Failed == 0 {
		err = rc.storeMeta(ctx, "headers", ix.builtString())
	}
	if err == nil && whole && !filled {
		err = rc.storeMeta(ctx, "filled", filledMark)
	}
	return rc.report, gen, err
}

// read parses files until there are no more.
func (rc *reconciler) read(ctx context.Context) {
	for j := range rc.jobs {
		c := change{kind: changeNothing, in: j.in}
		if ctx.Err() == nil {
			c = rc.readOne(ctx, j)
		}
		rc.emit(ctx, c)
		rc.inHand.Done()
	}
}

func (rc *reconciler) readOne(ctx context.Context, j job) change {
	content, f, err := rc.ix.opt.Source.Read(ctx, j.in.account, j.in.folder, j.file, rc.ix.want())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return change{kind: changeNothing, in: j.in}
	case err != nil:
		if ctx.Err() == nil {
			rc.failed.Add(1)
			rc.ix.log.Warn("index: cannot read a message", "account", j.in.account, "mailbox", j.in.folder, "key", j.file.Key, "error", err)
		}
		j.in.failed.Store(true)
		return change{kind: changeNothing, in: j.in}
	}
	kind := changeAdd
	if rc.opt.Reparse || j.again {
		kind = changeRefresh
	}
	return change{kind: kind, in: j.in, row: newRow(Message{
		Account: j.in.account, Folder: j.in.folder, Key: f.Key, Flags: f.Flags, New: f.New, Octets: f.Octets, Arrived: f.Arrived,
		Header: header.Parse(content.Header), Attachment: content.Attachment, Body: content.Text,
	}, rc.ix.fields)}
}

// readers is how many files are read at a time: a disk is busy with several, even where there are few processors.
func readers() int { return max(8, runtime.GOMAXPROCS(0)) }

// emit hands a change to the writer. It reports whether it was taken.
func (rc *reconciler) emit(ctx context.Context, c change) bool {
	select {
	case rc.changes <- c:
		return true
	case <-ctx.Done():
		return false
	}
}

// notBuilt stands for the further fields of a file that was never filled.
const notBuilt = "?"

// state gives what the rows in the file are built with (notBuilt in an empty one), and whether all mail there was has been read into it.
func (g *generation) state(ctx context.Context) (built string, filled bool, err error) {
	rows, err := g.read.QueryContext(ctx, `SELECT name, value FROM meta`)
	if err != nil {
		return "", false, err
	}
	defer rows.Close()
	built = notBuilt
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return "", false, err
		}
		switch name {
		case "headers":
			built = value
		case "filled":
			filled = value == filledMark
		}
	}
	return built, filled, rows.Err()
}

// builtWith is the set of further fields the rows in the file have.
func (g *generation) builtWith(ctx context.Context) (string, error) {
	built, _, err := g.state(ctx)
	return built, err
}

// bodyMark stands at the end of what the rows are built with where bodies are indexed. No header field has such a name.
const bodyMark = "(body)"

// builtString is what the rows are to be built with: the further fields, and whether the bodies.
func (ix *Index) builtString() string {
	s := ix.fields.String()
	if ix.body.Load() {
		s = strings.TrimSpace(s + " " + bodyMark)
	}
	return s
}

// readBuilt reads what builtString wrote.
func readBuilt(s string) (fields fieldFilter, body bool) {
	s, body = strings.CutSuffix(s, bodyMark)
	return newFieldFilter(strings.Fields(s)), body
}

func (rc *reconciler) storeMeta(ctx context.Context, name, value string) error {
	_, err := rc.ix.writeBatch(ctx, rc.gen, func(b *batch) error { return b.setMeta(name, value) })
	return err
}

func (b *batch) setMeta(name, value string) error {
	_, err := b.conn.ExecContext(background(), `INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)`, name, value)
	return err
}

// filledMark is what meta 'filled' says once all mail there was has been read into the file.
const filledMark = "1"

// accounts gives the accounts to look at, and whether they are all there are.
func (rc *reconciler) accounts(ctx context.Context) (list []string, all bool, err error) {
	if len(rc.opt.Accounts) > 0 {
		for _, a := range rc.opt.Accounts {
			list = append(list, strings.ToLower(a))
		}
		return list, false, nil
	}
	list, err = rc.ix.opt.Source.Accounts(ctx)
	return list, true, err
}
