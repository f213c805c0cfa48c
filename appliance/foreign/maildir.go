package foreign

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"maild/maildir"
)

// maxKeywords is how many letters there are.
const maxKeywords = 26

// Maildirs walks the Maildirs below top. All of these layouts are known, also mixed:
//
//	cur/ new/ tmp/                  a Maildir, which is the INBOX when it is the top
//	.Sent/cur/ .Archive.2026/cur/   Maildir++, of Courier and Dovecot: dots separate levels
//	Sent/cur/ Archive/2026/cur/     Dovecot's LAYOUT=fs, mutt, Evolution: a directory is a level
//
// A top that is no Maildir itself is a directory of Maildirs.
func Maildirs(ctx context.Context, top string, v Visitor) error {
	root, err := os.OpenRoot(top)
	if err != nil {
		return err
	}
	defer root.Close()
	t := &maildirs{tree: tree{Visitor: v, ctx: ctx, root: root}}
	if err := t.walk(root, ".", maildir.Inbox, 0); err != nil {
		return err
	}
	if !t.found {
		return fmt.Errorf("%s: %w: a Maildir has the directories cur, new and tmp", top, ErrNothing)
	}
	return nil
}

// maildirs is a walk for Maildirs.
type maildirs struct {
	tree
	found bool
}

// isMaildir reports whether a directory is one. Some programs take new or tmp away when they are empty.
func isMaildir(dir *os.Root) bool {
	return isDir(dir, "cur") && (isDir(dir, "new") || isDir(dir, "tmp"))
}

// walk looks at a directory, which is called folder, and at those below it.
func (t *maildirs) walk(dir *os.Root, at, folder string, depth int) error {
	is := isMaildir(dir)
	if is {
		t.found = true
		if err := t.folder(dir, at, folder); err != nil {
			return err
		}
	}
	list, err := sorted(dir)
	if err != nil {
		return t.failed(at, err)
	}
	for _, e := range list {
		base := e.Name()
		switch {
		case is && (base == "cur" || base == "new" || base == "tmp"):
			continue
		case is && base == "courierimapkeywords":
			t.Skipped(path.Join(at, base), "keywords of Courier, which Maildir has no letters for")
			continue
		case e.Type()&fs.ModeSymlink != 0:
			t.link(dir, at, base)
			continue
		case !e.IsDir():
			continue
		}
		name := below(folder, strings.TrimPrefix(base, "."))
		sub, err := t.step(dir, at, base, depth+1)
		if err != nil {
			return err
		}
		if sub == nil {
			continue
		}
		err = t.walk(sub, path.Join(at, base), name, depth+1)
		if err := errors.Join(err, sub.Close()); err != nil {
			return err
		}
	}
	return nil
}

// link tells of a link that may stand for a folder. One that stands for a file is of no interest.
func (t *maildirs) link(dir *os.Root, at, base string) {
	info, err := dir.Stat(base)
	if err != nil || info.IsDir() { // an error: it may lead out of the tree
		t.Skipped(path.Join(at, base), kind(fs.ModeSymlink))
	}
}

// folder tells of a Maildir and its messages.
func (t *maildirs) folder(dir *os.Root, at, name string) error {
	f := Folder{Name: name, Path: at}
	if keywords, err := readKeywords(dir); err == nil {
		f.Keywords = keywords
	} else if !errors.Is(err, fs.ErrNotExist) {
		t.Skipped(path.Join(at, keywordsFile), "the names of keywords cannot be read: "+err.Error())
	}
	if err := t.Folder(f); err != nil {
		return err
	}
	for _, sub := range []string{"new", "cur"} {
		info, err := dir.Lstat(sub)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && !info.IsDir() {
			t.Skipped(path.Join(at, sub), kind(info.Mode()))
			continue
		}
		if err == nil {
			err = t.messages(dir, at, name, sub)
		}
		var stop *stopped
		if errors.As(err, &stop) {
			return stop.err
		}
		if err != nil {
			if err := t.failed(path.Join(at, sub), err); err != nil {
				return err
			}
		}
	}
	return nil
}

// stopped is an error of the visitor.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

// messages tells of the messages in new/ or cur/.
func (t *maildirs) messages(parent *os.Root, at, folder, sub string) error {
	dir, err := parent.OpenRoot(sub)
	if err != nil {
		return err
	}
	defer dir.Close()
	return entries(dir, func(e fs.DirEntry) error {
		if err := t.ctx.Err(); err != nil {
			return &stopped{err}
		}
		base := e.Name()
		where := path.Join(at, sub, base)
		key, flags, ok := maildir.ParseFileName(base)
		switch {
		case !e.Type().IsRegular():
			t.Skipped(where, kind(e.Type()))
			return nil
		case !ok:
			t.Skipped(where, "its name cannot be that of a message")
			return nil
		}
		info, err := dir.Lstat(base)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed or renamed meanwhile
		}
		if err != nil {
			t.Failed(where, err)
			return nil
		}
		err = t.File(File{Folder: folder, Path: where, Octets: info.Size(), ModTime: info.ModTime(), Key: key, Flags: flags, New: sub == "new",
			open: func() (*os.File, error) { return open(dir, base) }})
		if err != nil {
			return &stopped{err}
		}
		return nil
	})
}

// keywordsFile is where Dovecot keeps the names of the letters a to z, one a line: its number and the name.
const keywordsFile = "dovecot-keywords"

func readKeywords(dir *os.Root) (map[string]string, error) {
	f, err := open(dir, keywordsFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		number, name, ok := strings.Cut(lines.Text(), " ")
		if n, err := strconv.Atoi(number); ok && err == nil && n >= 0 && n < maxKeywords {
			names[string(rune('a'+n))] = name
		}
	}
	return names, lines.Err()
}
