package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"maild/appliance/process"
	"maild/maildir"
)

// renamedPrefix begins the name of a tree whose messages are on their way to
// another account. No account's name begins with a dot, so that neither Accounts
// nor a delivery takes it for one.
const renamedPrefix = ".renamed-"

// maxAbsorbs is how often a tree may be made anew, or get something more, while it is taken away.
const maxAbsorbs = 100

// Rename gives the tree of one account to another, by one rename that is durable
// when it returns. Where the other has a tree with anything in it, it was here
// before: nothing is done then, nor where there is no tree at all. Both may lie
// in different domains, but not on different file systems (syscall.EXDEV).
func (m *Mailboxes) Rename(from, to string) error {
	old, err := m.Path(from)
	if err != nil {
		return err
	}
	next, err := m.Path(to)
	if err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(old), old, filepath.Dir(next)} {
		if info, err := os.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("rename mailbox of %s: %s is a symbolic link, which is not followed", from, dir)
		}
	}
	if err := renameTree(old, next); err != nil {
		return fmt.Errorf("rename mailbox of %s: %w", from, err)
	}
	return nil
}

func renameTree(old, next string) error {
	_, err := os.Lstat(old)
	if errors.Is(err, fs.ErrNotExist) {
		return syncDirs(old, next) // it may have been moved just before a crash
	}
	if err != nil {
		return err
	}
	domain := filepath.Dir(next)
	if err := os.Mkdir(domain, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := process.SyncDir(filepath.Dir(domain)); err != nil {
		return err
	}
	// A delivery that had begun for an account of that name may have made an empty tree there.
	for range maxAbsorbs {
		if empty, err := removeEmpty(next); !empty || err != nil {
			return errors.Join(err, syncDirs(old, next))
		}
		err := os.Rename(old, next)
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return errors.Join(err, syncDirs(old, next))
		}
	}
	return fmt.Errorf("%s is made again and again: end what delivers there", next)
}

// RemoveEmpty removes the tree of an account if there is nothing in it, no
// message, folder or other file, and reports whether there is none now.
func (m *Mailboxes) RemoveEmpty(account string) (gone bool, err error) {
	path, err := m.Path(account)
	if err != nil {
		return false, err
	}
	gone, err = removeEmpty(path)
	if err != nil {
		return false, fmt.Errorf("mailbox of %s: %w", account, err)
	}
	return gone, nil
}

// removeEmpty removes directories only, which the kernel does only while they are empty.
func removeEmpty(path string) (gone bool, err error) {
	subs := []string{subNew, subCur, "tmp"}
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if !e.IsDir() || !slices.Contains(subs, e.Name()) {
			return false, nil
		}
		if inside, err := os.ReadDir(filepath.Join(path, e.Name())); err != nil || len(inside) > 0 {
			return false, ignoreNotExist(err)
		}
	}
	for _, sub := range subs {
		if err := os.Remove(filepath.Join(path, sub)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, remake(path) // something came just now: it is whole again
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, remake(path)
	}
	return true, nil
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// syncDirs makes what was moved between the directories of two paths durable.
func syncDirs(paths ...string) error {
	for _, p := range paths {
		if err := process.SyncDir(filepath.Dir(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Absorb brings the messages that are in one account's tree into another's, each
// into the folder of the same name, and takes the tree away. So what was
// delivered under an old name follows after a Rename. What else is in the tree
// (the caches of other programs, deliveries that have not ended) goes with it. It
// may be called again after an interruption, and does nothing where there is no
// tree.
func (m *Mailboxes) Absorb(ctx context.Context, from, to string) (messages int, err error) {
	old, err := m.Path(from)
	if err != nil {
		return 0, err
	}
	// Moved aside first: what has the tree open finds it gone, and nobody delivers there behind our back.
	aside := filepath.Join(filepath.Dir(old), renamedPrefix+filepath.Base(old))
	for range maxAbsorbs {
		var n int
		n, err = m.drain(ctx, aside, to)
		messages += n
		if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, errLeft) || errors.Is(err, fs.ErrNotExist) {
			continue // a delivery that has one of the trees open put something there just now, or took it away
		}
		if err != nil {
			break
		}
		err = os.Rename(old, aside)
		if errors.Is(err, fs.ErrNotExist) {
			return messages, nil
		}
		if err != nil {
			break
		}
		err = fmt.Errorf("%s is made anew again and again: end what delivers there", old)
	}
	return messages, fmt.Errorf("bring mail of %s to %s: %w", from, to, err)
}

// errLeft says that a tree has a message that cannot be moved.
var errLeft = errors.New("is left: move it to where it belongs, and do this again")

// drain moves the messages of the tree at path to account, and removes the tree.
func (m *Mailboxes) drain(ctx context.Context, path, account string) (moved int, err error) {
	tree, err := maildir.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, removeDrained(path) // no tree at all, or one without cur
	}
	if err != nil {
		return 0, err
	}
	err = m.Use(account, true, func(into *maildir.Tree) error {
		if err := remake(into.Path()); err != nil {
			return err
		}
		folders, err := tree.Folders()
		for _, folder := range folders {
			if err != nil {
				break
			}
			var n int
			n, err = drainFolder(ctx, tree, into, folder)
			moved += n
		}
		return err
	})
	if err := errors.Join(err, tree.Close()); err != nil {
		return moved, err
	}
	return moved, removeDrained(path)
}

// removeDrained removes a tree that has no messages any more. One with files in a new/ or cur/, of a folder that cannot be ours, stays.
func removeDrained(path string) error {
	err := filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error {
		if sub := filepath.Base(filepath.Dir(file)); err == nil && !e.IsDir() && (sub == subNew || sub == subCur) {
			return fmt.Errorf("%s %w", file, errLeft)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(path), process.SyncDir(filepath.Dir(path)))
}

// drainFolder moves the files of new/ and cur/ by the names that they have, which need not be as we would spell them.
func drainFolder(ctx context.Context, tree, into *maildir.Tree, folder string) (moved int, err error) {
	if folder != maildir.Inbox {
		if err := into.CreateFolder(folder); err != nil && !errors.Is(err, fs.ErrExist) {
			return 0, err
		}
	}
	for _, isNew := range []bool{true, false} {
		any := maildir.Entry{Folder: folder, Key: "1.a.b", New: isNew}
		source, target := filepath.Dir(tree.MessagePath(any)), filepath.Dir(into.MessagePath(any))
		n, err := moveFiles(ctx, source, target)
		moved += n
		if err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// moveFiles moves all files of one directory into another, durably.
func moveFiles(ctx context.Context, source, target string) (moved int, err error) {
	entries, err := os.ReadDir(source)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return moved, err
		}
		if !e.Type().IsRegular() {
			continue
		}
		if err := os.Mkdir(target, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return moved, err
		}
		err := moveFile(filepath.Join(source, e.Name()), filepath.Join(target, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a delivery has taken it back
		}
		if err != nil {
			return moved, err
		}
		moved++
	}
	if moved == 0 {
		return 0, nil
	}
	return moved, errors.Join(process.SyncDir(target), process.SyncDir(filepath.Dir(target)))
}

// moveFile gives a file another name that nothing else has.
func moveFile(source, target string) error {
	err := os.Link(source, target)
	switch {
	case errors.Is(err, fs.ErrExist):
		a, aerr := os.Lstat(source)
		b, berr := os.Lstat(target)
		if err := errors.Join(aerr, berr); err != nil {
			return err
		}
		if !os.SameFile(a, b) {
			return err
		}
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EMLINK), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
		return os.Rename(source, target) // a file system without hard links
	case err != nil:
		return err
	}
	return os.Remove(source)
}

// Measure counts the messages of an account, and their octets, in its files.
func (m *Mailboxes) Measure(ctx context.Context, account string) (messages, octets int64, err error) {
	err = m.Use(account, false, func(t *maildir.Tree) error {
		folders, err := t.Folders()
		for _, folder := range folders {
			if err != nil {
				break
			}
			err = t.Scan(folder, func(e maildir.Entry) error {
				info, err := t.StatMessage(e)
				if errors.Is(err, fs.ErrNotExist) {
					return ctx.Err() // renamed or removed just now
				}
				if err != nil {
					return err
				}
				messages++
				octets += info.Size()
				return ctx.Err()
			})
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return messages, octets, err
}
