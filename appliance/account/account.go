// Package account knows whose mail this box takes: domains, accounts, aliases,
// password hashes and quota limits, kept in accounts.db. Names at the box's own
// domain that it does not know are looked up in an aliases(5) file.
//
// A [Directory] is that file, opened. The daemon and any number of mailctl
// processes have it open at once; each change is one transaction, on disk
// (WAL, synchronous=FULL) when its method returns, and seen by the next call
// of everybody. A Directory caches nothing. It is safe for concurrent use.
//
// The file is precious: it cannot be made again from anything else. One that is
// damaged, empty or written by a newer maild is refused with an error and left
// as it is, never set aside or repaired.
//
// An address is matched without regard to case or to the way its letters are
// composed (Unicode NFC): an account or an alias of exactly that name comes
// first, then the name without its subaddress, then the aliases file, and last
// the domain's catch-all. A suspended account may not log in, but still receives
// mail: senders need not know, and nothing is lost.
//
// The mail of user@domain lives in DOMAIN/USER below the mail directory, so
// both are checked here to be one safe path component each.
package account

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"maild/appliance/aliases"
	"maild/appliance/mail"
)

// What can be wrong with a request. They come wrapped, with the name they are
// about and, where there is one, what to do.
var (
	ErrInvalid  = errors.New("not allowed")      // a name that no account, alias or domain may have
	ErrExists   = errors.New("exists already")   // the name is taken
	ErrNotFound = errors.New("does not exist")   // no such domain, account or alias
	ErrNotEmpty = errors.New("is not empty")     // a domain with accounts or aliases
	ErrInUse    = errors.New("is in use")        // something else points here
	ErrLoop     = errors.New("is a loop")        // aliases that lead back, or too deep
	ErrTooMany  = errors.New("is too large")     // an alias that expands beyond all measure
	ErrPassword = errors.New("password refused") // too short, too long, or not text
	ErrHash     = errors.New("not a password hash")

	// ErrBadCredentials is the one answer to an unknown name, an account
	// without a password and a wrong password.
	ErrBadCredentials = errors.New("wrong name or password")
	// ErrSuspended is answered to the right password only.
	ErrSuspended = errors.New("account is suspended")
)

// Account is one user's mail account, as it was when it was read.
type Account struct {
	Address       mail.Address // local-part in lower case, NFC
	Suspended     bool         // may not log in; still receives mail
	HasPassword   bool
	Quota         Quota
	WarnedPercent int // how full it was when its user was last told; 0 = nothing to tell of since
	Created       time.Time
}

// Name is "user@domain", which names the account everywhere: in the index, in
// logs and on the command line. It is never quoted.
func (a Account) Name() string { return a.Address.Local + "@" + a.Address.Domain }

// Dir is the account's directory below the mail directory, "domain/user".
func (a Account) Dir() string { return filepath.Join(a.Address.Domain, a.Address.Local) }

// Domain is one local domain.
type Domain struct {
	Name     string // lower case, A-labels
	Accounts int64
	Aliases  int64
	Created  time.Time
}

// Alias is a local address that stands for others.
type Alias struct {
	Address mail.Address   // without a local-part: the domain's catch-all
	Targets []mail.Address // accounts, aliases or outside, in the order they were added
	Created time.Time
}

// Filter selects accounts. The zero value selects all.
type Filter struct {
	Domain string // only this one, as mail.ParseDomain gives it
}

// Options say how to open a Directory.
type Options struct {
	Path       string       // of accounts.db
	ReadOnly   bool         // nothing can be changed, and the file must exist
	Hostname   string       // the box's own domain, canonical
	Separator  string       // between a user and the subaddress; "" = none
	Postmaster mail.Address // gets postmaster's mail; zero: postmaster@Hostname
	Aliases    string       // path of an aliases(5) file for names at Hostname; "" = none
	Log        *slog.Logger // what is wrong with that file; nil: nobody is told
}

// Directory is an open accounts.db.
type Directory struct {
	db      *sql.DB
	options Options
	slots   chan struct{} // one for each password verification under way
	aliases *aliases.File // nil: there is none
	exists  *sql.Stmt     // of Exists, which each delivery asks

	onVerify func() // test hook: a password is being verified
}

// log is where to complain.
func (d *Directory) log() *slog.Logger {
	if d.options.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return d.options.Log
}

// Close releases the file. Calls under way end with an error.
func (d *Directory) Close() error { return d.db.Close() }

// read runs fn on one consistent state of the file.
func (d *Directory) read(ctx context.Context, fn func(*sql.Tx) error) error {
	return d.transact(ctx, &sql.TxOptions{ReadOnly: true}, fn)
}

// write runs fn as one change: all of it is on disk when write returns nil,
// none of it otherwise.
func (d *Directory) write(ctx context.Context, fn func(*sql.Tx) error) error {
	return d.transact(ctx, nil, fn)
}

func (d *Directory) transact(ctx context.Context, opts *sql.TxOptions, fn func(*sql.Tx) error) error {
	tx, err := d.db.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, rollback(tx))
	}
	return tx.Commit()
}

// rollback gives up a transaction; the end of its context may have done so.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// seconds is how times are stored.
func seconds(s int64) time.Time { return time.Unix(s, 0).UTC() }
