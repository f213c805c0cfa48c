package account

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"maild/appliance/mail"
)

// resolved gives the names of those an address leads to, or its kind.
func resolved(t *testing.T, d *Directory, a mail.Address) []string {
	t.Helper()
	r, err := d.Resolve(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if r.Kind != Local {
		if len(r.Accounts) > 0 {
			t.Errorf("%s is %v with accounts", a, r.Kind)
		}
		return []string{r.Kind.String()}
	}
	var list []string
	for _, a := range r.Accounts {
		list = append(list, a.Name())
	}
	return list
}

func TestResolve(t *testing.T) {
	t.Parallel()
	d := open(t, options(t.TempDir()))
	errorless(t, d.EnsureLocal(t.Context()))
	errorless(t, d.EnsureLocal(t.Context()))
	add(t, d, "anna@a.example", "bob@a.example", "carl@b.example", "postmaster@b.example", "émile@a.example")
	alias(t, d, "team@a.example", "bob@a.example", "anna@a.example")
	alias(t, d, "all@a.example", "carl@b.example", "team@a.example", "bob@a.example")
	alias(t, d, "anna+shop@a.example", "carl@b.example")
	errorless(t, d.Suspend(t.Context(), addr(t, "bob@a.example")))

	for _, tt := range []struct {
		address string
		want    []string
	}{
		{"anna@a.example", []string{"anna@a.example"}},
		{"ANNA@A.EXAMPLE", []string{"anna@a.example"}},
		{`"an\na"@a.example`, []string{"anna@a.example"}},
		{"É" + "mile@a.example", []string{"émile@a.example"}},
		{"E\u0301mile@a.example", []string{"émile@a.example"}},
		{"anna+x@a.example", []string{"anna@a.example"}},
		{"anna+x+y@a.example", []string{"anna@a.example"}},
		{"anna+@a.example", []string{"anna@a.example"}},
		{"Anna+Shop@a.example", []string{"carl@b.example"}},
		{"anna+shop+x@a.example", []string{"anna@a.example"}},
		{"bob@a.example", []string{"bob@a.example"}}, // suspended
		{"team@a.example", []string{"bob@a.example", "anna@a.example"}},
		{"team+x@a.example", []string{"bob@a.example", "anna@a.example"}},
		{"all@a.example", []string{"carl@b.example", "bob@a.example", "anna@a.example"}},
		{"+x@a.example", []string{"unknown"}},
		{"eve@a.example", []string{"unknown"}},
		{"anna@b.example", []string{"unknown"}},
		{`"anna@a.example"@a.example`, []string{"unknown"}},
		{"anna@sub.a.example", []string{"foreign"}},
		{"anna@[192.0.2.1]", []string{"foreign"}},
		{"postmaster@c.example", []string{"foreign"}},
		{"postmaster@b.example", []string{"postmaster@b.example"}},
		{"PostMaster@a.example", []string{"postmaster@box.example"}},
		{"postmaster@box.example", []string{"postmaster@box.example"}},
		{"postmaster+x@box.example", []string{"postmaster@box.example"}},
		{"postmaster+x@a.example", []string{"unknown"}},
	} {
		if got := resolved(t, d, addr(t, tt.address)); !slices.Equal(got, tt.want) {
			t.Errorf("%s leads to %v, want %v", tt.address, got, tt.want)
		}
	}
	if got := resolved(t, d, mail.Address{Local: "Postmaster"}); !slices.Equal(got, []string{"postmaster@box.example"}) {
		t.Errorf("<Postmaster> leads to %v", got)
	}
	for _, a := range []mail.Address{{}, {Local: "anna"}, {Local: "\xff", Domain: "a.example"}} {
		if r, err := d.Resolve(t.Context(), a); err != nil || r.Kind == Local {
			t.Errorf("%q leads to %+v, %v", a, r, err)
		}
	}
}

func TestResolveOtherSeparators(t *testing.T) {
	t.Parallel()
	for separator, want := range map[string]string{"": "unknown", "-": "unknown", "+": "anna@a.example"} {
		o := options(t.TempDir())
		o.Separator = separator
		d := open(t, o)
		add(t, d, "anna@a.example")
		if got := resolved(t, d, addr(t, "anna+x@a.example")); got[0] != want {
			t.Errorf("with separator %q: %v, want %s", separator, got, want)
		}
	}
}

func TestPostmasterElsewhere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ configured, want string }{
		{"anna@a.example", "anna@a.example"},
		{"Anna+pm@a.example", "anna@a.example"},
		{"staff@a.example", "anna@a.example"},
		{"gone@a.example", "postmaster@box.example"},
		{"anna@elsewhere.example", "postmaster@box.example"},
		{"postmaster@a.example", "postmaster@box.example"},
	} {
		o := options(t.TempDir())
		o.Postmaster = addr(t, tt.configured)
		d := open(t, o)
		errorless(t, d.EnsureLocal(t.Context()))
		add(t, d, "anna@a.example", "postmaster@b.example")
		alias(t, d, "staff@a.example", "anna@a.example")
		for address, want := range map[string]string{
			"postmaster@box.example": tt.want,
			"postmaster@a.example":   tt.want,
			"postmaster@b.example":   "postmaster@b.example",
		} {
			if got := resolved(t, d, addr(t, address)); !slices.Equal(got, []string{want}) {
				t.Errorf("with postmaster = %s, %s leads to %v, want %s", tt.configured, address, got, want)
			}
		}
	}
}

func TestPostmasterAccount(t *testing.T) {
	t.Parallel()
	d := open(t, options(t.TempDir()))
	errorless(t, d.EnsureLocal(t.Context()))
	add(t, d, "anna@a.example")
	pm := addr(t, "postmaster@box.example")
	wants(t, d.RemoveAccount(t.Context(), pm), ErrInUse, "set postmaster in the configuration")
	wants(t, d.AddAlias(t.Context(), pm, addrs(t, "anna@a.example")), ErrExists, "set postmaster in the configuration")

	// An alias of that name, made before the first start, is left alone.
	d = open(t, options(t.TempDir()))
	add(t, d, "anna@box.example")
	alias(t, d, "postmaster@box.example", "anna@box.example")
	errorless(t, d.EnsureLocal(t.Context()))
	if got := resolved(t, d, pm); !slices.Equal(got, []string{"anna@box.example"}) {
		t.Errorf("postmaster leads to %v", got)
	}

	o := options(t.TempDir())
	o.Hostname = ""
	if err := open(t, o).EnsureLocal(t.Context()); err == nil {
		t.Error("a host without a name has a local domain")
	}
}

func TestAliasDepth(t *testing.T) {
	t.Parallel()
	d := open(t, options(t.TempDir()))
	add(t, d, "anna@a.example")
	last := "anna@a.example"
	for i := range maxDepth {
		next := fmt.Sprintf("a%d@a.example", i)
		alias(t, d, next, last)
		last = next
	}
	if got := resolved(t, d, addr(t, last)); !slices.Equal(got, []string{"anna@a.example"}) {
		t.Errorf("%d aliases deep: %v", maxDepth, got)
	}
	wants(t, d.AddAlias(t.Context(), addr(t, "deep@a.example"), addrs(t, last)), ErrLoop)

	// Lengthened at its far end, too.
	add(t, d, "bob@a.example")
	alias(t, d, "bottom@a.example", "bob@a.example")
	wants(t, d.AddAlias(t.Context(), addr(t, "a0@a.example"), addrs(t, "bottom@a.example")), ErrLoop)
}

func TestAliasTargets(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	populate(t, o, maxTargets+1)
	d := open(t, o)
	var list []mail.Address
	for i := range maxTargets {
		list = append(list, user(i))
	}
	errorless(t, d.AddAlias(t.Context(), addr(t, "all@a.example"), list))
	if got := resolved(t, d, addr(t, "all@a.example")); len(got) != maxTargets {
		t.Errorf("%d accounts, want %d", len(got), maxTargets)
	}
	wants(t, d.AddAlias(t.Context(), addr(t, "all@a.example"), []mail.Address{user(maxTargets)}), ErrTooMany, "more than 1000")
	wants(t, d.AddAlias(t.Context(), addr(t, "more@a.example"), addrs(t, "all@a.example")), ErrTooMany)
}

// TestForgedLoop: a loop that another program wrote into the file ends, too.
func TestForgedLoop(t *testing.T) {
	t.Parallel()
	d := open(t, options(t.TempDir()))
	add(t, d, "anna@a.example")
	alias(t, d, "x@a.example", "anna@a.example")
	alias(t, d, "y@a.example", "x@a.example")
	_, err := d.db.Exec(`INSERT INTO alias_targets SELECT id, 2, 'a.example', 'y' FROM aliases WHERE local = 'x'`)
	errorless(t, err)
	if got := resolved(t, d, addr(t, "y@a.example")); !slices.Equal(got, []string{"anna@a.example"}) {
		t.Errorf("got %v", got)
	}
}

func TestOwnsReversePath(t *testing.T) {
	t.Parallel()
	d := open(t, options(t.TempDir()))
	errorless(t, d.EnsureLocal(t.Context()))
	add(t, d, "anna@a.example", "bob@a.example")
	alias(t, d, "team@a.example", "bob@a.example", "anna@a.example")
	alias(t, d, "sales@a.example", "team@a.example")
	alias(t, d, "only@a.example", "bob@a.example")
	anna, err := d.Account(t.Context(), addr(t, "anna@a.example"))
	errorless(t, err)
	for address, want := range map[string]bool{
		"anna@a.example": true, "Anna@a.example": true, "anna+x@a.example": true, "team@a.example": true, "sales@a.example": true,
		"bob@a.example": false, "only@a.example": false, "eve@a.example": false, "anna@b.example": false, "postmaster@a.example": false,
	} {
		if got, err := d.OwnsReversePath(t.Context(), anna, addr(t, address)); err != nil || got != want {
			t.Errorf("anna owns %s: %v, %v, want %v", address, got, err, want)
		}
	}
	if got, err := d.OwnsReversePath(t.Context(), anna, mail.Address{}); err != nil || got {
		t.Errorf("anna owns <>: %v, %v", got, err)
	}
}

func user(i int) mail.Address {
	return mail.Address{Local: fmt.Sprintf("user%05d", i), Domain: "a.example"}
}

// populate makes many accounts in one transaction.
func populate(t testing.TB, o Options, n int) {
	t.Helper()
	d, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	err = d.write(t.Context(), func(tx *sql.Tx) error {
		for i := range n {
			if _, err := addAccount(t.Context(), tx, user(i), ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkResolve(b *testing.B) {
	o := options(b.TempDir())
	populate(b, o, 10_000)
	d := open(b, o)
	i := 0
	for b.Loop() {
		if r, err := d.Resolve(b.Context(), user(i%10_000)); err != nil || r.Kind != Local {
			b.Fatal(r, err)
		}
		i++
	}
}
