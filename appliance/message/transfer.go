package message

import "strings"

// transferDecoder undoes a transfer encoding, piece by piece.
type transferDecoder interface {
	// next decodes a piece of the content. A line end is a LF.
	next(s string) []byte
	// end gives what was held back.
	end() []byte
}

type identityDecoder struct{}

func (identityDecoder) next(s string) []byte { return []byte(s) }
func (identityDecoder) end() []byte          { return nil }

// base64Decoder is RFC 2045 §6.8. Characters outside the alphabet are passed over; padding may be missing, or stand in the midst where
// encoded pieces were strung together.
type base64Decoder struct {
	bits  uint32
	chars int
}

func (d *base64Decoder) next(s string) []byte {
	out := make([]byte, 0, len(s)*3/4+3)
	for i := range len(s) {
		v := sextet(s[i])
		if s[i] == '=' {
			out = append(out, d.end()...)
		}
		if v < 0 {
			continue
		}
		d.bits = d.bits<<6 | uint32(v)
		if d.chars++; d.chars == 4 {
			out = append(out, byte(d.bits>>16), byte(d.bits>>8), byte(d.bits))
			d.bits, d.chars = 0, 0
		}
	}
	return out
}

func (d *base64Decoder) end() []byte {
	bits, chars := d.bits, d.chars
	d.bits, d.chars = 0, 0
	switch chars {
	case 2:
		return []byte{byte(bits >> 4)}
	case 3:
		return []byte{byte(bits >> 10), byte(bits >> 2)}
	}
	return nil
}

func sextet(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// maxHeld is how much white space after a "=" is held to see whether the line ends there.
const maxHeld = 256

// quotedDecoder is RFC 2045 §6.7. What is no valid escape stays as it is.
type quotedDecoder struct{ held string }

func (d *quotedDecoder) next(s string) []byte {
	s, d.held = d.held+s, ""
	out := make([]byte, 0, len(s))
	for {
		i := strings.IndexByte(s, '=')
		if i < 0 {
			return append(out, s...)
		}
		out = append(out, s[:i]...)
		s = s[i:]
		blank := len(strings.TrimLeft(s[1:], " \t"))
		after := s[len(s)-blank:]
		switch {
		case blank == 0 && len(s) <= maxHeld:
			d.held = s
			return out
		case blank > 0 && after[0] == '\n':
			s = after[1:] // a soft line break
		case len(s) < 3:
			d.held = s
			return out
		default:
			hi, lo := unhex(s[1]), unhex(s[2])
			if hi < 0 || lo < 0 {
				out = append(out, '=')
				s = s[1:]
				continue
			}
			out = append(out, byte(hi<<4|lo))
			s = s[3:]
		}
	}
}

func (d *quotedDecoder) end() []byte {
	held := d.held
	d.held = ""
	if strings.TrimLeft(held, "= \t") == "" {
		return nil // a soft line break at the very end
	}
	return []byte(held)
}

// unhex is the value of a hexadecimal digit, -1 for anything else. QUIRK: lower case is seen, which RFC 2045 §6.7 forbids.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
