package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"maild/index"
	"maild/maildir"
)

// owner is whose mail it is.
const owner = "ann@example.org"

func TestQuotaTakes(t *testing.T) {
	t.Parallel()
	q := Quota{Limit: maildir.Size{Octets: 100, Messages: 10}, GraceOctets: 20}
	for _, tc := range []struct {
		used, more maildir.Size
		want       bool
		percent    int
	}{
		{maildir.Size{}, maildir.Size{Octets: 100, Messages: 1}, true, 0},
		{maildir.Size{Octets: 99, Messages: 9}, maildir.Size{Octets: 21, Messages: 1}, true, 99},
		{maildir.Size{Octets: 99, Messages: 9}, maildir.Size{Octets: 22, Messages: 1}, false, 99},
		{maildir.Size{Octets: 100, Messages: 1}, maildir.Size{Octets: 0, Messages: 1}, false, 100},
		{maildir.Size{Octets: 50, Messages: 10}, maildir.Size{Octets: 1, Messages: 1}, false, 100},
		{maildir.Size{Octets: 250, Messages: 1}, maildir.Size{}, false, 250},
	} {
		if got := q.Takes(tc.used, tc.more); got != tc.want || q.Percent(tc.used) != tc.percent {
			t.Errorf("%+v: takes %v, %d %%", tc, got, q.Percent(tc.used))
		}
	}
	if none := (Quota{GraceOctets: 5}); !none.IsNone() || !none.Takes(maildir.Size{Octets: 1 << 50}, maildir.Size{Octets: 1 << 50, Messages: 1}) || none.Percent(maildir.Size{Octets: 5}) != 0 {
		t.Error("no limit limits")
	}
}

// running has the index written, as in the daemon, until the test ends.
func running(t testing.TB, ix *index.Index) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- ix.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	must(t, ix.Flush(ctx))
}

// compared waits until the index is what the files are, and says so.
func compared(t *testing.T, ix *index.Index) {
	t.Helper()
	for err := index.ErrUncertain; err != nil; _, _, err = ix.UsageBeside(t.Context(), owner, maildir.Inbox, nil) {
		if !errors.Is(err, index.ErrUncertain) {
			t.Fatal(err)
		}
		must(t, ix.Flush(t.Context()))
		_, err = ix.Reconcile(t.Context(), index.ReconcileOptions{Force: true})
		must(t, err)
	}
}

// putWithin delivers one message with a quota, if there is room.
func putWithin(s *Store, q Quota, text string) error {
	d, err := s.Stage(owner)
	if err != nil {
		return err
	}
	defer d.Abort()
	if _, err := d.Write([]byte(text)); err != nil {
		return err
	}
	if err := d.Seal(); err != nil {
		return err
	}
	if _, err := d.Admit(context.Background(), q, false); err != nil {
		return err
	}
	_, err = d.Commit([]byte(text))
	return err
}

// held is what the files of ann say, by their size, and what maildirsize does.
func held(t testing.TB, s *Store) (files maildir.Size, file maildir.SizeFile) {
	t.Helper()
	must(t, s.Use(owner, false, func(tree *maildir.Tree) (err error) {
		if files, err = tree.Size(maildir.ByFile, nil); err != nil {
			return err
		}
		file, err = tree.SizeFile()
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}))
	return files, file
}

// TestUsageIsExact: with deliveries under way, and rows on their way, the index,
// the files and maildirsize agree at every moment when nothing is under way, and
// the limit is used up to the last message.
func TestUsageIsExact(t *testing.T) {
	t.Parallel()
	s, ix := newStore(t)
	running(t, ix)
	const room = 40
	q := Quota{Limit: maildir.Size{Messages: room}}
	var all sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for range 8 {
		all.Go(func() {
			for range 10 {
				err := putWithin(s, q, text)
				if err != nil && !errors.Is(err, ErrOverQuota) {
					t.Error(err)
				}
				mu.Lock()
				if err == nil {
					taken++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	files, file := held(t, s)
	used, err := s.Usage(t.Context(), owner, q, maildir.Size{})
	if err != nil || taken != room || files.Messages != room || used != files || file.Total != files || file.Limit != q.Limit {
		t.Errorf("%d taken, files %+v, usage %+v, maildirsize %+v, %v", taken, files, used, file, err)
	}
	compared(t, ix)
	s.ledger.sheet(owner).knownAt = time.Time{}
	if used, err = s.Usage(t.Context(), owner, q, maildir.Size{}); err != nil || used != files {
		t.Errorf("after the rows: %+v, %v, want %+v", used, err, files)
	}
	if n := len(s.ledger.sheet(owner).entries); n != 0 {
		t.Errorf("%d entries are left in the ledger", n)
	}
}

// TestUsageFollows: what others do to the files is in the answer as soon as it is
// in the index, and in maildirsize after two looks at it.
func TestUsageFollows(t *testing.T) {
	t.Parallel()
	s, ix := newStore(t)
	running(t, ix)
	q := Quota{Limit: maildir.Size{Messages: 10}}
	for range 3 {
		must(t, putWithin(s, q, text))
	}
	must(t, ix.Flush(t.Context()))
	path, err := s.Path(owner)
	must(t, err)
	list, err := filepath.Glob(filepath.Join(path, "new", "*"))
	must(t, err)
	must(t, os.Remove(list[0]))
	must(t, os.Rename(list[1], filepath.Join(path, "cur", filepath.Base(list[1])+":2,ST")))
	files, file := held(t, s)
	var used maildir.Size
	for until := time.Now().Add(10 * time.Second); used != files && err == nil && time.Now().Before(until); {
		compared(t, ix) // what is told as gone is left to who follows, for a moment
		s.ledger.sheet(owner).knownAt = time.Time{}
		used, err = s.Usage(t.Context(), owner, q, maildir.Size{})
	}
	if err != nil || used != files || used.Messages != 2 || file.Total.Messages != 3 {
		t.Errorf("usage %+v, %v, files %+v, maildirsize %+v", used, err, files, file)
	}
	for i, want := range []bool{false, true, false} {
		if written, err := s.KeepSizeFile(t.Context(), owner, q); err != nil || written != want {
			t.Errorf("look %d: written %v, %v", i, written, err)
		}
	}
	if _, file = held(t, s); file.Total != files || file.Lines != 1 {
		t.Errorf("maildirsize %+v, files %+v", file, files)
	}
	// Another limit is written at once, and without a limit the file is another program's.
	q.Limit.Messages = 20
	if written, err := s.KeepSizeFile(t.Context(), owner, q); err != nil || !written {
		t.Errorf("another limit: written %v, %v", written, err)
	}
	if written, err := s.KeepSizeFile(t.Context(), owner, Quota{}); err != nil || written {
		t.Errorf("no limit: written %v, %v", written, err)
	}
	if _, file = held(t, s); file.Limit != q.Limit {
		t.Errorf("maildirsize %+v", file)
	}
}

// TestUsageWithoutIndex: while the index cannot tell, maildirsize and then the
// files do; with the index back, it does.
func TestUsageWithoutIndex(t *testing.T) {
	t.Parallel()
	s, ix := newStore(t) // which nobody has filled
	q := Quota{Limit: maildir.Size{Messages: 3}}
	if _, _, err := ix.UsageBeside(t.Context(), owner, maildir.Inbox, nil); !errors.Is(err, index.ErrUncertain) {
		t.Fatalf("an empty index: %v", err)
	}
	if used, err := s.Usage(t.Context(), owner, q, maildir.Size{}); err != nil || used != (maildir.Size{}) {
		t.Errorf("no tree: %+v, %v", used, err)
	}
	for range 3 {
		must(t, putWithin(s, q, text))
	}
	if err := putWithin(s, q, text); !errors.Is(err, ErrOverQuota) {
		t.Errorf("a fourth: %v", err)
	}
	// Another program removes one and does not say so in maildirsize.
	path, err := s.Path(owner)
	must(t, err)
	list, err := filepath.Glob(filepath.Join(path, "new", "*"))
	must(t, err)
	must(t, os.Remove(list[0]))
	s.ledger.sheet(owner).pause = 0 // time has passed
	if err := putWithin(s, q, text); err != nil {
		t.Errorf("after one is gone: %v", err)
	}
	files, file := held(t, s)
	if files.Messages != 3 || file.Total != files {
		t.Errorf("files %+v, maildirsize %+v", files, file)
	}
	running(t, ix)
	compared(t, ix)
	s.ledger.sheet(owner).knownAt = time.Time{}
	if used, err := s.Usage(t.Context(), owner, q, maildir.Size{}); err != nil || used != files {
		t.Errorf("by the index: %+v, %v, files %+v", used, err, files)
	}
}

// TestRoomIsGivenBack: what is not delivered takes no room.
func TestRoomIsGivenBack(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	q := Quota{Limit: maildir.Size{Messages: 1}}
	d, err := s.Stage(owner)
	must(t, err)
	must(t, d.Seal())
	if _, err := d.Admit(t.Context(), q, false); err != nil {
		t.Fatal(err)
	}
	if err := putWithin(s, q, text); !errors.Is(err, ErrOverQuota) {
		t.Errorf("beside one that is admitted: %v", err)
	}
	must(t, d.Abort())
	if err := putWithin(s, q, text); err != nil {
		t.Errorf("after that was given up: %v", err)
	}
	d, err = s.Stage(owner)
	must(t, err)
	must(t, d.Seal())
	if used, err := d.Admit(t.Context(), q, true); err != nil || used.Messages != 1 {
		t.Errorf("by force: %+v, %v", used, err)
	}
	_, err = d.Commit(nil)
	must(t, err)
}

// BenchmarkUsage is what RCPT costs an account with a limit.
func BenchmarkUsage(b *testing.B) {
	for _, c := range []struct{ messages, folders, pending int }{{1000, 5, 0}, {100_000, 5, 0}, {100_000, 50, 0}, {100_000, 5, 20}} {
		b.Run(fmt.Sprintf("messages=%d/folders=%d/pending=%d", c.messages, c.folders, c.pending), func(b *testing.B) {
			s, ix := newStore(b)
			must(b, s.Use(owner, true, func(t *maildir.Tree) error {
				for i := range c.folders {
					if err := t.CreateFolder(fmt.Sprintf("folder%d", i)); err != nil {
						return err
					}
				}
				path, err := s.Path(owner)
				if err != nil {
					return err
				}
				for i := range c.messages {
					name := filepath.Join(path, fmt.Sprintf(".folder%d/cur/%d.x.h,S=0:2,S", i%c.folders, i))
					if err := os.WriteFile(name, nil, 0o600); err != nil {
						return err
					}
				}
				return nil
			}))
			_, err := ix.Rebuild(b.Context(), index.RebuildOptions{})
			must(b, err)
			sheet := s.ledger.sheet(owner)
			q := Quota{Limit: maildir.Size{Octets: 1 << 40}}
			for i := range c.pending {
				sheet.entries = append(sheet.entries, &entry{size: maildir.Size{Octets: 1, Messages: 1}, key: fmt.Sprintf("%d.y.h,S=1", i)})
			}
			must(b, ix.Flush(b.Context()))
			if _, _, err := ix.UsageBeside(b.Context(), owner, maildir.Inbox, nil); errors.Is(err, index.ErrUncertain) {
				_, err := ix.Reconcile(b.Context(), index.ReconcileOptions{Force: true})
				must(b, err)
			}
			for b.Loop() {
				sheet.knownAt = time.Time{}
				used, err := s.Usage(context.Background(), owner, q, maildir.Size{Messages: 1})
				if err != nil || used.Messages != int64(c.messages+c.pending) {
					b.Fatalf("%+v, %v", used, err)
				}
			}
		})
	}
}
