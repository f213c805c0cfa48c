package query

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxDepth  = 50  // of parentheses and negations
	maxLeaves = 500 // conditions; SQLite bounds the depth of what is made of them
)

// Options are what a text alone does not tell.
type Options struct {
	Now  time.Time      // for today, 3d and the like, which are errors without it
	Zone *time.Location // of days; nil = UTC
	Body bool           // the text of messages is indexed: body: can be asked for
	Text bool           // words without a field are looked for in the text of messages, as after body:
}

// Parse reads a query. An empty one asks for everything. Nested And and Or are flattened, and a Not of a Not is left out. The error is a
// *SyntaxError. It may be called by several goroutines.
func Parse(text string, o Options) (Expr, error) {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	p := &parser{o: o, query: text, text: []rune(text)}
	if i := strings.IndexByte(text, 0); i >= 0 {
		return nil, p.fault(utf8.RuneCountInString(text[:i]), "a NUL character", "leave it out")
	}
	if !utf8.ValidString(text) {
		return nil, p.fault(invalidAt(text), "the query is not UTF-8", "set the terminal to UTF-8")
	}
	x, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.peek() == ')' {
		return nil, p.fault(p.at, "a ) without its (", "remove it, or put it in quotes")
	}
	return x, nil
}

// invalidAt counts the characters before the first octet that is not UTF-8.
func invalidAt(text string) (n int) {
	for i, r := range text {
		if _, size := utf8.DecodeRuneInString(text[i:]); r == utf8.RuneError && size == 1 {
			break
		}
		n++
	}
	return n
}

type parser struct {
	o      Options
	query  string
	text   []rune
	at     int
	depth  int
	leaves int
	field  Field // of the group that is being read
	inside bool  // of field:( )
}

// or reads parts with OR between them.
func (p *parser) or() (Expr, error) {
	var list Or
	for {
		x, err := p.and()
		if err != nil {
			return nil, err
		}
		if more, ok := x.(Or); ok {
			list = append(list, more...)
		} else {
			list = append(list, x)
		}
		start := p.at
		if !p.word("OR") {
			break
		}
		if p.atEnd() || p.operatorNext() {
			return nil, p.fault(start, "OR with nothing after it", "write what else may hold, or put OR in quotes")
		}
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return list, nil
}

// and reads parts that follow each other, with or without AND.
func (p *parser) and() (Expr, error) {
	list := And{}
	for _, operator := range []string{"OR", "AND"} {
		if p.next(operator) {
			return nil, p.fault(p.at, operator+" with nothing before it", "write a condition before it, or put "+operator+" in quotes")
		}
	}
	one := false
	for !p.atEnd() && !p.orNext() {
		start := p.at
		if p.word("AND") {
			if p.atEnd() || p.operatorNext() {
				return nil, p.fault(start, "AND with nothing after it", "write what else must hold, or put AND in quotes")
			}
			continue
		}
		x, err := p.not()
		if err != nil {
			return nil, err
		}
		one = true
		if more, ok := x.(And); ok {
			list = append(list, more...)
		} else {
			list = append(list, x)
		}
	}
	if len(list) == 1 && one {
		return list[0], nil
	}
	return list, nil
}

func (p *parser) not() (Expr, error) {
	p.space()
	start := p.at
	operator := "NOT"
	if p.peek() == '-' {
		operator = "-"
		p.at++
	} else if !p.word("NOT") {
		return p.primary()
	}
	if p.depth++; p.depth > maxDepth {
		return nil, p.tooDeep(start)
	}
	defer func() { p.depth-- }()
	apart := operator == "-" && p.at < len(p.text) && unicode.IsSpace(p.text[p.at])
	if apart || p.atEnd() || p.operatorNext() {
		return nil, p.fault(start, operator+" with nothing after it", "write what must not hold right after it, or put "+operator+" in quotes")
	}
	x, err := p.not()
	if err != nil {
		return nil, err
	}
	if n, ok := x.(Not); ok {
		return n.X, nil
	}
	return Not{x}, nil
}

func (p *parser) primary() (Expr, error) {
	p.space()
	if p.peek() == '(' {
		return p.group()
	}
	if p.leaves++; p.leaves > maxLeaves {
		return nil, p.fault(p.at, "too many conditions", "ask in several steps: at most 500 are possible")
	}
	return p.term()
}

// group reads what stands in parentheses.
func (p *parser) group() (Expr, error) {
	start := p.at
	if p.depth++; p.depth > maxDepth {
		return nil, p.tooDeep(start)
	}
	defer func() { p.depth-- }()
	p.at++
	if p.atEnd() && p.peek() == ')' {
		return nil, p.fault(start, "nothing within the parentheses", "write a word there, or leave them out")
	}
	x, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.peek() != ')' {
		return nil, p.fault(start, "a ( without its )", "close it, or put it in quotes")
	}
	p.at++
	return x, nil
}

func (p *parser) tooDeep(at int) error {
	return p.fault(at, "too many parentheses or negations within each other", "ask in a flatter form: at most 50 are possible")
}

// term reads one condition.
func (p *parser) term() (Expr, error) {
	start := p.at
	if isQuote(p.peek()) {
		text, err := p.quoted()
		if err != nil {
			return nil, err
		}
		return p.words(text, p.star(), start)
	}
	name := p.name()
	if name == "" {
		return p.bare()
	}
	if p.inside {
		return nil, p.fault(start, "a condition of its own within "+p.field.String()+":( )", "only words stand there: close the parenthesis before it")
	}
	p.at += len([]rune(name)) + 1
	return p.fieldTerm(strings.ToLower(name), start)
}

// name gives what stands before a colon, if that can be the name of a field: ASCII letters.
func (p *parser) name() string {
	for i := p.at; i < len(p.text); i++ {
		r := p.text[i]
		if r == ':' && i > p.at {
			if i+2 < len(p.text) && p.text[i+1] == '/' && p.text[i+2] == '/' {
				return "" // an address of the web
			}
			return string(p.text[p.at:i])
		}
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return ""
		}
	}
	return ""
}

// bare reads a word without a field.
func (p *parser) bare() (Expr, error) {
	start := p.at
	text := p.run()
	if text == "*" && !p.inside {
		return And{}, nil
	}
	if rest, ok := strings.CutSuffix(text, "*"); ok {
		return p.words(rest, true, start)
	}
	return p.words(text, false, start)
}

// words makes a condition of words that have no field of their own.
func (p *parser) words(text string, prefix bool, start int) (Expr, error) {
	if strings.TrimSpace(text) == "" {
		return nil, p.fault(start, "nothing to look for", "write a word there")
	}
	t := Text{Field: Any, Text: text}
	switch {
	case p.inside:
		t.Field = p.field
		if isAddress(p.field) {
			t.Match = Substring
		}
	case p.o.Text && !p.o.Body:
		return nil, p.notIndexed(start)
	case p.o.Text:
		t.Field = Body
	}
	if prefix {
		t.Match = Prefix
	}
	return t, nil
}

func isAddress(f Field) bool { return f == From || f == To || f == Cc }

// run reads up to white space or a parenthesis. Quotes within belong to it.
func (p *parser) run() string {
	start := p.at
	for p.at < len(p.text) && !unicode.IsSpace(p.text[p.at]) && p.text[p.at] != '(' && p.text[p.at] != ')' {
		p.at++
	}
	if p.at == start {
		p.at++ // never stands still
	}
	return string(p.text[start:p.at])
}

// isQuote reports whether r begins a text in quotes, as keyboards and word processors have them.
func isQuote(r rune) bool { return r == '"' || r == '“' || r == '”' || r == '„' }

// quoted reads what stands in quotes. One that begins with " ends with "; one that begins with a typographic quote ends with any.
func (p *parser) quoted() (string, error) {
	start := p.at
	plain := p.peek() == '"'
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		switch r := p.text[p.at]; {
		case r == '\\' && p.at+1 < len(p.text) && (p.text[p.at+1] == '\\' || isQuote(p.text[p.at+1])):
			p.at++
			b.WriteRune(p.text[p.at])
		case r == '"', isQuote(r) && !plain:
			p.at++
			return b.String(), nil
		default:
			b.WriteRune(r)
		}
	}
	return "", p.fault(start, "a quote without its end", `close it with ", or write \" for a quote that is looked for`)
}

// star takes a star, which says that the last word may go on.
func (p *parser) star() bool {
	if p.peek() == '*' {
		p.at++
		return true
	}
	return false
}

// value reads what stands after the colon of a field, or after the = of header:Name=. name is written with that. An empty text in quotes is for
// the caller to refuse, who may let a star follow it.
func (p *parser) value(name string, start int) (text string, wasQuoted bool, err error) {
	if isQuote(p.peek()) {
		text, err = p.quoted()
		return text, true, err
	}
	if p.peek() == '(' {
		return "", false, p.fault(p.at, name+" takes no parentheses", "write "+name+"VALUE, once for each with OR between them")
	}
	if p.at < len(p.text) && !unicode.IsSpace(p.text[p.at]) && p.peek() != ')' {
		text = p.run()
	}
	if text == "" {
		return "", false, p.nothingAfter(name, start)
	}
	return text, false, nil
}

func (p *parser) nothingAfter(name string, start int) error {
	return p.fault(start, name+" with nothing after it", "write "+name+"VALUE without a space, or put it in quotes to look for the word")
}

func (p *parser) peek() rune {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return -1
}

func (p *parser) space() {
	for p.at < len(p.text) && unicode.IsSpace(p.text[p.at]) {
		p.at++
	}
}

// atEnd reports whether the text, or the group, is at its end.
func (p *parser) atEnd() bool {
	p.space()
	return p.at >= len(p.text) || p.text[p.at] == ')'
}

// next reports whether an operator stands here, as a word of its own.
func (p *parser) next(operator string) bool {
	p.space()
	op := []rune(operator)
	end := p.at + len(op)
	return end <= len(p.text) && slices.Equal(p.text[p.at:end], op) &&
		(end == len(p.text) || unicode.IsSpace(p.text[end]) || p.text[end] == '(' || p.text[end] == ')')
}

func (p *parser) orNext() bool       { return p.next("OR") }
func (p *parser) operatorNext() bool { return p.next("OR") || p.next("AND") }

// word takes an operator that stands here.
func (p *parser) word(operator string) bool {
	if !p.next(operator) {
		return false
	}
	p.at += len(operator)
	return true
}
