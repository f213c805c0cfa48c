// Package appliance opens the parts of the daemon, wires them, runs them and
// shuts them down. It holds no decision of its own.
//
//	listeners ─ smtpd ─ delivery ─┬─ account (accounts.db)
//	                              └─ store ─┬─ maildir
//	                                        └─ index (index.db)
//
// accounts.db is precious: without it the daemon does not start. The index is
// not: whatever is wrong with it, mail is taken.
package appliance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"maild/appliance/account"
	"maild/appliance/config"
	"maild/appliance/delivery"
	"maild/appliance/process"
	"maild/appliance/smtpd"
	"maild/appliance/store"
	"maild/index"
	"maild/maildir"
)

// cleanInterval is how often tmp/ directories are looked through.
const cleanInterval = 6 * time.Hour

// Appliance is a running daemon.
type Appliance struct {
	log       *slog.Logger
	lock      *process.Lock
	accounts  *account.Directory
	retired   []*account.Directory // of before a reload; sessions may use them
	mailboxes *store.Mailboxes
	index     *index.Index
	store     *store.Store
	tls       *certificate
	server    *smtpd.Server

	cancel context.CancelFunc // ends the background work
	tasks  sync.WaitGroup
	failed chan error // of a listener

	mu  sync.Mutex // guards cfg, and reload against reload
	cfg config.Config
}

// Start opens everything and begins to serve on ls, which it closes in the end,
// also on an error. The process already is the user that it stays.
func Start(ctx context.Context, cfg config.Config, ls Listeners, log *slog.Logger) (*Appliance, error) {
	a := &Appliance{log: log, cfg: cfg, failed: make(chan error, 16)}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.close(), ls.Close())
	}
	a.server = smtpd.New(a.smtpdConfig(cfg))
	var background context.Context
	background, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	a.tasks.Go(func() { a.runIndex(background) })
	a.tasks.Go(func() { a.sweep(background) })
	a.tasks.Go(func() { a.clean(background) })
	a.tasks.Go(func() { a.keepQuota(background) })
	for kind, list := range ls {
		for _, l := range list {
			log.Info("listening", "listener", kind.String(), "address", l.Addr().String())
			a.tasks.Go(func() {
				if err := a.server.Serve(kind, l); err != nil {
					a.failed <- err
				}
			})
		}
	}
	return a, nil
}

// open takes the data directory and opens what is in it.
func (a *Appliance) open(ctx context.Context) (err error) {
	if err := process.MakeDataDir(a.cfg.DataDir, a.cfg.User); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	a.lock, err = process.TakeLock(a.cfg.LockFile())
	if errors.Is(err, process.ErrLocked) {
		return fmt.Errorf("another maild runs on %s: stop it first, or give this one another data_dir", a.cfg.DataDir)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: give the data directory to the daemon's user: chown -R %s: %s", err, a.cfg.User, a.cfg.DataDir)
	}
	if err != nil {
		return err
	}
	if a.accounts, err = openAccounts(ctx, a.cfg, a.log); err != nil {
		return err
	}
	if err := a.accounts.EnsureLocal(ctx); err != nil {
		return err
	}
	a.mailboxes = store.OpenMailboxes(a.cfg.MailDir())
	a.index, err = index.Open(ctx, index.Options{Path: a.cfg.IndexDB(), Headers: a.cfg.Index.Headers, Body: a.cfg.Index.Body, Source: a.mailboxes, Log: a.log})
	if err != nil {
		return err
	}
	a.store = store.New(a.mailboxes, a.index)
	a.store.Log = a.log
	a.tls, err = a.openTLS(a.cfg)
	return err
}

func openAccounts(ctx context.Context, cfg config.Config, log *slog.Logger) (*account.Directory, error) {
	o := accountOptions(cfg)
	o.Log = log
	d, err := account.Open(ctx, o)
	if err == nil {
		d.AliasesFileProblems() // which are logged now, and not when the first mail comes
	}
	return d, err
}

func accountOptions(cfg config.Config) account.Options {
	return account.Options{Path: cfg.AccountsDB(), Separator: cfg.Delivery.SubaddressSeparator, Hostname: cfg.Hostname, Postmaster: cfg.Postmaster,
		Aliases: cfg.Delivery.AliasesFile}
}

// openTLS loads the certificate that cfg names, or a self-signed one.
func (a *Appliance) openTLS(cfg config.Config) (*certificate, error) {
	if cfg.TLS.Certificate != "" {
		c, err := loadCertificate(cfg.TLS.Certificate, cfg.TLS.Key, a.log)
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w: maild reads it as user %s: let that user read both files (chgrp, chmod g+r, and g+x on the directories above)", err, cfg.User)
		}
		return c, err
	}
	certFile, keyFile := cfg.SelfSigned()
	if err := ensureSelfSigned(certFile, keyFile, cfg.Hostname); err != nil {
		return nil, fmt.Errorf("make a self-signed certificate: %w", err)
	}
	return loadCertificate(certFile, keyFile, a.log)
}

func (a *Appliance) smtpdConfig(cfg config.Config) smtpd.Config {
	return smtpd.Config{
		Hostname: cfg.Hostname, TLS: a.tls.tlsConfig(), Accounts: a.accounts, Log: a.log,
		Delivery:         a.deliveryOf(cfg),
		MaxMessageOctets: int64(cfg.Limits.MessageSize), MaxRecipients: cfg.Limits.Recipients, MaxConnections: cfg.Limits.Connections,
		CommandTimeout: time.Duration(cfg.Limits.CommandTimeout), DataTimeout: time.Duration(cfg.Limits.DataTimeout),
		WriteTimeout: time.Duration(cfg.Limits.WriteTimeout),
	}
}

func (a *Appliance) deliveryOf(cfg config.Config) *delivery.Delivery {
	return &delivery.Delivery{Accounts: a.accounts, Store: a.store, Hostname: cfg.Hostname, MaxReceived: cfg.Limits.ReceivedFields,
		Quota: delivery.QuotaOf(cfg.Quota), Log: a.log}
}

// Failed gives the error of a listener that stopped by itself.
func (a *Appliance) Failed() <-chan error { return a.failed }

// runIndex keeps the index going. It never keeps mail from coming in.
func (a *Appliance) runIndex(ctx context.Context) {
	if err := a.index.Run(ctx); err != nil && ctx.Err() == nil {
		a.log.Error("index", "status", "stopped; mail is taken, and found after a restart", "err", err)
	}
}

// sweep compares index and Maildirs by directory times now and again. At the
// start the index does so by itself.
func (a *Appliance) sweep(ctx context.Context) {
	full := false
	for {
		if w := a.mailboxes.Watches(); w.Full && !full {
			full = true
			a.log.Warn("index", "status", "not all directories of mail can be watched; what changes in the others is found by sweeps: raise fs.inotify.max_user_watches",
				"watched", w.Directories)
		}
		a.mu.Lock()
		wait := time.Duration(a.cfg.Index.Sweep)
		a.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		report, err := a.index.Reconcile(ctx, index.ReconcileOptions{})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			a.log.Error("reconcile", "err", err)
		case report.Added+report.Changed+report.Removed > 0:
			a.log.Info("reconcile", "added", report.Added, "changed", report.Changed, "removed", report.Removed,
				"failed", report.Failed, "elapsed", report.Elapsed.Round(time.Millisecond))
		}
	}
}

// clean removes what deliveries that never ended have left in tmp/.
func (a *Appliance) clean(ctx context.Context) {
	tick := time.NewTicker(cleanInterval)
	defer tick.Stop()
	for {
		n, err := a.mailboxes.CleanTmp(ctx, func(t *maildir.Tree) (int, error) { return t.CleanTmp(time.Now(), maildir.StaleTmpAge) })
		if n > 0 || err != nil && ctx.Err() == nil {
			a.log.Info("clean", "removed", n, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Reload takes over what can be changed while mail flows, and returns the keys
// that wait for a restart. On an error nothing has changed.
func (a *Appliance) Reload(ctx context.Context, cfg config.Config) (restart []string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	pair, err := a.openTLS(cfg)
	if err != nil {
		return nil, err
	}
	if accountOptions(cfg) != accountOptions(a.cfg) {
		next, err := a.reopenAccounts(ctx, cfg)
		if err != nil {
			return nil, err
		}
		a.retired = append(a.retired, a.accounts)
		a.accounts = next
	}
	a.tls = pair
	a.server.Reload(a.smtpdConfig(cfg))
	restart = needRestart(a.cfg, cfg)
	cfg.DataDir, cfg.Listen, cfg.User = a.cfg.DataDir, a.cfg.Listen, a.cfg.User
	cfg.Index.Headers, cfg.Index.Body = a.cfg.Index.Headers, a.cfg.Index.Body
	a.cfg = cfg
	return restart, nil
}

func (a *Appliance) reopenAccounts(ctx context.Context, cfg config.Config) (*account.Directory, error) {
	cfg.DataDir = a.cfg.DataDir
	next, err := openAccounts(ctx, cfg, a.log)
	if err != nil {
		return nil, err
	}
	if err := next.EnsureLocal(ctx); err != nil {
		return nil, errors.Join(err, next.Close())
	}
	return next, nil
}

// Stop ends it all: listeners close, idle clients are told 421, transactions end
// or are cut after the configured time, the index takes what is queued.
func (a *Appliance) Stop() error {
	a.mu.Lock()
	timeout := time.Duration(a.cfg.Limits.ShutdownTimeout)
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := a.server.Shutdown(ctx); err != nil {
		a.log.Warn("stopping", "status", "transactions were cut: they took longer than limits.shutdown_timeout", "err", err)
	}
	flush, cancelFlush := context.WithTimeout(context.Background(), flushTimeout)
	defer cancelFlush()
	if err := a.index.Flush(flush); err != nil {
		a.log.Warn("stopping", "status", "the index is not up to date; the next start brings it there", "err", err)
	}
	a.cancel()
	a.tasks.Wait()
	return a.close()
}

// flushTimeout bounds how long a stop waits for the index: it can catch up later.
const flushTimeout = 5 * time.Second

// close gives back what open has taken, as far as it came.
func (a *Appliance) close() error {
	var errs []error
	if a.index != nil {
		errs = append(errs, a.index.Close())
	}
	if a.mailboxes != nil {
		errs = append(errs, a.mailboxes.Close())
	}
	for _, d := range append(a.retired, a.accounts) {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Release())
	}
	return errors.Join(errs...)
}

func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
