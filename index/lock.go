package index

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockPoll = time.Millisecond
	// lockPatience is how long a transaction waits for another process before it goes on without the lock: SQLite's own
	// locks keep the data safe, this one only keeps the turns fair.
	lockPatience = 10 * time.Second
)

// fileLock is an flock on a file of its own. It gives processes their turn at writing (SQLite's busy handler lets a back-to-back
// writer starve another) and keeps two of them from setting the same file aside. Who comes first is next: it holds the turnstile, another
// lock on the same file (fcntl(2), open file description locks), while it waits for the one before it, so that this one cannot come again at once.
type fileLock struct{ f *os.File }

func openFileLock(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the index lock: %w", err)
	}
	return &fileLock{f}, nil
}

// errLocked says that another process has held the lock all the time.
var errLocked = errors.New("another process holds the index lock")

// acquire takes the lock, waiting at most patience. Without a file there is nothing to wait for.
func (l *fileLock) acquire(patience time.Duration) error {
	if l == nil {
		return nil
	}
	deadline := time.Now().Add(patience)
	err := l.poll(deadline, func() error { return l.turnstile(unix.F_WRLCK) })
	if err != nil {
		return err
	}
	// An error is impossible on an open descriptor.
	defer func() { _ = l.turnstile(unix.F_UNLCK) }()
	return l.poll(deadline, func() error { return syscall.Flock(int(l.f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) })
}

func (l *fileLock) turnstile(kind int16) error {
	return unix.FcntlFlock(l.f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind})
}

// poll tries to take one of the locks until deadline.
func (l *fileLock) poll(deadline time.Time, take func() error) error {
	for {
		err := take()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
			continue
		case !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES):
			return fmt.Errorf("lock %s: %w", l.f.Name(), err)
		case time.Now().After(deadline):
			return fmt.Errorf("lock %s: %w", l.f.Name(), errLocked)
		}
		time.Sleep(lockPoll)
	}
}

func (l *fileLock) release() {
	if l == nil {
		return
	}
	// An error is impossible on an open descriptor, and closing it would release the lock as well.
	_ = syscall.Flock(int(l.f.Fd()), syscall.LOCK_UN)
}

func (l *fileLock) close() error { return l.f.Close() }
