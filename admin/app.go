package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"maild/appliance/process"
)

// world is what the process has around it. Tests make their own.
type world struct {
	in   io.Reader
	out  io.Writer
	errs io.Writer

	terminal *os.File   // in, when it is one: then questions can be asked
	width    int        // of the terminal on out, in columns; 0 = out is none
	animated bool       // errs is a terminal: progress can be shown
	columns  func() int // of that terminal, now; nil = unknown
	coloured bool       // out is a terminal that is to have colours
	zone     *time.Location
	now      func() time.Time
	disk     func(path string) (diskView, error)
}

// Main runs one command line, args[0] being the command's own name, and returns its exit code. It never ends the process. in, out and errs that are
// terminals are used as such. When ctx ends, the command stops at the next point where nothing is half done.
func Main(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	collect(shortWork)
	w := &world{in: in, out: out, errs: errs, zone: time.Local, now: time.Now, disk: statDisk}
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		w.terminal = f
	}
	if f, ok := errs.(*os.File); ok {
		w.animated = term.IsTerminal(int(f.Fd()))
		w.columns = func() int { return columnsOf(f) }
	}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		w.width = columnsOf(f)
		// no-color.org: whatever the value is, unless it is empty.
		w.coloured = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return w.run(ctx, args)
}

const (
	// shortWork is the GOGC of a command that is over before it has used much memory: nothing need be collected.
	shortWork = 400
	// longWork is that of one which uses memory again and again.
	longWork = 200
)

// collect sets how much garbage there may be, unless the environment does.
func collect(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// columnsOf is how wide a terminal is now.
func columnsOf(f *os.File) int {
	if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
		return n
	}
	return defaultWidth
}

// defaultWidth is what a terminal that does not tell its width is taken for.
const defaultWidth = 80

// call is one command line at work: its flags and arguments, where output goes, and the parts it has opened.
type call struct {
	*cli.Context
	world   *world
	out     *bufio.Writer
	box     *box           // nil until open
	keep    *process.Right // that of root's which is kept for files beside the box; nil = none
	pretend bool           // the command line is read, and nothing done: for tests of the examples
}

// run reads the command line, does the work, and says what went wrong.
func (w *world) run(ctx context.Context, args []string) int {
	w.errs = &turns{w: w.errs}
	c := &call{world: w, out: bufio.NewWriter(w.out)}
	err := c.dispatch(ctx, args)
	if err == nil || !isClosedPipe(err) {
		err = errors.Join(err, c.out.Flush())
	}
	switch {
	case err == nil:
		return ExitOK
	case isClosedPipe(err):
		return ExitOK // whoever reads has seen enough
	}
	io.WriteString(w.errs, lines(explain(err, c.owner())))
	return exitCode(err)
}

// turns lets several goroutines write to one place.
type turns struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *turns) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.Write(p)
}

func isClosedPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}

func (c *call) dispatch(ctx context.Context, args []string) error {
	app := c.app(ctx)
	line, err := arrange(app, args[1:])
	if err != nil {
		return err
	}
	if line.help && slices.Contains(line.args, "--json") {
		return c.helpJSON(app, line.path)
	}
	if line.help {
		return c.help(c.out, c.world.width, app, line.path)
	}
	if cmd := line.command(); cmd == nil || len(cmd.Subcommands) > 0 {
		columns := 0
		if c.world.animated && c.world.columns != nil {
			columns = c.world.columns()
		}
		if err := c.help(c.world.errs, columns, app, line.path); err != nil {
			return err
		}
		return &fault{code: ExitUsage, text: "name a command"}
	}
	return app.RunContext(ctx, append([]string{app.Name}, line.args...))
}

// app is the tree of commands. Help, suggestions and complaints are ours: urfave/cli writes them to standard output, and
// leaves the process on some.
func (c *call) app(ctx context.Context) *cli.App {
	app := &cli.App{
		Name:  "mailctl",
		Usage: "administer a maild box: accounts, mail, index",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "read the configuration `FILE` instead of /etc/maild.toml"},
			&cli.StringFlag{Name: "root", Usage: "work on the data directory `DIR`, a copy perhaps; no configuration is read then, unless --config names it"},
			&cli.BoolFlag{Name: "json", Usage: "write JSON"},
		},
		Commands: []*cli.Command{
			c.domainCommand(ctx),
			c.userCommand(ctx),
			c.aliasCommand(ctx),
			c.quotaCommand(ctx),
			c.searchCommand(ctx),
			c.msgCommand(ctx),
			c.folderCommand(ctx),
			c.indexCommand(ctx),
			c.importCommand(ctx),
			c.exportCommand(ctx),
			c.backupCommand(ctx),
			c.restoreCommand(ctx),
			c.configCommand(ctx),
			c.statusCommand(ctx),
			c.doctorCommand(ctx),
			c.completionCommand(ctx),
			c.completeCommand(ctx),
			c.manCommand(ctx),
			c.versionCommand(ctx),
		},
		HideHelp: true, HideHelpCommand: true, HideVersion: true,
		DisableSliceFlagSeparator: true, // "Doe, John" is one value
		Writer:                    io.Discard,
		ErrWriter:                 io.Discard,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              usageError,
	}
	for _, cmd := range app.Commands {
		tame(cmd)
	}
	return app
}

// tame takes from a command and those below it what cli would do by itself.
func tame(cmd *cli.Command) {
	cmd.HideHelp, cmd.HideHelpCommand = true, true
	cmd.OnUsageError = usageError
	for _, sub := range cmd.Subcommands {
		tame(sub)
	}
}

// usageError is for what arrange cannot see: values of the wrong type.
func usageError(_ *cli.Context, err error, _ bool) error {
	text := strings.TrimSuffix(err.Error(), ": parse error")
	return usagef("%s", strings.NewReplacer("for flag -", "for --", "for -", "for --").Replace(text))
}

// verb completes a command that does something. It takes from least to most arguments; a negative most is any number.
func (c *call) verb(ctx context.Context, cmd *cli.Command, least, most int, run func(context.Context, *call) error) *cli.Command {
	cmd.Action = func(cc *cli.Context) error {
		c.Context = cc
		n := cc.NArg()
		switch {
		case n < least:
			words := strings.Fields(cmd.ArgsUsage)
			return usagef("%s is missing: write %s", words[min(n, len(words)-1)], formOf(cc.Command.HelpName, cmd))
		case most >= 0 && n > most:
			return usagef("one argument too many, %q: write %s", cc.Args().Get(most), formOf(cc.Command.HelpName, cmd))
		}
		if c.pretend {
			return nil
		}
		return errors.Join(run(ctx, c), c.close())
	}
	return cmd
}

// formOf is the form of a command, as in `mailctl user add [flags] ADDRESS`.
func formOf(name string, cmd *cli.Command) string {
	form := name
	if len(cmd.Flags) > 0 {
		form += " [flags]"
	}
	if cmd.ArgsUsage != "" {
		form += " " + cmd.ArgsUsage
	}
	return form
}

// form is how data is to be written.
func (c *call) form() form {
	switch f := c.String("format"); {
	case c.Bool("json") || f == "json":
		return formJSON
	case f == "jsonl":
		return formLines
	case f == "table":
		return formTable
	case f == "tsv":
		return formTabs
	case c.world.width > 0:
		return formTable
	}
	return formTabs
}

// note says something about the work. What was written before comes before it.
func (c *call) note(format string, args ...any) {
	// A reader who left is noticed when the output is flushed in the end.
	_ = c.out.Flush()
	io.WriteString(c.world.errs, lines(fmt.Sprintf(format, args...)))
}
