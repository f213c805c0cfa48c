package index

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Status is the state of the index.
type Status struct {
	Path          string
	SchemaVersion int
	Messages      int64
	Accounts      int64
	Folders       int64
	Octets        int64     // of the file and its log on disk
	Pending       int       // recorded in this process, not yet written
	Rebuilding    bool      // this process is reconciling now
	LastReconcile time.Time // by this process; zero = none yet
	Filled        bool      // false while a new file is being filled for the first time
	Total         int64     // files there are, counted while it is being filled; else 0
	Body          bool      // the text of messages is indexed
	Broken        []string  // former files that were set aside
	Headers       []string  // further fields the rows have
}

// Status counts what is there.
func (ix *Index) Status(ctx context.Context) (Status, error) {
	g := ix.current()
	s := Status{Path: ix.opt.Path, SchemaVersion: g.version, Pending: ix.queue.pending(), Rebuilding: ix.reconciles.Load() > 0}
	if ns := ix.lastReconcile.Load(); ns != 0 {
		s.LastReconcile = time.Unix(0, ns).UTC()
	}
	err := g.read.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM message), (SELECT count(DISTINCT account) FROM folder), (SELECT count(*) FROM folder)`).
		Scan(&s.Messages, &s.Accounts, &s.Folders)
	if err != nil {
		return s, fmt.Errorf("index status: %w", readError(err))
	}
	built, filled, err := g.state(ctx)
	if err != nil {
		return s, fmt.Errorf("index status: %w", readError(err))
	}
	fields, body := readBuilt(built)
	s.Headers, s.Body, s.Filled, s.Broken = fields.list(), body, filled, ix.broken()
	if !s.Filled && ix.opt.Source != nil {
		var n atomic.Int64
		if err := ix.countFiles(ctx, &n); err != nil {
			return s, fmt.Errorf("index status: %w", err)
		}
		s.Total = n.Load()
	}
	for _, suffix := range []string{"", "-wal"} {
		if fi, err := os.Stat(ix.opt.Path + suffix); err == nil {
			s.Octets += fi.Size()
		}
	}
	return s, nil
}

// Filled says whether all mail there was has been read into the file, and if not, how many messages of how many.
func (ix *Index) Filled(ctx context.Context) (filled bool, have, total int64, err error) {
	g := ix.current()
	if _, filled, err = g.state(ctx); err != nil || filled {
		return filled, 0, 0, readError(err)
	}
	if err := g.read.QueryRowContext(ctx, "SELECT count(*) FROM message").Scan(&have); err != nil {
		return false, 0, 0, readError(err)
	}
	if ix.opt.Source != nil {
		var n atomic.Int64
		if err := ix.countFiles(ctx, &n); err != nil {
			return false, 0, 0, err
		}
		total = n.Load()
	}
	return false, have, total, nil
}
