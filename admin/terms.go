package admin

import (
	"math"
	"strconv"
	"strings"
	"time"

	"maild/appliance/config"
	"maild/index"
	"maild/maildir"
)

// query reads the flags of a search. Which accounts are meant is found later, in searchedAccounts.
func (c *call) query() (index.Query, error) {
	q := index.Query{From: c.StringSlice("from"), To: c.StringSlice("to"), Cc: c.StringSlice("cc"), Subject: c.StringSlice("subject"),
		MessageID: c.String("message-id")}
	var err error
	for _, d := range c.StringSlice("domain") {
		if d, err = domainName(d); err != nil {
			return q, err
		}
		q.Domains = append(q.Domains, d)
	}
	for _, f := range c.StringSlice("folder") {
		if strings.EqualFold(f, maildir.Inbox) {
			f = maildir.Inbox // RFC 3501 §5.1: INBOX is the same in any case
		}
		q.Folders = append(q.Folders, f)
	}
	for _, h := range c.StringSlice("header") {
		name, value, _ := strings.Cut(h, "=")
		if !isFieldName(name) {
			return q, usagef("--header %q: %q cannot be the name of a header field: write NAME=VALUE", h, name)
		}
		q.Headers = append(q.Headers, index.HeaderTerm{Name: name, Value: value})
	}
	if q.Since, err = c.timeFlag("since"); err != nil {
		return q, err
	}
	if q.Before, err = c.timeFlag("before"); err != nil {
		return q, err
	}
	if q.LargerThan, err = c.sizeFlag("larger"); err != nil {
		return q, err
	}
	if q.SmallerThan, err = c.sizeFlag("smaller"); err != nil {
		return q, err
	}
	for _, list := range c.StringSlice("flag") {
		for word := range strings.SplitSeq(list, ",") {
			if err := addFlagTerm(&q, strings.TrimSpace(word)); err != nil {
				return q, err
			}
		}
	}
	q.Limit, err = c.limitFlag()
	return q, err
}

// limitFlag is the limit to search with. Where none was given, one more than is shown, to know whether there is more.
func (c *call) limitFlag() (int, error) {
	n := c.Int("limit")
	switch {
	case c.IsSet("limit") && n < 0:
		return 0, usagef("--limit %d: give a number of messages, or 0 for all", n)
	case c.IsSet("limit"):
		return n, nil
	case c.form() == formTable:
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

// addFlagTerm adds one word of --flag to a query.
func addFlagTerm(q *index.Query, word string) error {
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
	switch {
	case !ok:
		return unknownFlagTerm(word, name, names)
	case letter == "N":
		q.New = &want
	case letter == "S" && !want:
		unseen := true
		q.Unseen = &unseen
	case want:
		q.With += letter
	default:
		q.Without += letter
	}
	return nil
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
