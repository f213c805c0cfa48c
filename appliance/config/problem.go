package config

import (
	"fmt"
	"strings"

	"maild/appliance/spelling"
)

// Problem is one thing wrong with a configuration file.
type Problem struct {
	File   string // as it was given to Parse
	Line   int    // from 1; 0 when the fault stands on no line
	Text   string // what is wrong, the key or value quoted
	Remedy string // what to write instead; may be empty
}

// Error is the problem as one line, "maild.toml:7: unknown key …".
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": " + p.Text)
	if p.Remedy != "" {
		b.WriteString(": " + p.Remedy)
	}
	return b.String()
}

// Problems is everything wrong with a configuration file, in the order of its
// lines. It is never empty when returned as an error.
type Problems []Problem

// Error is one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives each problem on its own.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// nearest gives the candidate that s most likely meant, or "" if none is near: at most one edit in three letters.
func nearest(s string, candidates []string) string {
	return spelling.Nearest(s, candidates, max(1, len(s)/3))
}
