package main_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// daemon is a running maild.
type daemon struct {
	*box
	cmd   *exec.Cmd
	log   *logBuffer
	ended chan struct{} // closed when it has
}

// logBuffer holds what a daemon writes. Safe for concurrent use.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a daemon and waits until it is ready.
func (b *box) start() *daemon {
	b.t.Helper()
	d := b.launch()
	d.expectNote("READY=1")
	return d
}

// launch runs a daemon, which ends with the test at the latest.
func (b *box) launch() *daemon {
	b.t.Helper()
	cmd := exec.Command(program("maild"), "--config", b.conf)
	d := &daemon{box: b, cmd: cmd, log: &logBuffer{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = d.log, d.log
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+b.notify)
	var names []string
	for _, s := range b.sockets {
		cmd.ExtraFiles = append(cmd.ExtraFiles, s.file)
		names = append(names, s.name)
	}
	if len(names) > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("LISTEN_FDS=%d", len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() {
		cmd.Wait() // how it ended is in ProcessState
		close(d.ended)
	}()
	b.t.Cleanup(d.cleanUp)
	return d
}

func (d *daemon) cleanUp() {
	d.cmd.Process.Kill()
	<-d.ended
	text := d.log.String()
	if strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic") {
		d.t.Error("the daemon's log tells of a race or a panic")
	}
	if d.t.Failed() {
		if len(text) > 20_000 {
			text = "…" + text[len(text)-20_000:]
		}
		d.t.Logf("log of the daemon:\n%s", text)
	}
}

func (d *daemon) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// wait waits for the end and gives the exit code, -1 for one by a signal.
func (d *daemon) wait() int {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.t.Fatalf("the daemon has not ended after %s", patience)
	}
	return d.cmd.ProcessState.ExitCode()
}

// stop ends the daemon as systemd does.
func (d *daemon) stop() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	if code := d.wait(); code != 0 {
		d.t.Fatalf("exit code %d after SIGTERM", code)
	}
	d.expectNote("STOPPING=1")
}

// kill ends the daemon as a power cut does.
func (d *daemon) kill() {
	d.t.Helper()
	d.signal(syscall.SIGKILL)
	d.wait()
}

// expectNote waits for the next notification, whose first line must be want.
func (d *daemon) expectNote(want string) {
	d.t.Helper()
	var note string
	select {
	case note = <-d.notes:
	default:
		select {
		case note = <-d.notes:
		case <-d.ended:
			select {
			case note = <-d.notes: // its last words
			case <-time.After(time.Second):
				d.t.Fatalf("the daemon ended with code %d, without %s", d.cmd.ProcessState.ExitCode(), want)
			}
		case <-time.After(patience):
			d.t.Fatalf("no %s after %s", want, patience)
		}
	}
	if first, _, _ := strings.Cut(note, "\n"); first != want {
		d.t.Fatalf("notification %q, want %s", note, want)
	}
}

// awaitLog waits until the log has text.
func (d *daemon) awaitLog(text string) {
	d.t.Helper()
	eventually(d.t, "in the log: "+text, func() bool { return strings.Contains(d.log.String(), text) })
}
