package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"maild/appliance/account"
)

func (c *call) appPasswordCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "app-password", Usage: "passwords of single programs and devices", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "add", Usage: "make a password for one program or device", ArgsUsage: "ACCOUNT NAME",
			Description: "The password is printed, this once, and works beside the account's own. It stays when that is changed, and can be removed\n" +
				"alone when the device is lost. An account without a password of its own can have some, too.",
			UsageText: "mailctl user app-password add anna@example.org \"Anna's phone\""}, 2, 2, addAppPassword),
		c.verb(ctx, &cli.Command{Name: "list", Usage: "list the app passwords of an account", ArgsUsage: "ACCOUNT",
			Description: "Columns: name, created, last used (to the hour; empty when never).",
			UsageText:   "mailctl user app-password list anna@example.org"}, 1, 1, listAppPasswords),
		c.verb(ctx, &cli.Command{Name: "remove", Usage: "make an app password useless", ArgsUsage: "ACCOUNT NAME",
			Description: "It stops at once; who is logged in with it stays so until the connection ends. NAME is one that \"user app-password list\" shows.",
			UsageText:   "mailctl user app-password remove anna@example.org \"Anna's phone\""}, 2, 2, removeAppPassword),
	}}
}

// appPasswordView is an app password in JSON.
type appPasswordView struct {
	Name    string     `json:"name"`
	Created time.Time  `json:"created"`
	Used    *time.Time `json:"used"` // null: never
}

func viewAppPasswords(list []account.AppPassword) []appPasswordView {
	views := make([]appPasswordView, len(list))
	for i, p := range list {
		views[i] = appPasswordView{Name: p.Name, Created: p.Created}
		if !p.Used.IsZero() {
			views[i].Used = &p.Used
		}
	}
	return views
}

// appPasswordNames lists them for "user show", on a terminal with the time of their last use.
func (c *call) appPasswordNames(list []account.AppPassword) string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.Name
		if c.form() != formTable {
			continue
		}
		used := "never used"
		if !p.Used.IsZero() {
			used = "used " + c.shortMoment(p.Used)
		}
		names[i] += " (" + used + ")"
	}
	return strings.Join(names, ", ")
}

// appPasswordDone is what the commands that change them give in JSON.
type appPasswordDone struct {
	Account  string `json:"account"`
	Name     string `json:"name"`
	Password string `json:"password,omitempty"`
}

func addAppPassword(ctx context.Context, c *call) error {
	a, d, err := c.openUser(ctx, changing)
	if err != nil {
		return err
	}
	u, err := existing(ctx, d, a)
	if err != nil {
		return err
	}
	name := c.Args().Get(1)
	password, err := d.AddAppPassword(ctx, u.Address, name)
	if err != nil {
		return err
	}
	if c.form() == formJSON {
		err = c.object(appPasswordDone{u.Name(), name, password})
	} else {
		_, err = fmt.Fprintln(c.out, password)
	}
	c.note("%s can log in with this as %q: it is not shown again", u.Name(), name)
	if u.Suspended {
		c.note("%s is suspended: \"mailctl user resume\" lets it log in again", u.Name())
	}
	return err
}

func listAppPasswords(ctx context.Context, c *call) error {
	a, d, err := c.openUser(ctx, reading)
	if err != nil {
		return err
	}
	u, err := existing(ctx, d, a)
	if err != nil {
		return err
	}
	apps, err := d.AppPasswords(ctx, u.Address)
	if err != nil {
		return err
	}
	l := c.list(column{name: "name"}, column{name: "created"}, column{name: "last used"})
	for i, v := range viewAppPasswords(apps) {
		if err := l.add([]string{v.Name, c.moment(v.Created), c.moment(apps[i].Used)}, v); err != nil {
			return err
		}
	}
	if len(apps) == 0 {
		c.note("%s has no app passwords: make one with \"mailctl user app-password add %s NAME\"", u.Name(), u.Name())
	}
	return l.end()
}

func removeAppPassword(ctx context.Context, c *call) error {
	a, d, err := c.openUser(ctx, changing)
	if err != nil {
		return err
	}
	u, err := existing(ctx, d, a)
	if err != nil {
		return err
	}
	name := c.Args().Get(1)
	if err := d.RemoveAppPassword(ctx, u.Address, name); err != nil {
		return fmt.Errorf("%w: see \"mailctl user app-password list %s\"", err, u.Name())
	}
	c.note("nobody can log in as %s with %q any more; sessions that are open stay", u.Name(), name)
	return c.object(appPasswordDone{Account: u.Name(), Name: name})
}
