package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"maild/appliance"
	"maild/appliance/config"
	"maild/appliance/process"
)

// runDaemon serves until ctx ends. What needs root comes first: the sockets and
// the data directory; then the process becomes the configured user.
func runDaemon(ctx context.Context, opts options, stderr io.Writer) error {
	cfg, err := config.Load(opts.config)
	if err != nil {
		return err
	}
	inherited, err := process.Inherited()
	if err != nil {
		return err
	}
	ls, err := appliance.Listen(ctx, cfg.Listen, inherited)
	if err != nil {
		return err
	}
	if err := stepDown(cfg); err != nil {
		return errors.Join(err, ls.Close())
	}
	log, err := appliance.NewLogger(cfg.Log, stderr)
	if err != nil {
		return errors.Join(err, ls.Close())
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	a, err := appliance.Start(ctx, cfg, ls, log.Logger)
	if err != nil {
		return err
	}
	log.Info("ready", "version", version(), "hostname", cfg.Hostname, "data", cfg.DataDir)
	notify(log, process.Ready)
	return serve(ctx, a, hangup, func() { reload(ctx, a, opts, log, stderr) }, func() {
		log.Info("stopping")
		notify(log, process.Stopping)
	})
}

// serve waits for what ends the daemon, and ends it.
func serve(ctx context.Context, a *appliance.Appliance, hangup <-chan os.Signal, reload, stopping func()) error {
	var failed error
	for {
		select {
		case <-hangup:
			reload()
			continue
		case failed = <-a.Failed():
		case <-ctx.Done():
		}
		stopping()
		return errors.Join(failed, a.Stop())
	}
}

// reload reads the configuration again and keeps the old one if it has a fault.
func reload(ctx context.Context, a *appliance.Appliance, opts options, log *appliance.Logger, stderr io.Writer) {
	notify(log, process.Reloading())
	defer notify(log, process.Ready)
	cfg, err := config.Load(opts.config)
	if err == nil {
		var restart []string
		restart, err = a.Reload(ctx, cfg)
		if len(restart) > 0 {
			log.Warn("reload", "status", "these keys wait for a restart", "keys", strings.Join(restart, " "))
		}
	}
	if err == nil {
		err = log.Reload(cfg.Log, stderr)
	}
	if err != nil {
		log.Error("reload", "status", "the old configuration stays in use", "err", err)
		return
	}
	log.Info("reload", "status", "done")
}

func notify(log *appliance.Logger, state string) {
	if err := process.Notify(state); err != nil {
		log.Warn("notify", "err", err)
	}
}

// stepDown makes root the daemon's user for good, who owns the data directory.
func stepDown(cfg config.Config) error {
	if err := process.MakeDataDir(cfg.DataDir, cfg.User); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return process.Become(cfg.User)
}
