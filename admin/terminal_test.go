package admin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal: what the person types goes into person, the command has the other side.
func terminal(t *testing.T) (person, tty *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { tty.Close() })
	return person, tty
}

// talk runs a command on a terminal. Each answer is typed when the question before it is on the screen.
func talk(t *testing.T, args []string, dialogue ...[2]string) (code int, screen string) {
	t.Helper()
	person, tty := terminal(t)
	codes := make(chan int, 1)
	go func() {
		codes <- Main(t.Context(), append([]string{"mailctl"}, args...), tty, tty, tty)
		fmt.Fprint(tty, "\x04END\n")
	}()
	var seen strings.Builder
	wait := func(text string) {
		t.Helper()
		start := seen.Len()
		buf := make([]byte, 1024)
		for !strings.Contains(seen.String()[start:], text) {
			n, err := person.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %q, after %q: %v", text, seen.String(), err)
			}
			seen.Write(buf[:n])
			if strings.Contains(seen.String(), "END") && !strings.Contains(seen.String()[start:], text) {
				t.Fatalf("waiting for %q: the command has ended: %q", text, seen.String())
			}
		}
	}
	for _, d := range dialogue {
		wait(d[0])
		if _, err := person.WriteString(d[1] + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	wait("END")
	return <-codes, seen.String()
}

func TestAsksForPassword(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	code, screen := talk(t, []string{"user", "add", "anna@example.org", "--root", root},
		[2]string{"New password for anna@example.org: ", "correct horse"}, [2]string{"The same again: ", "correct horse"})
	if code != ExitOK || strings.Contains(screen, "correct horse") {
		t.Fatalf("code %d: %q", code, screen)
	}
	code, screen = talk(t, []string{"user", "passwd", "anna@example.org", "--root", root},
		[2]string{"New password", "correct horse"}, [2]string{"again", "correct house"})
	if code != ExitFailed || !strings.Contains(screen, "differ") {
		t.Fatalf("code %d: %q", code, screen)
	}
}

func TestAsksBeforeRemoval(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	must(t, "user", "add", "anna@example.org", "--no-password", "--root", root)
	remove := []string{"user", "remove", "anna@example.org", "--purge", "--root", root}
	code, screen := talk(t, remove, [2]string{"DELETE all its mail", "n"})
	if code != ExitFailed || !strings.Contains(screen, "nothing was changed") {
		t.Fatalf("code %d: %q", code, screen)
	}
	must(t, "user", "show", "anna@example.org", "--root", root)
	if code, screen = talk(t, remove, [2]string{"[y/N] ", "yes"}); code != ExitOK {
		t.Fatalf("code %d: %q", code, screen)
	}
	if left, err := os.ReadDir(filepath.Join(root, "mail", "example.org")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, error %v", left, err)
	}
}

// TestInterruptedQuestion holds that Ctrl-C at a password leaves the terminal as it was.
func TestInterruptedQuestion(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	person, tty := terminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	codes := make(chan int, 1)
	var out, errs bytes.Buffer
	go func() {
		codes <- Main(ctx, []string{"mailctl", "user", "add", "anna@example.org", "--root", root}, tty, &out, io.MultiWriter(&errs, tty))
	}()
	var screen []byte
	for buf := make([]byte, 100); !bytes.Contains(screen, []byte("New password")); {
		n, err := person.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		screen = append(screen, buf[:n]...)
	}
	cancel()
	if code := <-codes; code != ExitFailed || !strings.Contains(errs.String(), "interrupted") {
		t.Errorf("code %d: %s", code, errs.String())
	}
	state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil || state.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal does not echo; error %v", err)
	}
	// Lets the goroutine that still reads come to its end.
	if _, err := person.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	if out := must(t, "domain", "list", "--root", root); out != "" {
		t.Errorf("a domain was made: %s", out)
	}
}
