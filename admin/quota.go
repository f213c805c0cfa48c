package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/urfave/cli/v2"

	"maild/appliance/account"
	"maild/appliance/config"
	"maild/appliance/delivery"
	"maild/appliance/store"
	"maild/maildir"
)

func (c *call) quotaCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "quota", Usage: "how much mail accounts hold, and may hold", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "list", Usage: "list what each account holds and may hold",
			Description: "Columns: account, size, its limit, how full in per cent, messages, their limit. All folders count. 0 is no limit.",
			Flags: []cli.Flag{&cli.IntFlag{Name: "over", Usage: "only accounts that are at least `PERCENT` full"},
				&cli.StringFlag{Name: "domain", Usage: "only those of `DOMAIN`"}},
			UsageText: "mailctl quota list --over 80\nmailctl quota list --json"}, 0, 0, listQuotas),
		c.verb(ctx, &cli.Command{Name: "show", Usage: "show the quota of an account", ArgsUsage: "ACCOUNT",
			Description: "What the account holds, its limits, and whether they are its own or the default of the configuration.",
			UsageText:   "mailctl quota show anna@example.org"}, 1, 1, showQuota),
		c.verb(ctx, &cli.Command{Name: "set", Usage: "give an account limits of its own", ArgsUsage: "ACCOUNT",
			Description: "A limit is a number, none, or default: what [quota] of the configuration says. It counts from the next message on. Mail that is there\nstays, whatever the limit.",
			Flags: []cli.Flag{&cli.StringFlag{Name: "octets", Usage: "`SIZE` of all mail, as in 2GiB or 500MB, none, default"},
				&cli.StringFlag{Name: "messages", Usage: "`NUMBER` of messages, none, default"}},
			UsageText: "mailctl quota set anna@example.org --octets 2GiB\nmailctl quota set anna@example.org --octets default --messages none"}, 1, 1, setQuota),
		c.verb(ctx, &cli.Command{Name: "recalc", Usage: "add up the files and write maildirsize anew", ArgsUsage: "[ACCOUNT…]",
			Description: "maildirsize tells Courier and Dovecot of the limits and of what is used. It is removed where an account has no limit. The daemon keeps it\nright by itself; this is for after changes by hand.",
			UsageText:   "mailctl quota recalc\nmailctl quota recalc anna@example.org"}, 0, -1, recalcQuotas),
		c.verb(ctx, &cli.Command{Name: "verify", Usage: "hold index, files and maildirsize against each other", ArgsUsage: "[ACCOUNT…]",
			Description: "Columns: account, result, then size and messages by the index, by the files, and by maildirsize. maildirsize counts where an account has\na limit. Mail may come and go meanwhile: a difference counts when it lasts. The exit code is 6 when there is one.",
			UsageText:   "mailctl quota verify\nmailctl quota verify anna@example.org --json"}, 0, -1, verifyQuotas),
	}}
}

// quotaOf is what holds for an account.
func (c *call) quotaOf(a account.Account) store.Quota {
	return delivery.QuotaOf(c.box.cfg.Quota).For(a)
}

// quotaView is what an account holds and may hold, in JSON. A limit of 0 is none.
type quotaView struct {
	Account         string `json:"account"`
	Octets          int64  `json:"octets"`
	LimitOctets     int64  `json:"limit_octets"`
	OctetsSetting   string `json:"octets_setting"` // default, none, or the number of LimitOctets
	Messages        int64  `json:"messages"`
	LimitMessages   int64  `json:"limit_messages"`
	MessagesSetting string `json:"messages_setting"`
	Percent         *int   `json:"percent"` // null where there is no limit
}

func (c *call) viewQuota(a account.Account, used maildir.Size) quotaView {
	q := c.quotaOf(a)
	v := quotaView{a.Name(), used.Octets, q.Limit.Octets, a.Quota.Octets.String(), used.Messages, q.Limit.Messages, a.Quota.Messages.String(), nil}
	if !q.IsNone() {
		p := q.Percent(used)
		v.Percent = &p
	}
	return v
}

// percent is how full an account is, nothing where it has no limit.
func (c *call) percent(p *int) string {
	switch {
	case p == nil:
		return ""
	case c.form() == formTable:
		return fmt.Sprintf("%d %%", *p)
	}
	return strconv.Itoa(*p)
}

func listQuotas(ctx context.Context, c *call) error {
	if n := c.Int("over"); c.IsSet("over") && n < 0 {
		return usagef("--over %d is no share: write a number of per cent, such as 80", n)
	}
	accounts, err := c.chosenUsers(ctx)
	if err != nil {
		return err
	}
	ix, err := c.search(ctx)
	if err != nil {
		return err
	}
	used, err := ix.Usages(ctx)
	if err != nil {
		return err
	}
	if err := c.tellState(ctx, ix); err != nil {
		return err
	}
	l := c.list(column{name: "account", least: 12}, column{name: "size", right: true}, column{name: "limit", right: true}, column{name: "full", right: true},
		column{name: "messages", right: true}, column{name: "limit", right: true})
	for _, a := range accounts {
		u := used[a.Name()]
		v := c.viewQuota(a, maildir.Size{Octets: u.Octets, Messages: u.Messages})
		if c.IsSet("over") && (v.Percent == nil || *v.Percent < c.Int("over")) {
			continue
		}
		row := []string{v.Account, c.size(v.Octets), c.limit(v.LimitOctets, c.size), c.percent(v.Percent), fmt.Sprint(v.Messages), c.limit(v.LimitMessages, nil)}
		if err := l.add(row, v); err != nil {
			return err
		}
	}
	if l.count == 0 && c.IsSet("over") {
		c.note("no account is as full as that")
	}
	return l.end()
}

// quotaDetail is what "quota show" gives in JSON.
type quotaDetail struct {
	quotaView
	Grace   int64  `json:"grace_octets"`
	Over    string `json:"over"` // temporary or permanent
	Warned  int    `json:"warned_percent"`
	SizeOf  *int64 `json:"maildirsize_octets"` // null where there is no such file, or it cannot be understood
	CountOf *int64 `json:"maildirsize_messages"`
}

func showQuota(ctx context.Context, c *call) error {
	a, d, err := c.openUser(ctx, reading)
	if err != nil {
		return err
	}
	u, err := existing(ctx, d, a)
	if err != nil {
		return err
	}
	n, octets, err := c.usage(ctx, u.Name())
	if err != nil {
		return err
	}
	if err := c.tellState(ctx, c.box.index); err != nil {
		return err
	}
	cfg := c.box.cfg.Quota
	v := quotaDetail{quotaView: c.viewQuota(u, maildir.Size{Octets: octets, Messages: n}), Grace: int64(cfg.Grace), Over: cfg.Over, Warned: u.WarnedPercent}
	file, size, err := c.sizeFile(u.Name())
	if err != nil {
		return err
	}
	if file == "there" {
		v.SizeOf, v.CountOf = &size.Total.Octets, &size.Total.Messages
		file = c.size(size.Total.Octets) + ", " + counted(size.Total.Messages, "message")
	}
	return c.facts([]fact{
		{"account", v.Account},
		{"size", c.size(v.Octets)},
		{"limit", c.limit(v.LimitOctets, c.size)},
		{"limit set to", v.OctetsSetting},
		{"messages", fmt.Sprint(v.Messages)},
		{"limit messages", c.limit(v.LimitMessages, nil)},
		{"limit messages set to", v.MessagesSetting},
		{"full", c.percent(v.Percent)},
		{"warned at", c.percent(&v.Warned)},
		{"grace", c.size(v.Grace)},
		{"when full", v.Over},
		{"maildirsize", file},
	}, v)
}

// sizeFile reads the maildirsize of an account: it is "there", or what is wrong with it.
func (c *call) sizeFile(name string) (state string, f maildir.SizeFile, err error) {
	err = c.mail().Use(name, false, func(t *maildir.Tree) error {
		f, err = t.SizeFile()
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "none", f, nil
	case errors.Is(err, maildir.ErrSizeFile):
		return "damaged", f, nil
	}
	return "there", f, err
}

func setQuota(ctx context.Context, c *call) error {
	octets, err := c.octetsLimit()
	if err != nil {
		return err
	}
	messages, err := c.messagesLimit()
	if err != nil {
		return err
	}
	if octets == nil && messages == nil {
		return usagef("name a limit: write --octets SIZE, --messages NUMBER, or both")
	}
	a, d, err := c.openUser(ctx, changing)
	if err != nil {
		return err
	}
	if _, err := existing(ctx, d, a); err != nil {
		return err
	}
	u, err := d.SetQuota(ctx, a, octets, messages)
	if err != nil {
		return err
	}
	n, used, uerr := c.usage(ctx, u.Name())
	if _, _, err := c.rewriteSizeFile(u); err != nil {
		return fmt.Errorf("the limits of %s are set, but maildirsize is not written: %w: \"mailctl quota recalc %s\" does it", u.Name(), err, u.Name())
	}
	q := c.quotaOf(u)
	c.note("%s may hold %s and %s", u.Name(), mayHold(q.Limit.Octets, "octet"), mayHold(q.Limit.Messages, "message"))
	if uerr != nil {
		c.note("how much mail there is cannot be told: %s", explain(uerr, c.owner()))
	} else if have := (maildir.Size{Octets: used, Messages: n}); !q.Takes(have, maildir.Size{Messages: 1}) {
		c.note("it is full: it holds %s in %s, which stay, and no more mail is taken", counted(used, "octet"), counted(n, "message"))
	}
	return c.object(c.viewQuota(u, maildir.Size{Octets: used, Messages: n}))
}

// mayHold is a limit in a sentence.
func mayHold(n int64, of string) string {
	if n == 0 {
		return "any number of " + of + "s"
	}
	return counted(n, of)
}

// counted is a number of things.
func counted(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// octetsLimit reads --octets, nil when it is not given.
func (c *call) octetsLimit() (*account.Limit, error) {
	return c.quotaLimit("octets", func(s string) (int64, error) {
		o, err := config.ParseOctets(s)
		return int64(o), err
	})
}

// messagesLimit reads --messages.
func (c *call) messagesLimit() (*account.Limit, error) {
	return c.quotaLimit("messages", func(s string) (int64, error) {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%q is no number of messages: write one like 10000", s)
		}
		return n, nil
	})
}

func (c *call) quotaLimit(flag string, parse func(string) (int64, error)) (*account.Limit, error) {
	limit := account.DefaultLimit
	switch s := c.String(flag); {
	case !c.IsSet(flag):
		return nil, nil
	case s == "default":
	case s == "none":
		limit = account.NoLimit
	default:
		n, err := parse(s)
		switch {
		case err != nil:
			return nil, usagef("--%s: %v, or none, or default", flag, err)
		case n == 0:
			return nil, usagef("--%s 0 would take no mail at all: write none for no limit", flag)
		}
		limit = account.Limit(n)
	}
	return &limit, nil
}

// rewriteSizeFile adds up an account's files and writes its maildirsize, or removes that where there is no limit. An account that has no mail yet has no
// such file.
func (c *call) rewriteSizeFile(u account.Account) (state string, size maildir.Size, err error) {
	q := c.quotaOf(u)
	state = "written"
	err = c.mail().Use(u.Name(), false, func(t *maildir.Tree) error {
		if q.IsNone() {
			state = "no limit"
			return t.RemoveSizeFile()
		}
		return t.WriteSize(q.Limit, func() (maildir.Size, error) {
			size, err = t.Size(maildir.ByName, nil)
			return size, err
		})
	})
	if errors.Is(err, fs.ErrNotExist) {
		return "no mail", size, nil
	}
	return state, size, err
}
