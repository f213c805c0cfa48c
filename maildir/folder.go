package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
)

const (
	// folderMark is the file that tells Courier's deliverers, and us, that a Maildir is a folder of the one above.
	folderMark = "maildirfolder"
	// removedPrefix begins the name of a removed folder while its files are taken away, in the tmp/ of the INBOX.
	removedPrefix = "removed."
)

// Folders lists the folders: Inbox first, the others sorted by name. A folder is a directory, no link, with a dot
// before its name and a cur/ in it. Directories whose name is no valid UTF-8, or cannot be a folder's, are passed
// over.
func (t *Tree) Folders() ([]string, error) {
	root, err := openDir(t.path)
	if err != nil {
		return nil, fmt.Errorf("list folders: %w", err)
	}
	defer root.release()
	var folders []string
	err = root.entries(func(entry fs.DirEntry) error {
		if !entry.IsDir() {
			return nil
		}
		if name, err := DecodeFolder(entry.Name()); err == nil && root.isFolder(entry.Name()) {
			folders = append(folders, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list folders: %w", err)
	}
	slices.Sort(folders)
	return append([]string{Inbox}, slices.Compact(folders)...), nil
}

// isFolder reports whether a directory in d has a cur/.
func (d *dir) isFolder(name string) bool {
	sub, err := d.sub(name)
	if err != nil {
		return false
	}
	defer sub.release()
	return sub.isDir(subCur)
}

// CreateFolder makes a folder, durable when it returns nil. Folders above it in the hierarchy are not made; Maildir++
// needs none. The error matches [fs.ErrExist] when it is there. One that a crash left half made is completed.
func (t *Tree) CreateFolder(name string) error {
	if err := t.createFolder(name); err != nil {
		return fmt.Errorf("create folder %s: %w", name, err)
	}
	return nil
}

func (t *Tree) createFolder(name string) error {
	if err := ValidFolder(name); err != nil {
		return err
	}
	if folder, err := t.openFolder(name); err == nil {
		defer folder.release()
		if folder.isDir(subCur) {
			return &fs.PathError{Op: "mkdir", Path: folder.path, Err: fs.ErrExist}
		}
	}
	base, err := EncodeFolder(name)
	if err != nil {
		return err
	}
	root, err := openDir(t.path)
	if err != nil {
		return err
	}
	defer root.release()
	if err := root.mkdir(base); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	folder, err := root.sub(base)
	if err != nil {
		return err
	}
	defer folder.release()
	mark, err := folder.create(folderMark)
	if err == nil {
		err = mark.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := makeSubs(folder); err != nil {
		return err
	}
	return root.sync()
}

// RenameFolder renames a folder and all below it. Nothing is renamed when one of the new names exists (the error
// matches [fs.ErrExist]) or cannot be one. A crash half way leaves some of the lower folders renamed; calling it
// again finishes the work.
func (t *Tree) RenameFolder(from, to string) error {
	if err := t.renameFolder(from, to); err != nil {
		return fmt.Errorf("rename folder %s to %s: %w", from, to, err)
	}
	return nil
}

func (t *Tree) renameFolder(from, to string) error {
	switch {
	case from == Inbox || to == Inbox:
		return errFolderIsInbox
	case from == to:
		return nil
	case strings.HasPrefix(to, from+"."):
		return errors.New("a folder cannot be put below itself")
	}
	family, err := t.family(from)
	if err != nil {
		return err
	}
	root, err := openDir(t.path)
	if err != nil {
		return err
	}
	defer root.release()
	for _, name := range family {
		target := to + strings.TrimPrefix(name, from)
		if err := ValidFolder(target); err != nil {
			return err
		}
		dirs, err := folderDirs(target)
		if err != nil {
			return err
		}
		for _, base := range dirs {
			if root.exists(base) {
				return &fs.PathError{Op: "rename", Path: joinPath(root.path, base), Err: fs.ErrExist}
			}
		}
	}
	// The folder itself goes last: as long as it is there, the work is not done.
	for _, name := range slices.Backward(family) {
		if err := t.renameOne(root, name, to+strings.TrimPrefix(name, from)); err != nil {
			return err
		}
	}
	return t.syncDir(root)
}

func (t *Tree) renameOne(root *dir, from, to string) error {
	old, err := root.folderBase(from)
	if err != nil {
		return err
	}
	base, err := EncodeFolder(to)
	if err != nil {
		return err
	}
	if err := t.step(stepRename, joinPath(root.path, base)); err != nil {
		return err
	}
	return renameAt(root, old, root, base)
}

// folderBase returns the directory that a folder really has in the tree d.
func (d *dir) folderBase(folder string) (string, error) {
	names, err := folderDirs(folder)
	if err != nil {
		return "", err
	}
	for _, base := range names {
		if d.isFolder(base) {
			return base, nil
		}
	}
	return "", &fs.PathError{Op: "open", Path: joinPath(d.path, names[0]), Err: fs.ErrNotExist}
}

// family lists a folder, if it exists, and the folders below it, sorted. It is an error if there are none.
func (t *Tree) family(folder string) ([]string, error) {
	all, err := t.Folders()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		if name == folder || strings.HasPrefix(name, folder+".") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, &fs.PathError{Op: "rename", Path: folder, Err: fs.ErrNotExist}
	}
	return names, nil
}

// RemoveFolder removes a folder with its messages, but not the folders below it. The folder disappears at once, by a
// rename into tmp/; what a crash then leaves there is for CleanTmp.
func (t *Tree) RemoveFolder(name string) error {
	if err := t.removeFolder(name); err != nil {
		return fmt.Errorf("remove folder %s: %w", name, err)
	}
	return nil
}

func (t *Tree) removeFolder(name string) error {
	return t.removeIf(name, func(*dir, string) error { return nil })
}

// removeIf takes a folder away, its directory being base in root, unless check finds something in the way.
func (t *Tree) removeIf(name string, check func(root *dir, base string) error) error {
	if name == Inbox {
		return errFolderIsInbox
	}
	root, err := openDir(t.path)
	if err != nil {
		return err
	}
	defer root.release()
	base, err := root.folderBase(name)
	if err == nil {
		err = check(root, base)
	}
	if err != nil {
		return err
	}
	return t.discard(root, base)
}

// discard takes a folder's directory away.
func (t *Tree) discard(root *dir, base string) error {
	tmp, err := t.acquireMade(Inbox, subTmp)
	if err != nil {
		return err
	}
	defer tmp.release()
	doomed := removedPrefix + t.names.Next()
	if err = t.step(stepRename, joinPath(tmp.path, doomed)); err == nil {
		err = renameAt(root, base, tmp, doomed)
	}
	if errors.Is(err, syscall.EXDEV) {
		return fmt.Errorf("the folder is a file system of its own: %w", err)
	}
	if err != nil {
		return err
	}
	if err := t.syncDir(root); err != nil {
		return err
	}
	return tmp.removeAll(doomed)
}
