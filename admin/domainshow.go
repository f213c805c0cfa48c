package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"maild/appliance/account"
)

// domainDetail is what "domain show" gives in JSON.
type domainDetail struct {
	domainView
	CatchAll []string `json:"catch_all"` // who gets what no other name does; [] = nobody
	Messages *int64   `json:"messages"`  // of its accounts; null when the index does not answer
	Octets   *int64   `json:"octets"`
}

func showDomain(ctx context.Context, c *call) error {
	name, err := domainName(c.Args().First())
	if err != nil {
		return err
	}
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
	i := slices.IndexFunc(domains, func(d account.Domain) bool { return d.Name == name })
	if i < 0 {
		return fmt.Errorf("domain %s %w: see \"mailctl domain list\"", name, account.ErrNotFound)
	}
	n := domains[i]
	v := domainDetail{domainView: domainView{n.Name, n.Accounts, n.Aliases, n.Created.UTC()}, CatchAll: []string{}}
	catchAll := ""
	aliases, err := d.Aliases(ctx)
	if err != nil {
		return err
	}
	for _, a := range aliases {
		if a.Address.Domain == name && a.Address.Local == "" {
			v.CatchAll, catchAll = texts(a.Targets), strings.Join(c.allShown(a.Targets), ",")
		}
	}
	messages, size := "unknown", "unknown"
	if total, octets, err := c.domainUsage(ctx, d, name); err != nil {
		c.note("how much mail there is cannot be told: %s", explain(err, c.owner()))
	} else {
		v.Messages, v.Octets = &total, &octets
		messages, size = fmt.Sprint(total), c.size(octets)
	}
	return c.facts([]fact{
		{"domain", c.shownDomain(v.Domain)},
		{"accounts", fmt.Sprint(v.Accounts)},
		{"aliases", fmt.Sprint(v.Aliases)},
		{"catch-all", catchAll},
		{"messages", messages},
		{"size", size},
		{"created", c.moment(v.Created)},
	}, v)
}

// domainUsage is what the accounts of a domain hold, by the index.
func (c *call) domainUsage(ctx context.Context, d *account.Directory, domain string) (messages, octets int64, err error) {
	users, err := d.Accounts(ctx, account.Filter{Domain: domain})
	if err != nil {
		return 0, 0, err
	}
	for _, u := range users {
		n, o, err := c.usage(ctx, u.Name())
		if err != nil {
			return 0, 0, err
		}
		messages, octets = messages+n, octets+o
	}
	return messages, octets, nil
}
