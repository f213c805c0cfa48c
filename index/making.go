package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// openOrMake opens the file at Path, and puts an empty one in place of what cannot be used.
func (ix *Index) openOrMake(ctx context.Context) (*generation, error) {
	g, err := openGeneration(ctx, ix.opt.Path, false)
	if err == nil {
		return g, nil
	}
	if err := ix.lock.acquire(lockPatience); err != nil {
		return nil, err
	}
	defer ix.lock.release()
	return ix.openOrMakeLocked(ctx)
}

// openOrMakeLocked looks again now that the lock is held: another process may have made the file meanwhile.
func (ix *Index) openOrMakeLocked(ctx context.Context) (*generation, error) {
	g, err := openGeneration(ctx, ix.opt.Path, false)
	switch {
	case err == nil:
		return g, nil
	case errors.Is(err, fs.ErrNotExist):
	case faultOf(err) == faultPassing, ctx.Err() != nil:
		return nil, fmt.Errorf("open %s: %w", ix.opt.Path, err)
	}
	if err := ix.setAside(err); err != nil {
		return nil, err
	}
	if err := ix.make(ctx); err != nil {
		return nil, err
	}
	return openGeneration(ctx, ix.opt.Path, false)
}

// setAside renames what stands at Path, so that it can be looked at, and clears the way for a new file. The lock is held.
func (ix *Index) setAside(cause error) error {
	aside := ix.asideName()
	_, statErr := os.Lstat(ix.opt.Path)
	// The main file goes first: a crash in between leaves a log without a file, which the next opening moves as well.
	if err := ix.moveAside(aside, "", "-wal", "-shm"); err != nil {
		return err
	}
	if statErr == nil {
		ix.log.Warn("index: set aside, making a new one", "path", ix.opt.Path, "aside", aside, "reason", cause)
	}
	ix.dropWrecks()
	return nil
}

// maxWrecks is how many former files are kept, the last ones: a disk that damages files time and again must not be filled with them.
const maxWrecks = 2

// dropWrecks removes the oldest of the former files. What cannot be removed is in the way of nothing.
func (ix *Index) dropWrecks() {
	list := ix.broken()
	slices.Sort(list) // their names end with the time
	for _, path := range list[:max(0, len(list)-maxWrecks)] {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				ix.log.Warn("index: cannot remove a former index", "path", path+suffix, "error", err)
			}
		}
	}
}

// Wrecks lists what is left of former files at path that were damaged or of another release, with what stood beside them.
func Wrecks(path string) ([]string, error) {
	return filepath.Glob(strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path) + ".broken-*")
}

// broken lists the former files themselves.
func (ix *Index) broken() []string {
	list, err := Wrecks(ix.opt.Path)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(list, func(s string) bool { return strings.HasSuffix(s, "-wal") || strings.HasSuffix(s, "-shm") })
}

func (ix *Index) asideName() string {
	return ix.opt.Path + ".broken-" + time.Now().UTC().Format("20060102T150405.000000Z")
}

// moveAside renames those of the files that are there.
func (ix *Index) moveAside(aside string, suffixes ...string) error {
	for _, suffix := range suffixes {
		if err := os.Rename(ix.opt.Path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set aside %s: %w", ix.opt.Path+suffix, err)
		}
	}
	return nil
}

// clearFormer takes away what old leaves at Path, if it was found damaged, or its log, if another file has taken its place:
// SQLite would read the one into the other. The lock is held.
func (ix *Index) clearFormer(old *generation, cause error) error {
	id, _, err := statID(ix.opt.Path)
	switch {
	case err != nil:
		return nil // openOrMakeLocked clears up before it makes a file
	case id == old.id && faultOf(cause) == faultDamaged:
		return ix.setAside(cause)
	case id == old.id:
		return nil
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	if wal, _, err := statID(ix.opt.Path + "-wal"); err != nil || wal != old.wal.id {
		return nil
	}
	return ix.moveAside(ix.asideName(), "-wal", "-shm")
}

// make puts an empty index at Path: it is made beside and renamed, so that nobody meets half of one. The lock is held.
func (ix *Index) make(ctx context.Context) error {
	path := ix.opt.Path
	beside := path + ".making"
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(beside + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make %s: %w", path, err)
		}
	}
	// Nobody but the daemon's user reads what mail is about. SQLite gives the log the mode of the file.
	f, err := os.OpenFile(beside, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	// It is synced once, when it is whole.
	db, err := sql.Open("sqlite", dsn(beside, "mode=rw", "_pragma=journal_mode(OFF)", "_pragma=synchronous(OFF)"))
	if err != nil {
		return err
	}
	err = create(ctx, db)
	if err == nil {
		_, err = db.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('headers', ?)`, ix.builtString())
	}
	if err == nil {
		_, err = db.ExecContext(ctx, `PRAGMA journal_mode = WAL`)
	}
	// The last connection folds the log into the file when it closes.
	if err = errors.Join(err, db.Close()); err == nil {
		err = syncFile(beside)
	}
	if err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	if err := os.Rename(beside, path); err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	return nil
}

// renew opens anew after old was found replaced or damaged. Where what stands at Path still is old, it is set aside. Whoever comes second finds the work done.
func (ix *Index) renew(ctx context.Context, old *generation, cause error) error {
	ix.wmu.Lock()
	defer ix.wmu.Unlock()
	if ix.current() != old || ix.closed.Load() {
		return nil
	}
	if err := ix.lock.acquire(lockPatience); err != nil {
		return err
	}
	defer ix.lock.release()
	if err := ix.clearFormer(old, cause); err != nil {
		return err
	}
	level := slog.LevelWarn
	if _, _, err := statID(ix.opt.Path); err == nil && faultOf(cause) == faultReplaced {
		level = slog.LevelInfo // a rebuild, most likely
	}
	g, err := ix.openOrMakeLocked(ctx)
	if err != nil {
		return err
	}
	ix.mu.Lock()
	ix.gen = g
	ix.mu.Unlock()
	ix.marks.addAll()
	ix.log.Log(ctx, level, "index: opened anew", "path", ix.opt.Path, "reason", cause)
	// SQLite sees that the file has moved, and leaves the new one's log alone.
	if err := old.close(); err != nil {
		ix.log.Warn("index: close the former file", "error", err)
	}
	return nil
}
