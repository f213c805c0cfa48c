package account

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"maild/appliance/aliases"
	"maild/appliance/mail"
)

// postmaster is the one name that every domain has (RFC 5321 §4.5.1).
const postmaster = "postmaster"

// Kind says what an address is to this box. The zero value is none of them.
type Kind int

// The kinds of address.
const (
	Local   Kind = iota + 1 // it leads to accounts, or by an alias to somebody outside
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
	Accounts []Account      // who gets the mail, each once, in the aliases' order; only when Local
	Outside  []mail.Address // and to whom it would have to be passed on; only when Local
}

// Resolve says who gets the mail for an address: the account or alias of that
// name, or of the name without its subaddress; at the host's own domain whom the
// aliases file names; and then the domain's catch-all. "postmaster", with any
// local domain or none, always leads to somebody: where nobody has that name to
// Options.Postmaster, and else to the host's own postmaster account. At the
// host's own domain Options.Postmaster goes before the account.
//
// An error is a fault of this box, never of the address.
func (d *Directory) Resolve(ctx context.Context, a mail.Address) (Resolution, error) {
	r, _, err := d.follow(ctx, a, false)
	return r, err
}

// Explain is Resolve, with each step on the way.
func (d *Directory) Explain(ctx context.Context, a mail.Address) (Resolution, []Step, error) {
	return d.follow(ctx, a, true)
}

// AliasesFileLeadingTo says where the aliases file has an address among its
// targets, as "/etc/aliases:12 (root)".
func (d *Directory) AliasesFileLeadingTo(a mail.Address) []string {
	if d.aliases == nil {
		return nil
	}
	a = folded(a)
	var list []string
	for _, e := range d.aliases.LeadingTo(func(t aliases.Target) bool { return d.fromFile(t) == a }) {
		list = append(list, fmt.Sprintf("%s:%d (%s)", e.File, e.Line, e.Name))
	}
	return list
}

// fromFile is a target of the aliases file as an address.
func (d *Directory) fromFile(t aliases.Target) mail.Address {
	a := folded(t.Address)
	if a.Domain == "" {
		a.Domain = d.options.Hostname
	}
	return a
}

// AliasesFileProblems says what is wrong with the aliases file, by line.
func (d *Directory) AliasesFileProblems() []string {
	if d.aliases == nil {
		return nil
	}
	var list []string
	for _, p := range d.aliases.Problems() {
		list = append(list, p.String())
	}
	return list
}

func (d *Directory) follow(ctx context.Context, a mail.Address, explain bool) (r Resolution, steps []Step, err error) {
	f := folded(a)
	if f.Domain == "" && f.Local == postmaster {
		f.Domain = d.options.Hostname
	}
	err = d.read(ctx, func(tx *sql.Tx) error {
		r, steps, err = d.resolve(ctx, tx, f, explain)
		return err
	})
	if err != nil {
		return Resolution{}, steps, fmt.Errorf("resolve %s: %w", a, err)
	}
	return r, steps, nil
}

func (d *Directory) resolve(ctx context.Context, tx *sql.Tx, a mail.Address, explain bool) (Resolution, []Step, error) {
	w := d.walk(ctx, tx)
	w.explain = explain
	switch ours, err := w.isOurs(a.Domain); {
	case err != nil:
		return Resolution{}, nil, err
	case !ours:
		w.note(Step{Address: a, Kind: StepOutside})
		return Resolution{Kind: Foreign}, w.steps, nil
	}
	var err error
	if a.Local == postmaster {
		err = w.postmaster(a)
	} else {
		_, err = w.visit(a, everything)
	}
	switch {
	case err != nil:
		return Resolution{}, w.steps, err
	case len(w.accounts)+len(w.outside) == 0:
		return Resolution{Kind: Unknown}, w.steps, nil
	}
	return Resolution{Kind: Local, Accounts: w.accounts, Outside: w.outside}, w.steps, nil
}

// withBase is a, and then a without its subaddress if it has one.
func (d *Directory) withBase(a mail.Address) []mail.Address {
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
