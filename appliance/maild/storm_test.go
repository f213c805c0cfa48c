package main_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The extent of a storm. What is done is bounded, not the time it takes.
const (
	stormWriters = 4
	stormChanges = 40 // of each writer in each round
	stormSeed    = 20261124
)

// stormUsers are the accounts, without their domain.
var stormUsers = [...]string{"ann", "bob", "eve"}

// storm is mail that changes by SMTP and by foreign hands at once.
type storm struct {
	box     *box
	changes atomic.Int64 // that were made, in all
	next    atomic.Int64 // makes names that are used once
	acked   sync.Map     // Message-ID -> true
	removed sync.Map     // Message-ID -> true: of some file of it
}

// TestStorm: writers deliver and change Maildirs from outside as mail readers and a shell do, while the daemon is killed and the index
// rebuilt, half rebuilt, spoilt and removed. Then the index is right, and it finds each acknowledged message that nobody removed.
func TestStorm(t *testing.T) {
	t.Parallel()
	b := newBox(t, "", "mx")
	s := &storm{box: b}
	d := b.start()
	for _, user := range stormUsers {
		b.addUser(user + "@" + host)
		if err := makeFolder(s.tree(user)); err != nil {
			t.Fatal(err)
		}
	}
	for i, disturb := range []func(){
		func() {},
		func() { d.kill(); d = b.start() },
		func() { b.mustMailctl("", "index", "rebuild") },
		func() { s.halfRebuild(t) },
		func() { s.spoil(t, os.Remove) },
		func() { d.kill(); s.spoil(t, overwrite); d = b.start() },
	} {
		s.round(t, uint64(i), disturb)
	}
	eventually(t, "the index is whole", func() bool { _, _, code := b.mailctl("", "index", "status"); return code == 0 })
	s.round(t, stormSeed, func() {})
	s.prove(t, "up")
	d.stop()
	s.prove(t, "down")
}

// round has every writer make its changes, and disturbs them in the middle.
func (s *storm) round(t *testing.T, n uint64, disturb func()) {
	t.Helper()
	half := s.changes.Load() + stormWriters*stormChanges/2
	var writers sync.WaitGroup
	for i := range stormWriters {
		writers.Go(func() {
			w := &stormWriter{storm: s, Rand: rand.New(rand.NewPCG(stormSeed+n, uint64(i)))}
			if err := w.run(); err != nil {
				t.Errorf("writer %d of round %d: %v", i, n, err)
			}
		})
	}
	defer writers.Wait()
	eventually(t, "half of the changes are made", func() bool { return t.Failed() || s.changes.Load() >= half })
	disturb()
}

// spoil does something to index.db, which a daemon may be making anew just now.
func (s *storm) spoil(t *testing.T, how func(path string) error) {
	t.Helper()
	if err := how(filepath.Join(s.box.data, "index.db")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// halfRebuild kills a rebuild that has begun.
func (s *storm) halfRebuild(t *testing.T) {
	t.Helper()
	cmd := exec.Command(program("mailctl"), "--config", s.box.conf, "index", "rebuild")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait() // killed or through with it: both are allowed
	}()
	eventually(t, "a rebuild has begun or ended", func() bool {
		select {
		case <-ended:
			return true
		default:
			_, err := os.Stat(filepath.Join(s.box.data, "index.db.rebuilding"))
			return err == nil
		}
	})
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	<-ended
}

// prove holds the index against the mail.
func (s *storm) prove(t *testing.T, state string) {
	t.Helper()
	if stdout, stderr, code := s.box.mailctl("", "index", "verify"); code != 0 {
		t.Errorf("verify with the daemon %s: exit code %d\n%s%s", state, code, stdout, stderr)
	}
	rows, ok := s.box.search()
	if !ok {
		t.Fatalf("no answer with the daemon %s", state)
	}
	found := map[string]bool{}
	for _, row := range rows {
		found[row.MessageID] = true
	}
	var acked, removed int
	s.acked.Range(func(id, _ any) bool {
		acked++
		if _, gone := s.removed.Load(id); gone {
			removed++
		} else if !found[id.(string)] {
			t.Errorf("%s was acknowledged and is not found with the daemon %s", id, state)
		}
		return true
	})
	if acked == removed {
		t.Error("no message was left to be found")
	}
	t.Logf("daemon %s: %d changes, %d messages acknowledged, %d of them removed", state, s.changes.Load(), acked, removed)
}

// stormWriter is one of those who change the mail.
type stormWriter struct {
	*storm
	*rand.Rand
	smtp *client
}

// run makes the writer's changes. Another writer may be quicker with a file or folder: that is no error.
func (w *stormWriter) run() error {
	defer w.hangUp()
	kinds := []struct {
		often  int
		change func() error
	}{
		{30, w.deliver}, {20, w.flag}, {6, w.flagByLink}, {10, w.move}, {6, w.moveRenamed}, {6, w.copyOrLink}, {6, w.remove},
		{4, w.touch}, {5, w.newFolder}, {3, w.renameFolder}, {2, w.removeFolder},
	}
	var lots []func() error
	for _, k := range kinds {
		for range k.often {
			lots = append(lots, k.change)
		}
	}
	for range stormChanges {
		err := lots[w.IntN(len(lots))]()
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
		w.changes.Add(1)
	}
	return nil
}

func (w *stormWriter) hangUp() {
	if w.smtp != nil {
		w.smtp.Close()
		w.smtp = nil
	}
}

// deliver sends a message. One whose reply is cut off by a kill may be there or not.
func (w *stormWriter) deliver() error {
	if w.smtp == nil {
		c, err := connect(w.box.address("mx"))
		if err != nil {
			return nil // killed before the greeting
		}
		w.smtp = c
		if _, err := c.ask("EHLO client.example"); err != nil {
			w.hangUp()
			return nil
		}
	}
	id := w.unused() + "@storm.example"
	reply, err := w.smtp.send("zoe@example.com", letter(id, "storm", "in a storm\n"), w.user()+"@"+host)
	switch {
	case err != nil:
		w.hangUp()
	case !strings.HasPrefix(reply, "250 "):
		return fmt.Errorf("%s: reply %q", id, reply)
	default:
		w.acked.Store(id, true)
	}
	return nil
}

// flag sets other flags, which also takes a message from new/ to cur/.
func (w *stormWriter) flag() error {
	path := w.file()
	return os.Rename(path, w.flagged(path))
}

// flagByLink is how mutt sets flags.
func (w *stormWriter) flagByLink() error {
	path := w.file()
	if err := os.Link(path, w.flagged(path)); err != nil {
		return err
	}
	return os.Remove(path)
}

// move takes a message to a folder, its name as it is.
func (w *stormWriter) move() error {
	path := w.file()
	return os.Rename(path, filepath.Join(w.folder(), filepath.Base(filepath.Dir(path)), filepath.Base(path)))
}

// moveRenamed is a move as some mail readers do it: under a name of their own.
func (w *stormWriter) moveRenamed() error {
	return os.Rename(w.file(), filepath.Join(w.folder(), "cur", w.unused()+":2,S"))
}

// copyOrLink puts a message into a folder once more.
func (w *stormWriter) copyOrLink() error {
	from, to := w.file(), filepath.Join(w.folder(), "cur", w.unused()+":2,")
	if w.IntN(2) == 0 {
		return os.Link(from, to)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// stormID finds the Message-ID in a file.
var stormID = regexp.MustCompile(`(?m)^Message-ID: <(.*)>$`)

// remove removes a message.
func (w *stormWriter) remove() error {
	path := w.file()
	if err := w.noteRemoved(path); err != nil {
		return err
	}
	return os.Remove(path)
}

// noteRemoved takes down whose file is about to go.
func (w *stormWriter) noteRemoved(path string) error {
	text, err := os.ReadFile(path)
	if match := stormID.FindSubmatch(text); match != nil {
		w.removed.Store(string(match[1]), true)
	}
	return err
}

// touch gives a file another time.
func (w *stormWriter) touch() error {
	when := time.Now().Add(-time.Duration(w.IntN(1_000_000)) * time.Second)
	return os.Chtimes(w.file(), when, when)
}

func (w *stormWriter) newFolder() error {
	return makeFolder(filepath.Join(w.tree(w.user()), fmt.Sprintf(".F%d", w.IntN(6))))
}

// renameFolder renames a folder, unless one with messages has the name.
func (w *stormWriter) renameFolder() error {
	folder := w.folder()
	if !strings.HasPrefix(filepath.Base(folder), ".") {
		return nil // INBOX
	}
	return os.Rename(folder, filepath.Join(filepath.Dir(folder), fmt.Sprintf(".R%d", w.IntN(6))))
}

// removeFolder takes a folder away at once, then its messages at leisure.
func (w *stormWriter) removeFolder() error {
	folder := w.folder()
	if !strings.HasPrefix(filepath.Base(folder), ".") {
		return nil // INBOX
	}
	aside := filepath.Join(w.box.data, "aside"+w.unused())
	if err := os.Rename(folder, aside); err != nil {
		return err
	}
	for _, path := range messagesIn(aside) {
		if err := w.noteRemoved(path); err != nil {
			return err
		}
	}
	return os.RemoveAll(aside)
}

// tree is the Maildir of a user.
func (s *storm) tree(user string) string { return filepath.Join(s.box.data, "mail", host, user) }

// unused is a name that nothing has.
func (s *storm) unused() string { return fmt.Sprintf("1795000000.M%dP1.storm", s.next.Add(1)) }

func (w *stormWriter) user() string { return stormUsers[w.IntN(len(stormUsers))] }

// folder is the directory of some folder.
func (w *stormWriter) folder() string {
	folders, _ := filepath.Glob(filepath.Join(w.tree(w.user()), ".*", "cur")) // the pattern is a good one
	folders = append(folders, filepath.Join(w.tree(w.user()), "cur"))
	return filepath.Dir(folders[w.IntN(len(folders))])
}

// file is the path of some message, or of none where a folder is empty.
func (w *stormWriter) file() string {
	folder := w.folder()
	if files := messagesIn(folder); len(files) > 0 {
		return files[w.IntN(len(files))]
	}
	return filepath.Join(folder, "cur", "none")
}

// flagged is where the message at path goes with other flags.
func (w *stormWriter) flagged(path string) string {
	key, _, _ := strings.Cut(filepath.Base(path), ":2,")
	var flags strings.Builder
	for _, f := range "FRSTa" {
		if w.IntN(2) == 0 {
			flags.WriteRune(f)
		}
	}
	return filepath.Join(filepath.Dir(filepath.Dir(path)), "cur", key+":2,"+flags.String())
}

// messagesIn are the files of a folder.
func messagesIn(folder string) []string {
	fresh, _ := filepath.Glob(filepath.Join(folder, "new", "*")) // the patterns are good ones
	seen, _ := filepath.Glob(filepath.Join(folder, "cur", "*"))
	return append(fresh, seen...)
}

// makeFolder makes the directories of a folder that are missing.
func makeFolder(path string) error {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(path, sub), 0o700); err != nil {
			return err
		}
	}
	return nil
}
