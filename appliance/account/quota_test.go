package account

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
)

func TestQuota(t *testing.T) {
	t.Parallel()
	d := open(t, options(t.TempDir()))
	add(t, d, "anna@a.example", "bill@a.example")
	anna := addr(t, "anna@a.example")
	read := func(want Quota) {
		t.Helper()
		a, err := d.Account(t.Context(), anna)
		if err != nil || a.Quota != want {
			t.Fatalf("%+v, %v, want %+v", a.Quota, err, want)
		}
	}
	read(Quota{DefaultLimit, DefaultLimit})
	set := func(octets, messages *Limit) {
		t.Helper()
		if _, err := d.SetQuota(t.Context(), addr(t, "ANNA@a.example"), octets, messages); err != nil {
			t.Fatal(err)
		}
	}
	limit := func(l Limit) *Limit { return &l }
	set(limit(2<<40), nil)
	read(Quota{2 << 40, DefaultLimit})
	set(nil, limit(NoLimit))
	read(Quota{2 << 40, NoLimit})
	set(limit(DefaultLimit), limit(7))
	read(Quota{DefaultLimit, 7})
	_, err := d.SetQuota(t.Context(), addr(t, "carl@a.example"), limit(1), nil)
	wants(t, err, ErrNotFound, "carl@a.example")

	for l, want := range map[Limit]int64{DefaultLimit: 100, NoLimit: 0, 5: 5} {
		if got := l.Or(100); got != want {
			t.Errorf("%s.Or(100) = %d", l, got)
		}
	}
	for l, want := range map[Limit]string{DefaultLimit: "default", NoLimit: "none", 5: "5"} {
		if l.String() != want {
			t.Errorf("%d is written %s, want %s", int64(l), l, want)
		}
	}
}

// TestSetWarned: of many who cross a mark at once, one tells the user.
func TestSetWarned(t *testing.T) {
	t.Parallel()
	d := open(t, options(t.TempDir()))
	add(t, d, "anna@a.example")
	who, err := d.Account(t.Context(), addr(t, "anna@a.example"))
	if err != nil {
		t.Fatal(err)
	}
	var firsts atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			first, err := d.SetWarned(context.Background(), who, 80)
			if err != nil {
				t.Error(err)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	all.Wait()
	again, err := d.Account(t.Context(), who.Address)
	if err != nil || firsts.Load() != 1 || again.WarnedPercent != 80 {
		t.Errorf("%d were first, %d per cent noted, %v", firsts.Load(), again.WarnedPercent, err)
	}
}

// TestQuotaMigration: limits of a file from before mean the default, unless
// somebody had set one by hand.
func TestQuotaMigration(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/accounts.db"
	errorless(t, fillAt(t, path, 1))
	execute(t, path, `INSERT INTO domains VALUES (1, 'a.example', 1);
		INSERT INTO accounts (domain_id, local, password_hash, created_s) VALUES (1, 'anna', '', 1);
		INSERT INTO accounts (domain_id, local, password_hash, created_s, quota_octets, quota_messages) VALUES (1, 'bill', '', 1, 500, 0)`)
	o := options("")
	o.Path = path
	d := open(t, o)
	for name, want := range map[string]Quota{"anna": {DefaultLimit, DefaultLimit}, "bill": {500, DefaultLimit}} {
		a, err := d.Account(t.Context(), addr(t, name+"@a.example"))
		if err != nil || a.Quota != want || a.WarnedPercent != 0 {
			t.Errorf("%s: %+v, %d, %v, want %+v", name, a.Quota, a.WarnedPercent, err, want)
		}
	}
}

// fillAt makes a file of an older schema.
func fillAt(t *testing.T, path string, version int) error {
	t.Helper()
	execute(t, path, `PRAGMA journal_mode = WAL`)
	db, err := connect(path, false)
	if err != nil {
		return err
	}
	if err := migrate(t.Context(), db, migrations()[:version]); err != nil {
		return err
	}
	return db.Close()
}
