package foreign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"maild/maildir"
)

// Mboxes walks the mboxes below top, or top itself if it is a file, which is then the INBOX. A file is a folder called like it, without .mbox and .gz;
// it begins with "From ", or is compressed by gzip, or is empty and called .mbox or one of Thunderbird's. A directory is a level. Two kinds of directories have names of their own:
//
//	Archive.sbd/2026      Thunderbird's, beside the file Archive: the folder Archive.2026
//	Archive.mbox/mbox     Apple Mail's: the folder Archive
func Mboxes(ctx context.Context, top string, v Visitor) error {
	info, err := os.Stat(top)
	if err != nil {
		return err
	}
	t := &mboxes{tree: tree{Visitor: v, ctx: ctx}}
	dir, base := top, ""
	if !info.IsDir() {
		dir, base = filepath.Split(filepath.Clean(top))
		if dir == "" {
			dir = "."
		}
	}
	if t.root, err = os.OpenRoot(dir); err != nil {
		return err
	}
	defer t.root.Close()
	switch {
	case base == "":
		err = t.walk(t.root, ".", maildir.Inbox, 0)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is %s: name a file or a directory", top, kind(info.Mode()))
	default:
		return t.named(base)
	}
	if err == nil && !t.found {
		err = fmt.Errorf("%s: %w: an mbox begins with a line \"From …\"", top, ErrNothing)
	}
	return err
}

// mboxes is a walk for mboxes.
type mboxes struct {
	tree
	found bool
}

// named tells of one file that was named, whatever it holds. It may be a link, as the one who named it has seen.
func (t *mboxes) named(base string) error {
	info, err := t.root.Stat(base)
	if err != nil {
		return err
	}
	if err := t.Folder(Folder{Name: maildir.Inbox, Path: base}); err != nil {
		return err
	}
	return t.File(File{Folder: maildir.Inbox, Path: base, Octets: info.Size(), ModTime: info.ModTime(),
		open: func() (*os.File, error) { return open(t.root, base) }})
}

// walk looks at a directory, which is called folder, and at those below it.
func (t *mboxes) walk(dir *os.Root, at, folder string, depth int) error {
	list, err := sorted(dir)
	if err != nil {
		return t.failed(at, err)
	}
	for _, e := range list {
		base := e.Name()
		where := path.Join(at, base)
		switch {
		case strings.HasPrefix(base, "."), isNote(base):
			continue
		case e.IsDir():
			err = t.directory(dir, at, base, folder, depth)
		case !e.Type().IsRegular():
			t.Skipped(where, kind(e.Type()))
		default:
			err = t.file(dir, where, base, folder)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isNote reports whether a file is what a mail reader keeps beside its mboxes, by its name.
func isNote(base string) bool {
	return slices.Contains([]string{".msf", ".dat", ".lock", ".json", ".sqlite", ".html", ".plist", ".cmeta", ".ibex", ".index", ".db"}, path.Ext(base))
}

func (t *mboxes) directory(dir *os.Root, at, base, folder string, depth int) error {
	sub, err := t.step(dir, at, base, depth+1)
	if sub == nil {
		return err
	}
	where := path.Join(at, base)
	name, apple := strings.CutSuffix(base, ".mbox")
	name = strings.TrimSuffix(name, ".sbd")
	info, statErr := sub.Lstat("mbox")
	if apple && statErr == nil && info.Mode().IsRegular() {
		err = t.file(sub, path.Join(where, "mbox"), name, folder)
	} else {
		err = t.walk(sub, where, below(folder, name), depth+1)
	}
	return errors.Join(err, sub.Close())
}

// file tells of a file, if it is an mbox.
func (t *mboxes) file(dir *os.Root, where, base, folder string) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	at := path.Base(where)
	info, err := dir.Lstat(at)
	if err != nil {
		return t.failed(where, err)
	}
	if info.Size() == 0 && !isEmptyMbox(dir, where, base) {
		t.Skipped(where, "empty")
		return nil
	}
	is, err := isMbox(dir, at)
	if err != nil {
		return t.failed(where, err)
	}
	if !is {
		t.Skipped(where, "no mbox: it does not begin with \"From \"")
		return nil
	}
	t.found = true
	name := below(folder, strings.TrimSuffix(strings.TrimSuffix(base, ".gz"), ".mbox"))
	if err := t.Folder(Folder{Name: name, Path: where}); err != nil {
		return err
	}
	return t.File(File{Folder: name, Path: where, Octets: info.Size(), ModTime: info.ModTime(),
		open: func() (*os.File, error) { return open(dir, at) }})
}

// isEmptyMbox reports whether an empty file is a folder that has no mail: it is called .mbox, or lies where Thunderbird keeps its mail.
func isEmptyMbox(dir *os.Root, where, base string) bool {
	_, err := dir.Lstat(base + ".msf")
	return err == nil || path.Ext(base) == ".mbox" || path.Ext(path.Dir(where)) == ".sbd"
}

// gzipMagic begins a file that gzip made (RFC 1952 §2.3.1).
const gzipMagic = "\x1f\x8b\x08"

// isMbox looks at the beginning of a file: it may be an mbox when it is empty, or when "From " comes after at most a few empty lines.
func isMbox(dir *os.Root, name string) (bool, error) {
	f, err := open(dir, name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	buf := make([]byte, 64)
	n, err := io.ReadFull(f, buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	text := strings.TrimLeft(string(buf[:n]), "\r\n")
	return text == "" || strings.HasPrefix(text, "From ") || strings.HasPrefix(text, gzipMagic), nil
}

// Compressed reports whether an open file is one that gzip made. It reads from the beginning, and leaves the file there.
func Compressed(f *os.File) (bool, error) {
	buf := make([]byte, len(gzipMagic))
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return string(buf[:n]) == gzipMagic, nil
}
