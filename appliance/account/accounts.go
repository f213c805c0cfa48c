package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"maild/appliance/mail"
)

// columns are what scanAccount reads.
const columns = `d.name, a.local, a.suspended, a.password_hash <> '', coalesce(a.limit_octets, -1), coalesce(a.limit_messages, -1),
	a.warned_percent, a.created_s`

func scanAccount(scan func(...any) error, more ...any) (Account, error) {
	var a Account
	var created int64
	err := scan(append([]any{&a.Address.Domain, &a.Address.Local, &a.Suspended, &a.HasPassword,
		&a.Quota.Octets, &a.Quota.Messages, &a.WarnedPercent, &created}, more...)...)
	a.Created = seconds(created)
	return a, notFound(err)
}

// AddAccount makes an account, and its domain where that is new. The hash is
// one of [Hash], or "" for an account that cannot log in. ErrExists if the name
// is taken, by an alias perhaps; ErrInvalid if it cannot be an account's.
func (d *Directory) AddAccount(ctx context.Context, a mail.Address, hash string) (newDomain bool, err error) {
	a, err = d.accountAddress(a)
	if err != nil {
		return false, err
	}
	if err := checkHash(hash); err != nil {
		return false, wrap("account "+a.String(), err)
	}
	err = d.write(ctx, func(tx *sql.Tx) error {
		newDomain, err = addAccount(ctx, tx, a, hash)
		return err
	})
	return newDomain && err == nil, wrap("account "+a.String(), err)
}

// accountAddress is a as an account would have it.
func (d *Directory) accountAddress(a mail.Address) (mail.Address, error) {
	local, err := accountLocal(a.Local, d.options.Separator)
	if err != nil {
		return mail.Address{}, err
	}
	domain, err := domainName(a.Domain)
	return mail.Address{Local: local, Domain: domain}, err
}

func addAccount(ctx context.Context, tx *sql.Tx, a mail.Address, hash string) (newDomain bool, err error) {
	id, newDomain, err := ensureDomain(ctx, tx, a.Domain)
	if err != nil {
		return false, err
	}
	if err := notRenaming(ctx, tx, a); err != nil {
		return false, err
	}
	switch _, err := aliasID(ctx, tx, a); {
	case err == nil:
		return false, fmt.Errorf("%w: as an alias: remove that first", ErrExists)
	case !errors.Is(err, ErrNotFound):
		return false, err
	}
	r, err := tx.ExecContext(ctx, `
		INSERT INTO accounts (domain_id, local, password_hash, created_s) VALUES (?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, id, a.Local, hash, time.Now().Unix())
	if err != nil {
		return false, err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return false, errors.Join(err, ErrExists)
	}
	return newDomain, nil
}

// EnsureLocal sees to the domain of the host itself and its postmaster account,
// which has no password. It changes nothing where both are there, or where an
// alias has the postmaster's name.
func (d *Directory) EnsureLocal(ctx context.Context) error {
	a, err := d.accountAddress(mail.Address{Local: postmaster, Domain: d.options.Hostname})
	if err != nil {
		return fmt.Errorf("local domain: %w", err)
	}
	err = d.write(ctx, func(tx *sql.Tx) error {
		if _, err := addAccount(ctx, tx, a, ""); !errors.Is(err, ErrExists) {
			return err
		}
		return nil
	})
	return wrap("account "+a.String(), err)
}

// Accounts lists accounts in the order of domain and user.
func (d *Directory) Accounts(ctx context.Context, f Filter) (list []Account, err error) {
	err = d.read(ctx, func(tx *sql.Tx) error {
		list, err = accounts(ctx, tx, f)
		return err
	})
	return list, wrap("list accounts", err)
}

func accounts(ctx context.Context, tx *sql.Tx, f Filter) ([]Account, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT `+columns+` FROM accounts a JOIN domains d ON d.id = a.domain_id
		WHERE ?1 = '' OR d.name = ?1 ORDER BY d.name, a.local`, f.Domain)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Account
	for rows.Next() {
		a, err := scanAccount(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, rows.Err()
}

// Account gives the account of exactly this name: no alias, no subaddress.
// ErrNotFound if there is none.
func (d *Directory) Account(ctx context.Context, a mail.Address) (found Account, err error) {
	err = d.read(ctx, func(tx *sql.Tx) error {
		found, _, err = account(ctx, tx, folded(a))
		return err
	})
	return found, wrap("account "+a.String(), err)
}

// account gives one account and its password hash.
func account(ctx context.Context, tx *sql.Tx, a mail.Address) (found Account, hash string, err error) {
	row := tx.QueryRowContext(ctx, `
		SELECT `+columns+`, a.password_hash FROM accounts a JOIN domains d ON d.id = a.domain_id
		WHERE d.name = ? AND a.local = ?`, a.Domain, a.Local)
	found, err = scanAccount(row.Scan, &hash)
	return found, hash, err
}

// SetPassword replaces an account's password by a hash of [Hash]; "" takes it
// away. ErrNotFound if there is no such account.
func (d *Directory) SetPassword(ctx context.Context, a mail.Address, hash string) error {
	if err := checkHash(hash); err != nil {
		return wrap("account "+a.String(), err)
	}
	return d.update(ctx, a, `password_hash = ?`, hash)
}

// Suspend keeps an account's user from logging in; mail still arrives. It may
// be suspended already. ErrNotFound if there is no such account.
func (d *Directory) Suspend(ctx context.Context, a mail.Address) error {
	return d.update(ctx, a, `suspended = ?`, 1)
}

// Resume undoes Suspend.
func (d *Directory) Resume(ctx context.Context, a mail.Address) error {
	return d.update(ctx, a, `suspended = ?`, 0)
}

// update changes one column of one account; set holds no foreign text.
func (d *Directory) update(ctx context.Context, a mail.Address, set string, value any) error {
	a = folded(a)
	err := d.write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `
			UPDATE accounts SET `+set+`
			WHERE local = ? AND domain_id = (SELECT id FROM domains WHERE name = ?)`, value, a.Local, a.Domain)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNotFound)
		}
		return nil
	})
	return wrap("account "+a.String(), err)
}

// RemoveAccount forgets an account; its mail on disk stays. ErrInUse while
// aliases lead to it, or if it is the host's own postmaster; ErrNotFound if
// there is no such account.
func (d *Directory) RemoveAccount(ctx context.Context, a mail.Address) error {
	a = folded(a)
	err := d.write(ctx, func(tx *sql.Tx) error {
		if err := d.removable(ctx, tx, a); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			DELETE FROM accounts
			WHERE local = ? AND domain_id = (SELECT id FROM domains WHERE name = ?)`, a.Local, a.Domain)
		return err
	})
	return wrap("account "+a.String(), err)
}

// Removable is what RemoveAccount would say; nothing is changed. ErrInUse, too,
// for a name that is no account's now and has a part in a rename.
func (d *Directory) Removable(ctx context.Context, a mail.Address) error {
	a = folded(a)
	err := d.read(ctx, func(tx *sql.Tx) error { return d.removable(ctx, tx, a) })
	return wrap("account "+a.String(), err)
}

func (d *Directory) removable(ctx context.Context, tx *sql.Tx, a mail.Address) error {
	if err := notRenaming(ctx, tx, a); err != nil {
		return err
	}
	if _, _, err := account(ctx, tx, a); err != nil {
		return err
	}
	if a == d.ownPostmaster() {
		return fmt.Errorf("%w: it takes this host's own mail: set postmaster in the configuration to send that elsewhere", ErrInUse)
	}
	return unused(ctx, tx, a)
}

// Exists reports whether there is an account of that name, "user@domain", at
// this moment.
func (d *Directory) Exists(ctx context.Context, name string) (there bool, err error) {
	at := strings.LastIndexByte(name, '@')
	if at < 0 {
		return false, nil
	}
	err = d.exists.QueryRowContext(ctx, name[at+1:], name[:at]).Scan(&there)
	return there, wrap("account "+name, err)
}

// unused is ErrInUse, with their names, while aliases lead to a.
func unused(ctx context.Context, tx *sql.Tx, a mail.Address) error {
	parents, err := pointingAt(ctx, tx, a)
	if err != nil || len(parents) == 0 {
		return err
	}
	names := make([]string, 0, len(parents))
	for _, p := range parents {
		names = append(names, p.String())
	}
	return fmt.Errorf("%w: a target of %s: remove it there first", ErrInUse, strings.Join(names, ", "))
}
