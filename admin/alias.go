package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"maild/appliance/account"
	"maild/appliance/mail"
)

func (c *call) aliasCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "alias", Usage: "addresses that stand for others", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "add", Usage: "make an address stand for others, or add to those", ArgsUsage: "ALIAS TARGET…",
			Description: "The targets are accounts or other aliases of this box, or addresses elsewhere. An alias that exists gets more targets.\n" +
				"@example.org is the catch-all: it gets the mail for every name of the domain that nobody has.\n\n" +
				"maild does not send mail to other hosts yet. Until it does, mail for an alias that leads to one is put off (451 4.3.5) for\n" +
				"all of its targets, so that the sender tries again for some days.",
			UsageText: "mailctl alias add info@example.org anna@example.org bill@example.org\nmailctl alias add @example.org anna@example.org"}, 2, -1, addAlias),
		c.verb(ctx, &cli.Command{Name: "list", Usage: "list the aliases",
			Description: "Columns: alias, targets (separated by commas), created. What stands in the aliases file, \"mailctl alias resolve\" shows.",
			Flags:       []cli.Flag{&cli.StringFlag{Name: "domain", Usage: "only those of `DOMAIN`"}},
			UsageText:   "mailctl alias list --domain example.org"}, 0, 0, listAliases),
		c.verb(ctx, &cli.Command{Name: "remove", Usage: "remove an alias, or some of its targets", ArgsUsage: "ALIAS [TARGET…]",
			Description: "Without targets the alias goes altogether, as it does with its last target.",
			UsageText:   "mailctl alias remove info@example.org\nmailctl alias remove info@example.org bill@example.org"}, 1, -1, removeAlias),
		c.verb(ctx, &cli.Command{Name: "resolve", Usage: "explain who gets the mail for an address", ArgsUsage: "ADDRESS",
			Description: "Shows each step as the daemon takes it: account, alias, the name without its subaddress, the aliases file (with the line),\n" +
				"catch-all. Columns: depth, address, step, what it leads to, where that stands. A suspended account\n" +
				"gets its mail, too. The exit code is 3 when nobody gets it. A name without a domain is one of this host.",
			UsageText: "mailctl alias resolve info+shop@example.org\nmailctl alias resolve root --json"}, 1, 1, resolveAlias),
	}}
}

// aliasView is an alias in JSON.
type aliasView struct {
	Alias   string     `json:"alias"`
	Targets []string   `json:"targets"`
	Created *time.Time `json:"created,omitempty"`
}

func texts(list []mail.Address) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.String()
	}
	return out
}

// aliasName reads the name of an alias, which may be a catch-all.
func aliasName(s string) (mail.Address, error) {
	domain, ok := strings.CutPrefix(s, "@")
	if !ok {
		return address(s)
	}
	name, err := domainName(domain)
	return mail.Address{Domain: name}, err
}

// shown is an address as people read it, on a terminal, and as it is kept elsewhere.
func (c *call) shown(a mail.Address) string {
	if c.form() == formTable {
		return a.Readable()
	}
	return a.String()
}

func (c *call) allShown(list []mail.Address) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = c.shown(a)
	}
	return out
}

// addresses reads all arguments as addresses: the alias, then its targets.
func (c *call) addresses() (alias mail.Address, targets []mail.Address, err error) {
	for i, arg := range c.Args().Slice() {
		a, err := aliasName(arg)
		switch {
		case err != nil:
			return alias, nil, err
		case i == 0:
			alias = a
		default:
			targets = append(targets, a)
		}
	}
	return alias, targets, nil
}

func addAlias(ctx context.Context, c *call) error {
	alias, targets, err := c.addresses()
	if err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	d, err := c.accounts(ctx, changing)
	if err != nil {
		return err
	}
	if err := d.AddAlias(ctx, alias, targets); err != nil {
		return err
	}
	c.note("%s leads to %s now", alias, strings.Join(texts(targets), ", "))
	r, err := d.Resolve(ctx, alias)
	if err != nil {
		return err
	}
	if len(r.Outside) > 0 {
		c.note("mail for it is put off as long as maild cannot send to other hosts: it leads to %s", strings.Join(texts(r.Outside), ", "))
	}
	return c.object(aliasView{Alias: alias.String(), Targets: texts(targets)})
}

func listAliases(ctx context.Context, c *call) error {
	domain := ""
	if c.IsSet("domain") {
		var err error
		if domain, err = domainName(c.String("domain")); err != nil {
			return err
		}
	}
	if err := c.open(); err != nil {
		return err
	}
	d, err := c.accounts(ctx, reading)
	if err != nil {
		return err
	}
	aliases, err := d.Aliases(ctx)
	if err != nil {
		return err
	}
	l := c.list(column{name: "alias"}, column{name: "targets", least: 16}, column{name: "created"})
	for _, a := range aliases {
		if domain != "" && a.Address.Domain != domain {
			continue
		}
		created := a.Created.UTC()
		row := []string{c.shown(a.Address), strings.Join(c.allShown(a.Targets), ","), c.moment(a.Created)}
		if err := l.add(row, aliasView{a.Address.String(), texts(a.Targets), &created}); err != nil {
			return err
		}
	}
	if l.count == 0 {
		c.note("there are no aliases: add one with \"mailctl alias add ALIAS TARGET\"")
	}
	return l.end()
}

func removeAlias(ctx context.Context, c *call) error {
	alias, targets, err := c.addresses()
	if err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	d, err := c.accounts(ctx, changing)
	if err != nil {
		return err
	}
	err = d.RemoveAlias(ctx, alias, targets...)
	if errors.Is(err, account.ErrNotFound) {
		return fmt.Errorf("%w: %s", err, aliasRemedy(ctx, d, alias.String()))
	}
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		c.note("alias %s is removed", alias)
	} else {
		c.note("%s leads no more to %s", alias, strings.Join(texts(targets), ", "))
	}
	return c.object(aliasView{Alias: alias.String(), Targets: texts(targets)})
}
