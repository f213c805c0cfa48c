package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"maild/appliance/account"
)

// maxPasswordLine is how much of a line is taken for a password: more than account.Hash accepts, so that the complaint is its.
const maxPasswordLine = 64 << 10

// interruptible waits for read, which blocks in the kernel, or for the end of ctx. In the second case the reading goroutine is left to
// the end of the process, which is near: nothing can call it back.
func interruptible(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := read()
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		return a.text, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// secret asks for something that is not shown while it is typed.
func (c *call) secret(ctx context.Context, question string) (string, error) {
	fd := int(c.world.terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("prepare the terminal: %w", err)
	}
	// Before the question, so that no answer is ever too fast.
	if err := echoOff(fd); err != nil {
		return "", fmt.Errorf("prepare the terminal: %w", err)
	}
	fmt.Fprint(c.world.errs, question)
	text, err := interruptible(ctx, c.typedLine)
	fmt.Fprintln(c.world.errs)
	if errors.Is(err, io.EOF) {
		err = errors.New("no password was typed")
	}
	return strings.TrimSuffix(text, "\n"), errors.Join(err, term.Restore(fd, before))
}

// typedLine is the next line typed on the terminal. It changes no setting of it, so that it may be left behind, and takes no more than that line, since a
// terminal gives one at a time.
func (c *call) typedLine() (string, error) {
	return bufio.NewReader(c.world.terminal).ReadString('\n')
}

// echoOff lets a terminal give whole lines without showing them. Ctrl-C still interrupts.
func echoOff(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Lflag = t.Lflag&^unix.ECHO | unix.ICANON | unix.ISIG
	t.Iflag |= unix.ICRNL
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// newPassword asks twice on a terminal.
func (c *call) newPassword(ctx context.Context, who string) (string, error) {
	if c.world.terminal == nil {
		return "", usagef("there is no terminal to ask for a password: give --password-stdin or --generate")
	}
	first, err := c.secret(ctx, "New password for "+safeLine(who)+": ")
	if err != nil {
		return "", err
	}
	again, err := c.secret(ctx, "The same again: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("the two passwords differ: nothing was changed")
	}
	return first, nil
}

// passwordLine is the first line of standard input.
func (c *call) passwordLine(ctx context.Context) (string, error) {
	return interruptible(ctx, func() (string, error) {
		line, err := bufio.NewReader(io.LimitReader(c.world.in, maxPasswordLine)).ReadString('\n')
		if errors.Is(err, io.EOF) {
			if line == "" {
				return "", fmt.Errorf("standard input is empty: %w: write the password to it", account.ErrPassword)
			}
			err = nil
		}
		return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), err
	})
}

// confirm asks whether to go on; nil is yes. Without a terminal the answer must have been given by --yes.
func (c *call) confirm(ctx context.Context, question string) error {
	if c.Bool("yes") {
		return nil
	}
	if c.world.terminal == nil {
		return usagef("there is no terminal to ask for a confirmation: give --yes")
	}
	if err := c.out.Flush(); err != nil {
		return err
	}
	fmt.Fprint(c.world.errs, safeLine(question)+" [y/N] ")
	answer, err := interruptible(ctx, c.typedLine)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("not confirmed: nothing was changed")
}

// notices is a log whose warnings reach the person at the terminal.
type notices struct{ c *call }

func (c *call) log() *slog.Logger { return slog.New(notices{c}) }

func (n notices) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (n notices) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	_, err := io.WriteString(n.c.world.errs, lines(b.String()))
	return err
}

func (n notices) WithAttrs([]slog.Attr) slog.Handler { return n }
func (n notices) WithGroup(string) slog.Handler      { return n }
