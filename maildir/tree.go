package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// maxOpenDirs bounds the descriptors that a tree keeps: INBOX and a folder or two at work.
const maxOpenDirs = 8

// Tree is one account's Maildir++ tree. It is safe for concurrent use, also by several Trees and processes on one path.
// It keeps up to eight descriptors until it is closed.
type Tree struct {
	path  string
	names *Names
	// hook, when set by a test, is asked before each step that can fail on real disks; its error stands for the step's.
	hook func(step, path string) error

	mu     sync.Mutex
	dirs   map[dirKey]*dir
	closed bool
}

// dirKey names one of the three directories of a folder.
type dirKey struct{ folder, sub string }

// The steps that a test can make fail.
const (
	stepCreate  = "create"
	stepWrite   = "write"
	stepSync    = "fsync"
	stepLink    = "link"
	stepRename  = "rename"
	stepSyncDir = "fsync directory"
)

// Open opens the tree at path: a directory with a cur/ in it. The error matches [fs.ErrNotExist] when there is none, as is
// the case, too, when the file system it lives on is not mounted.
func Open(path string) (*Tree, error) {
	t, err := newTree(path)
	if err != nil {
		return nil, err
	}
	root, err := openDir(t.path)
	if err != nil {
		return nil, fmt.Errorf("open maildir: %w", err)
	}
	defer root.release()
	cur, err := root.sub(subCur)
	if err != nil {
		return nil, fmt.Errorf("open maildir: %w", err)
	}
	cur.release()
	return t, nil
}

// Create opens the tree at path and makes what is missing of it: the directories above, tmp, new, and cur, each with
// mode 0700. When it returns nil, the directories survive a crash. It may be called again, also after a crash half
// way.
func Create(path string) (*Tree, error) {
	t, err := newTree(path)
	if err != nil {
		return nil, err
	}
	if err := t.create(); err != nil {
		return nil, fmt.Errorf("create maildir %s: %w", t.path, err)
	}
	return t, nil
}

func (t *Tree) create() error {
	if err := makeDirs(t.path); err != nil {
		return err
	}
	root, err := openDir(t.path)
	if err != nil {
		return err
	}
	defer root.release()
	if !root.isDir(subCur) {
		// An earlier Create may have been killed between making the tree and syncing its parent.
		if err := syncPath(filepath.Dir(t.path)); err != nil {
			return err
		}
	}
	return makeSubs(root)
}

// makeSubs makes the three directories in d. cur comes last, because with it d is a folder.
func makeSubs(d *dir) error {
	for _, name := range []string{subTmp, subNew, subCur} {
		if err := d.mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		sub, err := d.sub(name) // an error if it is a link or a file
		if err != nil {
			return err
		}
		sub.release()
	}
	return d.sync()
}

// makeDirs makes path and the directories above it, each durable before the next is made.
func makeDirs(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: path, Err: errors.New("not a directory")}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(path)
	if err := makeDirs(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncPath(parent)
}

func syncPath(path string) error {
	d, err := openDir(path)
	if err != nil {
		return err
	}
	defer d.release()
	return d.sync()
}

func newTree(path string) (*Tree, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open maildir %s: %w", path, err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("open maildir %s: %w", path, err)
	}
	return &Tree{path: abs, names: NewNames(host), dirs: make(map[dirKey]*dir)}, nil
}

// Path returns the absolute path of the tree.
func (t *Tree) Path() string { return t.path }

// Close gives the descriptors back. Later calls fail with [fs.ErrClosed]; a message still staged can only be aborted.
func (t *Tree) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, d := range t.dirs {
		delete(t.dirs, key)
		d.release()
	}
	t.closed = true
	return nil
}

// acquire returns one of the three directories of a folder, known to be in its place. The caller releases it.
func (t *Tree) acquire(folder, sub string) (*dir, error) {
	key := dirKey{folder, sub}
	d, err := t.cached(key)
	if d != nil || err != nil {
		return d, err
	}
	if d, err = t.openSub(key); err != nil {
		return nil, err
	}
	t.keep(key, d)
	return d, nil
}

// cached returns the directory kept for key if it is still in its place, else nil.
func (t *Tree) cached(key dirKey) (*dir, error) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil, &fs.PathError{Op: "open", Path: t.path, Err: fs.ErrClosed}
	}
	d := t.dirs[key]
	if d != nil {
		d.refs.Add(1)
	}
	t.mu.Unlock()
	if d == nil || d.inPlace() {
		return d, nil
	}
	d.release()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dirs[key] == d {
		delete(t.dirs, key)
		d.release()
	}
	return nil, nil
}

// keep puts d into the cache, in the place of another folder's when that is full.
func (t *Tree) keep(key dirKey, d *dir) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.dirs[key] != nil {
		return
	}
	if len(t.dirs) >= maxOpenDirs {
		for other, old := range t.dirs {
			if other.folder != Inbox {
				delete(t.dirs, other)
				old.release()
				break
			}
		}
	}
	d.refs.Add(1)
	t.dirs[key] = d
}

// openSub opens a folder's directory from the top.
func (t *Tree) openSub(key dirKey) (*dir, error) {
	folder, err := t.openFolder(key.folder)
	if err != nil {
		return nil, err
	}
	defer folder.release()
	return folder.sub(key.sub)
}

// openFolder opens the directory that holds the three of a folder.
func (t *Tree) openFolder(folder string) (*dir, error) {
	names, err := folderDirs(folder)
	if err != nil {
		return nil, err
	}
	root, err := openDir(t.path)
	if err != nil || folder == Inbox {
		return root, err
	}
	defer root.release()
	d, err := root.sub(names[0])
	if len(names) > 1 && errors.Is(err, fs.ErrNotExist) {
		d, err = root.sub(names[1])
	}
	return d, err
}

// acquireMade is acquire for writing: a tmp or new that is missing from a folder is made, as some programs take empty
// ones away.
func (t *Tree) acquireMade(folder, sub string) (*dir, error) {
	d, err := t.acquire(folder, sub)
	if sub == subCur || !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	f, err := t.openFolder(folder)
	if err != nil {
		return nil, err
	}
	defer f.release()
	if !f.isDir(subCur) {
		return nil, &fs.PathError{Op: "open", Path: joinPath(f.path, subCur), Err: fs.ErrNotExist}
	}
	if err := f.mkdir(sub); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := f.sync(); err != nil {
		return nil, err
	}
	return t.acquire(folder, sub)
}

// step asks the test hook before something that can fail.
func (t *Tree) step(step, path string) error {
	if t.hook == nil {
		return nil
	}
	return t.hook(step, path)
}

// syncDir is d.sync with the test hook before it.
func (t *Tree) syncDir(d *dir) error {
	if err := t.step(stepSyncDir, d.path); err != nil {
		return pathError("fsync", d.path, err)
	}
	return d.sync()
}
