package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"maild/appliance/account"
	"maild/appliance/mail"
	"maild/appliance/process"
)

func removeUser(ctx context.Context, c *call) (err error) {
	r, err := c.newRemoval(ctx)
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return r.dry(ctx)
	}
	question := fmt.Sprintf("Remove %s and keep its mail in %s?", r.name, r.path)
	switch {
	case r.archive != "":
		question = fmt.Sprintf("Remove %s and its mail in %s, once that is in %s?", r.name, r.path, r.archive)
	case r.purge:
		question = fmt.Sprintf("Remove %s and DELETE all its mail in %s for good?", r.name, r.path)
	}
	if err := c.confirm(ctx, question); err != nil {
		return err
	}
	var saved *exporter
	if r.archive != "" {
		saved, err = r.save(ctx)
		defer func() { err = errors.Join(err, saved.close()) }()
		if err != nil {
			return fmt.Errorf("nothing was removed: %w", err)
		}
	}
	// The account before its mail: what arrives from now on is refused, not deleted.
	if err := r.directory.RemoveAccount(ctx, r.account.Address); err != nil && !r.gone {
		return err
	}
	c.noteAliasesFile(r.directory, r.account.Address)
	if !r.purge {
		c.note("account %s is removed; its mail is kept in %s", r.name, r.path)
		return c.object(doneView{Account: r.name, Maildir: r.path})
	}
	err = purgeTree(r.path, func(moved string) error { return r.checkSaved(ctx, saved, moved) })
	if errors.Is(err, errMoreCame) {
		return err
	}
	if err != nil {
		return fmt.Errorf("account %s is removed, but its mail is not all deleted: %w", r.name, err)
	}
	if saved != nil {
		c.note("account %s is removed, and its mail is in %s: %d messages", r.name, r.archive, saved.view.Messages)
	} else {
		c.note("account %s is removed, and all its mail is deleted", r.name)
	}
	if err := c.forget(ctx, r.name); err != nil {
		c.note("the index will notice later: %v", err)
	}
	return c.object(doneView{Account: r.name, Purged: true, Archive: validText(r.archive)})
}

// removal is an account to be removed.
type removal struct {
	*call
	directory *account.Directory
	account   account.Account
	gone      bool // it is no account any more, and has left mail
	name      string
	path      string // of its mail
	purge     bool
	archive   string // "" = none
	dest      *destination
}

// newRemoval looks at the account, and at all that could be in the way.
func (c *call) newRemoval(ctx context.Context) (*removal, error) {
	r := &removal{call: c, purge: c.Bool("purge") || c.IsSet("archive"), archive: c.String("archive")}
	if r.purge && c.Bool("keep-mail") {
		return nil, usagef("--purge and --archive do not go with --keep-mail: leave one out")
	}
	if c.IsSet("archive") {
		if r.archive == "" || r.archive == stdoutDest {
			return nil, usagef("--archive needs the name of a file, so that it is known to be on disk")
		}
		right := process.WriteAnywhere
		c.keep = &right
	}
	need := changing
	if c.Bool("dry-run") {
		need = reading
	}
	a, d, err := c.openUser(ctx, need)
	if err != nil {
		return nil, err
	}
	r.directory = d
	r.account, err = existing(ctx, d, a)
	r.gone = errors.Is(err, account.ErrNotFound)
	if r.gone {
		// A removal that was interrupted, or kept the mail, is brought to its end.
		r.account = account.Account{Address: mail.Address{Local: foldedLocal(a.Local), Domain: a.Domain}}
	}
	if r.name = r.account.Name(); err != nil && !(r.gone && r.purge && c.hasMail(r.name)) {
		return nil, err
	}
	if r.path, err = c.mail().Path(r.name); err != nil {
		return nil, err
	}
	// Before anybody is asked in vain.
	if err := d.Removable(ctx, r.account.Address); err != nil && !(r.gone && errors.Is(err, account.ErrNotFound)) {
		return nil, err
	}
	if r.archive == "" {
		return r, nil
	}
	abs, err := filepath.Abs(r.archive)
	if err != nil {
		return nil, err
	}
	if isWithin(abs, r.path) {
		return nil, usagef("%s lies in the mail that is to be removed: name another file", r.archive)
	}
	r.dest = &destination{path: abs, kind: kindTar, remedy: "name another"}
	return r, r.dest.check(false)
}

// save writes the archive. It must hold every message.
func (r *removal) save(ctx context.Context) (*exporter, error) {
	ex := &exporter{call: r.call, ctx: ctx, account: r.name, view: exportView{Account: r.name, Kind: kindTar}, whole: true}
	open := func() (exportSink, error) {
		if err := r.dest.makeFile(); err != nil {
			return nil, err
		}
		return newTarSink(r.dest, r.name), nil
	}
	err := ex.run(open)
	if errors.Is(err, fs.ErrNotExist) && !r.hasMail(r.name) {
		err = ex.empty(open) // it has never had mail
	}
	return ex, err
}

// errMoreCame means that mail came between the archive and the removal of the account.
var errMoreCame = errors.New("was not deleted, because more came after that")

// checkSaved looks for such mail in the tree, which was moved. It must not be deleted.
func (r *removal) checkSaved(ctx context.Context, saved *exporter, moved string) error {
	if saved == nil {
		return nil
	}
	late, err := saved.late(ctx, moved)
	if err == nil && late > 0 {
		err = &fault{code: ExitPartial, err: fmt.Errorf("account %s is removed; its mail is in %s, but %w: %d messages: the same command with another --archive saves and deletes all of it",
			r.name, r.archive, errMoreCame, late)}
	}
	return err
}
