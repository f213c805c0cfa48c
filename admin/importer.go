package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"maild/appliance/foreign"
	"maild/maildir"
)

// importer is an import at work.
//
// A message taken has a name that is made of where it came from:
//
//	<seconds>.M<microseconds>I<digest>.import,S=…,W=…
//
// The digest is that of the source's path, the folder it goes to, and, in a Maildir, the key, size and time of the file, or, in an mbox, the
// content and the date; of several that are equal in all this, also which one it is. So what an account has of a source is seen from its names
// alone: nothing else need be kept, lost or cleaned up, and whatever kills an import, the next one goes on where it ended.
type importer struct {
	*call
	importOptions
	ctx     context.Context
	account string
	source  string
	report  *importReport

	tree    *maildir.Tree // nil when nothing is written and there is none
	batch   *maildir.Batch
	known   *digestSet
	targets map[string]string // for each folder of the source that has been met, the one it goes to; "" = it cannot be
	hash    hash.Hash
	small   bytes.Buffer // a message that is small enough to be looked at before it is written
}

// run opens the account, takes what walk finds, and commits it. What was committed stays, whatever the error.
func (im *importer) run(walk func() error) (err error) {
	im.targets, im.hash = map[string]string{}, sha256.New()
	if im.known, err = newDigestSet(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, im.known.close()) }()
	err = im.mail().Use(im.account, !im.dry, func(t *maildir.Tree) (err error) {
		im.tree = t
		if !im.dry {
			lock, err := lockImport(t)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, lock.Release()) }()
			if im.batch, err = t.Batch(); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, im.batch.Abort()) }()
		}
		if err := im.learn(); err != nil {
			return err
		}
		return im.take(walk)
	})
	if errors.Is(err, fs.ErrNotExist) && im.dry && im.tree == nil {
		return im.take(walk) // the account has never had mail
	}
	return err
}

// take takes what walk finds. An interruption, or an error of the source, does not lose what was taken before.
func (im *importer) take(walk func() error) error {
	im.report.begin()
	err := walk()
	var broken *destinationError
	if im.batch != nil && !errors.As(err, &broken) {
		err = errors.Join(err, im.commit())
	}
	if err != nil && !im.report.found() {
		return sourceError(err)
	}
	return err
}

// sourceError is the error of a source in which there is nothing.
func sourceError(err error) error {
	if errors.Is(err, foreign.ErrNothing) {
		return &fault{code: ExitNotFound, err: err}
	}
	return err
}

// destinationError is one of the account's own disk: it ends the import.
type destinationError struct{ err error }

func (d *destinationError) Error() string { return d.err.Error() }
func (d *destinationError) Unwrap() error { return d.err }

// visitor hands on what a walk finds.
func (im *importer) visitor(kind string) foreign.Visitor {
	file := im.message
	if kind == kindMbox {
		file = im.mbox
	}
	return foreign.Visitor{
		Folder:  im.folder,
		File:    file,
		Skipped: im.report.skipped,
		Failed:  im.report.failed,
	}
}

// counter counts what a walk finds, for the progress.
func (im *importer) counter(kind string) foreign.Visitor {
	return foreign.Visitor{
		Folder: func(foreign.Folder) error { return nil },
		File: func(f foreign.File) error {
			if kind == kindMbox {
				im.report.totalOctets += f.Octets
			} else {
				im.report.total++
			}
			return nil
		},
		Skipped: func(string, string) {},
		Failed:  func(string, error) {},
	}
}

// folder sees to the folder that a folder of the source goes to.
func (im *importer) folder(f foreign.Folder) error {
	im.report.Folders++
	im.report.named(f)
	if _, ok := im.targets[f.Name]; ok {
		return nil
	}
	name := im.target(f.Name)
	if err := maildir.ValidFolder(name); err != nil {
		im.targets[f.Name] = ""
		im.report.unnamed(f.Path, fmt.Errorf("%w: give it another name with --map '%s=NAME'", err, f.Name))
		return nil
	}
	im.targets[f.Name] = name
	if im.dry || name == maildir.Inbox {
		return nil
	}
	if err := im.tree.CreateFolder(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return &destinationError{err}
	}
	return nil
}

// target is the name that a folder of the source gets.
func (im *importer) target(name string) string {
	for old := name; ; {
		if to, ok := im.renames[old]; ok {
			switch rest := strings.TrimPrefix(name[len(old):], "."); {
			case rest == "":
				return to
			case to == maildir.Inbox:
				return rest
			default:
				return to + "." + rest
			}
		}
		at := strings.LastIndexByte(old, '.')
		if at < 0 {
			break
		}
		old = old[:at]
	}
	switch {
	case im.into == "" || im.into == maildir.Inbox:
		return name
	case name == maildir.Inbox:
		return im.into
	}
	return im.into + "." + name
}

// message takes a file of a Maildir.
func (im *importer) message(f foreign.File) error {
	target := im.targets[f.Folder]
	if target == "" {
		im.report.Failed++ // its folder has been named
		return nil
	}
	d := digestOf("maildir", im.source, f.Folder, string(f.Key), strconv.FormatInt(f.Octets, 10), strconv.FormatInt(f.ModTime.UnixNano(), 10), target)
	switch verdict, err := im.know(d); {
	case err != nil:
		return err
	case verdict == again:
		return nil // renamed while its directory was read
	case verdict == present:
		im.report.present()
		return nil
	}
	file, err := f.Open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed or renamed meanwhile
	}
	if err != nil {
		im.report.failed(f.Path, err)
		return nil
	}
	defer file.Close()
	in := maildir.Incoming{Folder: target, Name: importName(d, f.ModTime), Flags: f.Flags, New: f.New, ModTime: f.ModTime}
	if im.link {
		if done, err := im.linked(file, f.Path, in); done || err != nil {
			return err
		}
	}
	return im.content(maildir.LF(file), f.Path, in)
}

// content takes the octets of a message.
func (im *importer) content(r io.Reader, where string, in maildir.Incoming) error {
	im.hash.Reset()
	src := &remembering{r: r}
	content := io.Reader(src)
	if im.dedup {
		content = io.TeeReader(src, im.hash)
	}
	if im.dry {
		n, err := io.Copy(io.Discard, content)
		if err != nil {
			im.report.failed(where, err)
			return nil
		}
		if double, err := im.isDouble(); double || err != nil {
			return err
		}
		im.report.taken(1, n)
		return nil
	}
	if err := im.batch.Write(content); err != nil {
		if src.err == nil {
			return &destinationError{err}
		}
		im.report.failed(where, src.err)
		return im.drop()
	}
	if double, err := im.isDouble(); double || err != nil {
		return errors.Join(err, im.drop())
	}
	return im.place(in)
}

// linked takes a file as it is, and reports false where it cannot: when it is not the owner's, or has line ends that must be changed.
func (im *importer) linked(file *os.File, where string, in maildir.Incoming) (bool, error) {
	info, err := file.Stat()
	if err != nil || !ownAndPlain(info) {
		return false, nil
	}
	im.hash.Reset()
	look := &lineEnds{}
	_, err = io.Copy(io.MultiWriter(im.hash, look), file)
	if _, serr := file.Seek(0, io.SeekStart); err != nil || serr != nil {
		im.report.failed(where, errors.Join(err, serr))
		return true, nil
	}
	if look.crlf {
		return false, nil
	}
	if double, err := im.isDouble(); double || err != nil {
		return true, err
	}
	if im.dry {
		im.report.taken(1, info.Size())
		return true, nil
	}
	ok, err := im.batch.Link(file)
	if err != nil {
		return true, &destinationError{err}
	}
	if !ok { // the hash is known now: what follows must not take the message for a double of itself
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			im.report.failed(where, err)
			return true, nil
		}
		if err := im.batch.Write(file); err != nil {
			return true, &destinationError{errors.Join(err, im.drop())}
		}
	}
	return true, im.place(in)
}

// lineEnds looks for CRLF in what is written to it.
type lineEnds struct{ crlf, cr bool }

func (l *lineEnds) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.crlf = l.crlf || l.cr && p[0] == '\n' || bytes.Contains(p, []byte("\r\n"))
		l.cr = p[len(p)-1] == '\r'
	}
	return len(p), nil
}

// place puts the message written last where it belongs, and commits when it is time.
func (im *importer) place(in maildir.Incoming) error {
	octets := im.batch.Octets()
	if _, err := im.batch.Place(in); err != nil {
		return &destinationError{errors.Join(err, im.drop())}
	}
	im.report.wait(octets)
	if im.batch.Full() {
		return im.commit()
	}
	return nil
}

func (im *importer) drop() error {
	if err := im.batch.Drop(); err != nil {
		return &destinationError{err}
	}
	return nil
}

// commit makes what waits durable. Only then does it count as taken.
func (im *importer) commit() error {
	if err := im.batch.Commit(); err != nil {
		return &destinationError{err}
	}
	im.report.committed()
	return nil
}

// remembering keeps the error of a reader, to tell it from one of the writer it is copied to.
type remembering struct {
	r   io.Reader
	err error
}

func (r *remembering) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// ownerOf is the user whose a file is.
func ownerOf(info os.FileInfo) (int, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
