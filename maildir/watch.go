package maildir

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// ErrWatchLimit says that the kernel watches no more directories, or has no memory left for it.
var ErrWatchLimit = errors.New("the kernel watches no more directories for this user: raise fs.inotify.max_user_watches by sysctl")

// errWatchers is why a Watcher could not be made.
var errWatchers = errors.New("too many programs of this user watch files: raise fs.inotify.max_user_instances by sysctl, or the limit of open files")

// WatchKind says what is told of a watched directory.
type WatchKind uint32

const (
	// WatchMessages is for new/ and cur/: every change of a file.
	WatchMessages WatchKind = watchAny | syscall.IN_MODIFY | syscall.IN_CLOSE_WRITE | syscall.IN_EXCL_UNLINK
	// WatchDirs is for the directories above them: what is made, renamed and removed in it.
	WatchDirs WatchKind = watchAny
)

// watchAny is what both kinds tell; links are refused, and so is what is no directory.
const watchAny = syscall.IN_CREATE | syscall.IN_DELETE | syscall.IN_MOVED_FROM | syscall.IN_MOVED_TO | syscall.IN_ATTRIB |
	syscall.IN_DELETE_SELF | syscall.IN_MOVE_SELF | syscall.IN_ONLYDIR | syscall.IN_DONT_FOLLOW

// ChangeOp is what happened.
type ChangeOp uint8

const (
	Appeared  ChangeOp = iota // Name was made here, linked here or moved here
	Vanished                  // Name was removed or moved away
	Touched                   // Name was written, closed after that, or its time, owner or mode were set
	Displaced                 // the watched directory itself was renamed, removed or unmounted
	Lost                      // changes were lost, of any directory: the kernel's queue was full
)

// Change is one event. It names no file that is still there for sure: by the time it is read more may have happened.
type Change struct {
	Watch int // as Add gave it; of no meaning with Lost
	Op    ChangeOp
	Dir   bool   // Name is a directory
	Name  string // without the directory; "" for the watched directory itself
	Pair  uint32 // the same in the two halves of a rename, in each of the two directories; 0 when it is no rename
}

// watchBuffer takes some hundreds of events at a time; watchHead are the octets of one without its name: inotify(7).
const (
	watchBuffer = 64 << 10
	watchHead   = syscall.SizeofInotifyEvent
)

// Watcher tells what changes in directories, by inotify(7): one descriptor, whatever their number. Add, Remove and Close are safe for
// concurrent use; Read is for one goroutine.
type Watcher struct {
	file     *os.File
	raw      syscall.RawConn
	buf      []byte
	deadline time.Time
}

// NewWatcher makes a watcher of nothing yet.
func NewWatcher() (*Watcher, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	switch {
	case errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE):
		return nil, fmt.Errorf("watch directories: %w", errWatchers)
	case err != nil:
		return nil, fmt.Errorf("watch directories: %w", err)
	}
	file := os.NewFile(uintptr(fd), "inotify") // non-blocking: the runtime waits for it and Close ends a Read
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("watch directories: %w", err)
	}
	return &Watcher{file: file, raw: raw, buf: make([]byte, watchBuffer)}, nil
}

// Close ends the watching; a Read under way returns [fs.ErrClosed].
func (w *Watcher) Close() error { return w.file.Close() }

// Add watches the directory that path names now and goes on with it when it is renamed. The number it returns tells its changes from
// others'; it is that of before if the same directory is watched already, under whatever name, and is not given again after Remove or
// [Displaced]. The error matches [fs.ErrNotExist], [fs.ErrPermission] (the directory must be readable), [ErrWatchLimit], or is
// [syscall.ENOTDIR] for what is no directory, links included.
func (w *Watcher) Add(path string, kind WatchKind) (watch int, err error) {
	closed := w.raw.Control(func(fd uintptr) {
		err = retry(func() (err error) {
			watch, err = syscall.InotifyAddWatch(int(fd), path, uint32(kind))
			return err
		})
	})
	switch {
	case closed != nil:
		err = fs.ErrClosed
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.EMFILE):
		err = ErrWatchLimit
	}
	if err != nil {
		return -1, &fs.PathError{Op: "watch", Path: path, Err: err}
	}
	return watch, nil
}

// Remove ends the watch of one directory. Changes that happened before may still be told. One that ended by itself is no error.
func (w *Watcher) Remove(watch int) error {
	var err error
	if w.raw.Control(func(fd uintptr) { _, err = syscall.InotifyRmWatch(int(fd), uint32(watch)) }) != nil {
		return fs.ErrClosed
	}
	if err != nil && err != syscall.EINVAL {
		return fmt.Errorf("end a watch: %w", err)
	}
	return nil
}

// Read waits until deadline for changes and calls fn for each that has come, in order. The error matches [os.ErrDeadlineExceeded] when
// none came, [fs.ErrClosed] after Close.
func (w *Watcher) Read(deadline time.Time, fn func(Change)) error {
	if !deadline.Equal(w.deadline) {
		switch err := w.file.SetReadDeadline(deadline); {
		case errors.Is(err, os.ErrNoDeadline):
			return fmt.Errorf("watch directories: %w", err)
		case err != nil:
			return fs.ErrClosed
		}
		w.deadline = deadline
	}
	n, err := w.file.Read(w.buf)
	if err != nil {
		return err
	}
	for b := w.buf[:n]; len(b) >= watchHead; {
		size := watchHead + int(binary.NativeEndian.Uint32(b[12:]))
		if size > len(b) {
			return fmt.Errorf("watch directories: an event of %d octets in %d", size, len(b))
		}
		if c, ok := parseChange(b[:size]); ok {
			fn(c)
		}
		b = b[size:]
	}
	return nil
}

// parseChange reads struct inotify_event: wd, mask, cookie, the length of the name, and the name, filled up with NUL.
func parseChange(b []byte) (Change, bool) {
	mask := binary.NativeEndian.Uint32(b[4:])
	c := Change{
		Watch: int(int32(binary.NativeEndian.Uint32(b))), Pair: binary.NativeEndian.Uint32(b[8:]), Dir: mask&syscall.IN_ISDIR != 0,
	}
	switch {
	case mask&syscall.IN_Q_OVERFLOW != 0:
		c.Op = Lost
	case mask&(syscall.IN_DELETE_SELF|syscall.IN_MOVE_SELF|syscall.IN_UNMOUNT|syscall.IN_IGNORED) != 0:
		c.Op = Displaced
	case mask&(syscall.IN_CREATE|syscall.IN_MOVED_TO) != 0:
		c.Op = Appeared
	case mask&(syscall.IN_DELETE|syscall.IN_MOVED_FROM) != 0:
		c.Op = Vanished
	case mask&(syscall.IN_MODIFY|syscall.IN_CLOSE_WRITE|syscall.IN_ATTRIB) != 0:
		c.Op = Touched // the modification time alone (touch -m, rsync) is IN_MODIFY
	default:
		return Change{}, false
	}
	name := b[watchHead:]
	if end := bytes.IndexByte(name, 0); end >= 0 {
		name = name[:end]
	}
	c.Name = string(name)
	return c, true
}

// FolderDirs returns the directories, relative to the tree, that a folder may have. The first that exists is the folder: see the quirk
// at [DecodeFolder].
func FolderDirs(folder string) ([]string, error) { return folderDirs(folder) }
