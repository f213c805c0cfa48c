package index

import (
	"context"
	"fmt"
	"os"
	"strings"
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
	built, err := g.builtWith(ctx)
	if err != nil {
		return s, fmt.Errorf("index status: %w", readError(err))
	}
	s.Headers = newFieldFilter(strings.Fields(built)).list()
	for _, suffix := range []string{"", "-wal"} {
		if fi, err := os.Stat(ix.opt.Path + suffix); err == nil {
			s.Octets += fi.Size()
		}
	}
	return s, nil
}

// Usage gives the number and the total size of an account's messages, all folders taken together.
func (ix *Index) Usage(ctx context.Context, account string) (messages, octets int64, err error) {
	err = ix.current().read.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(octets), 0) FROM message
		WHERE folder IN (SELECT id FROM folder WHERE account = ?)`, strings.ToLower(account)).Scan(&messages, &octets)
	if err != nil {
		return 0, 0, fmt.Errorf("usage of %s: %w", account, readError(err))
	}
	return messages, octets, nil
}
