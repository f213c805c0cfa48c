package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// sizeFile is the file of the Maildir++ quota, beside the INBOX's directories.
	sizeFile = "maildirsize"
	// MaxSizeFileOctets is the length at which the file is to be written anew from the messages themselves (Maildir++; Courier and Dovecot
	// read no more than that).
	MaxSizeFileOctets = 5120
	// StaleSizeAge is the age at which a file that says "over quota" is not believed any more.
	StaleSizeAge = 15 * time.Minute
	// sizeLockWait bounds the wait for another of our processes, looked at every sizeLockPause. Going on without the lock costs at most a line
	// that is lost.
	sizeLockWait  = 2 * time.Second
	sizeLockPause = time.Millisecond
)

// Size is what a quota counts. As a limit, 0 is none.
type Size struct {
	Octets   int64 // of the files, with LF line ends
	Messages int64
}

// Plus adds two sizes.
func (s Size) Plus(d Size) Size { return Size{s.Octets + d.Octets, s.Messages + d.Messages} }

// Minus is what is left of s without d.
func (s Size) Minus(d Size) Size { return Size{s.Octets - d.Octets, s.Messages - d.Messages} }

// Exceeds reports whether s is more than limit allows of either.
func (s Size) Exceeds(limit Size) bool {
	return limit.Octets > 0 && s.Octets > limit.Octets || limit.Messages > 0 && s.Messages > limit.Messages
}

// ErrSizeFile says that maildirsize cannot be understood. Its remedy is [Tree.WriteSize].
var ErrSizeFile = errors.New("maildirsize is damaged")

// SizeFile is what maildirsize says.
type SizeFile struct {
	Limit   Size      // its first line
	Total   Size      // the sum of the others
	Lines   int       // how many others there are
	Octets  int64     // of the file itself
	Changed time.Time // when it was last written
}

// IsDue reports whether the totals are to be calculated anew before a message of the size more is refused by them, or because the file has
// grown too long. A file that has just been calculated is believed for a quarter of an hour.
func (f SizeFile) IsDue(more Size, now time.Time) bool {
	if f.Octets >= MaxSizeFileOctets {
		return true
	}
	return f.Total.Plus(more).Exceeds(f.Limit) && (f.Lines > 1 || now.Sub(f.Changed) > StaleSizeAge)
}

// ParseSizeFile reads the contents of a maildirsize: limits such as "1000000S,100C" in the first line, numbers of octets and messages to be
// added up in the others. The error matches [ErrSizeFile] for anything else, and then Limit may hold what the first line says.
func ParseSizeFile(data []byte) (SizeFile, error) {
	f := SizeFile{Octets: int64(len(data))}
	if len(data) == 0 || data[len(data)-1] != '\n' {
		return f, fmt.Errorf("%w: its last line has no end", ErrSizeFile)
	}
	first, rest, _ := strings.Cut(string(data), "\n")
	var err error
	if f.Limit, err = parseSizeLimits(first); err != nil {
		return f, err
	}
	for line := range strings.Lines(rest) {
		d, err := parseSizeLine(line)
		if err != nil {
			return f, err
		}
		f.Total = f.Total.Plus(d)
		f.Lines++
		if f.Total.Octets < -maxSizeOctets || f.Total.Octets > maxSizeOctets {
			return f, fmt.Errorf("%w: its sum is beyond all measure", ErrSizeFile)
		}
	}
	if f.Total.Octets < 0 || f.Total.Messages < 0 {
		return f, fmt.Errorf("%w: its sum is negative", ErrSizeFile)
	}
	return f, nil
}

// maxSizeOctets keeps sums of a file's lines within int64.
const maxSizeOctets = 1 << 60

// parseSizeLimits reads the first line. Limits of other kinds than ours are passed over, as the rules say.
func parseSizeLimits(s string) (limit Size, err error) {
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		kind := part[len(part)-1]
		n, err := strconv.ParseUint(part[:len(part)-1], 10, 63)
		if err != nil || '0' <= kind && kind <= '9' {
			return limit, fmt.Errorf("%w: limits %.40q", ErrSizeFile, s)
		}
		switch kind {
		case 'S':
			limit.Octets = int64(n)
		case 'C':
			limit.Messages = int64(n)
		}
	}
	return limit, nil
}

// parseSizeLine reads one of the other lines, which Courier pads with spaces.
func parseSizeLine(line string) (Size, error) {
	line = strings.TrimSpace(line)
	first, second, _ := strings.Cut(line, " ")
	octets, err := strconv.ParseInt(first, 10, 64)
	var messages int64
	if err == nil {
		messages, err = strconv.ParseInt(strings.TrimLeft(second, " "), 10, 32)
	}
	if err != nil || octets > maxSizeOctets || octets < -maxSizeOctets {
		return Size{}, fmt.Errorf("%w: line %.40q", ErrSizeFile, line)
	}
	return Size{octets, messages}, nil
}

// sizeHeader is the first line for a limit, "0S" for none, as Dovecot writes it.
func sizeHeader(limit Size) string {
	var parts []string
	if limit.Octets > 0 || limit.Messages <= 0 {
		parts = append(parts, strconv.FormatInt(limit.Octets, 10)+"S")
	}
	if limit.Messages > 0 {
		parts = append(parts, strconv.FormatInt(limit.Messages, 10)+"C")
	}
	return strings.Join(parts, ",") + "\n"
}

func sizeLine(s Size) string { return fmt.Sprintf("%d %d\n", s.Octets, s.Messages) }

// SizeFile reads maildirsize. The error matches [fs.ErrNotExist] when there is none, and [ErrSizeFile] when it cannot be understood.
func (t *Tree) SizeFile() (SizeFile, error) {
	f, err := t.openSizeFile(os.O_RDONLY)
	if err != nil {
		return SizeFile{}, fmt.Errorf("maildirsize of %s: %w", t.path, err)
	}
	defer f.Close()
	s, err := readSizeFile(f)
	if err != nil {
		return s, fmt.Errorf("maildirsize of %s: %w", t.path, err)
	}
	return s, nil
}

func (t *Tree) openSizeFile(flag int) (*os.File, error) {
	root, err := openDir(t.path)
	if err != nil {
		return nil, err
	}
	defer root.release()
	return root.openFor(sizeFile, flag)
}

// openFor is open with another mode than reading.
func (d *dir) openFor(name string, flag int) (*os.File, error) {
	path := joinPath(d.path, name)
	fd, err := openat(d.fd, name, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readSizeFile reads no more than what counts: of a longer file, the limits alone.
func readSizeFile(f *os.File) (SizeFile, error) {
	info, err := f.Stat()
	if err != nil {
		return SizeFile{}, err
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxSizeFileOctets))
	if err != nil {
		return SizeFile{}, err
	}
	if len(data) == MaxSizeFileOctets {
		data = data[:bytes.LastIndexByte(data, '\n')+1]
	}
	s, err := ParseSizeFile(data)
	s.Octets, s.Changed = info.Size(), info.ModTime()
	return s, err
}

// AddSize adds a line to maildirsize for messages that came, or went with negative numbers, and gives the limit that stands there. Nothing is
// made where there is no file ([fs.ErrNotExist]), and nothing is added to one without a whole first and last line or that has grown too long:
// [ErrSizeFile], and WriteSize is due. The line is one write, which other programs may add theirs to at any time. A power cut may lose it.
func (t *Tree) AddSize(d Size) (limit Size, err error) {
	limit, err = t.addSize(d)
	if err != nil {
		return limit, fmt.Errorf("maildirsize of %s: %w", t.path, err)
	}
	return limit, nil
}

func (t *Tree) addSize(d Size) (limit Size, err error) {
	root, err := openDir(t.path)
	if err != nil {
		return limit, err
	}
	defer root.release()
	f, err := root.lockSizeFile()
	if err != nil {
		return limit, err
	}
	defer f.Close() // gives the lock back
	line := sizeLine(d)
	if limit, err = readSizeEnds(f, int64(len(line))); err != nil {
		return limit, err
	}
	if err := t.step(stepWrite, f.Name()); err != nil {
		return limit, err
	}
	_, err = f.WriteString(line)
	return limit, err
}

// maxSizeHeader is more than the first line has, with numbers of any length.
const maxSizeHeader = 128

// readSizeEnds looks at the first line and the last octet of a file that more octets are to be added to: the lines between are added up by who reads
// them.
func readSizeEnds(f *os.File, more int64) (limit Size, err error) {
	info, err := f.Stat()
	if err != nil {
		return limit, err
	}
	if info.Size() == 0 || info.Size()+more >= MaxSizeFileOctets {
		return limit, fmt.Errorf("%w: it is empty or too long", ErrSizeFile)
	}
	var buf [maxSizeHeader]byte
	n, err := f.ReadAt(buf[:], 0)
	if err != nil && err != io.EOF {
		return limit, err
	}
	first, _, whole := strings.Cut(string(buf[:n]), "\n")
	if whole {
		_, err = f.ReadAt(buf[:1], info.Size()-1)
	}
	switch {
	case whole && err != nil:
		return limit, err
	case !whole || buf[0] != '\n':
		return limit, fmt.Errorf("%w: a line has no end", ErrSizeFile)
	}
	return parseSizeLimits(first)
}

// lockSizeFile opens the maildirsize of d for adding to it, and keeps others of us from writing it anew meanwhile.
func (d *dir) lockSizeFile() (*os.File, error) {
	for deadline := time.Now().Add(sizeLockWait); ; {
		f, err := d.openFor(sizeFile, os.O_RDWR|os.O_APPEND)
		if err != nil {
			return nil, err
		}
		locked := retry(func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }) == nil
		info, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		st, here := d.stat(sizeFile)
		held, ok := info.Sys().(*syscall.Stat_t)
		same := here == nil && ok && st.Ino == held.Ino && st.Dev == held.Dev
		if same && locked || time.Now().After(deadline) {
			return f, nil
		}
		f.Close()
		if !locked {
			time.Sleep(sizeLockPause)
		}
	}
}

// WriteSize writes maildirsize anew: the limit, and in one line what total gives, which is called while no other of our processes adds to the
// file. It is built beside and renamed, so that a reader sees the old or the new one.
func (t *Tree) WriteSize(limit Size, total func() (Size, error)) error {
	if err := t.writeSize(limit, total); err != nil {
		return fmt.Errorf("maildirsize of %s: %w", t.path, err)
	}
	return nil
}

func (t *Tree) writeSize(limit Size, total func() (Size, error)) error {
	root, err := openDir(t.path)
	if err != nil {
		return err
	}
	defer root.release()
	tmp, err := t.acquireMade(Inbox, subTmp)
	if err != nil {
		return err
	}
	defer tmp.release()
	old, err := root.lockSizeFile()
	if err == nil {
		defer old.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	sum, err := total()
	if err != nil {
		return err
	}
	name := t.names.Next()
	f, err := tmp.create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteString(sizeHeader(limit) + sizeLine(sum))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = t.step(stepRename, joinPath(root.path, sizeFile))
	}
	if err == nil {
		err = renameAt(tmp, name, root, sizeFile)
	}
	if err != nil {
		return errors.Join(err, tmp.remove(name))
	}
	return nil
}

// RemoveSizeFile removes maildirsize, so that no other program holds a quota here. There need not be one.
func (t *Tree) RemoveSizeFile() error {
	root, err := openDir(t.path)
	if err == nil {
		err = root.remove(sizeFile)
		root.release()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("maildirsize of %s: %w", t.path, err)
	}
	return nil
}
