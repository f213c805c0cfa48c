package backup

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"maild/appliance/store"
	"maild/maildir"
)

// line is one message in the list of a backup.
type line struct {
	account string
	maildir.Entry
	octets  int64
	arrived int64 // nanoseconds since 1970
}

// errBadLine says that a list is not as it was written.
var errBadLine = errors.New("a line of the list cannot be understood")

// appendLine writes a line: account, folder and key quoted, since other programs make keys of any bytes; flags, with N in front for a message in
// new/; octets; time.
func appendLine(buf []byte, l line) []byte {
	buf = strconv.AppendQuoteToASCII(buf, l.account)
	buf = strconv.AppendQuoteToASCII(append(buf, '\t'), l.Folder)
	buf = strconv.AppendQuoteToASCII(append(buf, '\t'), string(l.Key))
	place := "c"
	if l.New {
		place = "n"
	}
	buf = append(append(buf, '\t'), place...)
	buf = append(buf, l.Flags...)
	buf = strconv.AppendInt(append(buf, '\t'), l.octets, 10)
	buf = strconv.AppendInt(append(buf, '\t'), l.arrived, 10)
	return append(buf, '\n')
}

// parseLine reads what appendLine wrote, without the line end.
func parseLine(text string) (l line, err error) {
	parts := strings.Split(text, "\t")
	if len(parts) != 6 {
		return line{}, errBadLine
	}
	var key string
	for i, into := range []*string{&l.account, &l.Folder, &key} {
		if *into, err = strconv.Unquote(parts[i]); err != nil || parts[i][0] != '"' {
			return line{}, errBadLine
		}
	}
	l.Key = maildir.Key(key)
	place, flags := parts[3], ""
	if place != "" {
		place, flags = place[:1], place[1:]
	}
	l.New, l.Flags = place == "n", maildir.ParseFlags(flags)
	if place != "n" && place != "c" || string(l.Flags) != flags {
		return line{}, errBadLine
	}
	var errs [2]error
	l.octets, errs[0] = strconv.ParseInt(parts[4], 10, 64)
	l.arrived, errs[1] = strconv.ParseInt(parts[5], 10, 64)
	if errors.Join(errs[:]...) != nil || l.octets < 0 {
		return line{}, errBadLine
	}
	return l, nil
}

// list writes down which messages the backup holds, and counts them: what is there, not what was meant to be.
func (r *run) list(ctx context.Context) error {
	path := filepath.Join(r.Dest, listName)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(f)
	w := bufio.NewWriter(z)
	var buf []byte
	r.m.Accounts, r.m.Folders, err = eachFile(ctx, r.to, func(t *maildir.Tree, account string, e maildir.Entry) error {
		info, err := os.Lstat(t.MessagePath(e))
		if err != nil {
			return err
		}
		r.m.Messages++
		r.m.Octets += info.Size()
		buf = appendLine(buf[:0], line{account, e, info.Size(), info.ModTime().UnixNano()})
		_, err = w.Write(buf)
		return err
	})
	if err = errors.Join(err, w.Flush(), z.Close(), f.Sync(), f.Close()); err != nil {
		return err
	}
	r.m.ListSHA256, err = sumFile(path)
	return err
}

// eachFile calls fn for every message of all accounts.
func eachFile(ctx context.Context, m *store.Mailboxes, fn func(*maildir.Tree, string, maildir.Entry) error) (accounts, folders int64, err error) {
	names, err := m.Accounts(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, a := range names {
		err := m.Use(a, false, func(t *maildir.Tree) error {
			list, err := t.Folders()
			if err != nil {
				return err
			}
			for _, f := range list {
				folders++
				err := t.Scan(f, func(e maildir.Entry) error {
					if err := ctx.Err(); err != nil {
						return err
					}
					return fn(t, a, e)
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return accounts, folders, err
		}
		accounts++
	}
	return accounts, folders, nil
}

// maxLine is more than the longest line: a key has 255 octets, each of which can take four when quoted.
const maxLine = 16 << 10

// eachLine calls fn for every message that the list of a backup names.
func eachLine(dir string, fn func(line) error) error {
	f, err := os.Open(filepath.Join(dir, listName))
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", listName, err)
	}
	s := bufio.NewScanner(z)
	s.Buffer(nil, maxLine)
	for s.Scan() {
		l, err := parseLine(s.Text())
		if err != nil {
			return fmt.Errorf("%s: %w", listName, err)
		}
		if err := fn(l); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", listName, err)
	}
	return nil
}

// Problem is something that a backup is not as it was made.
type Problem struct {
	Kind  string // see the constants
	Place string // a file, or account, folder and key
	What  string
}

// The kinds of problems.
const (
	Missing  = "missing"
	Differs  = "differs"
	Extra    = "extra"
	Database = "database"
)

// verifying is a backup being held against its manifest.
type verifying struct {
	dir   string
	m     Manifest
	mail  *store.Mailboxes
	found func(Problem) error
	seen  func(n int64)
	n     int64
	here  int64
}

func (v *verifying) problem(kind, place, format string, args ...any) error {
	return v.found(Problem{kind, place, fmt.Sprintf(format, args...)})
}

// messages looks for every message of the list. What a reader has flagged since is still the same message.
func (v *verifying) messages(ctx context.Context) error {
	return eachLine(v.dir, func(l line) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if v.n++; v.n%showEvery == 0 {
			v.seen(v.n)
		}
		place := l.account + " " + l.Folder + " " + string(l.Key)
		var info fs.FileInfo
		err := v.mail.Use(l.account, false, func(t *maildir.Tree) (err error) {
			info, err = t.StatMessage(l.Entry)
			return err
		})
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return v.problem(Missing, place, "of %d octets", l.octets)
		case err != nil:
			return v.problem(Missing, place, "%v", err)
		}
		v.here++
		switch {
		case info.Size() != l.octets:
			return v.problem(Differs, place, "it has %d octets, and had %d", info.Size(), l.octets)
		case info.ModTime().UnixNano() != l.arrived:
			return v.problem(Differs, place, "it was written at %s, and before at %s", info.ModTime().UTC().Format(time.RFC3339Nano), time.Unix(0, l.arrived).UTC().Format(time.RFC3339Nano))
		}
		return nil
	})
}
