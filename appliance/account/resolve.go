package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"maild/appliance/mail"
)

// postmaster is the one name that every domain has (RFC 5321 §4.5.1).
const postmaster = "postmaster"

// Kind says what an address is to this box. The zero value is none of them.
type Kind int

// The kinds of address.
const (
	Local   Kind = iota + 1 // it has at least one account
	Unknown                 // the domain is ours, the name is nobody's
	Foreign                 // the domain is not ours
)

// String is the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Local:
		return "local"
	case Unknown:
		return "unknown"
	case Foreign:
		return "foreign"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Resolution is what an address leads to.
type Resolution struct {
	Kind     Kind
	Accounts []Account // who gets the mail, each once, in the aliases' order; only when Local
}

// Resolve says who gets the mail for an address: the account or alias of that
// name, or of the name without its subaddress. "postmaster", with any local
// domain or none, always leads to somebody: where nobody has that name to
// Options.Postmaster, and else to the host's own postmaster account. At the
// host's own domain Options.Postmaster goes before the account.
//
// An error is a fault of this box, never of the address.
func (d *Directory) Resolve(ctx context.Context, a mail.Address) (r Resolution, err error) {
	f := folded(a)
	if f.Domain == "" && f.Local == postmaster {
		f.Domain = d.options.Hostname
	}
	err = d.read(ctx, func(tx *sql.Tx) error {
		r, err = d.resolve(ctx, tx, f)
		return err
	})
	if err != nil {
		return Resolution{}, fmt.Errorf("resolve %s: %w", a, err)
	}
	return r, nil
}

func (d *Directory) resolve(ctx context.Context, tx *sql.Tx, a mail.Address) (Resolution, error) {
	_, err := domainID(ctx, tx, a.Domain)
	if errors.Is(err, ErrNotFound) {
		return Resolution{Kind: Foreign}, nil
	}
	if err != nil {
		return Resolution{}, err
	}
	for _, candidate := range d.candidates(a) {
		list, err := d.expand(ctx, tx, candidate)
		if err != nil {
			return Resolution{}, err
		}
		if len(list) > 0 {
			return Resolution{Kind: Local, Accounts: list}, nil
		}
	}
	return Resolution{Kind: Unknown}, nil
}

// candidates are the names to look up, in this order.
func (d *Directory) candidates(a mail.Address) []mail.Address {
	if a.Local != postmaster {
		return d.withBase(a)
	}
	own, configured := d.ownPostmaster(), d.withBase(folded(d.options.Postmaster))
	if a == own {
		return append(configured, own)
	}
	return append(append([]mail.Address{a}, configured...), own)
}

// withBase is a, and then a without its subaddress if it has one.
func (d *Directory) withBase(a mail.Address) []mail.Address {
	if a.IsZero() {
		return nil
	}
	list := []mail.Address{a}
	if s := d.options.Separator; s != "" {
		if i := strings.Index(a.Local, s); i > 0 {
			list = append(list, mail.Address{Local: a.Local[:i], Domain: a.Domain})
		}
	}
	return list
}

func (d *Directory) ownPostmaster() mail.Address {
	return mail.Address{Local: postmaster, Domain: d.options.Hostname}
}

// expand gives the account of exactly this name, or those its alias leads to,
// or none.
func (d *Directory) expand(ctx context.Context, tx *sql.Tx, a mail.Address) ([]Account, error) {
	e := &expansion{ctx: ctx, tx: tx, seen: map[mail.Address]bool{}}
	if err := e.visit(a, 0); err != nil {
		return nil, err
	}
	return e.accounts, nil
}

// expansion walks from an alias to its accounts, depth first.
type expansion struct {
	ctx      context.Context
	tx       *sql.Tx
	seen     map[mail.Address]bool
	targets  int
	accounts []Account
}

func (e *expansion) visit(a mail.Address, depth int) error {
	if e.seen[a] {
		return nil
	}
	e.seen[a] = true
	found, _, err := account(e.ctx, e.tx, a)
	if err == nil {
		e.accounts = append(e.accounts, found)
		return nil
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	targets, err := targetsOf(e.ctx, e.tx, a)
	if err != nil || len(targets) == 0 {
		return err
	}
	if depth == maxDepth {
		return fmt.Errorf("%w or as good as one: more than %d aliases lie behind one another at %s", ErrLoop, maxDepth, a)
	}
	if e.targets += len(targets); e.targets > maxTargets {
		return fmt.Errorf("%w: it would lead to more than %d addresses", ErrTooMany, maxTargets)
	}
	for _, target := range targets {
		if err := e.visit(target, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// OwnsReversePath reports whether an account may send as a: its own address,
// its subaddresses, and every alias whose mail reaches it. An error is a fault
// of this box.
func (d *Directory) OwnsReversePath(ctx context.Context, who Account, a mail.Address) (bool, error) {
	r, err := d.Resolve(ctx, a)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(r.Accounts, func(x Account) bool { return x.Address == who.Address }), nil
}
