package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"maild/appliance/process"
)

const (
	// batchFiles and batchOctets are how much is written before the disk is waited for.
	batchFiles  = 1000
	batchOctets = 64 << 20
	copyBuffer  = 256 << 10
)

// batch writes files in two steps: their content into files of other names, and, once the disk has all of a batch, under their own. So a file that
// stands under its name is whole, whatever happens, and the disk is waited for once for a thousand of them.
type batch struct {
	fsys   string // a path on the file system that is written to
	files  []batched
	octets int64
	count  int
	buf    []byte

	noClones bool // the file system can make none, or not of these
}

// batched is a file that waits for its name.
type batched struct{ temp, path string }

// readError is one of reading, where others are of writing.
type readError struct{ error }

func (e readError) Unwrap() error { return e.error }

// add copies from to path, by way of the directory tmp. Nothing that stands at path is replaced.
func (b *batch) add(from *os.File, tmp, path string, arrived time.Time) (octets int64, err error) {
	b.count++
	temp := filepath.Join(tmp, fmt.Sprintf("copy.%d.%d", os.Getpid(), b.count))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	octets, err = b.content(f, from)
	if err == nil {
		err = os.Chtimes(temp, arrived, arrived)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, errors.Join(err, os.Remove(temp))
	}
	b.files = append(b.files, batched{temp, path})
	if b.octets += octets; len(b.files) >= batchFiles || b.octets >= batchOctets {
		err = b.flush()
	}
	return octets, err
}

// content is a clone of from where the file system can make one, else a copy.
func (b *batch) content(to, from *os.File) (octets int64, err error) {
	if !b.noClones {
		if unix.IoctlFileClone(int(to.Fd()), int(from.Fd())) == nil {
			info, err := to.Stat()
			if err != nil {
				return 0, err
			}
			return info.Size(), nil
		}
		b.noClones = true
	}
	if b.buf == nil {
		b.buf = make([]byte, copyBuffer)
	}
	for {
		n, err := from.Read(b.buf)
		if n > 0 {
			if _, err := to.Write(b.buf[:n]); err != nil {
				return octets, err
			}
			octets += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return octets, nil
		}
		if err != nil {
			return octets, readError{err}
		}
	}
}

// flush waits for the disk and gives the files their names.
func (b *batch) flush() error {
	if len(b.files) == 0 {
		return nil
	}
	if err := syncFileSystem(b.fsys); err != nil {
		return err
	}
	dirs := map[string]bool{}
	for len(b.files) > 0 {
		f := b.files[0]
		err := unix.Renameat2(unix.AT_FDCWD, f.temp, unix.AT_FDCWD, f.path, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
			err = linkAndRemove(f.temp, f.path) // a file system that cannot do it
		}
		if errors.Is(err, fs.ErrExist) {
			err = os.Remove(f.temp) // it is the same message
		}
		if err != nil {
			return &os.LinkError{Op: "rename", Old: f.temp, New: f.path, Err: err}
		}
		dirs[filepath.Dir(f.path)] = true
		b.files = b.files[1:]
	}
	b.files, b.octets = nil, 0
	for dir := range dirs {
		if err := process.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func linkAndRemove(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}

// abort takes away what has no name yet.
func (b *batch) abort() {
	for _, f := range b.files {
		// What cannot be removed is in tmp/, where it is in the way of nothing.
		_ = os.Remove(f.temp)
	}
	b.files = nil
}

// copyMessage gives the backup a message: a link to the live file, to the one in the previous backup, or a copy.
func (r *run) copyMessage(m message) error {
	path := m.to.MessagePath(m.Entry)
	if !r.Copy && !r.noLinks {
		if done, err := r.link(m, path); err != nil || done {
			return err
		}
	}
	f, now, err := m.from.OpenFound(m.Entry)
	if err != nil {
		return asReading(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return readError{err}
	}
	if now != m.Entry {
		path = m.to.MessagePath(now)
	}
	if r.previous != nil {
		if old := r.previous.find(m.account, now, info); old != "" {
			switch err := os.Link(old, path); {
			case err == nil, errors.Is(err, fs.ErrExist):
				r.m.UnchangedMessages++
				r.m.Previous = r.Previous
				return nil
			case errors.Is(err, unix.EXDEV):
				r.previous = nil // of no use
			case !cannotLink(err):
				return err
			}
		}
	}
	if done, err := r.linkCopy(info, path); err != nil || done {
		return err
	}
	octets, err := r.batch.add(f, filepath.Join(m.to.Path(), "tmp"), path, info.ModTime())
	if err != nil {
		return err
	}
	r.m.CopiedMessages++
	r.m.CopiedOctets += octets
	if id, several := inodeOf(info); several && len(r.copies) < maxCopies {
		r.copies[id] = path
	}
	return nil
}

// maxCopies bounds the memory for messages that have several names: about 20 MB.
const maxCopies = 100_000

// inode is a file's identity.
type inode struct{ dev, ino uint64 }

// inodeOf gives the identity of a file, and whether it has several names.
func inodeOf(info fs.FileInfo) (id inode, several bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return id, false
	}
	return inode{uint64(st.Dev), st.Ino}, st.Nlink > 1
}

// linkCopy makes path another name of the copy of a file that is here already: a message to several accounts is one file with a name in each. It
// reports false where there is no such copy.
func (r *run) linkCopy(info fs.FileInfo, path string) (done bool, err error) {
	id, several := inodeOf(info)
	copied, ok := r.copies[id]
	if !several || !ok {
		return false, nil
	}
	err = os.Link(copied, path)
	if errors.Is(err, fs.ErrNotExist) {
		// It waits for its name.
		if err := r.batch.flush(); err != nil {
			return false, err
		}
		err = os.Link(copied, path)
	}
	switch {
	case err == nil:
		r.m.CopiedMessages++
		return true, nil
	case errors.Is(err, fs.ErrExist):
		return true, nil
	}
	return false, nil // a copy of its own, then, or the error that this meets
}

// link makes path a link to a live message. It reports false where that cannot be.
func (r *run) link(m message, path string) (done bool, err error) {
	err = os.Link(m.from.MessagePath(m.Entry), path)
	if errors.Is(err, fs.ErrNotExist) {
		// It has another name by now, or one that is spelt in its own way.
		f, _, openErr := m.from.OpenFound(m.Entry)
		if openErr != nil {
			return false, asReading(openErr)
		}
		defer f.Close()
		name := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
		err = unix.Linkat(unix.AT_FDCWD, name, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil // no /proc, or removed meanwhile: a copy does it
		}
	}
	switch {
	case err == nil:
		r.m.LinkedMessages++
		return true, nil
	case errors.Is(err, fs.ErrExist):
		return true, nil
	case errors.Is(err, unix.EXDEV):
		r.noLinks = true
		return false, nil
	case cannotLink(err):
		return false, nil
	}
	return false, err
}

// cannotLink reports whether a link failed for a reason that a copy does not know: too many links to that file, or they are not permitted.
func cannotLink(err error) bool {
	for _, errno := range []syscall.Errno{unix.EMLINK, unix.EPERM, unix.EACCES, unix.EOPNOTSUPP, unix.ENOSYS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// errGone says that something has gone from where it was seen.
var errGone = errors.New("gone")

// asReading tells an error of what is read from one of what is written.
func asReading(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return errGone
	}
	return readError{err}
}

// isUnreadable reports whether an error is of reading.
func isUnreadable(err error) bool {
	var r readError
	return errors.As(err, &r)
}

// beside copies the files of one folder that are not mail: what Dovecot and others keep there. Caches that are made again when they are missing are left out.
func (r *run) beside(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return asReading(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !e.Type().IsRegular() || strings.HasPrefix(name, "dovecot.index") || strings.HasSuffix(name, ".lock") || name == "maildirsize" {
			continue
		}
		if _, err := os.Lstat(filepath.Join(to, name)); r.missing && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := r.smallFile(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

// directory copies the files in a directory, which may be missing, and none below it.
func (r *run) directory(from, to string) error {
	if info, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil
	}
	if err := os.Mkdir(to, placeMode); err != nil {
		return err
	}
	return r.beside(from, to)
}

// smallFile copies one file, with its mode and time, in the place of what an interrupted run left.
func (r *run) smallFile(from, to string) error {
	text, info, err := readSmall(from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return r.unreadable(from, readError{err})
	}
	if err := removeFile(to); err != nil {
		return err
	}
	if err := os.WriteFile(to, text, info.Mode().Perm()&0o700); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// maxSmall bounds the memory for a file that is kept beside the mail: the largest seen are lists of some megabytes.
const maxSmall = 64 << 20

func readSmall(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.Size() > maxSmall {
		return nil, nil, fmt.Errorf("%s is too large for a file beside the mail", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSmall))
	return text, info, err
}
