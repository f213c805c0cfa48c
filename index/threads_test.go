package index

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestThreads joins messages whose parents are missing, and keeps accounts apart.
func TestThreads(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	put := func(p place, key string, at int, id, more string) {
		src.put(p, File{Key: key, Arrived: longAgo.Add(time.Duration(at) * time.Hour)}, "From: a@x\nSubject: s "+key+"\nMessage-ID: <"+id+">\n"+more+"\n")
	}
	put(inbox, "root", 1, "root@x", "")
	put(inbox, "reply", 2, "reply@x", "In-Reply-To: <root@x>\n")
	put(place{inbox.account, "Sent"}, "deep", 3, "deep@x", "References: <root@x> <missing@x>\n")
	put(inbox, "orphan", 4, "orphan@x", "In-Reply-To: <missing@x>\n")
	put(inbox, "other", 5, "other@x", "")
	put(place{"bob@example.net", "INBOX"}, "bobs", 6, "bobs@x", "In-Reply-To: <root@x>\n")
	reconcile(t, ix, ReconcileOptions{})
	threads := func(q Query) (list []string) {
		err := ix.Threads(t.Context(), q, func(th Thread) error {
			var keys []string
			for _, m := range th.Messages {
				keys = append(keys, m.Key)
			}
			list = append(list, fmt.Sprint(strings.Join(keys, " "), ":", th.Matched))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if got, want := threads(Query{}), []string{"bobs:1", "other:1", "root reply deep orphan:4"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := threads(ask("deep OR reply")), []string{"root reply deep orphan:2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := threads(Query{Limit: 2}), []string{"bobs:1", "other:1"}; !slices.Equal(got, want) {
		t.Errorf("two: %q, want %q", got, want)
	}
	if got, want := threads(ask("header:subject=deep OR header:x-none")), []string{"root reply deep orphan:1"}; !slices.Equal(got, want) {
		t.Errorf("by header: %q, want %q", got, want)
	}
	src.remove(inbox, "root")
	reconcile(t, ix, ReconcileOptions{Force: true})
	if got, want := threads(Query{Limit: 9}), []string{"bobs:1", "other:1", "reply deep orphan:3"}; !slices.Equal(got, want) {
		t.Errorf("without the root: %q, want %q", got, want)
	}
	var left int64
	if err := ix.SQL(t.Context(), "SELECT count(*) FROM reference WHERE id NOT IN (SELECT id FROM message)", func(_ []string, v []any) error { left = v[0].(int64); return nil }); err != nil || left != 0 {
		t.Errorf("%d references of messages that are gone, %v", left, err)
	}
}

// TestLongThread gives a thread of too many messages once, as far as it is read.
func TestLongThread(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	for i := range maxThread + 300 {
		src.put(inbox, File{Key: fmt.Sprint(i)}, fmt.Sprintf("From: cron\nSubject: daily\nMessage-ID: <%d@x>\nReferences: <all@x>\n\n", i))
	}
	reconcile(t, ix, ReconcileOptions{})
	found := 0
	if err := ix.Threads(t.Context(), ask("daily"), func(th Thread) error {
		if found++; len(th.Messages) != maxThread || th.Matched != maxThread {
			t.Errorf("%d messages, %d matched", len(th.Messages), th.Matched)
		}
		return nil
	}); err != nil || found != 1 {
		t.Errorf("%d threads, %v", found, err)
	}
}
