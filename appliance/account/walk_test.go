package account

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maild/appliance/mail"
)

func writeEmpty(path string) error { return os.WriteFile(path, nil, 0o600) }

// explained is each step in a word or two.
func explained(t *testing.T, d *Directory, a string) string {
	t.Helper()
	r, steps, err := d.Explain(t.Context(), addr(t, a))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := d.Resolve(t.Context(), addr(t, a))
	if err != nil || fmt.Sprint(plain) != fmt.Sprint(r) {
		t.Errorf("%s is resolved as %v, %v, and explained as %v", a, plain, err, r)
	}
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(strings.Repeat(">", s.Depth) + s.Address.Local + " " + string(s.Kind))
		for _, to := range s.To {
			b.WriteString(" " + to.Local)
		}
		if s.File != "" {
			fmt.Fprintf(&b, " %d", s.Line)
		}
		b.WriteString("; ")
	}
	for _, a := range r.Accounts {
		b.WriteString(" " + a.Name())
	}
	for _, a := range r.Outside {
		b.WriteString(" (" + a.String() + ")")
	}
	return b.String()
}

func TestExplain(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	o.Aliases = filepath.Join(filepath.Dir(o.Path), "aliases")
	errorless(t, os.WriteFile(o.Aliases, []byte(`root: anna@a.example, staff, root
staff: \hal, bob+tag@a.example
db: eve@c.example
ring: rang
rang: ring, anna@a.example
literal: \staff
unknown: whoever, x@a.example
postmaster: anna@a.example
self: self
`), 0o600))
	d := open(t, o)
	errorless(t, d.EnsureLocal(t.Context()))
	add(t, d, "hal@box.example", "anna@a.example", "bob@a.example")
	alias(t, d, "db@box.example", "anna@a.example")
	alias(t, d, "out@a.example", "zoe@elsewhere.example", "anna@a.example")
	errorless(t, d.Suspend(t.Context(), addr(t, "bob@a.example")))
	alias(t, d, "@a.example", "bob@a.example", "out@a.example")
	for a, want := range map[string]string{
		"anna@a.example":   "anna account;  anna@a.example",
		"anna+x@a.example": "anna+x subaddress anna; anna account;  anna@a.example",
		"root@box.example": "root aliases file anna staff root 1; >anna account; >staff aliases file hal bob+tag 2; >>hal account; " +
			">>bob+tag subaddress bob; >>bob suspended; >root seen;  anna@a.example hal@box.example bob@a.example",
		"Root+x@box.example":   "root+x subaddress root; root aliases file anna staff root 1; >anna account; >staff aliases file hal bob+tag 2; >>hal account; >>bob+tag subaddress bob; >>bob suspended; >root seen;  anna@a.example hal@box.example bob@a.example",
		"db@box.example":       "db alias anna; >anna account;  anna@a.example", // accounts.db goes first
		"ring@box.example":     "ring aliases file rang 4; >rang aliases file ring anna 5; >>ring seen; >>anna account;  anna@a.example",
		"literal@box.example":  "literal aliases file staff 6; >staff nobody; ",
		"self@box.example":     "self aliases file self 9; >self seen; ",
		"unknown@box.example":  "unknown aliases file whoever x 7; >whoever nobody; >x catch-all bob out; >>bob suspended; >>out alias zoe anna; >>>zoe outside; >>>anna account;  bob@a.example anna@a.example (zoe@elsewhere.example)",
		"nobody@box.example":   "nobody nobody; ",
		"root@c.example":       "root outside; ",
		"any@a.example":        "any catch-all bob out; >bob suspended; >out alias zoe anna; >>zoe outside; >>anna account;  bob@a.example anna@a.example (zoe@elsewhere.example)",
		"out@a.example":        "out alias zoe anna; >zoe outside; >anna account;  anna@a.example (zoe@elsewhere.example)",
		"postmaster@a.example": "postmaster nobody; postmaster postmaster postmaster; postmaster account;  postmaster@box.example",
		// The account of that name is always there, and goes first.
		"postmaster@box.example": "postmaster account;  postmaster@box.example",
	} {
		if got := explained(t, d, a); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", a, got, want)
		}
	}
	if problems := d.AliasesFileProblems(); len(problems) > 0 {
		t.Error(problems)
	}
}

// TestExplainDepth holds that the file cannot lead on for ever, either.
func TestExplainDepth(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	o.Aliases = filepath.Join(filepath.Dir(o.Path), "aliases")
	var text strings.Builder
	for i := range 30 {
		fmt.Fprintf(&text, "n%d: n%d\n", i, i+1)
	}
	for i := range 40 {
		fmt.Fprintf(&text, "wide%d: %s\n", i, strings.Repeat(fmt.Sprintf("wide%d,", i+1), 3))
	}
	var many []string
	for i := range 900 {
		many = append(many, fmt.Sprintf("user%d@a.example", i))
	}
	fmt.Fprintf(&text, "many: much, %s\nmuch: x%s\n", strings.Join(many, ","), strings.Join(many, ",x"))
	errorless(t, os.WriteFile(o.Aliases, []byte(text.String()), 0o600))
	d := open(t, o)
	errorless(t, d.EnsureLocal(t.Context()))
	add(t, d, "n30@box.example", "a@a.example")
	if got := resolved(t, d, addr(t, "n21@box.example")); !slices.Equal(got, []string{"n30@box.example"}) {
		t.Errorf("nine aliases behind one another lead to %v", got)
	}
	for a, kind := range map[string]error{"n0@box.example": ErrLoop, "wide0@box.example": ErrLoop, "many@box.example": ErrTooMany} {
		_, err := d.Resolve(t.Context(), addr(t, a))
		wants(t, err, kind)
	}
	// A file that cannot be read is no reason to refuse a name for good.
	errorless(t, os.Remove(o.Aliases))
	errorless(t, os.Mkdir(o.Aliases, 0o700))
	o.Path = filepath.Join(t.TempDir(), "accounts.db")
	d = open(t, o)
	errorless(t, d.EnsureLocal(t.Context()))
	add(t, d, "anna@box.example")
	if _, err := d.Resolve(t.Context(), addr(t, "root@box.example")); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
	if got := resolved(t, d, addr(t, "anna@box.example")); got[0] != "anna@box.example" {
		t.Errorf("what is known elsewhere leads to %v", got)
	}
}

func TestCatchAll(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := open(t, options(t.TempDir()))
	errorless(t, d.EnsureLocal(ctx))
	add(t, d, "anna@a.example", "bob@b.example")
	all := mail.Address{Domain: "a.example"}
	wants(t, d.AddAlias(ctx, mail.Address{Domain: "none.example"}, addrs(t, "anna@a.example")), ErrNotFound, "domain none.example does not exist")
	wants(t, d.AddAlias(ctx, addr(t, "x@a.example"), []mail.Address{all}), ErrInvalid, "@a.example is a catch-all")
	errorless(t, d.AddAlias(ctx, all, addrs(t, "bob@b.example", "zoe@elsewhere.example")))
	wants(t, d.AddAlias(ctx, all, addrs(t, "bob@b.example")), ErrExists, "alias @a.example exists already")
	r, err := d.Resolve(ctx, addr(t, "any+tag@a.example"))
	if err != nil || r.Kind != Local || len(r.Accounts) != 1 || len(r.Outside) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
	wants(t, d.RemoveDomain(ctx, "a.example"), ErrNotEmpty, "aliases: @a.example")
	wants(t, d.RemoveAccount(ctx, addr(t, "bob@b.example")), ErrInUse, "a target of @a.example")
	errorless(t, d.RemoveAlias(ctx, all, addr(t, "bob@b.example")))
	// An alias that leads outside only is somebody's all the same.
	if r, err := d.Resolve(ctx, addr(t, "any@a.example")); err != nil || r.Kind != Local || len(r.Outside) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
	errorless(t, d.RemoveAlias(ctx, all))
	if got := resolved(t, d, addr(t, "any@a.example")); got[0] != "unknown" {
		t.Errorf("after the removal: %v", got)
	}
}

// TestOutsideBecomesLocal: a domain that aliases lead out to may become ours, and then lead back.
func TestOutsideBecomesLocal(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := open(t, options(t.TempDir()))
	add(t, d, "anna@a.example")
	alias(t, d, "x@a.example", "y@b.example")
	errorless(t, d.AddDomain(ctx, "b.example"))
	if got := resolved(t, d, addr(t, "x@a.example")); got[0] != "unknown" {
		t.Errorf("x leads to %v", got)
	}
	err := d.AddAlias(ctx, mail.Address{Domain: "b.example"}, addrs(t, "x@a.example"))
	wants(t, err, ErrLoop, "@b.example → x@a.example → ")
	alias(t, d, "y@b.example", "anna@a.example")
	if got := resolved(t, d, addr(t, "x@a.example")); got[0] != "anna@a.example" {
		t.Errorf("x leads to %v", got)
	}
}
