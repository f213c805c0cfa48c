package admin

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"maild/appliance/account"
	"maild/appliance/mail"
	"maild/appliance/process"
)

// renameLock is held by the one mailctl that renames.
const renameLock = "rename.lock"

// renamedView is what "user rename" gives in JSON.
type renamedView struct {
	Account   string `json:"account"`
	From      string `json:"from"`
	KeptAlias bool   `json:"kept_alias"`
	Maildir   string `json:"maildir"`
	Followed  int    `json:"followed"` // messages that came to the old name meanwhile
	NewDomain string `json:"new_domain,omitempty"`
}

// renameUser moves the mail first and then says so in accounts.db: until then the daemon delivers to the old name, in a new tree if need be,
// which is emptied into the other one in the end. The daemon takes back what it commits later than that.
func renameUser(ctx context.Context, c *call) error {
	to, err := address(c.Args().Get(1))
	if err != nil {
		return err
	}
	from, d, err := c.openUser(ctx, changing)
	if err != nil {
		return err
	}
	// One at a time: another that finished the same one meanwhile would have let the old name go.
	lock, err := process.TakeLock(filepath.Join(c.box.cfg.DataDir, renameLock))
	if errors.Is(err, process.ErrLocked) {
		return fmt.Errorf("another \"mailctl user rename\" is at work: %w: wait for it to end", err)
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	r, err := d.BeginRename(ctx, from, to, c.Bool("keep-alias"))
	if errors.Is(err, account.ErrNotFound) {
		return fmt.Errorf("%w: see \"mailctl user list\"", err)
	}
	if err != nil {
		return err
	}
	old, next := account.Account{Address: r.From}.Name(), account.Account{Address: r.To}.Name()
	v := renamedView{Account: next, From: old, KeptAlias: r.KeepAlias}
	if v.Maildir, err = c.mail().Path(next); err != nil {
		return err
	}
	if r.Resumed {
		c.note("the renaming of %s was begun before and goes on", old)
	}
	if !r.Committed {
		newDomain, err := c.moveAccount(ctx, d, r, old, next)
		if err != nil {
			return err
		}
		if newDomain {
			v.NewDomain = r.To.Domain
			c.note("mail for the new domain %s is taken now", r.To.Domain)
		}
	}
	if v.Followed, err = c.mail().Absorb(ctx, old, next); err != nil {
		return fmt.Errorf("account %s is renamed to %s, but not all of its mail has followed: %w: run the same command again", old, next, err)
	}
	if err := d.EndRename(ctx, r); err != nil {
		return err
	}
	c.note("account %s is %s now; its mail is in %s", old, next, v.Maildir)
	if r.KeepAlias {
		c.note("mail for %s still arrives there", old)
	} else {
		c.noteAliasesFile(d, r.From)
	}
	if err := c.followRename(ctx, old, next); err != nil {
		c.note("the index will notice later: %v", err)
	}
	return c.object(v)
}

// noteAliasesFile says where the aliases file, which mailctl does not write, leads to an address that is nobody's any more.
func (c *call) noteAliasesFile(d *account.Directory, gone mail.Address) {
	for _, where := range someOf(d.AliasesFileLeadingTo(gone)) {
		c.note("%s still leads to %s: change that line", where, gone)
	}
}

// moveAccount gives the mail and then the account its new name. Where the mail cannot be moved, all is as before.
func (c *call) moveAccount(ctx context.Context, d *account.Directory, r account.Rename, old, next string) (newDomain bool, err error) {
	giveUp := func(err error) error { return errors.Join(err, d.EndRename(context.WithoutCancel(ctx), r)) }
	path, err := c.mail().Path(next)
	if err != nil {
		return false, giveUp(err)
	}
	if !r.Resumed {
		switch gone, err := c.mail().RemoveEmpty(next); {
		case err != nil:
			return false, giveUp(err)
		case !gone:
			return false, giveUp(fmt.Errorf("there is mail of an earlier account %s in %s: delete it with \"mailctl user remove %s --purge\", or move it away",
				next, path, next))
		}
	}
	if err := ctx.Err(); err != nil {
		return false, giveUp(err)
	}
	err = c.mail().Rename(old, next)
	if errors.Is(err, syscall.EXDEV) {
		err = fmt.Errorf("%w: the mail of both domains must lie on one file system", err)
	}
	if err != nil && c.hasMail(old) && !c.hasMail(next) {
		return false, giveUp(err)
	}
	if err != nil {
		return false, err
	}
	return d.CommitRename(ctx, r)
}

// followRename lets the index know, where no daemon does.
func (c *call) followRename(ctx context.Context, old, next string) error {
	if up, err := c.daemonUp(); up || err != nil {
		return err
	}
	// One after the other, so that the messages keep their ids.
	return errors.Join(c.forget(ctx, old), c.forget(ctx, next))
}
