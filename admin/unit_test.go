package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"maild/appliance/account"
	"maild/appliance/process"
	"maild/index"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 3600)
	now := time.Date(2026, 2, 1, 12, 30, 0, 0, zone)
	tests := []struct{ in, want string }{
		{"2026-01-31", "2026-01-31T00:00:00+01:00"},
		{"2026-01", "2026-01-01T00:00:00+01:00"},
		{"2026", "2026-01-01T00:00:00+01:00"},
		{"today", "2026-02-01T00:00:00+01:00"},
		{"Yesterday", "2026-01-31T00:00:00+01:00"},
		{"now", "2026-02-01T12:30:00+01:00"},
		{"12h", "2026-02-01T00:30:00+01:00"},
		{"3d", "2026-01-29T12:30:00+01:00"},
		{"2w", "2026-01-18T12:30:00+01:00"},
		{"2026-01-31 08:15", "2026-01-31T08:15:00+01:00"},
		{"2026-01-31T08:15:30", "2026-01-31T08:15:30+01:00"},
		{"2026-01-31T08:15:30Z", "2026-01-31T08:15:30Z"},
		{"2026-01-31t08:15:30-05:00", "2026-01-31T08:15:30-05:00"},
		{"", ""}, {"3", ""}, {"-3d", ""}, {"2026-02-30", ""}, {"tomorrow", ""}, {"d", ""},
	}
	for _, tt := range tests {
		got, ok := parseTime(tt.in, now, zone)
		if ok != (tt.want != "") || ok && got.Format(time.RFC3339) != tt.want {
			t.Errorf("%q: got %s, %v, want %q", tt.in, got.Format(time.RFC3339), ok, tt.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"0": 0, "17": 17, "25k": 25 << 10, "10M": 10 << 20, "1g": 1 << 30, "2T": 2 << 40, "1kB": 1000, "1KiB": 1024,
		"": -1, "k": -1, "-1": -1, "-1k": -1, "1.5M": -1, "9999999999999T": -1, "10X": -1} {
		got, ok := parseSize(in)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: got %d, %v, want %d", in, got, ok, want)
		}
	}
}

func TestFlagTerms(t *testing.T) {
	t.Parallel()
	tests := []struct{ words, with, without, unseen, new string }{
		{"seen", "S", "", "", ""}, {"unseen", "", "", "true", ""}, {"!read", "", "", "true", ""}, {"unread", "", "", "true", ""},
		{"flagged,!draft", "F", "D", "", ""}, {"Not-Answered", "", "R", "", ""}, {"new", "", "", "", "true"}, {"!recent", "", "", "", "false"},
		{"undeleted", "", "T", "", ""}, {"forwarded", "P", "", "", ""}, {"a,!b", "a", "b", "", ""}, {"F", "F", "", "", ""},
	}
	for _, tt := range tests {
		var q index.Query
		for word := range strings.SplitSeq(tt.words, ",") {
			if err := addFlagTerm(&q, word); err != nil {
				t.Fatal(err)
			}
		}
		show := func(b *bool) string {
			if b == nil {
				return ""
			}
			return fmt.Sprint(*b)
		}
		if q.With != tt.with || q.Without != tt.without || show(q.Unseen) != tt.unseen || show(q.New) != tt.new {
			t.Errorf("%s: with %q, without %q, unseen %s, new %s", tt.words, q.With, q.Without, show(q.Unseen), show(q.New))
		}
	}
	for _, word := range []string{"", "!", "un", "ab", "1", "é", "!!seen"} {
		if err := addFlagTerm(&index.Query{}, word); exitCode(err) != ExitUsage {
			t.Errorf("%q: error %v", word, err)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  error
		code int
	}{
		{nil, ExitOK}, {errors.New("x"), ExitFailed}, {usagef("x"), ExitUsage}, {fmt.Errorf("x: %w", notFoundf("x")), ExitNotFound},
		{fmt.Errorf("x %w", account.ErrExists), ExitExists}, {fmt.Errorf("x %w", account.ErrNotFound), ExitNotFound},
		{fmt.Errorf("x %w", index.ErrNotFound), ExitNotFound}, {account.ErrInvalid, ExitUsage}, {account.ErrInUse, ExitFailed},
		{process.ErrLocked, ExitLocked}, {coded(5), ExitLocked}, {coded(6 | 1<<8), ExitLocked}, {coded(11), ExitFailed}, {syscall.EPIPE, ExitOK},
		{fs.ErrPermission, ExitFailed},
	}
	known := map[int]bool{}
	for _, e := range exitTable() {
		known[e.code] = true
	}
	for _, tt := range tests {
		if got := exitCode(tt.err); got != tt.code || !known[got] {
			t.Errorf("%v: code %d, want %d", tt.err, got, tt.code)
		}
	}
}

// coded is an error with a result code, as SQLite's.
type coded int

func (c coded) Error() string { return fmt.Sprint("code ", int(c)) }
func (c coded) Code() int     { return int(c) }

func TestSuggest(t *testing.T) {
	t.Parallel()
	known := []string{"list", "add", "remove", "yes"}
	for word, want := range map[string]string{"lst": "list", "lits": "list", "list": "list", "ad": "add", "rmeove": "remove", "x": "", "frobnicate": "", "": ""} {
		if got := suggest(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		max  int
		want string
	}{{"hello", 5, "hello"}, {"hello!", 5, "hell…"}, {"東京東京", 8, "東京東京"}, {"東京東京", 7, "東京東…"}, {"東京東京", 6, "東京…"},
		{"e\u0301e\u0301e\u0301", 2, "e\u0301…"}, {"", 1, ""}}
	for _, tt := range tests {
		if got := cut(tt.in, tt.max); got != tt.want || cells(got) > tt.max {
			t.Errorf("%q to %d: got %q", tt.in, tt.max, got)
		}
	}
}

// leaves gives every command that does something, with the path to it.
func leaves(path []*cli.Command, commands []*cli.Command, fn func([]*cli.Command)) {
	for _, cmd := range commands {
		p := append(slices.Clone(path), cmd)
		if len(cmd.Subcommands) == 0 {
			fn(p)
		}
		leaves(p, cmd.Subcommands, fn)
	}
}

// TestHelpIsTrue holds that each command has help, and that the examples in it are command lines that are understood.
func TestHelpIsTrue(t *testing.T) {
	t.Parallel()
	app := (&call{world: &world{}}).app(t.Context())
	count := 0
	leaves(nil, app.Commands, func(path []*cli.Command) {
		count++
		cmd := path[len(path)-1]
		if cmd.Usage == "" || cmd.UsageText == "" {
			t.Errorf("%s has no usage or no examples", cmd.Name)
		}
		for example := range strings.Lines(cmd.UsageText) {
			_, line, ok := strings.Cut(example, "mailctl ")
			line, _, _ = strings.Cut(strings.TrimSpace(line), " | ")
			line, _, _ = strings.Cut(line, " > ")
			got, err := arrange(app, splitWords(line))
			if err != nil || !ok || got.command() == nil || len(got.command().Subcommands) > 0 {
				t.Errorf("example %q: %v", example, err)
			}
		}
	})
	if count < 20 {
		t.Errorf("%d commands", count)
	}
}

// FuzzArrange holds that whatever is typed is either understood as a whole or refused, with its arguments as they were.
func FuzzArrange(f *testing.F) {
	for _, s := range []string{"user list --json", "--root\x00x\x00user\x00add\x00a@b\x00--generate", "search\x00headers\x00--from=-x\x00--\x00--to", "help user",
		"user\x00--limit\x001\x00add", "-", "--", "--=x", "---", "-h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words := strings.Split(s, "\x00")
		if !strings.Contains(s, "\x00") {
			words = strings.Fields(s)
		}
		line, err := arrange((&call{world: &world{}}).app(context.Background()), words)
		if err != nil {
			if exitCode(err) != ExitUsage || err.Error() == "" {
				t.Fatalf("%q: %v", words, err)
			}
			return
		}
		end := slices.Index(line.args, "--")
		if end < 0 {
			t.Fatalf("%q: no end of flags in %q", words, line.args)
		}
		for _, arg := range line.args[end+1:] {
			if !slices.Contains(words, arg) {
				t.Fatalf("%q: argument %q made up in %q", words, arg, line.args)
			}
		}
		for _, arg := range line.args[:end] {
			if strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") {
				t.Fatalf("%q: stray %q in %q", words, arg, line.args)
			}
		}
	})
}

// FuzzSafe holds that nothing harmful gets through, in any form of output, and that nothing else is changed.
func FuzzSafe(f *testing.F) {
	f.Add("Grüße\t東京\n")
	f.Add("\x1b]0;x\x07\u202e\u009b\x7f\xff")
	f.Fuzz(func(t *testing.T, s string) {
		line, text := safeLine(s), safeText(s)
		var b strings.Builder
		if err := writeJSON(&b, validText(s)); err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string]string{"line": line, "text": strings.NewReplacer("\n", "", "\t", "").Replace(text), "JSON": b.String()} {
			if !utf8.ValidString(got) || strings.ContainsFunc(got, isHarmful) {
				t.Fatalf("%s of %q: %q", name, s, got)
			}
		}
		if utf8.ValidString(s) && !strings.ContainsFunc(s, isHarmful) && !strings.ContainsAny(s, "\u2028\u2029") && line != s {
			t.Fatalf("%q changed to %q", s, line)
		}
		if n := cells(cut(line, 10)); n > 10 {
			t.Fatalf("%q cut to %d columns", line, n)
		}
	})
}
