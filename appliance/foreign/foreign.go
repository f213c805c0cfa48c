// Package foreign finds mail that other programs keep, below a directory that is only read: Maildir trees of any layout, and directories of
// mboxes. Symbolic links are never followed, and everything is opened below one directory handle, so that whoever changes the tree meanwhile cannot
// lead out of it. What is neither a folder nor a message is passed over; what looks like one and cannot be taken is told.
//
// Folders get the names that package maildir gives them, levels separated by dots.
package foreign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"maild/maildir"
)

// maxDepth bounds how deep folders are looked for.
const maxDepth = 32

// chunk is how many directory entries are held in memory at a time.
const chunk = 512

// ErrNothing means that there is no mail of the kind that was looked for.
var ErrNothing = errors.New("no mail was found")

// Folder is a mailbox that was found.
type Folder struct {
	Name string // maildir.Inbox is the top
	Path string // relative to the top
	// Keywords are the names that Dovecot keeps for the keyword letters a to z, where it does.
	Keywords map[string]string
}

// File is a file that holds a message, or an mbox.
type File struct {
	Folder  string
	Path    string // relative to the top
	Octets  int64
	ModTime time.Time
	Key     maildir.Key // of a message
	Flags   maildir.Flags
	New     bool
	open    func() (*os.File, error)
}

// Open opens the file for reading, while the visitor is told of it. The caller closes it.
func (f *File) Open() (*os.File, error) { return f.open() }

// Visitor is told what is found, in the order of the directories. An error of Folder or File ends the walk and is returned as it is.
type Visitor struct {
	Folder func(Folder) error
	File   func(File) error
	// Skipped is told of what is passed over, and why.
	Skipped func(path, reason string)
	// Failed is told of what cannot be read.
	Failed func(path string, err error)
}

// tree is a walk.
type tree struct {
	Visitor
	ctx  context.Context
	root *os.Root
}

// open opens a regular file in dir, found without blocking on a FIFO.
func open(dir *os.Root, name string) (*os.File, error) {
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// kind names what is no regular file.
func kind(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link, which is not followed"
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// entries calls fn for each entry of a directory.
func entries(dir *os.Root, fn func(fs.DirEntry) error) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		list, err := f.ReadDir(chunk)
		for _, e := range list {
			if err := fn(e); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sorted lists a directory by name.
func sorted(dir *os.Root) ([]fs.DirEntry, error) {
	var list []fs.DirEntry
	err := entries(dir, func(e fs.DirEntry) error {
		list = append(list, e)
		return nil
	})
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, err
}

// isDir reports whether dir has a directory of that name that is no link.
func isDir(dir *os.Root, name string) bool {
	info, err := dir.Lstat(name)
	return err == nil && info.IsDir()
}

// level is what a directory or file called base is in the name of a folder: modified UTF-7 is decoded (RFC 3501 §5.1.3), where it is that.
func level(base string) string {
	if name, err := maildir.DecodeFolder("." + base); err == nil {
		return name
	}
	return base
}

// below is the folder called base in a folder. At the top, any spelling of INBOX is the top itself.
func below(folder, base string) string {
	switch {
	case folder != maildir.Inbox:
		return folder + "." + level(base)
	case strings.EqualFold(base, maildir.Inbox):
		return maildir.Inbox
	}
	return level(base)
}

// failed tells of an error that does not end the walk, or gives one that does.
func (t *tree) failed(path string, err error) error {
	if cerr := t.ctx.Err(); cerr != nil {
		return cerr
	}
	t.Failed(path, err)
	return nil
}

// step opens a directory for the walk.
func (t *tree) step(parent *os.Root, at, base string, depth int) (*os.Root, error) {
	if err := t.ctx.Err(); err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, t.failed(path.Join(at, base), fmt.Errorf("it lies more than %d directories deep", maxDepth))
	}
	dir, err := parent.OpenRoot(base)
	if err != nil {
		return nil, t.failed(path.Join(at, base), err)
	}
	return dir, nil
}
