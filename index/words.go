package index

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// atSign stands for "@" in the words of addresses, as a word of its own: a private character, which the tokenizer takes for a letter. So
// "@acme.com" is not found in x@mail.acme.com.
const atSign = "\uE040"

// addressText is what is fed to the words for a field of addresses.
func addressText(s string) string {
	return strings.ReplaceAll(spaced(s), "@", " "+atSign+" ")
}

// stateText is what is fed to the words for what is filtered by: u unread, n new, t attachment, f and a letter for each flag but S, k and a
// letter for each keyword, d and the number of the folder.
func stateText(folder int64, flags string, isNew, attachment bool) string {
	b := make([]byte, 0, 32)
	add := func(c ...byte) {
		b = append(append(b, c...), ' ')
	}
	unread := true
	for i := range len(flags) {
		switch c := flags[i]; {
		case c == 'S':
			unread = false
		case c >= 'A' && c <= 'Z':
			add('f', c|0x20)
		case c >= 'a' && c <= 'z':
			add('k', c)
		}
	}
	if unread {
		add('u')
	}
	if isNew {
		add('n')
	}
	if attachment {
		add('t')
	}
	return string(b) + folderToken(folder)
}

// fold makes text comparable without regard to case and marks, as unicode61 does, so that its words are the same to it as those of s.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x80:
			if r >= 'A' && r <= 'Z' {
				r |= 0x20
			}
			return r
		case r == 'ς':
			return 'σ'
		case isNewCase(r):
			return r
		}
		return unicode.ToLower(r)
	}, unmarked(s))
}

// isNewCase reports whether r may have got a lower case only after the Unicode 6.1 that unicode61 knows: to it, such letters have none.
func isNewCase(r rune) bool {
	return r == 0x37f || r >= 0x528 && r <= 0x52f || r >= 0x13a0 && r <= 0x13fd || r >= 0x1c90 && r <= 0x1cbf || r == 0x2c2f ||
		r >= 0xa698 && r <= 0xa69b || r >= 0xa796 && r <= 0xa7ff || r >= 0x104b0
}

// maxWordOctets bounds one entry of the table word.
const maxWordOctets = 64

// isTokenRune reports whether r is part of a word to unicode61.
func isTokenRune(r rune) bool {
	if r < 0x80 {
		return r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z'
	}
	return unicode.In(r, unicode.L, unicode.N, unicode.Co)
}

// addressWords are the different words of addresses, folded, without those of CJK characters, of which each is a word.
func addressWords(s string) []string {
	var words []string
	for w := range strings.FieldsFuncSeq(fold(s), func(r rune) bool { return !isTokenRune(r) || standsApart(r) }) {
		if len(w) <= maxWordOctets {
			words = append(words, w)
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// idHash is a Message-ID in the table reference.
func idHash(id string) int64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return int64(h.Sum64())
}

// folderToken stands for a folder in the state of its messages.
func folderToken(id int64) string { return "d" + strconv.FormatInt(id, 10) }
