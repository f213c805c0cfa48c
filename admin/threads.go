package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"maild/index"
)

// threadView is a conversation in JSON.
type threadView struct {
	ID       int64         `json:"id"`
	Matched  int           `json:"matched"`
	Messages []messageView `json:"messages"`
}

// listThreads writes a line for each conversation.
func (c *call) listThreads(ctx context.Context, ix *index.Index, q index.Query) error {
	l := c.list(column{name: "id"}, column{name: "date"}, column{name: "account", least: 8}, column{name: "messages"}, column{name: "people", least: 12}, column{name: "subject", least: 12})
	cutOff, chosen := false, c.IsSet("limit")
	err := ix.Threads(ctx, q, func(t index.Thread) error {
		if !chosen && q.Limit > 0 && l.count == q.Limit-1 {
			cutOff = true
			return errEnough
		}
		v := threadView{ID: t.ID, Matched: t.Matched, Messages: []messageView{}}
		var people []string
		for _, m := range t.Messages {
			v.Messages = append(v.Messages, viewMessage(m))
			if name := shortName(m.Header.From); !slices.Contains(people, name) {
				people = append(people, name)
			}
		}
		newest := t.Messages[len(t.Messages)-1]
		row := []string{fmt.Sprint(t.ID), c.shortMoment(newest.Arrived), newest.Account, fmt.Sprintf("%d/%d", t.Matched, len(t.Messages)),
			strings.Join(people, ", "), t.Messages[0].Header.Subject}
		return l.add(row, v)
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if err := l.end(); err != nil {
		return err
	}
	if cutOff {
		c.note("these are the first %d; --limit 0 shows all", l.count)
	}
	if l.count == 0 {
		return c.nothingFound(ctx)
	}
	return nil
}

// shortName is the name in a From field, or the address where there is none.
func shortName(from string) string {
	if name, _, ok := strings.Cut(from, "<"); ok && strings.Trim(name, "\" ") != "" {
		return strings.Trim(name, "\" ")
	}
	return strings.Trim(from, "<> ")
}
