package query

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"maild/appliance/spelling"
)

// fieldNames are all there are, for the complaint about one that is not.
func fieldNames() []string {
	return []string{"from", "to", "cc", "subject", "body", "list", "id", "thread", "header", "in", "account", "domain", "is", "has", "keyword",
		"before", "after", "date", "sent", "larger", "smaller", "size"}
}

// fieldTerm reads the value of a field, whose name and colon have been read.
func (p *parser) fieldTerm(name string, start int) (Expr, error) {
	switch name {
	case "from":
		return p.textField(From, start)
	case "to":
		return p.textField(To, start)
	case "cc":
		return p.textField(Cc, start)
	case "subject":
		return p.textField(Subject, start)
	case "body":
		if !p.o.Body {
			return nil, p.notIndexed(start)
		}
		return p.textField(Body, start)
	case "header":
		return p.headerField(start)
	}
	if !slices.Contains(fieldNames(), name) {
		return nil, p.noField(name, start)
	}
	valueAt := p.at
	text, wasQuoted, err := p.value(name+":", start)
	if err != nil {
		return nil, err
	}
	if name == "in" {
		return p.folder(text, wasQuoted, start)
	}
	if err := p.oneValue(name+":", text, wasQuoted, start); err != nil {
		return nil, err
	}
	return p.valueTerm(name, text, valueAt)
}

// oneValue refuses an empty value, and a star that would be taken for a part of it.
func (p *parser) oneValue(name, text string, wasQuoted bool, start int) error {
	switch {
	case strings.TrimSpace(text) == "":
		return p.nothingAfter(name, start)
	case !wasQuoted && strings.HasSuffix(text, "*"):
		return p.fault(p.at-1, name+" takes no star", "leave it out, or put the value in quotes if the star belongs to it")
	case wasQuoted && p.peek() == '*':
		return p.fault(p.at, name+" takes no star", "leave it out, or put it within the quotes if it belongs to the value")
	}
	return nil
}

// valueTerm makes the condition of a field that takes one value, which stands at an offset.
func (p *parser) valueTerm(name, text string, valueAt int) (Expr, error) {
	switch name {
	case "list":
		return Header{"List-Id", text}, nil
	case "id", "thread":
		id := messageID(text)
		if id == (ID{}) {
			return nil, p.fault(valueAt, "an empty id", "write the number that a search shows, or <the Message-ID>")
		}
		if name == "thread" {
			return Thread{id}, nil
		}
		return id, nil
	case "account":
		return Account{strings.ToLower(text)}, nil
	case "domain":
		domain := strings.ToLower(strings.TrimLeft(text, "@"))
		if domain == "" {
			return nil, p.fault(valueAt, "an empty domain", "write domain:example.org")
		}
		return Domain{domain}, nil
	case "is", "has", "keyword":
		return p.stateField(name, text, valueAt)
	case "before", "after", "date", "sent":
		return p.timeField(name, text, valueAt)
	}
	return p.sizeField(name, text, valueAt)
}

func (p *parser) notIndexed(at int) error {
	return p.fault(at, "the text of messages is not indexed",
		"set body = true in [index] of the configuration and restart maild: it takes about as much disk as the text")
}

// noField complains about a name that is no field. One letter wrong is a slip; beyond that, what is near is a guess, and the list helps more.
func (p *parser) noField(name string, start int) error {
	near := nearest(name, fieldNames())
	remedy := "the fields are " + strings.Join(fieldNames(), ": ") + ": (or put it in quotes)"
	switch {
	case near != "" && spelling.Distance(name, near) == 1:
		remedy = "did you mean " + near + ":?"
	case near != "":
		remedy = "did you mean " + near + ":? " + remedy
	}
	return p.fault(start, name+": is no field", remedy)
}

// textField reads words after from:, subject: and the like, or a group of them.
func (p *parser) textField(f Field, start int) (Expr, error) {
	if p.peek() == '(' {
		was, inside := p.field, p.inside
		p.field, p.inside = f, true
		x, err := p.group()
		p.field, p.inside = was, inside
		return x, err
	}
	whole := isAddress(f) && p.peek() == '='
	if whole {
		p.at++
	}
	text, wasQuoted, err := p.value(f.String()+":", start)
	if err != nil {
		return nil, err
	}
	t := Text{Field: f, Text: text}
	if isAddress(f) && !whole {
		t.Match = Substring
	}
	if wasQuoted && p.star() {
		t.Match = Prefix
	} else if rest, ok := strings.CutSuffix(text, "*"); ok && !wasQuoted {
		t.Text, t.Match = rest, Prefix
	}
	if strings.TrimSpace(t.Text) == "" {
		return nil, p.fault(start, "nothing to look for after "+f.String()+":", "write a word there")
	}
	return t, nil
}

// headerField reads header:Name=value.
func (p *parser) headerField(start int) (Expr, error) {
	nameAt := p.at
	for p.at < len(p.text) && p.text[p.at] > ' ' && p.text[p.at] < 0x7f && !strings.ContainsRune("=:()\"", p.text[p.at]) {
		p.at++
	}
	name := string(p.text[nameAt:p.at])
	if name == "" {
		return nil, p.fault(start, "header: without the name of a field", "write header:Name=value, or header:Name for its presence")
	}
	switch r := p.peek(); {
	case r == -1 || r == ')' || unicode.IsSpace(r):
		return Header{Name: name}, nil
	case r != '=':
		return nil, p.fault(p.at, "the name of a field cannot go on like this", "write header:"+name+"=value, or header:"+name+" for its presence")
	}
	p.at++
	label := "header:" + name + "="
	text, wasQuoted, err := p.value(label, start)
	if err != nil {
		return nil, err
	}
	if err := p.oneValue(label, text, wasQuoted, start); err != nil {
		return nil, err
	}
	return Header{name, text}, nil
}

// messageID reads a number, which is digits only, or a Message-ID.
func messageID(text string) ID {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 && text[0] != '+' {
		return ID{Number: n}
	}
	return ID{MessageID: strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">")}
}

// folder makes the condition of in:. A star within quotes belongs to the name; in:* is every folder.
func (p *parser) folder(text string, wasQuoted bool, start int) (Expr, error) {
	name, below := text, false
	if wasQuoted {
		below = p.star()
	} else {
		name, below = strings.CutSuffix(text, "*")
	}
	if name == "" && !below {
		return nil, p.nothingAfter("in:", start)
	}
	// RFC 3501 §5.1: INBOX is the same in any case.
	if strings.EqualFold(name, "INBOX") {
		name = "INBOX"
	}
	return Folder{name, below}, nil
}

// flagName is a flag as it is asked for.
type flagName struct {
	name   string
	letter byte
}

// flagNames are the flags by their names, the first of each being the one that is written.
func flagNames() []flagName {
	return []flagName{{"read", 'S'}, {"seen", 'S'}, {"flagged", 'F'}, {"starred", 'F'}, {"replied", 'R'}, {"answered", 'R'}, {"draft", 'D'},
		{"trashed", 'T'}, {"deleted", 'T'}, {"passed", 'P'}, {"forwarded", 'P'}}
}

// stateField reads is:, has: and keyword:.
func (p *parser) stateField(name, text string, at int) (Expr, error) {
	word := strings.ToLower(text)
	switch {
	case name == "has":
		if word == "attachment" || word == "attachments" {
			return Attachment{}, nil
		}
		return nil, p.fault(at, "has:"+text+" is not known", "write has:attachment")
	case name == "keyword":
		if len(text) == 1 && text[0] >= 'a' && text[0] <= 'z' {
			return Flag{text[0]}, nil
		}
		return nil, p.fault(at, "a keyword is one letter from a to z", "write keyword:a")
	case word == "recent" || word == "new":
		return New{}, nil
	}
	known := []string{"recent", "new"}
	for _, n := range flagNames() {
		known = append(known, n.name, "un"+n.name)
		switch word {
		case n.name:
			return Flag{n.letter}, nil
		case "un" + n.name:
			return Not{Flag{n.letter}}, nil
		}
	}
	remedy := "write is: and one of unread, read, flagged, replied, draft, trashed, passed, recent"
	if near := nearest(word, known); near != "" {
		remedy = "did you mean is:" + near + "?"
	}
	return nil, p.fault(at, "is:"+text+" is not known", remedy)
}

// sizeField reads larger:, smaller: and size:.
func (p *parser) sizeField(name, text string, at int) (Expr, error) {
	if from, below, ok := strings.Cut(text, "..<"); ok && name == "size" {
		f, err1 := strconv.ParseInt(from, 10, 64)
		b, err2 := strconv.ParseInt(below, 10, 64)
		if err1 == nil && err2 == nil && f > 0 && b > 0 && f >= b {
			return nil, p.fault(at, "the range ends before it begins", "write the smaller size first")
		}
		if err1 == nil && err2 == nil && f >= 0 && b >= 0 {
			return Octets{f, b}, nil
		}
	}
	n, ok := parseSize(text)
	if !ok || n == 0 || n == math.MaxInt64 {
		return nil, p.fault(at, text+" is no size", "write a number of octets above 0, or 25k, 10M, 1G")
	}
	switch name {
	case "larger":
		return Octets{From: n + 1}, nil
	case "smaller":
		return Octets{Below: n}, nil
	}
	return Octets{From: n, Below: n + 1}, nil
}

// parseSize reads a number of octets: k, M, G and T are steps of 1024, as are KiB and its like; kB and its like are steps of 1000.
func parseSize(s string) (int64, bool) {
	digits := strings.TrimRight(s, "kKmMgGtTiIbB")
	unit := strings.ToLower(s[len(digits):])
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	if unit == "" || unit == "b" {
		return n, true
	}
	power := strings.IndexByte("kmgt", unit[0]) + 1
	var step int64
	switch unit[1:] {
	case "", "ib":
		step = 1024
	case "b":
		step = 1000
	}
	if power == 0 || step == 0 {
		return 0, false
	}
	for range power {
		if n > math.MaxInt64/step {
			return 0, false
		}
		n *= step
	}
	return n, true
}

// nearest is the known word that is meant by a misspelt one; "" when none is near.
func nearest(word string, known []string) string { return spelling.Nearest(word, known, 2) }
