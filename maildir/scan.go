package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// scanChunk is how many directory entries are held in memory at a time.
const scanChunk = 512

// StaleTmpAge is the age at which the Maildir specification lets a file in tmp/ be taken for abandoned.
const StaleTmpAge = 36 * time.Hour

// Scan calls fn for each message of a folder: first those in new/, then those in cur/, in the order of the directory. Memory
// does not grow with the folder. An error of fn ends the scan and is returned as it is.
//
// A message taken from new/ to cur/ during the scan is seen at least once, perhaps twice. One whose flags change
// during the scan can be missed, as readdir does not promise to show a name that moves: whoever must know them all
// compares [Tree.Stamp] from before and after. Files that vanish are no error.
func (t *Tree) Scan(folder string, fn func(Entry) error) error {
	return t.scan(folder, fn, subNew, subCur)
}

// ScanNew is Scan for the messages in new/ alone.
func (t *Tree) ScanNew(folder string, fn func(Entry) error) error { return t.scan(folder, fn, subNew) }

func (t *Tree) scan(folder string, fn func(Entry) error, subs ...string) error {
	for _, sub := range subs {
		d, err := t.acquire(folder, sub)
		if sub == subNew && errors.Is(err, fs.ErrNotExist) {
			continue // no new/ is an empty one; without cur/ it is no folder
		}
		if err != nil {
			return fmt.Errorf("scan %s: %w", folder, err)
		}
		var stopped error
		err = d.messages(func(key Key, flags Flags, _ string) error {
			stopped = fn(Entry{Folder: folder, Key: key, Flags: flags, New: sub == subNew})
			return stopped
		})
		d.release()
		if stopped != nil {
			return stopped
		}
		if err != nil {
			return fmt.Errorf("scan %s: %w", folder, err)
		}
	}
	return nil
}

// messages calls fn for each message in d.
func (d *dir) messages(fn func(key Key, flags Flags, base string) error) error {
	return d.entries(func(entry fs.DirEntry) error {
		if !entry.Type().IsRegular() {
			return nil
		}
		base := entry.Name()
		key, flags, ok := ParseFileName(base)
		if !ok {
			return nil
		}
		return fn(key, flags, base)
	})
}

// entries calls fn for each entry of d, a chunk in memory at a time.
func (d *dir) entries(fn func(fs.DirEntry) error) error {
	f, err := d.list()
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		chunk, err := f.ReadDir(scanChunk)
		for _, entry := range chunk {
			if err := fn(entry); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Stamp holds when the two directories of a folder last changed: nanoseconds since 1970, 0 for a new/ that is
// missing. Equal stamps mean equal listings, unless a change fell within the file system's clock tick (up to 10 ms)
// of the stamp's own time.
type Stamp struct{ New, Cur int64 }

// Stamp reads a folder's times: two or three stats, whatever the folder's size. The error matches [fs.ErrNotExist]
// when there is no such folder.
func (t *Tree) Stamp(folder string) (Stamp, error) {
	stamp, err := t.stamp(folder)
	if err != nil {
		return Stamp{}, fmt.Errorf("stamp %s: %w", folder, err)
	}
	return stamp, nil
}

func (t *Tree) stamp(folder string) (Stamp, error) {
	names, err := folderDirs(folder)
	if err != nil {
		return Stamp{}, err
	}
	path := t.path
	if folder != Inbox {
		path = joinPath(t.path, names[0])
		_, err := dirTime(path) // refuses a link
		if len(names) > 1 && errors.Is(err, fs.ErrNotExist) {
			path = joinPath(t.path, names[1])
			_, err = dirTime(path)
		}
		if err != nil {
			return Stamp{}, err
		}
	}
	var stamp Stamp
	if stamp.New, err = dirTime(joinPath(path, subNew)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Stamp{}, err
	}
	if stamp.Cur, err = dirTime(joinPath(path, subCur)); err != nil {
		return Stamp{}, err
	}
	return stamp, nil
}

// dirTime returns the modification time of a directory that is no link.
func dirTime(path string) (int64, error) {
	st, err := lstat(path)
	if err != nil {
		return 0, err
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: syscall.ENOTDIR}
	}
	return st.Mtim.Nano(), nil
}

// CleanTmp removes from the tmp/ of every folder the files that were neither written nor renamed for age before now,
// usually [StaleTmpAge], and what a killed [Tree.RemoveFolder] left. It goes on after an error and returns them all,
// with the number of files and folders removed.
func (t *Tree) CleanTmp(now time.Time, age time.Duration) (removed int, err error) {
	folders, err := t.Folders()
	if err != nil {
		return 0, fmt.Errorf("clean tmp: %w", err)
	}
	var errs []error
	for _, folder := range folders {
		tmp, err := t.acquire(folder, subTmp)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		n, err := tmp.clean(now.Add(-age))
		tmp.release()
		removed += n
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return removed, fmt.Errorf("clean tmp: %w", err)
	}
	return removed, nil
}

// clean removes what did not change after limit.
func (d *dir) clean(limit time.Time) (removed int, err error) {
	var errs []error
	err = d.entries(func(entry fs.DirEntry) error {
		name := entry.Name()
		st, err := d.stat(name)
		// The inode's change time counts, too: rsync and cp -p give a file that they are still writing an old modification time.
		if err != nil || max(st.Mtim.Nano(), st.Ctim.Nano()) > limit.UnixNano() {
			return nil
		}
		switch {
		case st.Mode&syscall.S_IFMT == syscall.S_IFREG:
			err = d.remove(name)
		case st.Mode&syscall.S_IFMT == syscall.S_IFDIR && strings.HasPrefix(name, removedPrefix):
			err = d.removeAll(name)
		default:
			return nil
		}
		if err == nil {
			removed++
		} else if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		return nil
	})
	return removed, errors.Join(append(errs, err)...)
}

// removeAll removes a directory and all in it, following no link.
func (d *dir) removeAll(name string) error {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || uint64(st.Dev) != d.dev || st.Ino != d.ino {
		return &errMoved{d.path}
	}
	return root.RemoveAll(name)
}
