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

// StepKind says what happens to an address in one step.
type StepKind string

// The kinds of step.
const (
	StepSubaddress StepKind = "subaddress" // To is the name without it
	StepAlias      StepKind = "alias"      // To are its targets
	StepCatchAll   StepKind = "catch-all"  // the same, for every name that nobody has
	StepFile       StepKind = "aliases file"
	StepPostmaster StepKind = "postmaster" // To is who gets it where nobody has the name
	StepAccount    StepKind = "account"    // it gets the mail
	StepSuspended  StepKind = "suspended"  // and so does this one, whose user cannot log in
	StepOutside    StepKind = "outside"    // another host's
	StepNobody     StepKind = "nobody"     // no such name
	StepSeen       StepKind = "seen"       // it was met before, and gets the mail once
)

// Step is one step from an address to those who get its mail.
type Step struct {
	Depth   int // 0 for the address itself, 1 for what it leads to, and so on
	Address mail.Address
	Kind    StepKind
	To      []mail.Address
	File    string   // of StepFile: where it stands
	Line    int      // from 1
	Refused []string // of StepFile: pipes and files, to which nothing is given
}

// lookups is where an address is looked for.
type lookups int

const (
	everything lookups = iota
	databaseOnly
	literally // databaseOnly without aliases: \name in the aliases file
)

// walk goes from an address to its accounts, depth first.
type walk struct {
	d       *Directory
	ctx     context.Context
	tx      *sql.Tx
	explain bool // keep the steps
	strict  bool // a loop is an error: an alias is being added

	ours     map[string]bool // domains that were asked for
	seen     map[mail.Address]bool
	path     []mail.Address // from the first address to the one at hand
	targets  int
	accounts []Account
	outside  []mail.Address
	steps    []Step
}

func (d *Directory) walk(ctx context.Context, tx *sql.Tx) *walk {
	return &walk{d: d, ctx: ctx, tx: tx, ours: map[string]bool{}, seen: map[mail.Address]bool{}}
}

func (w *walk) note(s Step) {
	if w.explain {
		s.Depth = len(w.path)
		w.steps = append(w.steps, s)
	}
}

// isOurs reports whether a domain is one of this box.
func (w *walk) isOurs(domain string) (bool, error) {
	ours, known := w.ours[domain]
	if known {
		return ours, nil
	}
	_, err := domainID(w.ctx, w.tx, domain)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	w.ours[domain] = err == nil
	return err == nil, nil
}

// reached reports whether anybody gets the mail so far.
func (w *walk) reached() bool { return len(w.accounts)+len(w.outside) > 0 }

// postmaster finds who is postmaster of a domain. It is no name for a catch-all:
// that mail is for whoever runs the box.
func (w *walk) postmaster(a mail.Address) error {
	own, configured := w.d.ownPostmaster(), folded(w.d.options.Postmaster)
	try := []mail.Address{a, configured, own}
	if a == own {
		try = []mail.Address{configured, own}
	}
	for _, next := range try {
		if next.IsZero() || w.seen[next] {
			continue
		}
		switch ours, err := w.isOurs(next.Domain); {
		case err != nil:
			return err
		case !ours:
			continue // a configured one that is not ours leads to nobody
		}
		if next != a {
			w.note(Step{Address: a, Kind: StepPostmaster, To: []mail.Address{next}})
		}
		if _, err := w.visit(next, databaseOnly); err != nil || w.reached() {
			return err
		}
	}
	return nil
}

// visit looks for one address, and goes on with what it leads to. found says
// that there is such a name.
func (w *walk) visit(a mail.Address, where lookups) (found bool, err error) {
	if w.seen[a] {
		return true, w.again(a)
	}
	w.seen[a] = true
	switch ours, err := w.isOurs(a.Domain); {
	case err != nil:
		return false, err
	case !ours:
		w.outside = append(w.outside, a)
		w.note(Step{Address: a, Kind: StepOutside})
		return true, nil
	}
	names := w.d.withBase(a)
	for i, name := range names {
		if found, err := w.inDatabase(a, name, i > 0, where); found || err != nil {
			return found, err
		}
	}
	if where == everything {
		for i, name := range names {
			if found, err := w.inFile(a, name, i > 0); found || err != nil {
				return found, err
			}
		}
		if found, err := w.catchAll(a); found || err != nil {
			return found, err
		}
	}
	w.note(Step{Address: a, Kind: StepNobody})
	return false, nil
}

// again is for an address that was met before.
func (w *walk) again(a mail.Address) error {
	if i := slices.Index(w.path, a); i >= 0 && w.strict {
		var loop strings.Builder
		for _, name := range w.path[i:] {
			loop.WriteString(name.String() + " → ")
		}
		return fmt.Errorf("%w: %s%s", ErrLoop, &loop, a)
	}
	w.note(Step{Address: a, Kind: StepSeen})
	return nil
}

// inDatabase looks for an account or an alias of exactly this name, which is a
// or a without its subaddress.
func (w *walk) inDatabase(a, name mail.Address, stripped bool, where lookups) (found bool, err error) {
	acc, _, err := account(w.ctx, w.tx, name)
	if err == nil {
		w.strip(a, name, stripped)
		kind := StepAccount
		if acc.Suspended {
			kind = StepSuspended
		}
		w.note(Step{Address: name, Kind: kind})
		if !slices.ContainsFunc(w.accounts, func(x Account) bool { return x.Address == acc.Address }) {
			w.accounts = append(w.accounts, acc)
		}
		return true, nil
	}
	if !errors.Is(err, ErrNotFound) || where == literally {
		return false, ignoreNotFound(err)
	}
	targets, err := targetsOf(w.ctx, w.tx, name)
	if err != nil || len(targets) == 0 {
		return false, err
	}
	w.strip(a, name, stripped)
	if stripped && w.seen[name] {
		return true, w.again(name)
	}
	w.note(Step{Address: name, Kind: StepAlias, To: targets})
	return true, w.expand(name, targets, nil)
}

// strip notes that a subaddress was taken off.
func (w *walk) strip(a, name mail.Address, stripped bool) {
	if stripped {
		w.note(Step{Address: a, Kind: StepSubaddress, To: []mail.Address{name}})
	}
}

// inFile looks for a name of this host in the aliases file.
func (w *walk) inFile(a, name mail.Address, stripped bool) (found bool, err error) {
	if w.d.aliases == nil || name.Domain != w.d.options.Hostname {
		return false, nil
	}
	e, ok, err := w.d.aliases.Lookup(name.Local)
	if !ok || err != nil {
		return false, err
	}
	w.strip(a, name, stripped)
	if stripped && w.seen[name] {
		return true, w.again(name)
	}
	targets := make([]mail.Address, len(e.Targets))
	literal := make([]bool, len(e.Targets))
	for i, t := range e.Targets {
		targets[i], literal[i] = w.d.fromFile(t), t.Literal
	}
	w.note(Step{Address: name, Kind: StepFile, To: targets, File: e.File, Line: e.Line, Refused: e.Refused})
	return true, w.expand(name, targets, literal)
}

// catchAll looks for the alias of all names that nobody has.
func (w *walk) catchAll(a mail.Address) (found bool, err error) {
	name := mail.Address{Domain: a.Domain}
	targets, err := targetsOf(w.ctx, w.tx, name)
	if err != nil || len(targets) == 0 {
		return false, err
	}
	if a != name && w.seen[name] {
		return true, w.again(name)
	}
	w.note(Step{Address: a, Kind: StepCatchAll, To: targets})
	return true, w.expand(name, targets, nil)
}

// expand visits the targets of an alias of that name.
func (w *walk) expand(name mail.Address, targets []mail.Address, literal []bool) error {
	w.seen[name] = true
	if len(w.path) == maxDepth {
		return fmt.Errorf("%w or as good as one: more than %d aliases lie behind one another at %s", ErrLoop, maxDepth, name)
	}
	if w.targets += len(targets); w.targets > maxTargets {
		return fmt.Errorf("%w: it would lead to more than %d addresses", ErrTooMany, maxTargets)
	}
	w.path = append(w.path, name)
	defer func() { w.path = w.path[:len(w.path)-1] }()
	for i, target := range targets {
		where := everything
		if literal != nil && literal[i] {
			where = literally
		}
		if _, err := w.visit(target, where); err != nil {
			return err
		}
	}
	return nil
}

// expand walks from an alias that is there; with strict set, a loop is an error.
func (d *Directory) expand(ctx context.Context, tx *sql.Tx, a mail.Address, strict bool) error {
	w := d.walk(ctx, tx)
	w.strict = strict
	_, err := w.visit(a, everything)
	return err
}

func ignoreNotFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
