package admin

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestWrapped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text          string
		width, indent int
		want          string
	}{
		{"short", 80, 10, "short"},
		{"one two three four five six seven", 0, 4, "one two three four five six seven"},
		{"one two three four five six seven", 24, 4, "one two three four\n    five six seven"},
		{"東京 大阪 名古屋 札幌 福岡 神戸", 24, 0, "東京 大阪 名古屋 札幌\n福岡 神戸"},
		{"a-word-that-is-longer-than-the-line and more", 24, 2, "a-word-that-is-longer-than-the-line\n  and more"},
		{"no room for columns at all", 24, 10, "no room for columns at all"},
	} {
		if got := wrapped(tt.text, tt.width, tt.indent); got != tt.want {
			t.Errorf("%q in %d from %d: %q, want %q", tt.text, tt.width, tt.indent, got, tt.want)
		}
	}
	text := "One line\nand another one of it.\n\n  kept as it is\nA second paragraph that is long."
	if got, want := filled(text, 30), "One line and another one of\nit.\n\n  kept as it is\nA second paragraph that is\nlong."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := filled(text, 0); got != text {
		t.Errorf("no terminal: %q", got)
	}
}

// TestHelpFits holds that the help of every command fits a terminal, but for what must be copied.
func TestHelpFits(t *testing.T) {
	t.Parallel()
	c, app := tree(t)
	for _, path := range commandPaths(app) {
		var b strings.Builder
		if err := c.help(&b, 80, app, path); err != nil {
			t.Fatal(err)
		}
		text, _, _ := strings.Cut(b.String(), "\nExamples:\n")
		for line := range strings.Lines(text) {
			if n := cells(strings.TrimRight(line, "\n")); n > 80 && !strings.HasPrefix(line, "Usage: ") {
				t.Errorf("%s: %d columns: %s", pathName(path), n, line)
			}
		}
	}
}

// TestColour holds that only a terminal that wants them gets colours, and that they change no column.
func TestColour(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	must(t, "--root", root, "user", "add", "anna@example.org", "--no-password")
	run := func(coloured bool, width int, args ...string) string {
		var out, errs bytes.Buffer
		w := &world{in: strings.NewReader(""), out: &out, errs: &errs, width: width, coloured: coloured, zone: time.UTC, now: time.Now,
			disk: func(string) (diskView, error) { return diskView{1, 1 << 40, 1e6}, nil }}
		w.run(context.Background(), append([]string{"mailctl", "--root", root}, args...))
		return out.String()
	}
	strip := strings.NewReplacer(boldOn, "", redOn, "", plain, "")
	for _, args := range [][]string{{"user", "list"}, {"status"}, {"doctor"}, {"help"}} {
		plainText, text := run(false, 80, args...), run(true, 80, args...)
		if strings.Contains(plainText, "\x1b") {
			t.Errorf("%q: colours that nobody wants: %q", args, plainText)
		}
		if !strings.Contains(text, "\x1b[") || strip.Replace(text) != plainText {
			t.Errorf("%q: %q, without colours %q", args, text, plainText)
		}
	}
	if text := run(false, 0, "status"); strings.Contains(text, "\x1b") {
		t.Errorf("piped: %q", text)
	}
	if text := run(true, 80, "status", "--json"); strings.Contains(text, "\x1b") {
		t.Errorf("JSON: %q", text)
	}
}
