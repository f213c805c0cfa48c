package index

import (
	"context"
	"strings"
	"sync"
	"time"
)

const (
	// maxEvents is how many keys may wait; beyond it everything is compared instead.
	maxEvents = 100_000
	// tombTime is longer than a row can be on its way from a file that was there to the writer.
	tombTime = time.Minute
)

// Event says that something changed in the files, in the order in which it happened.
type Event struct {
	// Account and Folder say where. Folder is "" when folders of the account were made, renamed or removed, or cannot be told apart;
	// Account is "" when everything may have changed: accounts came or went, or events were lost.
	Account, Folder string
	File            File // the file that is there now: Key, Flags and New. With Key "" the folder as a whole must be looked at
	Gone            bool // File was removed or renamed away
	Touched         bool // its content or time changed, its name did not (written, touched)

	at time.Time // when it was told
}

// Follower is a Source that tells of changes as they happen.
type Follower interface {
	// Follow calls tell, from one goroutine, for every change, until ctx ends, which is no error. It begins with Event{} as soon as it
	// is watching, since everything may have changed before. While tell runs nothing further is told, and what waits too long is lost:
	// another Event{} follows then. An error means that nothing is watched any more.
	Follow(ctx context.Context, tell func(Event)) error
}

// Watches says how much a Follower is watching.
type Watches struct {
	Directories int
	Full        bool // the kernel's limit was reached, some directories are not watched
}

// fileKey is a file of a folder.
type fileKey struct {
	place
	key string
}

// told is what events hold.
type told struct {
	files    map[fileKey]Event
	folders  map[place]bool
	accounts map[string]bool
	all      bool
}

// events are what a Follower told and was not looked at yet: of each file only the last word counts.
type events struct {
	mu sync.Mutex
	told
	taken map[fileKey]Event // being looked at now
	wake  chan struct{}
}

func (e *events) init() {
	e.clear()
	e.wake = make(chan struct{}, 1)
}

func (e *events) clear() {
	e.told = told{map[fileKey]Event{}, map[place]bool{}, map[string]bool{}, false}
}

func (e *events) add(ev Event) {
	p := place{strings.ToLower(ev.Account), ev.Folder}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case ev.Account == "" || len(e.files) >= maxEvents:
		e.clear()
		e.all = true
	case ev.Folder == "":
		e.accounts[p.account] = true
	case ev.File.Key == "":
		e.folders[p] = true
	default:
		k := fileKey{p, ev.File.Key}
		now := e.files[k]
		// QUIRK: mutt renames by link and unlink, so that the old name goes after the new one has come.
		if now.File.Key != "" && ev.Gone && !now.Gone && !sameName(now.File, ev.File) {
			break
		}
		ev.Touched, ev.at = ev.Touched || now.Touched, time.Now()
		e.files[k] = ev
	}
	signal(e.wake)
}

// take gives what is there and clears it. What has gone just now waits for the next time: it may have come elsewhere, which is told after it, and a row
// that is removed before that has lost its id.
func (e *events) take() told {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := told{e.files, e.folders, e.accounts, e.all}
	e.clear()
	now := time.Now()
	for k, ev := range t.files {
		if ev.Gone && now.Sub(ev.at) < followGather {
			e.files[k] = ev
			delete(t.files, k)
		}
	}
	if len(e.files) > 0 {
		signal(e.wake)
	}
	e.taken = t.files
	return t
}

// tombs are files that were seen to go a short while ago. What was read from such a file and is on its way to the writer must not become a row.
type tombs struct {
	mu     sync.Mutex
	at     map[fileKey]tomb
	pruned time.Time
}

// tomb is the name under which a file was, and when it went.
type tomb struct {
	flags string
	new   bool
	since time.Time
}

func (t *tombs) init() { t.at = map[fileKey]tomb{} }

// sameName reports whether two files of one key have one name.
func sameName(a, b File) bool { return a.Flags == b.Flags && a.New == b.New }

func (t *tombs) note(ev Event) {
	if ev.File.Key == "" {
		return
	}
	k := fileKey{place{strings.ToLower(ev.Account), ev.Folder}, ev.File.Key}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !ev.Gone {
		delete(t.at, k)
		return
	}
	now := time.Now()
	if now.Sub(t.pruned) > tombTime {
		t.pruned = now
		for k, was := range t.at {
			if now.Sub(was.since) > tombTime {
				delete(t.at, k)
			}
		}
	}
	if len(t.at) < maxEvents {
		t.at[k] = tomb{ev.File.Flags, ev.File.New, now}
	}
}

// has reports whether the file that a row was made of was seen to go.
func (t *tombs) has(r *row) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was, ok := t.at[fileKey{r.place, r.key}]
	return ok && was.flags == r.flags && was.new == r.new
}
