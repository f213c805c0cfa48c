// Package index keeps index.db, a SQLite database of what the Maildirs hold: for every message its account, folder,
// key, flags, size, time of arrival and the header fields people search for.
//
// The Maildir is the truth, and the index follows it:
//
//   - index.db is disposable. It may be removed, replaced or damaged at any moment, also while the daemon runs: Run notices, puts what is
//     left aside as index.db.broken-<UTC time>, makes a new file and fills it from the Source.
//   - Nothing here holds up mail. Record never blocks and never fails; what cannot be written now is found by a reconcile later.
//   - Reading never waits for writing (WAL), and no search holds a database snapshot while its caller works.
//
// # On disk
//
// index.db (with -wal and -shm while in use) and index.db.lock, an flock taken by each process around write transactions, creation and
// setting aside; the lock file is never removed. Tables: folder (one row per mailbox, with the directory times
// of its last complete scan and the totals of its messages), message (one row per file), extra (further header fields), terms (FTS5 without
// content of its own over subject, sender, recipients, cc and the state of a message), bodies (the same over the text), reference (by which
// threads are found), word (the words of addresses, for substrings) and meta; and views for people. A rebuild works on index.db.rebuilding. message.id is the time of arrival in microseconds, or the next free number,
// so the order of ids is the order of arrival.
//
// # Crash
//
// synchronous=NORMAL: after a power cut the last transactions may be missing, the file is consistent, and the next reconcile
// finds what is missing by the directory times. A new file is made beside and renamed, so that a file at Path is always whole.
//
// An Index is safe for concurrent use. Several processes may have the same file open and write to it.
package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"maild/index/header"
)

// ErrNotFound says that there is no such message.
var ErrNotFound = errors.New("no such message")

// ErrTooLong says that a query has more terms than SQLite takes. Its remedy is a shorter one.
var ErrTooLong = errors.New("too many words in one search")

// ErrDamaged says that index.db cannot be read. Its remedy is a reconcile, which sets the file aside.
var ErrDamaged = errors.New("the index is damaged")

// Message is one row: a message in a folder.
type Message struct {
	ID         int64  // microseconds of arrival, unique in this file; kept by a reparse. Ignored by Record
	Account    string // "user@domain", lower case
	Folder     string // decoded name: INBOX, Sent, Archive.2026
	Key        string // Maildir name without flags
	Flags      string // sorted letters
	New        bool   // in new/, not yet seen by any reader
	Octets     int64  // size of the file
	Attachment bool   // has one, as far as it was looked for
	Arrived    time.Time
	Header     header.Header // All is nil in what Search and Message return
	Body       string        // for Record: the text to be found. Empty in what Search and Message return
	// Incomplete has Record read from the file what the header leaves open: Attachment and Body.
	Incomplete bool
}

// File is one file of a folder.
type File struct {
	Key     string
	Flags   string // sorted letters
	New     bool
	Octets  int64     // 0 = not known
	Arrived time.Time // modification time; zero = not known
}

// Stamp is a pair of directory modification times, in nanoseconds since 1970.
type Stamp struct{ New, Cur int64 }

// Part is a part of a folder.
type Part uint8

const (
	WholeFolder Part = iota
	NewPart          // what is in new/
)

// Source is what the index follows. Its methods are called concurrently. Accounts are lower-case "user@domain", folders decoded names.
type Source interface {
	Accounts(ctx context.Context) ([]string, error)
	Folders(ctx context.Context, account string) ([]string, error)
	// Stamp gives the times of new/ and cur/.
	Stamp(ctx context.Context, account, folder string) (Stamp, error)
	// Scan calls fn for every file of a part, by name only. A file that is renamed meanwhile may come twice or not at all. An error of fn ends it.
	Scan(ctx context.Context, account, folder string, part Part, fn func(File) error) error
	// Read gives what the file with f.Key holds, and f with everything filled in as it is now. The error
	// is fs.ErrNotExist when there is no such file any more.
	Read(ctx context.Context, account, folder string, f File, want Want) (Content, File, error)
	// Probe looks for a file with f.Key, at a cost that does not grow with the folder, and gives the name under which it is: that of f if it is
	// there, else the first of others that is, else one of the usual ones. It may miss one with an unusual name, or that was just
	// renamed. A missing folder or account is no error.
	Probe(ctx context.Context, account, folder string, f File, others ...File) (now File, found bool, err error)
	// Stat gives f with its size and time, like Read.
	Stat(ctx context.Context, account, folder string, f File) (File, error)
}

// Want says how much of a message is to be read.
type Want uint8

const (
	WantHeader  Want = iota // Content.Header
	WantContent             // and Content.Attachment
	WantText                // and Content.Text
)

// Content is what a message holds, as far as it was wanted.
type Content struct {
	Header     []byte // header.ReadBlock
	Attachment bool
	Text       string // decoded text parts and attachment names
}

// AllHeaders in Options.Headers has every header field indexed.
const AllHeaders = "all"

// Options say where the index is and what it follows.
type Options struct {
	Path    string   // index.db; its directory must exist
	Headers []string // names of further header fields to index; AllHeaders for every one
	// KeepHeaders has the fields indexed that the file was built with, whatever Headers says: for a copy whose configuration is not at hand.
	KeepHeaders bool
	Body        bool         // the text of messages is indexed, too (Content.Text)
	Source      Source       // may be nil: then nothing can be reconciled, and header terms beyond the index find nothing
	Log         *slog.Logger // nil = none
	ReadOnly    bool         // never writes, never sets aside; a missing or unfit file is an error
}

// Index is an open index.db.
type Index struct {
	opt    Options
	log    *slog.Logger
	fields fieldFilter
	body   atomic.Bool // bodies are indexed

	mu      sync.RWMutex // guards gen
	gen     *generation
	wmu     sync.Mutex // one write transaction of this process at a time, in turn
	lock    *fileLock
	closed  atomic.Bool
	suspect atomic.Pointer[suspicion]
	doubted atomic.Pointer[generation] // to be examined
	doubts  chan struct{}

	queue         queue
	applying      sync.Mutex // held by who takes from the queue, so that order is kept
	running       atomic.Bool
	marks         marks
	events        events
	tombs         tombs
	reconciles    atomic.Int32 // running now
	lastReconcile atomic.Int64 // Unix nanoseconds
	total         atomic.Int64 // files seen by the full scan under way; 0 = none is
}

// Open opens the index, making the file if there is none. A file that is not an index, is damaged beyond opening or was written by a
// newer or older release is set aside with a warning in the log, and an empty one takes its place: Run or Reconcile fills it. Damage deeper inside is not looked for here, so that opening stays fast.
func Open(ctx context.Context, opt Options) (*Index, error) {
	path, err := filepath.Abs(opt.Path)
	if err != nil {
		return nil, err
	}
	opt.Path = path
	ix := &Index{opt: opt, log: opt.Log, fields: newFieldFilter(opt.Headers)}
	if ix.log == nil {
		ix.log = slog.New(slog.DiscardHandler)
	}
	ix.init()
	if err := ix.openFile(ctx); err != nil {
		return nil, err
	}
	if opt.KeepHeaders {
		built, err := ix.gen.builtWith(ctx)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("index: %w", readError(err)), ix.Close())
		}
		if built != notBuilt {
			fields, body := readBuilt(built)
			ix.fields = fields
			ix.body.Store(body)
		}
	}
	return ix, nil
}

func (ix *Index) init() {
	ix.queue.init()
	ix.marks.init()
	ix.events.init()
	ix.tombs.init()
	ix.doubts = make(chan struct{}, 1)
	ix.body.Store(ix.opt.Body)
}

// suspicion is a file that a reader has met damage in, for Run to deal with.
type suspicion struct {
	gen   *generation
	cause error
}

func (ix *Index) openFile(ctx context.Context) (err error) {
	if ix.opt.ReadOnly {
		ix.gen, err = openGeneration(ctx, ix.opt.Path, true)
		return err
	}
	if ix.lock, err = openFileLock(ix.opt.Path + ".lock"); err != nil {
		return err
	}
	if ix.gen, err = ix.openOrMake(ctx); err != nil {
		ix.lock.close()
	}
	return err
}

// Close closes the file. Run must have returned. What was recorded and not flushed is left for the next reconcile.
func (ix *Index) Close() error {
	if ix.closed.Swap(true) {
		return nil
	}
	ix.wmu.Lock()
	defer ix.wmu.Unlock()
	ix.mu.Lock()
	defer ix.mu.Unlock()
	err := ix.gen.close()
	if ix.lock != nil {
		err = errors.Join(err, ix.lock.close())
	}
	return err
}

// current is the file as it is open now. It may be replaced at any time; a closed one answers with errors.
func (ix *Index) current() *generation {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.gen
}

// fieldFilter says which header fields are kept beside the columns.
type fieldFilter struct {
	all   bool
	names []string // lower case, sorted
}

func newFieldFilter(names []string) fieldFilter {
	var f fieldFilter
	for _, n := range names {
		n = strings.ToLower(strings.TrimSpace(n))
		switch {
		case n == AllHeaders:
			return fieldFilter{all: true}
		case n != "" && columnOf(n) == "":
			f.names = append(f.names, n)
		}
	}
	slices.Sort(f.names)
	f.names = slices.Compact(f.names)
	return f
}

// has takes a lower-case name.
func (f fieldFilter) has(name string) bool {
	if f.all {
		return columnOf(name) == ""
	}
	_, ok := slices.BinarySearch(f.names, name)
	return ok
}

// String is the form kept in the meta table.
func (f fieldFilter) String() string {
	if f.all {
		return AllHeaders
	}
	return strings.Join(f.names, " ")
}

func (f fieldFilter) list() []string {
	if f.all {
		return []string{AllHeaders}
	}
	return slices.Clone(f.names)
}
