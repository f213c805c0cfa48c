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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := admin.Main(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
