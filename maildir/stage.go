package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const (
	// stageBufferOctets is the most that Staged holds in memory.
	stageBufferOctets = 64 << 10
	// firstBufferOctets takes the usual small message.
	firstBufferOctets = 8 << 10
	// maxEmptyReads is how often a reader may return nothing and no error.
	maxEmptyReads = 100
)

// Staged is a message in tmp/, on its way to a folder. The order is Write, Seal, Commit; Abort at any point. It must
// end with a successful Commit or with Abort, which give its descriptors back. Not safe for concurrent use.
type Staged struct {
	tree  *Tree
	tmp   *dir
	name  string   // in tmp/
	file  *os.File // nil once sealed
	buf   []byte
	err   error // of the first write that failed
	state stagedState

	octets  int64
	bareLF  int64 // LFs without a CR before them
	afterCR bool
	modTime time.Time
}

type stagedState int

const (
	writing stagedState = iota
	sealed
	ended // committed, aborted or failed for good
)

var (
	errNotSealed = errors.New("the message is not sealed, or has been committed or aborted")
	errSealed    = errors.New("the message is sealed already")
)

// Stage begins a message in tmp/ of the tree, in a file of its own with mode 0600.
func (t *Tree) Stage() (*Staged, error) {
	s, err := t.newStaged()
	if err != nil {
		return nil, fmt.Errorf("stage in %s: %w", t.path, err)
	}
	if err = t.step(stepCreate, s.path()); err == nil {
		s.file, err = s.tmp.create(s.name)
	}
	if err != nil {
		s.tmp.release()
		return nil, fmt.Errorf("stage in %s: %w", t.path, err)
	}
	return s, nil
}

// newStaged takes a name in tmp/ but makes no file.
func (t *Tree) newStaged() (*Staged, error) {
	tmp, err := t.acquireMade(Inbox, subTmp)
	if err != nil {
		return nil, err
	}
	return &Staged{tree: t, tmp: tmp, name: t.names.Next()}, nil
}

func (s *Staged) path() string { return joinPath(s.tmp.path, s.name) }

// Write adds content, whose lines should end in LF. After an error every further Write and Seal fails.
func (s *Staged) Write(p []byte) (int, error) {
	if err := s.writable(); err != nil {
		return 0, err
	}
	if len(s.buf)+len(p) > stageBufferOctets {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > stageBufferOctets {
		if err := s.writeOut(p); err != nil {
			return 0, err
		}
	} else {
		if s.buf == nil {
			s.buf = make([]byte, 0, max(firstBufferOctets, len(p)))
		}
		s.buf = append(s.buf, p...)
	}
	s.count(p)
	return len(p), nil
}

// ReadFrom adds all that r gives, without a buffer between.
func (s *Staged) ReadFrom(r io.Reader) (int64, error) {
	if err := s.writable(); err != nil {
		return 0, err
	}
	var total int64
	for empty := 0; ; {
		if err := s.room(); err != nil {
			return total, err
		}
		n, err := r.Read(s.buf[len(s.buf):cap(s.buf)])
		s.count(s.buf[len(s.buf) : len(s.buf)+n])
		s.buf = s.buf[:len(s.buf)+n]
		total += int64(n)
		switch {
		case err == io.EOF:
			return total, nil
		case err != nil:
			return total, err
		case n > 0:
			empty = 0
		default:
			if empty++; empty >= maxEmptyReads {
				return total, io.ErrNoProgress
			}
		}
	}
}

// room sees to space in the buffer: it grows with the message, and is written out once it is full size.
func (s *Staged) room() error {
	switch {
	case len(s.buf) < cap(s.buf):
		return nil
	case cap(s.buf) >= stageBufferOctets:
		return s.flush()
	}
	grown := make([]byte, len(s.buf), max(firstBufferOctets, min(4*cap(s.buf), stageBufferOctets)))
	copy(grown, s.buf)
	s.buf = grown
	return nil
}

func (s *Staged) writable() error {
	if s.state != writing {
		return errSealed
	}
	return s.err
}

func (s *Staged) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	err := s.writeOut(s.buf)
	s.buf = s.buf[:0]
	return err
}

func (s *Staged) writeOut(p []byte) error {
	err := s.tree.step(stepWrite, s.path())
	if err == nil {
		_, err = s.file.Write(p)
	}
	s.err = err
	return err
}

// count keeps the sizes. An LF after a CR is a line end of the wire already, as in CRLF.
func (s *Staged) count(p []byte) {
	if len(p) == 0 {
		return
	}
	s.octets += int64(len(p))
	s.bareLF += int64(bytes.Count(p, []byte{'\n'}))
	if s.afterCR && p[0] == '\n' {
		s.bareLF--
	}
	if bytes.IndexByte(p, '\r') >= 0 {
		s.bareLF -= int64(bytes.Count(p, []byte("\r\n")))
	}
	s.afterCR = p[len(p)-1] == '\r'
}

// Seal makes the content durable: written out, fsynced, closed. After that it is never changed. An error is final: the
// file is removed, because what a second fsync says about a failed one is worth nothing.
func (s *Staged) Seal() error {
	if s.state != writing {
		return errSealed
	}
	err := s.err
	if err == nil {
		err = s.flush()
	}
	if err == nil {
		err = s.sync()
	}
	if closeErr := s.file.Close(); err == nil {
		err = closeErr
	}
	s.file, s.buf = nil, nil
	s.state = sealed
	if err != nil {
		return fmt.Errorf("seal message: %w", errors.Join(err, s.Abort()))
	}
	return nil
}

func (s *Staged) sync() error {
	if err := s.tree.step(stepSync, s.path()); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	s.modTime = info.ModTime()
	return nil
}

// Link stages the same message in another tree, or once more in this one, after Seal. It is a hard link where that is
// possible, else (another file system, too many links, links not permitted) a copy that is durable like the first.
func (s *Staged) Link(to *Tree) (*Staged, error) {
	if s.state != sealed {
		return nil, errNotSealed
	}
	other, err := to.newStaged()
	if err != nil {
		return nil, fmt.Errorf("stage in %s: %w", to.path, err)
	}
	if err = to.step(stepLink, other.path()); err == nil {
		err = linkAt(s.tmp, s.name, other.tmp, other.name)
	}
	if err == nil {
		other.octets, other.bareLF, other.modTime = s.octets, s.bareLF, s.modTime
		other.state = sealed
		return other, nil
	}
	other.tmp.release()
	if !needsCopy(err) {
		return nil, fmt.Errorf("stage in %s: %w", to.path, err)
	}
	f, err := s.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return to.stageCopy(f)
}

// needsCopy reports whether a hard link failed for a reason that a copy does not know.
func needsCopy(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EXDEV, syscall.EMLINK, syscall.EPERM, syscall.EOPNOTSUPP, syscall.ENOSYS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// stageCopy stages and seals what r holds.
func (t *Tree) stageCopy(r io.Reader) (*Staged, error) {
	s, err := t.Stage()
	if err != nil {
		return nil, err
	}
	if _, err := s.ReadFrom(r); err != nil {
		return nil, fmt.Errorf("stage in %s: %w", t.path, errors.Join(err, s.Abort()))
	}
	if err := s.Seal(); err != nil {
		return nil, err
	}
	return s, nil
}

// Open opens a sealed message for reading.
func (s *Staged) Open() (*os.File, error) {
	if s.state != sealed {
		return nil, errNotSealed
	}
	return s.tmp.open(s.name)
}

// Octets returns the size so far, in octets.
func (s *Staged) Octets() int64 { return s.octets }

// WireOctets returns the size so far with CRLF line ends, in octets.
func (s *Staged) WireOctets() int64 { return s.octets + s.bareLF }

// ModTime returns the time of the sealed file's last write, as a later stat of the message gives it.
func (s *Staged) ModTime() time.Time { return s.modTime }

// Key returns the key that the message has after Commit. It is final after Seal.
func (s *Staged) Key() Key { return sized(s.name, s.Octets(), s.WireOctets()) }

// Commit delivers the message: it is renamed into new/ of the INBOX, and new/ is fsynced. Only when Commit returns
// nil is it delivered, and then it survives a crash. When it returns an error, nothing of the message can be seen in
// the folder; it may still be staged, so Abort must follow (or, where a folder was missing, another CommitTo).
func (s *Staged) Commit() (Entry, error) {
	return s.commit(Entry{Folder: Inbox, New: true})
}

// CommitTo is Commit into any folder, which must exist. With flags the message goes to cur/, because only there can
// it have any; else to new/.
func (s *Staged) CommitTo(folder string, flags Flags) (Entry, error) {
	return s.commit(Entry{Folder: folder, Flags: ParseFlags(string(flags)), New: flags == ""})
}

// CommitSeen is CommitTo into cur/, also without flags: for messages that a reader has taken already.
func (s *Staged) CommitSeen(folder string, flags Flags) (Entry, error) {
	return s.commit(Entry{Folder: folder, Flags: ParseFlags(string(flags))})
}

func (s *Staged) commit(e Entry) (Entry, error) {
	if s.state != sealed {
		return Entry{}, errNotSealed
	}
	e.Key = s.Key()
	to, err := s.tree.acquireMade(e.Folder, e.sub())
	if err != nil {
		return Entry{}, fmt.Errorf("deliver %s: %w", e.Key, err)
	}
	defer to.release()
	name := e.FileName()
	if err = s.tree.step(stepRename, joinPath(to.path, name)); err == nil {
		err = renameAt(s.tmp, s.name, to, name)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("deliver %s: %w", e.Key, err)
	}
	s.end()
	if err = s.tree.syncDir(to); err == nil && !to.inPlace() {
		err = &errMoved{to.path}
	}
	if err != nil {
		return Entry{}, fmt.Errorf("deliver %s: %w", e.Key, errors.Join(err, to.remove(name)))
	}
	return e, nil
}

// errMoved says that a directory was exchanged while a message was put into it.
type errMoved struct{ path string }

// Error implements error.
func (e *errMoved) Error() string { return e.path + " was moved or removed meanwhile" }

// Abort takes the staged file away. It does nothing after Commit has delivered the message, and may be called again.
func (s *Staged) Abort() error {
	if s.state == ended {
		return nil
	}
	var closeErr error
	if s.file != nil {
		closeErr = s.file.Close()
		s.file, s.buf = nil, nil
	}
	err := s.tmp.remove(s.name)
	s.end()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("abort message: %w", errors.Join(err, closeErr))
	}
	return nil
}

// end gives the directory back.
func (s *Staged) end() {
	s.state = ended
	s.tmp.release()
}
