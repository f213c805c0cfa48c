package header

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Decode makes text of a raw field value: encoded words (RFC 2047) are decoded wherever they stand, raw 8-bit octets
// become UTF-8, control characters become spaces. The result is valid UTF-8, at most three times as long as raw.
//
// QUIRK: mail of every large sender has encoded words inside quoted strings and in the middle of words, which RFC 2047
// §5 forbids, characters split over two words, spaces and question marks within words, and base64 without its padding. All are read.
func Decode(raw string) string {
	return decoder{}.decode(raw)
}

// decoder carries what the rest of the message says about its raw octets.
type decoder struct {
	fallback string // character set for 8-bit text that is not UTF-8; "" to guess
}

func (d decoder) decode(raw string) string {
	if isPlain(raw) {
		return strings.TrimSpace(raw)
	}
	words := wordScanner{s: raw}
	var out strings.Builder
	out.Grow(len(raw))
	var run encodedRun
	for at := 0; at < len(raw); {
		start, w, ok := words.next(at)
		if !ok {
			start = len(raw)
		}
		if gap := raw[at:start]; !run.joins(gap, ok) {
			run.flush(&out)
			out.WriteString(d.text(gap))
		}
		if !ok {
			break
		}
		if !strings.EqualFold(run.charset, w.charset) {
			run.flush(&out)
		}
		run.add(w)
		at = w.end
	}
	run.flush(&out)
	return clean(out.String())
}

// isPlain reports whether s is printable ASCII without encoded words: the common case.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || (s[i] == '=' && i+1 < len(s) && s[i+1] == '?') {
			return false
		}
	}
	return true
}

// text makes UTF-8 of octets outside of encoded words.
func (d decoder) text(s string) string {
	switch {
	case strings.Contains(s, "\x1b$") || strings.Contains(s, "\x1b("):
		// QUIRK: old Japanese mail has ISO-2022-JP in header fields as it is (RFC 1468 predates RFC 2047).
		return toUTF8("iso-2022-jp", s)
	case utf8.ValidString(s):
		return s
	case d.fallback != "":
		return toUTF8(d.fallback, s)
	}
	return guessUTF8(s)
}

// encodedRun gathers the octets of adjacent encoded words in one character set, so that a character which was
// split over two of them is put together before it is decoded.
type encodedRun struct {
	charset string
	octets  []byte
	open    bool
}

func (r *encodedRun) add(w encodedWord) {
	r.open, r.charset = true, w.charset
	r.octets = w.appendOctets(r.octets)
}

// joins reports whether a gap between two encoded words is to be dropped (RFC 2047 §6.2: white space only).
func (r *encodedRun) joins(gap string, wordFollows bool) bool {
	return r.open && wordFollows && strings.Trim(gap, " \t\r\n") == ""
}

func (r *encodedRun) flush(out *strings.Builder) {
	if r.open {
		out.WriteString(toUTF8(r.charset, string(r.octets)))
	}
	*r = encodedRun{octets: r.octets[:0]}
}

// clean folds control characters and line separators to spaces and trims.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s))
}
