package index

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// atSign stands for "@" in the words of addresses, as a word of its own: a private character. So
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

// maxWordOctets bounds one entry of the table word.
const maxWordOctets = 64

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
