package aliases

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"maild/appliance/mail"
)

// logicalLine is a line and those that continue it, without their line ends.
type logicalLine struct {
	number int // of its first line, from 1
	text   string
}

// logicalLines puts the lines of a file together: a line that begins with white
// space goes on with the one before. Empty lines and comments are left out, also
// in the middle of another.
func logicalLines(text string) []logicalLine {
	var list []logicalLine
	var parts []string // of the line at hand
	end := func() {
		if len(parts) > 0 {
			list[len(list)-1].text = strings.Join(parts, " ")
		}
		parts = nil
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#':
		case (line[0] == ' ' || line[0] == '\t') && len(list) > 0:
			parts = append(parts, trimmed)
		default:
			end()
			list = append(list, logicalLine{number: number})
			parts = append(parts, trimmed)
		}
	}
	end()
	return list
}

// parsed is one line as it was understood, before its :include: files are read.
type parsed struct {
	name     string
	targets  []Target
	includes []string // paths
	refused  []string // what is not done for anybody: pipes and files
	faults   []string // targets that make no sense
}

// parseLine reads NAME: TARGET, TARGET.
func parseLine(text string) (parsed, error) {
	name, rest, quoted, err := cutName(text)
	if err != nil {
		return parsed{}, err
	}
	switch {
	case name == "":
		return parsed{}, fmt.Errorf("there is no name before the colon")
	case strings.Contains(name, "@") && !quoted:
		return parsed{}, fmt.Errorf("%q has a domain: only names of this host stand here: use \"mailctl alias add\" for others", name)
	case len(name) > mail.MaxLocalPartOctets || !printable(name):
		return parsed{}, fmt.Errorf("%q is no name that an address could have", name)
	}
	p := parsed{name: name}
	p.add(rest)
	if len(p.targets)+len(p.includes)+len(p.refused)+len(p.faults) == 0 {
		return parsed{}, fmt.Errorf("%q leads nowhere: write NAME: TARGET", name)
	}
	return p, nil
}

// cutName takes the name, which may be in quotes, and the colon from a line.
func cutName(text string) (name, rest string, quoted bool, err error) {
	if strings.HasPrefix(text, `"`) {
		word, after, ok := cutQuoted(text)
		if !ok {
			return "", "", true, fmt.Errorf("a quote is not closed")
		}
		rest, ok := strings.CutPrefix(strings.TrimSpace(after), ":")
		if !ok {
			return "", "", true, fmt.Errorf("there is no colon after the name: write NAME: TARGET")
		}
		return word, rest, true, nil
	}
	name, rest, ok := strings.Cut(text, ":")
	if !ok {
		return "", "", false, fmt.Errorf("there is no colon after the name: write NAME: TARGET")
	}
	name = strings.TrimSpace(name)
	if strings.ContainsAny(name, " \t\",<>()|") {
		return "", "", false, fmt.Errorf("%q is no name: put it in quotes if it is meant", name)
	}
	return name, rest, false, nil
}

// cutQuoted takes a quoted word, its quotes and escapes undone, from the front.
func cutQuoted(s string) (word, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// add reads targets with commas between them.
func (p *parsed) add(list string) {
	for _, word := range words(list) {
		p.target(word)
	}
}

// words splits at commas that do not stand in quotes.
func words(list string) []string {
	var out []string
	begin, inQuotes := 0, false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\' && inQuotes:
			i++
		case c == '"':
			inQuotes = !inQuotes
		case c == ',' && !inQuotes:
			out = append(out, list[begin:i])
			begin = i + 1
		}
	}
	out = append(out, list[begin:])
	kept := out[:0]
	for _, w := range out {
		if w = strings.TrimSpace(w); w != "" {
			kept = append(kept, w)
		}
	}
	return kept
}

// target reads one target.
func (p *parsed) target(word string) {
	bare := word
	if strings.HasPrefix(word, `"`) {
		if inner, after, ok := cutQuoted(word); ok && strings.TrimSpace(after) == "" {
			bare = inner // "|command with spaces", "/file, with comma"
		}
	}
	switch {
	case strings.HasPrefix(bare, "|"):
		p.refused = append(p.refused, word)
	case strings.HasPrefix(bare, "/"):
		p.refused = append(p.refused, word)
	case len(bare) >= len(":include:") && strings.EqualFold(bare[:len(":include:")], ":include:"):
		path := strings.TrimSpace(bare[len(":include:"):])
		if inner, after, ok := cutQuoted(path); ok && strings.HasPrefix(path, `"`) && after == "" {
			path = inner
		}
		if !strings.HasPrefix(path, "/") {
			p.faults = append(p.faults, fmt.Sprintf("%s names no absolute path", quote(word)))
			return
		}
		p.includes = append(p.includes, path)
	case strings.HasPrefix(bare, ":"):
		p.faults = append(p.faults, fmt.Sprintf("%s is not known here", quote(word)))
	default:
		t, err := parseTarget(word)
		if err != nil {
			p.faults = append(p.faults, err.Error())
			return
		}
		p.targets = append(p.targets, t)
	}
}

// parseTarget reads a name of this host or an address, as in
// ann, \ann, "ann b", ann@example.org, <ann@example.org>, Ann <ann@example.org>.
func parseTarget(word string) (Target, error) {
	var t Target
	s := word
	if i := strings.LastIndexByte(s, '<'); i >= 0 && strings.HasSuffix(s, ">") {
		s = s[i+1 : len(s)-1]
	}
	if rest, ok := strings.CutPrefix(s, `\`); ok {
		s, t.Literal = rest, true
	}
	if strings.HasPrefix(s, `"`) {
		if inner, after, ok := cutQuoted(s); ok && after == "" {
			if rest, ok := strings.CutPrefix(inner, `\`); ok {
				inner, t.Literal = rest, true
			}
			if strings.Contains(inner, "@") {
				s = inner // "ann@example.org" as a whole
			} else {
				t.Address = mail.Address{Local: inner}
				return t, checkLocal(inner, word)
			}
		}
	}
	if !strings.Contains(s, "@") {
		t.Address = mail.Address{Local: s}
		if strings.ContainsAny(s, " \t\"<>()[]:;\\") {
			return Target{}, fmt.Errorf("%s is no address: put it in quotes if it is a name", quote(word))
		}
		return t, checkLocal(s, word)
	}
	a, err := mail.ParseAddress(s)
	if err != nil {
		return Target{}, fmt.Errorf("%s is no address: %w", quote(word), err)
	}
	t.Address = a
	return t, nil
}

func checkLocal(s, word string) error {
	if s == "" || len(s) > mail.MaxLocalPartOctets || !printable(s) {
		return fmt.Errorf("%s is no name that an address could have", quote(word))
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// quote makes a word of the file harmless and short in a log line.
func quote(word string) string {
	const most = 80
	if len(word) > most {
		word = word[:most] + "…"
	}
	return fmt.Sprintf("%q", word)
}
