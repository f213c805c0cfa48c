package process

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	if held, err := Locked(path); held || err != nil {
		t.Errorf("no file: %v, %v", held, err)
	}
	l, err := TakeLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := Locked(path); !held || err != nil {
		t.Errorf("held: %v, %v", held, err)
	}
	if _, err := TakeLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if held, err := Locked(path); held || err != nil {
		t.Errorf("released: %v, %v", held, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", path); err != nil {
		t.Fatal(err)
	}
	if _, err := TakeLock(path); err == nil {
		t.Error("a link was followed")
	}
}

func TestMakeDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b")
	for range 2 {
		if err := MakeDir(path, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("%v, %v", info, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MakeDir(file, 0o750); err == nil || !strings.Contains(err.Error(), "there is a file") {
		t.Errorf("a file in the way: %v", err)
	}
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	for _, state := range []string{Ready, Reloading(), Stopping} {
		if err := Notify(state); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 200)
		n, err := c.Read(buf)
		if err != nil || string(buf[:n]) != state {
			t.Errorf("got %q, %v, want %q", buf[:n], err, state)
		}
	}
	if s := Reloading(); !strings.HasPrefix(s, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("Reloading() = %q", s)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify(Ready); err != nil {
		t.Errorf("no service manager: %v", err)
	}
}

func TestInheritedNone(t *testing.T) {
	t.Setenv("LISTEN_FDS", "")
	if ls, err := Inherited(); ls != nil || err != nil {
		t.Errorf("%v, %v", ls, err)
	}
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_PID", "1") // somebody else's
	if ls, err := Inherited(); ls != nil || err != nil {
		t.Errorf("another process's sockets: %v, %v", ls, err)
	}
	t.Setenv("LISTEN_FDS", "x")
	if _, err := Inherited(); err == nil {
		t.Error("LISTEN_FDS=x was taken")
	}
}
