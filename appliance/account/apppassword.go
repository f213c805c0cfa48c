package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"maild/appliance/mail"
)

const (
	// maxAppPasswords is how many one account may have: one for each device,
	// and then some.
	maxAppPasswords = 50
	// maxAppNameRunes keeps a list of them readable.
	maxAppNameRunes = 64
	// usedEvery is how exact the time of the last use is: a write for each
	// login would cost an fsync each.
	usedEvery = time.Hour
)

// AppPassword is a password of one program or device, beside the account's own.
type AppPassword struct {
	Name    string
	Created time.Time
	Used    time.Time // to the hour; zero: never
}

// appSecret is what a login is held against.
type appSecret struct {
	id     int64
	name   string
	hash   string
	parsed phc

	created, used time.Time
}

// AddAppPassword makes a password for a program of an account's user, and gives
// it back, this once: only its hash is kept. The name is the user's own, unique
// in the account. ErrExists if it is taken, ErrInvalid if it cannot be a name,
// ErrTooMany beyond 50, ErrNotFound if there is no such account.
//
// Those of one account are hashed with one salt, so that one derivation answers
// for all of them. That gives nothing away: each is 120 random bits.
func (d *Directory) AddAppPassword(ctx context.Context, a mail.Address, name string) (password string, err error) {
	a = folded(a)
	about := "account " + a.String()
	if name, err = appName(name); err != nil {
		return "", err
	}
	password = generate(appGroups, appGroupLetters)
	for {
		var model phc
		err = d.read(ctx, func(tx *sql.Tx) error {
			model, err = appModel(ctx, tx, a, name)
			return err
		})
		if err != nil {
			return "", wrap(about, err)
		}
		// Outside the transaction: it takes its time.
		model.hash = model.derive(password, hashOctets)
		err = d.write(ctx, func(tx *sql.Tx) error {
			now, err := appModel(ctx, tx, a, name)
			if err != nil {
				return err
			}
			if now.hash != nil && !now.sameSalt(model) {
				return errSaltChosen
			}
			_, err = tx.ExecContext(ctx, `
				INSERT INTO app_passwords (account_id, name, password_hash, created_s)
				SELECT a.id, ?, ?, ? FROM accounts a JOIN domains d ON d.id = a.domain_id WHERE d.name = ? AND a.local = ?`,
				name, model.String(), time.Now().Unix(), a.Domain, a.Local)
			return err
		})
		if !errors.Is(err, errSaltChosen) {
			return password, wrap(about, err)
		}
	}
}

// errSaltChosen says that somebody else made the account's first app password
// meanwhile.
var errSaltChosen = errors.New("another salt was chosen meanwhile")

// appModel gives parameters and salt for one more app password of an account:
// those of the others, and a hash then, or new ones, and none.
func appModel(ctx context.Context, tx *sql.Tx, a mail.Address, name string) (phc, error) {
	if _, _, err := account(ctx, tx, a); err != nil {
		return phc{}, err
	}
	list, err := appSecrets(ctx, tx, a)
	if err != nil {
		return phc{}, err
	}
	if slices.ContainsFunc(list, func(s appSecret) bool { return s.name == name }) {
		return phc{}, fmt.Errorf("has the app password %q: it %w: remove it first, or choose another name", name, ErrExists)
	}
	if len(list) >= maxAppPasswords {
		return phc{}, fmt.Errorf("%w: it has %d app passwords: remove one that is not used", ErrTooMany, len(list))
	}
	if len(list) > 0 {
		return list[0].parsed, nil
	}
	salt := make([]byte, saltOctets)
	rand.Read(salt) // never fails, says its documentation
	return recommended(salt), nil
}

// appName gives a name as it is kept.
func appName(name string) (string, error) {
	n := norm.NFC.String(strings.TrimSpace(name))
	switch {
	case n == "":
		return "", fmt.Errorf("app password: %w: its name is empty: call it after the device or program", ErrInvalid)
	case utf8.RuneCountInString(n) > maxAppNameRunes:
		return "", fmt.Errorf("app password %q: %w: a name has at most %d characters", name, ErrInvalid, maxAppNameRunes)
	case !utf8.ValidString(n) || strings.ContainsFunc(n, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", fmt.Errorf("app password %q: %w: its name has characters that cannot be printed", name, ErrInvalid)
	}
	return n, nil
}

// AppPasswords lists those of an account by name. ErrNotFound if there is no
// such account.
func (d *Directory) AppPasswords(ctx context.Context, a mail.Address) (list []AppPassword, err error) {
	a = folded(a)
	err = d.read(ctx, func(tx *sql.Tx) error {
		if _, _, err := account(ctx, tx, a); err != nil {
			return err
		}
		list, err = appPasswords(ctx, tx, a)
		return err
	})
	return list, wrap("account "+a.String(), err)
}

func appPasswords(ctx context.Context, tx *sql.Tx, a mail.Address) ([]AppPassword, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT p.name, p.created_s, p.used_s
		FROM app_passwords p JOIN accounts a ON a.id = p.account_id JOIN domains d ON d.id = a.domain_id
		WHERE d.name = ? AND a.local = ? ORDER BY p.name`, a.Domain, a.Local)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []AppPassword
	for rows.Next() {
		var p AppPassword
		var created, used int64
		if err := rows.Scan(&p.Name, &created, &used); err != nil {
			return nil, err
		}
		p.Created = seconds(created)
		if used > 0 {
			p.Used = seconds(used)
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// RemoveAppPassword makes one useless. ErrNotFound if there is no such account
// or app password.
func (d *Directory) RemoveAppPassword(ctx context.Context, a mail.Address, name string) error {
	a, name = folded(a), norm.NFC.String(strings.TrimSpace(name))
	err := d.write(ctx, func(tx *sql.Tx) error {
		if _, _, err := account(ctx, tx, a); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `
			DELETE FROM app_passwords WHERE name = ? AND account_id =
				(SELECT a.id FROM accounts a JOIN domains d ON d.id = a.domain_id WHERE d.name = ? AND a.local = ?)`,
			name, a.Domain, a.Local)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fmt.Errorf("has no app password %q: it %w", name, ErrNotFound))
		}
		return nil
	})
	return wrap("account "+a.String(), err)
}

// appSecrets lists an account's app passwords, the oldest first, those left out
// that do not share its salt: nobody but AddAppPassword makes any.
func appSecrets(ctx context.Context, tx *sql.Tx, a mail.Address) ([]appSecret, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT p.id, p.name, p.password_hash, p.created_s, p.used_s
		FROM app_passwords p JOIN accounts a ON a.id = p.account_id JOIN domains d ON d.id = a.domain_id
		WHERE d.name = ? AND a.local = ? ORDER BY p.id`, a.Domain, a.Local)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []appSecret
	for rows.Next() {
		var s appSecret
		var created, used int64
		if err := rows.Scan(&s.id, &s.name, &s.hash, &created, &used); err != nil {
			return nil, err
		}
		if s.parsed, err = parsePHC(s.hash); err != nil {
			return nil, err
		}
		s.created, s.used = seconds(created), seconds(used)
		list = append(list, s)
	}
	return list, rows.Err()
}

// sameSalt reports whether one derivation does for both.
func (h phc) sameSalt(o phc) bool {
	return h.memory == o.memory && h.time == o.time && h.threads == o.threads && string(h.salt) == string(o.salt) &&
		len(h.hash) == len(o.hash)
}

// verifyApp looks for the app password that was typed. Whatever the list holds,
// it costs one derivation; nil is none of them.
func (d *Directory) verifyApp(ctx context.Context, list []appSecret, password string) (*appSecret, error) {
	h := recommended(make([]byte, saltOctets))
	if len(list) > 0 {
		h = list[0].parsed
	}
	var derived []byte
	err := d.inSlot(ctx, func() { derived = h.derive(password, hashOctets) })
	if err != nil {
		return nil, err
	}
	h.hash = derived
	var found *appSecret
	for i := range list {
		if list[i].parsed.sameSalt(h) && subtle.ConstantTimeCompare(list[i].parsed.hash, derived) == 1 {
			found = &list[i]
		}
	}
	return found, nil
}

// noteUse keeps the time of a login, unless the one that is kept will do. A
// login does not fail for it.
func (d *Directory) noteUse(ctx context.Context, s *appSecret) {
	now := time.Now()
	if now.Sub(s.used) < usedEvery {
		return
	}
	err := d.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE app_passwords SET used_s = ? WHERE id = ?`, now.Unix(), s.id)
		return err
	})
	if err != nil && ctx.Err() == nil {
		d.log().Warn("auth", "status", "the time of the last use is not kept", "app_password", s.name, "err", err)
	}
}

// The form of an app password: groups of letters and digits. No password that
// Generate makes has it.
const (
	appGroups       = 4
	appGroupLetters = 6
)

// isAppForm reports whether a password could be an app password. One that could
// costs two derivations before it is refused, for a known name and for an
// unknown one; any other costs one.
func isAppForm(password string) bool {
	groups := strings.Split(password, "-")
	return len(groups) == appGroups && !slices.ContainsFunc(groups, func(g string) bool {
		return len(g) != appGroupLetters || strings.Trim(g, "abcdefghijklmnopqrstuvwxyz0123456789") != ""
	})
}
