package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"maild/appliance/account"
	"maild/appliance/mail"
)

func (c *call) domainCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "domain", Usage: "the domains this box takes mail for", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "add", Usage: "take mail for a domain", ArgsUsage: "DOMAIN",
			Description: "A name in any script is taken, and kept in its ASCII form. \"user add\" makes a new domain by itself.",
			UsageText:   "mailctl domain add example.org"}, 1, 1, addDomain),
		c.verb(ctx, &cli.Command{Name: "list", Usage: "list the domains",
			Description: "Columns: domain, accounts, aliases, created.",
			UsageText:   "mailctl domain list --json"}, 0, 0, listDomains),
		c.verb(ctx, &cli.Command{Name: "show", Usage: "show a domain: its accounts, aliases and mail", ArgsUsage: "DOMAIN",
			Description: "How much mail there is comes from the index, which is brought up to date first while no daemon runs.",
			UsageText:   "mailctl domain show example.org --json"}, 1, 1, showDomain),
		c.verb(ctx, &cli.Command{Name: "remove", Usage: "take no more mail for a domain", ArgsUsage: "DOMAIN",
			Description: "The domain must have no accounts and no aliases any more.",
			UsageText:   "mailctl domain remove example.org"}, 1, 1, removeDomain),
	}}
}

// domainName reads the name of a domain from the command line.
func domainName(s string) (string, error) {
	d, err := mail.ParseDomain(s)
	if err != nil {
		return "", usagef("%q is no domain name: %v: write one like example.org", s, err)
	}
	return d, nil
}

func addDomain(ctx context.Context, c *call) error {
	name, err := domainName(c.Args().First())
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
	if err := d.AddDomain(ctx, name); err != nil {
		return err
	}
	c.note("mail for %s is taken now: add accounts with \"mailctl user add NAME@%s\"", name, name)
	return c.object(struct {
		Domain string `json:"domain"`
	}{name})
}

// shownDomain is a domain as people read it, on a terminal, and as it is kept elsewhere.
func (c *call) shownDomain(name string) string {
	if c.form() == formTable {
		return mail.ReadableDomain(name)
	}
	return name
}

// domainView is a domain in JSON.
type domainView struct {
	Domain   string    `json:"domain"`
	Accounts int64     `json:"accounts"`
	Aliases  int64     `json:"aliases"`
	Created  time.Time `json:"created"`
}

func listDomains(ctx context.Context, c *call) error {
	if err := c.open(); err != nil {
		return err
	}
	d, err := c.accounts(ctx, reading)
	if err != nil {
		return err
	}
	domains, err := d.Domains(ctx)
	if err != nil {
		return err
	}
	l := c.list(column{name: "domain"}, column{name: "accounts", right: true}, column{name: "aliases", right: true}, column{name: "created"})
	for _, d := range domains {
		row := []string{c.shownDomain(d.Name), fmt.Sprint(d.Accounts), fmt.Sprint(d.Aliases), c.moment(d.Created)}
		if err := l.add(row, domainView{d.Name, d.Accounts, d.Aliases, d.Created.UTC()}); err != nil {
			return err
		}
	}
	if len(domains) == 0 {
		c.note("there are no domains yet: add one with \"mailctl domain add example.org\"")
	}
	return l.end()
}

func removeDomain(ctx context.Context, c *call) error {
	name, err := domainName(c.Args().First())
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
	err = d.RemoveDomain(ctx, name)
	if errors.Is(err, account.ErrNotFound) {
		return fmt.Errorf("%w: %s", err, domainRemedy(ctx, d, name))
	}
	if err != nil {
		return err
	}
	c.note("no more mail is taken for %s", name)
	return c.object(struct {
		Domain string `json:"domain"`
	}{name})
}
