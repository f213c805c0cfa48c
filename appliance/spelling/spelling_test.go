package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"subject", "from", "to", "unread", "list"}
	for word, want := range map[string]string{
		"form": "from", "sbuject": "subject", "subjekt": "subject", "unraed": "unread", "x": "", "tp": "to", "entirely": "", "lizt": "list", "Łist": "list",
		strings.Repeat("subject", 1000): "", "": "",
	} {
		if got := Nearest(word, known, 2); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if got := Nearest("sbujekt", known, 1); got != "" {
		t.Errorf("two edits away: %q", got)
	}
}
