package admin

import (
	"strings"
	"testing"
)

// FuzzFlagWord holds that a word is one flag, the same with the other sign but for what is done with it, or a mistake of the person.
func FuzzFlagWord(f *testing.F) {
	for _, word := range []string{"+seen", "-unread", "+keyword:k", "-keyword:", "+", "-\xff", "+new", "-forwarded"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if !isFlagWord(word) {
			return
		}
		letter, set, err := flagWord(word)
		if err != nil {
			if exitCode(err) != ExitUsage {
				t.Errorf("%q: %v", word, err)
			}
			return
		}
		if len(letter) != 1 || !strings.Contains("DFPRSTabcdefghijklmnopqrstuvwxyz", string(letter)) {
			t.Errorf("%q is the flag %q", word, letter)
		}
		other := map[byte]string{'+': "-", '-': "+"}[word[0]] + word[1:]
		if l, s, err := flagWord(other); err != nil || l != letter || s == set {
			t.Errorf("%q is %q %v, and %q is %q %v, %v", word, letter, set, other, l, s, err)
		}
	})
}
