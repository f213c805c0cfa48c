package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"maild/appliance/account"
	"maild/appliance/backup"
	"maild/appliance/config"
	"maild/appliance/mail"
	"maild/index"
	"maild/index/query"
)

const restoreHelp = `What is in the backup SRC and not in the box is put back; nothing that is there is removed or changed. A message is there when the account has
it in any folder, or has a message of the same content that is not from this backup. It comes back with its folder, flags and time.

--account ADDRESS takes one account: itself with its password, its aliases, its mail. --query takes messages that the backup's index finds, with
the language of "search headers", and no accounts. Without either, everything comes back: domains, accounts, aliases, mail. An account that
exists keeps its present password.

--as ADDRESS puts the mail of --account into another account, which is made with the password from the backup if it does not exist.

The daemon may run or not. After an interruption the same command finishes. The exit code is 8 when messages could not be read: they are
named. 7: another restore is running.`

func (c *call) restoreCommand(ctx context.Context) *cli.Command {
	return c.verb(ctx, &cli.Command{Name: "restore", Usage: "put back from a backup what is missing", ArgsUsage: "SRC", Description: restoreHelp,
		Flags: []cli.Flag{&cli.StringFlag{Name: "account", Usage: "only the account `ADDRESS`"},
			&cli.StringFlag{Name: "query", Usage: "only messages that answer `QUERY`"},
			&cli.StringFlag{Name: "as", Usage: "put the mail of --account into the account `ADDRESS`"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be put back, and change nothing"}},
		UsageText: "mailctl restore /srv/backup/2026-02-01 --dry-run\nmailctl restore /srv/backup/2026-02-01 --account anna@example.org --query 'from:bill date:2026-01'\n" +
			"mailctl restore /srv/backup/2026-02-01 --account anna@example.org --as anna.old@example.org"}, 1, 1, restoreBackup)
}

// restoreView is what a restore did, in JSON.
type restoreView struct {
	Source     string   `json:"source"`
	DryRun     bool     `json:"dry_run"`
	Restored   int64    `json:"restored"`
	Octets     int64    `json:"octets"`
	Present    int64    `json:"present"`      // were there already
	Same       int64    `json:"same_content"` // there under another key
	Unreadable int64    `json:"unreadable"`
	Domains    []string `json:"domains"`
	Accounts   []string `json:"accounts"`
	Aliases    []string `json:"aliases"`
}

// restoring is a restore as the command line asks for it.
type restoring struct {
	*call
	source      string
	account, as mail.Address // zero = not given
	view        restoreView
}

func restoreBackup(ctx context.Context, c *call) error {
	r := &restoring{call: c, view: restoreView{DryRun: c.Bool("dry-run"), Domains: []string{}, Accounts: []string{}, Aliases: []string{}}}
	if err := r.read(); err != nil {
		return err
	}
	if _, err := backup.Open(r.source); err != nil {
		return backupFault(err)
	}
	open := c.openOrMake
	if r.view.DryRun {
		open = c.open
	}
	if err := open(); err != nil {
		return err
	}
	o := backup.RestoreOptions{Data: c.box.cfg, Source: r.source, Account: nameOf(r.account), As: nameOf(r.as), DryRun: r.view.DryRun}
	if c.IsSet("query") {
		var err error
		if o.Chosen, err = r.chosen(ctx); err != nil {
			return err
		}
	} else if err := r.putAccounts(ctx); err != nil {
		return err
	}
	done, err := r.putMail(ctx, o)
	if err != nil {
		return backupFault(err)
	}
	if err := r.show(); err != nil {
		return err
	}
	if done.Unreadable > 0 {
		return &fault{code: ExitPartial, text: fmt.Sprintf("%d messages or files of the backup could not be read", done.Unreadable)}
	}
	return nil
}

// read reads the command line.
func (r *restoring) read() (err error) {
	if r.source, err = filepath.Abs(r.Args().First()); err != nil {
		return err
	}
	r.view.Source = r.source
	for flag, into := range map[string]*mail.Address{"account": &r.account, "as": &r.as} {
		if r.IsSet(flag) {
			if *into, err = address(r.String(flag)); err != nil {
				return err
			}
		}
	}
	switch {
	case r.IsSet("as") && !r.IsSet("account"):
		return usagef("--as needs --account: name the account whose mail is meant")
	case r.IsSet("query") && strings.TrimSpace(r.String("query")) == "":
		return usagef("--query is empty: leave it out to restore everything")
	}
	return nil
}

// nameOf is the name of an account; "" for none.
func nameOf(a mail.Address) string {
	if (a == mail.Address{}) {
		return ""
	}
	return strings.ToLower(a.Local) + "@" + a.Domain
}

// chosen asks the index of the backup, as a search of it would.
func (r *restoring) chosen(ctx context.Context) (backup.Chosen, error) {
	x, err := query.Parse(r.String("query"), query.Options{Now: r.world.now(), Zone: r.world.zone, Body: true})
	var s *query.SyntaxError
	if errors.As(err, &s) {
		return nil, usagef("--query: %v\n%s", err, s.Pointer())
	}
	if err != nil {
		return nil, err
	}
	where := query.And{x}
	if r.IsSet("account") {
		where = append(where, query.Account{Name: nameOf(r.account)})
	}
	src := &call{Context: r.Context, world: r.world, out: r.out, box: &box{cfg: config.Default(), copied: true}}
	src.box.cfg.DataDir = r.source
	chosen := backup.Chosen{}
	ix, err := src.search(ctx)
	if err == nil {
		err = src.needText(ctx, ix, where)
	}
	if err == nil {
		err = ix.Search(ctx, index.Query{Where: where}, func(m index.Message) error {
			if chosen[m.Account] == nil {
				chosen[m.Account] = map[backup.Ref]bool{}
			}
			chosen[m.Account][backup.Ref{Folder: m.Folder, Key: m.Key}] = true
			return nil
		})
	}
	if err = errors.Join(err, src.close()); err != nil {
		return nil, err
	}
	if len(chosen) == 0 {
		return nil, notFoundf("nothing in %s answers the query: try it with \"mailctl --root %s search headers\"", r.source, r.source)
	}
	return chosen, nil
}

// putAccounts puts back domains, accounts and aliases.
func (r *restoring) putAccounts(ctx context.Context) error {
	cfg := r.box.cfg
	from, closeFrom, err := backup.OpenAccounts(ctx, r.source, cfg.DataDir, account.Options{Hostname: cfg.Hostname, Separator: cfg.Delivery.SubaddressSeparator, Postmaster: cfg.Postmaster})
	if errors.Is(err, fs.ErrNotExist) {
		r.note("the backup has no accounts, only mail")
		return nil
	}
	if err != nil {
		return fmt.Errorf("the backup's %w", err)
	}
	d, err := r.accounts(ctx, changing)
	var f account.Refill
	if err == nil {
		f, err = d.Refill(ctx, from, account.RefillOptions{Account: r.account, As: r.as, DryRun: r.view.DryRun})
	}
	if err = errors.Join(err, closeFrom()); err != nil {
		if errors.Is(err, account.ErrNotFound) && r.mailInBackup() {
			r.note("the backup has mail of %s, but no account of that name: only the mail comes back", nameOf(r.account))
			return nil
		}
		if errors.Is(err, account.ErrNotFound) {
			return fmt.Errorf("%w in the backup: see \"mailctl --root %s user list\"", err, r.source)
		}
		return err
	}
	if r.IsSet("as") && len(f.Accounts)+f.Kept == 0 {
		return &fault{code: ExitExists, text: fmt.Sprintf("%s is an alias: name an account, or a name that is free, with --as", nameOf(r.as))}
	}
	r.view.Domains = append(r.view.Domains, f.Domains...)
	r.view.Accounts = append(r.view.Accounts, f.Accounts...)
	r.view.Aliases = append(r.view.Aliases, f.Aliases...)
	if f.Kept > 0 {
		r.note("accounts that are there already and keep their present password: %d", f.Kept)
	}
	for _, s := range f.Skipped {
		r.note("%s", s)
	}
	return nil
}

// mailInBackup reports whether the account asked for has mail there.
func (r *restoring) mailInBackup() bool {
	a := nameOf(r.account)
	at := strings.LastIndexByte(a, '@')
	if at < 0 {
		return false
	}
	cfg := config.Config{DataDir: r.source}
	_, err := os.Lstat(filepath.Join(cfg.MailDir(), a[at+1:], a[:at], "cur"))
	return err == nil
}

// putMail puts back messages, and brings the index up to them.
func (r *restoring) putMail(ctx context.Context, o backup.RestoreOptions) (backup.Restored, error) {
	collect(longWork)
	show, done := r.progress("restoring")
	var unread unreadFiles
	o.Progress, o.Unreadable = show, unread.add
	m, err := backup.Restore(ctx, o)
	done()
	unread.tell(r.call)
	r.view.Restored, r.view.Octets, r.view.Present, r.view.Same, r.view.Unreadable = m.Restored, m.Octets, m.Present, m.Same, m.Unreadable
	if err != nil {
		if m.Restored > 0 {
			r.note("%d messages are restored so far", m.Restored)
		}
		return m, err
	}
	if o.DryRun || m.Restored == 0 {
		return m, nil
	}
	up, err := r.daemonUp()
	if err != nil || up {
		return m, err // the daemon sees them come
	}
	for _, a := range m.Accounts {
		if err := r.forget(ctx, a); err != nil {
			r.note("the index will notice later: %v", err)
			break
		}
	}
	return m, nil
}

// show says what was done.
func (r *restoring) show() error {
	v := r.view
	err := r.facts([]fact{
		{"restored", fmt.Sprint(v.Restored)},
		{"size", r.size(v.Octets)},
		{"there already", fmt.Sprint(v.Present)},
		{"same content", fmt.Sprint(v.Same)},
		{"unreadable", fmt.Sprint(v.Unreadable)},
		{"domains", strings.Join(v.Domains, ",")},
		{"accounts", strings.Join(v.Accounts, ",")},
		{"aliases", strings.Join(v.Aliases, ",")},
	}, v)
	if v.DryRun {
		r.note("nothing was changed: this is what a restore would do")
	}
	return err
}
