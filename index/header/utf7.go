package header

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

func isUTF7(label string) bool {
	return strings.EqualFold(label, "utf-7") || strings.EqualFold(label, "unicode-1-1-utf-7")
}

// decodeUTF7 reads RFC 2152: ASCII with UTF-16 in base64 between "+" and "-". Nobody should write it; Outlook did.
func decodeUTF7(s string) string {
	s = guessUTF8(s)
	var b strings.Builder
	for s != "" {
		plain, rest, ok := strings.Cut(s, "+")
		b.WriteString(plain)
		if !ok {
			break
		}
		n := strings.IndexFunc(rest, func(r rune) bool { return r >= utf8.RuneSelf || base64Value(byte(r)) < 0 })
		if n < 0 {
			n = len(rest)
		}
		if n == 0 {
			b.WriteByte('+') // "+-" is a plus sign
		}
		b.WriteString(decodeUTF16(appendBase64(nil, rest[:n])))
		s = strings.TrimPrefix(rest[n:], "-")
	}
	return b.String()
}

// decodeUTF16 reads big-endian UTF-16; a last odd octet is padding.
func decodeUTF16(b []byte) string {
	units := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, uint16(b[0])<<8|uint16(b[1]))
	}
	return string(utf16.Decode(units))
}
