package maildir

import (
	"errors"
	"io/fs"
)

// standardFlags are the letters probed for before a directory is read: all 64 names cost less than reading a
// directory of a few hundred.
const standardFlags = "DFPRST"

// search finds a message under the name that e has, then under the names it usually has, then by reading the directories.
func (t *Tree) search(e Entry) (place, error) {
	fresh, cur, err := t.acquireBoth(e.Folder)
	if err != nil {
		return place{}, err
	}
	defer releaseBoth(fresh, cur)
	if p, ok := probe(e, fresh, cur); ok {
		return p, nil
	}
	for _, d := range []*dir{cur, fresh} {
		if d == nil {
			continue
		}
		if p, err := scanFor(e, d, d == fresh); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return p, err
		}
	}
	return place{}, &fs.PathError{Op: "find", Path: joinPath(cur.path, string(e.Key)), Err: fs.ErrNotExist}
}

// Probe looks for a message of a folder under the given flags and places in turn, then under the names that messages usually have: one
// with keywords may not be found. It takes some ten microseconds, whatever the folder's size. A missing folder is an error that matches
// [fs.ErrNotExist].
func (t *Tree) Probe(e Entry, others ...Entry) (now Entry, found bool, err error) {
	fresh, cur, err := t.acquireBoth(e.Folder)
	if err != nil {
		return e, false, err
	}
	defer releaseBoth(fresh, cur)
	for _, o := range append([]Entry{e}, others...) {
		if p, ok := probeAs(o, fresh, cur); ok {
			return p.Entry, true, nil
		}
	}
	p, found := probe(e, fresh, cur)
	return p.Entry, found, nil
}

// taken reports whether a folder has the key under one of its usual names.
func (t *Tree) taken(folder string, key Key) (bool, error) {
	fresh, cur, err := t.acquireBoth(folder)
	if err != nil {
		return false, err
	}
	defer releaseBoth(fresh, cur)
	_, ok := probe(Entry{Folder: folder, Key: key}, fresh, cur)
	return ok, nil
}

// acquireBoth returns new/, which is nil when it is missing, and cur/.
func (t *Tree) acquireBoth(folder string) (fresh, cur *dir, err error) {
	if cur, err = t.acquire(folder, subCur); err != nil {
		return nil, nil, err
	}
	fresh, err = t.acquire(folder, subNew)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		cur.release()
		return nil, nil, err
	}
	return fresh, cur, nil
}

func releaseBoth(fresh, cur *dir) {
	cur.release()
	if fresh != nil {
		fresh.release()
	}
}

// probe tries names without reading a directory. fresh, which is new/, may be nil.
func probe(e Entry, fresh, cur *dir) (place, bool) {
	if p, ok := probeAs(e, fresh, cur); ok {
		return p, true
	}
	guess := Entry{Folder: e.Folder, Key: e.Key, New: true}
	if fresh != nil && fresh.isRegular(guess.FileName()) {
		return place{guess, guess.FileName()}, true
	}
	guess.New = false
	if base := string(e.Key); plainKey(e.Key) && cur.isRegular(base) {
		return place{guess, base}, true
	}
	for mask := range uint(1 << len(standardFlags)) {
		guess.Flags = guessFlags(mask)
		if base := guess.FileName(); cur.mayExist(base) && cur.isRegular(base) {
			return place{guess, base}, true
		}
	}
	return place{}, false
}

// probeAs tries the name that e has.
func probeAs(e Entry, fresh, cur *dir) (place, bool) {
	d := cur
	if e.New {
		d = fresh
	}
	if d != nil && d.isRegular(e.FileName()) {
		return place{e, e.FileName()}, true
	}
	return place{}, false
}

// plainKey reports whether a file called just k is the message k.
func plainKey(k Key) bool {
	parsed, _, ok := ParseFileName(string(k))
	return ok && parsed == k
}

// guessFlags returns one combination of standardFlags. Counting mask up from 0 gives the likely ones first.
func guessFlags(mask uint) Flags {
	const bits = "\x05\x02\x04\x01\x00\x03" // for each of standardFlags: S is the commonest, D the rarest
	var buf [len(standardFlags)]byte
	letters := buf[:0]
	for i := range len(standardFlags) {
		if mask>>bits[i]&1 == 1 {
			letters = append(letters, standardFlags[i])
		}
	}
	return Flags(letters)
}

// errFound ends a scan.
var errFound = errors.New("found")

// scanFor reads a directory for a message's key.
func scanFor(e Entry, d *dir, isNew bool) (place, error) {
	var p place
	err := d.messages(func(key Key, flags Flags, base string) error {
		if key != e.Key {
			return nil
		}
		p = place{Entry{Folder: e.Folder, Key: key, Flags: flags, New: isNew}, base}
		return errFound
	})
	switch {
	case errors.Is(err, errFound):
		return p, nil
	case err == nil:
		err = &fs.PathError{Op: "find", Path: joinPath(d.path, string(e.Key)), Err: fs.ErrNotExist}
	}
	return place{}, err
}
