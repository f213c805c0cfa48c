package index

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

const (
	// atSign begins the word for a whole domain, with domainDot for the dots and dashes in it: private characters. So "@acme.com" is found by one word,
	// without looking at all that have com, and not in x@mail.acme.com.
	atSign    = "\uE040"
	domainDot = "\uE041"
)

// addressText is what is fed to the words for a field of addresses: as spaced, and for each "@" the word of the domain behind it, before the words in it.
func addressText(s string) string {
	text, _ := addressWord(s, false)
	return text
}

// addressWord is addressText for a text that is looked for. If it ends within or with a domain, and the domain may go on, its word is the last one.
// ends reports that it does.
func addressWord(s string, goesOn bool) (text string, ends bool) {
	s = spaced(s)
	at := strings.IndexByte(s, '@')
	if at < 0 {
		return s, false
	}
	var b strings.Builder
	b.Grow(2 * len(s))
	for ; at >= 0; at = strings.IndexByte(s, '@') {
		b.WriteString(s[:at])
		s = s[at+1:]
		end := strings.IndexFunc(s, func(r rune) bool { return !isTokenRune(r) && r != '.' && r != '-' })
		if end < 0 {
			end = len(s)
		}
		b.WriteString(" " + atSign)
		for _, r := range s[:end] {
			if isTokenRune(r) {
				b.WriteRune(r)
			} else {
				b.WriteString(domainDot)
			}
		}
		if goesOn && end == len(s) {
			return b.String(), true
		}
		b.WriteByte(' ')
	}
	b.WriteString(s)
	return b.String(), false
}

// addressPhrase asks for a text in a field of addresses, as FTS5 has it. With open set, its last word may go on.
func addressPhrase(text string, open bool) string {
	phrase, ends := addressWord(text, true)
	switch {
	case ends && !open && !strings.HasSuffix(text, "@"):
		return "(" + ftsString(phrase) + " OR " + ftsString(phrase+domainDot) + "*)"
	case ends || open:
		return ftsString(phrase) + "*"
	}
	return ftsString(phrase)
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
