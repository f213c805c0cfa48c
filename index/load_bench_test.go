package index

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"maild/index/header"
)

// latencies are times of one thing done many times.
type latencies []time.Duration

// report gives the median and the 99th percentile in milliseconds.
func (l latencies) report(b *testing.B, name string) (median float64) {
	slices.Sort(l)
	at := func(part int) float64 { return l[min(len(l)-1, len(l)*part/100)].Seconds() * 1000 }
	b.ReportMetric(at(50), name+"-p50-ms")
	b.ReportMetric(at(99), name+"-p99-ms")
	return at(50)
}

// during runs work again and again until fn has returned.
func during(work func(), fn func()) {
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				work()
			}
		}
	})
	fn()
	close(stop)
	wg.Wait()
}

// loadedIndex is one of n messages with Run at work, and what delivers one more.
func loadedIndex(b *testing.B, n int) (ix *Index, deliver func()) {
	src := benchSource(n)
	ix = openTest(b, Options{Source: src})
	if _, err := ix.Rebuild(b.Context(), RebuildOptions{}); err != nil {
		b.Fatal(err)
	}
	runTest(b, ix)
	waitUntilIdle(b, ix)
	h := header.Parse([]byte(benchLetter(1)))
	return ix, func() {
		f, p := benchFile(n), benchPlace(n)
		ix.Record(Message{Account: p.account, Folder: p.folder, Key: f.Key, Octets: f.Octets, Arrived: f.Arrived, Header: h})
		n++
	}
}

func waitUntilIdle(b *testing.B, ix *Index) {
	if err := ix.marks.await(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSearchWhileDelivering is a search among 50,000 messages, alone and while mail is recorded as fast as it can be written.
func BenchmarkSearchWhileDelivering(b *testing.B) {
	ix, deliver := loadedIndex(b, 50_000)
	q := ask("subject:invoice is:unread")
	q.Limit = 50
	search := func(n int) (l latencies) {
		for range n {
			start := time.Now()
			if err := ix.Search(b.Context(), q, func(Message) error { return nil }); err != nil {
				b.Fatal(err)
			}
			l = append(l, time.Since(start))
		}
		return l
	}
	var idle, busy latencies
	recorded := 0
	start := time.Now()
	for b.Loop() {
		idle = append(idle, search(20)...)
		during(func() {
			for range 10 {
				deliver()
			}
			recorded += 10
			flush(b, ix)
		}, func() { busy = append(busy, search(20)...) })
	}
	b.ReportMetric(float64(recorded)/time.Since(start).Seconds(), "recorded/s")
	alone := idle.report(b, "idle")
	b.ReportMetric(busy.report(b, "busy")/alone, "times-idle")
}

// BenchmarkDeliverWhileReindexing is a message from Record to its row, alone and while all mail is read again in place, back to back.
func BenchmarkDeliverWhileReindexing(b *testing.B) {
	ix, deliver := loadedIndex(b, 20_000)
	one := func(n int) (l latencies) {
		for range n {
			start := time.Now()
			deliver()
			if err := ix.queue.await(b.Context()); err != nil {
				b.Fatal(err)
			}
			l = append(l, time.Since(start))
			time.Sleep(5 * time.Millisecond)
		}
		return l
	}
	var idle, busy latencies
	for b.Loop() {
		idle = append(idle, one(100)...)
		during(func() {
			if _, err := ix.Reconcile(b.Context(), ReconcileOptions{Reparse: true}); err != nil {
				b.Error(fmt.Errorf("reindex: %w", err))
			}
		}, func() { busy = append(busy, one(200)...) })
	}
	idle.report(b, "idle")
	busy.report(b, "busy")
}
