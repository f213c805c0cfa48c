package index

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"maild/index/query"
)

// folderRow is a row of the table folder.
type folderRow struct {
	id                    int64
	account, domain, name string
}

// folderIDs are the folders that a condition on account, domain or name means.
func (k *compiler) folderIDs(x query.Expr) (ids []int64, err error) {
	if !k.loaded {
		if err := k.loadFolders(); err != nil {
			return nil, err
		}
	}
	for _, f := range k.folders {
		var hit bool
		switch x := x.(type) {
		case query.Account:
			name := strings.ToLower(x.Name)
			hit = f.account == name || !strings.Contains(name, "@") && strings.TrimSuffix(f.account, "@"+f.domain) == name
		case query.Domain:
			hit = f.domain == strings.ToLower(x.Name)
		case query.Folder:
			hit = f.name == x.Name || x.Below && strings.HasPrefix(f.name, x.Name)
		}
		if hit {
			ids = append(ids, f.id)
		}
	}
	return ids, nil
}

func (k *compiler) loadFolders() error {
	rows, err := k.gen.read.QueryContext(k.ctx, `SELECT id, account, domain, name FROM folder`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var f folderRow
		if err := rows.Scan(&f.id, &f.account, &f.domain, &f.name); err != nil {
			return err
		}
		k.folders = append(k.folders, f)
	}
	k.loaded = true
	return rows.Err()
}

// idList is a set of numbers as one argument, for json_each.
func idList[T any](ids []T) string {
	b, err := json.Marshal(ids)
	if err != nil || ids == nil {
		return "[]"
	}
	return string(b)
}

const inList = "IN (SELECT value FROM json_each(?))"

// sql makes a condition on the row m. It is never NULL, so that it can be negated.
func (k *compiler) sql(x query.Expr) (cond string, args []any, err error) {
	switch x := x.(type) {
	case query.And:
		return k.sqlList(x, " AND ", "1")
	case query.Or:
		return k.sqlList(x, " OR ", "0")
	case query.Not:
		cond, args, err := k.sql(x.X)
		return "NOT (" + cond + ")", args, err
	case query.Text:
		return k.sqlText(x)
	case query.ID:
		cond, arg := idCondition(x)
		return cond, []any{arg}, nil
	case query.Thread:
		ids, err := k.gen.threadOf(k.ctx, x.ID)
		return "m.id " + inList, []any{idList(ids)}, err
	case query.Account, query.Domain, query.Folder:
		ids, err := k.folderIDs(x)
		return "m.folder " + inList, []any{idList(ids)}, err
	case query.Flag:
		return "instr(m.flags, ?) > 0", []any{string(x.Letter)}, nil
	case query.New:
		return "m.new = 1", nil, nil
	case query.Attachment:
		return "m.attachment = 1", nil, nil
	}
	return sqlRange(x)
}

// idCondition is what tells a message. The second half of it has SQLite use the index, which leaves out those without an id.
func idCondition(id query.ID) (cond string, arg any) {
	if id.MessageID != "" {
		return "m.message_id = ? AND m.message_id != ''", bareID(id.MessageID)
	}
	return "m.id = ?", id.Number
}

// idsOf are the numbers of the messages that an id means.
func (k *compiler) idsOf(id query.ID) ([]int64, error) {
	if id.MessageID == "" {
		return []int64{id.Number}, nil
	}
	cond, arg := idCondition(id)
	return k.gen.numbers(k.ctx, "SELECT m.id FROM message m WHERE "+cond, arg)
}

// sqlRange makes a condition of times and sizes.
func sqlRange(x query.Expr) (cond string, args []any, err error) {
	conds := []string{"1"}
	bound := func(cond string, values ...any) {
		conds = append(conds, cond)
		args = append(args, values...)
	}
	switch x := x.(type) {
	case query.Arrived:
		if !x.From.IsZero() {
			bound("m.arrived >= ?", ceilMicros(x.From))
		}
		if !x.Before.IsZero() {
			bound("m.arrived < ?", ceilMicros(x.Before))
		}
	case query.Sent:
		bound("m.date IS NOT NULL")
		if !x.From.IsZero() {
			bound("m.date >= ?", ceilSeconds(x.From))
		}
		if !x.Before.IsZero() {
			bound("m.date < ?", ceilSeconds(x.Before))
		}
	case query.Octets:
		if x.From > 0 {
			bound("m.octets >= ?", x.From)
		}
		if x.Below > 0 {
			bound("m.octets < ?", x.Below)
		}
	default:
		return "", nil, fmt.Errorf("a condition of a kind that the index does not know: %T", x)
	}
	return strings.Join(conds, " AND "), args, nil
}

// boundArrived narrows the ids to those near the time.
func (k *compiler) boundArrived(x query.Arrived) {
	if !x.From.IsZero() {
		k.bound(x.From.UnixMicro()-maxShiftMicros, math.MaxInt64)
	}
	if !x.Before.IsZero() {
		k.bound(math.MinInt64, x.Before.UnixMicro()+maxShiftMicros)
	}
}

func ceilMicros(t time.Time) int64 {
	if t.Nanosecond()%1000 > 0 {
		return t.UnixMicro() + 1
	}
	return t.UnixMicro()
}

func ceilSeconds(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

func (k *compiler) sqlList(list []query.Expr, operator, none string) (cond string, args []any, err error) {
	if len(list) == 0 {
		return none, nil, nil
	}
	parts := make([]string, len(list))
	for i, x := range list {
		part, more, err := k.sql(x)
		if err != nil {
			return "", nil, err
		}
		parts[i], args = "("+part+")", append(args, more...)
	}
	return strings.Join(parts, operator), args, nil
}

// sqlText asks for a text where the words do not drive the search.
func (k *compiler) sqlText(t query.Text) (cond string, args []any, err error) {
	text := sanitize(t.Text)
	if t.Field == query.Body {
		if !hasToken(text) {
			return "0", nil, nil // what is not a word is not kept of bodies
		}
		return "m.id IN (SELECT rowid FROM bodies WHERE bodies MATCH ?)", []any{bodyMatch(t)}, nil
	}
	match, ok, err := k.ftsText(t)
	if err != nil {
		return "", nil, err
	}
	if ok {
		return "m.id IN (SELECT rowid FROM terms WHERE terms MATCH ?)", []any{match}, nil
	}
	var conds []string
	for _, column := range columnsOf(t.Field) {
		conds = append(conds, "m."+column+` LIKE ? ESCAPE '\'`)
		args = append(args, likePattern(text))
	}
	return strings.Join(conds, " OR "), args, nil
}
