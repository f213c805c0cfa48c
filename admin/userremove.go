package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"maild/appliance/account"
	"maild/appliance/mail"
	"maild/index"
)

// purgePrefix begins the name that a tree has while it is deleted. A name with a dot is no account's, so that neither the daemon nor the index
// sees it. What a killed purge leaves is taken away by the next one in the same domain.
const purgePrefix = ".purge-"

func removeUser(ctx context.Context, c *call) error {
	purge := c.Bool("purge")
	if purge && c.Bool("keep-mail") {
		return usagef("--purge and --keep-mail do not go together: leave one out")
	}
	need := changing
	if c.Bool("dry-run") {
		need = reading
	}
	a, d, err := c.openUser(ctx, need)
	if err != nil {
		return err
	}
	u, err := existing(ctx, d, a)
	gone := errors.Is(err, account.ErrNotFound)
	if gone {
		// A removal that was interrupted, or kept the mail, is brought to its end.
		u = account.Account{Address: mail.Address{Local: foldedLocal(a.Local), Domain: a.Domain}}
	}
	if err != nil && !(gone && purge && c.hasMail(u.Name())) {
		return err
	}
	path, err := c.mail().Path(u.Name())
	if err != nil {
		return err
	}
	// Before anybody is asked in vain.
	if err := d.Removable(ctx, u.Address); err != nil && !(gone && errors.Is(err, account.ErrNotFound)) {
		return err
	}
	if c.Bool("dry-run") {
		return c.dryRemoval(ctx, d, u, gone)
	}
	question := fmt.Sprintf("Remove %s and keep its mail in %s?", u.Name(), path)
	if purge {
		question = fmt.Sprintf("Remove %s and DELETE all its mail in %s for good?", u.Name(), path)
	}
	if err := c.confirm(ctx, question); err != nil {
		return err
	}
	// The account first: what arrives from now on is refused, not deleted.
	if err := d.RemoveAccount(ctx, u.Address); err != nil && !gone {
		return err
	}
	c.noteAliasesFile(d, u.Address)
	if !purge {
		c.note("account %s is removed; its mail is kept in %s", u.Name(), path)
		return c.object(doneView{Account: u.Name(), Maildir: path})
	}
	if err := purgeTree(path); err != nil {
		return fmt.Errorf("account %s is removed, but its mail is not all deleted: %w", u.Name(), err)
	}
	c.note("account %s is removed, and all its mail is deleted", u.Name())
	if err := c.forget(ctx, u.Name()); err != nil {
		c.note("the index will notice later: %v", err)
	}
	return c.object(doneView{Account: u.Name(), Purged: true})
}

// removalView is what "user remove --dry-run" gives in JSON.
type removalView struct {
	Account      string   `json:"account"`
	Exists       bool     `json:"exists"`        // false: only its mail is left
	AppPasswords []string `json:"app_passwords"` // which go with the account
	Maildir      string   `json:"maildir"`
	Messages     int64    `json:"messages"`
	Octets       int64    `json:"octets"`
	Purge        bool     `json:"purge"` // whether the mail would go, too
	DryRun       bool     `json:"dry_run"`
}

// dryRemoval says what would go. The mail is counted in its files.
func (c *call) dryRemoval(ctx context.Context, d *account.Directory, u account.Account, gone bool) error {
	v := removalView{Account: u.Name(), Exists: !gone, AppPasswords: []string{}, Purge: c.Bool("purge"), DryRun: true}
	var err error
	if v.Maildir, err = c.mail().Path(u.Name()); err != nil {
		return err
	}
	if !gone {
		list, err := d.AppPasswords(ctx, u.Address)
		if err != nil {
			return err
		}
		for _, p := range list {
			v.AppPasswords = append(v.AppPasswords, p.Name)
		}
	}
	if v.Messages, v.Octets, err = c.mail().Measure(ctx, u.Name()); err != nil {
		return err
	}
	fate := "kept"
	if v.Purge {
		fate = "deleted"
	}
	c.note("nothing is changed: this is what would happen")
	return c.facts([]fact{
		{"account", c.shown(u.Address)},
		{"app passwords", strings.Join(v.AppPasswords, ", ")},
		{"mail", fate},
		{"maildir", v.Maildir},
		{"messages", fmt.Sprint(v.Messages)},
		{"size", c.size(v.Octets)},
	}, v)
}

// hasMail reports whether there is a tree for an account.
func (c *call) hasMail(name string) bool {
	path, err := c.mail().Path(name)
	if err != nil {
		return false
	}
	_, err = os.Lstat(path)
	return err == nil
}

// purgeTree deletes a Maildir. It disappears at once, by a rename.
func purgeTree(path string) error {
	dir, name := filepath.Split(path)
	trash, err := os.MkdirTemp(dir, purgePrefix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has never had mail
	}
	if err != nil {
		return err
	}
	if err := os.Rename(path, filepath.Join(trash, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, os.Remove(trash))
	}
	entries, err := os.ReadDir(dir)
	errs := []error{err}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), purgePrefix) {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// forget takes the rows of an account whose mail is gone out of the index, where there is one, or puts in those of one whose mail has come.
func (c *call) forget(ctx context.Context, name string) error {
	if _, err := os.Stat(c.box.cfg.IndexDB()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ix, err := index.Open(ctx, c.indexOptions())
	if err != nil {
		return err
	}
	_, err = ix.Reconcile(ctx, index.ReconcileOptions{Accounts: []string{name}})
	return errors.Join(err, ix.Close())
}
