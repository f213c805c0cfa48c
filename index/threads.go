package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"maild/index/query"
)

const (
	// maxThread bounds how many messages of one thread are looked at.
	maxThread = 1000
	// maxThreadIDs bounds the Message-IDs that one is followed by.
	maxThreadIDs = 10_000
)

// Thread is a conversation in one account: messages joined by Message-ID, References and In-Reply-To (RFC 5322 §3.6.4).
type Thread struct {
	ID       int64     // of its oldest message
	Messages []Message // the oldest first
	Matched  int       // how many of them answer the query
}

// errStop ends a search from within.
var errStop = errors.New("stop")

// Threads calls fn for each thread with a message that answers q, once, ordered by the newest such message. q.Sort does not count; q.Limit is a
// number of threads. An error of fn ends it and is returned. Of a thread of more than a thousand messages some are left out. Memory grows by
// the ids of the messages in the threads.
func (ix *Index) Threads(ctx context.Context, q Query, fn func(Thread) error) error {
	if err := q.check(); err != nil {
		return fmt.Errorf("threads: %w", err)
	}
	s := search{ix: ix, q: Query{Where: q.Where}}
	seen := seenThreads{ids: map[int64]struct{}{}, names: map[threadName]struct{}{}}
	found := 0
	err := s.each(ctx, func(m Message) error {
		if seen.has(&m) {
			return nil
		}
		list, err := ix.thread(ctx, m)
		if err != nil {
			return err
		}
		seen.add(list)
		t := Thread{ID: list[0].ID, Messages: list}
		if t.Matched, err = s.countWithin(ctx, list); err != nil {
			return err
		}
		if err := fn(t); err != nil {
			return err
		}
		if found++; q.Limit > 0 && found >= q.Limit {
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// seenThreads is what has been given already. The Message-IDs are kept for threads that are too long to be read as a whole.
type seenThreads struct {
	ids   map[int64]struct{}
	names map[threadName]struct{}
}

// threadName is a Message-ID in an account.
type threadName struct {
	account string
	hash    int64
}

func (s *seenThreads) has(m *Message) bool {
	if _, ok := s.ids[m.ID]; ok {
		return true
	}
	return slices.ContainsFunc(idsOf(m), func(id string) bool {
		_, ok := s.names[threadName{m.Account, idHash(id)}]
		return ok
	})
}

func (s *seenThreads) add(list []Message) {
	for i := range list {
		s.ids[list[i].ID] = struct{}{}
		if len(list) < maxThread {
			continue
		}
		for _, id := range idsOf(&list[i]) {
			s.names[threadName{list[i].Account, idHash(id)}] = struct{}{}
		}
	}
}

// countWithin counts those of a thread that answer the query.
func (s *search) countWithin(ctx context.Context, list []Message) (n int, err error) {
	if s.q.Where == nil || len(list) == 1 {
		return len(list), nil
	}
	ids := make([]int64, len(list))
	for i, m := range list {
		ids[i] = m.ID
	}
	// The rows of the thread are asked, which beats finding all that answer.
	w := search{ix: s.ix, q: Query{Where: s.q.Where}, only: ids, c: s.c.within(ids)}
	err = w.each(ctx, func(Message) error { n++; return nil })
	return n, err
}

// thread gives the messages of the thread that m belongs to, the oldest first.
func (ix *Index) thread(ctx context.Context, m Message) (list []Message, err error) {
	err = ix.reading(func(g *generation) error {
		list, err = g.thread(ctx, m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("thread: %w", readError(err))
	}
	return list, nil
}

func (g *generation) thread(ctx context.Context, m Message) ([]Message, error) {
	known := map[int64]Message{m.ID: m}
	asked := map[string]bool{}
	next := idsOf(&m)
	for len(next) > 0 && len(known) < maxThread && len(asked) < maxThreadIDs {
		page, err := g.joined(ctx, m.Account, next)
		if err != nil {
			return nil, err
		}
		joined := make(map[string]bool, len(next))
		for _, id := range next {
			asked[id], joined[id] = true, true
		}
		next = nil
		for _, h := range page {
			ids := idsOf(&h.Message)
			// Two ids may have one hash.
			if _, ok := known[h.ID]; ok || len(known) >= maxThread || !slices.ContainsFunc(ids, func(id string) bool { return joined[id] }) {
				continue
			}
			known[h.ID] = h.Message
			for _, id := range ids {
				if !asked[id] {
					asked[id] = true
					next = append(next, id)
				}
			}
		}
	}
	list := slices.Collect(maps.Values(known))
	slices.SortFunc(list, func(a, b Message) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// joined are the messages of an account that have one of the ids, or refer to one.
func (g *generation) joined(ctx context.Context, account string, ids []string) ([]hit, error) {
	hashes := make([]int64, len(ids))
	for i, id := range ids {
		hashes[i] = idHash(id)
	}
	page, _, err := g.page(ctx, "SELECT "+messageFields+` FROM message m WHERE m.id IN (
		SELECT id FROM message WHERE message_id != '' AND message_id `+inList+`
		UNION SELECT id FROM reference WHERE hash `+inList+`)
		AND +m.folder IN (SELECT id FROM folder WHERE account = ?) LIMIT ?`, []any{idList(ids), idList(hashes), account, maxThread}, 0)
	return page, err
}

// idsOf are the Message-IDs that a message stands in a thread by.
func idsOf(m *Message) []string {
	var ids []string
	for _, id := range append(append([]string{m.Header.MessageID}, m.Header.References...), m.Header.InReplyTo...) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// threadOf gives the ids of the messages of the threads that have a message.
func (g *generation) threadOf(ctx context.Context, id query.ID) (ids []int64, err error) {
	cond, arg := idCondition(id)
	page, _, err := g.page(ctx, "SELECT "+messageFields+" FROM message m WHERE "+cond+" LIMIT ?", []any{arg, maxThread}, 0)
	if err != nil {
		return nil, err
	}
	for _, h := range page {
		if slices.Contains(ids, h.ID) {
			continue
		}
		list, err := g.thread(ctx, h.Message)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			ids = append(ids, m.ID)
		}
	}
	return ids, nil
}
