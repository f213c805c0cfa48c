package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"
	"time"

	"maild/index"
	"maild/maildir"
)

// ErrOverQuota says that there is no room for a message.
var ErrOverQuota = errors.New("the mailbox is full")

const (
	// askPatience bounds the wait for the index where mail waits for the answer. The files answer then.
	askPatience = 500 * time.Millisecond
	// measureShare is how much longer than a calculation from the files the time is in which none is made again, and measurePause the least of it.
	measureShare = 20
	measurePause = time.Second
	// knownAge is how long an answer of the index is gone on with, plus what was admitted since, where there is ample room: the last tenth of the
	// limit is given out by fresh answers only.
	knownAge = time.Second
)

// Quota is how much an account may hold.
type Quota struct {
	Limit       maildir.Size // 0 = none
	GraceOctets int64        // how far the last message may go beyond Limit.Octets
}

// IsNone reports whether there is no limit at all.
func (q Quota) IsNone() bool { return q.Limit.Octets <= 0 && q.Limit.Messages <= 0 }

// Takes reports whether there is room for more beside what is used: any room at all, and then up to the grace beyond it.
func (q Quota) Takes(used, more maildir.Size) bool {
	if q.Limit.Messages > 0 && used.Messages+more.Messages > q.Limit.Messages {
		return false
	}
	return q.Limit.Octets <= 0 || used.Octets < q.Limit.Octets && used.Octets+more.Octets <= q.Limit.Octets+q.GraceOctets
}

// takesAmply is Takes with a tenth of the limit to spare.
func (q Quota) takesAmply(used, more maildir.Size) bool {
	limit := maildir.Size{Octets: q.Limit.Octets - q.Limit.Octets/10, Messages: q.Limit.Messages - q.Limit.Messages/10}
	return !used.Plus(more).Exceeds(limit)
}

// Percent is how full the account is, by the limit that is nearer, rounded down.
func (q Quota) Percent(used maildir.Size) int {
	share := 0.0
	if q.Limit.Octets > 0 {
		share = float64(used.Octets) / float64(q.Limit.Octets)
	}
	if q.Limit.Messages > 0 {
		share = max(share, float64(used.Messages)/float64(q.Limit.Messages))
	}
	return int(min(math.MaxInt32, math.Floor(100*share)))
}

// ledger is what was admitted to the accounts and may not have its row yet.
type ledger struct {
	mu     sync.Mutex
	sheets map[string]*sheet
}

// sheet is the ledger of one account. Whoever judges, commits or writes maildirsize holds it, so that the room is given once, and each message
// is counted once.
type sheet struct {
	sync.Mutex
	entries []*entry

	known    maildir.Size  // what the index last said, with what was admitted since
	knownAt  time.Time     // zero: nothing
	measured time.Time     // when the files were last added up
	pause    time.Duration // until they may be again
	doubt    maildir.Size  // how maildirsize differed when it was last looked at
}

// entry is one message.
type entry struct {
	size      maildir.Size
	key       string
	committed bool         // it is in new/, and in maildirsize if there is one
	ticket    index.Ticket // of its row, once committed
}

func (l *ledger) sheet(account string) *sheet {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sheets[account]
	if s == nil {
		s = &sheet{}
		if l.sheets == nil {
			l.sheets = map[string]*sheet{}
		}
		l.sheets[account] = s
	}
	return s
}

// remove takes an entry out. The sheet is held.
func (s *sheet) remove(gone *entry) {
	for i, e := range s.entries {
		if e == gone {
			last := len(s.entries) - 1
			s.entries[i], s.entries[last] = s.entries[last], nil
			s.entries = s.entries[:last]
			return
		}
	}
}

// balance is what an account holds.
type balance struct {
	committed maildir.Size // messages that are there, as maildirsize should have it
	admitted  maildir.Size // and those that are about to be
}

// Usage is what an account holds, with what is about to be delivered to it, as far as it takes to judge more. It comes from the totals of the
// index, at a cost that does not grow with the mailbox; where there is ample room for more, it may be a second old. While the index is missing, damaged, being filled or compared with the mail, it comes from maildirsize, by the rules of
// Maildir++: that is believed unless it leaves no room for more, and is then calculated from the files.
func (s *Store) Usage(ctx context.Context, account string, q Quota, more maildir.Size) (maildir.Size, error) {
	sheet := s.ledger.sheet(account)
	sheet.Lock()
	defer sheet.Unlock()
	return s.balance(ctx, account, sheet, q, more)
}

// balance asks the index, else the files, for what there is and what is about to be. The sheet is held.
func (s *Store) balance(ctx context.Context, account string, sheet *sheet, q Quota, more maildir.Size) (used maildir.Size, err error) {
	if time.Since(sheet.knownAt) < knownAge && q.takesAmply(sheet.known, more) {
		return sheet.known, nil
	}
	b, err := s.indexed(ctx, account, sheet)
	if err == nil {
		sheet.known, sheet.knownAt = b.admitted, time.Now()
		return b.admitted, nil
	}
	sheet.knownAt = time.Time{}
	if ctx.Err() != nil {
		return used, err
	}
	b, err = s.filed(account, sheet, q, more)
	return b.admitted, err
}

// indexed is the balance by the index. Every entry either has its row already or is added.
func (s *Store) indexed(ctx context.Context, account string, sheet *sheet) (b balance, err error) {
	// Before the question: the rows of these are there, or will not come.
	waiting := sheet.entries[:0]
	var keys []string
	for _, e := range sheet.entries {
		if e.committed && s.index.Settled(e.ticket) {
			continue
		}
		waiting, keys = append(waiting, e), append(keys, e.key)
	}
	clear(sheet.entries[len(waiting):])
	sheet.entries = waiting
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	u, have, err := s.index.UsageBeside(ctx, account, maildir.Inbox, keys)
	if err != nil {
		return b, err
	}
	b.committed = maildir.Size{Octets: u.Octets, Messages: u.Messages}
	b.admitted = b.committed
	for _, e := range waiting {
		switch here := have[e.key]; {
		case !e.committed && here:
			b.committed = b.committed.Minus(e.size)
		case !e.committed:
			b.admitted = b.admitted.Plus(e.size)
		case !here:
			b.committed, b.admitted = b.committed.Plus(e.size), b.admitted.Plus(e.size)
		}
	}
	return b, nil
}

// filed is the balance by maildirsize and the files.
func (s *Store) filed(account string, sheet *sheet, q Quota, more maildir.Size) (b balance, err error) {
	err = s.Use(account, false, func(t *maildir.Tree) error {
		b.committed, err = s.filedIn(t, sheet, q, more)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // no mail yet
	}
	if err != nil {
		return b, fmt.Errorf("usage of %s: %w", account, err)
	}
	b.admitted = b.committed.Plus(sheet.reserved())
	return b, nil
}

// reserved is the sum of what is about to be delivered.
func (s *sheet) reserved() (sum maildir.Size) {
	for _, e := range s.entries {
		if !e.committed {
			sum = sum.Plus(e.size)
		}
	}
	return sum
}

func (s *Store) filedIn(t *maildir.Tree, sheet *sheet, q Quota, more maildir.Size) (maildir.Size, error) {
	f, err := t.SizeFile()
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, maildir.ErrSizeFile) {
		return maildir.Size{}, err
	}
	enough := err == nil && f.Octets < maildir.MaxSizeFileOctets && q.Takes(f.Total.Plus(sheet.reserved()), more)
	if enough || err == nil && time.Since(sheet.measured) < sheet.pause {
		return f.Total, nil
	}
	return s.measure(t, sheet, q)
}

// measure adds the files up and writes maildirsize anew. What is being committed now is left out, as it adds itself.
func (s *Store) measure(t *maildir.Tree, sheet *sheet, q Quota) (sum maildir.Size, err error) {
	begin := time.Now()
	without := map[maildir.Key]bool{}
	for _, e := range sheet.entries {
		without[maildir.Key(e.key)] = !e.committed
	}
	if q.IsNone() {
		sum, err = t.Size(maildir.ByName, without)
	} else {
		done := false
		werr := t.WriteSize(q.Limit, func() (maildir.Size, error) {
			sum, err = t.Size(maildir.ByName, without)
			done = true
			return sum, err
		})
		if !done { // what cannot be written down counts all the same
			sum, err = t.Size(maildir.ByName, without)
		}
		if err == nil {
			s.trouble(t.Path(), werr)
		}
	}
	sheet.measured = time.Now()
	sheet.pause = max(measurePause, measureShare*sheet.measured.Sub(begin))
	return sum, err
}

// trouble logs what is wrong with maildirsize: it is for others, and no mail waits for it.
func (s *Store) trouble(path string, err error) {
	if err != nil && s.Log != nil {
		s.Log.Warn("maildirsize", "path", path, "err", err)
	}
}

// Admit asks for room for the sealed draft, and keeps it until Commit or Abort. used is what the account holds without it. The error is
// ErrOverQuota when there is no room; with force set there always is. Any other error means that nobody could tell, and the draft is admitted.
func (d *Draft) Admit(ctx context.Context, q Quota, force bool) (used maildir.Size, err error) {
	d.quota = q
	if q.IsNone() {
		return used, nil
	}
	size := maildir.Size{Octets: d.staged.Octets(), Messages: 1}
	sheet := d.store.ledger.sheet(d.account)
	sheet.Lock()
	defer sheet.Unlock()
	used, err = d.store.balance(ctx, d.account, sheet, q, size)
	if err == nil && !force && !q.Takes(used, size) {
		return used, ErrOverQuota
	}
	d.entry = &entry{size: size, key: string(d.staged.Key())}
	sheet.entries = append(sheet.entries, d.entry)
	sheet.known = sheet.known.Plus(size)
	return used, err
}

// refuse gives the room back.
func (d *Draft) refuse() {
	if d.entry == nil {
		return
	}
	sheet := d.store.ledger.sheet(d.account)
	sheet.Lock()
	defer sheet.Unlock()
	sheet.remove(d.entry)
	sheet.known = sheet.known.Minus(d.entry.size)
	d.entry = nil
}

// settle tells the index and maildirsize of a committed draft.
func (d *Draft) settle(m index.Message) {
	sheet := d.store.ledger.sheet(d.account)
	sheet.Lock()
	defer sheet.Unlock()
	ticket := d.store.index.Record(m)
	if d.entry != nil {
		d.entry.committed, d.entry.ticket = true, ticket
		d.entry = nil
	}
	limit, err := d.tree.AddSize(maildir.Size{Octets: m.Octets, Messages: 1})
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case d.quota.IsNone() && (missing || errors.Is(err, maildir.ErrSizeFile)):
		return // another program's, if there is one, and its to write anew
	case missing, errors.Is(err, maildir.ErrSizeFile), err == nil && !d.quota.IsNone() && limit != d.quota.Limit:
		err = d.store.writeSize(context.Background(), d.account, d.tree.Tree, sheet, d.quota)
	}
	d.store.trouble(d.tree.Path(), err)
}

// writeSize writes maildirsize anew, with what the account holds now. The sheet is held.
func (s *Store) writeSize(ctx context.Context, account string, t *maildir.Tree, sheet *sheet, q Quota) error {
	b, err := s.indexed(ctx, account, sheet)
	if err != nil {
		_, err = s.measure(t, sheet, q)
		return err
	}
	return t.WriteSize(q.Limit, func() (maildir.Size, error) { return b.committed, nil })
}

// KeepSizeFile holds the maildirsize of an account against what the account holds, and writes it anew where it has another limit, cannot be
// understood, or differed by as much when it was last looked at: other programs remove mail first and say so later, or never. It reports
// whether it has written. The file of an account without a limit is left alone, as another program may have its own there.
func (s *Store) KeepSizeFile(ctx context.Context, account string, q Quota) (written bool, err error) {
	if q.IsNone() {
		return false, nil
	}
	err = s.Use(account, false, func(t *maildir.Tree) error {
		sheet := s.ledger.sheet(account)
		sheet.Lock()
		defer sheet.Unlock()
		f, err := t.SizeFile()
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, maildir.ErrSizeFile) {
			return err
		}
		sound := err == nil && f.Limit == q.Limit && f.Octets < maildir.MaxSizeFileOctets
		b, err := s.indexed(ctx, account, sheet)
		if err != nil && sound {
			return nil // another time
		}
		doubt := f.Total.Minus(b.committed)
		was := sheet.doubt
		sheet.doubt = doubt
		if sound && (doubt == maildir.Size{} || doubt != was) {
			return nil
		}
		written, sheet.doubt = true, maildir.Size{}
		return s.writeSize(ctx, account, t, sheet, q)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return written && err == nil, err
}
