package main_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// ids gives the Message-IDs in the INBOX of an account, each with its file.
func (b *box) ids(account string) map[string]string {
	b.t.Helper()
	messageID := regexp.MustCompile(`(?m)^Message-ID: <(.*)>$`)
	ids := map[string]string{}
	for _, path := range b.files(account) {
		text, err := os.ReadFile(path)
		if err != nil {
			b.t.Fatal(err)
		}
		if match := messageID.FindStringSubmatch(string(text)); match != nil {
			ids[match[1]] = path
		}
	}
	return ids
}

// acknowledged gives what has been acknowledged so far.
func (l *load) acknowledged() (ids []string) {
	l.acked.Range(func(id, _ any) bool {
		ids = append(ids, id.(string))
		return true
	})
	return ids
}

// killBackup kills a backup that has begun.
func (b *box) killBackup(dest string) {
	b.t.Helper()
	cmd := exec.Command(program("mailctl"), "--config", b.conf, "backup", dest)
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait() // killed or through with it: both are allowed
	}()
	eventually(b.t, "a backup has begun or ended", func() bool {
		select {
		case <-ended:
			return true
		default:
			_, err := os.Stat(filepath.Join(dest, "mail"))
			return err == nil
		}
	})
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		b.t.Fatal(err)
	}
	<-ended
}

// TestBackup: while mail flows, a backup has whatever was acknowledged before it began. A message that was deleted comes back from it by a query, and a
// box starts from it.
func TestBackup(t *testing.T) {
	t.Parallel()
	b := newBox(t, noSweep, "mx")
	d := b.start()
	l := sendAlways(t, b.address("mx"), 2)
	l.await(t, 50)
	places := []string{filepath.Join(b.dir, "backups", "links"), filepath.Join(b.dir, "backups", "copies")}
	b.killBackup(places[0])
	for i, dest := range places {
		if _, err := os.Stat(filepath.Join(dest, "backup.json")); err == nil {
			continue // it was not killed in time
		}
		before := l.acknowledged()
		b.mustMailctl("", "backup", dest, map[int]string{0: "--json", 1: "--copy"}[i])
		kept := b.in(t)
		kept.data = dest
		have := kept.ids(loadAccount)
		for _, id := range before {
			if have[id] == "" {
				t.Errorf("%s was acknowledged before, and is not in %s", id, dest)
			}
		}
		b.mustMailctl("", "backup", "verify", dest)
		b.mustMailctl("", "index", "verify", "--root", dest)
		t.Logf("%s: %d messages, %d acknowledged before", filepath.Base(dest), len(have), len(before))
	}
	l.await(t, 5)
	l.end()
	b.awaitIndex()

	const lost = "1@load.example"
	path := b.ids(loadAccount)[lost]
	text, err := os.ReadFile(path)
	if err = errors.Join(err, os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	b.awaitIndex()
	b.mustMailctl("", "restore", places[1], "--query", "id:<"+lost+">")
	if rows := b.awaitIndex(); len(rows) == 0 {
		t.Error("nothing is found")
	}
	if rows, ok := b.search("--message-id", lost); !ok || len(rows) != 1 {
		t.Errorf("%s is found %d times", lost, len(rows))
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(text) {
		t.Errorf("what came back is another: %v", err)
	}
	b.mustMailctl("", "index", "verify")
	l.check(t, b)
	d.stop()
	b.mustMailctl("", "index", "verify")

	next := newBox(t, "", "mx")
	if err := os.Rename(places[0], next.data); err != nil {
		t.Fatal(err)
	}
	next.start()
	next.dial("mx").mustSend(t, "zoe@example.com", letter("next@example.com", "next", "\n"), loadAccount)
	next.awaitIndex()
	next.mustMailctl("", "index", "verify")
}

// TestBackupDiskFull: a backup that has no room says so, and goes on when there is.
func TestBackupDiskFull(t *testing.T) {
	t.Parallel()
	needRoot(t, "a file system of one megabyte is mounted")
	b := newBox(t, "", "mx")
	d := b.start()
	l := sendAlways(t, b.address("mx"), 2)
	l.await(t, 120)
	l.end()
	b.awaitIndex()
	disk := filepath.Join(b.dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	mount(t, "tmpfs", disk, 0, "size=1m")
	dest := filepath.Join(disk, "one")
	_, stderr, code := b.mailctl("", "backup", dest)
	if code != 1 || !strings.Contains(stderr, "make room on that disk") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(dest, "backup.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is said to be complete: %v", err)
	}
	if _, stderr, code := b.mailctl("", "restore", dest); code != 3 || !strings.Contains(stderr, "completes it") {
		t.Errorf("restore from it: exit code %d: %s", code, stderr)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=256m"); err != nil {
		t.Fatal(err)
	}
	b.mustMailctl("", "backup", dest)
	b.mustMailctl("", "backup", "verify", dest)
	b.mustMailctl("", "index", "verify", "--root", dest)
	d.stop()
}
