package index

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"maild/index/header"
	"maild/index/query"
)

// rowTest decides on a row what SQL cannot: header fields beyond the columns, and parts of words that stand for too many words.
type rowTest interface {
	holds(ctx context.Context, r *testedRow) (bool, error)
	cost() int
}

// testedRow is the row that is decided on.
type testedRow struct {
	ix       *Index
	m        *Message
	outcomes []bool // of the conditions that SQL was asked for
	fields   [originFile + 1]*[]header.Field
}

type (
	rowColumn int      // the outcome of a condition in SQL
	rowHeader struct { // query.Header
		name, value string // folded
		from        origin
	}
	rowText struct { // query.Text
		field            query.Field
		subject, address wordPattern
	}
	rowAll []rowTest
	rowAny []rowTest
	rowNot struct{ rowTest }
)

func (c rowColumn) holds(_ context.Context, r *testedRow) (bool, error) { return r.outcomes[c], nil }

func (h rowHeader) holds(ctx context.Context, r *testedRow) (bool, error) {
	if r.fields[h.from] == nil {
		fields, err := r.ix.fieldsFrom(ctx, h.from, r.m)
		if err != nil {
			return false, err
		}
		r.fields[h.from] = &fields
	}
	return slices.ContainsFunc(*r.fields[h.from], func(f header.Field) bool {
		return strings.EqualFold(f.Name, h.name) && strings.Contains(folded(f.Value), h.value)
	}), nil
}

func (t rowText) holds(_ context.Context, r *testedRow) (bool, error) {
	h := &r.m.Header
	switch t.field {
	case query.Subject:
		return t.subject.in(h.Subject), nil
	case query.From:
		return t.address.in(h.From), nil
	case query.To:
		return t.address.in(h.To), nil
	case query.Cc:
		return t.address.in(h.Cc), nil
	}
	return t.subject.in(h.Subject) || slices.ContainsFunc([]string{h.From, h.To, h.Cc}, t.address.in), nil
}

func (a rowAll) holds(ctx context.Context, r *testedRow) (bool, error) {
	for _, t := range a {
		if ok, err := t.holds(ctx, r); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (a rowAny) holds(ctx context.Context, r *testedRow) (bool, error) {
	for _, t := range a {
		if ok, err := t.holds(ctx, r); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (n rowNot) holds(ctx context.Context, r *testedRow) (bool, error) {
	ok, err := n.rowTest.holds(ctx, r)
	return !ok, err
}

func (rowColumn) cost() int   { return 0 }
func (rowText) cost() int     { return 1 }
func (h rowHeader) cost() int { return 2 + int(h.from) }
func (a rowAll) cost() int    { return dearest(a) }
func (a rowAny) cost() int    { return dearest(a) }

func dearest(list []rowTest) (most int) {
	for _, t := range list {
		most = max(most, t.cost())
	}
	return most
}

// sorted puts the cheap ones first: whether a file must be read at all is often known without it.
func (a rowAll) sorted() rowAll {
	slices.SortStableFunc(a, func(s, t rowTest) int { return cmp.Compare(s.cost(), t.cost()) })
	return a
}

// needsRow reports whether SQL cannot decide on x.
func (k *compiler) needsRow(x query.Expr) (needs bool, err error) {
	query.Walk(x, func(y query.Expr) bool {
		switch y := y.(type) {
		case query.Header:
			needs = true
		case query.Text:
			if y.Match == query.Substring && y.Field != query.Body && hasToken(y.Text) && err == nil {
				var ok bool
				_, ok, err = k.ftsText(y)
				needs = needs || !ok
			}
		}
		return !needs
	})
	return needs, err
}

// rowTest makes the test for x. Parts that SQL can decide become columns.
func (k *compiler) rowTest(x query.Expr) (rowTest, error) {
	if needs, err := k.needsRow(x); err != nil {
		return nil, err
	} else if !needs {
		cond, args, err := k.sql(x)
		k.columns, k.columnArgs = append(k.columns, "("+cond+")"), append(k.columnArgs, args...)
		return rowColumn(len(k.columns) - 1), err
	}
	switch x := x.(type) {
	case query.Header:
		return k.rowHeader(x)
	case query.Text:
		return rowText{x.Field, subjectPattern(x.Text), addressPattern(x.Text)}, nil
	case query.Not:
		t, err := k.rowTest(x.X)
		return rowNot{t}, err
	case query.And:
		list, err := k.rowTests(x)
		return list.sorted(), err
	case query.Or:
		list, err := k.rowTests(x)
		return rowAny(list.sorted()), err
	}
	return nil, fmt.Errorf("a condition of a kind that the index does not know: %T", x)
}

func (k *compiler) rowTests(list []query.Expr) (tests rowAll, err error) {
	for _, x := range list {
		t, err := k.rowTest(x)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	return tests, nil
}

// rowHeader finds out where a condition is answered from: what the rows have been built with, not what the options ask for.
func (k *compiler) rowHeader(h query.Header) (rowTest, error) {
	t := rowHeader{name: strings.ToLower(strings.TrimSpace(h.Name)), value: folded(sanitize(h.Value))}
	if columnOf(t.name) != "" {
		return t, nil
	}
	built, err := k.gen.builtWith(k.ctx)
	if err != nil {
		return t, err
	}
	fields, _ := readBuilt(built)
	if t.from = originFile; fields.has(t.name) {
		t.from = originExtra
	}
	return t, nil
}

// possible is a condition in SQL that holds at least wherever x, which needs the row, does; "" where there is none.
func (k *compiler) possible(x query.Expr) (cond string, args []any, err error) {
	if needs, err := k.needsRow(x); err != nil {
		return "", nil, err
	} else if !needs {
		return k.sql(x)
	}
	operator := " AND "
	var list []query.Expr
	switch x := x.(type) {
	case query.Header:
		cond, args := headerPrefilter(x)
		return cond, args, nil
	case query.And:
		list = x
	case query.Or:
		operator, list = " OR ", x
	}
	var conds []string
	for _, y := range list {
		cond, more, err := k.possible(y)
		switch {
		case err != nil:
			return "", nil, err
		case cond != "":
			conds, args = append(conds, "("+cond+")"), append(args, more...)
		case operator == " OR ":
			return "", nil, nil
		}
	}
	return strings.Join(conds, operator), args, nil
}

// headerPrefilter lets SQLite leave out most rows that cannot answer a header condition: for ASCII, LIKE folds case as the comparison that
// decides does.
func headerPrefilter(h query.Header) (cond string, args []any) {
	column := columnOf(strings.ToLower(strings.TrimSpace(h.Name)))
	switch column {
	case "", "message_id", "in_reply_to", "refs": // kept in another form than compared
		return "", nil
	}
	v := sanitize(h.Value)
	if v == "" || strings.IndexFunc(v, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		return "", nil
	}
	return "m." + column + ` LIKE ? ESCAPE '\'`, []any{likePattern(v)}
}

// wordPattern is a part of a text as words that stand side by side.
type wordPattern struct {
	words            []string
	fromStart, toEnd bool // the first word must begin, the last one end, with a word of the text
	prepare          func(string) string
}

// subjectPattern is the pattern of a part of a subject.
func subjectPattern(text string) wordPattern {
	text = fold(sanitize(text))
	first, last := ends(text)
	return wordPattern{textWords(spaced(text)), !isPartOfWord(first), !isPartOfWord(last), spaced}
}

// addressPattern is the pattern of a part of a field of addresses.
func addressPattern(text string) wordPattern {
	text = fold(sanitize(text))
	first, last := ends(text)
	words, ends := addressWord(text, true)
	return wordPattern{textWords(words), !isPartOfWord(first), !isPartOfWord(last) && !ends, addressText}
}

// ends are the first and the last character.
func ends(text string) (first, last rune) {
	first, _ = utf8.DecodeRuneInString(text)
	last, _ = utf8.DecodeLastRuneInString(text)
	return first, last
}

// isPartOfWord reports whether more of the same word may stand beside r.
func isPartOfWord(r rune) bool { return isTokenRune(r) && !standsApart(r) }

func textWords(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return !isTokenRune(r) })
}

// in reports whether a text has the words.
func (p wordPattern) in(text string) bool {
	words := textWords(p.prepare(fold(text)))
	last := len(p.words) - 1
	for i := range len(words) - last {
		match := true
		for j, want := range p.words {
			word := words[i+j]
			switch {
			case j == 0 && j == last && !p.fromStart && !p.toEnd:
				match = strings.Contains(word, want)
			case j == 0 && !p.fromStart:
				match = strings.HasSuffix(word, want) && !strings.HasPrefix(word, atSign)
			case j == last && !p.toEnd:
				match = strings.HasPrefix(word, want)
			default:
				match = word == want
			}
			if !match {
				break
			}
		}
		if match {
			return true
		}
	}
	return false
}
