package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// ErrNotEmpty says that a folder holds something in new/ or cur/.
var ErrNotEmpty = errors.New("the folder is not empty")

// RemoveEmptyFolder removes a folder that holds no message, and nothing else in new/ and cur/. A message that comes into it meanwhile is never lost: either the folder
// stays, and the error matches [ErrNotEmpty], or the other program finds that the folder is gone.
func (t *Tree) RemoveEmptyFolder(name string) error {
	if err := t.removeIf(name, emptied); err != nil {
		return fmt.Errorf("remove folder %s: %w", name, err)
	}
	return nil
}

// emptied takes new/ and cur/ of a folder away, which can be done when they are empty.
func emptied(root *dir, base string) error {
	folder, err := root.sub(base)
	if err != nil {
		return err
	}
	defer folder.release()
	for _, sub := range []string{subNew, subCur} {
		err := folder.rmdir(sub)
		if err == nil || sub == subNew && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
			err = ErrNotEmpty
		}
		return errors.Join(err, makeSubs(folder))
	}
	return nil
}
