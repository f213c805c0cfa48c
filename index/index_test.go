package index

import (
	"errors"
	"slices"
	"testing"
)

func TestRecordAndFind(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	m := src.put(inbox, File{Key: "1", New: true}, letter("1@x", "Bob <bob@acme.example>", "Hello"))
	ix.Record(m)
	flush(t, ix)
	if got := keysOf(t, ix, Query{From: []string{"@acme"}, MessageID: "<1@x>"}); !slices.Equal(got, []string{"1"}) {
		t.Fatalf("found %q", got)
	}
	got, err := ix.Message(t.Context(), m.Arrived.UnixMicro())
	if err != nil {
		t.Fatal(err)
	}
	if got.Account != m.Account || got.Header.Subject != "Hello" || !got.New || got.Octets != m.Octets || !got.Arrived.Equal(m.Arrived) {
		t.Errorf("got %+v", got)
	}
	if _, err := ix.Message(t.Context(), 5); !errors.Is(err, ErrNotFound) {
		t.Errorf("a message that is not there: %v", err)
	}
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	src.put(inbox, File{Key: "1", New: true}, letter("1@x", "bob@x", "one"))
	src.put(inbox, File{Key: "2", Flags: "S"}, letter("2@x", "bob@x", "two"))
	if r := reconcile(t, ix, ReconcileOptions{}); r.Added != 2 || r.Scanned != 2 {
		t.Fatalf("first: %+v", r)
	}
	if r := reconcile(t, ix, ReconcileOptions{}); r.Scanned != 0 || r.Added+r.Changed+r.Removed != 0 {
		t.Fatalf("nothing new: %+v", r)
	}
}
