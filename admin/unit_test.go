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

	"maild/appliance/account"
	"maild/appliance/process"
	"maild/index"
	"maild/index/query"
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
	for words, want := range map[string]string{
		"seen": "is:read", "unseen": "-is:read", "!read": "-is:read", "unread": "-is:read", "flagged,!draft": "is:flagged -is:draft",
		"Not-Answered": "-is:replied", "new": "is:recent", "!recent": "-is:recent", "undeleted": "-is:trashed", "forwarded": "is:passed",
		"a,!b": "keyword:a -keyword:b", "F": "is:flagged",
	} {
		var all query.And
		for word := range strings.SplitSeq(words, ",") {
			x, err := flagTerm(word)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, x)
		}
		if all.String() != want {
			t.Errorf("%s: %s, want %s", words, all, want)
		}
	}
	for _, word := range []string{"", "!", "un", "ab", "1", "é", "!!seen"} {
		if _, err := flagTerm(word); exitCode(err) != ExitUsage {
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
		{process.ErrLocked, ExitLocked}, {fmt.Errorf("x: %w", index.ErrRebuilding), ExitLocked}, {coded(5), ExitLocked}, {coded(6 | 1<<8), ExitLocked}, {coded(11), ExitFailed}, {syscall.EPIPE, ExitOK},
		{fs.ErrPermission, ExitFailed}, {errors.Join(notFoundf("a"), notFoundf("b")), ExitNotFound},
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

func TestFilledShare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		have, total int64
		want        string
	}{
		{0, 0, "0 of about 0 messages (0 %)"},
		{250, 1000, "250 of about 1000 messages (25 %)"},
		{1001, 1000, "1001 of about 1001 messages (100 %)"}, // some have gone since they were read
	} {
		if got := filledShare(tt.have, tt.total); got != tt.want {
			t.Errorf("%d of %d: %s, want %s", tt.have, tt.total, got, tt.want)
		}
	}
}

func TestFlagsOfAddresses(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fill(t, root, "anna@example.org", 12)
	for flags, want := range map[string]int{"--from ender": 12, "--from @example": 12, "--from xample.n": 12, "--from s@exam": 12, "--subject mess": 12, "--subject essage": 0} {
		code, out, errs := mailctl(t, append([]string{"--root", root, "search", "headers"}, strings.Fields(flags)...)...)
		if got := strings.Count(out, "\n"); got != want || (code == ExitOK) != (want > 0) {
			t.Errorf("%s: %d found, code %d, want %d: %s", flags, got, code, want, errs)
		}
	}
}
