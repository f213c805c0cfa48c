package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDemo: the demo shows the main job and leaves nothing behind.
func TestDemo(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	stdout, stderr, code := maild(t, []string{"TMPDIR=" + tmp}, "demo", "--once")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, standard error %q\n%s", code, stderr, stdout)
	}
	_, results, shown := strings.Cut(stdout, "search headers\n")
	if !shown || strings.Count(results, "Grüße aus Köln") < 2 {
		t.Errorf("the searches do not show the decoded subject:\n%s", stdout)
	}
	for _, want := range []string{"mail/demo.example/ann/new/", "mail/demo.example/bob/new/", "250 accepted", "Invoice 2026-1107", "curl smtp://127.0.0.1:", "swaks --server 127.0.0.1:"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the demo does not show %q", want)
		}
	}
	wantEmpty(t, tmp)
}

// TestDemoStaysUp until Ctrl-C, and takes mail meanwhile; --dir keeps the folder.
func TestDemoStaysUp(t *testing.T) {
	t.Parallel()
	tmp, dir := t.TempDir(), filepath.Join(t.TempDir(), "kept")
	cmd := exec.Command(program("maild"), "demo", "--dir", dir)
	out := &logBuffer{}
	cmd.Stdout, cmd.Stderr, cmd.Env = out, out, append(os.Environ(), "TMPDIR="+tmp)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	eventually(t, "the demo stays up", func() bool { return strings.Contains(out.String(), "stays up until Ctrl-C") })
	_, rest, _ := strings.Cut(out.String(), "SMTP on ")
	address, _, _ := strings.Cut(rest, ",")
	c, err := connect(tcpAddress(address))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.want(t, "EHLO client.example", "250")
	c.mustSend(t, "zoe@example.com", letter("demo@example.com", "demo", "\n"), "ann@demo.example")
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	c.want(t, "", "421 ")
	if err := <-ended; err != nil {
		t.Errorf("the demo ends with %v\n%s", err, out)
	}
	wantEmpty(t, tmp)
	if _, err := os.Stat(filepath.Join(dir, "index.db")); err != nil {
		t.Errorf("--dir does not keep the folder: %v", err)
	}
}

// tcpAddress is "host:port" as a net.Addr.
type tcpAddress string

func (a tcpAddress) Network() string { return "tcp" }
func (a tcpAddress) String() string  { return string(a) }

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("left behind in the temporary directory: %v, %v", entries, err)
	}
}
