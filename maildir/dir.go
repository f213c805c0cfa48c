package maildir

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// The three directories of a folder.
const (
	subTmp = "tmp"
	subNew = "new"
	subCur = "cur"
)

// oPath is O_PATH, which package syscall lacks: a descriptor that only names a file. The value is that of every Linux
// architecture Go runs on.
const oPath = 0x200000

// dir is an open directory. Every operation names a file in that very directory and follows no link. It is counted:
// whoever got it calls release.
type dir struct {
	fd       int
	dev, ino uint64
	path     string // by which it was opened
	refs     atomic.Int32
}

// openDir opens the directory at path, which may lead through links.
func openDir(path string) (*dir, error) {
	return openDirAt(nil, path, path, 0)
}

// sub opens a directory within d that is no link.
func (d *dir) sub(name string) (*dir, error) {
	return openDirAt(d, name, joinPath(d.path, name), syscall.O_NOFOLLOW)
}

// openDirAt opens name in parent (nil for the working directory).
func openDirAt(parent *dir, name, path string, flag int) (*dir, error) {
	parentFD := atCWD
	if parent != nil {
		parentFD = parent.fd
	}
	fd, err := openat(parentFD, name, syscall.O_RDONLY|syscall.O_DIRECTORY|flag, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	d := &dir{fd: fd, path: path}
	d.refs.Store(1)
	var st syscall.Stat_t
	if err := retry(func() error { return syscall.Fstat(fd, &st) }); err != nil {
		d.release()
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	d.dev, d.ino = uint64(st.Dev), st.Ino
	return d, nil
}

// release gives d back; the last one closes it. A directory is only read and synced, so closing has nothing to tell.
func (d *dir) release() {
	if d.refs.Add(-1) == 0 {
		_ = syscall.Close(d.fd)
	}
}

// inPlace reports whether d is still what its path names: it is not after the directory, or one above it, was moved away,
// removed or made anew.
func (d *dir) inPlace() bool {
	st, err := lstat(d.path)
	return err == nil && uint64(st.Dev) == d.dev && st.Ino == d.ino
}

// open opens a regular file; anything else is an error, found without blocking on a FIFO.
func (d *dir) open(name string) (*os.File, error) {
	path := joinPath(d.path, name)
	fd, err := openat(d.fd, name, syscall.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	var st syscall.Stat_t
	err = retry(func() error { return syscall.Fstat(fd, &st) })
	if err == nil && st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		err = errNotRegular
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

var errNotRegular = errors.New("not a regular file")

// create makes a file that must not exist, for writing.
func (d *dir) create(name string) (*os.File, error) {
	path := joinPath(d.path, name)
	fd, err := openat(d.fd, name, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// list opens d once more, for reading its entries from the beginning.
func (d *dir) list() (*os.File, error) {
	fd, err := openat(d.fd, ".", syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: d.path, Err: err}
	}
	return os.NewFile(uintptr(fd), d.path), nil
}

// stat describes name itself, not what a link points at.
func (d *dir) stat(name string) (syscall.Stat_t, error) {
	var st syscall.Stat_t
	fd, err := openat(d.fd, name, oPath|syscall.O_NOFOLLOW, 0)
	if err == nil {
		err = retry(func() error { return syscall.Fstat(fd, &st) })
		_ = syscall.Close(fd)
	}
	if err != nil {
		return st, &fs.PathError{Op: "stat", Path: joinPath(d.path, name), Err: err}
	}
	return st, nil
}

// fileInfo is stat in the standard library's form.
func (d *dir) fileInfo(name string) (fs.FileInfo, error) {
	path := joinPath(d.path, name)
	fd, err := openat(d.fd, name, oPath|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: errNotRegular}
	}
	return info, err
}

// isRegular reports whether name is a regular file.
func (d *dir) isRegular(name string) bool {
	st, err := d.stat(name)
	return err == nil && st.Mode&syscall.S_IFMT == syscall.S_IFREG
}

// isDir reports whether name is a directory.
func (d *dir) isDir(name string) bool {
	st, err := d.stat(name)
	return err == nil && st.Mode&syscall.S_IFMT == syscall.S_IFDIR
}

// mayExist reports whether name is there, at the price of one system call. It follows links, so true is a hint only.
func (d *dir) mayExist(name string) bool {
	return retry(func() error { return syscall.Faccessat(d.fd, name, 0, 0) }) == nil
}

// exists reports whether anything has that name, a dangling link included.
func (d *dir) exists(name string) bool {
	_, err := d.stat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// mkdir makes a directory for the owner alone.
func (d *dir) mkdir(name string) error {
	err := retry(func() error { return syscall.Mkdirat(d.fd, name, 0o700) })
	return pathError("mkdir", joinPath(d.path, name), err)
}

// remove unlinks a file.
func (d *dir) remove(name string) error {
	err := retry(func() error { return syscall.Unlinkat(d.fd, name) })
	return pathError("remove", joinPath(d.path, name), err)
}

// rmdir removes a directory, which must be empty.
func (d *dir) rmdir(name string) error {
	ptr, err := syscall.BytePtrFromString(name)
	if err == nil {
		err = retry(func() error {
			_, _, errno := syscall.Syscall(syscall.SYS_UNLINKAT, uintptr(d.fd), uintptr(unsafe.Pointer(ptr)), atRemoveDir)
			if errno != 0 {
				return errno
			}
			return nil
		})
	}
	return pathError("remove", joinPath(d.path, name), err)
}

// sync makes the entries of d durable.
func (d *dir) sync() error {
	err := retry(func() error { return syscall.Fsync(d.fd) })
	return pathError("fsync", d.path, err)
}

// renameAt moves from/old to to/name. As with rename(2), a file of that name is replaced.
func renameAt(from *dir, old string, to *dir, name string) error {
	err := retry(func() error { return syscall.Renameat(from.fd, old, to.fd, name) })
	return linkError("rename", from, old, to, name, err)
}

// linkAt gives the file from/old a second name to/name, which must not exist. A symbolic link is linked as such, not
// followed.
func linkAt(from *dir, old string, to *dir, name string) error {
	return linkError("link", from, old, to, name, retry(func() error { return linkat(from.fd, old, to.fd, name, 0) }))
}

// linkatFollow links what old, a link of /proc, stands for.
func linkatFollow(old string, toFD int, name string) error {
	const atSymlinkFollow = 0x400
	return linkat(atCWD, old, toFD, name, atSymlinkFollow)
}

// linkat is linkat(2), which package syscall does not offer.
func linkat(fromFD int, old string, toFD int, name string, flags int) error {
	oldPtr, err := syscall.BytePtrFromString(old)
	if err != nil {
		return err
	}
	namePtr, err := syscall.BytePtrFromString(name)
	if err != nil {
		return err
	}
	_, _, errno := syscall.Syscall6(syscall.SYS_LINKAT, uintptr(fromFD), uintptr(unsafe.Pointer(oldPtr)),
		uintptr(toFD), uintptr(unsafe.Pointer(namePtr)), uintptr(flags), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// atCWD is AT_FDCWD: names are relative to the working directory.
const atCWD = -100

// atRemoveDir is AT_REMOVEDIR: unlinkat(2) is rmdir(2) then.
const atRemoveDir = 0x200

func openat(fd int, name string, flag int, perm uint32) (int, error) {
	opened := -1
	err := retry(func() (err error) {
		opened, err = syscall.Openat(fd, name, flag|syscall.O_CLOEXEC|syscall.O_LARGEFILE, perm)
		return err
	})
	return opened, err
}

func lstat(path string) (syscall.Stat_t, error) {
	var st syscall.Stat_t
	err := retry(func() error { return syscall.Lstat(path, &st) })
	return st, pathError("stat", path, err)
}

// retry repeats a system call that a signal broke off: Go's own scheduler sends signals.
func retry(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}

func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

func linkError(op string, from *dir, old string, to *dir, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: joinPath(from.path, old), New: joinPath(to.path, name), Err: err}
}

// joinPath adds a plain file name to a cleaned path. Unlike filepath.Join it keeps the path as it is.
func joinPath(path, name string) string { return path + "/" + name }
