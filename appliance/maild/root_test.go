package main_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// giveTo makes u the daemon's user and the data directory u's.
func (b *box) giveTo(u *user.User) {
	b.t.Helper()
	b.user = u.Username
	b.configure("")
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		b.t.Fatal(err1, err2)
	}
	if err := os.MkdirAll(b.data, 0o750); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chown(b.data, uid, gid); err != nil {
		b.t.Fatal(err)
	}
}

// wantOwned insists that everything in the data directory is u's.
func (b *box) wantOwned(u *user.User) {
	b.t.Helper()
	err := filepath.WalkDir(b.data, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return nil // a file of SQLite's that is gone again
		}
		st := info.Sys().(*syscall.Stat_t)
		if fmt.Sprint(st.Uid) != u.Uid || fmt.Sprint(st.Gid) != u.Gid {
			b.t.Errorf("%s belongs to %d:%d, want %s:%s", path, st.Uid, st.Gid, u.Uid, u.Gid)
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestRootStepsDown: root takes the ports and then is no longer root, and neither the
// daemon nor a mailctl of root's leaves a file that is root's.
func TestRootStepsDown(t *testing.T) {
	t.Parallel()
	needRoot(t, "a daemon is started as root")
	u := nobody(t)
	for name, give := range map[string]func(*box){
		"into its directory": func(b *box) { b.giveTo(u) },
		"nothing there yet":  func(b *box) { b.user = u.Username; b.configure("") },
		"mailctl comes first": func(b *box) {
			b.user = u.Username
			b.configure("")
			b.addUser("first@" + host)
			b.wantOwned(u)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, "", "mx", "submission")
			give(b)
			d := b.start()
			d.wantNoPrivileges(u)
			b.addUser("ann@" + host)
			b.dial("mx").mustSend(t, "zoe@example.com", letter("root@example.com", "root", "\n"), "ann@"+host)
			b.dial("submission").startTLS(t, b.tlsConfig())
			b.awaitIndex()
			b.mustMailctl("", "alias", "add", "info@"+host, "ann@"+host)
			b.mustMailctl("", "index", "rebuild")
			b.awaitIndex()
			b.wantOwned(u)
			d.stop()
			if err := os.Remove(b.data + "/index.db"); err != nil {
				t.Fatal(err)
			}
			if rows := b.awaitIndex(); len(rows) != 1 { // made anew by mailctl
				t.Errorf("%d messages found, want 1", len(rows))
			}
			b.wantOwned(u)
		})
	}
}

// wantNoPrivileges insists that every thread of the daemon is u's for good.
func (d *daemon) wantNoPrivileges(u *user.User) {
	d.t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", d.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		d.t.Fatalf("threads of the daemon: %v, %v", threads, err)
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // that thread has ended
		}
		if err != nil {
			d.t.Fatal(err)
		}
		fields := map[string]string{}
		for line := range strings.Lines(string(status)) {
			name, value, _ := strings.Cut(line, ":")
			fields[name] = strings.Join(strings.Fields(value), " ")
		}
		for name, want := range map[string]string{
			"Uid": strings.TrimSpace(strings.Repeat(u.Uid+" ", 4)), "Gid": strings.TrimSpace(strings.Repeat(u.Gid+" ", 4)), "Groups": u.Gid,
			"CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapInh": "0000000000000000",
		} {
			if fields[name] != want {
				d.t.Errorf("%s: %s is %q, want %q", path, name, fields[name], want)
			}
		}
	}
}

// TestRootWithoutUser: the daemon does not stay root for want of a user.
func TestRootWithoutUser(t *testing.T) {
	t.Parallel()
	needRoot(t, "a daemon is started as root")
	b := newBox(t, "", "mx")
	b.user = "no-such-user"
	b.configure("")
	d := b.launch()
	if code := d.wait(); code != 1 || !strings.Contains(d.log.String(), "adduser --system") {
		t.Errorf("exit code %d, log %q, want 1 and what to do", code, d.log)
	}
	if _, err := os.Stat(b.data); !os.IsNotExist(err) {
		t.Errorf("the data directory was made: %v", err)
	}
}
