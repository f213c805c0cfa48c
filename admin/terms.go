package admin

import (
	"math"
	"strconv"
	"strings"
	"time"

	"maild/appliance/config"
	"maild/index/query"
	"maild/maildir"
)

// flagTerms are the conditions of the flags of a search. Which accounts are meant is found later, in searchedAccounts.
func (c *call) flagTerms() (query.And, error) {
	all := query.And{}
	for _, f := range []struct {
		name  string
		field query.Field
		match query.Match
	}{{"from", query.From, query.Substring}, {"to", query.To, query.Substring}, {"cc", query.Cc, query.Substring}, {"subject", query.Subject, query.Prefix}} {
		for _, term := range c.StringSlice(f.name) {
			for word := range strings.FieldsSeq(term) {
				all = append(all, query.Text{Field: f.field, Text: word, Match: f.match})
			}
		}
	}
	if id := c.String("message-id"); id != "" {
		all = append(all, query.ID{MessageID: strings.Trim(id, "<> ")})
	}
	var domains, folders query.Or
	for _, d := range c.StringSlice("domain") {
		d, err := domainName(d)
		if err != nil {
			return nil, err
		}
		domains = append(domains, query.Domain{Name: d})
	}
	for _, f := range c.StringSlice("folder") {
		if strings.EqualFold(f, maildir.Inbox) {
			f = maildir.Inbox // RFC 3501 §5.1: INBOX is the same in any case
		}
		folders = append(folders, query.Folder{Name: f})
	}
	for _, any := range []query.Or{domains, folders} {
		if len(any) > 0 {
			all = append(all, oneOf(any))
		}
	}
	for _, h := range c.StringSlice("header") {
		name, value, _ := strings.Cut(h, "=")
		if !isFieldName(name) {
			return nil, usagef("--header %q: %q cannot be the name of a header field: write NAME=VALUE", h, name)
		}
		all = append(all, query.Header{Name: name, Value: value})
	}
	return c.rangeTerms(all)
}

// oneOf is x, or its only part: an Or has two or more.
func oneOf(x query.Or) query.Expr {
	if len(x) == 1 {
		return x[0]
	}
	return x
}

// rangeTerms adds times, sizes and flags.
func (c *call) rangeTerms(all query.And) (query.And, error) {
	since, err := c.timeFlag("since")
	if err != nil {
		return nil, err
	}
	before, err := c.timeFlag("before")
	if err != nil {
		return nil, err
	}
	if !since.IsZero() || !before.IsZero() {
		all = append(all, query.Arrived{From: since, Before: before})
	}
	larger, err := c.sizeFlag("larger")
	if err != nil {
		return nil, err
	}
	smaller, err := c.sizeFlag("smaller")
	if err != nil {
		return nil, err
	}
	if larger > 0 {
		all = append(all, query.Octets{From: larger + 1})
	}
	if smaller > 0 {
		all = append(all, query.Octets{Below: smaller})
	}
	for _, list := range c.StringSlice("flag") {
		for word := range strings.SplitSeq(list, ",") {
			x, err := flagTerm(strings.TrimSpace(word))
			if err != nil {
				return nil, err
			}
			all = append(all, x)
		}
	}
	return all, nil
}

// limitFlag is the limit to search with. Where none was given, one more than is shown, to know whether there is more.
func (c *call) limitFlag() (int, error) {
	n := c.Int("limit")
	switch {
	case c.IsSet("limit") && n < 0:
		return 0, usagef("--limit %d: give a number of messages, or 0 for all", n)
	case c.IsSet("limit"):
		return n, nil
	case c.world.width > 0 && c.form() == formTable:
		return terminalLimit + 1, nil
	}
	return 0, nil
}

// isFieldName is RFC 5322 §2.2: printable ASCII without colon and space.
func isFieldName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' })
}

func (c *call) timeFlag(name string) (time.Time, error) {
	if !c.IsSet(name) {
		return time.Time{}, nil
	}
	t, ok := parseTime(c.String(name), c.world.now(), c.world.zone)
	if !ok {
		return t, usagef("--%s %q is no time: write 2026-01-31, today, yesterday, 3d, 2w, 12h, or 2026-01-31T08:00:00Z", name, c.String(name))
	}
	return t, nil
}

// parseTime reads a moment: a year, month or day, which is its first instant in zone; "today" and "yesterday"; an age; or RFC
// 3339.
func parseTime(s string, now time.Time, zone *time.Location) (time.Time, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	now = now.In(zone)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)
	switch s {
	case "now":
		return now, true
	case "today":
		return today, true
	case "yesterday":
		return today.AddDate(0, 0, -1), true
	}
	for _, layout := range []string{time.DateOnly, "2006-01", "2006", "2006-01-02t15:04:05", "2006-01-02t15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, true
		}
	}
	if t, err := time.Parse(time.RFC3339, strings.ToUpper(s)); err == nil {
		return t, true
	}
	if age, err := config.ParseDuration(s); err == nil && age >= 0 {
		return now.Add(-time.Duration(age)), true
	}
	return time.Time{}, false
}

func (c *call) sizeFlag(name string) (int64, error) {
	if !c.IsSet(name) {
		return 0, nil
	}
	n, ok := parseSize(c.String(name))
	if !ok {
		return 0, usagef("--%s %q is no size: write a number of octets, or 25k, 10M, 1G", name, c.String(name))
	}
	if n == 0 {
		return 0, usagef("--%s 0 excludes nothing or everything: give a size above 0", name)
	}
	return n, nil
}

// parseSize reads a number of octets. The letters k, M, G and T are steps of 1024, as with find and du; kB, MB, KiB, MiB and their like mean
// what they say.
func parseSize(s string) (int64, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	for i, unit := range []string{"k", "m", "g", "t"} {
		digits, ok := strings.CutSuffix(s, unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if shift := 10 * (i + 1); err == nil && n >= 0 && n <= math.MaxInt64>>shift {
			return n << shift, true
		}
		return 0, false
	}
	n, err := config.ParseOctets(s)
	return int64(n), err == nil && n >= 0
}

// flagNames says which letter stands for a flag's name; "N" is not one, but a message in new/.
func flagNames() map[string]string {
	return map[string]string{
		"seen": "S", "read": "S",
		"answered": "R", "replied": "R",
		"flagged": "F", "starred": "F",
		"draft":   "D",
		"trashed": "T", "deleted": "T",
		"passed": "P", "forwarded": "P",
		"new": "N", "recent": "N",
	}
}

// flagTerm is what one word of --flag means.
func flagTerm(word string) (query.Expr, error) {
	names := flagNames()
	name, want := strings.ToLower(word), true
	if _, ok := names[name]; !ok {
		for _, not := range []string{"!", "not-", "un"} {
			if rest, ok := strings.CutPrefix(name, not); ok {
				name, want = rest, false
				break
			}
		}
	}
	letter, ok := names[name]
	if !ok && len(name) == 1 && name[0] >= 'a' && name[0] <= 'z' {
		letter, ok = strings.TrimPrefix(word, "!"), true // a keyword, or a flag's own letter
		ok = len(letter) == 1
	}
	if !ok {
		return nil, unknownFlagTerm(word, name, names)
	}
	x := query.Expr(query.Flag{Letter: letter[0]})
	if letter == "N" {
		x = query.New{}
	}
	if !want {
		x = query.Not{X: x}
	}
	return x, nil
}

func unknownFlagTerm(word, name string, names map[string]string) error {
	known := make([]string, 0, len(names))
	for n := range names {
		known = append(known, n)
	}
	if s := suggest(name, known); s != "" {
		return usagef("--flag %q is no flag: did you mean %q?", word, s)
	}
	return usagef("--flag %q is no flag: write seen, answered, flagged, draft, trashed, passed, new or a keyword's letter, with ! before it for its absence", word)
}
