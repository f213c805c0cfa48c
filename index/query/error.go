package query

import (
	"fmt"
	"strings"
	"unicode"
)

// SyntaxError says what is wrong with a query, where, and what to write instead.
type SyntaxError struct {
	Query   string
	Column  int // of the first character that is wrong, counted in characters from 1; one more than there are is the end
	Problem string
	Remedy  string
}

// Error is one line.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("column %d: %s: %s", e.Column, e.Problem, e.Remedy)
}

// Pointer is the query on one line and, on the next, a caret under the column. Control characters are shown as spaces.
func (e *SyntaxError) Pointer() string {
	var line, below strings.Builder
	column := 0
	for _, r := range e.Query {
		if column++; !unicode.IsPrint(r) {
			r = ' '
		}
		line.WriteRune(r)
		if column < e.Column && !unicode.In(r, unicode.Mn, unicode.Me) { // a combining mark takes no room
			below.WriteByte(' ')
			if isWide(r) {
				below.WriteByte(' ')
			}
		}
	}
	return line.String() + "\n" + below.String() + "^"
}

// isWide reports whether a terminal gives r two columns.
func isWide(r rune) bool {
	return r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
		r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1faff || r >= 0x20000)
}

// fault makes the error for what stands at an offset.
func (p *parser) fault(at int, problem, remedy string) error {
	return &SyntaxError{Query: p.query, Column: min(at, len(p.text)) + 1, Problem: problem, Remedy: remedy}
}
