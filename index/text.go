package index

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
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

// standsApart reports whether r is a word of its own: CJK, and pictures.
func standsApart(r rune) bool { return isCJK(r) || r >= 0x1f000 && r < 0x20000 }

// isTokenRune reports whether r is part of a word: a letter, a number, a picture or a private character.
func isTokenRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z'
	}
	return unicode.In(r, unicode.L, unicode.N, unicode.Co) || standsApart(r)
}

// hasToken reports whether there is a word in s.
func hasToken(s string) bool { return strings.IndexFunc(s, isTokenRune) >= 0 }

// spaced makes text ready for FTS5's ascii tokenizer, which folds the case of ASCII letters, ends a word at whatever else of ASCII is no digit, and takes
// everything beyond ASCII for part of a word. So there, what is no word becomes a space here, letters lose their marks and case, and
// what stands apart gets spaces round it. Text of ASCII alone is returned as it is.
func spaced(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	b.Grow(2 * len(s))
	for _, r := range unmarked(s) {
		switch {
		case r < utf8.RuneSelf:
			b.WriteByte(byte(r))
		case standsApart(r):
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
		case isTokenRune(r):
			b.WriteRune(lower(r))
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// lower is the letter without its case, the final sigma of Greek included.
func lower(r rune) rune {
	if r == 'ς' {
		return 'σ'
	}
	return unicode.ToLower(r)
}

// fold makes text comparable without regard to case and marks, as the words of spaced are.
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return strings.Map(lower, unmarked(s))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isMark reports whether r is written above, below or within a letter of an alphabet that is read without it, too: accents, and the
// points of Hebrew and Arabic. Those of other scripts make another letter of it.
func isMark(r rune) bool {
	return r >= 0x300 && r <= 0x36f || r >= 0x591 && r <= 0x5c7 && unicode.Is(unicode.Mn, r) || r >= 0x64b && r <= 0x65f || r == 0x670
}

// unmarked leaves out the marks of letters.
func unmarked(s string) string {
	const firstMarked = 0xc0 // À
	i := strings.IndexFunc(s, func(r rune) bool { return r >= firstMarked })
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:i])
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case isMark(r):
		case r >= firstMarked && r < 0x2000, r == '\u212b': // the sign for ångström
			b.WriteRune(base(r, s[i:i+n]))
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// base is the letter of r, whose UTF-8 is s, without its marks.
func base(r rune, s string) rune {
	d := norm.NFD.PropertiesString(s).Decomposition()
	if len(d) == 0 {
		return r
	}
	letter, n := utf8.DecodeRune(d)
	if mark, _ := utf8.DecodeRune(d[n:]); !isMark(mark) {
		return r
	}
	return letter
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

// likePattern makes a LIKE pattern that finds s inside a text, with \ as the escape.
func likePattern(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}

// folded is what header terms are compared in. Letters beyond ASCII stay there, so that LIKE, which knows no other case, finds what this does.
func folded(s string) string {
	return strings.Map(func(r rune) rune {
		if lower := unicode.ToLower(r); r < utf8.RuneSelf || lower >= utf8.RuneSelf {
			return lower
		}
		return r
	}, s)
}
