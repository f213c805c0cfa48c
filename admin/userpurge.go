package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"maild/index"
)

// purgePrefix begins the name that a tree has while it is deleted. A name with a dot is no account's, so that neither the daemon nor the index
// sees it. What a killed purge leaves is taken away by the next one in the same domain.
const purgePrefix = ".purge-"

// keptPrefix begins the name of what was to be deleted, and must not be.
const keptPrefix = ".kept-"

// hasMail reports whether there is a tree for an account.
func (c *call) hasMail(name string) bool {
	path, err := c.mail().Path(name)
	if err != nil {
		return false
	}
	_, err = os.Lstat(path)
	return err == nil
}

// purgeTree deletes a Maildir. It disappears at once, by a rename; where check then finds something wrong with it, it comes back.
func purgeTree(path string, check func(moved string) error) error {
	dir, name := filepath.Split(path)
	trash, err := os.MkdirTemp(dir, purgePrefix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has never had mail
	}
	if err != nil {
		return err
	}
	moved := filepath.Join(trash, name)
	if err = os.Rename(path, moved); err == nil {
		err = check(moved)
		if err != nil {
			return errors.Join(err, putBack(trash, moved, path))
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, os.Remove(trash))
	}
	entries, err := os.ReadDir(dir)
	errs := []error{err}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), purgePrefix) {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// putBack undoes the rename of a tree. Where there is a new tree already, the old one stays, under a name that no purge takes away.
func putBack(trash, moved, path string) error {
	err := os.Rename(moved, path)
	if err == nil {
		return os.Remove(trash)
	}
	kept := strings.Replace(trash, purgePrefix, keptPrefix, 1)
	return errors.Join(fmt.Errorf("it is in %s now: %w", kept, err), os.Rename(trash, kept))
}

// forget takes the rows of an account whose mail is gone out of the index, where there is one, or puts in those of one whose mail has come.
func (c *call) forget(ctx context.Context, name string) error {
	if _, err := os.Stat(c.box.cfg.IndexDB()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ix, err := index.Open(ctx, c.indexOptions())
	if err != nil {
		return err
	}
	_, err = ix.Reconcile(ctx, index.ReconcileOptions{Accounts: []string{name}})
	return errors.Join(err, ix.Close())
}
