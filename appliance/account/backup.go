package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// copyMaking ends the name of a copy that is not whole yet.
const copyMaking = ".making"

// Copy writes the accounts database at from, which others may be changing, to the file at to: one consistent state of it, in one file
// that needs no log beside it. When it returns nil the copy is on disk; until then nothing stands at to, which is replaced. Nothing is
// checked but what SQLite reads on the way, and an older schema stays what it is: [Open] brings a copy up to date.
//
// VACUUM INTO reads under one snapshot, so that it holds up no writer, and everything is read as rows: what is damaged is an error here,
// not in the copy. SQLite's backup interface would copy pages, the damaged and the free ones too, and begin anew at each change.
func Copy(ctx context.Context, from, to string) error {
	if err := copyDB(ctx, from, to); err != nil {
		return fmt.Errorf("copy the accounts database %s: %w", from, asDamage(err))
	}
	return nil
}

func copyDB(ctx context.Context, from, to string) error {
	from, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	if err := prepare(ctx, Options{Path: from, ReadOnly: true}); err != nil {
		return err
	}
	db, err := connect(from, true)
	if err != nil {
		return err
	}
	making := to + copyMaking
	if err := os.Remove(making); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, db.Close())
	}
	// SQLite takes an empty file, and this one nobody else can read.
	f, err := os.OpenFile(making, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, making)
	if err = errors.Join(err, db.Close()); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(making))
	}
	if err := os.Rename(making, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Check reads the whole file at path, which nobody is changing, and says what is wrong with it: ErrDamaged, ErrNewer or ErrNotOurs. An
// older schema is nothing wrong.
func Check(ctx context.Context, path string) error {
	d, err := Open(ctx, Options{Path: path, ReadOnly: true})
	if errors.Is(err, ErrOlder) {
		err = nil
	}
	if err != nil {
		return err
	}
	if d != nil {
		if err := d.Close(); err != nil {
			return err
		}
	}
	db, err := connect(path, true)
	if err != nil {
		return fmt.Errorf("accounts database %s: %w", path, err)
	}
	var verdict string
	err = db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("accounts database %s: %w", path, asDamage(err))
	}
	if verdict != "ok" {
		return fmt.Errorf("accounts database %s: %w: %s", path, ErrDamaged, verdict)
	}
	return nil
}
