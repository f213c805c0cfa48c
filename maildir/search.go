package maildir

import (
	"errors"
	"io/fs"
	"math/bits"
	"slices"
)

// standardFlags are the letters probed for before a directory is read: all 64 names cost less than reading a
// directory of a few hundred.
const standardFlags = "DFPRST"

// search finds a message under the name that e has, then under the names it usually has, then by reading the directories.
func (t *Tree) search(e Entry) (place, error) {
	cur, err := t.acquire(e.Folder, subCur)
	if err != nil {
		return place{}, err
	}
	defer cur.release()
	fresh, err := t.acquire(e.Folder, subNew)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return place{}, err
	}
	if err == nil {
		defer fresh.release()
	}
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

// probe tries names without reading a directory. fresh, which is new/, may be nil.
func probe(e Entry, fresh, cur *dir) (place, bool) {
	d := cur
	if e.New {
		d = fresh
	}
	if d != nil && d.isRegular(e.FileName()) {
		return place{e, e.FileName()}, true
	}
	guess := Entry{Folder: e.Folder, Key: e.Key, New: true}
	if fresh != nil && fresh.isRegular(guess.FileName()) {
		return place{guess, guess.FileName()}, true
	}
	guess.New = false
	if base := string(e.Key); plainKey(e.Key) && cur.isRegular(base) {
		return place{guess, base}, true
	}
	for _, flags := range usualFlags() {
		guess.Flags = flags
		if base := guess.FileName(); cur.mayExist(base) && cur.isRegular(base) {
			return place{guess, base}, true
		}
	}
	return place{}, false
}

// plainKey reports whether a file called just k is the message k.
func plainKey(k Key) bool {
	parsed, _, ok := ParseFileName(string(k))
	return ok && parsed == k
}

// usualFlags lists every combination of standardFlags, those with few letters first.
func usualFlags() []Flags {
	all := make([]Flags, 0, 1<<len(standardFlags))
	for count := range len(standardFlags) + 1 {
		for mask := range uint(1 << len(standardFlags)) {
			if bits.OnesCount(mask) != count {
				continue
			}
			var letters []byte
			for i := range len(standardFlags) {
				if mask>>i&1 == 1 {
					letters = append(letters, standardFlags[i])
				}
			}
			all = append(all, Flags(letters))
		}
	}
	return slices.Clip(all)
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
