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

// AddDomain makes this box take mail for a domain. ErrExists if it does so
// already, ErrInvalid if it is no domain name.
func (d *Directory) AddDomain(ctx context.Context, name string) error {
	name, err := domainName(name)
	if err != nil {
		return err
	}
	err = d.write(ctx, func(tx *sql.Tx) error {
		_, created, err := ensureDomain(ctx, tx, name)
		if err == nil && !created {
			err = ErrExists
		}
		return err
	})
	return wrap("domain "+name, err)
}

// RemoveDomain ends it. ErrNotEmpty while the domain has accounts or aliases,
// with their names; ErrNotFound if there is no such domain.
func (d *Directory) RemoveDomain(ctx context.Context, name string) error {
	name, err := domainName(name)
	if err != nil {
		return err
	}
	err = d.write(ctx, func(tx *sql.Tx) error {
		list, err := domains(ctx, tx, name)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return ErrNotFound
		}
		if n := list[0]; n.Accounts > 0 || n.Aliases > 0 {
			return notEmpty(ctx, tx, n)
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM domains WHERE name = ?`, name)
		return err
	})
	return wrap("domain "+name, err)
}

// maxNamed is how many names an error lists.
const maxNamed = 10

// notEmpty is ErrNotEmpty with what is in a domain.
func notEmpty(ctx context.Context, tx *sql.Tx, n Domain) error {
	users, err := addresses(tx.QueryContext(ctx, `
		SELECT d.name, a.local FROM accounts a JOIN domains d ON d.id = a.domain_id WHERE d.name = ? ORDER BY a.local LIMIT ?`, n.Name, maxNamed))
	if err != nil {
		return err
	}
	names, err := addresses(tx.QueryContext(ctx, `
		SELECT d.name, a.local FROM aliases a JOIN domains d ON d.id = a.domain_id WHERE d.name = ? ORDER BY a.local LIMIT ?`, n.Name, maxNamed))
	if err != nil {
		return err
	}
	var parts []string
	if n.Accounts > 0 {
		parts = append(parts, "accounts: "+named(users, n.Accounts))
	}
	if n.Aliases > 0 {
		parts = append(parts, "aliases: "+named(names, n.Aliases))
	}
	return fmt.Errorf("%w: %s: remove them first", ErrNotEmpty, strings.Join(parts, "; "))
}

// named lists names, of which there are total.
func named(list []mail.Address, total int64) string {
	names := make([]string, 0, len(list))
	for _, a := range list {
		names = append(names, a.String())
	}
	text := strings.Join(names, ", ")
	if more := total - int64(len(list)); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Domains lists the local domains in the order of their names.
func (d *Directory) Domains(ctx context.Context) (list []Domain, err error) {
	err = d.read(ctx, func(tx *sql.Tx) error {
		list, err = domains(ctx, tx, "")
		return err
	})
	return list, wrap("list domains", err)
}

// domains lists all domains, or the one that is named.
func domains(ctx context.Context, tx *sql.Tx, only string) ([]Domain, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT name, created_s,
			(SELECT count(*) FROM accounts WHERE domain_id = domains.id),
			(SELECT count(*) FROM aliases WHERE domain_id = domains.id)
		FROM domains WHERE ?1 = '' OR name = ?1 ORDER BY name`, only)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Domain
	for rows.Next() {
		var n Domain
		var created int64
		if err := rows.Scan(&n.Name, &created, &n.Accounts, &n.Aliases); err != nil {
			return nil, err
		}
		n.Created = seconds(created)
		list = append(list, n)
	}
	return list, rows.Err()
}

// domainID finds a domain's row; ErrNotFound if there is none.
func domainID(ctx context.Context, tx *sql.Tx, name string) (id int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT id FROM domains WHERE name = ?`, name).Scan(&id)
	return id, notFound(err)
}

// ensureDomain finds a domain's row or makes it.
func ensureDomain(ctx context.Context, tx *sql.Tx, name string) (id int64, created bool, err error) {
	id, err = domainID(ctx, tx, name)
	if !errors.Is(err, ErrNotFound) {
		return id, false, err
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO domains (name, created_s) VALUES (?, ?)`, name, time.Now().Unix())
	if err != nil {
		return 0, false, err
	}
	id, err = r.LastInsertId()
	return id, true, err
}

// notFound turns "no rows" into ErrNotFound.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// wrap puts what err is about in front of it: "domain example.org does not
// exist" for our own verdicts, "domain example.org: …" for causes from below.
func wrap(about string, err error) error {
	if err == nil {
		return nil
	}
	for _, verdict := range []error{ErrExists, ErrNotFound, ErrNotEmpty, ErrInUse, ErrLoop, ErrTooMany} {
		if errors.Is(err, verdict) {
			return fmt.Errorf("%s %w", about, err)
		}
	}
	return fmt.Errorf("%s: %w", about, err)
}
