package maildir

import "strings"

// Flags is the set of letters after ":2," in a file name: sorted by byte, each once. Letters this package has no name for,
// such as the keywords a–z of Dovecot, are kept through every change.
type Flags string

// The flags that the Maildir specification names.
const (
	Draft   Flags = "D"
	Flagged Flags = "F"
	Passed  Flags = "P" // resent, forwarded or bounced
	Replied Flags = "R"
	Seen    Flags = "S"
	Trashed Flags = "T"
)

// ParseFlags sorts the letters of s and drops repetitions, as well as bytes that cannot be flags: anything but
// printable ASCII, and the slash.
func ParseFlags(s string) Flags {
	var set flagSet
	set.add(s)
	return set.flags()
}

// Has reports whether every letter of want is set.
func (f Flags) Has(want Flags) bool {
	for i := range len(want) {
		if strings.IndexByte(string(f), want[i]) < 0 {
			return false
		}
	}
	return true
}

// With returns f and the letters of add.
func (f Flags) With(add Flags) Flags {
	var set flagSet
	set.add(string(f))
	set.add(string(add))
	return set.flags()
}

// Without returns f less the letters of remove.
func (f Flags) Without(remove Flags) Flags {
	var set flagSet
	set.add(string(f))
	for i := range len(remove) {
		set[remove[i]] = false
	}
	return set.flags()
}

// flagSet holds the bytes that are set.
type flagSet [256]bool

func (set *flagSet) add(s string) {
	for i := range len(s) {
		if isFlag(s[i]) {
			set[s[i]] = true
		}
	}
}

func (set *flagSet) flags() Flags {
	var buf [128]byte
	letters := buf[:0]
	for c := byte('!'); c <= '~'; c++ {
		if set[c] {
			letters = append(letters, c)
		}
	}
	return Flags(letters)
}

// isFlag reports whether c may stand for a flag: the specification says ASCII characters; a slash cannot be in a file name.
func isFlag(c byte) bool {
	return '!' <= c && c <= '~' && c != '/'
}
