package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"maild/appliance/account"
	"maild/appliance/mail"
	"maild/maildir"
)

func (c *call) userCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "user", Usage: "the accounts and their passwords", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "add", Usage: "add an account", ArgsUsage: "ADDRESS",
			Description: "Makes the account and its Maildir, and the domain where that is new. The password is asked for twice on a terminal.",
			Flags: append(passwordFlags(), &cli.BoolFlag{Name: "no-password",
				Usage: "give none: the account gets mail and nobody can log in"}),
			UsageText: "mailctl user add anna@example.org\nmailctl user add anna@example.org --generate\n" +
				"pass show mail/anna | mailctl user add anna@example.org --password-stdin"}, 1, 1, addUser),
		c.verb(ctx, &cli.Command{Name: "list", Usage: "list the accounts",
			Description: "Columns: account, state (active, suspended, no password), quota in octets and messages, created.",
			Flags:       []cli.Flag{&cli.StringFlag{Name: "domain", Usage: "only those of `DOMAIN`"}},
			UsageText:   "mailctl user list --domain example.org\nmailctl user list | cut -f1"}, 0, 0, listUsers),
		c.verb(ctx, &cli.Command{Name: "show", Usage: "show an account: its state, mail and aliases", ArgsUsage: "ADDRESS",
			Description: "How much mail there is comes from the index, which is brought up to date first while no daemon runs. Aliases are all those whose mail\nreaches the account.",
			UsageText:   "mailctl user show anna@example.org --json"}, 1, 1, showUser),
		c.verb(ctx, &cli.Command{Name: "passwd", Usage: "change the password of an account", ArgsUsage: "ADDRESS",
			Description: "It is asked for twice on a terminal. The old one stops at once; who is logged in stays so until the connection ends.",
			Flags:       passwordFlags(),
			UsageText:   "mailctl user passwd anna@example.org\nmailctl user passwd anna@example.org --generate"}, 1, 1, setPassword),
		c.verb(ctx, &cli.Command{Name: "suspend", Usage: "keep a user from logging in; mail still arrives", ArgsUsage: "ADDRESS",
			Description: "The password is kept, for \"user resume\".",
			UsageText:   "mailctl user suspend anna@example.org"}, 1, 1, suspendUser),
		c.verb(ctx, &cli.Command{Name: "resume", Usage: "let a suspended user log in again", ArgsUsage: "ADDRESS",
			Description: "The password is the one from before.",
			UsageText:   "mailctl user resume anna@example.org"}, 1, 1, resumeUser),
		c.verb(ctx, &cli.Command{Name: "rename", Usage: "give an account another address; its mail, passwords and aliases follow", ArgsUsage: "OLD NEW",
			Description: "Mail that is on its way to the old address while this runs is not lost. From then on the old address is refused, unless\n" +
				"--keep-alias leaves it as an alias. A run that was interrupted is brought to its end by the same command.",
			Flags:     []cli.Flag{&cli.BoolFlag{Name: "keep-alias", Usage: "let the old address stay, as an alias of the new one"}},
			UsageText: "mailctl user rename anna@example.org anna.meyer@example.org --keep-alias"}, 2, 2, renameUser),
		c.verb(ctx, &cli.Command{Name: "remove", Usage: "remove an account; its mail is kept", ArgsUsage: "ADDRESS",
			Description: "The mail stays where it is, can still be searched, and belongs to the next account of the same name. --purge\ndeletes it, which cannot be undone. --archive writes it to a tar archive (see \"mailctl export\") before it is deleted: account and mail are removed\nonly when the archive is complete and on disk.",
			Flags: []cli.Flag{&cli.BoolFlag{Name: "keep-mail", Usage: "keep the mail, as without --purge"},
				&cli.BoolFlag{Name: "purge", Usage: "delete the mail, too"},
				&cli.StringFlag{Name: "archive", Usage: "write the mail to the tar archive `FILE`, then delete it"},
				&cli.BoolFlag{Name: "dry-run", Usage: "only say what would go"},
				&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"}},
			UsageText: "mailctl user remove anna@example.org\nmailctl user remove anna@example.org --purge --dry-run\nmailctl user remove anna@example.org --purge --yes\nmailctl user remove anna@example.org --archive /backup/anna.tar --yes"}, 1, 1, removeUser),
		c.appPasswordCommand(ctx),
	}}
}

// userView is an account in JSON.
type userView struct {
	Account       string    `json:"account"`
	State         string    `json:"state"`
	QuotaOctets   int64     `json:"quota_octets"` // in force; 0 = no limit
	QuotaMessages int64     `json:"quota_messages"`
	Created       time.Time `json:"created"`
}

func (c *call) viewUser(a account.Account) userView {
	state := "active"
	switch {
	case a.Suspended:
		state = "suspended"
	case !a.HasPassword:
		state = "no password"
	}
	limit := c.quotaOf(a).Limit
	return userView{a.Name(), state, limit.Octets, limit.Messages, a.Created.UTC()}
}

// doneView is what commands that change an account give in JSON.
type doneView struct {
	Account   string `json:"account"`
	Password  string `json:"password,omitempty"` // generated
	NewDomain string `json:"new_domain,omitempty"`
	Maildir   string `json:"maildir,omitempty"`
	Purged    bool   `json:"purged,omitempty"`
	Archive   string `json:"archive,omitempty"`
}

// openUser reads the address and opens the accounts.
func (c *call) openUser(ctx context.Context, p purpose) (mail.Address, *account.Directory, error) {
	a, err := address(c.Args().First())
	if err != nil {
		return a, nil, err
	}
	if err := c.open(); err != nil {
		return a, nil, err
	}
	d, err := c.accounts(ctx, p)
	return a, d, err
}

// existing gives an account that must be there.
func existing(ctx context.Context, d *account.Directory, a mail.Address) (account.Account, error) {
	u, err := d.Account(ctx, a)
	if errors.Is(err, account.ErrNotFound) {
		return u, fmt.Errorf("%w: %s", err, accountRemedy(ctx, d, a.String()))
	}
	return u, err
}

func addUser(ctx context.Context, c *call) error {
	a, err := address(c.Args().First())
	if err != nil {
		return err
	}
	if err := c.openOrMake(); err != nil {
		return err
	}
	d, err := c.accounts(ctx, changing)
	if err != nil {
		return err
	}
	if u, err := d.Account(ctx, a); err == nil {
		// Before a password is asked for in vain.
		return fmt.Errorf("account %s %w: \"mailctl user passwd\" changes its password", u.Name(), account.ErrExists)
	}
	p, err := c.choosePassword(ctx, a)
	if err != nil {
		return err
	}
	newDomain, err := d.AddAccount(ctx, a, p.hash)
	if err != nil {
		return err
	}
	u, err := d.Account(ctx, a)
	if err != nil {
		return err
	}
	done := doneView{Account: u.Name(), Password: p.generated}
	if newDomain {
		done.NewDomain = u.Address.Domain
		c.note("mail for the new domain %s is taken now", u.Address.Domain)
	}
	if done.Maildir, err = c.makeMaildir(u.Name()); err != nil {
		return errors.Join(c.finish(done), fmt.Errorf("account %s is added, but its mailbox is not made: %w", u.Name(), err))
	}
	c.note("account %s is added; its mail is in %s", u.Name(), done.Maildir)
	return c.finish(done)
}

// makeMaildir sees that an account's Maildir is there. Mail that is there already is mentioned, since the account's new user can read it.
func (c *call) makeMaildir(name string) (string, error) {
	path, err := c.mail().Path(name)
	if err != nil {
		return "", err
	}
	if c.hasMail(name) {
		c.note("%s has mail from before in %s", name, path)
	}
	return path, c.mail().Use(name, true, func(*maildir.Tree) error { return nil })
}

// finish writes the result of a command that may have generated a password.
func (c *call) finish(done doneView) error {
	if done.Password != "" && c.form() != formJSON {
		_, err := fmt.Fprintln(c.out, done.Password)
		return err
	}
	return c.object(done)
}

// chosenUsers opens the box and gives its accounts, or those of --domain.
func (c *call) chosenUsers(ctx context.Context) ([]account.Account, error) {
	var filter account.Filter
	if c.IsSet("domain") {
		var err error
		if filter.Domain, err = domainName(c.String("domain")); err != nil {
			return nil, err
		}
	}
	if err := c.open(); err != nil {
		return nil, err
	}
	d, err := c.accounts(ctx, reading)
	if err != nil {
		return nil, err
	}
	return d.Accounts(ctx, filter)
}

func listUsers(ctx context.Context, c *call) error {
	users, err := c.chosenUsers(ctx)
	if err != nil {
		return err
	}
	l := c.list(column{name: "account"}, column{name: "state"}, column{name: "quota", right: true}, column{name: "quota msgs", right: true},
		column{name: "created"})
	for _, u := range users {
		v := c.viewUser(u)
		if err := l.add([]string{c.shown(u.Address), v.State, c.limit(v.QuotaOctets, c.size), c.limit(v.QuotaMessages, nil), c.moment(u.Created)}, v); err != nil {
			return err
		}
	}
	if len(users) == 0 {
		c.note("there are no accounts: add one with \"mailctl user add anna@example.org\"")
	}
	return l.end()
}

// limit is a quota limit; people read "-" for none.
func (c *call) limit(n int64, show func(int64) string) string {
	switch {
	case n == 0 && c.form() == formTable:
		return "-"
	case show == nil:
		return fmt.Sprint(n)
	}
	return show(n)
}

func suspendUser(ctx context.Context, c *call) error {
	a, d, err := c.openUser(ctx, changing)
	if err != nil {
		return err
	}
	u, err := existing(ctx, d, a)
	if err != nil {
		return err
	}
	if err := d.Suspend(ctx, u.Address); err != nil {
		return err
	}
	c.note("%s can no longer log in; mail still arrives", u.Name())
	return c.object(doneView{Account: u.Name()})
}

func resumeUser(ctx context.Context, c *call) error {
	a, d, err := c.openUser(ctx, changing)
	if err != nil {
		return err
	}
	u, err := existing(ctx, d, a)
	if err != nil {
		return err
	}
	if err := d.Resume(ctx, u.Address); err != nil {
		return err
	}
	c.note("%s can log in again", u.Name())
	return c.object(doneView{Account: u.Name()})
}
