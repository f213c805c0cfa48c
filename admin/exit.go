package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"maild/appliance/account"
	"maild/appliance/process"
	"maild/index"
)

// The exit codes of mailctl.
const (
	ExitOK       = 0
	ExitFailed   = 1
	ExitUsage    = 2
	ExitNotFound = 3
	ExitExists   = 4
	ExitProblems = 6
	ExitLocked   = 7
	ExitPartial  = 8
)

// exitMeaning is one line of the table of exit codes.
type exitMeaning struct {
	code int
	text string
}

// exitTable is the one place that says what the codes mean; help prints it.
func exitTable() []exitMeaning {
	return []exitMeaning{
		{ExitOK, "done"},
		{ExitFailed, "failed; standard error says why and what to do"},
		{ExitUsage, "the command line is wrong; nothing was done"},
		{ExitNotFound, "there is no such thing, or nothing was found"},
		{ExitExists, "it exists already"},
		{ExitProblems, "a check found problems"},
		{ExitLocked, "another process holds what is needed; try again"},
		{ExitPartial, "done in part: what failed is named, the rest is done"},
	}
}

// fault is an error with an exit code of its own.
type fault struct {
	code int
	text string // may be empty: everything has been said already
	err  error  // the cause, if any
}

func (f *fault) Error() string {
	switch {
	case f.err == nil:
		return f.text
	case f.text == "":
		return f.err.Error()
	}
	return f.text + ": " + f.err.Error()
}

func (f *fault) Unwrap() error { return f.err }

func usagef(format string, args ...any) error {
	return &fault{code: ExitUsage, text: fmt.Sprintf(format, args...)}
}

func notFoundf(format string, args ...any) error {
	return &fault{code: ExitNotFound, text: fmt.Sprintf(format, args...)}
}

// exitCode is the code for an error.
func exitCode(err error) int {
	var f *fault
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE):
		return ExitOK // whoever reads has seen enough
	case errors.As(err, &f):
		return f.code
	case errors.Is(err, account.ErrExists):
		return ExitExists
	case errors.Is(err, account.ErrNotFound), errors.Is(err, index.ErrNotFound):
		return ExitNotFound
	case errors.Is(err, account.ErrInvalid), errors.Is(err, index.ErrTooLong):
		return ExitUsage
	case errors.Is(err, process.ErrLocked), errors.Is(err, index.ErrRebuilding), sqliteBusy(err):
		return ExitLocked
	}
	return ExitFailed
}

// sqliteBusy reports that SQLite gave up waiting for another process. The driver's package is not this one's business; its
// errors carry SQLite's result code (5 SQLITE_BUSY, 6 SQLITE_LOCKED).
func sqliteBusy(err error) bool {
	var coded interface{ Code() int }
	if !errors.As(err, &coded) {
		return false
	}
	code := coded.Code() & 0xff
	return code == 5 || code == 6
}

// explain is what a person is told about an error: with the remedy, where the error does not name it already. owner is whose
// data it is.
func explain(err error, owner string) string {
	text := err.Error()
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted: nothing is half done; the same command goes on from here"
	case sqliteBusy(err):
		return text + ": another process has been writing for too long: try again"
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		return text + ": run it with sudo, or as user " + owner
	case errors.Is(err, index.ErrRebuilding):
		return text + ": wait for it to end"
	case errors.Is(err, index.ErrDamaged):
		return text + ": run \"mailctl index rebuild\""
	case errors.Is(err, syscall.ENOSPC):
		return text + ": make room on that disk"
	}
	return text
}

// lines puts the command's name before each line of a text.
func lines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("mailctl: " + safeLine(strings.TrimRight(line, "\n")) + "\n")
	}
	return b.String()
}
