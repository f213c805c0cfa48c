package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"maild/appliance/mail"
)

// Authenticate checks a name and a password. The name is the full address of an
// account, or its user part alone for an account at the host's own domain; an
// alias or a subaddress is no name to log in with.
//
// ErrBadCredentials is the same, in text and in time, whether the name is
// unknown, has no password, or the password is wrong. ErrSuspended needs the
// right password. Any other error is a fault of this box, or ctx ending: at
// most two passwords are verified at once, the others wait.
func (d *Directory) Authenticate(ctx context.Context, name, password string) (Account, error) {
	found, hash, err := d.credentials(ctx, name)
	if err != nil {
		return Account{}, fmt.Errorf("authenticate %q: %w", name, err)
	}
	p, refused := normalise(password)
	matches, err := d.verify(ctx, hash, p)
	if err != nil {
		return Account{}, fmt.Errorf("authenticate %q: %w", name, err)
	}
	if !matches || refused != nil {
		return Account{}, ErrBadCredentials
	}
	if found.Suspended {
		return Account{}, ErrSuspended
	}
	return found, nil
}

// credentials gives the account to log in to and its hash, which is "" where
// there is none.
func (d *Directory) credentials(ctx context.Context, name string) (found Account, hash string, err error) {
	if !strings.Contains(name, "@") {
		name += "@" + d.options.Hostname
	}
	a, err := mail.ParseAddress(name)
	if err != nil {
		return Account{}, "", nil
	}
	err = d.read(ctx, func(tx *sql.Tx) error {
		found, hash, err = account(ctx, tx, folded(a))
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return Account{}, "", nil
	}
	return found, hash, err
}

// verify compares a password with a hash; with "" it does the same work in
// vain.
func (d *Directory) verify(ctx context.Context, hash, password string) (bool, error) {
	h := recommended(make([]byte, saltOctets))
	h.hash = make([]byte, hashOctets)
	if hash != "" {
		var err error
		if h, err = parsePHC(hash); err != nil {
			return false, err
		}
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if d.onVerify != nil {
		d.onVerify()
	}
	return h.matches(password) && hash != "", nil
}
