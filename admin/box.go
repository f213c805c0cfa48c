package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"maild/appliance/account"
	"maild/appliance/config"
	"maild/appliance/mail"
	"maild/appliance/process"
	"maild/appliance/store"
	"maild/index"
)

// box is the appliance's data as a command sees it. Its parts are opened when they are first asked for.
type box struct {
	cfg       config.Config
	file      string // the configuration file; "" = none was asked for
	copied    bool   // --root: no daemon need be there
	directory *account.Directory
	mailboxes *store.Mailboxes
	index     *index.Index
	followed  bool      // the index is kept by a daemon
	compared  time.Time // when the index was last compared with the mail, by this command
}

// owner is whose data it is, for the remedy where rights are missing.
func (c *call) owner() string {
	if c.box == nil || c.box.cfg.User == "" {
		return config.Default().User
	}
	info, err := os.Stat(c.box.cfg.DataDir)
	if err != nil {
		return c.box.cfg.User
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		if u, err := user.LookupId(strconv.Itoa(int(st.Uid))); err == nil {
			return u.Username
		}
	}
	return c.box.cfg.User
}

// load reads the configuration, while the process still has the rights it was started with.
func (c *call) load() (*box, error) {
	b := &box{file: c.String("config"), copied: c.IsSet("root")}
	var err error
	switch {
	case c.IsSet("root") && c.String("root") == "":
		return nil, usagef("--root needs the name of a directory")
	case c.IsSet("config") && b.file == "":
		return nil, usagef("--config needs the name of a file")
	case b.copied && b.file == "":
		b.cfg = config.Default()
	default:
		if b.file == "" {
			b.file = config.DefaultPath
		}
		b.cfg, err = config.Load(b.file)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("configuration %s does not exist: name the right file with --config, or a data directory with --root", b.file)
	case err != nil:
		return nil, err
	}
	if b.copied {
		if b.cfg.DataDir, err = filepath.Abs(c.String("root")); err != nil {
			return nil, fmt.Errorf("--root: %w", err)
		}
	}
	return b, nil
}

// open is the beginning of every command that looks at the data: configuration, then the rights of the data's owner. The data directory
// must be there.
func (c *call) open() error { return c.openAfter(nil) }

// openAfter is open that does something before the rights are given up; nil is nothing.
func (c *call) openAfter(before func(*box) error) error {
	b, err := c.load()
	if err != nil {
		return err
	}
	c.box = b
	if _, err := os.Stat(b.cfg.DataDir); errors.Is(err, fs.ErrNotExist) {
		remedy := "add the first account with \"mailctl user add\", or start maild"
		if b.copied {
			remedy = "name another with --root"
		}
		return &fault{code: ExitNotFound, text: fmt.Sprintf("data directory %s does not exist: %s", b.cfg.DataDir, remedy)}
	} else if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if before != nil {
		if err := before(b); err != nil {
			return err
		}
	}
	return b.stepDown(c.keep)
}

// openOrMake is open for commands that may be the first of all.
func (c *call) openOrMake() error {
	b, err := c.load()
	if err != nil {
		return err
	}
	c.box = b
	if _, err := os.Stat(b.cfg.DataDir); errors.Is(err, fs.ErrNotExist) {
		return b.makeDataDir()
	} else if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return b.stepDown(c.keep)
}

// stepDown gives up root for the owner of the data directory, so that every file made there is the daemon's. A right may be kept, for files elsewhere.
func (b *box) stepDown(keep *process.Right) error {
	var err error
	if keep == nil {
		err = process.BecomeOwner(b.cfg.DataDir)
	} else {
		err = process.BecomeOwnerKeeping(b.cfg.DataDir, *keep)
	}
	if err != nil {
		return fmt.Errorf("give up root: %w", err)
	}
	return nil
}

// makeDataDir makes the data directory. Root makes it the configured user's, and goes on as that user.
func (b *box) makeDataDir() error {
	if err := process.MakeDataDir(b.cfg.DataDir, b.cfg.User); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return b.stepDown(nil)
}

// close ends what was opened.
func (c *call) close() error {
	if c.box == nil {
		return nil
	}
	var errs []error
	if c.box.index != nil {
		errs = append(errs, c.box.index.Close())
	}
	if c.box.mailboxes != nil {
		errs = append(errs, c.box.mailboxes.Close())
	}
	if c.box.directory != nil {
		errs = append(errs, c.box.directory.Close())
	}
	return errors.Join(errs...)
}

// use is for reading alone, change for both.
type purpose bool

const (
	reading  purpose = false
	changing purpose = true
)

// accounts opens accounts.db. A copy is only read where that is enough; in the daemon's own directory a missing file is made,
// as the daemon would.
func (c *call) accounts(ctx context.Context, p purpose) (*account.Directory, error) {
	b := c.box
	if b.directory != nil {
		return b.directory, nil
	}
	o := account.Options{Path: b.cfg.AccountsDB(), Hostname: b.cfg.Hostname, Separator: b.cfg.Delivery.SubaddressSeparator,
		Postmaster: b.cfg.Postmaster, Aliases: b.aliasesFile(), ReadOnly: p == reading}
	d, err := account.Open(ctx, o)
	if p == reading && !b.copied && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, account.ErrOlder)) {
		o.ReadOnly = false
		d, err = account.Open(ctx, o)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &fault{code: ExitNotFound, text: fmt.Sprintf("%s does not exist: is %s maild's data directory?", o.Path, b.cfg.DataDir)}
	}
	if err != nil {
		return nil, err
	}
	b.directory = d
	return d, nil
}

// aliasesFile is the aliases file of the box whose data it is; a copy without a configuration has none that is known.
func (b *box) aliasesFile() string {
	if b.copied && b.file == "" {
		return ""
	}
	return b.cfg.Delivery.AliasesFile
}

// mail gives the mailboxes.
func (c *call) mail() *store.Mailboxes {
	if c.box.mailboxes == nil {
		c.box.mailboxes = store.OpenMailboxes(c.box.cfg.MailDir())
	}
	return c.box.mailboxes
}

// daemonUp reports whether a daemon runs on the data directory.
func (c *call) daemonUp() (bool, error) { return process.Locked(c.box.cfg.LockFile()) }

// indexOptions say how the index is opened.
func (c *call) indexOptions() index.Options {
	// Without the configuration, the file itself knows best what it was built with.
	return index.Options{Path: c.box.cfg.IndexDB(), Headers: c.box.cfg.Index.Headers, KeepHeaders: c.box.file == "",
		Body: c.box.cfg.Index.Body, Source: c.mail(), Log: c.log()}
}

// search opens the index to be asked. While no daemon runs, it is brought up to date first, and made anew where it is missing or
// damaged.
func (c *call) search(ctx context.Context) (*index.Index, error) {
	if c.box.index != nil {
		return c.box.index, nil
	}
	up, err := c.daemonUp()
	if err != nil {
		return nil, err
	}
	c.box.followed = up
	var ix *index.Index
	if up {
		ix, err = c.followedIndex(ctx)
	} else {
		ix, err = c.caughtUpIndex(ctx)
	}
	c.box.index = ix
	return ix, err
}

const (
	remakePatience = 5 * time.Second
	remakePoll     = 50 * time.Millisecond
)

// followedIndex opens the index that a daemon keeps. One that was just lost is made anew by the daemon within a second or two.
func (c *call) followedIndex(ctx context.Context) (*index.Index, error) {
	o := c.indexOptions()
	o.ReadOnly = true
	deadline := time.Now().Add(remakePatience)
	for {
		ix, err := index.Open(ctx, o)
		switch {
		case err == nil:
			return ix, nil
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("index: %w", err)
		case time.Now().After(deadline):
			return nil, fmt.Errorf("index %s: %w: the daemon is about to make it anew: try again, and see its log if that does not help", o.Path, err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(remakePoll):
		}
	}
}

// caughtUpIndex opens the index and makes it agree with the mail on disk. Where nothing can be written it is taken as it is.
func (c *call) caughtUpIndex(ctx context.Context) (*index.Index, error) {
	o := c.indexOptions()
	ix, err := index.Open(ctx, o)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		o.ReadOnly = true
		old, oerr := index.Open(ctx, o)
		if oerr != nil {
			return nil, fmt.Errorf("index: %w", err)
		}
		c.note("nothing can be written in %s: the answer is as old as the index", c.box.cfg.DataDir)
		return old, nil
	}
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	begin := c.world.now()
	show, done := c.progress("indexing")
	filled, _, _, err := ix.Filled(ctx)
	var report index.Report
	if err == nil && !filled {
		collect(longWork)
		report, err = ix.Rebuild(ctx, index.RebuildOptions{Progress: show}) // faster than filling it in place
	}
	if err == nil && filled || errors.Is(err, index.ErrRebuilding) {
		report, err = ix.Reconcile(ctx, index.ReconcileOptions{Progress: show})
	}
	done()
	if err != nil {
		return nil, errors.Join(err, ix.Close())
	}
	c.box.compared = begin
	if report.Failed > 0 {
		c.note("%d message files cannot be read and are not in the index", report.Failed)
	}
	return ix, nil
}

// address reads the name of an account or of one who gets mail from the command line.
func address(s string) (mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil {
		return a, usagef("%q is no address: %v: write one like anna@example.org", s, err)
	}
	return a, nil
}
