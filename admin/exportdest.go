package admin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"maild/appliance/process"
)

// The kinds of export.
const (
	kindMaildir = "maildir"
	kindMbox    = "mbox"
	kindTar     = "tar"
	stdoutDest  = "-"
)

func exportKinds() []string { return []string{kindMaildir, kindMbox, kindTar} }

const (
	// exportMark is the file by which a directory is known for an export. It holds the kind.
	exportMark = ".mailctl-export"
	// partialSuffix ends the name of what is not complete. It begins with a dot.
	partialSuffix = ".partial"
)

// exportTarget says where an export goes, and opens it when it is called. What is there already is looked at before anything is done.
func (c *call) exportTarget(kind, dest string, single bool) (func() (exportSink, error), error) {
	if dest == stdoutDest {
		return func() (exportSink, error) { return c.streamSink(kind, &stdoutFile{c.out}), nil }, nil
	}
	abs, err := filepath.Abs(dest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dest, err)
	}
	d := &destination{path: abs, kind: kind, force: c.Bool("force"), remedy: "name another, or replace an earlier export with --force"}
	directory := kind == kindMaildir || kind == kindMbox && !single
	if err := d.check(directory); err != nil {
		return nil, err
	}
	return func() (exportSink, error) {
		if directory {
			if err := d.makeDir(); err != nil {
				return nil, err
			}
			if kind == kindMaildir {
				return newMaildirSink(d)
			}
			return newMboxDirSink(d), nil
		}
		if err := d.makeFile(); err != nil {
			return nil, err
		}
		return c.streamSink(kind, d), nil
	}, nil
}

// streamSink is a sink of one file, or of standard output.
func (c *call) streamSink(kind string, out exportFile) exportSink {
	if kind == kindTar {
		return newTarSink(out, c.Args().First())
	}
	return newMboxSink(out)
}

// exportFile is a file that appears when it is finished.
type exportFile interface {
	io.Writer
	finish() error
	abort() error
}

// stdoutFile is standard output, which cannot be taken back.
type stdoutFile struct{ io.Writer }

func (*stdoutFile) finish() error { return nil } // the command flushes it
func (*stdoutFile) abort() error  { return nil }

// destination is a file or directory that is built beside its place, and then put there. Whoever looks sees the old one, or nothing, or all of the
// new one. What a killed export left is used by the next one to the same place.
type destination struct {
	path  string
	kind  string
	force bool
	// remedy is what to do when the place is taken.
	remedy string
	file   *os.File // the file being written, or the directory, which is locked
	ended  bool
}

func (d *destination) partial() string {
	dir, base := filepath.Split(d.path)
	return filepath.Join(dir, "."+base+partialSuffix)
}

// check refuses a place that is taken by what must not be replaced.
func (d *destination) check(directory bool) error {
	parent, err := os.Stat(filepath.Dir(d.path))
	if errors.Is(err, fs.ErrNotExist) {
		return notFoundf("directory %s does not exist: make it first", filepath.Dir(d.path))
	}
	if err != nil {
		return err
	}
	if !parent.IsDir() {
		return usagef("%s is no directory", filepath.Dir(d.path))
	}
	info, err := os.Lstat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case !d.force:
		return d.exists(": " + d.remedy)
	case info.IsDir() != directory || !info.IsDir() && !info.Mode().IsRegular():
		return d.exists(", and is no earlier export to " + d.kind + ": name another")
	}
	same := d.sameFile
	if directory {
		same = d.sameDir
	}
	is, err := same()
	if err == nil && !is {
		err = d.exists(", and is no earlier export to " + d.kind + ": name another")
	}
	return err
}

func (d *destination) exists(more string) error {
	return &fault{code: ExitExists, text: d.path + " exists already" + more}
}

// sameFile reports whether the file that is there is of this kind.
func (d *destination) sameFile() (bool, error) {
	f, err := os.Open(d.path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	buf := make([]byte, 512)
	n, err := io.ReadFull(f, buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	if d.kind == kindTar {
		return n == len(buf) && string(buf[257:262]) == "ustar", nil
	}
	return n == 0 || strings.HasPrefix(string(buf[:n]), "From "), nil
}

// sameDir does for directories, which have a mark.
func (d *destination) sameDir() (bool, error) { return isExport(d.path, d.kind) }

func isExport(dir, kind string) (bool, error) {
	text, err := os.ReadFile(filepath.Join(dir, exportMark))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return strings.TrimSpace(string(text)) == kind, err
}

// makeFile opens the partial file, empty.
func (d *destination) makeFile() (err error) {
	d.file, err = os.OpenFile(d.partial(), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if err = d.lock(); err == nil {
		err = d.file.Truncate(0)
	}
	if err != nil {
		return errors.Join(err, d.file.Close())
	}
	return nil
}

// makeDir makes the partial directory, with nothing but its mark in it.
func (d *destination) makeDir() (err error) {
	err = os.Mkdir(d.partial(), 0o700)
	left := errors.Is(err, fs.ErrExist)
	if err != nil && !left {
		return err
	}
	d.file, err = os.OpenFile(d.partial(), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	if err = d.lock(); err == nil && left {
		err = d.clear()
	}
	if err == nil {
		err = writeDurable(filepath.Join(d.partial(), exportMark), d.kind+"\n")
	}
	if err != nil {
		return errors.Join(err, d.file.Close())
	}
	return nil
}

// writeDurable writes a small file.
func writeDurable(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// clear takes away what a killed export has left, and nothing else.
func (d *destination) clear() error {
	list, err := d.file.ReadDir(-1)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(d.partial(), exportMark)); err != nil {
		return &fault{code: ExitExists, text: fmt.Sprintf("%s is in the way: move it elsewhere", d.partial())}
	}
	root, err := os.OpenRoot(d.partial())
	if err != nil {
		return err
	}
	defer root.Close()
	for _, e := range list {
		if e.Name() == exportMark {
			continue // last, as what is left without it is nobody's
		}
		if err := root.RemoveAll(e.Name()); err != nil {
			return err
		}
	}
	return root.Remove(exportMark)
}

// lock keeps two exports to one place apart.
func (d *destination) lock() error {
	err := unix.Flock(int(d.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return &fault{code: ExitLocked, text: fmt.Sprintf("another export to %s is at work: wait for it to end", d.path)}
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", d.partial(), err)
	}
	// The one that held it may just have put it in its place.
	there, err := os.Lstat(d.partial())
	if err != nil {
		return err
	}
	if here, err := d.file.Stat(); err != nil || !os.SameFile(here, there) {
		return errors.Join(err, &fault{code: ExitLocked, text: fmt.Sprintf("another export to %s has just ended: try again", d.path)})
	}
	return nil
}

func (d *destination) Write(p []byte) (int, error) { return d.file.Write(p) }

// finish puts what was built in its place. All in it is durable already, but for the file itself.
func (d *destination) finish() error {
	if err := d.file.Sync(); err != nil {
		return err
	}
	if err := d.swap(); err != nil {
		return err
	}
	d.ended = true
	return errors.Join(process.SyncDir(filepath.Dir(d.path)), d.file.Close())
}

// swap gives the partial its name. With force what has it is exchanged for it, and removed.
func (d *destination) swap() error {
	from, to := d.partial(), d.path
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		// Some network file systems know neither form.
		if _, lerr := os.Lstat(to); errors.Is(lerr, fs.ErrNotExist) {
			return os.Rename(from, to)
		}
		err = unix.EEXIST
	}
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, unix.EEXIST):
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	case !d.force:
		return d.exists(" since just now: " + d.remedy)
	}
	info, err := os.Lstat(to)
	if err == nil && !info.IsDir() {
		return os.Rename(from, to) // in the place of a file that was looked at
	}
	if err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: from, New: to, Err: err}
	}
	return os.RemoveAll(from)
}

// abort takes away what was built.
func (d *destination) abort() error {
	if d.ended || d.file == nil {
		return nil
	}
	d.ended = true
	return errors.Join(os.RemoveAll(d.partial()), d.file.Close())
}
