package admin

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// safeLine makes s harmless as part of one line: no control characters (a terminal obeys them, a tab or a line feed would end
// the value), nothing that turns the direction of writing, only valid UTF-8. White space becomes a space, the rest U+FFFD.
func safeLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', r == '\v', r == '\f', r == '\u0085', r == '\u2028', r == '\u2029':
			return ' '
		case isHarmful(r):
			return utf8.RuneError
		}
		return r
	}, s)
}

// safeText is safeLine for text of several lines: line feeds and tabs stay.
func safeText(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == '\r', r == '\u0085', r == '\u2028', r == '\u2029':
			return '\n'
		case isHarmful(r):
			return utf8.RuneError
		}
		return r
	}, s)
}

// isHarmful says of a rune that it does more than to stand there: C0 and C1 controls and the bidirectional controls of Unicode, by which text can
// be made to show as another.
func isHarmful(r rune) bool {
	return unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\u200e' || r == '\u200f' ||
		r == '\u061c'
}

// cells is how many columns of a terminal s takes.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cut shortens s to at most max columns, with an ellipsis in place of what is left out.
func cut(s string, max int) string {
	if cells(s) <= max {
		return s
	}
	n := 0
	for i, r := range s {
		w := runeCells(r)
		if n+w > max-1 {
			return s[:i] + "…"
		}
		n += w
	}
	return s
}
