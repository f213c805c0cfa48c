package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"maild/appliance/mail"
)

// Bounds of what an alias may lead to. They are held when an alias is added,
// and again, for safety, when it is resolved.
const (
	maxDepth   = 10   // aliases behind aliases
	maxTargets = 1000 // that one address expands to, aliases included
)

// AddAlias makes alias stand for the targets, or adds targets to it. Each must
// be an account or another alias as it stands, without subaddress, or an address
// in a domain that is not ours. An alias without a local-part is its domain's
// catch-all: it gets what no other name does.
//
// Errors: ErrExists if alias is an account, or all of the targets are there
// already; ErrNotFound if a target or the alias's domain does not exist; ErrLoop
// if a target leads back, with the way, or lies too deep; ErrTooMany beyond 1000
// targets; ErrInvalid for a name that cannot be. Nothing is changed then.
func (d *Directory) AddAlias(ctx context.Context, alias mail.Address, targets []mail.Address) error {
	a, err := aliasAddress(alias)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("alias %s: %w: it needs a target", a, ErrInvalid)
	}
	err = d.write(ctx, func(tx *sql.Tx) error { return d.addAlias(ctx, tx, a, targets) })
	return wrap("alias "+a.String(), err)
}

func (d *Directory) addAlias(ctx context.Context, tx *sql.Tx, a mail.Address, targets []mail.Address) error {
	switch _, _, err := account(ctx, tx, a); {
	case err == nil && a == d.ownPostmaster():
		return fmt.Errorf("%w: as an account: set postmaster in the configuration to send its mail elsewhere", ErrExists)
	case err == nil:
		return fmt.Errorf("%w: as an account: remove that first", ErrExists)
	case !errors.Is(err, ErrNotFound):
		return err
	}
	if err := notRenaming(ctx, tx, a); err != nil {
		return err
	}
	id, err := ensureAlias(ctx, tx, a)
	if err != nil {
		return err
	}
	added := false
	for _, target := range targets {
		target = folded(target)
		if err := targetExists(ctx, tx, target); err != nil {
			return err
		}
		isNew, err := addTarget(ctx, tx, id, target)
		if err != nil {
			return err
		}
		added = added || isNew
	}
	if !added {
		return fmt.Errorf("%w with these targets", ErrExists)
	}
	if err := d.expand(ctx, tx, a, true); err != nil {
		return err
	}
	ancestors, err := leadingTo(ctx, tx, a)
	if err != nil {
		return err
	}
	for _, ancestor := range ancestors {
		if err := d.expand(ctx, tx, ancestor, false); err != nil {
			return err
		}
	}
	return nil
}

// targetExists says what is wrong with a target, in words about the target.
func targetExists(ctx context.Context, tx *sql.Tx, target mail.Address) error {
	if target.Local == "" {
		return fmt.Errorf("%w: target %s is a catch-all: name an address", ErrInvalid, target)
	}
	_, err := domainID(ctx, tx, target.Domain)
	if err != nil {
		return ignoreNotFound(err) // outside
	}
	if _, _, err := account(ctx, tx, target); !errors.Is(err, ErrNotFound) {
		return err
	}
	_, err = aliasID(ctx, tx, target)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("cannot be: target %s %w: add that account first, and write it without a subaddress", target, ErrNotFound)
	}
	return err
}

func aliasID(ctx context.Context, tx *sql.Tx, a mail.Address) (id int64, err error) {
	err = tx.QueryRowContext(ctx, `
		SELECT a.id FROM aliases a JOIN domains d ON d.id = a.domain_id
		WHERE d.name = ? AND a.local = ?`, a.Domain, a.Local).Scan(&id)
	return id, notFound(err)
}

func ensureAlias(ctx context.Context, tx *sql.Tx, a mail.Address) (int64, error) {
	id, err := aliasID(ctx, tx, a)
	if !errors.Is(err, ErrNotFound) {
		return id, err
	}
	domain, err := domainID(ctx, tx, a.Domain)
	if errors.Is(err, ErrNotFound) {
		return 0, fmt.Errorf("cannot be: domain %s %w: add it first", a.Domain, err)
	}
	if err != nil {
		return 0, err
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO aliases (domain_id, local, created_s) VALUES (?, ?, ?)`,
		domain, a.Local, time.Now().Unix())
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

func addTarget(ctx context.Context, tx *sql.Tx, id int64, target mail.Address) (isNew bool, err error) {
	r, err := tx.ExecContext(ctx, `
		INSERT INTO alias_targets (alias_id, position, domain, local)
		VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM alias_targets WHERE alias_id = ?1), ?2, ?3)
		ON CONFLICT DO NOTHING`, id, target.Domain, target.Local)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// RemoveAlias takes targets from an alias, and the alias itself with the last
// of them, or at once when no targets are named. ErrNotFound if the alias or a
// target is not there; ErrInUse while another alias leads to one that would go.
func (d *Directory) RemoveAlias(ctx context.Context, alias mail.Address, targets ...mail.Address) error {
	a := folded(alias)
	err := d.write(ctx, func(tx *sql.Tx) error { return removeAlias(ctx, tx, a, targets) })
	return wrap("alias "+a.String(), err)
}

func removeAlias(ctx context.Context, tx *sql.Tx, a mail.Address, targets []mail.Address) error {
	id, err := aliasID(ctx, tx, a)
	if err != nil {
		return err
	}
	for _, target := range targets {
		target = folded(target)
		r, err := tx.ExecContext(ctx, `DELETE FROM alias_targets WHERE alias_id = ? AND domain = ? AND local = ?`,
			id, target.Domain, target.Local)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fmt.Errorf("keeps its targets: %s %w among them", target, ErrNotFound))
		}
	}
	left, err := targetsOf(ctx, tx, a)
	if err != nil || len(targets) > 0 && len(left) > 0 {
		return err
	}
	if err := unused(ctx, tx, a); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM aliases WHERE id = ?`, id)
	return err
}

// Aliases lists all aliases in the order of domain and local-part.
func (d *Directory) Aliases(ctx context.Context) (list []Alias, err error) {
	err = d.read(ctx, func(tx *sql.Tx) error {
		list, err = allAliases(ctx, tx)
		return err
	})
	return list, wrap("list aliases", err)
}

func allAliases(ctx context.Context, tx *sql.Tx) ([]Alias, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT d.name, a.local, a.created_s, t.domain, t.local
		FROM aliases a JOIN domains d ON d.id = a.domain_id JOIN alias_targets t ON t.alias_id = a.id
		ORDER BY d.name, a.local, t.position`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Alias
	for rows.Next() {
		var address, target mail.Address
		var created int64
		if err := rows.Scan(&address.Domain, &address.Local, &created, &target.Domain, &target.Local); err != nil {
			return nil, err
		}
		if len(list) == 0 || list[len(list)-1].Address != address {
			list = append(list, Alias{Address: address, Created: seconds(created)})
		}
		last := &list[len(list)-1]
		last.Targets = append(last.Targets, target)
	}
	return list, rows.Err()
}

// targetsOf lists an alias's own targets; none if there is no such alias.
func targetsOf(ctx context.Context, tx *sql.Tx, a mail.Address) ([]mail.Address, error) {
	return addresses(tx.QueryContext(ctx, `
		SELECT t.domain, t.local
		FROM alias_targets t JOIN aliases a ON a.id = t.alias_id JOIN domains d ON d.id = a.domain_id
		WHERE d.name = ? AND a.local = ? ORDER BY t.position`, a.Domain, a.Local))
}

// pointingAt lists the aliases that have a among their own targets.
func pointingAt(ctx context.Context, tx *sql.Tx, a mail.Address) ([]mail.Address, error) {
	return addresses(tx.QueryContext(ctx, `
		SELECT d.name, a.local
		FROM alias_targets t JOIN aliases a ON a.id = t.alias_id JOIN domains d ON d.id = a.domain_id
		WHERE t.domain = ? AND t.local = ? ORDER BY d.name, a.local`, a.Domain, a.Local))
}

// leadingTo lists a and all aliases that lead to it, however far.
func leadingTo(ctx context.Context, tx *sql.Tx, a mail.Address) ([]mail.Address, error) {
	return addresses(tx.QueryContext(ctx, `
		WITH RECURSIVE up (domain, local) AS (
			VALUES (?, ?)
			UNION
			SELECT d.name, a.local
			FROM up JOIN alias_targets t ON t.domain = up.domain AND t.local = up.local
			JOIN aliases a ON a.id = t.alias_id JOIN domains d ON d.id = a.domain_id
		) SELECT domain, local FROM up`, a.Domain, a.Local))
}

// addresses reads rows of a domain and a local-part.
func addresses(rows *sql.Rows, err error) ([]mail.Address, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []mail.Address
	for rows.Next() {
		var a mail.Address
		if err := rows.Scan(&a.Domain, &a.Local); err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, rows.Err()
}
