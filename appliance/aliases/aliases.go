// Package aliases reads an aliases(5) file, as sendmail, Postfix and every
// Debian box know it:
//
//	# who reads what the machine itself writes
//	root:       ann
//	webmaster:  ann, bob@example.org
//	staff:      :include:/etc/mail/staff
//
// Names are those of this host. A line that begins with white space goes on with
// the one before; names and targets may stand in quotes; "\ann" is the account
// ann and no further alias. An :include: file has addresses, several on a line
// with commas between them, and may include others.
//
// Targets that run a program ("|command") or write a file ("/path") are refused:
// the daemon does neither for anybody. Nothing is ever written here.
//
// A [File] is read again when it, or a file it includes, has changed; what is
// wrong with it is logged once for each change, by line, and the rest works. A
// file that cannot be read at all, or whose includes cannot, is a fault of this
// box: [File.Lookup] says so, and the mail is to be tried again later.
package aliases

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"maild/appliance/mail"
)

// Bounds of what is read. A file beyond them has not been written for a box.
const (
	maxFileOctets   = 4 << 20
	maxIncludeDepth = 5
	maxIncludes     = 100  // in one file, those within others included
	maxTargets      = 1000 // of one name, as account has it
	maxLogged       = 20   // problems; then only their number
)

// checkEvery is how often it is asked whether the files have changed.
const checkEvery = time.Second

// Target is one thing that a name leads to.
type Target struct {
	Address mail.Address // without a domain: a name of this host
	Literal bool         // \name: the account, whatever other aliases say
}

// Entry is one name of the file.
type Entry struct {
	Name    string
	File    string // its path
	Line    int    // where it stands, from 1
	Targets []Target
	Refused []string // targets that are never followed, as they stand there
	fault   error    // a file that it includes cannot be read
}

// Problem is something wrong with one line.
type Problem struct {
	File string
	Line int // 0: the file as a whole
	Text string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// File is an aliases file, followed. Safe for concurrent use.
type File struct {
	path string
	fold func(string) string
	log  *slog.Logger

	mu      sync.Mutex
	checked time.Time
	known   *contents // nil before the first look
	logged  []Problem
}

// Open follows the file at path, which need not exist. fold gives the form in
// which names are compared.
func Open(path string, fold func(string) string, log *slog.Logger) *File {
	return &File{path: path, fold: fold, log: log}
}

// Lookup finds a name. An error is a fault of this box: the file, or one that
// the entry includes, is there and cannot be read.
func (f *File) Lookup(name string) (Entry, bool, error) {
	c := f.current()
	if c.fault != nil {
		return Entry{}, false, c.fault
	}
	e, ok := c.entries[f.fold(name)]
	return e, ok, e.fault
}

// LeadingTo lists the entries that have such a target, in the order of the file.
func (f *File) LeadingTo(such func(Target) bool) []Entry {
	var list []Entry
	for _, e := range f.current().entries {
		if slices.ContainsFunc(e.Targets, such) {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return a.Line - b.Line })
	return list
}

// current is the contents as they are now, or were a second ago.
func (f *File) current() *contents {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.known != nil && (now.Sub(f.checked) < checkEvery || !f.known.changed()) {
		if now.Sub(f.checked) >= checkEvery {
			f.checked = now
		}
		return f.known
	}
	f.checked = now
	f.known = read(f.path, f.fold)
	f.report(f.known.problems)
	return f.known
}

// report logs what is wrong, unless it has been said already.
func (f *File) report(problems []Problem) {
	if slices.Equal(problems, f.logged) {
		return
	}
	f.logged = problems
	for i, p := range problems {
		if i == maxLogged {
			f.log.Warn("aliases", "file", f.path, "status", "more lines are wrong", "count", len(problems)-maxLogged)
			break
		}
		f.log.Warn("aliases", "file", p.File, "line", p.Line, "status", p.Text)
	}
	if len(problems) == 0 {
		f.log.Info("aliases", "file", f.path, "status", "nothing is wrong with it any more")
	}
}

// Problems is all that is wrong with the file now.
func (f *File) Problems() []Problem { return f.current().problems }

// contents is what the files said when they were read.
type contents struct {
	entries  map[string]Entry // by folded name
	problems []Problem
	fault    error // the file itself cannot be read
	stamps   []stamp
	fold     func(string) string
	includes int
}

// stamp is how a file looked just before it was read.
type stamp struct {
	path    string
	there   bool
	errno   error
	device  uint64
	inode   uint64
	octets  int64
	written int64 // mtime, in nanoseconds
	altered int64 // ctime: rights may have changed, too
	fresh   bool  // written so lately that the next change could have the same times
}

func take(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		var errno syscall.Errno
		if errors.As(err, &errno) {
			err = errno
		}
		return stamp{path: path, errno: err}
	}
	s := stamp{path: path, there: true, octets: info.Size(), written: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.inode = uint64(st.Dev), uint64(st.Ino)
		s.altered = st.Ctim.Nano()
	}
	s.fresh = time.Since(time.Unix(0, max(s.written, s.altered))) < 2*checkEvery
	return s
}

// changed reports whether any of the files may be another now.
func (c *contents) changed() bool {
	return slices.ContainsFunc(c.stamps, func(s stamp) bool { return s.fresh || take(s.path) != s })
}

// read reads the file and what it includes.
func read(path string, fold func(string) string) *contents {
	c := &contents{entries: map[string]Entry{}, fold: fold}
	text, err := c.load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c // a box need not have one
	}
	if err != nil {
		c.fault = fmt.Errorf("aliases file: %w", err)
		c.problem(path, 0, fmt.Sprintf("%v: mail for names that stand only here is put off until it can be read", err))
		return c
	}
	c.parse(path, text)
	return c
}

// parse takes the text of the file in.
func (c *contents) parse(path, text string) {
	for _, line := range logicalLines(text) {
		c.line(path, line)
	}
}

func (c *contents) problem(file string, line int, text string) {
	c.problems = append(c.problems, Problem{file, line, text})
}

// line takes one line in.
func (c *contents) line(path string, l logicalLine) {
	p, err := parseLine(l.text)
	if err != nil {
		c.problem(path, l.number, err.Error())
		return
	}
	key := c.fold(p.name)
	if first, ok := c.entries[key]; ok {
		c.problem(path, l.number, fmt.Sprintf("%q stands in line %d already: this line is not used", p.name, first.Line))
		return
	}
	e := Entry{Name: p.name, File: path, Line: l.number}
	c.take(&e, p, path, l.number, 0)
	if len(e.Targets) > maxTargets {
		e.fault = fmt.Errorf("aliases file: %s:%d: %q leads to more than %d addresses", path, l.number, p.name, maxTargets)
		c.problem(path, l.number, fmt.Sprintf("%q leads to more than %d addresses", p.name, maxTargets))
		e.Targets = nil
	}
	c.entries[key] = e
}

// take puts the targets of a line, and of what it includes, into an entry.
func (c *contents) take(e *Entry, p parsed, path string, line, depth int) {
	for _, f := range p.faults {
		c.problem(path, line, f)
	}
	for _, r := range p.refused {
		c.problem(path, line, fmt.Sprintf("%s is refused: maild runs no programs and writes no files for an alias", quote(r)))
	}
	e.Refused = append(e.Refused, p.refused...)
	for _, t := range p.targets {
		if !slices.Contains(e.Targets, t) && len(e.Targets) <= maxTargets {
			e.Targets = append(e.Targets, t)
		}
	}
	for _, include := range p.includes {
		if err := c.include(e, include, depth+1); err != nil {
			e.fault = fmt.Errorf("aliases file: %s:%d: :include:%s: %w", path, line, include, err)
			c.problem(path, line, fmt.Sprintf(":include:%s: %v: mail for %q is put off until that is right", include, err, e.Name))
		}
	}
}

// include reads one :include: file.
func (c *contents) include(e *Entry, path string, depth int) error {
	if depth > maxIncludeDepth {
		return fmt.Errorf("more than %d files include one another", maxIncludeDepth)
	}
	if c.includes++; c.includes > maxIncludes {
		return fmt.Errorf("more than %d files are included", maxIncludes)
	}
	text, err := c.load(path)
	if err != nil {
		return err
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var p parsed
		p.add(line)
		c.take(e, p, path, number, depth)
	}
	return nil
}

// load reads a regular file, and keeps what it looked like.
func (c *contents) load(path string) (string, error) {
	c.stamps = append(c.stamps, take(path))
	// Without blocking, should it be a FIFO.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileOctets+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxFileOctets {
		return "", &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d octets", maxFileOctets)}
	}
	return string(data), nil
}
