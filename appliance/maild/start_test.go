package main_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// maild runs the program to its end.
func maild(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(program("maild"), args...)
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &diag, append(os.Environ(), env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), diag.String(), cmd.ProcessState.ExitCode()
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, bad, missing := filepath.Join(dir, "good.toml"), filepath.Join(dir, "bad.toml"), filepath.Join(dir, "missing.toml")
	for path, text := range map[string]string{
		good: "hostname = \"box.test\"\n",
		bad:  "hostname = \"box.test\"\n\n[limits]\nmesage_size = \"1MiB\"\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		args           string
		code           int
		stdout, stderr string // contained; "" is nothing at all
	}{
		{"check --config " + good, 0, good + ": no fault found\n", ""},
		{"--config " + good + " check", 0, "host name box.test", ""},
		{"check --config " + bad, 1, "", bad + ":4: "},
		{"check --config " + bad, 1, "", "message_size"}, // the right spelling
		{"check --config " + missing, 1, "", missing},
		{"--config " + bad, 1, "", bad + ":4: "},
		{"version", 0, "maild ", ""},
		{"help", 0, "usage: maild", ""},
		{"--help", 0, "usage: maild", ""},
		{"chekc", 2, "", "unknown command \"chekc\""},
		{"check twice", 2, "", "unexpected argument \"twice\""},
		{"check --once", 2, "", "--once"},
		{"--nonsense", 2, "", "nonsense"},
		{"check --config", 2, "", "config"},
	} {
		t.Run(strings.ReplaceAll(tc.args, dir, ""), func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := maild(t, nil, strings.Fields(tc.args)...)
			if code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			for _, stream := range []struct{ name, got, want string }{{"standard output", stdout, tc.stdout}, {"standard error", stderr, tc.stderr}} {
				if !strings.Contains(stream.got, stream.want) || stream.want == "" && stream.got != "" {
					t.Errorf("%s is %q, want %q", stream.name, stream.got, stream.want)
				}
			}
			for line := range strings.Lines(stderr) {
				if !strings.HasPrefix(line, "maild: ") && !strings.HasPrefix(line, "Try ") {
					t.Errorf("standard error has a line without its program: %q", line)
				}
			}
		})
	}
}

// TestSecondDaemon: one data directory has one daemon, and the first is not
// disturbed by the second.
func TestSecondDaemon(t *testing.T) {
	t.Parallel()
	b := newBox(t, "", "mx")
	first := b.start()
	second := b.launch()
	if code := second.wait(); code != 1 {
		t.Errorf("exit code of the second is %d, want 1", code)
	}
	if want := "maild: another maild runs on " + b.data + ": stop it first"; !strings.Contains(second.log.String(), want) {
		t.Errorf("the second says %q, want %q", second.log, want)
	}
	b.dial("mx").mustSend(t, "zoe@example.com", letter("first@example.com", "first", "\n"), "postmaster@"+host)
	first.stop()
	b.start().stop() // the lock is free again
}

// TestPortInUse: the message says which listener, which address and what to do.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	unix := filepath.Join(t.TempDir(), "lmtp")
	u, err := net.Listen("unix", unix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	for name, tc := range map[string]struct{ tables, want string }{
		"mx":   {"[listen]\nmx = [\"" + l.Addr().String() + "\"]\nsubmission = []\nsubmissions = []\n", "listen mx on " + l.Addr().String()},
		"lmtp": {"[listen]\nmx = []\nsubmission = []\nsubmissions = []\nlmtp = \"" + unix + "\"\n", "listen lmtp on " + unix},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, tc.tables)
			d := b.launch()
			if code := d.wait(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			text := d.log.String()
			if !strings.Contains(text, tc.want) || !strings.Contains(text, "another program listens there; stop it, or choose another address in [listen]") {
				t.Errorf("the daemon says %q", text)
			}
		})
	}
}

// TestStaleSocket: an LMTP socket that a killed daemon left is replaced.
func TestStaleSocket(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	path := filepath.Join(b.dir, "own")
	b.configure("[listen]\nmx = []\nsubmission = []\nsubmissions = []\nlmtp = \"" + path + "\"\n")
	b.start().kill()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the killed daemon left no socket: %v", err)
	}
	d := b.start()
	c, err := connect(&net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.want(t, "LHLO client.example", "250")
	c.mustSend(t, "zoe@example.com", letter("stale@example.com", "stale", "\n"), "postmaster@"+host)
	d.stop()
}

// TestInheritedNonsense: what is handed over must be named.
func TestInheritedNonsense(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ listener, want string }{
		"name without a kind": {"smtp", "name it mx, submission, submissions or lmtp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, "", tc.listener)
			d := b.launch()
			if code := d.wait(); code != 1 || !strings.Contains(d.log.String(), tc.want) {
				t.Errorf("exit code %d, log %q, want 1 and %q", code, d.log, tc.want)
			}
		})
	}
	t.Run("no socket", func(t *testing.T) {
		t.Parallel()
		b := newBox(t, "")
		_, stderr, code := maild(t, []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=mx"}, "--config", b.conf)
		if code != 1 || !strings.Contains(stderr, "inherited socket 3") {
			t.Errorf("exit code %d, standard error %q, want 1 and the socket", code, stderr)
		}
	})
}
