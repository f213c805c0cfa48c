package mbox

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

const (
	// fromWord begins the line before each message.
	fromWord = "From "
	// maxFromOctets is the longest line that is taken for such a one.
	maxFromOctets = 1024
	// noSender stands for the null reverse-path.
	noSender = "MAILER-DAEMON"
)

// fromLine writes the line before a message. RFC 4155: the time is in UTC, in the form of asctime.
func fromLine(sender string, date time.Time) string {
	if sender == "" || strings.ContainsFunc(sender, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		sender = noSender
	}
	return fromWord + sender + " " + date.UTC().Format(time.ANSIC) + "\n"
}

// parseFrom reads the line, without its end. The date is zero where there is none.
//
// QUIRK: some write a zone, by name or offset, before or after the year, some leave the seconds out, some write "remote from" behind it, and
// Thunderbird has "-" for the sender.
func parseFrom(line string) (sender string, date time.Time) {
	words := strings.Fields(strings.TrimPrefix(line, fromWord))
	for i := range words {
		if t, ok := asctime(words[i:]); ok {
			date = t
			words = words[:i]
			break
		}
	}
	if len(words) > 0 && words[0] != noSender && words[0] != "-" {
		sender = words[0]
	}
	return sender, date
}

// asctime reads "Sat Jan 31 08:00:00 2026", with a zone before or after the year.
func asctime(words []string) (time.Time, bool) {
	if len(words) < 5 || len(words[0]) != 3 || len(words[1]) != 3 || !isName(words[0], "SunMonTueWedThuFriSat") || !isName(words[1], months) {
		return time.Time{}, false
	}
	day, err := strconv.Atoi(words[2])
	if err != nil || day < 1 || day > 31 {
		return time.Time{}, false
	}
	clock, err := time.Parse("15:04:05", words[3])
	if err != nil {
		if clock, err = time.Parse("15:04", words[3]); err != nil {
			return time.Time{}, false
		}
	}
	year, zone := 0, time.UTC
	for _, w := range words[4:min(len(words), 6)] {
		if n, err := strconv.Atoi(w); err == nil && len(w) == 4 {
			year = n
		} else if t, err := time.Parse("-0700", w); err == nil {
			zone = t.Location()
		}
	}
	if year == 0 {
		return time.Time{}, false
	}
	month := time.Month(strings.Index(months, words[1])/3 + 1)
	t := time.Date(year, month, day, clock.Hour(), clock.Minute(), clock.Second(), 0, zone)
	return t.UTC(), true
}

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// isName reports whether w is one of the names of three letters in list.
func isName(w, list string) bool {
	i := strings.Index(list, w)
	return i >= 0 && i%3 == 0
}

// separates judges a line that begins with "From ". Two of three things are asked for, since each is left out by somebody, and each is found in
// texts: an empty line before it, a date in it, and a header field in the line that follows.
func separates(line []byte, afterBlank bool, next []byte) bool {
	_, date := parseFrom(string(line))
	signs := 0
	for _, sign := range []bool{afterBlank, !date.IsZero(), beginsField(next)} {
		if sign {
			signs++
		}
	}
	return signs >= 2
}

// beginsField reports whether text begins with the name of a header field and a colon (RFC 5322 §2.2).
func beginsField(text []byte) bool {
	i := bytes.IndexByte(text, ':')
	if i < 1 {
		return false
	}
	for _, c := range text[:i] {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
