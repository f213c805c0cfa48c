package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrNoIndex says that there is no index that could be copied: it is missing, damaged, of another release or not filled. Its remedy is to
// do without, for it can be made again from the mail.
var ErrNoIndex = errors.New("there is no index to copy")

// Backup copies the index at from, in which others may be writing, to opt.Path, and makes it what the mail of opt.Source is, which is a
// copy of the mail that it was about. Most messages need not be read for that. Until it is whole and on disk nothing stands at
// opt.Path; a file that does is replaced. The copy needs no log beside it, so that a read-only medium may hold it.
//
// Pages are copied with SQLite's VACUUM INTO, under one snapshot, which holds up no writer, but keeps the log from being folded into the
// file while it lasts. SQLite's backup interface would copy the free pages, too, and begin anew whenever another connection writes.
func Backup(ctx context.Context, from string, opt Options) (Report, error) {
	path, err := filepath.Abs(opt.Path)
	if err != nil {
		return Report{}, err
	}
	making := path + ".making"
	if err := removeDB(making); err != nil {
		return Report{}, fmt.Errorf("copy the index: %w", err)
	}
	r, err := backup(ctx, from, making, opt)
	if err == nil {
		err = os.Rename(making, path)
	}
	if err == nil {
		err = syncFile(filepath.Dir(path))
	}
	if err != nil {
		return r, fmt.Errorf("copy the index: %w", errors.Join(err, removeDB(making)))
	}
	return r, nil
}

func backup(ctx context.Context, from, making string, opt Options) (r Report, err error) {
	if err := vacuumInto(ctx, from, making); err != nil {
		return r, err
	}
	opt.Path, opt.KeepHeaders = making, true
	next, err := Open(ctx, opt)
	if err != nil {
		return r, err
	}
	r, err = next.reconcileInPlace(ctx)
	if err = errors.Join(err, next.Close()); err != nil {
		return r, err
	}
	if err := os.Remove(making + ".lock"); err != nil {
		return r, err
	}
	return r, withoutLog(ctx, making)
}

// vacuumInto makes a copy of the index at from.
func vacuumInto(ctx context.Context, from, to string) error {
	g, err := openGeneration(ctx, from, true)
	switch f := faultOf(err); {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errOlder), f == faultDamaged:
		return fmt.Errorf("%w: %w", ErrNoIndex, err)
	case err != nil:
		return err
	}
	_, filled, err := g.state(ctx)
	if err == nil && !filled {
		err = fmt.Errorf("%w: it is being filled", ErrNoIndex)
	}
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			err = f.Close()
		}
	}
	if err == nil {
		// The connections of a generation may write nothing at all, not even another file.
		var db *sql.DB
		if db, err = sql.Open("sqlite", dsn(g.path, "mode=ro")); err == nil {
			_, err = db.ExecContext(ctx, `VACUUM INTO ?`, to)
			err = errors.Join(err, db.Close())
		}
	}
	if faultOf(err) == faultDamaged {
		err = fmt.Errorf("%w: %w", ErrNoIndex, err)
	}
	return errors.Join(err, g.close())
}

// withoutLog folds the log of a file that nobody uses into it, for good.
func withoutLog(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", dsn(path, "mode=rw"))
	if err != nil {
		return err
	}
	var mode string
	err = db.QueryRowContext(ctx, `PRAGMA journal_mode = DELETE`).Scan(&mode)
	if err == nil && mode != "delete" {
		err = fmt.Errorf("its journal mode stays %s", mode)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	return syncFile(path)
}

// removeDB removes a database with what stands beside it.
func removeDB(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal", ".lock"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Check reads the whole index at path and says what is wrong with it: ErrDamaged, also for one of another release. A missing file is
// fs.ErrNotExist.
func Check(ctx context.Context, path string) error {
	g, err := openGeneration(ctx, path, true)
	if err == nil {
		err = errors.Join(g.examine(ctx), g.close())
	}
	switch {
	case errors.Is(err, errOlder), errors.Is(err, errForeign), errors.Is(err, errNewer):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	case err != nil:
		err = readError(err)
	}
	if err != nil {
		return fmt.Errorf("index %s: %w", path, err)
	}
	return nil
}
