package admin

import (
	"context"
	"fmt"
	"strings"

	"maild/appliance/account"
	"maild/maildir"
)

// userDetail is what "user show" gives in JSON.
type userDetail struct {
	userView
	Maildir  string   `json:"maildir"`
	Aliases  []string `json:"aliases"`  // a catch-all is "@example.org"
	Messages *int64   `json:"messages"` // null when the index does not answer
	Octets   *int64   `json:"octets"`

	AppPasswords []appPasswordView `json:"app_passwords"`
	Percent      *int              `json:"quota_percent"` // null where there is no limit, too
}

func showUser(ctx context.Context, c *call) error {
	a, d, err := c.openUser(ctx, reading)
	if err != nil {
		return err
	}
	u, err := existing(ctx, d, a)
	if err != nil {
		return err
	}
	v := userDetail{userView: c.viewUser(u)}
	if v.Maildir, err = c.mail().Path(u.Name()); err != nil {
		return err
	}
	if v.Aliases, err = aliasesOf(ctx, d, u); err != nil {
		return err
	}
	apps, err := d.AppPasswords(ctx, u.Address)
	if err != nil {
		return err
	}
	v.AppPasswords = viewAppPasswords(apps)
	messages, size, percent := "unknown", "unknown", ""
	if n, octets, err := c.usage(ctx, u.Name()); err != nil {
		c.note("how much mail there is cannot be told: %s", explain(err, c.owner()))
	} else {
		v.Messages, v.Octets = &n, &octets
		messages, size = fmt.Sprint(n), c.size(octets)
		if q := c.quotaOf(u); !q.IsNone() {
			p := q.Percent(maildir.Size{Octets: octets, Messages: n})
			v.Percent, percent = &p, c.percent(&p)
		}
	}
	return c.facts([]fact{
		{"account", c.shown(u.Address)},
		{"state", v.State},
		{"maildir", v.Maildir},
		{"messages", messages},
		{"size", size},
		{"quota", c.limit(v.QuotaOctets, c.size)},
		{"quota messages", c.limit(v.QuotaMessages, nil)},
		{"quota percent", percent},
		{"aliases", strings.Join(v.Aliases, ",")},
		{"app passwords", c.appPasswordNames(apps)},
		{"created", c.moment(v.Created)},
	}, v)
}

// usage is what an account holds, by the index.
func (c *call) usage(ctx context.Context, name string) (messages, octets int64, err error) {
	ix, err := c.search(ctx)
	if err != nil {
		return 0, 0, err
	}
	return ix.Usage(ctx, name)
}

// aliasesOf lists the aliases whose mail reaches an account, at any depth.
func aliasesOf(ctx context.Context, d *account.Directory, u account.Account) ([]string, error) {
	aliases, err := d.Aliases(ctx)
	if err != nil {
		return nil, err
	}
	list := []string{}
	for _, a := range aliases {
		r, err := d.Resolve(ctx, a.Address)
		if err != nil {
			return nil, err
		}
		for _, to := range r.Accounts {
			if to.Name() == u.Name() {
				list = append(list, a.Address.String())
			}
		}
	}
	return list, nil
}
