package index

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// sums is what the source holds, by account.
func (s *mapSource) sums() map[string]Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]Usage{}
	for account, folders := range s.accounts {
		for _, d := range folders {
			u := all[account]
			for _, f := range d.files {
				u.Messages++
				u.Octets += f.Octets
			}
			all[account] = u
		}
	}
	return all
}

// TestUsageTotals: whatever happens to the mail, and however it comes into the
// index, the totals are the sums of the files.
func TestUsageTotals(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), newMapSource()
	ix := openTest(t, Options{Source: s})
	rnd := rand.New(rand.NewPCG(1, 2))
	places := []place{{"ann@a.example", "INBOX"}, {"ann@a.example", "Sent"}, {"bob@a.example", "INBOX"}, {"bob@a.example", "Trash"}}
	type file struct {
		place
		key string
	}
	var files []file
	check := func(when string) {
		t.Helper()
		want := s.sums()
		got, err := ix.Usages(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for account, u := range want {
			messages, octets, err := ix.Usage(ctx, account)
			if err != nil || got[account] != u || (Usage{messages, octets}) != u {
				t.Fatalf("%s: %s has %+v and %d, %d, %v, want %+v", when, account, got[account], messages, octets, err, u)
			}
		}
		var wrong int64
		if err := ix.current().read.QueryRowContext(ctx, wrongTotals).Scan(&wrong); err != nil || wrong != 0 {
			t.Fatalf("%s: %d folders with wrong totals, %v", when, wrong, err)
		}
	}
	for n := range 300 {
		p := places[rnd.IntN(len(places))]
		switch i := rnd.IntN(max(1, len(files))); {
		case len(files) < 5 || n%3 == 0:
			f := file{p, fmt.Sprintf("k%d", n)}
			m := s.put(p, File{Key: f.key, New: n%2 == 0}, fmt.Sprintf("Subject: %d\nMessage-ID: <%d@x>\n\n%0*d\n", n, n, n, n))
			if n%5 == 0 {
				ix.Record(m)
			}
			files = append(files, f)
		case n%3 == 1:
			s.remove(files[i].place, files[i].key)
			files = append(files[:i], files[i+1:]...)
		default: // moved
			s.mu.Lock()
			f := s.accounts[files[i].account][files[i].folder].files[files[i].key]
			s.mu.Unlock()
			s.remove(files[i].place, files[i].key)
			s.put(p, f.File, f.text)
			files[i].place = p
		}
		if n%20 != 0 {
			continue
		}
		if err := ix.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := ix.Reconcile(ctx, ReconcileOptions{Force: true, Stat: true}); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprintf("step %d", n))
	}
	if _, err := ix.Rebuild(ctx, RebuildOptions{}); err != nil {
		t.Fatal(err)
	}
	check("rebuilt")
	s.mu.Lock()
	delete(s.accounts["bob@a.example"], "Trash")
	s.mu.Unlock()
	if _, err := ix.Reconcile(ctx, ReconcileOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	check("a folder is gone")
	ix.ForgetAccount("ann@a.example")
	if err := ix.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if m, o, err := ix.Usage(ctx, "ann@a.example"); m != 0 || o != 0 || err != nil {
		t.Errorf("a forgotten account has %d, %d, %v", m, o, err)
	}
}

// TestUsageBeside: of what may be on its way, it is told what is there already, and
// nothing is told while the index is not to be trusted.
func TestUsageBeside(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), newMapSource()
	ix := openTest(t, Options{Source: s})
	p := place{"ann@a.example", "INBOX"}
	if _, _, err := ix.UsageBeside(ctx, p.account, p.folder, nil); !errors.Is(err, ErrUncertain) {
		t.Errorf("not filled: %v", err)
	}
	if _, err := ix.Reconcile(ctx, ReconcileOptions{}); err != nil {
		t.Fatal(err)
	}
	ticket := ix.Record(s.put(p, File{Key: "a", New: true}, "Subject: a\n\n"))
	if ix.Settled(ticket) {
		t.Error("settled before it is written")
	}
	beside := func(want Usage, keys ...string) {
		t.Helper()
		u, have, err := ix.UsageBeside(ctx, "Ann@A.example", p.folder, []string{"a", "b"})
		if err != nil || u != want || len(have) != len(keys) || len(keys) > 0 && !have[keys[0]] {
			t.Errorf("%+v, %v, %v, want %+v, %v", u, have, err, want, keys)
		}
	}
	beside(Usage{})
	if err := ix.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if !ix.Settled(ticket) {
		t.Error("written and not settled")
	}
	beside(Usage{1, 12}, "a")
	ix.marks.add(place{"bob@a.example", "INBOX"})
	beside(Usage{1, 12}, "a")
	ix.marks.add(p)
	if _, _, err := ix.UsageBeside(context.Background(), p.account, p.folder, nil); !errors.Is(err, ErrUncertain) {
		t.Errorf("marked: %v", err)
	}
}

// TestVerifyTotals: totals that were spoilt are found, and mended.
func TestVerifyTotals(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), newMapSource()
	ix := openTest(t, Options{Source: s})
	p := place{"ann@a.example", "INBOX"}
	s.put(p, File{Key: "a"}, "Subject: a\n\n")
	if _, err := ix.Reconcile(ctx, ReconcileOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := ix.writeBatch(ctx, nil, func(b *batch) error {
		_, err := b.conn.ExecContext(ctx, `UPDATE folder SET octets = octets + 1`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var found []Difference
	r, err := ix.Verify(ctx, VerifyOptions{Repair: true, Found: func(d Difference) error { found = append(found, d); return nil }})
	if err != nil || len(found) != 1 || found[0].Kind != BadDatabase || r.Repaired != 1 {
		t.Errorf("%+v, %+v, %v", r, found, err)
	}
	if _, octets, err := ix.Usage(ctx, p.account); err != nil || octets != 12 {
		t.Errorf("%d octets, %v", octets, err)
	}
}
