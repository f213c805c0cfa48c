package index

import (
	"testing"
	"time"
)

// TestMovedIsTold holds that a row goes with its message when the index is told of a move, also when somebody else was faster.
func TestMovedIsTold(t *testing.T) {
	t.Parallel()
	archive := place{inbox.account, "Archive"}
	for name, before := range map[string]func(t *testing.T, ix *Index, now Message){
		"told first": func(*testing.T, *Index, Message) {},
		"told twice": func(_ *testing.T, ix *Index, now Message) { ix.Moved(inbox.account, inbox.folder, "a", now) },
		"followed by a reconcile": func(t *testing.T, ix *Index, _ Message) {
			reconcile(t, ix, ReconcileOptions{})
		},
		"recorded as another": func(_ *testing.T, ix *Index, now Message) { ix.Record(now) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := newMapSource()
			ix := openTest(t, Options{Source: src})
			was := src.put(inbox, File{Key: "a", New: true, Arrived: longAgo}, letter("a@x", "bob@x", "one"))
			src.put(inbox, File{Key: "b", Arrived: longAgo.Add(time.Hour)}, letter("b@x", "bob@x", "two"))
			reconcile(t, ix, ReconcileOptions{})
			src.remove(inbox, "a")
			now := src.put(archive, File{Key: "a", Flags: "S", Arrived: longAgo}, letter("a@x", "bob@x", "one"))
			before(t, ix, now)
			ix.Moved(inbox.account, inbox.folder, "a", now)
			if err := ix.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			id, err := ix.IDOf(t.Context(), archive.account, archive.folder, "a")
			if err != nil {
				t.Fatal(err)
			}
			if id != was.Arrived.UnixMicro() {
				t.Errorf("the id is %d, and was %d", id, was.Arrived.UnixMicro())
			}
			if got := keysOf(t, ix, ask("in:Archive is:read")); len(got) != 1 || got[0] != "a" {
				t.Errorf("found %q in Archive", got)
			}
			if got := keysOf(t, ix, ask("in:INBOX")); len(got) != 1 || got[0] != "b" {
				t.Errorf("found %q in INBOX", got)
			}
			checkWhole(t, ix)
		})
	}
}

// TestMovedUnknown holds that of a message the index does not know, both folders are looked at.
func TestMovedUnknown(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	src.put(inbox, File{Key: "b", Arrived: longAgo}, letter("b@x", "bob@x", "two"))
	reconcile(t, ix, ReconcileOptions{})
	archive := place{inbox.account, "Archive"}
	now := src.put(archive, File{Key: "a", Arrived: longAgo}, letter("a@x", "bob@x", "one"))
	ix.Moved(inbox.account, inbox.folder, "a", now)
	if err := ix.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, places := ix.marks.take(); !places[inbox] || !places[archive] {
		t.Errorf("marked: %v", places)
	}
	reconcile(t, ix, ReconcileOptions{})
	if got := keysOf(t, ix, ask("in:Archive")); len(got) != 1 {
		t.Errorf("found %q", got)
	}
}

// TestWithoutMessageIDKeepsID holds that messages of one microsecond without a Message-ID are told apart by their keys when they move.
func TestWithoutMessageIDKeepsID(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	drafts := place{inbox.account, "Drafts"}
	text := "Subject: same\n\nbody\n"
	for _, key := range []string{"x", "y", "z"} {
		src.put(inbox, File{Key: key, Arrived: longAgo}, text)
	}
	reconcile(t, ix, ReconcileOptions{})
	ids := map[string]int64{}
	for _, key := range []string{"x", "y", "z"} {
		id, err := ix.IDOf(t.Context(), inbox.account, inbox.folder, key)
		if err != nil {
			t.Fatal(err)
		}
		ids[key] = id
	}
	// Drafts comes before INBOX in a walk, so that what has come is met first.
	for _, key := range []string{"y", "z"} {
		src.remove(inbox, key)
		src.put(drafts, File{Key: key, Arrived: longAgo}, text)
	}
	if r := reconcile(t, ix, ReconcileOptions{}); r.Moved != 2 {
		t.Errorf("%+v", r)
	}
	for _, key := range []string{"y", "z"} {
		if id, err := ix.IDOf(t.Context(), drafts.account, drafts.folder, key); err != nil || id != ids[key] {
			t.Errorf("%s has the id %d, and had %d; %v", key, id, ids[key], err)
		}
	}
	checkWhole(t, ix)
}
