package index

import (
	"math"

	"maild/index/header"
	"maild/index/query"
)

// Sort is the order of the messages found.
type Sort uint8

const (
	SortNewest Sort = iota // by time of arrival, the newest first
	SortOldest
	SortLargest
	SortSmallest
	SortFrom
	SortSubject
	SortSent // by the Date field, the newest first
)

// Query says which messages are wanted.
type Query struct {
	Where query.Expr // nil = all
	Sort  Sort
	Limit int // 0 = none
}

// maxShiftMicros is more than ids are ever away from the time of arrival, because of collisions or moves.
const maxShiftMicros = 1_000_000_000

const (
	// maxConditions and maxDepth keep a query below the depth that SQLite allows an expression, 1000.
	maxConditions = 800
	maxDepth      = 100
)

// check refuses a query that SQLite would.
func (q *Query) check() error {
	conditions := 0
	if depthOf(q.Where, &conditions) > maxDepth || conditions > maxConditions {
		return ErrTooLong
	}
	return nil
}

// depthOf counts the conditions of x and tells how deep they lie.
func depthOf(x query.Expr, conditions *int) (depth int) {
	var list []query.Expr
	switch x := x.(type) {
	case query.And:
		list = x
	case query.Or:
		list = x
	case query.Not:
		list = []query.Expr{x.X}
	default:
		*conditions++
	}
	for _, y := range list {
		if depth = max(depth, depthOf(y, conditions)); depth > maxDepth || *conditions > maxConditions {
			return depth
		}
	}
	return depth + 1
}

// conjuncts are the parts of x that must all hold.
func conjuncts(x query.Expr) []query.Expr {
	switch x := x.(type) {
	case nil:
		return nil
	case query.And:
		var list []query.Expr
		for _, y := range x {
			list = append(list, conjuncts(y)...)
		}
		return list
	}
	return []query.Expr{x}
}

// bareID writes an id as the column has it.
func bareID(id string) string {
	if ids := header.MessageIDs("<" + id + ">"); len(ids) > 0 {
		return ids[0]
	}
	return sanitize(id)
}

// messageFields are the columns a Message is made of, in the order of hit.scan.
const messageFields = `m.id, m.folder, m.key, m.flags, m.new, m.attachment, m.octets, m.arrived, m.date, m.message_id, m.in_reply_to, m.refs,
	m.subject, m.sender, m.recipients, m.cc, m.reply_to, m.list_id`

// sqlOrder is what a sort is in SQL, for those that do not follow the ids.
func (s Sort) sqlOrder() string {
	switch s {
	case SortLargest:
		return "m.octets DESC, m.id DESC"
	case SortSmallest:
		return "m.octets, m.id DESC"
	case SortFrom:
		return "m.sender COLLATE NOCASE, m.id DESC"
	case SortSubject:
		return "m.subject COLLATE NOCASE, m.id DESC"
	case SortSent:
		return "coalesce(m.date, m.arrived / 1000000) DESC, m.id DESC"
	}
	return ""
}

// firstBound is the id beyond the first page.
func (s Sort) firstBound() int64 {
	if s == SortOldest {
		return math.MinInt64
	}
	return math.MaxInt64
}

// direction is that of an order that follows the ids.
func (s Sort) direction() string {
	if s == SortOldest {
		return ""
	}
	return " DESC"
}
