package account

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maild/appliance/mail"
)

// A copy made beside a writer is one state of the file, and needs no log.
func TestCopy(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	d := open(t, o)
	add(t, d, "anna@example.org")
	to := filepath.Join(t.TempDir(), "accounts.db")
	for _, user := range []string{"", "bob@example.org"} { // the second replaces the first
		if user != "" {
			add(t, d, user)
		}
		if err := Copy(t.Context(), o.Path, to); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := filepath.Glob(filepath.Join(filepath.Dir(to), "*")); err != nil || len(names) != 1 {
		t.Errorf("left: %v, %v", names, err)
	}
	if err := Check(t.Context(), to); err != nil {
		t.Error(err)
	}
	c := open(t, Options{Path: to, ReadOnly: true})
	if list, err := c.Accounts(t.Context(), Filter{}); err != nil || len(list) != 2 {
		t.Errorf("accounts of the copy: %v, %v", list, err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := Copy(t.Context(), filepath.Join(t.TempDir(), "none"), to+"2"); err == nil {
		t.Error("a missing file is copied")
	}
	if err := os.WriteFile(to, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(t.Context(), to); !errors.Is(err, ErrDamaged) {
		t.Errorf("check of something else: %v", err)
	}
	if err := Copy(t.Context(), to, to+"3"); !errors.Is(err, ErrDamaged) {
		t.Errorf("copy of something else: %v", err)
	}
	if _, err := os.Lstat(to + "3"); err == nil {
		t.Error("a failed copy is left")
	}
}

// refilled is a directory that lost things, and the one that still has them.
func refilled(t *testing.T) (d, from *Directory) {
	t.Helper()
	from = open(t, options(t.TempDir()))
	hash, err := Hash("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	add(t, from, "anna@example.org", "bob@example.org")
	if _, err := from.AddAccount(t.Context(), addr(t, "zoe@other.example"), hash); err != nil {
		t.Fatal(err)
	}
	for alias, targets := range map[string][]mail.Address{
		"info@example.org": addrs(t, "anna@example.org", "zoe@other.example"),
		"zz@example.org":   addrs(t, "zoe@other.example"),
	} {
		if err := from.AddAlias(t.Context(), addr(t, alias), targets); err != nil {
			t.Fatal(err)
		}
	}
	// It comes before what it leads to.
	if err := from.AddAlias(t.Context(), addr(t, "all@example.org"), addrs(t, "bob@example.org", "zz@example.org")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(from.Suspend(t.Context(), addr(t, "zoe@other.example")), from.AddDomain(t.Context(), "empty.example")); err != nil {
		t.Fatal(err)
	}
	octets, none := Limit(5000), NoLimit
	if _, err := from.SetQuota(t.Context(), addr(t, "zoe@other.example"), &octets, &none); err != nil {
		t.Fatal(err)
	}
	d = open(t, options(t.TempDir()))
	add(t, d, "anna@example.org", "bob@example.org")
	if err := d.AddAlias(t.Context(), addr(t, "info@example.org"), addrs(t, "bob@example.org")); err != nil {
		t.Fatal(err)
	}
	return d, from
}

// What is missing comes back, what is there stays as it is.
func TestRefill(t *testing.T) {
	t.Parallel()
	d, from := refilled(t)
	phone, err := from.AddAppPassword(t.Context(), addr(t, "zoe@other.example"), "phone")
	if err != nil {
		t.Fatal(err)
	}
	dry, err := d.Refill(t.Context(), from, RefillOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := d.Domains(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("a dry run has changed something: %v, %v", list, err)
	}
	r, err := d.Refill(t.Context(), from, RefillOptions{})
	if err != nil || !slices.Equal(r.Domains, dry.Domains) || !slices.Equal(r.Aliases, dry.Aliases) {
		t.Fatalf("%+v, %v", r, err)
	}
	if !slices.Equal(r.Domains, []string{"empty.example", "other.example"}) || !slices.Equal(r.Accounts, []string{"zoe@other.example"}) ||
		len(r.Aliases) != 3 || len(r.Skipped) != 0 {
		t.Errorf("%+v", r)
	}
	list, err := d.Aliases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range list {
		got = append(got, a.Address.String())
		for _, target := range a.Targets {
			got = append(got, ">"+target.String())
		}
	}
	want := "all@example.org >bob@example.org >zz@example.org info@example.org >bob@example.org >zoe@other.example zz@example.org >zoe@other.example"
	if strings.Join(got, " ") != want {
		t.Errorf("aliases: %v", got)
	}
	a, err := d.Account(t.Context(), addr(t, "zoe@other.example"))
	if err != nil || !a.Suspended || !a.HasPassword || a.Quota != (Quota{5000, NoLimit}) {
		t.Errorf("%+v, %v", a, err)
	}
	if err := d.Resume(t.Context(), a.Address); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Authenticate(t.Context(), "zoe@other.example", "correct horse"); err != nil {
		t.Errorf("the password did not come back: %v", err)
	}
	if _, err := d.Authenticate(t.Context(), "zoe@other.example", phone); err != nil {
		t.Errorf("the app password did not come back: %v", err)
	}
	if r, err := d.Refill(t.Context(), from, RefillOptions{}); err != nil || len(r.Domains)+len(r.Accounts)+len(r.Aliases)+len(r.Skipped) != 0 {
		t.Errorf("again: %+v, %v", r, err)
	}
}

// One account comes with its domain and aliases, or under another name without them.
func TestRefillOne(t *testing.T) {
	t.Parallel()
	d, from := refilled(t)
	zoe := addr(t, "zoe@other.example")
	r, err := d.Refill(t.Context(), from, RefillOptions{Account: zoe, As: addr(t, "zoe.old@example.org")})
	if err != nil || !slices.Equal(r.Accounts, []string{"zoe.old@example.org"}) || len(r.Domains)+len(r.Aliases) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = d.Refill(t.Context(), from, RefillOptions{Account: zoe})
	if err != nil || !slices.Equal(r.Domains, []string{"other.example"}) || !slices.Equal(r.Accounts, []string{"zoe@other.example"}) ||
		!slices.Equal(r.Aliases, []string{"info@example.org", "zz@example.org"}) {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := d.Refill(t.Context(), from, RefillOptions{Account: addr(t, "none@example.org")}); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown account: %v", err)
	}
	if _, err := d.Refill(t.Context(), from, RefillOptions{Account: zoe, As: addr(t, "a+b@example.org")}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a name that cannot be: %v", err)
	}
}

// An alias whose name or targets are taken otherwise now is passed over, and said to be.
func TestRefillSkips(t *testing.T) {
	t.Parallel()
	d, from := refilled(t)
	add(t, d, "zz@example.org") // was an alias
	if err := d.AddAlias(t.Context(), addr(t, "zoe@example.org"), addrs(t, "zz@example.org")); err != nil {
		t.Fatal(err)
	}
	one, err := d.Refill(t.Context(), from, RefillOptions{Account: addr(t, "zoe@other.example"), As: addr(t, "zoe@example.org")})
	if err != nil || len(one.Accounts) != 0 || one.Kept != 0 || !slices.Equal(one.Skipped, []string{"account zoe@example.org: the name is an alias now"}) {
		t.Errorf("%+v, %v", one, err)
	}
	r, err := d.Refill(t.Context(), from, RefillOptions{})
	if err != nil || len(r.Skipped) != 1 || !strings.HasPrefix(r.Skipped[0], "alias zz@example.org: exists already") {
		t.Errorf("%+v, %v", r, err)
	}
}
