package query

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// timeField reads before:, after:, date: and sent:. The value stands at an offset.
func (p *parser) timeField(name, text string, at int) (Expr, error) {
	if name == "before" || name == "after" {
		begin, _, ok := p.period(text)
		switch {
		case strings.Contains(text, ".."):
			return nil, p.fault(at, name+": takes one time", "write date:"+text+" for a range")
		case !ok:
			return nil, p.noTime(text, at)
		case name == "before":
			return Arrived{Before: begin}, nil
		}
		return Arrived{From: begin}, nil
	}
	first, last, isRange := strings.Cut(text, "..")
	if last, exclusive := strings.CutPrefix(last, "<"); exclusive {
		return p.instants(name, first, last, at)
	}
	var from, before time.Time
	ok := true
	switch {
	case !isRange:
		if from, before, ok = p.period(text); !ok {
			return nil, p.noTime(text, at)
		}
		return p.timeSpan(name, from, before, at)
	case first == "" && last == "":
		return nil, p.noTime(text, at)
	}
	if first != "" {
		if from, _, ok = p.period(first); !ok {
			return nil, p.noTime(first, at)
		}
	}
	if last != "" {
		var begin time.Time
		if begin, before, ok = p.period(last); !ok {
			at := p.at - utf8.RuneCountInString(last)
			if isQuote(p.text[p.at-1]) {
				at--
			}
			return nil, p.noTime(last, at)
		}
		if before.IsZero() {
			before = begin // an age has no end of its own
		}
	}
	return p.timeSpan(name, from, before, at)
}

func (p *parser) noTime(text string, at int) error {
	remedy := "write 2026-01-31, 2026-01, 2026, today, yesterday, 12h, 3d, 2w, 1y, 2026-01-31T08:00, or two with .. between them"
	if digits, ok := strings.CutSuffix(text, "m"); ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
		remedy = "m may be minutes or months: write hours, days, weeks or years, as in 12h, 3d, 2w, 1y, or a month as in 2026-01"
	}
	if text == "" {
		text = `""`
	}
	return p.fault(at, text+" is no time", remedy)
}

func (p *parser) timeSpan(name string, from, before time.Time, at int) (Expr, error) {
	if !from.IsZero() && !before.IsZero() && !from.Before(before) {
		return nil, p.fault(at, "the range ends before it begins", "write the earlier time first")
	}
	if name == "sent" {
		return Sent{from, before}, nil
	}
	return Arrived{from, before}, nil
}

// instants reads the form that String writes.
func (p *parser) instants(name, first, last string, at int) (Expr, error) {
	var list [2]time.Time
	for i, s := range []string{first, last} {
		if s == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339Nano, s)
		if list[i] = t.UTC(); err != nil || !isWritable(list[i]) {
			return nil, p.noTime(s, at)
		}
	}
	return p.timeSpan(name, list[0], list[1], at)
}

// isWritable reports whether t can be told from an open end and has a year of four digits in UTC, as RFC 3339 §1 wants.
func isWritable(t time.Time) bool { return t.Year() > 1 && t.Year() <= 9999 }

// period is the time, in UTC, from the beginning of what s names up to, but not including, its end. The end of an age, and of now, is open.
func (p *parser) period(s string) (from, before time.Time, ok bool) {
	if from, before, ok = p.localPeriod(strings.ToLower(s)); !ok {
		return time.Time{}, time.Time{}, false
	}
	from = from.UTC()
	if before.IsZero() {
		return from, time.Time{}, isWritable(from)
	}
	before = before.UTC()
	return from, before, isWritable(from) && isWritable(before)
}

func (p *parser) localPeriod(s string) (from, before time.Time, ok bool) {
	now := p.o.Now.In(p.o.Zone)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, p.o.Zone)
	switch s {
	case "now":
		return now, time.Time{}, true
	case "today":
		return today, today.AddDate(0, 0, 1), true
	case "yesterday":
		return today.AddDate(0, 0, -1), today, true
	}
	for _, unit := range []struct {
		layout              string
		years, months, days int
		length              time.Duration
	}{
		{layout: time.DateOnly, days: 1}, {layout: "2006-01", months: 1}, {layout: "2006", years: 1},
		{layout: "2006-01-02T15:04", length: time.Minute}, {layout: "2006-01-02T15:04Z07:00", length: time.Minute},
		{layout: "2006-01-02T15:04:05", length: time.Second}, {layout: time.RFC3339, length: time.Second},
	} {
		if t, err := time.ParseInLocation(unit.layout, strings.ToUpper(s), p.o.Zone); err == nil {
			if unit.length > 0 {
				return t, t.Add(unit.length), true // AddDate might move it, in the hour that clocks are put back
			}
			return t, t.AddDate(unit.years, unit.months, unit.days), true
		}
	}
	return age(s, now)
}

// maxAge, in hours, days, weeks or years, keeps an age within what a time can be.
const maxAge = 10_000

// age reads 12h, 3d, 2w, 1y: the time since then. Days are those of the calendar.
func age(s string, now time.Time) (from, before time.Time, ok bool) {
	if len(s) < 2 || s[0] < '0' || s[0] > '9' {
		return from, before, false
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || n > maxAge {
		return from, before, false
	}
	switch s[len(s)-1] {
	case 'h':
		return now.Add(-time.Duration(n) * time.Hour), before, true
	case 'd':
		return now.AddDate(0, 0, -n), before, true
	case 'w':
		return now.AddDate(0, 0, -7*n), before, true
	case 'y':
		return now.AddDate(-n, 0, 0), before, true
	}
	return from, before, false
}
