package account

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"maild/appliance/mail"
)

// Login is who has authenticated, and by what.
type Login struct {
	Account
	AppPassword string // the name of the one used; "" = the account's own password
}

// credentials is what a name and a password are held against.
type credentials struct {
	account Account
	hash    string // "" where there is no such account, or none that can log in
	apps    []appSecret
}

// Authenticate checks a name and a password: the account's own or one of its
// app passwords. The name is the full address of an account, or its user part
// alone for an account at the host's own domain; an alias or a subaddress is no
// name to log in with.
//
// ErrBadCredentials is the same, in text and in time, whether the name is
// unknown, has no password, or the password is wrong: how many hashes are
// derived, one or two, depends on the password's form alone, never on how many
// app passwords there are. ErrSuspended needs a right password. Any other error
// is a fault of this box, or ctx ending: at most two hashes are derived at
// once, the others wait.
func (d *Directory) Authenticate(ctx context.Context, name, password string) (Login, error) {
	c, err := d.credentials(ctx, name)
	if err != nil {
		return Login{}, fmt.Errorf("authenticate %q: %w", name, err)
	}
	p, refused := normalise(password)
	matches, app, err := d.match(ctx, c, p)
	if err != nil {
		return Login{}, fmt.Errorf("authenticate %q: %w", name, err)
	}
	if !matches || refused != nil {
		return Login{}, ErrBadCredentials
	}
	if c.account.Suspended {
		return Login{}, ErrSuspended
	}
	l := Login{Account: c.account}
	if app != nil {
		l.AppPassword = app.name
		d.noteUse(ctx, app)
	}
	return l, nil
}

// match tries the app passwords if it could be one of them, then the account's.
func (d *Directory) match(ctx context.Context, c credentials, password string) (matches bool, app *appSecret, err error) {
	if isAppForm(password) {
		app, err = d.verifyApp(ctx, c.apps, password)
		if err != nil || app != nil {
			return err == nil, app, err
		}
	}
	matches, err = d.verify(ctx, c.hash, password)
	return matches, nil, err
}

// credentials gives the account to log in to and its hashes, none where there
// is none.
func (d *Directory) credentials(ctx context.Context, name string) (c credentials, err error) {
	if !strings.Contains(name, "@") {
		name += "@" + d.options.Hostname
	}
	a, err := mail.ParseAddress(name)
	if err != nil {
		return credentials{}, nil
	}
	a = folded(a)
	err = d.read(ctx, func(tx *sql.Tx) error {
		c.account, c.hash, err = account(ctx, tx, a)
		if err := ignoreNotFound(err); err != nil {
			return err
		}
		c.apps, err = appSecrets(ctx, tx, a) // for an unknown name, too: it takes its time
		return err
	})
	return c, err
}

// verify compares a password with a hash; with "" it does the same work in
// vain.
func (d *Directory) verify(ctx context.Context, hash, password string) (matches bool, err error) {
	h := recommended(make([]byte, saltOctets))
	h.hash = make([]byte, hashOctets)
	if hash != "" {
		if h, err = parsePHC(hash); err != nil {
			return false, err
		}
	}
	err = d.inSlot(ctx, func() { matches = h.matches(password) && hash != "" })
	return matches, err
}

// inSlot waits for one of the places in which hashes are derived.
func (d *Directory) inSlot(ctx context.Context, derive func()) error {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if d.onVerify != nil {
		d.onVerify()
	}
	derive()
	return nil
}
