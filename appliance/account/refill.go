package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"maild/appliance/mail"
)

// Refill says what was put back from another directory, by name.
type Refill struct {
	Domains  []string
	Accounts []string
	Aliases  []string // made anew, or given back a target that is an account put back
	Kept     int      // accounts that are there, with the password they have
	Skipped  []string // accounts and aliases that could not be put back as they were, with why
}

// RefillOptions say what to put back.
type RefillOptions struct {
	Account mail.Address // this one, its domain and the aliases that lead to it; zero = everything
	As      mail.Address // the name that Account gets, without any aliases; zero = its own
	DryRun  bool         // say it, and change nothing
}

// Refill puts back what from has and d has not, as one change: domains; accounts with their passwords, state and limits; aliases.
// Nothing that is there is changed, but that aliases get back the accounts that are put back. ErrNotFound if the account asked for is
// not in from; ErrInvalid if As can be no account's name.
func (d *Directory) Refill(ctx context.Context, from *Directory, o RefillOptions) (r Refill, err error) {
	k, err := from.keep(ctx, o)
	if err != nil {
		return r, err
	}
	errDry := errors.New("dry run")
	err = d.write(ctx, func(tx *sql.Tx) error {
		r, err = d.refill(ctx, tx, k)
		if err == nil && o.DryRun {
			err = errDry // takes everything back
		}
		return err
	})
	if err != nil && !errors.Is(err, errDry) {
		return Refill{}, fmt.Errorf("put back accounts: %w", err)
	}
	return r, nil
}

// keptAccount is an account with what only this package sees of it.
type keptAccount struct {
	Account
	hash string
	apps []appSecret
}

// kept is what another directory has to give.
type kept struct {
	domains  []Domain
	accounts []keptAccount
	aliases  []Alias
}

// keep reads what o asks for.
func (d *Directory) keep(ctx context.Context, o RefillOptions) (k kept, err error) {
	all := o.Account == mail.Address{}
	one := folded(o.Account)
	err = d.read(ctx, func(tx *sql.Tx) error {
		list, err := accounts(ctx, tx, Filter{})
		if err != nil {
			return err
		}
		for _, a := range list {
			if !all && a.Address != one {
				continue
			}
			a, hash, err := account(ctx, tx, a.Address)
			if err != nil {
				return err
			}
			apps, err := appSecrets(ctx, tx, a.Address)
			if err != nil {
				return err
			}
			k.accounts = append(k.accounts, keptAccount{a, hash, apps})
		}
		if k.aliases, err = allAliases(ctx, tx); err != nil || !all {
			return err
		}
		k.domains, err = domains(ctx, tx, "")
		return err
	})
	switch {
	case err != nil:
		return k, wrap("read accounts", err)
	case all:
		return k, nil
	case len(k.accounts) == 0:
		return k, wrap("account "+one.String(), ErrNotFound)
	}
	k.aliases = slices.DeleteFunc(k.aliases, func(a Alias) bool { return !slices.Contains(a.Targets, one) })
	if (o.As != mail.Address{}) {
		k.aliases = nil
		k.accounts[0].Address, err = d.accountAddress(o.As)
	}
	return k, err
}

// refill is Refill within a transaction.
func (d *Directory) refill(ctx context.Context, tx *sql.Tx, k kept) (r Refill, err error) {
	for _, n := range k.domains {
		_, created, err := ensureDomain(ctx, tx, n.Name)
		if err != nil {
			return r, err
		}
		if created {
			r.Domains = append(r.Domains, n.Name)
		}
	}
	var back []mail.Address
	for _, a := range k.accounts {
		newDomain, err := addAccount(ctx, tx, a.Address, a.hash)
		switch {
		case errors.Is(err, ErrExists):
			if _, _, err := account(ctx, tx, a.Address); err == nil {
				r.Kept++
			} else {
				r.Skipped = append(r.Skipped, fmt.Sprintf("account %s: the name is an alias now", a.Name()))
			}
			continue
		case err != nil:
			return r, err
		}
		if err := refillAccount(ctx, tx, a); err != nil {
			return r, err
		}
		if newDomain {
			r.Domains = append(r.Domains, a.Address.Domain)
		}
		back = append(back, a.Address)
		r.Accounts = append(r.Accounts, a.Name())
	}
	return r, d.refillAliases(ctx, tx, k.aliases, back, &r)
}

// refillAccount gives an account that was just added its state, limits and app passwords.
func refillAccount(ctx context.Context, tx *sql.Tx, a keptAccount) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE accounts SET suspended = ?, limit_octets = ?, limit_messages = ?, created_s = ?
		WHERE local = ? AND domain_id = (SELECT id FROM domains WHERE name = ?)`,
		a.Suspended, a.Quota.Octets.column(), a.Quota.Messages.column(), a.Created.Unix(), a.Address.Local, a.Address.Domain)
	if err != nil {
		return err
	}
	for _, p := range a.apps {
		used := p.used.Unix()
		if used < 0 {
			used = 0
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO app_passwords (account_id, name, password_hash, created_s, used_s)
			SELECT a.id, ?, ?, ?, ? FROM accounts a JOIN domains d ON d.id = a.domain_id WHERE d.name = ? AND a.local = ?`,
			p.name, p.hash, p.created.Unix(), used, a.Address.Domain, a.Address.Local)
		if err != nil {
			return err
		}
	}
	return nil
}

// refillAliases puts back aliases, after the accounts. One that leads to others waits for them.
func (d *Directory) refillAliases(ctx context.Context, tx *sql.Tx, list []Alias, back []mail.Address, r *Refill) error {
	pending := map[mail.Address]bool{}
	for _, a := range list {
		pending[a.Address] = true
	}
	for len(list) > 0 {
		var waiting []Alias
		for _, a := range list {
			done, err := d.refillAlias(ctx, tx, refilling{a, back, pending}, r)
			if err != nil {
				return err
			}
			if done {
				delete(pending, a.Address)
			} else {
				waiting = append(waiting, a)
			}
		}
		if len(waiting) == len(list) {
			clear(pending) // they wait for one another
		}
		list = waiting
	}
	return nil
}

// refilling is an alias on its way back, with the accounts that came back and the aliases that are still to come.
type refilling struct {
	Alias
	back    []mail.Address
	pending map[mail.Address]bool
}

// refillAlias puts back one alias with those targets that there are. It reports false when some are still to come.
func (d *Directory) refillAlias(ctx context.Context, tx *sql.Tx, a refilling, r *Refill) (done bool, err error) {
	_, err = aliasID(ctx, tx, a.Address)
	missing := errors.Is(err, ErrNotFound)
	if err != nil && !missing {
		return false, err
	}
	var targets, gone []mail.Address
	for _, t := range a.Targets {
		switch err := targetExists(ctx, tx, t); {
		case errors.Is(err, ErrNotFound):
			if missing && a.pending[t] && t != a.Address {
				return false, nil
			}
			gone = append(gone, t)
		case err != nil:
			return false, err
		case missing || slices.Contains(a.back, t):
			targets = append(targets, t)
		}
	}
	if !missing && len(targets) == 0 {
		return true, nil
	}
	why, err := d.tryAlias(ctx, tx, a.Address, targets)
	switch {
	case err != nil:
		return false, err
	case why != nil && !missing && errors.Is(why, ErrExists):
		return true, nil
	case why != nil:
		r.Skipped = append(r.Skipped, fmt.Sprintf("alias %s: %v", a.Address, why))
		return true, nil
	}
	r.Aliases = append(r.Aliases, a.Address.String())
	for _, t := range gone {
		if missing {
			r.Skipped = append(r.Skipped, fmt.Sprintf("alias %s: its target %s is not there", a.Address, t))
		}
	}
	return true, nil
}

// tryAlias adds an alias or targets to it. why says why that cannot be; then nothing is changed.
func (d *Directory) tryAlias(ctx context.Context, tx *sql.Tx, a mail.Address, targets []mail.Address) (why, err error) {
	if len(targets) == 0 {
		return errors.New("none of its targets is there"), nil
	}
	if _, err := tx.ExecContext(ctx, `SAVEPOINT alias`); err != nil {
		return nil, err
	}
	_, _, err = ensureDomain(ctx, tx, a.Domain)
	if err == nil {
		err = d.addAlias(ctx, tx, a, targets)
	}
	undo := `RELEASE alias`
	for _, verdict := range []error{ErrExists, ErrLoop, ErrTooMany, ErrInvalid} {
		if errors.Is(err, verdict) {
			why, err, undo = err, nil, `ROLLBACK TO alias; RELEASE alias`
		}
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, undo)
	}
	return why, err
}
