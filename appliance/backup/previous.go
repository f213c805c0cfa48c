package backup

import (
	"context"
	"hash/maphash"
	"io/fs"
	"math"
	"os"
	"time"

	"maild/appliance/config"
	"maild/appliance/store"
	"maild/index"
	"maild/maildir"
)

// previous is an earlier backup, whose files can be linked to.
type previous struct {
	mail    *store.Mailboxes
	begun   time.Time
	numbers numbers

	account string            // whose messages are known
	known   map[uint64]uint16 // in which of the folders a key is
	folders []string
}

func openPrevious(dir string) (*previous, error) {
	m, err := Open(dir)
	if err != nil {
		return nil, err
	}
	return &previous{mail: store.OpenMailboxes(config.Config{DataDir: dir}.MailDir()), begun: m.Begun, numbers: newNumbers()}, nil
}

func (p *previous) close() { p.mail.Close() }

// find gives the file of a message in the earlier backup, if it is the same: by key, size and time. "" if there is none, or it is the live file itself, by
// a link: then it would be no copy.
func (p *previous) find(account string, e maildir.Entry, live fs.FileInfo) (path string) {
	// An error here is nothing but a reason to make a copy.
	_ = p.mail.Use(account, false, func(t *maildir.Tree) error {
		if guess := t.MessagePath(e); p.same(guess, live) {
			path = guess
			return nil
		}
		if !live.ModTime().Before(p.begun) {
			return nil // it is newer
		}
		folder, ok := p.folderOf(account, e.Key)
		if !ok {
			return nil
		}
		e.Folder = folder
		e, err := t.Find(folder, e.Key)
		if guess := t.MessagePath(e); err == nil && p.same(guess, live) {
			path = guess
		}
		return nil
	})
	return path
}

func (p *previous) same(path string, live fs.FileInfo) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == live.Size() && info.ModTime().Equal(live.ModTime()) && !os.SameFile(info, live)
}

// folderOf says in which folder a key is. The keys of one account are known at a time.
func (p *previous) folderOf(account string, key maildir.Key) (string, bool) {
	if p.account != account {
		p.learn(account)
	}
	n, ok := p.known[p.numbers.of(string(key))]
	if !ok {
		return "", false
	}
	return p.folders[n], true
}

func (p *previous) learn(account string) {
	p.account, p.known = account, map[uint64]uint16{}
	p.folders = nil
	folders, err := p.mail.Folders(context.Background(), account)
	if err != nil {
		return
	}
	for i, f := range folders[:min(len(folders), math.MaxUint16)] {
		p.folders = append(p.folders, f)
		// What cannot be listed is copied again.
		_ = p.mail.Scan(context.Background(), account, f, index.WholeFolder, func(f index.File) error {
			p.known[p.numbers.of(f.Key)] = uint16(i)
			return nil
		})
	}
}

// numbers gives short names, the same for the same text. That two of a million have the same is one chance in 30 million.
type numbers struct{ seed maphash.Seed }

func newNumbers() numbers { return numbers{maphash.MakeSeed()} }

func (n numbers) of(text string) uint64 { return maphash.String(n.seed, text) }
