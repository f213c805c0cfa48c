package index

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// builtRow is a row on its way, with the id it had before; 0 = none.
type builtRow struct {
	row
	id int64
	in *builtFolder
}

// order is where the row goes.
func (r *builtRow) order() int64 {
	if r.id != 0 {
		return r.id
	}
	return r.arrived
}

// builtFolder is a folder being read.
type builtFolder struct {
	place
	stamp  Stamp
	sound  bool
	ids    map[string]int64 // those that are not the time of arrival, by key
	open   atomic.Int64     // files not yet written, and the listing
	failed atomic.Bool
}

// fill reads all mail and writes it.
func (rb *rebuild) fill(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	files := make(chan builtFile, 1024)
	rows := make(chan builtRow, 1024)
	var all, reading sync.WaitGroup
	for range readers() {
		reading.Go(func() { rb.read(ctx, files, rows) })
	}
	var done []*builtFolder
	all.Go(func() {
		var err error
		if done, err = rb.list(ctx, files); err != nil {
			cancel(err)
		}
		close(files)
		reading.Wait()
		close(rows)
	})
	err := rb.write(ctx, rows)
	if err != nil {
		cancel(err)
		for range rows { // lets the others end
		}
	}
	all.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	// Left apart, the segments of words would be merged by the first few deliveries, all at once, in the midst of a commit. The pages that this frees are
	// used by what is written next.
	err = rb.batch.run(func(b *batch) error {
		_, err := b.conn.ExecContext(ctx, `INSERT INTO terms (terms) VALUES ('optimize'); INSERT INTO bodies (bodies) VALUES ('optimize')`)
		return err
	})
	if err != nil {
		return err
	}
	return rb.batch.run(func(b *batch) error {
		if err := rb.writeReferences(); err != nil {
			return err
		}
		return rb.writeFolders(done)
	})
}

// builtFile is a file to be read.
type builtFile struct {
	in   *builtFolder
	file File
}

// list hands on every file there is.
func (rb *rebuild) list(ctx context.Context, files chan<- builtFile) (done []*builtFolder, err error) {
	source := rb.ix.opt.Source
	accounts, err := source.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	if rb.opt.Progress != nil {
		if err := rb.ix.countFiles(ctx, &rb.total); err != nil {
			return nil, err
		}
	}
	for _, account := range accounts {
		folders, err := source.Folders(ctx, account)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, name := range folders {
			f, err := rb.listFolder(ctx, place{account, name}, files)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			if f != nil {
				done = append(done, f)
			}
		}
	}
	return done, nil
}

func (rb *rebuild) listFolder(ctx context.Context, p place, files chan<- builtFile) (*builtFolder, error) {
	now := time.Now()
	source := rb.ix.opt.Source
	stamp, err := source.Stamp(ctx, p.account, p.folder)
	if err != nil {
		return nil, err
	}
	f := &builtFolder{place: p, stamp: stamp, sound: now.UnixNano()-max(stamp.New, stamp.Cur) >= int64(clockResolution), ids: rb.formerIDs(ctx, p)}
	rb.folders.Add(1)
	err = source.Scan(ctx, p.account, p.folder, WholeFolder, func(file File) error {
		select {
		case files <- builtFile{f, file}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	return f, err
}

// formerIDs are the ids of a folder's messages that cannot be told from their time of arrival. A former file that cannot be read has none.
func (rb *rebuild) formerIDs(ctx context.Context, p place) map[string]int64 {
	rows, err := rb.ix.current().read.QueryContext(ctx, `SELECT key, id FROM message
		WHERE folder = (SELECT id FROM folder WHERE account = ? AND name = ?) AND id != arrived`, p.account, p.folder)
	if err != nil {
		return nil
	}
	defer rows.Close()
	ids := map[string]int64{}
	for rows.Next() {
		var key string
		var id int64
		if rows.Scan(&key, &id) != nil {
			break
		}
		ids[key] = id
	}
	return ids
}

func (rb *rebuild) read(ctx context.Context, files <-chan builtFile, rows chan<- builtRow) {
	rc := &reconciler{ix: rb.ix}
	for f := range files {
		if ctx.Err() != nil {
			continue
		}
		rb.scanned.Add(1)
		pass := &folderPass{place: f.in.place}
		c := rc.readOne(ctx, job{in: pass, file: f.file})
		if pass.failed.Load() {
			rb.failed.Add(1)
			f.in.failed.Store(true)
		}
		if c.kind == changeNothing {
			continue
		}
		select {
		case rows <- builtRow{c.row, f.in.ids[c.row.key], f.in}:
		case <-ctx.Done():
		}
	}
}

// write gathers the rows in chunks and has them written, one while the next is gathered.
func (rb *rebuild) write(ctx context.Context, rows <-chan builtRow) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	chunks := make(chan []builtRow)
	var writer sync.WaitGroup
	writer.Go(func() {
		for chunk := range chunks {
			if ctx.Err() != nil {
				continue
			}
			// The key decides between equals, so that another rebuild gives the same ids, as a rule.
			slices.SortFunc(chunk, func(a, b builtRow) int { return cmp.Or(cmp.Compare(a.order(), b.order()), cmp.Compare(a.key, b.key)) })
			if err := rb.batch.run(func(*batch) error { return rb.writeChunk(chunk) }); err != nil {
				cancel(err)
			}
		}
	})
	var chunk []builtRow
	var octets int64
	most := firstChunk
	shown := time.Now()
	for r := range rows {
		octets += r.sizeOctets()
		if chunk = append(chunk, r); len(chunk) >= most || octets >= chunkOctets {
			chunks <- chunk
			most = min(2*most, chunkRows)
			chunk, octets = make([]builtRow, 0, most), 0
		}
		if rb.opt.Progress != nil && time.Since(shown) > showEvery {
			shown = time.Now()
			rb.progress()
		}
		if ctx.Err() != nil {
			break
		}
	}
	chunks <- chunk
	close(chunks)
	writer.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if rb.opt.Progress != nil {
		rb.progress()
	}
	return nil
}

func (rb *rebuild) progress() {
	rb.opt.Progress(Progress{Folders: rb.folders.Load(), Scanned: rb.scanned.Load(), Written: rb.written.Load(),
		Total: rb.total.Load(), Elapsed: time.Since(rb.start)})
}

func (rb *rebuild) writeChunk(chunk []builtRow) error {
	b := &rb.batch
	for i := range chunk {
		r := &chunk[i]
		id, exists, err := b.addAt(r.order(), &r.row)
		if err != nil {
			return err
		}
		if exists {
			continue // listed twice, as it was renamed meanwhile
		}
		rb.written.Add(1)
		for _, hash := range references(r.refs, r.inReplyTo) {
			rb.refs = append(rb.refs, referenceRow{hash, id})
		}
		if err := b.learn(r.words); err != nil {
			return err
		}
	}
	if len(rb.refs) >= maxReferenceRows {
		return rb.writeReferences()
	}
	return nil
}

func (rb *rebuild) writeReferences() error {
	slices.SortFunc(rb.refs, func(a, b referenceRow) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.id, b.id)) })
	const insert = `INSERT OR IGNORE INTO reference (hash, id) VALUES (?,?)`
	many, err := rb.batch.conn.PrepareContext(background(), insert+strings.Repeat(",(?,?)", referencesAtOnce-1))
	if err != nil {
		return err
	}
	defer many.Close()
	args := make([]any, 0, 2*referencesAtOnce)
	for group := range slices.Chunk(rb.refs, referencesAtOnce) {
		args = args[:0]
		for _, r := range group {
			args = append(args, r.hash, r.id)
		}
		if len(group) == referencesAtOnce {
			_, err = many.Exec(args...)
		} else {
			_, err = rb.batch.conn.ExecContext(background(), insert+strings.Repeat(",(?,?)", len(group)-1), args...)
		}
		if err != nil {
			return err
		}
	}
	rb.refs = rb.refs[:0]
	return nil
}

// writeFolders notes the folders, those without messages too, and the directory times that prove them complete.
func (rb *rebuild) writeFolders(done []*builtFolder) error {
	for _, f := range done {
		id, err := rb.batch.folder(f.place, true)
		if err != nil {
			return err
		}
		if !f.sound || f.failed.Load() {
			continue
		}
		if _, err := rb.batch.conn.ExecContext(background(), `UPDATE folder SET stamp_new = ?, stamp_cur = ? WHERE id = ?`, f.stamp.New, f.stamp.Cur, id); err != nil {
			return err
		}
	}
	return nil
}
