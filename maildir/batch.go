package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
	"unsafe"
)

const (
	// A batch is full with so many messages, or octets, or directories to put them into. A thousand small messages cost one journal
	// commit of the file system instead of a thousand; more would gain little and lose more in a power cut.
	fullBatchMessages = 1000
	fullBatchOctets   = 64 << 20
	fullBatchDirs     = 64
)

// Batch brings many messages into a tree at the price of a few syncs, for imports: a delivery that is waited for is a [Staged].
//
//	b, err := tree.Batch()
//	b.Write(message)            // into a file of its own in tmp/
//	b.Place(Incoming{…})        // or b.Drop()
//	…                           // and again, until b.Full()
//	b.Commit()                  // syncfs, renames, fsync of each directory: only now are all of them delivered
//
// When Commit returns nil, every message placed is durable under its name. A crash before that leaves each message either delivered
// whole or as a file in tmp/, which [Tree.CleanTmp] takes away: contents are on disk before the first rename. So whoever gives
// messages names that tell where they came from can see after a crash which are there, and go on with the others.
//
// The content is made durable by syncfs(2), which covers all of the file system; that it reports errors of writing needs Linux 5.8 or later.
// Not safe for concurrent use. It ends with Abort, also after the last Commit.
type Batch struct {
	tree    *Tree
	tmp     *dir
	buf     []byte
	file    *os.File // being written; nil between messages
	name    string   // in tmp/, of the message being written
	linked  bool     // it is a file that has another name elsewhere
	octets  int64
	bareLF  int64
	waiting []waitingFile
	sum     int64 // octets that wait
	dirs    map[dirKey]*dir
}

// waitingFile is a message in tmp/ that has been given its place.
type waitingFile struct {
	name  string
	entry Entry
}

// Incoming says where a message of a batch goes, and under which name.
type Incoming struct {
	Folder string // must exist
	// Name is the key without the sizes, which are added to it. It must be unique for all times, as those of [Names] are; "" takes one of
	// those.
	Name    string
	Key     Key // instead of Name: all of the key, for a copy that keeps it
	Flags   Flags
	New     bool      // into new/; only without Flags
	ModTime time.Time // the time of arrival; zero leaves the file's own
}

var errNotWritten = errors.New("no message has been written")

// Batch begins a batch.
func (t *Tree) Batch() (*Batch, error) {
	tmp, err := t.acquireMade(Inbox, subTmp)
	if err != nil {
		return nil, fmt.Errorf("batch in %s: %w", t.path, err)
	}
	return &Batch{tree: t, tmp: tmp, buf: make([]byte, stageBufferOctets), dirs: map[dirKey]*dir{}}, nil
}

// Write puts a message into tmp/, with all that r gives, whose lines should end in LF. Place or Drop must follow, Drop after an error, be it
// of r or of the disk.
func (b *Batch) Write(r io.Reader) error {
	if err := b.create(); err != nil {
		return fmt.Errorf("stage in %s: %w", b.tree.path, err)
	}
	return b.read(r, b.file)
}

func (b *Batch) create() (err error) {
	b.begin()
	if err := b.tree.step(stepCreate, b.path()); err != nil {
		return err
	}
	b.file, err = b.tmp.create(b.name)
	return err
}

func (b *Batch) begin() {
	b.name, b.linked, b.octets, b.bareLF = b.tree.names.Next(), false, 0, 0
}

func (b *Batch) path() string { return joinPath(b.tmp.path, b.name) }

// read copies r to w and counts.
func (b *Batch) read(r io.Reader, w io.Writer) error {
	var count Staged
	for empty := 0; ; {
		n, err := r.Read(b.buf)
		if n > 0 {
			empty = 0
			count.count(b.buf[:n])
			werr := b.tree.step(stepWrite, b.path())
			if werr == nil {
				_, werr = w.Write(b.buf[:n])
			}
			if werr != nil {
				return werr
			}
		} else if empty++; err == nil && empty >= maxEmptyReads {
			err = io.ErrNoProgress
		}
		b.octets, b.bareLF = count.octets, count.bareLF
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Link is Write of a file that becomes a message as it is, by a hard link: what is written to it later shows in both places. Its time stays,
// whatever Incoming says. It reports false, and nothing is staged, where that cannot be: on another file system, or without the right to it.
func (b *Batch) Link(f *os.File) (bool, error) {
	b.begin()
	err := b.tree.step(stepLink, b.path())
	if err == nil {
		err = b.linkFile(f)
	}
	if needsCopy(err) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		b.name = ""
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("stage in %s: %w", b.tree.path, err)
	}
	b.linked = true
	return true, b.read(f, io.Discard)
}

// linkFile gives an open file a name in tmp/.
func (b *Batch) linkFile(f *os.File) error {
	old := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	err := retry(func() error { return linkatFollow(old, b.tmp.fd, b.name) })
	if err != nil {
		return &os.LinkError{Op: "link", Old: f.Name(), New: b.path(), Err: err}
	}
	return nil
}

// Octets returns the size of the message written last.
func (b *Batch) Octets() int64 { return b.octets }

// Place says where the message goes that was written last. It waits for Commit there.
func (b *Batch) Place(in Incoming) (Entry, error) {
	if b.name == "" {
		return Entry{}, errNotWritten
	}
	e := Entry{Folder: in.Folder, Flags: ParseFlags(string(in.Flags)), New: in.New && in.Flags == ""}
	if in.Name == "" {
		in.Name = b.name
	}
	if e.Key = in.Key; e.Key == "" {
		e.Key = sized(in.Name, b.octets, b.octets+b.bareLF)
	}
	err := b.place(e, in)
	if err != nil {
		return Entry{}, fmt.Errorf("deliver %s to %s: %w", e.Key, e.Folder, err)
	}
	b.waiting = append(b.waiting, waitingFile{b.name, e})
	b.sum += b.octets
	b.name = ""
	return e, nil
}

func (b *Batch) place(e Entry, in Incoming) error {
	if !e.Key.valid() || len(e.FileName()) > maxNameOctets {
		return errBadKey
	}
	key := dirKey{e.Folder, e.sub()}
	if b.dirs[key] == nil {
		d, err := b.tree.acquireMade(key.folder, key.sub)
		if err != nil {
			return err
		}
		b.dirs[key] = d
	}
	if b.linked {
		return nil
	}
	if !in.ModTime.IsZero() {
		if err := setTime(b.file, in.ModTime); err != nil {
			return &fs.PathError{Op: "utimensat", Path: b.path(), Err: err}
		}
	}
	err := b.file.Close()
	b.file = nil
	return err
}

// Drop takes back the message that was written last. It does nothing when that has been placed.
func (b *Batch) Drop() error {
	if b.name == "" {
		return nil
	}
	var closeErr error
	if b.file != nil {
		closeErr = b.file.Close()
		b.file = nil
	}
	err := b.tmp.remove(b.name)
	b.name = ""
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it could not even be made
	}
	return errors.Join(err, closeErr)
}

// Waiting returns how many messages wait for Commit.
func (b *Batch) Waiting() int { return len(b.waiting) }

// Full reports that it is time for Commit.
func (b *Batch) Full() bool {
	return len(b.waiting) >= fullBatchMessages || b.sum >= fullBatchOctets || len(b.dirs) >= fullBatchDirs
}

// Commit delivers what waits; the batch can then be used again. When it returns nil, all of it survives a crash. When it returns an error,
// what it had renamed already is taken back; Abort must follow.
func (b *Batch) Commit() error {
	if len(b.waiting) == 0 {
		return nil
	}
	if err := b.commit(); err != nil {
		return fmt.Errorf("deliver %d messages: %w", len(b.waiting), err)
	}
	b.waiting, b.sum = b.waiting[:0], 0
	b.releaseDirs()
	return nil
}

func (b *Batch) commit() error {
	err := b.tree.step(stepSync, b.tmp.path)
	if err == nil {
		err = pathError("syncfs", b.tmp.path, retry(func() error { return syncFS(b.tmp.fd) }))
	}
	if err != nil {
		return err
	}
	done := 0
	for _, w := range b.waiting {
		to := b.dirs[dirKey{w.entry.Folder, w.entry.sub()}]
		base := w.entry.FileName()
		if err = b.tree.step(stepRename, joinPath(to.path, base)); err == nil {
			err = renameAt(b.tmp, w.name, to, base)
		}
		if err != nil {
			break
		}
		done++
	}
	if err == nil {
		err = b.syncDirs()
	}
	if err == nil {
		return nil
	}
	errs := []error{err}
	for _, w := range b.waiting[:done] {
		errs = append(errs, b.dirs[dirKey{w.entry.Folder, w.entry.sub()}].remove(w.entry.FileName()))
	}
	b.waiting = b.waiting[done:]
	return errors.Join(errs...)
}

func (b *Batch) syncDirs() error {
	for _, d := range b.dirs {
		if err := b.tree.syncDir(d); err != nil {
			return err
		}
		if !d.inPlace() {
			return &errMoved{d.path}
		}
	}
	return nil
}

func (b *Batch) releaseDirs() {
	for key, d := range b.dirs {
		d.release()
		delete(b.dirs, key)
	}
}

// Abort takes away what was not committed, and ends the batch. It may be called again.
func (b *Batch) Abort() error {
	if b.tmp == nil {
		return nil
	}
	errs := []error{b.Drop()}
	for _, w := range b.waiting {
		if err := b.tmp.remove(w.name); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	b.waiting = nil
	b.releaseDirs()
	b.tmp.release()
	b.tmp = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("abort batch: %w", err)
	}
	return nil
}

// setTime sets both times of an open file, to the nanosecond.
func setTime(f *os.File, at time.Time) error {
	ts := [2]syscall.Timespec{syscall.NsecToTimespec(at.UnixNano()), syscall.NsecToTimespec(at.UnixNano())}
	return retry(func() error {
		// Without a name it is the descriptor's own file: utimensat(2), "futimens".
		_, _, errno := syscall.Syscall6(syscall.SYS_UTIMENSAT, f.Fd(), 0, uintptr(unsafe.Pointer(&ts[0])), 0, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	})
}

// syncFS is syncfs(2), which package syscall does not offer.
func syncFS(fd int) error {
	if _, _, errno := syscall.Syscall(sysSyncFS, uintptr(fd), 0, 0); errno != 0 {
		return errno
	}
	return nil
}
