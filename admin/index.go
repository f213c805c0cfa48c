package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"maild/appliance/account"
	"maild/index"
)

func (c *call) indexCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "index", Usage: "the index of all mail", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "status", Usage: "show the state of the index",
			Description: "How much of the mail is indexed, how fresh that is, what is indexed, and what damaged indexes left behind. Nothing is changed or brought\nup to date. The exit code is 6 when the index is missing, damaged or not yet full.",
			UsageText:   "mailctl index status\nmailctl index status --json"}, 0, 0, indexStatus),
		c.verb(ctx, &cli.Command{Name: "rebuild", Usage: "read all mail again and mend the index", ArgsUsage: "[ACCOUNT…]",
			Description: "All mail is read again into a new index beside the old one, which then takes its place; for ACCOUNTs named, their rows are mended in\nplace. Mail is taken and searches are answered meanwhile. It may be interrupted at any point: then the old index stays.",
			UsageText:   "mailctl index rebuild\nmailctl index rebuild anna@example.org"}, 0, -1, indexRebuild),
		c.verifyCommand(ctx),
	}}
}

// indexView is the state of the index in JSON.
type indexView struct {
	Path     string   `json:"path"`
	State    string   `json:"state"` // good, filling, missing, damaged
	Followed bool     `json:"followed"`
	Schema   int      `json:"schema"`
	Messages int64    `json:"messages"`
	Accounts int64    `json:"accounts"`
	Folders  int64    `json:"folders"`
	Octets   int64    `json:"octets"`
	Headers  []string `json:"headers"`
	Body     bool     `json:"body"`
	Filled   bool     `json:"filled"`
	Total    int64    `json:"total"` // messages there are, while it is being filled
	// Written is when the index last changed; null where there is none.
	Written *time.Time `json:"written"`
	Aside   []string   `json:"set_aside"` // what is left of damaged indexes

	last *lastMailView // nil = there is none
}

// lookAtIndex reads the state of the index without changing anything. An error is one of rights, or of ctx.
func (c *call) lookAtIndex(ctx context.Context) (v indexView, problem string, err error) {
	o := c.indexOptions()
	o.ReadOnly = true
	v = indexView{Path: o.Path, State: "good", Headers: []string{}, Aside: []string{}}
	if v.Followed, err = c.daemonUp(); err != nil {
		return v, "", err
	}
	remedy := "\"mailctl index rebuild\" makes it anew"
	if v.Followed {
		remedy = "the daemon makes it anew by itself: see its log if that does not happen"
	}
	left, err := index.Wrecks(o.Path)
	if err != nil {
		return v, "", err
	}
	v.Aside = append(v.Aside, left...)
	ix, err := index.Open(ctx, o)
	var s index.Status
	if err == nil {
		s, err = ix.Status(ctx)
		if err == nil {
			v.last, err = lastMail(ctx, ix)
		}
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
	v.Body, v.Filled, v.Total = s.Body, s.Filled, s.Total
	v.Headers = append(v.Headers, s.Headers...)
	if written, err := lastWritten(o.Path); err == nil {
		written = written.UTC()
		v.Written = &written
	}
	if !v.Filled {
		v.State = "filling"
		problem = fmt.Sprintf("the index is being filled: %s so far", filledShare(v.Messages, v.Total))
		if !v.Followed {
			problem += ": the next search or \"mailctl index rebuild\" goes on"
		}
	}
	return v, problem, nil
}

// lastMail is the message that arrived last.
func lastMail(ctx context.Context, ix *index.Index) (last *lastMailView, err error) {
	err = ix.Search(ctx, index.Query{Sort: index.SortNewest, Limit: 1}, func(m index.Message) error {
		last = &lastMailView{m.Arrived.UTC(), m.Account, m.Folder, m.ID}
		return nil
	})
	return last, err
}

// indexedShare is how much of the mail is in the index, for people.
func (v *indexView) indexedShare() string {
	switch v.State {
	case "good":
		return "all messages"
	case "filling":
		return filledShare(v.Messages, v.Total)
	}
	return "nothing"
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
	written := ""
	if v.Written != nil {
		written = c.moment(*v.Written)
	}
	facts := []fact{
		{"index", v.Path},
		{"state", v.State},
		{"indexed", v.indexedShare()},
		{"kept", followed},
		{"last written", written},
		{"schema", fmt.Sprint(v.Schema)},
		{"messages", fmt.Sprint(v.Messages)},
		{"accounts", fmt.Sprint(v.Accounts)},
		{"folders", fmt.Sprint(v.Folders)},
		{"size", c.size(v.Octets)},
		{"more headers", strings.Join(v.Headers, ",")},
		{"text of messages", map[bool]string{true: "indexed", false: "not indexed"}[v.Body]},
	}
	for _, w := range v.Aside {
		facts = append(facts, fact{"set aside", w + " can be removed"})
	}
	err = c.facts(facts, v)
	if err == nil && problem != "" {
		err = &fault{code: ExitProblems, text: problem}
	}
	return err
}

// openFor opens the box and gives the accounts that the arguments name, which are there.
func (c *call) openFor(ctx context.Context) (names []string, err error) {
	if names, err = accountNames(c.Args().Slice()); err != nil {
		return nil, err
	}
	if err := c.open(); err != nil {
		return nil, err
	}
	return names, c.checkAccounts(ctx, names)
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
	names, err := c.openFor(ctx)
	if err != nil {
		return err
	}
	ix, err := index.Open(ctx, c.indexOptions())
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	c.box.index = ix
	show, done := c.progress("indexing")
	var r index.Report
	collect(longWork)
	if len(names) == 0 {
		r, err = ix.Rebuild(ctx, index.RebuildOptions{Progress: show})
	} else {
		r, err = ix.Reconcile(ctx, index.ReconcileOptions{Accounts: names, Force: true, Reparse: true, Progress: show})
	}
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
			return notFoundf("there is neither an account nor mail of %s: %s", name, accountRemedy(ctx, d, name))
		} else if err != nil {
			return err
		}
	}
	return nil
}
