package account

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// quickApps lets the app passwords of an account cost nearly nothing: those to come take after the first.
func quickApps(t testing.TB, d *Directory, names ...string) {
	t.Helper()
	for _, name := range names {
		a := addr(t, name)
		if _, err := d.db.Exec(`INSERT INTO app_passwords (account_id, name, password_hash, created_s)
			SELECT a.id, 'zero', ?, 1 FROM accounts a JOIN domains d ON d.id = a.domain_id WHERE d.name = ? AND a.local = ?`,
			quickHash("zero"), a.Domain, a.Local); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAppPasswords(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := open(t, options(t.TempDir()))
	for _, name := range []string{"anna@a.example", "sue@a.example"} {
		_, err := d.AddAccount(ctx, addr(t, name), quickHash("password of "+name))
		errorless(t, err)
	}
	add(t, d, "bob@a.example") // without a password of its own
	quickApps(t, d, "anna@a.example", "bob@a.example", "sue@a.example")
	anna, bob, sue := addr(t, "Anna@a.example"), addr(t, "bob@a.example"), addr(t, "sue@a.example")
	made := map[string]string{}
	for _, name := range []string{"phone", " Laptop ", "te\u0301le\u0301phone"} {
		p, err := d.AddAppPassword(ctx, anna, name)
		errorless(t, err)
		if !isAppForm(p) || isAppForm(Generate()) {
			t.Errorf("%q is not told from %q", p, Generate())
		}
		made[name] = p
	}
	bobs, err := d.AddAppPassword(ctx, bob, "phone")
	errorless(t, err)
	sues, err := d.AddAppPassword(ctx, sue, "phone")
	errorless(t, err)
	errorless(t, d.Suspend(ctx, sue))

	for name, kind := range map[string]error{"phone": ErrExists, "Laptop": ErrExists, "téléphone": ErrExists, "": ErrInvalid, " ": ErrInvalid, "a\nb": ErrInvalid,
		"\xff": ErrInvalid, strings.Repeat("x", 65): ErrInvalid} {
		_, err := d.AddAppPassword(ctx, anna, name)
		wants(t, err, kind)
	}
	_, err = d.AddAppPassword(ctx, addr(t, "eve@a.example"), "phone")
	wants(t, err, ErrNotFound, "account eve@a.example does not exist")

	var verified atomic.Int64
	d.onVerify = func() { verified.Add(1) }
	wrong := "aaaaaa-bbbbbb-cccccc-dddddd"
	for _, tt := range []struct {
		name, password, app string
		err                 error
		hashes              int64
	}{
		{"anna@a.example", "password of anna@a.example", "", nil, 1},
		{"anna@a.example", made["phone"], "phone", nil, 1},
		{"ANNA@a.example", made[" Laptop "], "Laptop", nil, 1},
		{"bob@a.example", bobs, "phone", nil, 1},
		{"sue@a.example", sues, "", ErrSuspended, 1},
		{"sue@a.example", "password of sue@a.example", "", ErrSuspended, 1},
		// What is refused costs the same for everybody, whatever they have.
		{"anna@a.example", wrong, "", ErrBadCredentials, 2},
		{"anna@a.example", bobs, "", ErrBadCredentials, 2},
		{"bob@a.example", wrong, "", ErrBadCredentials, 2},
		{"sue@a.example", wrong, "", ErrBadCredentials, 2},
		{"eve@a.example", wrong, "", ErrBadCredentials, 2},
		{"eve@foreign.example", wrong, "", ErrBadCredentials, 2},
		{"anna@a.example", strings.ToUpper(made["phone"]), "", ErrBadCredentials, 1},
		{"anna@a.example", "wrong", "", ErrBadCredentials, 1},
		{"bob@a.example", "wrong", "", ErrBadCredentials, 1},
		{"eve@a.example", "wrong", "", ErrBadCredentials, 1},
	} {
		before := verified.Load()
		l, err := d.Authenticate(ctx, tt.name, tt.password)
		if err != tt.err || l.AppPassword != tt.app {
			t.Errorf("%s with %q: %+v, %v, want %q, %v", tt.name, tt.password, l, err, tt.app, tt.err)
		}
		if n := verified.Load() - before; n != tt.hashes {
			t.Errorf("%s with %q: %d hashes, want %d", tt.name, tt.password, n, tt.hashes)
		}
	}
	errorless(t, d.SetPassword(ctx, anna, ""))
	if _, err := d.Authenticate(ctx, "anna@a.example", made["phone"]); err != nil {
		t.Errorf("after the account's own password was taken away: %v", err)
	}
	errorless(t, d.RemoveAppPassword(ctx, anna, "phone"))
	if _, err := d.Authenticate(ctx, "anna@a.example", made["phone"]); err != ErrBadCredentials {
		t.Errorf("after the removal: %v", err)
	}
	wants(t, d.RemoveAppPassword(ctx, anna, "phone"), ErrNotFound, `account anna@a.example has no app password "phone"`)
	wants(t, d.RemoveAppPassword(ctx, addr(t, "eve@a.example"), "phone"), ErrNotFound)
	list, err := d.AppPasswords(ctx, anna)
	if err != nil || len(list) != 3 || list[0].Name != "Laptop" || list[1].Name != "téléphone" || list[0].Created.IsZero() {
		t.Errorf("left: %+v, %v", list, err)
	}
	errorless(t, d.RemoveAccount(ctx, anna))
	_, err = d.AppPasswords(ctx, anna)
	wants(t, err, ErrNotFound)
	add(t, d, "anna@a.example")
	if list, err := d.AppPasswords(ctx, anna); err != nil || len(list) != 0 {
		t.Errorf("the next anna has %+v, %v", list, err)
	}
}

// TestAppPasswordUse holds that the last use is kept, and not written again within the hour.
func TestAppPasswordUse(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := open(t, options(t.TempDir()))
	add(t, d, "anna@a.example")
	anna := addr(t, "anna@a.example")
	quickApps(t, d, "anna@a.example")
	p, err := d.AddAppPassword(ctx, anna, "phone")
	errorless(t, err)
	used := func() time.Time {
		t.Helper()
		list, err := d.AppPasswords(ctx, anna)
		errorless(t, err)
		return list[0].Used
	}
	login := func() {
		t.Helper()
		_, err := d.Authenticate(ctx, "anna@a.example", p)
		errorless(t, err)
	}
	if !used().IsZero() {
		t.Errorf("used at %v before the first login", used())
	}
	login()
	if time.Since(used()) > time.Minute {
		t.Errorf("used at %v", used())
	}
	for ago, written := range map[time.Duration]bool{usedEvery - time.Minute: false, usedEvery + time.Minute: true} {
		then := time.Now().Add(-ago).Unix()
		_, err := d.db.Exec(`UPDATE app_passwords SET used_s = ?`, then)
		errorless(t, err)
		login()
		if now := used().Unix(); (now != then) != written {
			t.Errorf("%v after the last use: written %v, want %v", ago, now != then, written)
		}
	}
}

// TestAppPasswordsAtOnce holds that two first ones made at once end with one salt, and that there is a limit.
func TestAppPasswordsAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := open(t, options(t.TempDir()))
	add(t, d, "anna@a.example")
	anna := addr(t, "anna@a.example")
	var done sync.WaitGroup
	passwords := make([]string, 2)
	for i := range passwords {
		done.Go(func() {
			var err error
			if passwords[i], err = d.AddAppPassword(ctx, anna, fmt.Sprint("device ", i)); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	for i, p := range passwords {
		if l, err := d.Authenticate(ctx, "anna@a.example", p); err != nil || l.AppPassword != fmt.Sprint("device ", i) {
			t.Errorf("device %d: %+v, %v", i, l, err)
		}
	}
	for i := len(passwords); i < maxAppPasswords; i++ {
		_, err := d.db.Exec(`INSERT INTO app_passwords (account_id, name, password_hash, created_s)
			SELECT account_id, ?, password_hash, 1 FROM app_passwords LIMIT 1`, fmt.Sprint("more ", i))
		errorless(t, err)
	}
	_, err := d.AddAppPassword(ctx, anna, "one too many")
	wants(t, err, ErrTooMany, "it has 50 app passwords")
}

func BenchmarkAppLogin(b *testing.B) {
	d := open(b, options(b.TempDir()))
	add(b, d, "anna@a.example")
	var p string
	for i := range 20 {
		var err error
		if p, err = d.AddAppPassword(b.Context(), addr(b, "anna@a.example"), fmt.Sprint(i)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := d.Authenticate(b.Context(), "anna@a.example", p); err != nil {
			b.Fatal(err)
		}
	}
}
