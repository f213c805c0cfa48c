package backup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"maild/index"
	"maild/maildir"
)

// prune takes from a backup that was interrupted, perhaps days ago, what is not in the mail any more under the same name. Only now, before the
// passes: what goes from here now and is elsewhere in the mail, they find there.
func (r *run) prune(ctx context.Context) error {
	accounts, err := r.to.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		path, err := r.from.Path(a)
		if err != nil {
			return err
		}
		to, err := r.to.Path(a)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			if err := os.RemoveAll(to); err != nil {
				return err
			}
			continue
		}
		if err := r.pruneAccount(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) pruneAccount(ctx context.Context, a string) error {
	folders, err := r.to.Folders(ctx, a)
	if err != nil {
		return err
	}
	return r.to.Use(a, false, func(to *maildir.Tree) error {
		if _, err := to.CleanTmp(time.Now(), 0); err != nil {
			return err
		}
		return r.from.Use(a, false, func(from *maildir.Tree) error {
			for _, f := range folders {
				if _, err := from.Stamp(f); errors.Is(err, fs.ErrNotExist) && f != maildir.Inbox {
					if err := to.RemoveFolder(f); err != nil {
						return err
					}
					continue
				}
				err := to.Scan(f, func(e maildir.Entry) error {
					if err := ctx.Err(); err != nil {
						return err
					}
					return r.pruneMessage(from.MessagePath(e), to.MessagePath(e))
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// pruneMessage removes a message that is not what would be put there now.
func (r *run) pruneMessage(from, to string) error {
	live, err := os.Lstat(from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	kept, keptErr := os.Lstat(to)
	if err == nil && keptErr == nil && kept.Size() == live.Size() && !(r.Copy && os.SameFile(kept, live)) {
		return nil
	}
	return removeFile(to)
}

// single sees that no message is twice in one folder: one whose flags changed between two passes came under both names. Of those, one that
// the mail does not have any more goes. Which messages there are is remembered by a number each.
func (r *run) single(ctx context.Context, stamps map[mailbox]index.Stamp) error {
	for b := range stamps {
		seen, numbers := map[uint64]bool{}, newNumbers()
		var twice []maildir.Entry
		err := r.to.Use(b.account, false, func(to *maildir.Tree) error {
			err := to.Scan(b.folder, func(e maildir.Entry) error {
				n := numbers.of(string(e.Key))
				if seen[n] {
					twice = append(twice, e)
				}
				seen[n] = true
				return ctx.Err()
			})
			for _, e := range twice {
				if err == nil {
					err = r.keepOne(to, b, e)
				}
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// keepOne leaves of a message that is in a folder more than once the one name that the mail has, or any.
func (r *run) keepOne(to *maildir.Tree, b mailbox, twice maildir.Entry) error {
	var names []maildir.Entry
	err := to.Scan(b.folder, func(e maildir.Entry) error {
		if e.Key == twice.Key {
			names = append(names, e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	keep := 0
	err = r.from.Use(b.account, false, func(from *maildir.Tree) error {
		now, err := from.Find(b.folder, twice.Key)
		for i, e := range names {
			if err == nil && e == now {
				keep = i
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for i, e := range names {
		if i == keep {
			continue
		}
		if err := removeFile(to.MessagePath(e)); err != nil {
			return err
		}
	}
	return nil
}
