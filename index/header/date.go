package header

import (
	"strconv"
	"strings"
	"time"
)

// maxDateTokens bounds the work for one date; a complete one with a comment has nine.
const maxDateTokens = 16

// Date reads a date-time (RFC 5322 §3.3 and §4.3), and what mail has had in its place for forty years: no weekday, no seconds, comments,
// years of two or three digits, named and military zones, ISO 8601, the order of asctime. The result is in UTC. It is false
// when no day, month and year can be made out. A zone that is missing or unknown counts as UTC (RFC 5322 §4.3: -0000).
func Date(raw string) (time.Time, bool) {
	var p dateParts
	text, _ := withoutComments(raw)
	for i, tok := range strings.FieldsFunc(text, isDateSeparator) {
		if i == maxDateTokens {
			break
		}
		p.take(tok)
	}
	return p.time()
}

func isDateSeparator(r rune) bool {
	return r <= ' ' || r == ','
}

// withoutComments puts a space in place of each comment; open is what begins with a parenthesis that is not closed.
func withoutComments(s string) (text, open string) {
	if !strings.Contains(s, "(") {
		return s, ""
	}
	var b strings.Builder
	for {
		before, _, ok := strings.Cut(s, "(")
		b.WriteString(before)
		if !ok {
			return b.String(), ""
		}
		n := commentLength(s[len(before):])
		if n == 0 {
			return b.String(), s[len(before):]
		}
		b.WriteByte(' ')
		s = s[len(before)+n:]
	}
}

// dateParts gathers the elements of a date in any order that is unambiguous.
type dateParts struct {
	day, month, year  int
	hour, min, sec    int
	nsec              int
	offset            int // seconds east of UTC
	hasYear, hasClock bool
	zoned             bool
	afternoon         int // 12 for PM, -12 for AM at twelve
}

func (p *dateParts) take(tok string) {
	switch {
	case !p.hasClock && strings.Contains(tok, ":") && tok[0] != '+' && tok[0] != '-':
		p.takeClock(tok)
	case strings.Count(tok, "-") == 2 || strings.Count(tok, "/") == 2:
		p.takeJoined(tok)
	case p.hasClock && (tok[0] == '+' || tok[0] == '-'):
		p.takeOffset(tok)
	case p.hasClock && p.hasYear && len(tok) == 4 && tok[0] >= '0' && tok[0] <= '9':
		p.takeOffset("+" + tok) // QUIRK: zones without a sign, in spam of 2002
	case tok[0] >= '0' && tok[0] <= '9':
		p.takeNumber(tok)
	case monthNumber(tok) > 0 && p.month == 0:
		p.month = monthNumber(tok)
	default:
		p.takeWord(tok)
	}
}

// takeClock reads 15:04, 15:04:05, 15:04:05.678, with a zone attached or not, and the ISO form with its date before a T.
func (p *dateParts) takeClock(tok string) {
	if date, clock, ok := strings.Cut(tok, "T"); ok && strings.Count(date, "-") == 2 {
		p.takeJoined(date)
		tok = clock
	}
	if i := strings.IndexAny(tok, "+-Zz"); i >= 0 {
		tok, p.zoned = tok[:i], p.zoned || p.clockZone(tok[i:])
	}
	f := strings.SplitN(tok, ":", 4)
	if len(f) < 2 || len(f) > 3 {
		return
	}
	h, ok1 := number(f[0], 23)
	m, ok2 := number(f[1], 59)
	if !ok1 || !ok2 {
		return
	}
	p.hour, p.min, p.hasClock = h, m, true
	if len(f) == 3 {
		sec, frac, _ := strings.Cut(f[2], ".")
		p.sec, _ = number(sec, 60)
		p.nsec, _ = number((frac + "000000000")[:9], 999999999)
	}
}

func (p *dateParts) clockZone(zone string) bool {
	if zone[0] != '+' && zone[0] != '-' {
		return true
	}
	p.hasClock = true
	p.takeOffset(zone)
	p.hasClock = false
	return p.zoned
}

// takeJoined reads 2026-11-23 and 23-Nov-2026.
func (p *dateParts) takeJoined(tok string) {
	f := strings.FieldsFunc(tok, func(r rune) bool { return r == '-' || r == '/' })
	if len(f) != 3 {
		return
	}
	if m := monthNumber(f[1]); m > 0 {
		p.month = m
		p.takeNumber(f[0])
		p.takeNumber(f[2])
		return
	}
	y, ok1 := number(f[0], 9999)
	m, ok2 := number(f[1], 12)
	d, ok3 := number(f[2], 31)
	if len(f[0]) == 4 && ok1 && ok2 && ok3 {
		p.year, p.month, p.day, p.hasYear = y, m, d, true
	}
}

// takeNumber takes the first small number as the day and the next as the year.
func (p *dateParts) takeNumber(tok string) {
	n, ok := number(strings.TrimRight(tok, ".stndrh"), 9999)
	digits := len(tok)
	switch {
	case !ok:
	case p.day == 0 && n >= 1 && n <= 31 && digits <= 2:
		p.day = n
	case p.hasYear:
	case digits >= 4:
		p.year, p.hasYear = n, true
	case digits == 3: // RFC 5322 §4.3
		p.year, p.hasYear = n+1900, true
	case n < 50:
		p.year, p.hasYear = n+2000, true
	default:
		p.year, p.hasYear = n+1900, true
	}
}

// takeOffset reads +0130 and +01:30.
func (p *dateParts) takeOffset(tok string) {
	digits := strings.ReplaceAll(tok[1:], ":", "")
	if p.zoned {
		return
	}
	if len(digits) > 4 {
		digits = digits[:4]
	}
	hm, ok := number(digits, 9999)
	if !ok {
		return
	}
	if len(digits) <= 2 {
		hm *= 100
	}
	h, m := hm/100, hm%100
	if h > 24 || m > 59 {
		return
	}
	p.offset, p.zoned = h*3600+m*60, true
	if tok[0] == '-' {
		p.offset = -p.offset
	}
}

// takeWord reads AM, PM, and a zone by name (RFC 5322 §4.3; any other name counts as UTC).
func (p *dateParts) takeWord(tok string) {
	tok = strings.ToUpper(tok)
	switch {
	case !p.hasClock:
		return
	case tok == "PM":
		p.afternoon = 12
		return
	case tok == "AM":
		p.afternoon = -12
		return
	}
	for _, prefix := range []string{"GMT", "UTC"} {
		if rest, ok := strings.CutPrefix(tok, prefix); ok && rest != "" && (rest[0] == '+' || rest[0] == '-') {
			p.takeOffset(rest)
			return
		}
	}
	if p.zoned {
		return
	}
	if h, ok := namedZone(tok); ok {
		p.offset, p.zoned = h*3600, true
	}
}

func namedZone(name string) (hours int, ok bool) {
	switch name {
	case "UT", "GMT", "UTC", "Z":
		return 0, true
	case "EDT":
		return -4, true
	case "EST", "CDT":
		return -5, true
	case "CST", "MDT":
		return -6, true
	case "MST", "PDT":
		return -7, true
	case "PST":
		return -8, true
	}
	return 0, false
}

func (p *dateParts) time() (time.Time, bool) {
	if p.day == 0 || p.month == 0 || !p.hasYear || p.year < 1 {
		return time.Time{}, false
	}
	switch {
	case p.afternoon == 12 && p.hour < 12:
		p.hour += 12
	case p.afternoon == -12 && p.hour == 12:
		p.hour = 0
	}
	if day := time.Date(p.year, time.Month(p.month), p.day, 0, 0, 0, 0, time.UTC); day.Day() != p.day {
		return time.Time{}, false // 31 February
	}
	t := time.Date(p.year, time.Month(p.month), p.day, p.hour, p.min, p.sec, p.nsec, time.UTC)
	return t.Add(-time.Duration(p.offset) * time.Second), true
}

// monthNumber reads an English month name of three letters or more; 0 when it is none.
func monthNumber(s string) int {
	if len(s) < 3 {
		return 0
	}
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	i := strings.Index(names, strings.ToLower(s[:3]))
	if i < 0 || i%3 != 0 {
		return 0
	}
	return i/3 + 1
}

// number reads an unsigned decimal number up to limit.
func number(s string, limit int) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > uint64(limit) {
		return 0, false
	}
	return int(n), true
}
