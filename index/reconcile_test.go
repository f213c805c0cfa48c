package index

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestReconcile(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	sent := place{inbox.account, "Sent"}
	other := place{"bob@example.net", "INBOX"}
	src.put(inbox, File{Key: "1", New: true}, letter("1@x", "bob@x", "one"))
	src.put(inbox, File{Key: "2", Flags: "S"}, letter("2@x", "bob@x", "two"))
	src.put(sent, File{Key: "3", Flags: "S"}, letter("3@x", "ann@x", "three"))
	src.put(other, File{Key: "4"}, letter("4@x", "ann@x", "four"))
	for _, step := range []struct {
		name string
		do   func()
		opt  ReconcileOptions
		want Report
		left []string
	}{
		{"first", func() {}, ReconcileOptions{}, Report{Scanned: 4, Added: 4}, []string{"1", "2", "3", "4"}},
		{"nothing", func() {}, ReconcileOptions{}, Report{}, []string{"1", "2", "3", "4"}},
		{"force", func() {}, ReconcileOptions{Force: true}, Report{Scanned: 4}, []string{"1", "2", "3", "4"}},
		{"reparse", func() {}, ReconcileOptions{Reparse: true}, Report{Scanned: 4}, []string{"1", "2", "3", "4"}},
		{"added", func() { src.put(inbox, File{Key: "5"}, letter("5@x", "bob@x", "five")) }, ReconcileOptions{}, Report{Scanned: 3, Added: 1}, []string{"1", "2", "3", "4", "5"}},
		{"flagged", func() { src.put(inbox, File{Key: "1", Flags: "FS"}, letter("1@x", "bob@x", "one")) }, ReconcileOptions{}, Report{Scanned: 3, Changed: 1}, []string{"1", "2", "3", "4", "5"}},
		{"removed", func() { src.remove(inbox, "2") }, ReconcileOptions{}, Report{Scanned: 2, Removed: 1}, []string{"1", "3", "4", "5"}},
		{"other account not looked at", func() { src.remove(other, "4") }, ReconcileOptions{Accounts: []string{"ANN@example.org"}}, Report{}, []string{"1", "3", "4", "5"}},
		{"contents changed, not noticed", func() { src.put(sent, File{Key: "3", Flags: "S"}, letter("3@x", "ann@x", "drei")) }, ReconcileOptions{Accounts: []string{inbox.account}}, Report{Scanned: 1}, []string{"1", "3", "4", "5"}},
		{"contents changed, reparsed", func() {}, ReconcileOptions{Accounts: []string{inbox.account}, Reparse: true}, Report{Scanned: 3, Changed: 2}, []string{"1", "3", "4", "5"}}, // and the time of 1
		{"folder gone", func() { delete(src.accounts[sent.account], sent.folder) }, ReconcileOptions{Accounts: []string{inbox.account}}, Report{Removed: 1}, []string{"1", "4", "5"}},
		{"account gone", func() { delete(src.accounts, other.account) }, ReconcileOptions{}, Report{Removed: 1}, []string{"1", "5"}},
	} {
		step.do()
		r := reconcile(t, ix, step.opt)
		r.Elapsed = 0
		if r != step.want {
			t.Errorf("%s: %+v, want %+v", step.name, r, step.want)
		}
		got := keysOf(t, ix, Query{})
		if slices.Sort(got); !slices.Equal(got, step.left) {
			t.Errorf("%s: left %q, want %q", step.name, got, step.left)
		}
	}
	if got := keysOf(t, ix, ask("is:flagged subject:one")); !slices.Equal(got, []string{"1"}) {
		t.Errorf("flagged: %q", got)
	}
	if got := keysOf(t, ix, ask("subject:drei")); len(got) != 0 {
		t.Errorf("words of a removed message are found: %q", got)
	}
	if s, err := ix.Status(t.Context()); err != nil || s.Accounts != 1 || s.Folders != 1 || s.Messages != 2 || s.LastReconcile.IsZero() {
		t.Errorf("status %+v, %v", s, err)
	}
}

// TestFreshStamp: a directory changed within the clock's resolution of the scan is scanned again.
func TestFreshStamp(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	src.put(inbox, File{Key: "1"}, letter("1@x", "bob@x", "one"))
	src.accounts[inbox.account][inbox.folder].stamp = Stamp{time.Now().UnixNano(), longAgo.UnixNano()}
	reconcile(t, ix, ReconcileOptions{})
	if r := reconcile(t, ix, ReconcileOptions{}); r.Scanned != 1 {
		t.Errorf("a fresh directory was trusted: %+v", r)
	}
}

// TestReparseKeepsIDs: ids stay, unless the time of arrival is another.
func TestReparseKeepsIDs(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	for i := range 10 { // all of one time
		src.put(inbox, File{Key: fmt.Sprint(i), Arrived: longAgo}, letter(fmt.Sprint(i, "@x"), "bob@x", "s"))
	}
	reconcile(t, ix, ReconcileOptions{})
	ids := func() map[string]int64 {
		m := map[string]int64{}
		if err := ix.Search(t.Context(), Query{}, func(msg Message) error { m[msg.Key] = msg.ID; return nil }); err != nil {
			t.Fatal(err)
		}
		return m
	}
	before := ids()
	for key, id := range before {
		if d := id - longAgo.UnixMicro(); d < 0 || d >= 10 {
			t.Errorf("id of %s is %d away from its arrival", key, d)
		}
	}
	reconcile(t, ix, ReconcileOptions{Reparse: true})
	for key, id := range ids() {
		if before[key] != id {
			t.Errorf("id of %s was %d, is %d", key, before[key], id)
		}
	}
	src.put(inbox, File{Key: "3", Arrived: longAgo.Add(time.Hour), Flags: "S"}, letter("3@x", "bob@x", "s"))
	if r := reconcile(t, ix, ReconcileOptions{Reparse: true}); r.Changed != 2 { // its flag, and its time
		t.Errorf("%+v", r)
	}
	m, err := ix.Message(t.Context(), longAgo.Add(time.Hour).UnixMicro())
	if err != nil || m.Key != "3" || m.Flags != "S" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestRecordDuringReconcile: messages come and go in the middle of listings.
func TestRecordDuringReconcile(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	for i := range 50 {
		src.put(inbox, File{Key: fmt.Sprint("old", i), Arrived: longAgo.Add(time.Duration(i) * time.Minute)}, letter(fmt.Sprint("old", i), "bob@x", "old"))
	}
	reconcile(t, ix, ReconcileOptions{})
	n := 0
	src.onScan = func() {
		// The listing is taken already: it has neither the message that comes nor knows of the one that goes.
		key := fmt.Sprint("new", n)
		ix.Record(src.put(inbox, File{Key: key, Arrived: longAgo.Add(time.Hour + time.Duration(n)*time.Minute)}, letter(key, "bob@x", "new")))
		src.remove(inbox, fmt.Sprint("old", n))
		ix.Forget(inbox.account, inbox.folder, fmt.Sprint("old", n))
		if err := ix.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		n++
	}
	for range 10 {
		reconcile(t, ix, ReconcileOptions{})
		if c := count(ix); c != 50 {
			t.Fatalf("%d messages", c)
		}
	}
	src.onScan = nil
	if r := reconcile(t, ix, ReconcileOptions{}); r.Added+r.Changed+r.Removed != 0 {
		t.Errorf("something was left to do: %+v", r)
	}
}

// TestHeadersOption: other further headers have everything read again.
func TestHeadersOption(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	path := filepath.Join(t.TempDir(), "index.db")
	src.put(inbox, File{Key: "1"}, letter("1@x", "bob@x", "one"))
	query := ask(`header:x-trace="HOP 1"`)
	for _, c := range []struct {
		headers []string
		reads   int // by reconcile and the search after it
	}{{nil, 2}, {[]string{"X-Trace", "Subject"}, 1}, {[]string{"x-trace"}, 0}, {[]string{"all"}, 1}, {nil, 2}} {
		ix := openTest(t, Options{Path: path, Source: src, Headers: c.headers})
		src.reads = 0
		reconcile(t, ix, ReconcileOptions{})
		if n, err := ix.Count(t.Context(), query.Where); err != nil || n != 1 {
			t.Errorf("headers %q: found %d, %v", c.headers, n, err)
		}
		if src.reads != c.reads {
			t.Errorf("headers %q: %d files read, want %d", c.headers, src.reads, c.reads)
		}
		if err := ix.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTwoWriters has two processes' worth of Index on one file, one recording, one reconciling again and again.
func TestTwoWriters(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	path := filepath.Join(t.TempDir(), "index.db")
	for i := range 3000 {
		src.put(benchPlace(i), benchFile(i), benchLetter(i))
	}
	a := openTest(t, Options{Path: path, Source: src})
	b := openTest(t, Options{Path: path, Source: src})
	runTest(t, a)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 3000; i < 4000; i++ {
			a.Record(src.put(benchPlace(i), benchFile(i), benchLetter(i)))
		}
	})
	wg.Go(func() {
		for range 3 {
			if _, err := b.Reconcile(t.Context(), ReconcileOptions{Reparse: true}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	flush(t, a)
	if _, err := b.Reconcile(t.Context(), ReconcileOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, ix := range []*Index{a, b} {
		if c := count(ix); c != 4000 {
			t.Errorf("%d messages", c)
		}
	}
	checkWhole(t, b)
}

// checkWhole asks SQLite whether the file is in order.
func checkWhole(t *testing.T, ix *Index) {
	t.Helper()
	db := ix.current().read
	if found, err := quickCheck(t.Context(), db, 10); err != nil || len(found) > 0 {
		t.Errorf("quick check: %v, %v", found, err)
	}
	var words, rows int64
	if err := db.QueryRow(`SELECT (SELECT count(*) FROM terms), (SELECT count(*) FROM message)`).Scan(&words, &rows); err != nil || words != rows {
		t.Errorf("%d rows have words, there are %d: %v", words, rows, err)
	}
}

// TestOverflow: what does not fit into the queue is found by a reconcile.
func TestOverflow(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	const n = queueRows + 50
	for i := range n {
		ix.Record(src.put(inbox, File{Key: fmt.Sprint(i)}, "Subject: x\n\n"))
	}
	if p := ix.queue.pending(); p != queueRows {
		t.Errorf("%d wait", p)
	}
	runTest(t, ix)
	flush(t, ix)
	if c := count(ix); c != n {
		t.Errorf("%d messages, want %d", c, n)
	}
}

func TestOverflowByOctets(t *testing.T) {
	t.Parallel()
	ix := openTest(t, Options{})
	big := "Subject: " + strings.Repeat("x", 200<<10) + "\n\n"
	src := newMapSource()
	for i := range 1000 {
		ix.Record(src.put(inbox, File{Key: fmt.Sprint(i)}, big))
	}
	if p := ix.queue.pending(); p < 100 || p > 400 {
		t.Errorf("%d rows of 200 kB wait", p)
	}
}

// TestUpdates goes through the queued changes of single rows.
func TestUpdates(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	runTest(t, ix)
	m := src.put(inbox, File{Key: "1", New: true}, letter("1@x", "bob@x", "one"))
	ix.Record(m)
	ix.Record(m)
	m = src.put(inbox, File{Key: "1", Flags: "S", Arrived: m.Arrived}, letter("1@x", "bob@x", "one"))
	ix.UpdateFile(m)
	full := src.put(inbox, File{Key: "2", Flags: "F"}, letter("2@x", "bob@x", "two"))
	ix.UpdateFile(full) // no row yet: made of it
	bare := src.put(inbox, File{Key: "3", Flags: "R"}, letter("3@x", "bob@x", "three"))
	bare.Header.All = nil
	ix.UpdateFile(bare) // no row, no header: reconciled
	ix.Forget(inbox.account, inbox.folder, "nothing")
	flush(t, ix)
	got := map[string]string{}
	if err := ix.Search(t.Context(), Query{}, func(m Message) error {
		got[m.Key] = fmt.Sprint(m.Flags, m.New, m.Header.Subject)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"1": "Sfalseone", "2": "Ffalsetwo", "3": "Rfalsethree"} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if msgs, octets, err := ix.Usage(t.Context(), "Ann@Example.org"); err != nil || msgs != 3 || octets != m.Octets+full.Octets+bare.Octets {
		t.Errorf("usage %d %d %v", msgs, octets, err)
	}
	src.remove(inbox, "1")
	ix.Forget(inbox.account, inbox.folder, "1")
	flush(t, ix)
	if c := count(ix); c != 2 {
		t.Errorf("%d messages after Forget", c)
	}
	delete(src.accounts, inbox.account)
	ix.ForgetAccount(inbox.account)
	flush(t, ix)
	if c := count(ix); c != 0 {
		t.Errorf("%d messages after ForgetAccount", c)
	}
	checkWhole(t, ix)
}

// TestLockedElsewhere: another program holds the database for longer than anyone waits; mail goes on and is found later.
func TestLockedElsewhere(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src, Log: slog.New(slog.DiscardHandler)})
	other := openTest(t, Options{Path: ix.opt.Path})
	runTest(t, ix)
	flush(t, ix)
	locked := make(chan struct{})
	free := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := other.writeBatch(t.Context(), nil, func(*batch) error {
			close(locked)
			<-free
			return errors.New("never mind")
		})
		if err == nil {
			t.Error("the transaction was committed")
		}
	})
	<-locked
	for i := range 100 {
		ix.Record(src.put(inbox, File{Key: fmt.Sprint(i)}, letter(fmt.Sprint(i, "@x"), "bob@x", "s"))) // must not block
	}
	if got := keysOf(t, ix, Query{}); len(got) != 0 { // reading does not wait
		t.Errorf("found %q", got)
	}
	close(free)
	wg.Wait()
	flush(t, ix)
	if c := count(ix); c != 100 {
		t.Errorf("%d messages", c)
	}
}

// TestNewMail: the time for new mail does not grow with what was read long ago, and what leaves new/ is seen all the same.
func TestNewMail(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	for i := range 50 {
		src.put(inbox, File{Key: fmt.Sprint(i)}, letter(fmt.Sprint(i)+"@x", "bob@x", "old"))
	}
	reconcile(t, ix, ReconcileOptions{})
	fresh := File{Key: "new", New: true}
	src.put(inbox, fresh, letter("new@x", "bob@x", "new"))
	if r := reconcile(t, ix, ReconcileOptions{}); r.Added != 1 || r.Scanned != 1 {
		t.Errorf("a new message: %+v", r)
	}
	recorded := src.put(inbox, File{Key: "recorded", New: true}, letter("recorded@x", "bob@x", "recorded"))
	ix.Record(recorded)
	flush(t, ix)
	if r := reconcile(t, ix, ReconcileOptions{}); r.Added != 0 || r.Scanned != 2 {
		t.Errorf("a message that was recorded: %+v", r)
	}
	fresh.New, fresh.Flags = false, "S"
	src.put(inbox, fresh, letter("new@x", "bob@x", "new"))
	if r := reconcile(t, ix, ReconcileOptions{}); r.Changed != 1 || r.Scanned != 52 {
		t.Errorf("read: %+v", r)
	}
	src.remove(inbox, "recorded")
	if r := reconcile(t, ix, ReconcileOptions{}); r.Removed != 1 || r.Scanned != 0 {
		t.Errorf("removed from new/: %+v", r)
	}
	checkWhole(t, ix)
}

// TestRenamedDuringReconcile: a message that is renamed between the reading of the rows and the listing, and again before what was listed is
// written, is never lost, and the index has the name it was last told of.
func TestRenamedDuringReconcile(t *testing.T) {
	t.Parallel()
	for _, recorded := range []bool{true, false} {
		t.Run(fmt.Sprintf("recorded=%v", recorded), func(t *testing.T) {
			t.Parallel()
			src := newMapSource()
			ix := openTest(t, Options{Source: src})
			for i := range 20 {
				src.put(inbox, File{Key: fmt.Sprint("old", i)}, letter(fmt.Sprint("old", i), "bob@x", "old"))
			}
			at := File{Key: "moving", New: true}
			rename := func(flags string, isNew bool) Message {
				at.Flags, at.New = flags, isNew
				return src.put(inbox, at, letter("moving", "bob@x", "moving"))
			}
			rename("", true)
			reconcile(t, ix, ReconcileOptions{})
			for n := range 10 {
				src.toScan = func() {
					src.toScan = nil
					rename("S", false)
				}
				src.onScan = func() {
					src.onScan = nil
					if m := rename("FS", false); recorded {
						ix.UpdateFile(m)
						flush(t, ix)
					}
				}
				src.put(inbox, File{Key: fmt.Sprint("new", n), New: true}, letter(fmt.Sprint("new", n), "bob@x", "new")) // so that there is something to list
				reconcile(t, ix, ReconcileOptions{})
				q := ask("subject:moving")
				if got := filesOf(t, ix, q); len(got) != 1 || recorded && got[0] != at.name() {
					t.Fatalf("after %d listings: %+v, is %+v", n+1, got, at.name())
				}
				reconcile(t, ix, ReconcileOptions{})
				if got := filesOf(t, ix, q); !slices.Equal(got, []File{at.name()}) {
					t.Fatalf("after %d listings, at rest: %+v, is %+v", n+1, got, at.name())
				}
				rename("", true)
				reconcile(t, ix, ReconcileOptions{})
			}
			checkWhole(t, ix)
		})
	}
}

// name is what a listing shows of a file.
func (f File) name() File { return File{Key: f.Key, Flags: f.Flags, New: f.New} }

// filesOf are the names of what a query finds.
func filesOf(t *testing.T, ix *Index, q Query) (list []File) {
	t.Helper()
	if err := ix.Search(t.Context(), q, func(m Message) error {
		list = append(list, File{Key: m.Key, Flags: m.Flags, New: m.New})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}
