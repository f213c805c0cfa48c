package account

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"

	"maild/appliance/mail"
)

const host = "box.example"

func options(dir string) Options {
	return Options{Path: filepath.Join(dir, "accounts.db"), Hostname: host, Separator: "+"}
}

func open(t testing.TB, o Options) *Directory {
	t.Helper()
	d, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func addr(t testing.TB, s string) mail.Address {
	t.Helper()
	if domain, ok := strings.CutPrefix(s, "@"); ok {
		return mail.Address{Domain: domain} // a catch-all
	}
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func addrs(t testing.TB, list ...string) []mail.Address {
	t.Helper()
	var out []mail.Address
	for _, s := range list {
		out = append(out, addr(t, s))
	}
	return out
}

func add(t testing.TB, d *Directory, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := d.AddAccount(t.Context(), addr(t, n), ""); err != nil {
			t.Fatal(err)
		}
	}
}

func alias(t testing.TB, d *Directory, name string, targets ...string) {
	t.Helper()
	if err := d.AddAlias(t.Context(), addr(t, name), addrs(t, targets...)); err != nil {
		t.Fatal(err)
	}
}

// quickHash is a hash that costs nearly nothing to verify.
func quickHash(password string) string {
	h := phc{memory: 8, time: 1, threads: 1, salt: []byte("saltsalt")}
	h.hash = argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, hashOctets)
	return h.String()
}

// wants checks an error's kind and that its text says the given words.
func wants(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, want %v", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := open(t, options(t.TempDir()))
	for _, tt := range []struct {
		address   string
		newDomain bool
		name, dir string
	}{
		{"Anna@Acme.example", true, "anna@acme.example", "acme.example/anna"},
		{"bob@acme.example", false, "bob@acme.example", "acme.example/bob"},
		{"JÖRG@bücher.example", true, "jörg@xn--bcher-kva.example", "xn--bcher-kva.example/jörg"},
	} {
		created, err := d.AddAccount(ctx, addr(t, tt.address), "")
		if err != nil || created != tt.newDomain {
			t.Fatalf("AddAccount(%s) = %v, %v", tt.address, created, err)
		}
		a, err := d.Account(ctx, addr(t, tt.address))
		if err != nil || a.Name() != tt.name || a.Dir() != tt.dir || a.Suspended || a.HasPassword || a.Created.IsZero() {
			t.Errorf("%s is %+v, %v", tt.address, a, err)
		}
	}
	// The same name in decomposed letters.
	_, err := d.AddAccount(ctx, mail.Address{Local: "jo\u0308rg", Domain: "xn--bcher-kva.example"}, "")
	wants(t, err, ErrExists, "jörg@xn--bcher-kva.example exists already")
	_, err = d.Account(ctx, addr(t, "anna+x@acme.example"))
	wants(t, err, ErrNotFound, "account anna+x@acme.example does not exist")
	_, err = d.AddAccount(ctx, addr(t, "eve@acme.example"), "secret")
	wants(t, err, ErrHash)

	for _, tt := range []struct {
		do                   func() error
		suspended, hasSecret bool
	}{
		{func() error { return d.SetPassword(ctx, addr(t, "ANNA@acme.example"), quickHash("x")) }, false, true},
		{func() error { return d.Suspend(ctx, addr(t, "anna@acme.example")) }, true, true},
		{func() error { return d.Suspend(ctx, addr(t, "anna@acme.example")) }, true, true},
		{func() error { return d.SetPassword(ctx, addr(t, "anna@acme.example"), "") }, true, false},
		{func() error { return d.Resume(ctx, addr(t, "anna@acme.example")) }, false, false},
	} {
		if err := tt.do(); err != nil {
			t.Fatal(err)
		}
		a, err := d.Account(ctx, addr(t, "anna@acme.example"))
		if err != nil || a.Suspended != tt.suspended || a.HasPassword != tt.hasSecret {
			t.Errorf("got %+v, %v, want suspended %v, password %v", a, err, tt.suspended, tt.hasSecret)
		}
	}
	for _, err := range []error{
		d.SetPassword(ctx, addr(t, "eve@acme.example"), ""),
		d.Suspend(ctx, addr(t, "anna@other.example")),
		d.RemoveAccount(ctx, addr(t, "eve@acme.example")),
	} {
		wants(t, err, ErrNotFound)
	}
	wants(t, d.SetPassword(ctx, addr(t, "anna@acme.example"), "$1$x"), ErrHash)

	if got, want := names(t, d, "acme.example"), []string{"anna@acme.example", "bob@acme.example"}; !slices.Equal(got, want) {
		t.Errorf("acme.example has %v, want %v", got, want)
	}
	if got := names(t, d, ""); len(got) != 3 {
		t.Errorf("all accounts: %v", got)
	}
	if err := d.RemoveAccount(ctx, addr(t, "Bob@acme.example")); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, d, "acme.example"), []string{"anna@acme.example"}; !slices.Equal(got, want) {
		t.Errorf("acme.example has %v, want %v", got, want)
	}
}

func names(t *testing.T, d *Directory, domain string) []string {
	t.Helper()
	list, err := d.Accounts(t.Context(), Filter{Domain: domain})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, a := range list {
		out = append(out, a.Name())
	}
	return out
}

func TestAccountNames(t *testing.T) {
	t.Parallel()
	for local, want := range map[string]string{
		"Anna": "anna", "a.b-c_d9": "a.b-c_d9", "ÉMILE": "émile", "e\u0301mile": "émile", "राम": "राम",
		"李四": "李四", "ΣΊΣΥΦΟΣ": "σίσυφοσ", strings.Repeat("a", 64): strings.Repeat("a", 64),
	} {
		if got, err := accountLocal(local, "+"); err != nil || got != want {
			t.Errorf("accountLocal(%q) = %q, %v, want %q", local, got, err, want)
		}
	}
	for _, local := range []string{
		"", ".", "..", ".a", "a.", "a..b", "-a", "a/b", "a\\b", "a b", "a\x00b", "a\nb", "a+b", "a@b", "a:b", "a\"b", "a*b",
		"\u0301a", "a\u200bb", "a\u202eb", "\xff", "a\ufffd", "😀", strings.Repeat("a", 65), strings.Repeat("é", 33),
	} {
		if got, err := accountLocal(local, "+"); !errors.Is(err, ErrInvalid) {
			t.Errorf("accountLocal(%q) = %q, %v, want ErrInvalid", local, got, err)
		}
	}
	if _, err := accountLocal("a-b", "-"); !errors.Is(err, ErrInvalid) {
		t.Errorf("a name with the separator: %v", err)
	}
	d := open(t, options(t.TempDir()))
	for _, a := range []mail.Address{{Local: "a", Domain: "[192.0.2.1]"}, {Local: "a", Domain: ".."}, {Local: "a"}, {Local: "a", Domain: "a/b"}} {
		_, err := d.AddAccount(t.Context(), a, "")
		wants(t, err, ErrInvalid)
	}
}

func TestDomains(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := open(t, options(t.TempDir()))
	if err := d.AddDomain(ctx, "Empty.Example"); err != nil {
		t.Fatal(err)
	}
	wants(t, d.AddDomain(ctx, "empty.example"), ErrExists, "domain empty.example exists already")
	wants(t, d.AddDomain(ctx, "[192.0.2.1]"), ErrInvalid)
	wants(t, d.AddDomain(ctx, "../etc"), ErrInvalid)
	add(t, d, "anna@full.example", "bob@full.example")
	alias(t, d, "team@full.example", "anna@full.example", "bob@full.example")
	list, err := d.Domains(ctx)
	if err != nil || len(list) != 2 || list[0].Name != "empty.example" || list[0].Accounts != 0 ||
		list[1].Name != "full.example" || list[1].Accounts != 2 || list[1].Aliases != 1 || list[1].Created.IsZero() {
		t.Errorf("domains: %+v, %v", list, err)
	}
	wants(t, d.RemoveDomain(ctx, "full.example"), ErrNotEmpty,
		"domain full.example is not empty: accounts: anna@full.example, bob@full.example; aliases: team@full.example: remove them first")
	wants(t, d.RemoveDomain(ctx, "none.example"), ErrNotFound, "domain none.example does not exist")
	if err := d.RemoveDomain(ctx, "EMPTY.example"); err != nil {
		t.Error(err)
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := open(t, options(t.TempDir()))
	add(t, d, "anna@a.example", "bob@a.example", "carl@b.example")
	alias(t, d, "Team@a.example", "bob@a.example", "ANNA@a.example")
	alias(t, d, "all@b.example", "team@a.example", "carl@b.example")
	alias(t, d, "team@a.example", "anna@a.example", "carl@b.example") // one of them is new

	list, err := d.Aliases(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range list {
		got = append(got, a.Address.String())
		for _, target := range a.Targets {
			got = append(got, " "+target.String())
		}
	}
	want := []string{"team@a.example", " bob@a.example", " anna@a.example", " carl@b.example",
		"all@b.example", " team@a.example", " carl@b.example"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	try := func(name string, targets ...string) error {
		return d.AddAlias(ctx, addr(t, name), addrs(t, targets...))
	}
	wants(t, try("team@a.example", "anna@a.example"), ErrExists, "alias team@a.example exists already with these targets")
	wants(t, try("anna@a.example", "bob@a.example"), ErrExists, "as an account")
	wants(t, try("x@a.example"), ErrInvalid, "needs a target")
	wants(t, try("x@a.example", "nobody@a.example"), ErrNotFound, "alias x@a.example cannot be: target nobody@a.example does not exist")
	wants(t, try("x@a.example", "anna+tag@a.example"), ErrNotFound, "without a subaddress")
	wants(t, try("x@none.example", "anna@a.example"), ErrNotFound, "domain none.example does not exist: add it first")
	wants(t, try("x@a.example", "x@a.example"), ErrLoop)
	wants(t, try("team@a.example", "all@b.example"), ErrLoop, "team@a.example → all@b.example → team@a.example")
	wants(t, try(`"a b"@a.example`), ErrInvalid)
	_, err = d.AddAccount(ctx, addr(t, "team@a.example"), "")
	wants(t, err, ErrExists, "as an alias")
	if got, _ := d.Aliases(ctx); !reflect.DeepEqual(got, list) {
		t.Errorf("a refused change left traces: %v", got)
	}

	wants(t, d.RemoveAccount(ctx, addr(t, "anna@a.example")), ErrInUse, "a target of team@a.example")
	wants(t, d.RemoveAlias(ctx, addr(t, "team@a.example")), ErrInUse, "a target of all@b.example")
	wants(t, d.RemoveAlias(ctx, addr(t, "team@a.example"), addrs(t, "bob@a.example", "eve@a.example")...), ErrNotFound, "eve@a.example")
	wants(t, d.RemoveAlias(ctx, addr(t, "none@a.example")), ErrNotFound, "alias none@a.example does not exist")
	if err := d.RemoveAlias(ctx, addr(t, "TEAM@a.example"), addr(t, "anna@a.example")); err != nil {
		t.Fatal(err)
	}
	if err := d.RemoveAccount(ctx, addr(t, "anna@a.example")); err != nil {
		t.Error(err)
	}
	if err := d.RemoveAlias(ctx, addr(t, "all@b.example")); err != nil {
		t.Fatal(err)
	}
	// The last target takes the alias with it.
	if err := d.RemoveAlias(ctx, addr(t, "team@a.example"), addrs(t, "bob@a.example", "carl@b.example")...); err != nil {
		t.Fatal(err)
	}
	if list, err := d.Aliases(ctx); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

// TestTwoProcesses lets two Directories, as two processes would have them,
// make and change one file at once.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	o := options(t.TempDir())
	const processes, each = 2, 40
	var started, done sync.WaitGroup
	started.Add(processes)
	for p := range processes {
		done.Go(func() {
			d, err := Open(ctx, o)
			started.Done()
			if err != nil {
				t.Error(err)
				return
			}
			defer d.Close()
			started.Wait()
			if err := d.EnsureLocal(ctx); err != nil {
				t.Error(err)
			}
			for i := range each {
				a := mail.Address{Local: "user" + string(rune('a'+p)), Domain: strings.Repeat("x", i+1) + ".example"}
				if _, err := d.AddAccount(ctx, a, ""); err != nil {
					t.Error(err)
				}
				if r, err := d.Resolve(ctx, a); err != nil || r.Kind != Local {
					t.Errorf("%s is %v, %v right after it was added", a, r.Kind, err)
				}
			}
		})
	}
	done.Wait()
	d := open(t, o)
	list, err := d.Accounts(ctx, Filter{})
	if err != nil || len(list) != processes*each+1 {
		t.Errorf("%d accounts, %v, want %d", len(list), err, processes*each+1)
	}
	if entries, _ := fs.Glob(osDir(o.Path), "accounts.db.new-*"); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func FuzzAccountLocal(f *testing.F) {
	for _, s := range []string{"Anna", "..", "a/b", "é", "e\u0301", "İ", "a\x00", "\xc3", "a+b"} {
		f.Add(s, "+")
	}
	f.Fuzz(func(t *testing.T, local, separator string) {
		l, err := accountLocal(local, separator)
		if err != nil {
			return
		}
		if l == "" || l == "." || l == ".." || len(l) > 64 || strings.ContainsAny(l, "/\x00\n@:") ||
			filepath.Base(l) != l || !filepath.IsLocal(l) {
			t.Fatalf("%q became %q, which is no safe path component", local, l)
		}
		if separator != "" && strings.Contains(l, separator) {
			t.Fatalf("%q holds the separator %q", l, separator)
		}
		if again, err := accountLocal(l, separator); err != nil || again != l {
			t.Fatalf("%q became %q, which becomes %q, %v", local, l, again, err)
		}
	})
}
