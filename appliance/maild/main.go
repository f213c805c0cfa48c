// Maild is the daemon of the mail appliance: it takes mail by SMTP and LMTP,
// stores it in Maildirs and keeps the index over them.
//
//	maild [--config FILE]          run in the foreground
//	maild check [--config FILE]    validate the configuration
//	maild demo [--once]            show the whole thing, without root
//
// SIGTERM and SIGINT stop it, SIGHUP makes it read its configuration again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"maild/appliance/config"
)

const usage = `usage: maild [--config FILE] [COMMAND]

Commands:
  run      take mail, in the foreground (what happens without a command)
  check    read the configuration, report what is wrong with it, and exit
  demo     start an appliance in a folder of its own, send mail through it, show it
           (no root needed; --once ends by itself, --dir DIR keeps the folder)
  version  print the version

Options:
  --config FILE   the configuration (default ` + config.DefaultPath + `, which may be missing)

Signals: SIGTERM and SIGINT stop after the running transactions; SIGHUP reads the
configuration again, and keeps the old one if the new one has a fault.

Accounts, search and everything else are managed with mailctl.
`

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the command line's.
type options struct {
	config string
	once   bool
	dir    string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, command, err := parse(args)
	if errors.Is(err, flag.ErrHelp) || command == "help" {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	if err == nil {
		switch command {
		case "run":
			err = runDaemon(ctx, opts, stderr)
		case "check":
			err = check(opts, stdout)
		case "demo":
			err = demo(ctx, opts, stdout)
		case "version":
			fmt.Fprintln(stdout, "maild", version())
		}
	}
	var bad usageError
	switch {
	case errors.As(err, &bad):
		fmt.Fprintf(stderr, "maild: %s\n%s", bad, "Try \"maild help\".\n")
		return exitUsage
	case err != nil:
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(stderr, "maild: %s\n", line)
		}
		return exitFailed
	}
	return exitOK
}

// usageError is a command line that makes no sense.
type usageError string

func (e usageError) Error() string { return string(e) }

// parse takes options before and after the command.
func parse(args []string) (opts options, command string, err error) {
	var words []string
	flags := flag.NewFlagSet("maild", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&opts.config, "config", "", "")
	flags.BoolVar(&opts.once, "once", false, "")
	flags.StringVar(&opts.dir, "dir", "", "")
	for {
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return opts, "", err
			}
			return opts, "", usageError(err.Error())
		}
		if flags.NArg() == 0 {
			break
		}
		words = append(words, flags.Arg(0))
		args = flags.Args()[1:]
	}
	command = "run"
	if len(words) > 0 {
		command = words[0]
	}
	switch {
	case len(words) > 1:
		return opts, "", usageError(fmt.Sprintf("unexpected argument %q", words[1]))
	case command != "demo" && (opts.once || opts.dir != ""):
		return opts, "", usageError("--once and --dir belong to maild demo")
	}
	switch command {
	case "run", "check", "demo", "version", "help":
		return opts, command, nil
	}
	return opts, "", usageError(fmt.Sprintf("unknown command %q (run, check, demo, version, help)", command))
}

// check validates the configuration and says what it amounts to.
func check(opts options, stdout io.Writer) error {
	cfg, err := config.Load(opts.config)
	if err != nil {
		return err
	}
	path := opts.config
	if path == "" {
		path = config.DefaultPath
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			path += " (missing, so all defaults)"
		}
	}
	fmt.Fprintf(stdout, "%s: no fault found\nhost name %s, data in %s, mx on %s\n", path, cfg.Hostname, cfg.DataDir, strings.Join(cfg.Listen.MX, " "))
	return nil
}

// version is what the build knows of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	return v + " " + info.GoVersion
}
