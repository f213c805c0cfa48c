package account

import (
	"context"
	"database/sql"
	"strconv"

	"maild/appliance/mail"
)

// Limit is how much an account may hold of something: a number of its own, or
// one of the two that are none.
type Limit int64

// What a limit can be besides a number.
const (
	DefaultLimit Limit = -1 // what the configuration says
	NoLimit      Limit = 0
)

// Or is the limit in force, 0 for none, where the configuration says standard.
func (l Limit) Or(standard int64) int64 {
	if l < 0 {
		return standard
	}
	return int64(l)
}

// String is the limit as it is written on the command line.
func (l Limit) String() string {
	switch {
	case l < 0:
		return "default"
	case l == NoLimit:
		return "none"
	}
	return strconv.FormatInt(int64(l), 10)
}

// Quota is the two limits of an account.
type Quota struct {
	Octets   Limit
	Messages Limit
}

// SetQuota changes those of an account's limits that are not nil, and gives what
// they are then. ErrNotFound if there is no such account.
func (d *Directory) SetQuota(ctx context.Context, a mail.Address, octets, messages *Limit) (now Account, err error) {
	a = folded(a)
	err = d.write(ctx, func(tx *sql.Tx) error {
		if now, _, err = account(ctx, tx, a); err != nil {
			return err
		}
		if octets != nil {
			now.Quota.Octets = *octets
		}
		if messages != nil {
			now.Quota.Messages = *messages
		}
		_, err := tx.ExecContext(ctx, `
			UPDATE accounts SET limit_octets = ?, limit_messages = ?
			WHERE local = ? AND domain_id = (SELECT id FROM domains WHERE name = ?)`,
			now.Quota.Octets.column(), now.Quota.Messages.column(), a.Local, a.Domain)
		return err
	})
	return now, wrap("account "+a.String(), err)
}

// column is the limit as it is stored.
func (l Limit) column() any {
	if l < 0 {
		return nil
	}
	return int64(l)
}

// SetWarned notes that the user was told, or that there is nothing to tell of
// any more, if the account still says what it said when it was read. Of several
// who cross a mark at the same time, one gets true.
func (d *Directory) SetWarned(ctx context.Context, who Account, percent int) (first bool, err error) {
	err = d.write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `
			UPDATE accounts SET warned_percent = ?
			WHERE local = ? AND domain_id = (SELECT id FROM domains WHERE name = ?) AND warned_percent = ?`,
			percent, who.Address.Local, who.Address.Domain, who.WarnedPercent)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		first = n > 0
		return err
	})
	return first && err == nil, wrap("account "+who.Address.String(), err)
}
