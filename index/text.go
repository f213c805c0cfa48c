package index

import (
	"strings"
	"unicode"
)

// isCJK reports whether r belongs to a script that is written without spaces between words. Each such character is a
// word of its own to the index, so that any run of them can be found inside a longer one.
func isCJK(r rune) bool {
	if r < 0x1100 {
		return false
	}
	return r == 'ー' || r == '々' || r == '〆' || r == '〇' ||
		unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo)
}

// spaced puts spaces round CJK characters. Other text is returned as it is.
func spaced(s string) string {
	i := strings.IndexFunc(s, isCJK)
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(2 * len(s))
	b.WriteString(s[:i])
	for _, r := range s[i:] {
		if isCJK(r) {
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hasToken reports whether unicode61 finds a word in s: a letter, a number or a private character.
func hasToken(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.L, unicode.N, unicode.Co)
	}) >= 0
}

// sanitize makes foreign text fit for SQLite: valid UTF-8 without NUL, which would end it early.
func sanitize(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// phrase makes an FTS5 string of one word of a query: the tokens in it must stand side by side, and the last may go on. In an FTS5
// string only the quote has a meaning, and it is doubled.
func phrase(word string) string {
	return `"` + strings.ReplaceAll(spaced(word), `"`, `""`) + `"*`
}

// likePattern makes a LIKE pattern that finds s inside a text, with \ as the escape.
func likePattern(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}

// folded is what header terms are compared in.
func folded(s string) string { return strings.ToLower(s) }
