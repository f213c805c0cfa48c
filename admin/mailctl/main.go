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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := admin.Main(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
