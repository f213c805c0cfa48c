package index

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// TestRebuild builds anew while messages come, go and change: ids stay, nothing is missing, searches are answered.
func TestRebuild(t *testing.T) {
	t.Parallel()
	src := benchSource(3000)
	for i := range 10 { // all of one time: their ids cannot be told from it
		src.put(inbox, File{Key: fmt.Sprint("same", i), Arrived: longAgo}, letter(fmt.Sprint(i, "@same"), "Bob <bob@x>", "s"))
	}
	ix := openTest(t, Options{Source: src})
	reconcile(t, ix, ReconcileOptions{})
	ids := func() map[string]int64 {
		m := map[string]int64{}
		if err := ix.Search(t.Context(), Query{}, func(msg Message) error { m[msg.Folder+msg.Account+msg.Key] = msg.ID; return nil }); err != nil {
			t.Fatal(err)
		}
		return m
	}
	before := ids()
	stop := runTest(t, ix)
	defer stop()
	busy := false
	src.mu.Lock()
	src.onScan = func() {
		if busy {
			return
		}
		busy = true
		for i := range 50 {
			ix.Record(src.put(inbox, File{Key: fmt.Sprint("late", i), New: true}, letter(fmt.Sprint(i, "@late"), "carl@x", "late")))
		}
		src.remove(inbox, "same3")
		ix.Forget(inbox.account, inbox.folder, "same3")
	}
	src.mu.Unlock()
	var last Progress
	r, err := ix.Rebuild(t.Context(), RebuildOptions{Progress: func(p Progress) { last = p }})
	if err != nil || r.Failed != 0 || last.Total < 3000 || last.Written < 3000 {
		t.Fatalf("%+v, %+v, %v", r, last, err)
	}
	flush(t, ix)
	waitFor(t, ix, func() bool { return count(ix) == 3000+9+50 })
	after := ids()
	for k, id := range after {
		if was, ok := before[k]; ok && was != id {
			t.Errorf("id of %s was %d, is %d", k, was, id)
		}
	}
	if s, err := ix.Status(t.Context()); err != nil || !s.Filled || s.Folders != 101 {
		t.Errorf("%+v, %v", s, err)
	}
	checkWhole(t, ix)
	if _, err := os.Stat(ix.opt.Path + rebuildSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

// TestRebuildStopped ends one in the middle, then meets another at work, then succeeds.
func TestRebuildStopped(t *testing.T) {
	t.Parallel()
	src := benchSource(500)
	ix := openTest(t, Options{Source: src})
	reconcile(t, ix, ReconcileOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	src.mu.Lock()
	src.onScan = cancel
	src.mu.Unlock()
	if _, err := ix.Rebuild(ctx, RebuildOptions{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	if c := count(ix); c != 500 {
		t.Errorf("%d rows after a rebuild that ended early", c)
	}
	src.mu.Lock()
	src.onScan = nil
	src.mu.Unlock()
	// What a killed one has left is in nobody's way.
	if err := os.WriteFile(ix.opt.Path+rebuildSuffix, noise, 0o600); err != nil {
		t.Fatal(err)
	}
	other := &rebuild{ix: ix, path: ix.opt.Path + rebuildSuffix, start: time.Now()}
	unlock, err := other.lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ix.Rebuild(t.Context(), RebuildOptions{}); !errors.Is(err, ErrRebuilding) {
		t.Errorf("two at once: %v", err)
	}
	unlock()
	if _, err := ix.Rebuild(t.Context(), RebuildOptions{}); err != nil {
		t.Fatal(err)
	}
	if c := count(ix); c != 500 {
		t.Errorf("%d rows", c)
	}
}

// TestMoved moves messages between folders and renames them: they keep their ids.
func TestMoved(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	archive := place{inbox.account, "Archive"}
	a := src.put(inbox, File{Key: "a", Arrived: longAgo}, letter("a@x", "bob@x", "one"))
	src.put(inbox, File{Key: "b", Arrived: longAgo.Add(time.Hour)}, letter("b@x", "bob@x", "two"))
	src.put(archive, File{Key: "c", Arrived: longAgo.Add(2 * time.Hour)}, letter("c@x", "bob@x", "three"))
	reconcile(t, ix, ReconcileOptions{})
	src.remove(inbox, "a")
	src.put(archive, File{Key: "renamed", Flags: "S", Arrived: longAgo.Truncate(time.Second)}, letter("a@x", "bob@x", "one"))
	r := reconcile(t, ix, ReconcileOptions{})
	if r.Moved != 1 || r.Added != 0 {
		t.Errorf("%+v", r)
	}
	m, err := ix.Message(t.Context(), a.Arrived.UnixMicro())
	if err != nil || m.Folder != "Archive" || m.Key != "renamed" || m.Flags != "S" {
		t.Errorf("%+v, %v", m, err)
	}
	// A copy is another message.
	src.put(inbox, File{Key: "copy", Arrived: longAgo}, letter("a@x", "bob@x", "one"))
	if r := reconcile(t, ix, ReconcileOptions{}); r.Added != 1 || r.Moved != 0 || count(ix) != 4 {
		t.Errorf("%+v", r)
	}
	// What was edited on its way has the id, and what it says now.
	src.remove(archive, "renamed")
	src.put(inbox, File{Key: "edited", Arrived: longAgo.Add(time.Second)}, letter("a@x", "bob@x", "uno"))
	if r := reconcile(t, ix, ReconcileOptions{}); r.Moved != 1 {
		t.Errorf("%+v", r)
	}
	if got := keysOf(t, ix, ask("subject:uno")); !slices.Equal(got, []string{"edited"}) {
		t.Errorf("found %q", got)
	}
	checkWhole(t, ix)
}
