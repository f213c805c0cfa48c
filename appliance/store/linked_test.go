package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"maild/index"
)

// A file that has two names for a while, as programs rename by link and unlink, is in the index under one that is there, whatever looks
// at it meanwhile.
func TestLinkedNames(t *testing.T) {
	t.Parallel()
	for _, following := range []bool{true, false} {
		t.Run(fmt.Sprintf("following=%v", following), func(t *testing.T) {
			t.Parallel()
			s, ix := newStore(t)
			if following {
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- ix.Run(ctx) }()
				defer func() {
					cancel()
					must(t, <-done)
				}()
			}
			put(t, s, "ann@example.org")
			box := filepath.Join(s.root, "example.org", "ann")
			// look has everything compared, and gives what the index then says of the one message.
			look := func() []string {
				_, err := ix.Reconcile(context.Background(), index.ReconcileOptions{Force: true})
				must(t, err)
				var names []string
				for _, m := range all(t, ix) {
					names = append(names, name(m))
				}
				return names
			}
			if following {
				must(t, ix.Flush(context.Background()))
			}
			from := look()[0]
			for i, to := range []string{"cur/:2,FS", "cur/:2,S", "cur/:2,", "new/", "cur/:2,RS", "new/", "cur/:2,F"} {
				key := all(t, ix)[0].Key
				must(t, os.Link(filepath.Join(box, file(from, key)), filepath.Join(box, file(to, key))))
				for range 3 {
					if now := look(); len(now) != 1 || now[0] != from && now[0] != to {
						t.Fatalf("step %d, both names: %v", i, now)
					}
					time.Sleep(20 * time.Millisecond) // the events of the link come in the midst of this
				}
				if r, err := ix.Verify(context.Background(), index.VerifyOptions{}); err != nil || r.Differences != 0 {
					t.Errorf("step %d: verify with both names: %+v, %v", i, r, err)
				}
				must(t, os.Remove(filepath.Join(box, file(from, key))))
				await := time.Now().Add(5 * time.Second)
				for following && time.Now().Before(await) {
					if m := all(t, ix); len(m) == 1 && name(m[0]) == to {
						break
					}
					time.Sleep(5 * time.Millisecond)
				}
				if !following {
					look()
				}
				if m := all(t, ix); len(m) != 1 || name(m[0]) != to {
					t.Fatalf("step %d, renamed to %s: %+v", i, to, m)
				}
				from = to
			}
		})
	}
}

// name is the name of a message's file, without its key.
func name(m index.Message) string {
	if m.New {
		return "new/"
	}
	return "cur/:2," + m.Flags
}

// file is that with the key.
func file(name, key string) string { return name[:4] + key + name[4:] }
