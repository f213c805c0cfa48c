package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"maild/index"
	"maild/maildir"
)

// The directories of a folder that are watched.
const (
	subNew = "new"
	subCur = "cur"
)

// level says what a directory is.
type level uint8

const (
	levelRoot level = iota
	levelDomain
	levelAccount
	levelFolder   // a folder but INBOX; itself watched only while its new/ or cur/ is not
	levelMessages // new/ or cur/
)

// unwatched stands for no watch.
const unwatched = -1

// node is a directory that is watched, or one with such below it.
type node struct {
	up              *node
	name            string // in up; of the root its path
	level           level
	account, folder string // from the level on where they are known
	watch           int
	walked          uint64 // the last walk of everything that came by
	below           map[string]*node
}

func (n *node) path() string {
	if n.up == nil {
		return n.name
	}
	return filepath.Join(n.up.path(), n.name)
}

// child is the node of a directory in n, made if it is missing.
func (n *node) child(name string) *node {
	if c := n.below[name]; c != nil {
		return c
	}
	c := &node{up: n, name: name, level: n.level + 1, account: n.account, folder: n.folder, watch: unwatched}
	switch n.level {
	case levelDomain:
		c.account, c.folder = name+"@"+n.name, maildir.Inbox
	case levelAccount:
		if name == subNew || name == subCur {
			c.level = levelMessages
		} else {
			c.folder, _ = maildir.DecodeFolder(name) // the caller has seen that it is one
		}
	}
	if n.below == nil {
		n.below = map[string]*node{}
	}
	n.below[name] = c
	return c
}

// inTree reports whether n was not dropped.
func (n *node) inTree() bool {
	for ; n.up != nil; n = n.up {
		if n.up.below[n.name] != n {
			return false
		}
	}
	return true
}

// whole reports whether both directories of the folder n are watched.
func (n *node) whole() bool {
	for _, sub := range []string{subNew, subCur} {
		if c := n.below[sub]; c == nil || c.watch == unwatched {
			return false
		}
	}
	return true
}

// wholeBelow reports whether the directory name in n is watched as far as it is to be.
func (n *node) wholeBelow(name string) bool {
	c := n.below[name]
	if c == nil {
		return false
	}
	if c.level == levelFolder {
		return c.whole()
	}
	return c.watch != unwatched
}

// watchNode has n watched, by the directory that its path names now, and reports whether it is. The node above it must be watched
// already: so a rename that comes between is read later, and this is done once more.
func (f *follower) watchNode(n *node) bool {
	n.walked = f.walk
	if f.refused && n.watch == unwatched {
		return false
	}
	path, kind := n.path(), maildir.WatchDirs
	if n.level == levelMessages {
		kind = maildir.WatchMessages
	}
	if n.level == levelRoot {
		path += "/." // which may be a link
	}
	watch, err := f.add(path, kind)
	if other := f.nodes[watch]; err == nil && other != nil && other != n {
		if samePlace(other.path(), path) {
			f.unwatch(n)
			return false // mounted in two places: the first is told of, the second is left to the sweeps
		}
		// other was renamed, which is still to be read. What its watch has told until now is nobody's.
		f.unwatch(other)
		f.stolen = append(f.stolen, other)
		watch, err = f.add(path, kind)
		if err == nil && f.nodes[watch] != nil {
			err = fs.ErrNotExist // renamed again: that will be read
		}
	}
	if err != nil {
		f.unwatch(n)
		if errors.Is(err, maildir.ErrWatchLimit) {
			f.full, f.refused = true, true
		}
		return false
	}
	if n.watch != watch {
		f.unwatch(n)
		n.watch, f.nodes[watch] = watch, n
		f.changes++
	}
	return true
}

// samePlace reports whether two paths are one directory.
func samePlace(a, b string) bool {
	one, err := os.Lstat(a)
	if err != nil {
		return false
	}
	two, err := os.Lstat(b)
	return err == nil && os.SameFile(one, two)
}

// unwatch ends the watch of n alone.
func (f *follower) unwatch(n *node) {
	if n.watch == unwatched {
		return
	}
	delete(f.nodes, n.watch)
	_ = f.w.Remove(n.watch) // what it may still tell is nobody's
	n.watch = unwatched
	f.refused = false
	f.changes++
}

// drop ends the watches of n and all below it and takes it out of the tree.
func (f *follower) drop(n *node) {
	if n == nil {
		return
	}
	for _, c := range n.below {
		f.drop(c)
	}
	f.unwatch(n)
	if n.up != nil {
		delete(n.up.below, n.name)
	}
}

// walkAll sets every watch that is missing, drops those that have no place any more, and tells that everything may have changed: always,
// or only if it found something.
func (f *follower) walkAll(always bool) {
	before := f.changes
	f.walk++
	f.full, f.refused, f.rootIs = false, false, nil
	info, err := os.Stat(f.root)
	if f.watchNode(f.tree) && err == nil {
		f.rootIs = info // one that was put there meanwhile is found by the next look
		domains, _ := directories(f.root)
		for _, domain := range domains {
			f.walkDomain(f.tree.child(domain), func(string) {})
		}
	}
	f.sweep(f.tree)
	f.settle()
	if always || f.changes != before {
		f.pending = "" // is part of everything
		f.say(index.Event{})
	}
}

// sweep drops what the walk did not come by.
func (f *follower) sweep(n *node) {
	for _, c := range n.below {
		if c.walked != f.walk {
			f.drop(c)
		} else {
			f.sweep(c)
		}
	}
}

// walkDomain watches a domain and its accounts, and calls found for each of these.
func (f *follower) walkDomain(n *node, found func(account string)) {
	if f.ctx.Err() != nil {
		return
	}
	if !f.watchNode(n) {
		f.drop(n)
		return
	}
	users, _ := directories(n.path()) // one that cannot be read has no accounts that Accounts finds
	for _, user := range users {
		c := n.child(user)
		f.walkAccount(c)
		found(c.account)
	}
}

// walkAccount watches an account and its folders.
func (f *follower) walkAccount(n *node) {
	if f.ctx.Err() != nil {
		return
	}
	if !f.watchNode(n) {
		f.drop(n)
		return
	}
	f.watchFolder(n)
	if !isAccount(n) {
		return
	}
	entries, _ := os.ReadDir(n.path())
	for _, e := range entries {
		folder, err := maildir.DecodeFolder(e.Name())
		if err != nil || !e.IsDir() {
			continue
		}
		if dir, ok := folderDir(n, folder); ok && dir == e.Name() {
			f.watchFolder(n.child(dir))
		}
	}
}

// isAccount reports whether the directory n has a cur/, as Accounts demands: without one it has no folders either.
func isAccount(n *node) bool {
	_, err := os.Lstat(filepath.Join(n.path(), subCur))
	return !errors.Is(err, fs.ErrNotExist)
}

// folderDir is the directory that a folder has in the account n, false if none.
func folderDir(n *node, folder string) (string, bool) {
	dirs, err := maildir.FolderDirs(folder)
	if err != nil {
		return "", false
	}
	for _, dir := range dirs {
		info, err := os.Lstat(filepath.Join(n.path(), dir))
		if !errors.Is(err, fs.ErrNotExist) {
			return dir, err == nil && info.IsDir()
		}
	}
	return "", false
}

// watchFolder watches the two directories of the folder n, and n itself while one of them is missing. Without cur/ it is no folder.
func (f *follower) watchFolder(n *node) {
	n.walked = f.walk
	whole := f.watchSubs(n)
	if n.level != levelFolder {
		return
	}
	if !whole && f.watchNode(n) {
		whole = f.watchSubs(n) // it may have come before n was watched
	}
	if whole {
		f.unwatch(n)
	}
}

func (f *follower) watchSubs(n *node) bool {
	if !f.watchNode(n.child(subCur)) {
		f.drop(n.below[subNew])
		return false
	}
	return f.watchNode(n.child(subNew))
}

// again looks anew at the place of n, which is no longer what it was.
func (f *follower) again(n *node) {
	switch {
	case !n.inTree(): // who dropped it has done so
	case n.level == levelRoot:
		f.drop(n)
		f.walkAll(true)
	case n.level == levelDomain:
		f.againDomain(n.name)
	case n.level == levelAccount:
		f.againAccount(n.up, n.name)
	case n.level == levelFolder:
		f.againFolder(n.up, n.folder)
	case n.up.level == levelAccount:
		f.againInbox(n.up, n.name)
	default:
		f.againFolder(n.up.up, n.folder)
	}
}

// againDomain looks at a domain that came or went.
func (f *follower) againDomain(domain string) {
	was := f.tree.below[domain]
	f.drop(was)
	f.walkDomain(f.tree.child(domain), f.sayAccount)
	if was != nil {
		f.say(index.Event{}) // also accounts that were not watched may have gone
	}
}

// againAccount looks at an account that came or went.
func (f *follower) againAccount(domain *node, user string) {
	f.drop(domain.below[user])
	n := domain.child(user)
	f.walkAccount(n)
	f.sayAccount(n.account)
}

// againInbox looks at an account whose new/ or cur/ came or went. Without cur/ it is none.
func (f *follower) againInbox(n *node, sub string) {
	if sub == subCur {
		f.againAccount(n.up, n.name)
	} else {
		f.againFolder(n, maildir.Inbox)
	}
}

// againFolder looks at a folder of the account n that came or went, whole or in part.
func (f *follower) againFolder(n *node, folder string) {
	if folder == maildir.Inbox {
		f.drop(n.below[subNew])
		f.drop(n.below[subCur])
		f.watchFolder(n)
	} else if dirs, err := maildir.FolderDirs(folder); err == nil {
		for _, dir := range dirs {
			f.drop(n.below[dir])
		}
		if dir, ok := folderDir(n, folder); ok && isAccount(n) {
			f.watchFolder(n.child(dir))
		}
	}
	f.sayAccount(n.account)
}
