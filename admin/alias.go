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
			Description: "The targets are accounts or other aliases of this box. An alias that exists gets more targets.",
			UsageText:   "mailctl alias add info@example.org anna@example.org bill@example.org"}, 2, -1, addAlias),
		c.verb(ctx, &cli.Command{Name: "list", Usage: "list the aliases",
			Description: "Columns: alias, targets (separated by commas), created.",
			Flags:       []cli.Flag{&cli.StringFlag{Name: "domain", Usage: "only those of `DOMAIN`"}},
			UsageText:   "mailctl alias list --domain example.org"}, 0, 0, listAliases),
		c.verb(ctx, &cli.Command{Name: "remove", Usage: "remove an alias, or some of its targets", ArgsUsage: "ALIAS [TARGET…]",
			Description: "Without targets the alias goes altogether, as it does with its last target.",
			UsageText:   "mailctl alias remove info@example.org\nmailctl alias remove info@example.org bill@example.org"}, 1, -1, removeAlias),
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

// addresses reads all arguments as addresses: the alias, then its targets.
func (c *call) addresses() (alias mail.Address, targets []mail.Address, err error) {
	for i, arg := range c.Args().Slice() {
		a, err := address(arg)
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
		targets, created := texts(a.Targets), a.Created.UTC()
		row := []string{a.Address.String(), strings.Join(targets, ","), c.moment(a.Created)}
		if err := l.add(row, aliasView{a.Address.String(), targets, &created}); err != nil {
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
