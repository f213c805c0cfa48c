package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Changes is changes to many messages, of one tree or of several, whose directories are fsynced together: where messages are moved one at a
// time, nearly all of the time goes into one fsync each. The changes are made at once and seen at once; [Changes.Sync] makes them durable.
// A power cut before that leaves each message in its old place or in its new one. The zero value is ready. Not safe for concurrent use.
type Changes struct{ made []made }

// made is a change that Sync has to make durable, and how to take it back. A change within one directory has no dir.
type made struct {
	tree *Tree
	dir  *dir // to be fsynced; held until then
	undo func() error
	from *dir // held for undo, if any
}

// ChangeFlags is [Tree.ChangeFlags] for a message that was seen as e. It reports whether anything changed.
func (b *Changes) ChangeFlags(t *Tree, e Entry, add, remove Flags) (result Entry, changed bool, err error) {
	err = t.located(e, func(p place) error {
		result = p.Entry
		result.Flags = p.Flags.With(add).Without(remove)
		result.New = p.New && result.Flags == p.Flags
		if changed = result != p.Entry; !changed {
			b.made = append(b.made, made{})
			return nil
		}
		return b.rename(t, p, t, result)
	})
	if err != nil {
		return Entry{}, false, fmt.Errorf("flag %s: %w", e.Key, err)
	}
	return result, changed, nil
}

// Move moves a message that was seen as e to a folder of the same or another tree. It keeps its flags, its time, and whether it is new; it keeps its
// key, too, unless the other tree is on another file system: then the message is copied there, durably, before it goes from here.
// The error matches [fs.ErrExist] when the folder has a message of that key already.
func (b *Changes) Move(from *Tree, e Entry, to *Tree, folder string) (Entry, error) {
	var result Entry
	err := from.located(e, func(p place) error {
		result = p.Entry
		if from.path == to.path && folder == e.Folder {
			b.made = append(b.made, made{})
			return nil
		}
		result.Folder = folder
		if taken, err := to.taken(folder, e.Key); err != nil {
			return inTarget(err)
		} else if taken {
			return inTarget(&fs.PathError{Op: "move", Path: to.MessagePath(result), Err: fs.ErrExist})
		}
		err := b.rename(from, p, to, result)
		if errors.Is(err, syscall.EXDEV) {
			result, err = b.moveContent(from, p, to, folder)
		}
		return err
	})
	if err != nil {
		return Entry{}, fmt.Errorf("move %s to %s: %w", e.Key, folder, err)
	}
	return result, nil
}

// Copy is [Tree.Copy] of a message that was seen as e, also to another tree. The copy has the time of the original.
func (b *Changes) Copy(from *Tree, e Entry, to *Tree, folder string) (Entry, error) {
	var result Entry
	err := from.located(e, func(p place) (err error) {
		result, err = b.link(from, p, to, folder)
		return err
	})
	if err != nil {
		return Entry{}, fmt.Errorf("copy %s to %s: %w", e.Key, folder, err)
	}
	return result, nil
}

// Remove is [Tree.RemoveMessage], and Sync makes it durable. It cannot be taken back.
func (b *Changes) Remove(t *Tree, e Entry) error {
	err := t.direct(e, func(d *dir, base string) error {
		if err := d.remove(base); err != nil {
			return err
		}
		d.refs.Add(1)
		b.made = append(b.made, made{tree: t, dir: d})
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove %s: %w", e.Key, err)
	}
	return nil
}

// Sync makes durable what was changed since the last Sync. It gives an error for each change that is not, in the order of the changes,
// those that came to nothing included; nil if all are. A change that cannot be made durable is taken back, except for a removal.
func (b *Changes) Sync() []error {
	type file struct{ dev, ino uint64 }
	synced := map[file]error{}
	var errs []error
	for i, m := range b.made {
		if m.dir == nil {
			continue
		}
		id := file{m.dir.dev, m.dir.ino}
		err, done := synced[id]
		if !done {
			if err = m.tree.syncDir(m.dir); err == nil && !m.dir.inPlace() {
				err = &errMoved{m.dir.path}
			}
			synced[id] = err
		}
		if err == nil {
			continue
		}
		if errs == nil {
			errs = make([]error, len(b.made))
		}
		if errs[i] = err; m.undo != nil {
			errs[i] = errors.Join(err, m.undo())
		}
	}
	for _, m := range b.made {
		if m.dir != nil {
			m.dir.release()
		}
		if m.from != nil {
			m.from.release()
		}
	}
	b.made = b.made[:0]
	return errs
}

// rename makes the message p of one tree into to of the same or another.
func (b *Changes) rename(t *Tree, p place, other *Tree, to Entry) error {
	from, err := t.acquire(p.Folder, p.sub())
	if err != nil {
		return err
	}
	target, err := other.acquireMade(to.Folder, to.sub())
	if err != nil {
		from.release()
		return inTarget(err)
	}
	name, old := to.FileName(), p.base
	switch {
	case len(name) > maxNameOctets:
		err = &fs.PathError{Op: "rename", Path: joinPath(target.path, name), Err: errors.New("the flags make the file name too long")}
	case target.exists(name):
		err = &fs.PathError{Op: "rename", Path: joinPath(target.path, name), Err: fs.ErrExist}
	default:
		if err = t.step(stepRename, joinPath(target.path, name)); err == nil {
			err = renameAt(from, old, target, name)
		}
	}
	if err != nil || from.dev == target.dev && from.ino == target.ino {
		from.release()
		target.release()
		if err == nil {
			b.made = append(b.made, made{})
		}
		return err
	}
	b.made = append(b.made, made{tree: other, dir: target, from: from, undo: func() error { return renameAt(target, name, from, old) }})
	return nil
}

// link gives the message p a second name in a folder.
func (b *Changes) link(t *Tree, p place, other *Tree, folder string) (Entry, error) {
	from, err := t.acquire(p.Folder, p.sub())
	if err != nil {
		return Entry{}, err
	}
	defer from.release()
	target, err := other.acquireMade(folder, p.sub())
	if err != nil {
		return Entry{}, inTarget(err)
	}
	e := Entry{Folder: folder, Flags: p.Flags, New: p.New}
	if e.Key, err = other.newKey(from, p); err == nil {
		err = t.step(stepLink, joinPath(target.path, e.FileName()))
	}
	name := e.FileName()
	if err == nil {
		err = linkAt(from, p.base, target, name)
	}
	if err == nil {
		b.made = append(b.made, made{tree: other, dir: target, undo: func() error { return target.remove(name) }})
		return e, nil
	}
	target.release()
	if !needsCopy(err) {
		return Entry{}, err
	}
	if e, err = copyBetween(from, p, other, folder); err == nil {
		b.made = append(b.made, made{}) // durable already
	}
	return e, err
}

// moveContent is Move to another file system.
func (b *Changes) moveContent(t *Tree, p place, other *Tree, folder string) (Entry, error) {
	from, err := t.acquire(p.Folder, p.sub())
	if err != nil {
		return Entry{}, err
	}
	e, err := copyBetween(from, p, other, folder)
	if err == nil {
		if err = from.remove(p.base); err != nil {
			err = errors.Join(err, other.RemoveMessage(e))
		}
	}
	if err != nil {
		from.release()
		return Entry{}, err
	}
	b.made = append(b.made, made{tree: t, dir: from})
	return e, nil
}

// copyBetween writes the message p anew in a folder of a tree, durably.
func copyBetween(from *dir, p place, to *Tree, folder string) (Entry, error) {
	f, err := from.open(p.base)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close()
	s, err := to.stageLike(f)
	if err != nil {
		return Entry{}, err
	}
	e, err := s.commit(Entry{Folder: folder, Flags: p.Flags, New: p.New})
	if err != nil {
		return Entry{}, errors.Join(err, s.Abort())
	}
	return e, nil
}

// stageLike is stageCopy of a file, whose modification time the copy gets: that is when the message arrived.
func (t *Tree) stageLike(f *os.File) (*Staged, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s, err := t.Stage()
	if err != nil {
		return nil, err
	}
	if _, err = s.ReadFrom(f); err == nil {
		err = s.flush()
	}
	if err == nil {
		err = pathError("set the time of", s.path(), setTime(s.file, info.ModTime()))
	}
	if err != nil {
		return nil, fmt.Errorf("stage in %s: %w", t.path, errors.Join(err, s.Abort()))
	}
	if err := s.Seal(); err != nil {
		return nil, err
	}
	return s, nil
}

// TargetError is what is wrong with the folder that a message was to come to, not with the message.
type TargetError struct{ Err error }

// Error implements error.
func (e *TargetError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *TargetError) Unwrap() error { return e.Err }

func inTarget(err error) error { return &TargetError{err} }
