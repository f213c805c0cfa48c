package main_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	localFault = "451 4.3.0 local error in processing, try again later"
	diskFull   = "452 4.3.1 insufficient system storage, try again later"
)

// wantFault insists that a message is put off with this reply and no other word,
// that the log has the cause, and that the session goes on.
func (d *daemon) wantFault(c *client, reply, cause string) {
	d.t.Helper()
	got, err := c.send("zoe@example.com", letter("fault@example.com", "fault", strings.Repeat("line\n", 2000)), loadAccount)
	if err != nil || got != reply {
		d.t.Fatalf("reply %q, error %v, want %q", got, err, reply)
	}
	d.awaitLog(cause)
}

// TestMailDirectoryFaults: a fault of the box puts mail off, tells the client nothing
// of it, and is over as soon as it is mended.
func TestMailDirectoryFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path        string // below the data directory
		spoil, mend func(path string) error
		cause       string
	}{
		"a file for a directory": {"mail",
			func(path string) error { return os.WriteFile(path, nil, 0o600) }, os.Remove, "not a directory"},
		"a file for a Maildir": {"mail/" + host + "/postmaster",
			func(path string) error {
				return errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600))
			}, os.Remove, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, "", "mx")
			d := b.start()
			path := filepath.Join(b.data, tc.path)
			if err := tc.spoil(path); err != nil {
				t.Fatal(err)
			}
			c := b.dial("mx")
			d.wantFault(c, localFault, tc.cause)
			d.wantFault(c, localFault, tc.cause)
			if err := tc.mend(path); err != nil {
				t.Fatal(err)
			}
			c.mustSend(t, "zoe@example.com", letter("mended@example.com", "mended", "\n"), loadAccount)
			b.awaitIndex()
			d.stop()
		})
	}
}

// startHeldBack runs maild as a user whom the modes of files hold back, which they do not hold root.
func startHeldBack(t *testing.T) (*box, *daemon, *client) {
	t.Helper()
	b := newBox(t, "", "mx")
	if os.Geteuid() == 0 {
		b.giveTo(nobody(t))
	}
	return b, b.start(), b.dial("mx")
}

// TestMailDirectoryNotWritable: so it is with rights, also of a Maildir in use.
func TestMailDirectoryNotWritable(t *testing.T) {
	t.Parallel()
	b, d, c := startHeldBack(t)
	c.mustSend(t, "zoe@example.com", letter("before@example.com", "before", "\n"), loadAccount)
	maildir := filepath.Join(b.data, "mail", host, "postmaster")
	for _, dir := range []string{"tmp", "new"} {
		if err := os.Chmod(filepath.Join(maildir, dir), 0o500); err != nil {
			t.Fatal(err)
		}
		d.wantFault(c, localFault, "permission denied")
		if err := os.Chmod(filepath.Join(maildir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		c.mustSend(t, "zoe@example.com", letter("mended@example.com", "mended", "\n"), loadAccount)
	}
	if files := b.allMail(); len(files) != 3 || len(b.files(loadAccount)) != 3 {
		t.Errorf("files: %v, want three messages and nothing in tmp/", files)
	}
	d.stop()
}

// TestMaildirGone: a Maildir that is moved away while the daemon has it open is made
// anew, and no mail follows the old one.
func TestMaildirGone(t *testing.T) {
	t.Parallel()
	b := newBox(t, "[index]\nsweep = \"100ms\"\n", "mx")
	d := b.start()
	c := b.dial("mx")
	maildir := filepath.Join(b.data, "mail", host, "postmaster")
	for name, remove := range map[string]func() error{
		"moved":           func() error { return os.Rename(maildir, filepath.Join(b.dir, "aside")) },
		"removed":         func() error { return os.RemoveAll(maildir) },
		"removed in part": func() error { return os.RemoveAll(filepath.Join(maildir, "new")) },
		"all removed":     func() error { return os.RemoveAll(filepath.Join(b.data, "mail")) },
	} {
		c.mustSend(t, "zoe@example.com", letter("before@example.com", "before", "\n"), loadAccount)
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		c.mustSend(t, "zoe@example.com", letter("after@example.com", "after "+name, "\n"), loadAccount)
		if n := len(b.files(loadAccount)); n != 1 {
			t.Errorf("%s: %d messages in the Maildir, want 1", name, n)
		}
		b.awaitIndex()
		if err := os.Remove(b.files(loadAccount)[0]); err != nil {
			t.Fatal(err)
		}
	}
	d.stop()
}

// mount mounts for the time of the test.
func mount(t *testing.T, source, target string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount(source, target, "tmpfs", flags, options); errors.Is(err, fs.ErrPermission) {
		t.Skipf("LEFT OUT, because this root may not mount: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// TestDiskFull: 452 while there is no room, nothing left in tmp/, and mail again when
// there is.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	needRoot(t, "a file system of two megabytes is mounted")
	b := newBox(t, "", "mx")
	mail := filepath.Join(b.data, "mail")
	if err := os.MkdirAll(mail, 0o750); err != nil {
		t.Fatal(err)
	}
	mount(t, "tmpfs", mail, 0, "size=2m")
	d := b.start()
	c := b.dial("mx")
	large := letter("large@example.com", "large", strings.Repeat("four megabytes of this\n", 4<<20/23))
	if reply, err := c.send("zoe@example.com", large, loadAccount); err != nil || reply != diskFull {
		t.Fatalf("reply %q, error %v, want %q", reply, err, diskFull)
	}
	d.awaitLog("no space left on device")
	if files := b.allMail(); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
	c.mustSend(t, "zoe@example.com", letter("small@example.com", "small", "\n"), loadAccount)

	ballast := filepath.Join(mail, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	d.wantFault(c, diskFull, "no space left on device")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	c.mustSend(t, "zoe@example.com", letter("room@example.com", "room", "\n"), loadAccount)
	if rows := b.awaitIndex(); len(rows) != 2 {
		t.Errorf("%d messages found, want 2", len(rows))
	}
	d.stop()
}

// TestIndexDiskFull: the index has no room, mail has, and is taken.
func TestIndexDiskFull(t *testing.T) {
	t.Parallel()
	needRoot(t, "a file system of two megabytes is mounted")
	b := newBox(t, "[index]\nsweep = \"100ms\"\n", "mx")
	mail := filepath.Join(b.dir, "elsewhere")
	if err := errors.Join(os.Mkdir(b.data, 0o750), os.Mkdir(mail, 0o750)); err != nil {
		t.Fatal(err)
	}
	mount(t, "tmpfs", b.data, 0, "size=2m")
	if err := os.Mkdir(filepath.Join(b.data, "mail"), 0o750); err != nil {
		t.Fatal(err)
	}
	mount(t, mail, filepath.Join(b.data, "mail"), syscall.MS_BIND, "")
	d := b.start()
	c := b.dial("mx")
	ballast := filepath.Join(b.data, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	for i := range 50 {
		c.mustSend(t, "zoe@example.com", letter("full-"+strconv.Itoa(i)+"@example.com", strings.Repeat("long ", 500), "\n"), loadAccount)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if rows := b.awaitIndex(); len(rows) != 50 {
		t.Errorf("%d messages found, want 50", len(rows))
	}
	d.stop()
}

// TestIndexDirectoryReadOnly: nothing can be made in the data directory. Mail is taken; the index goes on while it has its files, and is made anew
// when it can be.
func TestIndexDirectoryReadOnly(t *testing.T) {
	t.Parallel()
	b, d, c := startHeldBack(t)
	sent := 0
	send := func(n int) {
		for range n {
			sent++
			c.mustSend(t, "zoe@example.com", letter(strconv.Itoa(sent)+"@example.com", "read only", "\n"), loadAccount)
		}
	}
	send(10)
	b.awaitIndex()
	mode := func(m fs.FileMode) {
		if err := os.Chmod(b.data, m); err != nil {
			t.Fatal(err)
		}
	}
	mode(0o500)
	send(10)
	b.awaitIndex()
	mode(0o700)
	if err := os.Remove(filepath.Join(b.data, "index.db")); err != nil {
		t.Fatal(err)
	}
	mode(0o500)
	send(10)
	d.awaitLog("permission denied")
	send(10)
	mode(0o700)
	if rows := b.awaitIndex(); len(rows) != sent {
		t.Errorf("%d messages found, want %d", len(rows), sent)
	}
	d.stop()
}
