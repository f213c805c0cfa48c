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
	s = fold(s)
	var words []string
	start := -1
	for i, r := range s {
		switch {
		case isPartOfWord(r):
			if start < 0 {
				start = i
			}
		case start >= 0:
			words = appendWord(words, s[start:i])
			start = -1
		}
	}
	if start >= 0 {
		words = appendWord(words, s[start:])
	}
	return words
}

// appendWord adds a word that is not there yet and not too long. There are few as a rule; what is there twice among many does no harm.
func appendWord(words []string, w string) []string {
	if len(w) > maxWordOctets || len(words) < 64 && slices.Contains(words, w) {
		return words
	}
	return append(words, w)
}

// idHash is a Message-ID in the table reference.
func idHash(id string) int64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return int64(h.Sum64())
}

// folderToken stands for a folder in the state of its messages.
func folderToken(id int64) string { return "d" + strconv.FormatInt(id, 10) }
