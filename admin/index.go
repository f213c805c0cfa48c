package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"maild/appliance/account"
	"maild/index"
)

func (c *call) indexCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "index", Usage: "the index of all mail", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "status", Usage: "show the state of the index",
			Description: "Nothing is changed or brought up to date. The exit code is 6 when the index is missing or damaged.",
			UsageText:   "mailctl index status --json"}, 0, 0, indexStatus),
		c.verb(ctx, &cli.Command{Name: "rebuild", Usage: "read all mail again and mend the index", ArgsUsage: "[ACCOUNT…]",
			Description: "Every message file is read again, those of the accounts named or all, and its row is mended in place. Mail is taken and\nsearches are answered meanwhile. It may be interrupted at any point. A missing or damaged index is made anew.",
			UsageText:   "mailctl index rebuild\nmailctl index rebuild anna@example.org"}, 0, -1, indexRebuild),
	}}
}

// indexView is the state of the index in JSON.
type indexView struct {
	Path     string   `json:"path"`
	State    string   `json:"state"` // good, missing, damaged
	Followed bool     `json:"followed"`
	Schema   int      `json:"schema"`
	Messages int64    `json:"messages"`
	Accounts int64    `json:"accounts"`
	Folders  int64    `json:"folders"`
	Octets   int64    `json:"octets"`
	Headers  []string `json:"headers"`
}

// lookAtIndex reads the state of the index without changing anything. An error is one of rights, or of ctx.
func (c *call) lookAtIndex(ctx context.Context) (v indexView, problem string, err error) {
	o := c.indexOptions()
	o.ReadOnly = true
	v = indexView{Path: o.Path, State: "good", Headers: []string{}}
	if v.Followed, err = c.daemonUp(); err != nil {
		return v, "", err
	}
	remedy := "\"mailctl index rebuild\" makes it anew"
	if v.Followed {
		remedy = "the daemon makes it anew by itself: see its log if that does not happen"
	}
	ix, err := index.Open(ctx, o)
	var s index.Status
	if err == nil {
		s, err = ix.Status(ctx)
		err = errors.Join(err, ix.Close())
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.State = "missing"
		return v, fmt.Sprintf("the index %s does not exist: %s", o.Path, remedy), nil
	case errors.Is(err, fs.ErrPermission), ctx.Err() != nil:
		return v, "", err
	case err != nil:
		v.State = "damaged"
		return v, fmt.Sprintf("the index %s cannot be used: %v: %s", o.Path, err, remedy), nil
	}
	v.Schema, v.Messages, v.Accounts, v.Folders, v.Octets = s.SchemaVersion, s.Messages, s.Accounts, s.Folders, s.Octets
	if s.Headers != nil {
		v.Headers = s.Headers
	}
	return v, "", nil
}

func indexStatus(ctx context.Context, c *call) error {
	if err := c.open(); err != nil {
		return err
	}
	v, problem, err := c.lookAtIndex(ctx)
	if err != nil {
		return err
	}
	followed := "no daemon runs: the next search brings it up to date"
	if v.Followed {
		followed = "the daemon keeps it up to date"
	}
	err = c.facts([]fact{
		{"index", v.Path},
		{"state", v.State},
		{"kept", followed},
		{"schema", fmt.Sprint(v.Schema)},
		{"messages", fmt.Sprint(v.Messages)},
		{"accounts", fmt.Sprint(v.Accounts)},
		{"folders", fmt.Sprint(v.Folders)},
		{"size", c.size(v.Octets)},
		{"more headers", strings.Join(v.Headers, ",")},
	}, v)
	if err == nil && problem != "" {
		err = &fault{code: ExitProblems, text: problem}
	}
	return err
}

// rebuildView is what a rebuild found, in JSON.
type rebuildView struct {
	Scanned int64   `json:"scanned"`
	Added   int64   `json:"added"`
	Changed int64   `json:"changed"`
	Removed int64   `json:"removed"`
	Failed  int64   `json:"failed"`
	Seconds float64 `json:"seconds"`
}

func indexRebuild(ctx context.Context, c *call) error {
	var names []string
	for _, arg := range c.Args().Slice() {
		a, err := address(arg)
		if err != nil {
			return err
		}
		names = append(names, strings.ToLower(a.Local)+"@"+a.Domain)
	}
	if err := c.open(); err != nil {
		return err
	}
	if err := c.checkAccounts(ctx, names); err != nil {
		return err
	}
	ix, err := index.Open(ctx, c.indexOptions())
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	c.box.index = ix
	show, done := c.progress()
	r, err := ix.Reconcile(ctx, index.ReconcileOptions{Accounts: names, Force: true, Reparse: true, Progress: show})
	done()
	if err != nil {
		return err
	}
	v := rebuildView{r.Scanned, r.Added, r.Changed, r.Removed, r.Failed, r.Elapsed.Seconds()}
	err = c.facts([]fact{
		{"scanned", fmt.Sprint(v.Scanned)},
		{"added", fmt.Sprint(v.Added)},
		{"changed", fmt.Sprint(v.Changed)},
		{"removed", fmt.Sprint(v.Removed)},
		{"failed", fmt.Sprint(v.Failed)},
		{"seconds", fmt.Sprintf("%.2f", v.Seconds)},
	}, v)
	if err == nil && r.Failed > 0 {
		err = &fault{code: ExitFailed, text: fmt.Sprintf("%d message files cannot be read: see above, and mend their rights", r.Failed)}
	}
	return err
}

// checkAccounts sees that accounts named on the command line exist: on disk, or in accounts.db at least.
func (c *call) checkAccounts(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	onDisk, err := c.mail().Accounts(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.Contains(onDisk, name) {
			continue
		}
		a, err := address(name)
		if err != nil {
			return err
		}
		d, err := c.accounts(ctx, reading)
		if err != nil {
			return err
		}
		if _, err := d.Account(ctx, a); errors.Is(err, account.ErrNotFound) {
			return notFoundf("there is neither an account nor mail of %s: see \"mailctl user list\"", name)
		} else if err != nil {
			return err
		}
	}
	return nil
}
