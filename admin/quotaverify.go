package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"maild/appliance/account"
	"maild/index"
	"maild/maildir"
)

// chosenAccounts are the accounts that are named on the command line, all when none is.
func (c *call) chosenAccounts(ctx context.Context, d *account.Directory) ([]account.Account, error) {
	if c.NArg() == 0 {
		return d.Accounts(ctx, account.Filter{})
	}
	var list []account.Account
	for _, arg := range c.Args().Slice() {
		a, err := address(arg)
		if err != nil {
			return nil, err
		}
		u, err := existing(ctx, d, a)
		if err != nil {
			return nil, err
		}
		list = append(list, u)
	}
	return list, nil
}

// openChosen opens the accounts and gives those that are meant.
func (c *call) openChosen(ctx context.Context) ([]account.Account, error) {
	if _, err := accountNames(c.Args().Slice()); err != nil {
		return nil, err
	}
	if err := c.open(); err != nil {
		return nil, err
	}
	d, err := c.accounts(ctx, reading)
	if err != nil {
		return nil, err
	}
	return c.chosenAccounts(ctx, d)
}

// recalcView is one account of a recalc in JSON.
type recalcView struct {
	Account  string `json:"account"`
	State    string `json:"state"` // written; no limit, and so no maildirsize; no mail, and so no Maildir; failed
	Octets   int64  `json:"octets"`
	Messages int64  `json:"messages"`
}

func recalcQuotas(ctx context.Context, c *call) error {
	accounts, err := c.openChosen(ctx)
	if err != nil {
		return err
	}
	l := c.list(column{name: "account"}, column{name: "state"}, column{name: "size", right: true}, column{name: "messages", right: true})
	failed := 0
	var first error
	for _, u := range accounts {
		if err := ctx.Err(); err != nil {
			return errors.Join(l.end(), err)
		}
		state, size, err := c.rewriteSizeFile(u)
		if err != nil {
			state = "failed"
			failed++
			first = errors.Join(first, fmt.Errorf("%w: see what stands in its place", err))
		}
		if err := l.add([]string{u.Name(), state, c.size(size.Octets), fmt.Sprint(size.Messages)}, recalcView{u.Name(), state, size.Octets, size.Messages}); err != nil {
			return err
		}
	}
	if err := l.end(); err != nil {
		return err
	}
	switch {
	case failed > 0 && failed < len(accounts):
		return &fault{code: ExitPartial, err: first}
	case failed > 0:
		return first
	}
	return nil
}

// sizeView is a size in JSON.
type sizeView struct {
	Octets   int64 `json:"octets"`
	Messages int64 `json:"messages"`
}

// agreementView is one account of a verify in JSON.
type agreementView struct {
	Account     string    `json:"account"`
	Result      string    `json:"result"` // ok, or what differs
	Index       sizeView  `json:"index"`
	Files       sizeView  `json:"files"`
	Maildirsize *sizeView `json:"maildirsize"` // null when there is none, or it cannot be understood
}

const (
	// agreePatience is how long a difference must last to count: what has just changed is on its way into the index.
	agreePatience = 2 * time.Second
	agreePoll     = 100 * time.Millisecond
)

func verifyQuotas(ctx context.Context, c *call) error {
	accounts, err := c.openChosen(ctx)
	if err != nil {
		return err
	}
	ix, err := c.search(ctx)
	if err != nil {
		return err
	}
	if err := c.tellState(ctx, ix); err != nil {
		return err
	}
	l := c.list(column{name: "account", least: 12}, column{name: "result", least: 12}, column{name: "index", right: true}, column{name: "messages", right: true},
		column{name: "files", right: true}, column{name: "messages", right: true}, column{name: "maildirsize", right: true}, column{name: "messages", right: true})
	differ := 0
	for _, u := range accounts {
		v, err := c.agreement(ctx, ix, u)
		if err != nil {
			return err
		}
		row := []string{v.Account, v.Result, c.size(v.Index.Octets), fmt.Sprint(v.Index.Messages), c.size(v.Files.Octets), fmt.Sprint(v.Files.Messages), "", ""}
		if v.Maildirsize != nil {
			row[6], row[7] = c.size(v.Maildirsize.Octets), fmt.Sprint(v.Maildirsize.Messages)
		}
		if v.Result != agreed {
			differ++
		}
		if err := l.add(row, v); err != nil {
			return err
		}
	}
	if err := l.end(); err != nil {
		return err
	}
	if differ > 0 {
		return &fault{code: ExitProblems, text: fmt.Sprintf("accounts that differ: %d of %d: \"mailctl quota recalc\" writes maildirsize anew, and \"mailctl index verify --repair\" mends the index", differ, len(accounts))}
	}
	return nil
}

// agreed is the result where nothing differs.
const agreed = "ok"

// agreement looks at an account until everything agrees, or does not for a while.
func (c *call) agreement(ctx context.Context, ix *index.Index, u account.Account) (agreementView, error) {
	for deadline := time.Now().Add(agreePatience); ; {
		v, err := c.agreementNow(ctx, ix, u)
		if err != nil || v.Result == agreed || time.Now().After(deadline) {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(agreePoll):
		}
	}
}

func (c *call) agreementNow(ctx context.Context, ix *index.Index, u account.Account) (agreementView, error) {
	v := agreementView{Account: u.Name(), Result: agreed}
	n, octets, err := ix.Usage(ctx, u.Name())
	if err != nil {
		return v, err
	}
	v.Index = sizeView{octets, n}
	var byFile, byName maildir.Size
	err = c.mail().Use(u.Name(), false, func(t *maildir.Tree) (err error) {
		if byFile, err = t.Size(maildir.ByFile, nil); err == nil {
			byName, err = t.Size(maildir.ByName, nil)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return v, err
	}
	missing := err != nil
	v.Files = sizeView(byFile)
	state, f, err := c.sizeFile(u.Name())
	if err != nil {
		return v, err
	}
	if state == "there" {
		v.Maildirsize = &sizeView{f.Total.Octets, f.Total.Messages}
	}
	q := c.quotaOf(u)
	switch limited := !q.IsNone() && !missing; {
	case v.Index != v.Files:
		v.Result = "the index differs"
	case limited && state != "there":
		v.Result = "maildirsize: " + state
	case limited && f.Limit != q.Limit:
		v.Result = "maildirsize has another limit"
	// Names may tell another size than files have, as those of compressed mail do.
	case limited && f.Total != byFile && f.Total != byName:
		v.Result = "maildirsize differs"
	}
	return v, nil
}
