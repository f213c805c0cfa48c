package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"maild/index"
	"maild/maildir"
)

const (
	// followPoll is how often a mail directory that does not exist is looked for.
	followPoll = time.Second
	// followRetry is how often directories beyond the kernel's limit are tried again, and whether the mail directory is still the same.
	followRetry = time.Minute
	// followFreed is how long after a watch became free others are tried.
	followFreed = 5 * time.Second
)

var _ index.Follower = (*Mailboxes)(nil)

// watchState is how much Follow is watching, for Watches.
type watchState struct{ now atomic.Pointer[index.Watches] }

// Watches says how much Follow is watching at the moment: nothing when it does not run.
func (m *Mailboxes) Watches() index.Watches {
	if now := m.watching.now.Load(); now != nil {
		return *now
	}
	return index.Watches{}
}

// Follow implements index.Follower by inotify. Until the root exists it is looked for once a second. Directories that cannot be read are
// passed over until they can; those beyond the kernel's limit are tried again when a watch becomes free, at the latest after a minute,
// and Watches shows that there are some. A message that a rename puts in the place of another with the same name is told as there; as
// touched, too, when it had another name in a watched directory before. It is for one caller at a time.
func (m *Mailboxes) Follow(ctx context.Context, tell func(index.Event)) error {
	w, err := maildir.NewWatcher()
	if err != nil {
		return fmt.Errorf("follow %s: %w", m.root, err)
	}
	f := newFollower(m.root, w, tell)
	f.state = &m.watching
	defer f.state.now.Store(nil)
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		w.Close()
	})
	err = f.run(ctx)
	if stop() {
		w.Close()
	} else {
		<-closed
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("follow %s: %w", m.root, err)
}

// follower is one run of Follow. Its nodes mirror the directories below the root that are watched, by the names that their parents'
// changes have told so far. So what a watch tells is always told of the right folder: the kernel keeps all changes in one order, and what
// a renamed directory tells after its rename is read after that.
type follower struct {
	root    string
	tell    func(index.Event)
	w       *maildir.Watcher
	add     func(path string, kind maildir.WatchKind) (int, error) // w.Add, unless a test has a limit of its own
	state   *watchState
	ctx     context.Context // of run: a walk of many directories ends with it
	due     time.Time       // when to look after the root and after what is not watched
	walk    uint64          // counts walks of everything
	changes uint64          // counts watches that were set or dropped

	tree    *node
	nodes   map[int]*node // by watch
	rootIs  fs.FileInfo   // the root that is watched, nil when there is none
	full    bool          // some directory is not watched for the kernel's limit
	refused bool          // the kernel has refused a watch and none became free since
	stolen  []*node       // whose watch turned out to be another directory's: their places are looked at again

	pending string // an account to tell of, so that equal events in a row are one
	// renamed is the half of a rename that was read last, if its file was a message's under another key or no message.
	renamed struct {
		pair uint32
		key  maildir.Key
	}
}

func newFollower(root string, w *maildir.Watcher, tell func(index.Event)) *follower {
	f := &follower{root: root, w: w, add: w.Add, tell: tell, nodes: map[int]*node{}, state: &watchState{}, ctx: context.Background()}
	f.tree = &node{name: root, level: levelRoot, watch: unwatched}
	return f
}

// run watches until ctx ends or the watching fails.
func (f *follower) run(ctx context.Context) error {
	f.ctx, f.due = ctx, time.Now().Add(followRetry)
	f.walkAll(true)
	for ctx.Err() == nil {
		f.plan()
		f.publish()
		err := f.w.Read(f.due, f.handle)
		f.flush()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			f.look()
		case err != nil:
			return err
		}
	}
	return nil
}

// plan brings the next look forward when there is a reason.
func (f *follower) plan() {
	switch wait := time.Until(f.due); {
	case f.rootIs == nil && wait > followPoll:
		f.due = time.Now().Add(followPoll)
	case f.full && !f.refused && wait > followFreed:
		f.due = time.Now().Add(followFreed)
	}
}

// publish keeps what Watches shows.
func (f *follower) publish() {
	now := index.Watches{Directories: len(f.nodes), Full: f.full}
	if was := f.state.now.Load(); was == nil || *was != now {
		f.state.now.Store(&now)
	}
}

// look finds what no change tells: another root, room for more watches.
func (f *follower) look() {
	f.due = time.Now().Add(followRetry)
	info, err := os.Stat(f.root)
	switch {
	case err != nil && f.rootIs == nil:
	case f.rootIs != nil && (err != nil || !os.SameFile(info, f.rootIs)):
		f.drop(f.tree)
		f.walkAll(true)
	case f.rootIs == nil || f.full:
		f.walkAll(false)
	}
	f.flush()
}

// say tells an event.
func (f *follower) say(e index.Event) {
	f.flush()
	f.tell(e)
}

// sayAccount tells that an account is to be looked at: before any other event and before the next change is waited for.
func (f *follower) sayAccount(account string) {
	if f.pending != account {
		f.flush()
		f.pending = account
	}
}

func (f *follower) flush() {
	if f.pending != "" {
		account := f.pending
		f.pending = ""
		f.tell(index.Event{Account: account})
	}
}

// handle is called for each change.
func (f *follower) handle(c maildir.Change) {
	if c.Op == maildir.Lost {
		f.walkAll(true) // directories may have been made, and renamed
		return
	}
	n := f.nodes[c.Watch]
	switch {
	case n == nil: // of a watch that was dropped meanwhile
		return
	case n.level == levelMessages && c.Op != maildir.Displaced:
		f.message(n, c)
		return
	case c.Op == maildir.Displaced:
		f.again(n)
	case c.Dir && c.Name != "":
		f.directory(n, c)
	default:
		return
	}
	f.settle()
}

// settle looks at the places whose watches turned out to be others'.
func (f *follower) settle() {
	for len(f.stolen) > 0 {
		n := f.stolen[0]
		f.stolen = f.stolen[1:]
		f.again(n)
	}
}

// message tells of a file in new/ or cur/.
func (f *follower) message(n *node, c maildir.Change) {
	if c.Dir {
		return
	}
	key, flags, ok := maildir.ParseFileName(c.Name)
	if c.Op == maildir.Vanished && c.Pair != 0 {
		f.renamed.pair, f.renamed.key = c.Pair, key
		if !ok {
			f.renamed.key = ""
		}
	}
	if !ok {
		return
	}
	e := index.Event{Account: n.account, Folder: n.folder, File: index.File{Key: string(key), Flags: string(flags), New: n.name == subNew}}
	switch c.Op {
	case maildir.Vanished:
		e.Gone = true
	case maildir.Touched:
		e.Touched = true
	}
	f.say(e)
	// rsync, and sed -i, put a rewritten file in the place of the old one by a rename from another name.
	if c.Op == maildir.Appeared && c.Pair != 0 && c.Pair == f.renamed.pair && key != f.renamed.key {
		e.Touched = true
		f.say(e)
	}
}

// directory looks at a directory that came, went or was touched in n.
func (f *follower) directory(n *node, c maildir.Change) {
	if c.Op == maildir.Touched && n.wholeBelow(c.Name) {
		return // not one that could not be read before
	}
	switch n.level {
	case levelRoot:
		if isComponent(c.Name) {
			f.againDomain(c.Name)
		}
	case levelDomain:
		if isComponent(c.Name) {
			f.againAccount(n, c.Name)
		}
	case levelAccount:
		if c.Name == subNew || c.Name == subCur {
			f.againInbox(n, c.Name)
		} else if strings.HasPrefix(c.Name, ".") {
			if folder, err := maildir.DecodeFolder(c.Name); err == nil {
				f.againFolder(n, folder)
			}
		}
	case levelFolder:
		if c.Name == subNew || c.Name == subCur {
			f.againFolder(n.up, n.folder)
		}
	}
}
