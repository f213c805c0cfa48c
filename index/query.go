package index

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"maild/index/header"
)

// HeaderTerm asks for messages with a header field Name that contains Value, case folded. An empty Value asks that the field is there.
type HeaderTerm struct{ Name, Value string }

// Query says which messages are wanted. All conditions must hold; within Accounts, Domains and Folders one suffices.
//
// From, To, Cc and Subject are terms of text: case and diacritics do not count; each word separated by white space must
// be found, its parts (letters and digits) side by side, the last one as the beginning of a word: "@acme.com" finds
// bob@acme.com and bob@acme.community. A term without letters and digits is looked for as it is.
type Query struct {
	Accounts, Domains, Folders []string // domains and accounts in any case, folders exactly
	From, To, Cc, Subject      []string
	MessageID                  string // with or without angle brackets
	Headers                    []HeaderTerm
	Since, Before              time.Time // time of arrival, Since included; zero = open
	LargerThan, SmallerThan    int64     // octets, exclusive; 0 = open
	With, Without              string    // flag letters that must be set, must not be set
	Unseen                     *bool     // no S flag
	New                        *bool     // in new/
	Limit                      int       // 0 = none
}

// maxShiftMicros is more than ids are ever moved on from the time of arrival because of collisions.
const maxShiftMicros = 1_000_000_000

// where gathers the conditions of a query and their arguments.
type where struct {
	match []string // FTS5 expression, parts to be joined by AND
	conds []string
	args  []any
}

func (w *where) add(cond string, args ...any) {
	w.conds = append(w.conds, cond)
	w.args = append(w.args, args...)
}

// compile makes SQL of everything but header terms and Limit.
func (q *Query) compile() *where {
	w := &where{}
	w.text("sender", q.From)
	w.text("recipients", q.To)
	w.text("cc", q.Cc)
	w.text("subject", q.Subject)
	w.headers(q.Headers)
	w.places(q)
	if q.MessageID != "" {
		w.add("m.message_id = ? AND m.message_id != ''", bareID(q.MessageID))
	}
	if !q.Since.IsZero() {
		us := q.Since.UnixMicro()
		w.add("m.id >= ? AND m.arrived >= ?", us, us)
	}
	if !q.Before.IsZero() {
		us := q.Before.UnixMicro()
		w.add("m.id < ? AND m.arrived < ?", us+maxShiftMicros, us)
	}
	if q.LargerThan > 0 {
		w.add("m.octets > ?", q.LargerThan)
	}
	if q.SmallerThan > 0 {
		w.add("m.octets < ?", q.SmallerThan)
	}
	for _, f := range letters(q.With) {
		w.add("instr(m.flags, ?) > 0", string(f))
	}
	for _, f := range letters(q.Without) {
		w.add("instr(m.flags, ?) = 0", string(f))
	}
	if q.Unseen != nil {
		w.add("(instr(m.flags, 'S') = 0) = ?", *q.Unseen)
	}
	if q.New != nil {
		w.add("m.new = ?", *q.New)
	}
	return w
}

// letters gives the different letters of flags, and "?" for all that can't be flags: no message has that.
func letters(flags string) []rune {
	var list []rune
	for _, f := range flags {
		if (f < 'a' || f > 'z') && (f < 'A' || f > 'Z') {
			f = '?'
		}
		if !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list
}

// maxTerms keeps a query far below the depth that SQLite allows an expression.
const maxTerms = 100

// check refuses a query that SQLite would.
func (q *Query) check() error {
	terms := len(q.Headers)
	for _, list := range [][]string{q.From, q.To, q.Cc, q.Subject} {
		for _, term := range list {
			terms += len(strings.Fields(sanitize(term)))
		}
	}
	if terms > maxTerms {
		return fmt.Errorf("%w: %d, at most %d are possible", ErrTooLong, terms, maxTerms)
	}
	return nil
}

// bareID writes an id as the column has it.
func bareID(id string) string {
	if ids := header.MessageIDs("<" + strings.Trim(id, "<> ") + ">"); len(ids) > 0 {
		return ids[0]
	}
	return sanitize(id)
}

// text adds the terms for one column: to the FTS expression what has tokens, as LIKE what has none.
func (w *where) text(column string, terms []string) {
	for _, term := range terms {
		for _, word := range strings.Fields(sanitize(term)) {
			if hasToken(word) {
				w.match = append(w.match, column+" : "+phrase(word))
			} else {
				w.add("m."+column+` LIKE ? ESCAPE '\'`, likePattern(word))
			}
		}
	}
}

// headers lets SQLite leave out most rows that cannot answer a header term: for ASCII, LIKE folds case as the
// comparison that decides does.
func (w *where) headers(terms []HeaderTerm) {
	for _, t := range terms {
		column := columnOf(strings.ToLower(strings.TrimSpace(t.Name)))
		switch column {
		case "", "message_id", "in_reply_to", "refs": // kept in another form than compared
			continue
		}
		if v := sanitize(t.Value); v != "" && strings.IndexFunc(v, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
			w.add("m."+column+` LIKE ? ESCAPE '\'`, likePattern(v))
		}
	}
}

// places adds the conditions on account, domain and folder name.
func (w *where) places(q *Query) {
	var conds []string
	var args []any
	in := func(column string, values []string, fold bool) {
		if len(values) == 0 {
			return
		}
		conds = append(conds, fmt.Sprintf("%s IN (?%s)", column, strings.Repeat(",?", len(values)-1)))
		for _, v := range values {
			if v = sanitize(v); fold {
				v = strings.ToLower(v)
			}
			args = append(args, v)
		}
	}
	in("account", q.Accounts, true)
	in("domain", q.Domains, true)
	in("name", q.Folders, false)
	if len(conds) > 0 {
		w.add("m.folder IN (SELECT id FROM folder WHERE "+strings.Join(conds, " AND ")+")", args...)
	}
}

// messageFields are the columns a Message is made of, in the order of scanMessage.
const messageFields = `m.id, m.folder, m.key, m.flags, m.new, m.octets, m.arrived, m.date, m.message_id, m.in_reply_to, m.refs, m.subject, m.sender,
	m.recipients, m.cc, m.reply_to, m.list_id`

// statement gives the SQL for one page, with the upper bound of ids and the number of rows as its last two arguments.
func (w *where) statement() (string, []any) {
	var b strings.Builder
	args := w.args
	b.WriteString("SELECT " + messageFields)
	id := "m.id"
	conds := w.conds
	if len(w.match) > 0 {
		// CROSS JOIN keeps the order: words first, newest first, then the row of each.
		b.WriteString(" FROM terms CROSS JOIN message m ON m.id = terms.rowid")
		conds = append([]string{"terms MATCH ?"}, conds...)
		args = append([]any{strings.Join(w.match, " AND ")}, args...)
		id = "terms.rowid"
	} else {
		b.WriteString(" FROM message m")
	}
	conds = append(conds[:len(conds):len(conds)], id+" < ?")
	b.WriteString(" WHERE " + strings.Join(conds, " AND "))
	b.WriteString(" ORDER BY " + id + " DESC LIMIT ?")
	return b.String(), args
}
