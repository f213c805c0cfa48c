package header

import (
	"slices"
	"testing"
	"time"
)

func TestDate(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"Mon, 23 Nov 2026 15:00:33 +0100":              "2026-11-23T14:00:33Z",
		"23 Nov 2026 15:00:33 -0330":                   "2026-11-23T18:30:33Z",
		"Mon, 23 Nov 2026 15:00 GMT":                   "2026-11-23T15:00:00Z",
		"Mon, 23 Nov 2026 15:00:33 +0000 (UTC)":        "2026-11-23T15:00:33Z",
		"Mon (x), 23 (y) Nov 2026 15:00:33 (a(b)) EST": "2026-11-23T20:00:33Z",
		"Mon, 23 Nov 26 15:00:33 PDT":                  "2026-11-23T22:00:33Z",
		"23 Nov 96 15:00:33 Z":                         "1996-11-23T15:00:33Z",
		"23 Nov 103 15:00:33 Z":                        "2003-11-23T15:00:33Z",
		"Mon, 23 November 2026 15:00:33 A":             "2026-11-23T15:00:33Z",
		"Mon Nov 23 15:00:33 2026":                     "2026-11-23T15:00:33Z",
		"Mon Nov 23 15:00:33 CST 2026":                 "2026-11-23T21:00:33Z",
		"2026-11-23T15:00:33Z":                         "2026-11-23T15:00:33Z",
		"2026-11-23T15:00:33.250+01:00":                "2026-11-23T14:00:33.25Z",
		"23-Nov-2026 15:00:33 +01:00":                  "2026-11-23T14:00:33Z",
		"Fri, 07 Jun 2002 16:35:51 GMT+0200":           "2002-06-07T14:35:51Z",
		"28 Jun 01 10:05:15 PM":                        "2001-06-28T22:05:15Z",
		"03 Jul 01 12:47:50 AM":                        "2001-07-03T00:47:50Z",
		"Fri, 02 Aug 2002 23:37:59 0530":               "2002-08-02T18:07:59Z",
		"Mon, 23 Nov 2026 15:00:33 +9999":              "2026-11-23T15:00:33Z",
		"Mon, 23 Nov 2026 15:00:33 Nonsense":           "2026-11-23T15:00:33Z",
		"Mon, 31 Dec 2016 23:59:60 +0000":              "2017-01-01T00:00:00Z",
		"23 Nov 2026":                                  "2026-11-23T00:00:00Z",
		"29 Feb 2024 10:00:00 +0000":                   "2024-02-29T10:00:00Z",
		"29 Feb 2023 10:00:00 +0000":                   "",
		"":                                             "",
		"soon":                                         "",
		"15:00:33":                                     "",
		"(Mon, 23 Nov 2026 15:00:33 +0000)":            "",
	} {
		got, ok := Date(raw)
		switch {
		case want == "":
			if ok || !got.IsZero() {
				t.Errorf("Date(%q) = %v, want none", raw, got)
			}
		case !ok || got.Format(time.RFC3339Nano) != want:
			t.Errorf("Date(%q) = %v %v, want %s", raw, got, ok, want)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw  string
		want []string
	}{
		{"<a@b>", []string{"a@b"}},
		{"<a@b> <c@d>\t(x) <e@f>", []string{"a@b", "c@d", "e@f"}},
		{"<a@b><c@d>", []string{"a@b", "c@d"}},
		{"a@b", []string{"a@b"}},
		{"a@b, c@d", []string{"a@b", "c@d"}},
		{"no-at-sign", []string{"no-at-sign"}},
		{"Your message of Monday", nil},
		{"Message of Ann <a@b> of Monday", []string{"a@b"}},
		{"<a long\t id@b>", []string{"alongid@b"}},
		{"<never closed", []string{"never"}},
		{"=?utf-8?Q?=3Ca=40b=3E?=", []string{"a@b"}},
		{"<\xe9@b>", []string{"é@b"}},
		{"<>", nil},
		{"", nil},
	} {
		if got := MessageIDs(c.raw); !slices.Equal(got, c.want) {
			t.Errorf("MessageIDs(%q) = %q, want %q", c.raw, got, c.want)
		}
	}
}
