package index

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"maild/index/query"
)

const (
	// maxFolderTokens is how many folders are asked for by their tokens; more are looked up in the row.
	maxFolderTokens = 200
	// maxExpansions is how many words a part of one may stand for; beyond it the rows are looked at.
	maxExpansions = 500
	// maxWordDepth is how deep an expression is given to FTS5, whose parser has a stack of 100.
	maxWordDepth = 10
	// nothingMatches is a word that no message has.
	nothingMatches = `state : "none"`
	// stateUnread is the absence of the flag S.
	stateUnread = `state : "u"`
)

// fts makes an FTS5 expression over terms; ok is false where the words alone cannot answer.
func (k *compiler) fts(x query.Expr) (match string, ok bool, err error) {
	switch x := x.(type) {
	case query.And:
		return k.ftsList(x, " AND ")
	case query.Or:
		return k.ftsList(x, " OR ")
	case query.Not:
		if x.X == (query.Expr)(query.Flag{Letter: 'S'}) {
			return stateUnread, true, nil
		}
	case query.Text:
		return k.ftsText(x)
	case query.Flag:
		if x.Letter == 'S' {
			return "", false, nil
		}
		if t := strings.TrimSpace(strings.TrimSuffix(stateText(0, string(x.Letter)+"S", false, false), folderToken(0))); t != "" {
			return `state : "` + t + `"`, true, nil
		}
	case query.New:
		return `state : "n"`, true, nil
	case query.Attachment:
		return `state : "t"`, true, nil
	case query.Account, query.Domain, query.Folder:
		ids, err := k.folderIDs(x)
		if err != nil || len(ids) > maxFolderTokens {
			return "", false, err
		}
		if len(ids) == 0 {
			return nothingMatches, true, nil
		}
		tokens := make([]string, len(ids))
		for i, id := range ids {
			tokens[i] = `"` + folderToken(id) + `"`
		}
		return "state : (" + strings.Join(tokens, " OR ") + ")", true, nil
	}
	return "", false, nil
}

// ftsExcluded makes an FTS5 expression over terms for what x does not want.
func (k *compiler) ftsExcluded(x query.Expr) (match string, ok bool, err error) {
	switch x := x.(type) {
	case query.Flag:
		return stateUnread, x.Letter == 'S', nil
	case query.Not:
		return k.fts(x.X)
	}
	return "", false, nil
}

func (k *compiler) ftsList(list []query.Expr, operator string) (match string, ok bool, err error) {
	if len(list) == 0 || depthOf(query.And(list), new(int)) > maxWordDepth {
		return "", false, nil
	}
	parts := make([]string, len(list))
	for i, x := range list {
		if parts[i], ok, err = k.fts(x); !ok || err != nil {
			return "", false, err
		}
	}
	return "(" + strings.Join(parts, ")"+operator+"(") + ")", true, nil
}

// ftsText makes the expression for a text.
func (k *compiler) ftsText(t query.Text) (match string, ok bool, err error) {
	text := sanitize(t.Text)
	if !hasToken(text) || t.Field == query.Body {
		return "", false, nil
	}
	star := ""
	if t.Match == query.Prefix {
		star = "*"
	}
	switch {
	case t.Match == query.Substring && t.Field == query.Subject, t.Match == query.Substring && t.Field == query.Any:
		return "", false, nil
	case t.Match == query.Substring:
		return k.ftsSubstring(columnsOf(t.Field)[0], text)
	case t.Field == query.Subject:
		return "subject : " + ftsString(spaced(text)) + star, true, nil
	case t.Field == query.Any && strings.Contains(text, "@"):
		return "(subject : " + ftsString(spaced(text)) + star + ") OR ({sender recipients cc} : " + addressPhrase(text, t.Match == query.Prefix) + ")", true, nil
	case t.Field == query.Any:
		return "{subject sender recipients cc} : " + ftsString(spaced(text)) + star, true, nil
	}
	return columnsOf(t.Field)[0] + " : " + addressPhrase(text, t.Match == query.Prefix), true, nil
}

func ftsString(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// ftsSubstring says a part of a text in whole words: those that end with its first one, and those that begin with its last one. A common
// beginning such as com would have FTS5 put all messages with it together first; the few words there are cost nothing.
func (k *compiler) ftsSubstring(column, text string) (match string, ok bool, err error) {
	text = fold(text)
	middle := strings.TrimLeftFunc(text, isPartOfWord)
	first := text[:len(text)-len(middle)]
	rest := middle
	middle = strings.TrimRightFunc(middle, isPartOfWord)
	last := rest[len(middle):]
	starts, ends := []string{""}, []string{last}
	_, open := addressWord(text, true) // within a domain, which is one word
	if first != "" {
		pattern := likePattern(first)
		if rest != "" {
			pattern = strings.TrimSuffix(pattern, "%")
		}
		if starts, err = k.expand(`text LIKE ? ESCAPE '\'`, pattern); err != nil || len(starts) > maxExpansions {
			return "", false, err
		}
	}
	if last != "" && !open {
		words, err := k.expand("text >= ? AND text < ?", last, last+string(utf8.MaxRune))
		if err != nil {
			return "", false, err
		}
		if n := len(words); n > 0 && n*len(starts) <= maxExpansions {
			ends = words
		} else {
			open = true
		}
	}
	if len(starts) == 0 {
		return nothingMatches, true, nil
	}
	phrases := make([]string, 0, len(starts)*len(ends))
	for _, start := range starts {
		for _, end := range ends {
			phrases = append(phrases, addressPhrase(start+middle+end, open))
		}
	}
	return column + " : (" + strings.Join(phrases, " OR ") + ")", true, nil
}

// expand gives the words of addresses that answer a condition, one more than are wanted at most.
func (k *compiler) expand(cond string, args ...any) (list []string, err error) {
	key := fmt.Sprint(cond, args)
	if list, ok := k.expanded[key]; ok {
		return list, nil
	}
	rows, err := k.gen.read.QueryContext(k.ctx, "SELECT text FROM word WHERE "+cond+" LIMIT ?", append(args, maxExpansions+1)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var w string
		if err := rows.Scan(&w); err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	k.expanded[key] = list
	return list, rows.Err()
}

// columnsOf are the columns of a field.
func columnsOf(f query.Field) []string {
	switch f {
	case query.From:
		return []string{"sender"}
	case query.To:
		return []string{"recipients"}
	case query.Cc:
		return []string{"cc"}
	case query.Subject:
		return []string{"subject"}
	}
	return []string{"subject", "sender", "recipients", "cc"}
}

func bodyMatch(t query.Text) string {
	s := ftsString(spaced(sanitize(t.Text)))
	if t.Match != query.Words {
		s += "*"
	}
	return s
}
