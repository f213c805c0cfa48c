package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"
)

const (
	// maxTries is how often an operation looks again for a message that other programs keep renaming.
	maxTries = 10
	// quietTime covers the resolution of directory times, which is the kernel's clock tick (at most 10 ms) on local file systems.
	quietTime = 20 * time.Millisecond
)

var errBadKey = errors.New("not a message's file name")

// place is a message found: FileName would not do for names that others have spelt their way (":2,SR", no ":2," in cur/).
type place struct {
	Entry
	base string
}

// MessagePath returns the file that e names, whether it is there or not; "" when the folder or key cannot be on disk.
func (t *Tree) MessagePath(e Entry) string {
	dirs, err := folderDirs(e.Folder)
	if err != nil || !e.Key.valid() {
		return ""
	}
	folder := dirs[0]
	if len(dirs) > 1 {
		_, missing := lstat(joinPath(t.path, dirs[0]))
		if _, err := lstat(joinPath(t.path, dirs[1])); err == nil && missing != nil {
			folder = dirs[1]
		}
	}
	path := t.path
	if folder != "." {
		path = joinPath(path, folder)
	}
	return joinPath(joinPath(path, e.sub()), e.FileName())
}

// Find looks for a message by its key. The error matches [fs.ErrNotExist] when it is not in the folder. With the standard
// flags only this is independent of the folder's size; a message with keywords costs reading the directory.
func (t *Tree) Find(folder string, key Key) (Entry, error) {
	p, err := t.locate(Entry{Folder: folder, Key: key})
	if err != nil {
		return Entry{}, fmt.Errorf("find %s in %s: %w", key, folder, err)
	}
	return p.Entry, nil
}

// OpenMessage opens a message for reading, found again by its key if it was renamed within its folder. The caller closes it.
func (t *Tree) OpenMessage(e Entry) (*os.File, error) {
	var f *os.File
	err := t.direct(e, func(d *dir, base string) (err error) {
		f, err = d.open(base)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", e.Key, err)
	}
	return f, nil
}

// OpenFound is OpenMessage that also tells where the message was found: its flags and place may not be those of e any more.
func (t *Tree) OpenFound(e Entry) (f *os.File, now Entry, err error) {
	err = t.direct(e, func(d *dir, base string) (err error) {
		now = e
		if _, flags, ok := ParseFileName(base); ok {
			now.Flags = flags
		}
		now.New = path.Base(d.path) == subNew
		f, err = d.open(base)
		return err
	})
	if err != nil {
		return nil, e, fmt.Errorf("open %s: %w", e.Key, err)
	}
	return f, now, nil
}

// StatMessage describes a message's file, found again by its key if it was renamed within its folder.
func (t *Tree) StatMessage(e Entry) (fs.FileInfo, error) {
	var info fs.FileInfo
	err := t.direct(e, func(d *dir, base string) (err error) {
		info, err = d.fileInfo(base)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("stat %s: %w", e.Key, err)
	}
	return info, nil
}

// RemoveMessage unlinks a message, found again by its key if it was renamed within its folder. The removal is not
// fsynced: a power cut may bring the message back.
func (t *Tree) RemoveMessage(e Entry) error {
	err := t.direct(e, func(d *dir, base string) error { return d.remove(base) })
	if err != nil {
		return fmt.Errorf("remove %s: %w", e.Key, err)
	}
	return nil
}

// ChangeFlags adds and removes flags by renaming the message, and takes it out of new/ if that changes anything.
// Flags that are both added and removed are removed. Two changes at once are both kept. A change within cur/ is not
// fsynced: after a power cut the message has the old flags or the new.
func (t *Tree) ChangeFlags(folder string, key Key, add, remove Flags) (Entry, error) {
	e, err := t.reflag(folder, key, func(old Entry) Entry {
		changed := old
		changed.Flags = old.Flags.With(add).Without(remove)
		changed.New = old.New && changed.Flags == old.Flags
		return changed
	})
	if err != nil {
		return Entry{}, fmt.Errorf("flag %s: %w", key, err)
	}
	return e, nil
}

// Take moves a message from new/ to cur/, as a reader does that shows it for the first time. Flags stay as they are.
func (t *Tree) Take(folder string, key Key) (Entry, error) {
	e, err := t.reflag(folder, key, func(old Entry) Entry {
		old.New = false
		return old
	})
	if err != nil {
		return Entry{}, fmt.Errorf("take %s: %w", key, err)
	}
	return e, nil
}

// reflag renames a message within its folder as change says.
func (t *Tree) reflag(folder string, key Key, change func(Entry) Entry) (Entry, error) {
	var result Entry
	err := t.located(Entry{Folder: folder, Key: key}, func(p place) error {
		result = change(p.Entry)
		if result == p.Entry {
			return nil
		}
		return t.rename(p, result)
	})
	return result, err
}

// Move moves a message to another folder of the tree, keeping its key, its flags, and whether it is new. When it
// returns nil the message is durable in its new place. The error matches [fs.ErrExist] when the folder has a message
// of that key already.
func (t *Tree) Move(folder string, key Key, to string) (Entry, error) {
	var result Entry
	err := t.located(Entry{Folder: folder, Key: key}, func(p place) error {
		result = p.Entry
		if folder == to {
			return nil
		}
		result.Folder = to
		if taken, err := t.taken(to, key); err != nil {
			return err
		} else if taken {
			return &fs.PathError{Op: "move", Path: t.MessagePath(result), Err: fs.ErrExist}
		}
		return t.rename(p, result)
	})
	if err != nil {
		return Entry{}, fmt.Errorf("move %s to %s: %w", key, to, err)
	}
	return result, nil
}

// Copy gives a folder of the tree, which may be the same one, a second message of the same content and flags with a
// key of its own: a hard link where possible. When it returns nil the copy is durable as the original is.
func (t *Tree) Copy(folder string, key Key, to string) (Entry, error) {
	var result Entry
	err := t.located(Entry{Folder: folder, Key: key}, func(p place) (err error) {
		result, err = t.copyTo(p, to)
		return err
	})
	if err != nil {
		return Entry{}, fmt.Errorf("copy %s to %s: %w", key, to, err)
	}
	return result, nil
}

func (t *Tree) copyTo(p place, to string) (Entry, error) {
	from, err := t.acquire(p.Folder, p.sub())
	if err != nil {
		return Entry{}, err
	}
	defer from.release()
	target, err := t.acquireMade(to, p.sub())
	if err != nil {
		return Entry{}, err
	}
	defer target.release()
	e := Entry{Folder: to, Flags: p.Flags, New: p.New}
	if e.Key, err = t.newKey(from, p); err != nil {
		return Entry{}, err
	}
	name := e.FileName()
	if err = t.step(stepLink, joinPath(target.path, name)); err == nil {
		err = linkAt(from, p.base, target, name)
	}
	if err != nil && needsCopy(err) {
		return copyBetween(from, p, t, to)
	}
	if err != nil {
		return Entry{}, err
	}
	if err := t.syncDir(target); err != nil {
		return Entry{}, errors.Join(err, target.remove(name))
	}
	return e, nil
}

// newKey names a copy of p: with its sizes, where they are known.
func (t *Tree) newKey(d *dir, p place) (Key, error) {
	octets, ok := p.Octets()
	if !ok {
		st, err := d.stat(p.base)
		if err != nil {
			return "", err
		}
		octets = st.Size
	}
	if wire, ok := p.WireOctets(); ok {
		return sized(t.names.Next(), octets, wire), nil
	}
	return Key(fmt.Sprintf("%s,S=%d", t.names.Next(), octets)), nil
}

// rename makes p into to. A rename to another directory is fsynced there, so that no power cut can lose the message
// between the two.
func (t *Tree) rename(p place, to Entry) error {
	from, err := t.acquire(p.Folder, p.sub())
	if err != nil {
		return err
	}
	defer from.release()
	target, err := t.acquireMade(to.Folder, to.sub())
	if err != nil {
		return err
	}
	defer target.release()
	name := to.FileName()
	if len(name) > maxNameOctets {
		return &fs.PathError{Op: "rename", Path: joinPath(target.path, name), Err: errors.New("the flags make the file name too long")}
	}
	if target.exists(name) {
		return &fs.PathError{Op: "rename", Path: joinPath(target.path, name), Err: fs.ErrExist}
	}
	if err = t.step(stepRename, joinPath(target.path, name)); err == nil {
		err = renameAt(from, p.base, target, name)
	}
	if err != nil || from == target {
		return err
	}
	if err = t.syncDir(target); err == nil && !target.inPlace() {
		err = &errMoved{target.path}
	}
	if err != nil {
		return errors.Join(err, renameAt(target, name, from, p.base))
	}
	return nil
}

// direct runs fn on the name that e has by itself, and if nothing is there, on the one the message is found under.
// This saves a system call or two for every message of a large folder.
func (t *Tree) direct(e Entry, fn func(d *dir, base string) error) error {
	if !e.Key.valid() {
		return fmt.Errorf("%q: %w", e.Key, errBadKey)
	}
	d, err := t.acquire(e.Folder, e.sub())
	if err == nil {
		err = fn(d, e.FileName())
		d.release()
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return t.located(e, func(p place) error {
		d, err := t.acquire(p.Folder, p.sub())
		if err != nil {
			return err
		}
		defer d.release()
		return fn(d, p.base)
	})
}

// located finds a message and runs fn, again when the message was renamed under it: then its old name is gone, or the
// name it should get is taken because someone else made the same change.
func (t *Tree) located(e Entry, fn func(p place) error) error {
	var err error
	for range maxTries {
		p, findErr := t.locate(e)
		if findErr != nil {
			return findErr
		}
		err = fn(p)
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return err
}

// locate finds a message in its folder, wherever it is now. Reading a directory can miss a file that is renamed
// meanwhile, so "not there" is believed only of a directory at rest.
func (t *Tree) locate(e Entry) (place, error) {
	if !e.Key.valid() {
		return place{}, fmt.Errorf("%q: %w", e.Key, errBadKey)
	}
	for try := 1; ; try++ {
		before := time.Now().Add(-quietTime)
		p, err := t.search(e)
		if err == nil || try == maxTries || !errors.Is(err, fs.ErrNotExist) {
			return p, err
		}
		stamp, stampErr := t.Stamp(e.Folder)
		if stampErr != nil || max(stamp.New, stamp.Cur) < before.UnixNano() {
			return p, err
		}
	}
}
