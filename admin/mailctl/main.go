// Mailctl administers a maild box: see "mailctl help".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"maild/admin"
)

func main() {
	syscall.Umask(0o077) // as the daemon: what mailctl makes in its place is nobody else's to read
	// A reader that has seen enough, as head, shows as an error of writing, which ends the command with 0. Otherwise the runtime would end the
	// process by the signal, in the middle of whatever it does.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := admin.Main(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
