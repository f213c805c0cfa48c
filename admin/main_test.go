package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"maild/maildir"
)

// mailctl runs one command line in this process, and gives what it wrote.
func mailctl(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Main(t.Context(), append([]string{"mailctl"}, args...), strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// must is mailctl where it has to succeed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := mailctl(t, args...)
	if code != ExitOK {
		t.Fatalf("mailctl %q: code %d: %s", args, code, errs)
	}
	return out
}

// fill makes an account with n messages, sent by From "sender I".
func fill(t testing.TB, root, account string, n int) {
	t.Helper()
	at := strings.LastIndexByte(account, '@')
	tree, err := maildir.Create(filepath.Join(root, "mail", account[at+1:], account[:at]))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for i := range n {
		s, err := tree.Stage()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(s, "From: sender %d <s@example.net>\nSubject: message %d\n\nhello\n", i, i)
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBinary builds mailctl and uses it as its users do.
func TestBinary(t *testing.T) {
	t.Parallel()
	bin := build(t)
	root := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		cmd := exec.Command(bin, args...)
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), out.String(), errs.String()
	}
	if code, _, errs := run("user", "add", "anna@example.org", "--generate", "--root", root); code != ExitOK {
		t.Fatalf("user add: code %d: %s", code, errs)
	}
	fill(t, root, "anna@example.org", 2000)
	code, out, errs := run("search", "headers", "--from", "sender", "--root", root)
	if n := strings.Count(out, "\n"); code != ExitOK || n != 2000 {
		t.Fatalf("search: code %d, %d lines: %s", code, n, errs)
	}
	if code, _, _ := run("search", "headers", "--from", "nobody", "--root", root); code != ExitNotFound {
		t.Errorf("search for nothing: code %d", code)
	}
	if code, _, _ := run("frobnicate"); code != ExitUsage {
		t.Errorf("unknown command: code %d", code)
	}
	for _, format := range []string{"json", "jsonl", "tsv", "table", "ids", "paths"} {
		closedPipe(t, exec.Command(bin, "--root", root, "search", "headers", "--format", format))
	}
	closedPipe(t, exec.Command(bin, "--root", root, "search", "sql", "SELECT * FROM messages"))
}

// closedPipe runs a command whose reader has soon seen enough: that is no reason to complain.
func closedPipe(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(pipe, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	pipe.Close()
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("%q: %v, %s", cmd.Args, err, stderr.String())
	}
}

func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "mailctl")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "maild/admin/mailctl").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// TestStepsDown holds that root leaves no file of root's in a data directory of somebody else's.
func TestStepsDown(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const nobody = 65534
	bin, top := build(t), t.TempDir()
	root := filepath.Join(top, "data")
	for _, dir := range []string{filepath.Dir(top), top} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(root, 0o750), os.Chown(root, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"user", "add", "anna@example.org", "--no-password"}, {"index", "rebuild"}, {"status"}} {
		if out, err := exec.Command(bin, append(args, "--root", root)...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	count := 0
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		count++
		if st := info.Sys().(*syscall.Stat_t); st.Uid != nobody || st.Gid != nobody {
			t.Errorf("%s belongs to %d:%d", path, st.Uid, st.Gid)
		}
		return nil
	})
	if err != nil || count < 8 {
		t.Fatalf("%d files, error %v", count, err)
	}
	// Somebody else has no rights, and is told what to do.
	for _, args := range [][]string{{"user", "list"}, {"search", "headers"}, {"status"}, {"user", "add", "x@example.org", "--no-password"}} {
		cmd := exec.Command(bin, append(args, "--root", root)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); err == nil || code != ExitFailed && code != ExitProblems || !bytes.Contains(out, []byte("run it with sudo, or as user nobody")) {
			t.Errorf("%q as somebody else: code %d: %s", args, code, out)
		}
	}
}

// TestConfig holds that a configuration file is read, and what is wrong with it is said.
func TestConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	good, bad := filepath.Join(dir, "good.toml"), filepath.Join(dir, "bad.toml")
	write(t, good, fmt.Sprintf("data_dir = %q\n", data))
	write(t, bad, "data_dirr = 1\n[log]\nlevel = \"loud\"\n")
	must(t, "--config", good, "user", "add", "anna@example.org", "--no-password")
	if out := must(t, "user", "list", "--config="+good); !strings.HasPrefix(out, "anna@example.org\t") {
		t.Errorf("user list: %q", out)
	}
	code, out, _ := mailctl(t, "--config", good, "status")
	if code != ExitProblems || !strings.HasPrefix(out, "problem\tno daemon runs on "+data) {
		t.Errorf("status: code %d: %s", code, out)
	}
	code, _, errs := mailctl(t, "--config", bad, "user", "list")
	if code != ExitFailed || !strings.Contains(errs, "mailctl: "+bad+":1: ") || !strings.Contains(errs, "mailctl: "+bad+":3: ") {
		t.Errorf("bad configuration: code %d: %s", code, errs)
	}
	if code, out, _ := mailctl(t, "--config", bad, "status"); code != ExitProblems || !strings.Contains(out, bad+":1: ") {
		t.Errorf("status of a bad configuration: code %d: %s", code, out)
	}
	if code, _, errs := mailctl(t, "user", "list", "--root", filepath.Join(dir, "none")); code != ExitNotFound || !strings.Contains(errs, "--root") {
		t.Errorf("no data directory: code %d: %s", code, errs)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOutputFails holds that data which could not be written is not passed over in silence.
func TestOutputFails(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fill(t, root, "anna@example.org", 3)
	for _, tt := range []struct {
		err  error
		code int
		said string
	}{{syscall.ENOSPC, ExitFailed, "no space left"}, {syscall.EPIPE, ExitOK, ""}} {
		var errs bytes.Buffer
		code := Main(t.Context(), []string{"mailctl", "search", "headers", "--root", root}, strings.NewReader(""), failingWriter{tt.err}, &errs)
		if code != tt.code || !strings.Contains(errs.String(), tt.said) || tt.said == "" && errs.Len() > 0 {
			t.Errorf("%v: code %d: %s", tt.err, code, errs.String())
		}
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// TestTerminalLimit holds that a terminal gets the newest messages, and a pipe all.
func TestTerminalLimit(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fill(t, root, "anna@example.org", terminalLimit+1)
	search := func(width int, args ...string) (string, string) {
		var out, errs bytes.Buffer
		w := &world{in: strings.NewReader(""), out: &out, errs: &errs, width: width, zone: time.UTC, now: time.Now, disk: statDisk}
		if code := w.run(t.Context(), append([]string{"mailctl", "search", "headers", "--root", root}, args...)); code != ExitOK {
			t.Fatalf("code %d: %s", code, errs.String())
		}
		return out.String(), errs.String()
	}
	out, errs := search(100)
	if n := strings.Count(out, "\n"); n != terminalLimit+1 || !strings.Contains(errs, "--limit 0 shows all") {
		t.Errorf("on a terminal: %d lines, %s", n, errs)
	}
	for line := range strings.Lines(out) {
		if n := cells(strings.TrimSuffix(line, "\n")); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if out, errs = search(100, "--limit", "0"); strings.Count(out, "\n") != terminalLimit+2 || errs != "" {
		t.Errorf("--limit 0: %d lines, %s", strings.Count(out, "\n"), errs)
	}
	if out, errs = search(0); strings.Count(out, "\n") != terminalLimit+1 || errs != "" {
		t.Errorf("piped: %d lines, %s", strings.Count(out, "\n"), errs)
	}
}

// TestInterrupted holds that a command whose context has ended says so and does nothing.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	code := Main(ctx, []string{"mailctl", "domain", "add", "example.org", "--root", root}, strings.NewReader(""), &out, &errs)
	if code != ExitFailed || !strings.HasPrefix(errs.String(), "mailctl: interrupted") {
		t.Errorf("code %d: %s", code, errs.String())
	}
}

// TestTwoAtOnce lets commands that change and commands that read go at the same data.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	must(t, "domain", "add", "example.org", "--root", root)
	fill(t, root, "anna@example.org", 50)
	const n = 8
	done := make(chan string, 3*n)
	for i := range n {
		for _, args := range [][]string{
			{"user", "add", fmt.Sprintf("user%d@example.org", i), "--no-password"},
			{"search", "headers", "--from", "sender"},
			{"index", "rebuild"},
		} {
			go func() {
				code, _, errs := mailctl(t, append(args, "--root", root)...)
				done <- fmt.Sprintf("%d%s", code, strings.Repeat(": "+errs, min(code, 1)))
			}()
		}
	}
	for range 3 * n {
		if s := <-done; s != "0" && !strings.HasPrefix(s, "7: mailctl: rebuild the index: the index is being rebuilt already") {
			t.Error(s)
		}
	}
	if got := strings.Count(must(t, "user", "list", "--root", root), "\n"); got != n {
		t.Errorf("%d accounts, want %d", got, n)
	}
	if got := strings.Count(must(t, "search", "headers", "--root", root), "\n"); got != 50 {
		t.Errorf("%d messages, want 50", got)
	}
}
