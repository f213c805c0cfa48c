package header

import "strings"

// maxCharsetOctets bounds a charset label; the longest registered one has 45 (RFC 2978 §2.3 limits names to 40).
const maxCharsetOctets = 64

// encodedWord is one `=?charset?encoding?text?=` (RFC 2047 §2).
type encodedWord struct {
	charset string
	base64  bool
	text    string
	end     int // offset behind the word
}

// wordScanner finds encoded words from left to right in linear time: the end of a word is searched once, however
// many beginnings stand before it.
type wordScanner struct {
	s   string
	end int // offset of the "?=" found last; -1 when there is no other
}

// next finds the first encoded word at or after offset at.
func (w *wordScanner) next(at int) (start int, word encodedWord, ok bool) {
	for {
		i := strings.Index(w.s[at:], "=?")
		if i < 0 {
			return 0, encodedWord{}, false
		}
		start = at + i
		if word, ok = w.at(start); ok {
			return start, word, true
		}
		at = start + 2
	}
}

// at reads the encoded word that starts at offset start, if there is one.
func (w *wordScanner) at(start int) (encodedWord, bool) {
	head := w.s[start+2:]
	label := head[:min(len(head), maxCharsetOctets)]
	q := strings.IndexByte(label, '?')
	if q <= 0 || len(head) < q+3 || head[q+2] != '?' {
		return encodedWord{}, false
	}
	charset, _, _ := strings.Cut(head[:q], "*") // RFC 2231 §5: a language may follow
	enc := head[q+1] | 0x20
	if (enc != 'b' && enc != 'q') || strings.ContainsAny(charset, " \t=") {
		return encodedWord{}, false
	}
	text := start + 2 + q + 3
	if w.end >= 0 && w.end < text {
		if i := strings.Index(w.s[text:], "?="); i >= 0 {
			w.end = text + i
		} else {
			w.end = -1
		}
	}
	if w.end < text {
		return encodedWord{}, false
	}
	// A second beginning before the end means that this word was cut off.
	if strings.Contains(w.s[text:w.end], "=?") {
		return encodedWord{}, false
	}
	return encodedWord{charset: charset, base64: enc == 'b', text: w.s[text:w.end], end: w.end + 2}, true
}

// appendOctets decodes the text of the word.
func (w encodedWord) appendOctets(dst []byte) []byte {
	switch {
	case !w.base64:
		return appendQ(dst, w.text)
	case looksBase64(w.text):
		return appendBase64(dst, w.text)
	}
	return append(dst, w.text...)
}

// looksBase64 reports whether most of s belongs to the alphabet. A damaged word is decoded, prose with a wrong label is kept.
func looksBase64(s string) bool {
	foreign := 0
	for i := range len(s) {
		if base64Value(s[i]) < 0 && !strings.ContainsRune("= \t", rune(s[i])) {
			foreign++
		}
	}
	return foreign*5 <= len(s)
}

// appendQ decodes RFC 2047 §4.2. An equals sign that no two hexadecimal digits follow stands for itself.
func appendQ(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '_':
			dst = append(dst, ' ')
		case s[i] == '=' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			dst = append(dst, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			dst = append(dst, s[i])
		}
	}
	return dst
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// appendBase64 decodes what it can: foreign octets are skipped, padding may be missing or stand in the middle.
func appendBase64(dst []byte, s string) []byte {
	var acc uint32
	bits := 0
	for i := range len(s) {
		v := base64Value(s[i])
		if s[i] == '=' {
			acc, bits = 0, 0
		}
		if v < 0 {
			continue
		}
		acc = acc<<6 | uint32(v)
		if bits += 6; bits >= 8 {
			bits -= 8
			dst = append(dst, byte(acc>>bits))
		}
	}
	return dst
}

func base64Value(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}
