package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"maild/index"
	"maild/index/query"
)

// changeBatch is how many messages are changed at a time: enough that what a batch costs by itself does not count.
const changeBatch = 512

// selection is the messages that a command line means: named one by one, or by a query.
type selection struct {
	*call
	args  []string
	where query.And // nil: args
	// newest is the highest id when the query was counted: what comes later was not agreed to.
	newest int64
	count  int64 // -1: not known, as they come from standard input
}

// selected reads which messages are meant.
func (c *call) selected(args []string) (*selection, error) {
	s := &selection{call: c, args: args, count: int64(len(args))}
	switch {
	case !c.IsSet("query") && len(args) == 0:
		return nil, usagef("no message is named: give ids, - to read them from standard input, or --query")
	case !c.IsSet("query"):
		for _, arg := range args {
			if arg == "-" {
				s.count = -1
			}
		}
		return s, nil
	case len(args) > 0:
		return nil, usagef("%q is named beside --query: give ids or a query", args[0])
	case strings.TrimSpace(c.String("query")) == "":
		return nil, usagef("--query is empty: write --query '*' for all messages")
	}
	x, err := query.Parse(c.String("query"), query.Options{Now: c.world.now(), Zone: c.world.zone, Body: true})
	var syntax *query.SyntaxError
	if errors.As(err, &syntax) {
		return nil, usagef("%v\n%s", err, syntax.Pointer())
	}
	s.where = query.And{x}
	return s, err
}

// look counts what a query finds.
func (s *selection) look(ctx context.Context, ix *index.Index) error {
	if s.where == nil {
		return nil
	}
	if err := s.needText(ctx, ix, s.where); err != nil {
		return err
	}
	if err := s.tellState(ctx, ix); err != nil {
		return err
	}
	s.newest = math.MinInt64
	err := ix.IDs(ctx, index.Query{Where: s.where, Limit: 1}, func(id int64) error { s.newest = id; return nil })
	if err != nil {
		return err
	}
	if s.count, err = ix.Count(ctx, s.where); err == nil && s.count == 0 {
		return notFoundf("nothing found")
	}
	return err
}

// each gives the messages to fn, some hundreds at a time, and to missing what names none. Of a query the newest come first: a message that is
// moved or copied meanwhile never comes again.
func (s *selection) each(ctx context.Context, ix *index.Index, fn func([]index.Message) error, missing func(error)) error {
	if s.where != nil {
		return s.eachFound(ctx, ix, fn)
	}
	n := naming{ix: ix, fn: fn, missing: missing}
	for _, arg := range s.args {
		var err error
		if arg == "-" {
			err = s.eachLine(ctx, func(word string) error { return n.add(ctx, word) })
		} else {
			err = n.add(ctx, arg)
		}
		if err != nil {
			return err
		}
	}
	return n.flush(ctx)
}

func (s *selection) eachFound(ctx context.Context, ix *index.Index, fn func([]index.Message) error) error {
	var batch []index.Message
	err := ix.Search(ctx, index.Query{Where: s.where}, func(m index.Message) error {
		if m.ID > s.newest {
			return nil
		}
		if batch = append(batch, m); len(batch) < changeBatch {
			return nil
		}
		err := fn(batch)
		batch = batch[:0]
		return err
	})
	if err == nil && len(batch) > 0 {
		err = fn(batch)
	}
	return err
}

// maxIDLine is more than a Message-ID ever has.
const maxIDLine = 64 << 10

// eachLine gives the first field of each line of standard input, so that what a search writes can be piped here.
func (s *selection) eachLine(ctx context.Context, fn func(string) error) error {
	type line struct {
		text string
		err  error
	}
	lines := make(chan line)
	// Reading blocks in the kernel; when ctx ends the goroutine is left to the end of the process, which is near.
	go func() {
		defer close(lines)
		in := bufio.NewScanner(s.world.in)
		in.Buffer(nil, maxIDLine)
		for in.Scan() {
			select {
			case lines <- line{text: in.Text()}:
			case <-ctx.Done():
				return
			}
		}
		if err := in.Err(); err != nil {
			select {
			case lines <- line{err: fmt.Errorf("read ids from standard input: %w", err)}:
			case <-ctx.Done():
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case l, more := <-lines:
			if !more || l.err != nil {
				return l.err
			}
			word, _, _ := strings.Cut(strings.TrimSpace(l.text), "\t")
			if word == "" {
				continue
			}
			if err := fn(word); err != nil {
				return err
			}
		}
	}
}

// naming finds the messages of words, a batch at a time.
type naming struct {
	ix      *index.Index
	fn      func([]index.Message) error
	missing func(error)
	words   []string
}

func (n *naming) add(ctx context.Context, word string) error {
	if n.words = append(n.words, word); len(n.words) < changeBatch {
		return nil
	}
	return n.flush(ctx)
}

// flush finds the messages of the words that have gathered. One that is named twice among them is taken once.
func (n *naming) flush(ctx context.Context) error {
	var ids []int64
	for _, word := range n.words {
		if id, err := strconv.ParseInt(word, 10, 64); err == nil {
			ids = append(ids, id)
		}
	}
	rows, err := n.ix.Messages(ctx, ids)
	if err != nil {
		return err
	}
	known := make(map[int64]index.Message, len(rows))
	for _, m := range rows {
		known[m.ID] = m
	}
	var batch []index.Message
	taken := map[int64]bool{}
	for _, word := range n.words {
		id, err := strconv.ParseInt(word, 10, 64)
		m, ok := known[id]
		if err != nil || !ok {
			if m, err = n.byMessageID(ctx, word); err != nil {
				var f *fault
				if !errors.As(err, &f) {
					return err
				}
				n.missing(err)
				continue
			}
		}
		if !taken[m.ID] {
			taken[m.ID] = true
			batch = append(batch, m)
		}
	}
	n.words = n.words[:0]
	if len(batch) == 0 {
		return nil
	}
	return n.fn(batch)
}

// byMessageID finds the one message with a Message-ID. Where there are several, which is meant is not for us to guess.
func (n *naming) byMessageID(ctx context.Context, word string) (found index.Message, err error) {
	id := strings.Trim(word, "<> ")
	count := 0
	err = n.ix.Search(ctx, index.Query{Where: query.ID{MessageID: id}}, func(m index.Message) error {
		count++
		found = m
		return nil
	})
	switch {
	case err != nil:
		return found, err
	case count == 0:
		return found, notFoundf("there is no message %s: \"mailctl search headers\" finds the ids of messages", safeLine(word))
	case count > 1:
		return found, &fault{code: ExitFailed, text: fmt.Sprintf("%d messages have the Message-ID %s: name one by its id, or all with --query 'id:<%s>'",
			count, safeLine(id), safeLine(id))}
	}
	return found, nil
}
