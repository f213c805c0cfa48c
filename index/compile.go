package index

import (
	"context"
	"math"
	"strings"

	"maild/index/query"
)

// compiled is a query made ready for one file: what the words answer, what the rows answer, and what only Go can decide.
type compiled struct {
	gen    *generation
	where  query.Expr
	match  string // FTS5 expression over terms; "" = none
	bodies string // the same over bodies, where no other drives the search
	conds  []string
	args   []any
	// low and high bound the ids that can answer, both included.
	low, high int64
	// row decides on each row where SQL cannot; nil = SQL does. columns are conditions whose outcome it wants to know, with their arguments.
	row        rowTest
	columns    []string
	columnArgs []any
}

func (c *compiled) add(cond string, args ...any) {
	c.conds = append(c.conds, cond)
	c.args = append(c.args, args...)
}

// bound narrows the ids.
func (c *compiled) bound(low, high int64) {
	c.low, c.high = max(c.low, low), min(c.high, high)
}

// within is c for a few messages only.
func (c *compiled) within(ids []int64) *compiled {
	w := *c
	w.conds, w.args = append([]string(nil), c.conds...), append([]any(nil), c.args...)
	w.only(ids)
	return &w
}

func (c *compiled) only(ids []int64) {
	c.add("m.id "+inList, idList(ids))
	low, high := int64(math.MaxInt64), int64(math.MinInt64)
	for _, id := range ids {
		low, high = min(low, id), max(high, id)
	}
	c.bound(low, high)
}

// compiler makes SQL of a query. All text of the query goes into arguments, or into FTS5 strings, in which only the quote has a meaning.
type compiler struct {
	*compiled
	ix       *Index
	ctx      context.Context
	folders  []folderRow // loaded when first needed
	loaded   bool
	expanded map[string][]string // words by condition
}

func (ix *Index) compile(ctx context.Context, g *generation, x query.Expr) (*compiled, error) {
	k := &compiler{compiled: &compiled{gen: g, where: x, low: math.MinInt64, high: math.MaxInt64}, ix: ix, ctx: ctx, expanded: map[string][]string{}}
	rest, err := k.words(conjuncts(x))
	if err != nil {
		return nil, err
	}
	var tests rowAll
	for _, x := range rest {
		if t, ok := x.(query.Text); ok && t.Field == query.Body && k.match == "" && k.bodies == "" && hasToken(t.Text) {
			k.bodies = bodyMatch(t)
			continue
		}
		if err := k.condition(x, &tests); err != nil {
			return nil, err
		}
	}
	if len(tests) > 0 {
		k.row = tests.sorted()
	}
	return k.compiled, nil
}

// words takes out of the parts of a query what the words can answer, and gives the rest. What is excluded needs something from which to
// exclude it: without that it stays in the rest.
func (k *compiler) words(parts []query.Expr) (rest []query.Expr, err error) {
	var positive, negative []string
	var excluded []query.Expr
	for _, x := range parts {
		match, ok, err := k.fts(x)
		if err != nil {
			return nil, err
		}
		if ok {
			positive = append(positive, match)
			continue
		}
		if match, ok, err = k.ftsExcluded(x); err != nil {
			return nil, err
		}
		if ok {
			negative, excluded = append(negative, match), append(excluded, x)
			continue
		}
		rest = append(rest, x)
	}
	if len(positive) == 0 {
		return append(excluded, rest...), nil
	}
	k.match = "(" + strings.Join(positive, ") AND (") + ")"
	if len(negative) > 0 {
		k.match = "(" + k.match + ") NOT ((" + strings.Join(negative, ") OR (") + "))"
	}
	return rest, nil
}

// condition adds one part of the query, all of which must hold.
func (k *compiler) condition(x query.Expr, tests *rowAll) error {
	switch x := x.(type) {
	case query.Arrived:
		k.boundArrived(x)
	case query.ID:
		ids, err := k.idsOf(x)
		k.only(ids)
		return err
	case query.Thread:
		ids, err := k.gen.threadOf(k.ctx, x.ID)
		k.only(ids)
		return err
	}
	goes, err := k.needsRow(x)
	if err != nil {
		return err
	}
	if goes {
		test, err := k.rowTest(x)
		if err != nil {
			return err
		}
		*tests = append(*tests, test)
		cond, args, err := k.possible(x)
		if cond != "" {
			k.add(cond, args...)
		}
		return err
	}
	cond, args, err := k.sql(x)
	if err != nil {
		return err
	}
	k.add(cond, args...)
	return nil
}

// from is the FROM clause with the conditions and the bounds of ids, and the column that gives the order.
func (c *compiled) from() (text, id string, args []any) {
	conds := c.conds[:len(c.conds):len(c.conds)]
	switch {
	case c.match != "":
		// CROSS JOIN keeps the order: words first, newest first, then the row of each.
		text, id = " FROM terms CROSS JOIN message m ON m.id = terms.rowid", "terms.rowid"
		conds, args = append([]string{"terms MATCH ?"}, conds...), []any{c.match}
	case c.bodies != "":
		text, id = " FROM bodies CROSS JOIN message m ON m.id = bodies.rowid", "bodies.rowid"
		conds, args = append([]string{"bodies MATCH ?"}, conds...), []any{c.bodies}
	default:
		text, id = " FROM message m", "m.id"
	}
	args = append(args, c.args...)
	if c.low > math.MinInt64 {
		conds, args = append(conds, id+" >= ?"), append(args, c.low)
	}
	if c.high < math.MaxInt64 {
		conds, args = append(conds, id+" <= ?"), append(args, c.high)
	}
	if len(conds) > 0 {
		text += " WHERE (" + strings.Join(conds, ") AND (") + ")"
	}
	return text, id, args
}

// wordsFrom is from without the rows, where no condition needs them.
func (c *compiled) wordsFrom() (text, id string, args []any) {
	text, id, args = c.from()
	if len(c.conds) == 0 && id != "m.id" {
		text = strings.Replace(text, " CROSS JOIN message m ON m.id = "+id, "", 1)
	}
	return text, id, args
}

// page is the statement for one page of rows from where the last ended; its rows end with the columns that the row test wants.
func (c *compiled) page(s Sort, end int64, rows int) (text string, args []any) {
	from, id, args := c.beyond(s, end).from()
	args = append(append(c.columnArgs[:len(c.columnArgs):len(c.columnArgs)], args...), rows)
	return "SELECT " + c.fields() + from + " ORDER BY " + id + s.direction() + " LIMIT ?", args
}

// idPage is page for ids alone.
func (c *compiled) idPage(s Sort, end int64, rows int) (text string, args []any) {
	from, id, args := c.beyond(s, end).wordsFrom()
	return "SELECT " + id + from + " ORDER BY " + id + s.direction() + " LIMIT ?", append(args, rows)
}

// beyond is c for the ids after end, in an order that follows them.
func (c *compiled) beyond(s Sort, end int64) *compiled {
	at := *c
	switch {
	case end == s.firstBound():
	case s == SortOldest:
		at.bound(end+1, math.MaxInt64)
	default:
		at.bound(math.MinInt64, end-1)
	}
	return &at
}

func (c *compiled) fields() string {
	return strings.Join(append([]string{messageFields}, c.columns...), ", ")
}
