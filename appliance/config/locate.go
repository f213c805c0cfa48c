package config

import (
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// locate finds the line of every key and table of a TOML document, by their
// full dotted names as toml.Key writes them. The parser says which keys it met
// but not where. The document has been parsed before, so it is well-formed and
// locate only needs to know where values end.
func locate(document string) map[string]int {
	l := &locator{s: strings.TrimPrefix(document, "\ufeff"), line: 1, lines: map[string]int{}}
	var table toml.Key
	for {
		l.blank()
		switch {
		case l.i >= len(l.s):
			return l.lines
		case l.s[l.i] == '[':
			table = l.header()
		default:
			l.statement(table)
		}
	}
}

type locator struct {
	s     string
	i     int
	line  int
	lines map[string]int
}

// next moves on by n octets and counts the lines passed.
func (l *locator) next(n int) {
	n = min(n, len(l.s)-l.i)
	l.line += strings.Count(l.s[l.i:l.i+n], "\n")
	l.i += n
}

// at reports whether the rest begins with prefix.
func (l *locator) at(prefix string) bool { return strings.HasPrefix(l.s[l.i:], prefix) }

// blank skips white space, line ends and comments.
func (l *locator) blank() {
	for l.i < len(l.s) {
		switch l.s[l.i] {
		case ' ', '\t', '\r', '\n':
			l.next(1)
		case '#':
			l.until("\n")
		default:
			return
		}
	}
}

// until moves to the first of the given characters.
func (l *locator) until(chars string) {
	n := strings.IndexAny(l.s[l.i:], chars)
	if n < 0 {
		n = len(l.s) - l.i
	}
	l.next(n)
}

func (l *locator) spaces() {
	for l.i < len(l.s) && (l.s[l.i] == ' ' || l.s[l.i] == '\t') {
		l.i++
	}
}

// header reads [table] or [[table]].
func (l *locator) header() toml.Key {
	for l.i < len(l.s) && l.s[l.i] == '[' {
		l.next(1)
	}
	table := l.key(nil)
	for l.i < len(l.s) && l.s[l.i] == ']' {
		l.next(1)
	}
	return table
}

// statement reads "key = value" in the given table.
func (l *locator) statement(table toml.Key) {
	key := l.key(table)
	l.blank()
	if l.at("=") {
		l.next(1)
	}
	l.blank()
	l.value(key)
}

// key reads a dotted key, notes it and its parents, and returns it in full.
func (l *locator) key(table toml.Key) toml.Key {
	full := append(toml.Key{}, table...)
	for {
		l.spaces()
		full = append(full, l.part())
		if name := full.String(); l.lines[name] == 0 {
			l.lines[name] = l.line
		}
		l.spaces()
		if !l.at(".") {
			return full
		}
		l.next(1)
	}
}

// part reads one part of a key: bare, "basic" or 'literal'.
func (l *locator) part() string {
	start := l.i
	if l.at(`"`) || l.at("'") {
		l.text()
		raw := l.s[start:l.i]
		if raw[0] == '"' {
			if s, err := strconv.Unquote(raw); err == nil {
				return s
			}
		}
		return strings.Trim(raw, raw[:1])
	}
	l.until(" \t\r\n.=]#")
	if l.i == start { // not a key: move on all the same
		l.next(1)
	}
	return l.s[start:l.i]
}

// value skips the value of key; the keys of an inline table are noted.
func (l *locator) value(key toml.Key) {
	switch {
	case l.at(`"`), l.at("'"):
		l.text()
	case l.at("["):
		l.list("]", func() { l.value(key) })
	case l.at("{"):
		l.list("}", func() { l.statement(key) })
	default:
		l.until(",]}\r\n#")
	}
}

// list skips what stands between brackets, with item for each item.
func (l *locator) list(end string, item func()) {
	l.next(1)
	for {
		l.blank()
		switch {
		case l.i >= len(l.s):
			return
		case l.at(end):
			l.next(1)
			return
		case l.at(","):
			l.next(1)
		default:
			start := l.i
			item()
			if l.i == start {
				l.next(1)
			}
		}
	}
}

// text skips a string of any of the four kinds.
func (l *locator) text() {
	quote := l.s[l.i : l.i+1]
	if triple := strings.Repeat(quote, 3); l.at(triple) {
		l.next(3)
		l.quoted(triple, quote == `"`)
		for l.at(quote) { // up to two quotes may stand before the closing three
			l.next(1)
		}
		return
	}
	l.next(1)
	l.quoted(quote, quote == `"`)
}

func (l *locator) quoted(end string, escapes bool) {
	for l.i < len(l.s) && !l.at(end) {
		if escapes && l.s[l.i] == '\\' {
			l.next(1)
		}
		l.next(1)
	}
	l.next(len(end))
}
