package index

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

const (
	watchEvery   = time.Second // how often an idle index looks whether its file is still there
	firstBackoff = 50 * time.Millisecond
	longBackoff  = 5 * time.Second
	// closingPatience is how long Run goes on writing what is queued when it is told to stop.
	closingPatience = 5 * time.Second
)

// marks are the mailboxes whose rows cannot be trusted until they are reconciled.
type marks struct {
	mu       sync.Mutex
	all      bool // everything, whatever the directory times say
	sweep    bool // everything whose directory times have changed
	places   map[place]bool
	busy     bool // some are being reconciled now
	busyAll  bool // everything is
	busyWith map[place]bool
	wake     chan struct{}
	progress chan struct{}
}

func (m *marks) init() {
	m.places = map[place]bool{}
	m.wake = make(chan struct{}, 1)
	m.progress = make(chan struct{})
}

func (m *marks) add(p place) {
	m.mu.Lock()
	m.places[p] = true
	m.mu.Unlock()
	signal(m.wake)
}

func (m *marks) addAll() {
	m.mu.Lock()
	m.all = true
	m.mu.Unlock()
	signal(m.wake)
}

func (m *marks) addSweep() {
	m.mu.Lock()
	m.sweep = true
	m.mu.Unlock()
	signal(m.wake)
}

// take gives what is marked and clears it; done must follow.
func (m *marks) take() (all, sweep bool, places map[place]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all, sweep, places = m.all, m.sweep, m.places
	m.all, m.sweep, m.places = false, false, map[place]bool{}
	m.busy = all || sweep || len(places) > 0
	m.busyAll, m.busyWith = all, places
	return all, sweep, places
}

// done ends what take began; what did not succeed is marked again.
func (m *marks) done(ok, all, sweep bool, places map[place]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy, m.busyAll, m.busyWith = false, false, nil
	if !ok {
		m.all, m.sweep = m.all || all, m.sweep || sweep
		maps.Copy(m.places, places)
	}
	close(m.progress)
	m.progress = make(chan struct{})
}

// trusts reports whether the rows of an account are as good as the last sweep made them: neither everything nor a mailbox of it is marked.
func (m *marks) trusts(account string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all || m.busyAll {
		return false
	}
	for _, places := range []map[place]bool{m.places, m.busyWith} {
		for p := range places {
			if p.account == account {
				return false
			}
		}
	}
	return true
}

// await returns when nothing is marked.
func (m *marks) await(ctx context.Context) error {
	for {
		m.mu.Lock()
		idle, progress := !m.all && !m.sweep && len(m.places) == 0 && !m.busy, m.progress
		m.mu.Unlock()
		if idle {
			return nil
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Run owns the writing and the watching until ctx ends. It writes what Record notes: at once when idle, so that a lone message is
// found within milliseconds, in growing batches under load. It holds the open file against the one at Path around each
// transaction and once a second, examines it when another program has written to it, opens anew when it was removed, replaced or damaged, and reconciles in the background: everything at
// the start and after opening anew, else the folders that were marked. Faults of the box (locked, disk full) are tried again for
// ever, with growing pauses. When ctx ends it writes what is queued, for a few seconds at most, and returns nil.
// It returns an error at once if the index is read-only or already run.
func (ix *Index) Run(ctx context.Context) error {
	if ix.opt.ReadOnly {
		return errors.New("run the index: opened read-only")
	}
	if ix.running.Swap(true) {
		return errors.New("run the index: it is running already")
	}
	defer ix.running.Store(false)
	ix.marks.addAll()
	var background sync.WaitGroup
	defer background.Wait()
	background.Go(func() { ix.reconcileMarked(ctx) })
	background.Go(func() { ix.follow(ctx) })
	background.Go(func() { ix.examineDoubted(ctx) })
	ix.doubt(ix.current()) // who knows what happened while nobody looked

	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-watch.C:
			ix.watch(ctx)
		case <-ix.queue.wake:
			ix.drain(ctx)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingPatience)
	defer cancel()
	ix.drain(last)
	return nil
}

// drain writes until the queue is empty or ctx ends.
func (ix *Index) drain(ctx context.Context) {
	pause := firstBackoff
	for ix.queue.pending() > 0 && ctx.Err() == nil {
		g, err := ix.applyHead(ctx)
		switch faultOf(err) {
		case faultNone:
			pause = firstBackoff
			continue
		case faultReplaced, faultDamaged:
			if err = ix.renew(ctx, g, err); err == nil {
				continue
			}
		case faultOther:
			ix.giveUpHead(err)
			continue
		}
		ix.log.Warn("index: cannot write, trying again", "error", err, "pause", pause, "pending", ix.queue.pending())
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, longBackoff)
	}
}

// giveUpHead drops what cannot be written, so that it does not stand in the way of the rest, and has it reconciled.
func (ix *Index) giveUpHead(cause error) {
	ix.applying.Lock()
	defer ix.applying.Unlock()
	ops := ix.queue.head()
	for i := range ops {
		ix.markOf(&ops[i])
	}
	ix.queue.taken(len(ops))
	ix.log.Error("index: rows refused, their folders will be reconciled", "error", cause, "rows", len(ops))
}

// watch looks whether the file is the one at Path, and whole at its beginning.
func (ix *Index) watch(ctx context.Context) {
	g, err := ix.inspect(ctx)
	if s := ix.suspect.Swap(nil); s != nil && s.gen == g && err == nil {
		err = s.cause
	}
	switch faultOf(err) {
	case faultReplaced, faultDamaged:
		if err := ix.renew(ctx, g, err); err != nil {
			ix.log.Warn("index: cannot open anew", "error", err)
		}
	case faultPassing, faultOther:
		ix.log.Warn("index: cannot look at the file", "error", err)
	}
}

func (ix *Index) inspect(ctx context.Context) (*generation, error) {
	ix.wmu.Lock()
	defer ix.wmu.Unlock()
	g := ix.current()
	if err := ix.lock.acquire(lockPatience); err != nil {
		return g, err
	}
	defer ix.lock.release()
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.same(false); err != nil {
		return g, err
	}
	doubt, err := g.inspect(ctx)
	if doubt && err == nil {
		ix.doubt(g)
	}
	return g, err
}

// doubt has a file examined.
func (ix *Index) doubt(g *generation) {
	ix.doubted.Store(g)
	signal(ix.doubts)
}

const (
	// examineShare is how much longer than an examination the pause after it is, so that they take a small part of the time only.
	examineShare = 50
	// examineRest is enough of a pause all the same, unless examineLeast as long as the examination is more: damage is not to wait for minutes because
	// the machine was busy when the daemon started.
	examineRest  = 20 * time.Second
	examineLeast = 5
)

// examinePause is the pause after an examination that took so long.
func examinePause(took time.Duration) time.Duration {
	return min(examineShare*took, max(examineRest, examineLeast*took))
}

// examineDoubted examines files that are in doubt until ctx ends. What it finds is left for watch to deal with.
func (ix *Index) examineDoubted(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ix.doubts:
		}
		g := ix.doubted.Swap(nil)
		if g == nil || g != ix.current() {
			continue
		}
		start := time.Now()
		err := g.examine(ctx)
		switch {
		case faultOf(err) == faultDamaged:
			ix.suspect.Store(&suspicion{g, err})
		case err != nil && ctx.Err() == nil:
			ix.log.Warn("index: cannot examine the file", "error", err)
		}
		if !sleep(ctx, examinePause(time.Since(start))) {
			return
		}
	}
}

// reconcileMarked reconciles what gets marked until ctx ends.
func (ix *Index) reconcileMarked(ctx context.Context) {
	pause := firstBackoff
	for {
		select {
		case <-ctx.Done():
			return
		case <-ix.marks.wake:
		}
		all, sweep, places := ix.marks.take()
		err := ix.reconcilePlaces(ctx, all, sweep, places)
		ix.marks.done(err == nil, all, sweep, places)
		if err == nil {
			pause = firstBackoff
			continue
		}
		if ctx.Err() == nil {
			ix.log.Warn("index: reconcile, trying again", "error", err, "pause", pause)
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, longBackoff)
		signal(ix.marks.wake)
	}
}

// sleep reports whether the time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
