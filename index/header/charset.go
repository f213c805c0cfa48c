package header

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// ToUTF8 decodes b from the named character set. The result is always valid UTF-8; control characters are kept.
//
// Labels are taken as browsers take them (WHATWG Encoding): iso-8859-1 and us-ascii mean windows-1252. A label that
// is empty, unknown, or belied by the octets counts for nothing: valid UTF-8 is then kept, anything else is read as windows-1252,
// which loses nothing.
func ToUTF8(charset string, b []byte) string {
	return toUTF8(charset, string(b))
}

func toUTF8(charset, s string) string {
	if isUTF7(charset) {
		return decodeUTF7(s)
	}
	enc := lookupCharset(charset)
	if enc == nil {
		return guessUTF8(s)
	}
	out, err := enc.NewDecoder().String(s)
	if err != nil {
		return guessUTF8(s)
	}
	return strings.ToValidUTF8(out, "\uFFFD")
}

// lookupCharset finds the decoder of a label. It is nil when the label says UTF-8 or nothing of use: then the octets
// themselves are looked at.
func lookupCharset(label string) encoding.Encoding {
	label = strings.ToLower(strings.Trim(label, " \t\"'"))
	switch label {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown":
		return nil
	case "iso-8859-1", "iso8859-1", "latin1", "windows-1252":
		return charmap.Windows1252
	case "cp932", "ms932", "windows-932":
		return japanese.ShiftJIS
	case "cp936", "ms936", "gb2312-80":
		return simplifiedchinese.GBK
	case "hz-gb-2312", "hz":
		return simplifiedchinese.HZGB2312
	case "cp949", "ms949":
		label = "euc-kr"
	case "cp950", "ms950":
		label = "big5"
	}
	if e, err := htmlindex.Get(label); err == nil {
		if name, _ := htmlindex.Name(e); e == encoding.Replacement || name == "utf-8" {
			return nil
		}
		return e
	}
	if e, err := ianaindex.MIME.Encoding(label); err == nil && e != nil {
		return e
	}
	if e, err := ianaindex.IANA.Encoding(label); err == nil && e != nil {
		return e
	}
	return nil
}

// guessUTF8 reads octets that ought to be UTF-8. Valid text is kept. Text that mostly is UTF-8 (a cut last
// character, one damaged octet) keeps what is right; any other was written in an 8-bit set, and windows-1252 it is.
func guessUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	valid, invalid := 0, 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			invalid++
		case n > 1:
			valid++
		}
		i += n
	}
	if valid > 2*invalid || (valid > 0 && cutShort(s)) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return fromWindows1252(s)
}

// cutShort reports whether s is valid UTF-8 but for an incomplete character at its end.
func cutShort(s string) bool {
	for n := 1; n < utf8.UTFMax && n < len(s); n++ {
		head, tail := s[:len(s)-n], s[len(s)-n:]
		if utf8.RuneStart(tail[0]) {
			return !utf8.FullRuneInString(tail) && utf8.ValidString(head)
		}
	}
	return false
}

func fromWindows1252(s string) string {
	out, err := charmap.Windows1252.NewDecoder().String(s)
	if err != nil {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(out, "\uFFFD")
}
