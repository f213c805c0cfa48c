// Package main_test runs the real maild and mailctl on boxes of its own. The
// sockets are the test's and handed over, so that no port is raced for and a
// restart loses no connection.
//
// MAILD_TEST_PROGRAMS names a directory with both programs; without it they are built.
// MAILD_TEST_RACE=1 builds them with the race detector.
package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	programs = "MAILD_TEST_PROGRAMS"
	raceWish = "MAILD_TEST_RACE"

	// patience bounds every wait. Nothing takes nearly as long unless it is broken.
	patience = 90 * time.Second
	// pollEvery is how often a state is looked at.
	pollEvery = 10 * time.Millisecond

	host = "box.test"
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Getenv(programs) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "maild-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err == nil {
		err = os.Setenv(programs, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the programs:", err)
		return 1
	}
	return m.Run()
}

func build(dir string) error {
	args := []string{"build", "-buildvcs=false", "-o", dir + string(filepath.Separator)}
	if raced() {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "maild/appliance/maild", "maild/admin/mailctl")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func raced() bool { return os.Getenv(raceWish) == "1" }

func program(name string) string { return filepath.Join(os.Getenv(programs), name) }

// box is an appliance on disk: its configuration, its data and its sockets.
type box struct {
	t       *testing.T
	dir     string // of all that follows
	conf    string
	data    string
	user    string // what the configuration says
	sockets []*socket
	notify  string
	notes   chan string // what daemons told the service manager
}

// socket is a listener that daemons inherit.
type socket struct {
	name string
	net.Listener
	file *os.File
}

// newBox makes a box whose configuration has the given tables besides what every
// box needs, with a socket for each name of a listener.
func newBox(t *testing.T, tables string, listeners ...string) *box {
	t.Helper()
	// Not t.TempDir: paths of sockets are short.
	dir, err := os.MkdirTemp("", "maild-box-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, dir: dir, conf: filepath.Join(dir, "maild.toml"), data: filepath.Join(dir, "data"), user: "root",
		notify: filepath.Join(dir, "notify"), notes: make(chan string, 64)}
	b.configure(tables)
	for _, name := range listeners {
		b.listen(name)
	}
	b.takeNotes()
	return b
}

// in is the box for a subtest, whose failures are its own.
func (b *box) in(t *testing.T) *box {
	sub := *b
	sub.t = t
	return &sub
}

// configure writes the configuration file.
func (b *box) configure(tables string) {
	b.t.Helper()
	top := fmt.Sprintf("hostname = %q\ndata_dir = %q\nuser = %q\n", host, b.data, b.user)
	if err := os.WriteFile(b.conf, []byte(top+tables), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// listen opens a socket for daemons to inherit.
func (b *box) listen(name string) {
	b.t.Helper()
	network, addr := "tcp", "127.0.0.1:0"
	if name == "lmtp" {
		network, addr = "unix", filepath.Join(b.dir, "lmtp")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		b.t.Fatal(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		b.t.Fatal(err)
	}
	s := &socket{name, l, f}
	b.sockets = append(b.sockets, s)
	b.t.Cleanup(s.close)
}

func (s *socket) close() {
	s.Listener.Close()
	s.file.Close()
}

// address is where a listener listens.
func (b *box) address(name string) net.Addr {
	for _, s := range b.sockets {
		if s.name == name {
			return s.Addr()
		}
	}
	b.t.Fatalf("no listener %s", name)
	return nil
}

// closeSockets leaves the sockets to the daemon alone.
func (b *box) closeSockets() {
	for _, s := range b.sockets {
		s.close()
	}
}

// takeNotes is the service manager's end of sd_notify(3).
func (b *box) takeNotes() {
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: b.notify, Net: "unixgram"})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chmod(b.notify, 0o777); err != nil {
		b.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			b.notes <- string(buf[:n])
		}
	}()
	b.t.Cleanup(func() { c.Close(); <-done })
}

// mailctl runs the command with the configuration of the box.
func (b *box) mailctl(stdin string, args ...string) (stdout, stderr string, code int) {
	b.t.Helper()
	cmd := exec.Command(program("mailctl"), append([]string{"--config", b.conf}, args...)...)
	var out, diag bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &diag
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return out.String(), diag.String(), cmd.ProcessState.ExitCode()
}

// mustMailctl is a command that works, and its output.
func (b *box) mustMailctl(stdin string, args ...string) string {
	b.t.Helper()
	stdout, stderr, code := b.mailctl(stdin, args...)
	if code != 0 {
		b.t.Fatalf("mailctl %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// addUser makes an account that logs in with secret.
func (b *box) addUser(name string) {
	b.t.Helper()
	b.mustMailctl(secret+"\n", "user", "add", name, "--password-stdin")
}

// secret is the password of every account.
const secret = "correct horse battery staple"

// eventually waits for a state.
func eventually(t *testing.T, what string, state func() bool) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !state(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not after %s: %s", patience, what)
		}
	}
}

// needRoot skips a test that a plain user cannot run.
func needRoot(t *testing.T, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("LEFT OUT, because it needs root: %s", why)
	}
}

// nobody is the user that root steps down to.
func nobody(t *testing.T) *user.User {
	t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Skipf("LEFT OUT, because there is no user nobody: %v", err)
	}
	return u
}
