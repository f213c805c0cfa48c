package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestManual holds that the manual page names every command, option and signal of the help.
func TestManual(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../packaging/man/maild.8")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.NewReplacer(".Fl Fl ", "--", "Fl Fl ", "--", `\-`, "-").Replace(string(data))
	words := regexp.MustCompile(`(?m)^  ([a-z]+)  |(--[a-z]+)|(SIG[A-Z]+)`).FindAllString(usage, -1)
	if len(words) < 8 {
		t.Fatalf("only %q were found in the help", words)
	}
	for _, word := range words {
		if !strings.Contains(page, strings.TrimSpace(word)) {
			t.Errorf("maild.8 does not name %q", strings.TrimSpace(word))
		}
	}
}
