package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"maild/appliance/mail"
)

// Rename is a change of an account's name that has begun. Its mail moves
// between BeginRename and CommitRename, and what has come to the old name
// meanwhile follows before EndRename; whatever is interrupted is taken up again
// by the same BeginRename.
type Rename struct {
	From, To  mail.Address
	KeepAlias bool // the old name stays, as an alias of the new one
	Committed bool // the account has its new name
	Resumed   bool // it was begun before
}

func (r Rename) about() string { return "account " + r.From.String() }

// BeginRename notes that an account is to have another name, and keeps others
// from taking the old or the new one until EndRename. Mail goes to the old name
// as before.
//
// Errors: ErrNotFound if there is no account of the old name, ErrExists if the
// new one is taken, ErrInvalid if it cannot be an account's, ErrInUse if the
// account is being renamed otherwise, is the host's own postmaster, or is the
// one that Options.Postmaster names and keeps no alias.
func (d *Directory) BeginRename(ctx context.Context, from, to mail.Address, keepAlias bool) (Rename, error) {
	r := Rename{From: folded(from), KeepAlias: keepAlias}
	to, err := d.accountAddress(to)
	if err != nil {
		return r, err
	}
	r.To = to
	err = d.write(ctx, func(tx *sql.Tx) error {
		begun, err := resumeRename(ctx, tx, &r)
		if err != nil || begun {
			return err
		}
		return d.beginRename(ctx, tx, r)
	})
	return r, wrap(r.about(), err)
}

// resumeRename finds one that was begun. Until it is committed, the last word
// about the alias counts.
func resumeRename(ctx context.Context, tx *sql.Tx, r *Rename) (begun bool, err error) {
	var kept bool
	err = tx.QueryRowContext(ctx, `
		SELECT r.keep_alias, a.local = r.to_local AND d.name = r.to_domain
		FROM renames r JOIN accounts a ON a.id = r.account_id JOIN domains d ON d.id = a.domain_id
		WHERE r.from_domain = ? AND r.from_local = ? AND r.to_domain = ? AND r.to_local = ?`,
		r.From.Domain, r.From.Local, r.To.Domain, r.To.Local).Scan(&kept, &r.Committed)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r.Resumed = true
	if r.Committed {
		r.KeepAlias = kept
		return true, nil
	}
	_, err = tx.ExecContext(ctx, `UPDATE renames SET keep_alias = ? WHERE from_domain = ? AND from_local = ?`,
		r.KeepAlias, r.From.Domain, r.From.Local)
	return true, err
}

func (d *Directory) beginRename(ctx context.Context, tx *sql.Tx, r Rename) error {
	if err := notRenaming(ctx, tx, r.From); err != nil {
		return err
	}
	if _, _, err := account(ctx, tx, r.From); err != nil {
		return err
	}
	switch {
	case r.From == r.To:
		return fmt.Errorf("%w: that is its name", ErrExists)
	case r.From == d.ownPostmaster():
		return fmt.Errorf("%w: it takes this host's own mail: set postmaster in the configuration to send that elsewhere", ErrInUse)
	case r.From == folded(d.options.Postmaster) && !r.KeepAlias:
		return fmt.Errorf("%w: postmaster in the configuration names it: change that first, or keep an alias", ErrInUse)
	}
	if err := notRenaming(ctx, tx, r.To); err != nil {
		return err
	}
	if _, _, err := account(ctx, tx, r.To); !errors.Is(err, ErrNotFound) {
		return errors.Join(err, fmt.Errorf("cannot be called %s: that account %w", r.To, ErrExists))
	}
	if _, err := aliasID(ctx, tx, r.To); !errors.Is(err, ErrNotFound) {
		return errors.Join(err, fmt.Errorf("cannot be called %s: it %w: as an alias: remove that first", r.To, ErrExists))
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO renames (account_id, from_domain, from_local, to_domain, to_local, keep_alias, created_s)
		SELECT a.id, d.name, a.local, ?, ?, ?, ? FROM accounts a JOIN domains d ON d.id = a.domain_id
		WHERE d.name = ? AND a.local = ?`,
		r.To.Domain, r.To.Local, r.KeepAlias, time.Now().Unix(), r.From.Domain, r.From.Local)
	return err
}

// CommitRename gives the account its new name, with its passwords, and sends
// the aliases that led to the old one there. The domain is made where it is new.
// It may be called again.
func (d *Directory) CommitRename(ctx context.Context, r Rename) (newDomain bool, err error) {
	err = d.write(ctx, func(tx *sql.Tx) error {
		newDomain, err = commitRename(ctx, tx, r)
		return err
	})
	return newDomain && err == nil, wrap(r.about(), err)
}

func commitRename(ctx context.Context, tx *sql.Tx, r Rename) (newDomain bool, err error) {
	now := r
	begun, err := resumeRename(ctx, tx, &now)
	switch {
	case err != nil:
		return false, err
	case !begun:
		return false, fmt.Errorf("is not being renamed any more: that %w", ErrNotFound)
	case now.Committed:
		return false, nil
	}
	domain, newDomain, err := ensureDomain(ctx, tx, r.To.Domain)
	if err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, `
		UPDATE accounts SET domain_id = ?, local = ?
		WHERE id = (SELECT account_id FROM renames WHERE from_domain = ? AND from_local = ?)`,
		domain, r.To.Local, r.From.Domain, r.From.Local); err != nil {
		return false, err
	}
	// An alias may lead to the new name already, as an address outside.
	for _, statement := range []string{
		`UPDATE OR IGNORE alias_targets SET domain = ?1, local = ?2 WHERE domain = ?3 AND local = ?4`,
		`DELETE FROM alias_targets WHERE domain = ?3 AND local = ?4 AND ?1 <> '' AND ?2 <> ''`,
	} {
		if _, err := tx.ExecContext(ctx, statement, r.To.Domain, r.To.Local, r.From.Domain, r.From.Local); err != nil {
			return false, err
		}
	}
	if !now.KeepAlias {
		return newDomain, nil
	}
	id, err := ensureAlias(ctx, tx, r.From)
	if err != nil {
		return false, err
	}
	_, err = addTarget(ctx, tx, id, r.To)
	return newDomain, err
}

// EndRename lets the old name go. It may be called again. One that was not
// committed is given up.
func (d *Directory) EndRename(ctx context.Context, r Rename) error {
	err := d.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM renames WHERE from_domain = ? AND from_local = ? AND to_domain = ? AND to_local = ?`,
			r.From.Domain, r.From.Local, r.To.Domain, r.To.Local)
		return err
	})
	return wrap(r.about(), err)
}

// Renames lists those that were begun and not ended.
func (d *Directory) Renames(ctx context.Context) (list []Rename, err error) {
	err = d.read(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `
			SELECT r.from_domain, r.from_local, r.to_domain, r.to_local, r.keep_alias, a.local = r.to_local AND d.name = r.to_domain
			FROM renames r JOIN accounts a ON a.id = r.account_id JOIN domains d ON d.id = a.domain_id ORDER BY r.created_s`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r := Rename{Resumed: true}
			if err := rows.Scan(&r.From.Domain, &r.From.Local, &r.To.Domain, &r.To.Local, &r.KeepAlias, &r.Committed); err != nil {
				return err
			}
			list = append(list, r)
		}
		return rows.Err()
	})
	return list, wrap("list renames", err)
}

// notRenaming is ErrInUse while a has a part in a rename.
func notRenaming(ctx context.Context, tx *sql.Tx, a mail.Address) error {
	var from, to mail.Address
	err := tx.QueryRowContext(ctx, `
		SELECT from_domain, from_local, to_domain, to_local FROM renames
		WHERE from_domain = ?1 AND from_local = ?2 OR to_domain = ?1 AND to_local = ?2 LIMIT 1`, a.Domain, a.Local).
		Scan(&from.Domain, &from.Local, &to.Domain, &to.Local)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s is being renamed to %s: finish that first: mailctl user rename %s %s", ErrInUse, from, to, from, to)
}
