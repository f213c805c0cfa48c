package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"

	"maild/maildir"
)

// other is a live message that is not of the backup.
type other struct {
	maildir.Entry
	sum [sha256.Size]byte // zero until it was read
}

// hasContent reports whether a live message that is not of the backup has the content of f, which is at its beginning again after that. One that is of the
// backup stands for itself: a message that was copied to another folder is two, and comes back as two.
func (x *restoring) hasContent(ctx context.Context, f *os.File) (bool, error) {
	if err := x.learn(ctx); err != nil {
		return false, err
	}
	info, err := f.Stat()
	if err != nil {
		return false, readError{err}
	}
	list := x.others[info.Size()]
	if len(list) == 0 {
		return false, nil
	}
	sum, err := contentSum(f)
	if err != nil {
		return false, readError{err}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, readError{err}
	}
	for i := range list {
		o := &list[i]
		if o.sum == [sha256.Size]byte{} {
			// One that cannot be read, or has gone, has no content in common.
			_ = x.to.Use(x.target, false, func(to *maildir.Tree) error {
				g, err := to.OpenMessage(o.Entry)
				if err != nil {
					return err
				}
				defer g.Close()
				if sum, err := contentSum(g); err == nil {
					o.sum = sum
				}
				return nil
			})
		}
		if o.sum == sum {
			return true, nil
		}
	}
	return false, nil
}

func contentSum(r io.Reader) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	_, err = io.Copy(h, r)
	h.Sum(sum[:0])
	return sum, err
}

// learn finds the live messages that are not of the backup, with their sizes.
func (x *restoring) learn(ctx context.Context) error {
	if x.others != nil {
		return nil
	}
	x.others = map[int64][]other{}
	err := x.to.Use(x.target, false, func(to *maildir.Tree) error {
		folders, err := to.Folders()
		if err != nil {
			return err
		}
		for _, f := range folders {
			err := to.Scan(f, func(e maildir.Entry) error {
				if err := ctx.Err(); err != nil || x.kept[x.numbers.of(string(e.Key))] {
					return err
				}
				if info, err := to.StatMessage(e); err == nil {
					x.others[info.Size()] = append(x.others[info.Size()], other{Entry: e})
				}
				return nil
			})
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
