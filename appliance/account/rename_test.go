package account

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maild/appliance/mail"
)

func TestRename(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		ctx := t.Context()
		d := open(t, options(t.TempDir()))
		_, err := d.AddAccount(ctx, addr(t, "anna@a.example"), quickHash("password"))
		errorless(t, err)
		add(t, d, "bob@a.example")
		quickApps(t, d, "anna@a.example")
		app, err := d.AddAppPassword(ctx, addr(t, "anna@a.example"), "phone")
		errorless(t, err)
		alias(t, d, "team@a.example", "anna@a.example", "bob@a.example")
		alias(t, d, "all@a.example", "team@a.example")
		alias(t, d, "@a.example", "anna@a.example")
		alias(t, d, "both@a.example", "anna@a.example", "Anne@b.example") // which is outside, so far

		from, to := addr(t, "ANNA@a.example"), addr(t, "Anne@b.example")
		r, err := d.BeginRename(ctx, from, to, keep)
		errorless(t, err)
		if r.Resumed || r.Committed || r.From.String() != "anna@a.example" || r.To.String() != "anne@b.example" {
			t.Errorf("begun: %+v", r)
		}
		// Until it is committed all is as before, and nobody takes one of the names.
		if got := resolved(t, d, from); !slices.Equal(got, []string{"anna@a.example"}) {
			t.Errorf("meanwhile %s leads to %v", from, got)
		}
		_, err = d.BeginRename(ctx, from, addr(t, "anja@a.example"), false)
		wants(t, err, ErrInUse, "mailctl user rename anna@a.example anne@b.example")
		_, err = d.BeginRename(ctx, addr(t, "bob@a.example"), to, false)
		wants(t, err, ErrInUse)
		_, err = d.AddAccount(ctx, to, "")
		wants(t, err, ErrInUse)
		wants(t, d.RemoveAccount(ctx, from), ErrInUse)
		errorless(t, d.AddDomain(ctx, "c.example"))
		if list, err := d.Renames(ctx); err != nil || len(list) != 1 || list[0].To != r.To || list[0].Committed {
			t.Errorf("pending: %+v, %v", list, err)
		}
		if r, err = d.BeginRename(ctx, from, to, keep); err != nil || !r.Resumed || r.Committed {
			t.Errorf("taken up again: %+v, %v", r, err)
		}
		newDomain, err := d.CommitRename(ctx, r)
		if err != nil || !newDomain {
			t.Errorf("committed: %v, %v", newDomain, err)
		}
		for range 2 { // the second time it is done
			newDomain, err = d.CommitRename(ctx, r)
			if err != nil || newDomain {
				t.Errorf("committed again: %v, %v", newDomain, err)
			}
		}
		if r, err = d.BeginRename(ctx, from, to, !keep); err != nil || !r.Resumed || !r.Committed || r.KeepAlias != keep {
			t.Errorf("after the commit: %+v, %v", r, err)
		}
		_, err = d.AddAccount(ctx, from, "")
		wants(t, err, ErrInUse)
		errorless(t, d.EndRename(ctx, r))
		errorless(t, d.EndRename(ctx, r))

		old := []string{"anne@b.example"} // by the catch-all
		for name, want := range map[string][]string{
			"anne@b.example": {"anne@b.example"}, "anna@a.example": old, "team@a.example": {"anne@b.example", "bob@a.example"},
			"all@a.example": {"anne@b.example", "bob@a.example"}, "x@a.example": {"anne@b.example"}, "both@a.example": {"anne@b.example"},
		} {
			if got := resolved(t, d, addr(t, name)); !slices.Equal(got, want) {
				t.Errorf("%s leads to %v, want %v", name, got, want)
			}
		}
		_, steps, err := d.Explain(ctx, from)
		if kind := map[bool]StepKind{false: StepCatchAll, true: StepAlias}[keep]; err != nil || steps[0].Kind != kind {
			t.Errorf("the old name is found by %s, want %s", steps[0].Kind, kind)
		}
		for _, p := range []string{"password", app} {
			if l, err := d.Authenticate(ctx, "anne@b.example", p); err != nil || l.Name() != "anne@b.example" {
				t.Errorf("login: %+v, %v", l, err)
			}
			if _, err := d.Authenticate(ctx, "anna@a.example", p); err != ErrBadCredentials {
				t.Errorf("login by the old name: %v", err)
			}
		}
	}
}

func TestRenameRefused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	o := options(t.TempDir())
	o.Postmaster = addr(t, "Carl@a.example")
	d := open(t, o)
	errorless(t, d.EnsureLocal(ctx))
	add(t, d, "anna@a.example", "bob@a.example", "carl@a.example")
	alias(t, d, "team@a.example", "anna@a.example")
	for _, tt := range []struct {
		from, to string
		kind     error
		words    string
	}{
		{"eve@a.example", "eva@a.example", ErrNotFound, "account eve@a.example does not exist"},
		{"team@a.example", "crew@a.example", ErrNotFound, ""},
		{"anna@a.example", "bob@a.example", ErrExists, "that account exists already"},
		{"anna@a.example", "team@a.example", ErrExists, "as an alias"},
		{"anna@a.example", "ANNA@a.example", ErrExists, "that is its name"},
		{"anna@a.example", "an+na@a.example", ErrInvalid, ""},
		{"anna@a.example", "anna@[192.0.2.1]", ErrInvalid, ""},
		{"postmaster@box.example", "pm@box.example", ErrInUse, "set postmaster"},
		{"carl@a.example", "karl@a.example", ErrInUse, "postmaster in the configuration names it"},
	} {
		_, err := d.BeginRename(ctx, addr(t, tt.from), addr(t, tt.to), false)
		wants(t, err, tt.kind, tt.words)
	}
	if list, err := d.Renames(ctx); err != nil || len(list) > 0 {
		t.Errorf("begun: %+v, %v", list, err)
	}
	r, err := d.BeginRename(ctx, addr(t, "carl@a.example"), addr(t, "karl@a.example"), true)
	errorless(t, err)
	// Given up, it leaves nothing.
	errorless(t, d.EndRename(ctx, r))
	_, err = d.CommitRename(ctx, r)
	wants(t, err, ErrNotFound)
	add(t, d, "karl@a.example")
}

func TestExists(t *testing.T) {
	t.Parallel()
	d := open(t, options(t.TempDir()))
	add(t, d, "anna@a.example")
	alias(t, d, "team@a.example", "anna@a.example")
	for name, want := range map[string]bool{"anna@a.example": true, "team@a.example": false, "anna@b.example": false, "anna": false, "": false} {
		if got, err := d.Exists(t.Context(), name); err != nil || got != want {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
}

// TestUpgrade brings a file from before app passwords and renames up to date, with what was in it.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	o := options(t.TempDir())
	before := slices.IndexFunc(migrations(), func(s string) bool { return strings.Contains(s, "CREATE TABLE app_passwords") })
	if before < 1 {
		t.Fatal("no step makes app_passwords")
	}
	path := filepath.Join(t.TempDir(), "old.db")
	errorless(t, writeEmpty(path))
	db, err := connect(path, false)
	errorless(t, err)
	errorless(t, migrate(ctx, db, migrations()[:before]))
	_, err = db.Exec(`INSERT INTO domains VALUES (1, 'a.example', 1);
		INSERT INTO accounts (domain_id, local, password_hash, suspended, created_s) VALUES (1, 'anna', '', 1, 1);
		INSERT INTO aliases VALUES (1, 1, 'team', 1);
		INSERT INTO alias_targets VALUES (1, 1, 'a.example', 'anna')`)
	errorless(t, err)
	errorless(t, db.Close())
	o.Path = path
	d := open(t, o)
	if a, err := d.Account(ctx, addr(t, "anna@a.example")); err != nil || !a.Suspended {
		t.Errorf("account %+v, %v", a, err)
	}
	_, err = d.AddAppPassword(ctx, addr(t, "anna@a.example"), "phone")
	errorless(t, err)
	r, err := d.BeginRename(ctx, addr(t, "anna@a.example"), addr(t, "anne@a.example"), false)
	errorless(t, err)
	_, err = d.CommitRename(ctx, r)
	errorless(t, err)
	if got := resolved(t, d, mail.Address{Local: "team", Domain: "a.example"}); !slices.Equal(got, []string{"anne@a.example"}) {
		t.Errorf("the alias leads to %v", got)
	}
}

// BenchmarkExists is what each delivery asks before its 250.
func BenchmarkExists(b *testing.B) {
	d := open(b, options(b.TempDir()))
	add(b, d, "anna@a.example")
	for b.Loop() {
		if there, err := d.Exists(b.Context(), "anna@a.example"); err != nil || !there {
			b.Fatal(there, err)
		}
	}
}
