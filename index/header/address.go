package header

import "strings"

// Address is one mailbox of an address field, decoded.
type Address struct {
	Name string // display name, else the comment, else text that is no address at all
	Addr string // local-part@domain as written, without brackets, source route and comments; "" when there is none
}

// Addresses reads an address field (RFC 5322 §3.4), and what real mail has in place of one. Groups are
// dissolved (an empty one leaves its name), quoted names unquoted, encoded words decoded, a missing bracket is forgiven, commas and
// semicolons both separate. Text without an address is kept as a Name, so that nothing that was written is lost to a search.
func Addresses(raw string) []Address {
	return decoder{}.addresses(raw)
}

func (d decoder) addresses(raw string) []Address {
	if strings.Contains(raw, "\x1b$") {
		raw = d.text(raw) // two-octet Japanese contains what looks like quotes and commas
	}
	p := addressParser{d: d, s: raw, words: wordScanner{s: raw}, lastSemicolon: strings.LastIndexByte(raw, ';')}
	for p.at < len(p.s) {
		p.step()
	}
	p.endMailbox()
	return p.found
}

// FormatAddresses writes addresses as `Name <addr>, addr, Name`. A name that contains characters with a meaning in an address field is
// put in quotes, so that the result can be read by Addresses again.
func FormatAddresses(list []Address) string {
	var b strings.Builder
	for i, a := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		switch {
		case a.Name == "":
			b.WriteString(a.Addr)
		case a.Addr == "":
			writeName(&b, a.Name)
		default:
			writeName(&b, a.Name)
			b.WriteString(" <")
			b.WriteString(a.Addr)
			b.WriteByte('>')
		}
	}
	return b.String()
}

func writeName(b *strings.Builder, name string) {
	if !strings.ContainsAny(name, "\"(),:;<>@[\\]") {
		b.WriteString(name)
		return
	}
	b.WriteByte('"')
	for i := range len(name) {
		if name[i] == '"' || name[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(name[i])
	}
	b.WriteByte('"')
}

// addressParser reads an address field from left to right. An opening quote, parenthesis or bracket
// that is never closed stands for itself; the search for its partner fails once for the whole field, which keeps the work linear.
type addressParser struct {
	d             decoder
	s             string
	at            int
	words         wordScanner
	lastSemicolon int
	noQuote       bool // no closing quote is left
	noParen       bool // no closing parenthesis is left
	noBracket     bool // no closing square bracket is left
	noAngle       bool // no closing angle bracket is left

	text    strings.Builder // the mailbox so far, outside of angle brackets and comments
	comment string
	angle   string
	bracket bool // an angle address was met
	named   int  // length of text then
	group   string
	members int // mailboxes since the group began

	found []Address
}

// step takes one lexical element.
func (p *addressParser) step() {
	switch c := p.s[p.at]; c {
	case '"':
		p.quoted()
	case '(':
		p.parenthesis()
	case '<':
		p.angleAddress()
	case ',':
		p.endMailbox()
		p.at++
	case ';':
		p.endMailbox()
		p.endGroup()
		p.at++
	case ':':
		p.colon()
	case '[':
		p.domainLiteral()
	case '>':
		p.at++ // one too many
	case '=':
		p.encodedWord()
	default:
		p.literal(plainLength(p.s[p.at:]))
	}
}

// encodedWord takes an encoded word whole: commas and brackets in it separate nothing.
func (p *addressParser) encodedWord() {
	if strings.HasPrefix(p.s[p.at:], "=?") {
		if w, ok := p.words.at(p.at); ok {
			p.literal(w.end - p.at)
			return
		}
	}
	p.literal(1)
}

// domainLiteral takes `[192.0.2.1]` whole: an IPv6 one contains colons.
func (p *addressParser) domainLiteral() {
	n := 1
	if !p.noBracket {
		n = strings.IndexByte(p.s[p.at:], ']') + 1
		p.noBracket = n == 0
	}
	p.literal(n)
}

// plainLength is the length of the text before the next character with a meaning, at least 1.
func plainLength(s string) int {
	if i := strings.IndexAny(s[1:], "\"(<>,;:[="); i >= 0 {
		return i + 1
	}
	return len(s)
}

// literal takes the next n octets as text.
func (p *addressParser) literal(n int) {
	n = max(n, 1)
	p.text.WriteString(p.s[p.at : p.at+n])
	p.at += n
}

// quoted takes a quoted string. One that is followed by "@" is a local-part and keeps its quotes.
func (p *addressParser) quoted() {
	content, n := "", 0
	if !p.noQuote {
		content, n = unquote(p.s[p.at:])
	}
	if n == 0 {
		p.noQuote = true
		p.at++
		return
	}
	if strings.HasPrefix(p.s[p.at+n:], "@") && strings.TrimSpace(p.text.String()) == "" {
		end := n + addrLength(p.s[p.at+n:])
		p.angle, p.bracket, p.named = strings.TrimRight(p.s[p.at:p.at+end], ":"), true, p.text.Len()
		p.at += end
		return
	}
	p.text.WriteString(content)
	p.at += n
}

// addrLength is the length of an address' text up to the next separator.
func addrLength(s string) int {
	if i := strings.IndexAny(s, " \t,;<>()\""); i >= 0 {
		return i
	}
	return len(s)
}

// unquote reads the quoted string s starts with; n is its length, 0 when it is not closed.
func unquote(s string) (content string, n int) {
	i := strings.IndexAny(s[1:], `"\`) + 1
	if i > 0 && s[i] == '"' {
		return s[1:i], i + 1
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), i + 1
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", 0
}

// parenthesis takes a comment (RFC 5322 §3.2.2), which may contain others.
func (p *addressParser) parenthesis() {
	n := 0
	if !p.noParen {
		n = commentLength(p.s[p.at:])
	}
	if n == 0 {
		p.noParen = true
		p.literal(1)
		return
	}
	if p.comment == "" {
		p.comment = p.s[p.at+1 : p.at+n-1]
	}
	p.text.WriteByte(' ')
	p.at += n
}

// commentLength is the length of the comment s starts with, 0 when it is not closed.
func commentLength(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// angleAddress takes `<…>`. Where the bracket is not closed, it ends at the next separator.
func (p *addressParser) angleAddress() {
	inside := p.s[p.at+1:]
	n := -1
	if !p.noAngle {
		n = closingAngle(inside)
	}
	rest := n + 1
	if n < 0 {
		p.noAngle = true
		n = addrLength(strings.TrimLeft(inside, " \t")) + len(inside) - len(strings.TrimLeft(inside, " \t"))
		rest = n
	}
	if p.bracket {
		p.splitMailbox()
	}
	p.angle, p.bracket, p.named = strings.TrimLeft(inside[:n], "< \t"), true, p.text.Len()
	p.at += 1 + rest
}

// splitMailbox ends a mailbox that another follows without a comma: what was written after its address is the name of the next.
func (p *addressParser) splitMailbox() {
	name, next := p.text.String()[:p.named], p.text.String()[p.named:]
	p.text.Reset()
	p.text.WriteString(name)
	p.endMailbox()
	p.text.WriteString(next)
}

// closingAngle is the offset of the ">" that closes the address, outside of quotes if that is possible.
func closingAngle(s string) int {
	plain := strings.IndexByte(s, '>')
	if plain < 0 || !strings.HasPrefix(s, `"`) {
		return plain
	}
	if _, n := unquote(s); n > 0 {
		if i := strings.IndexByte(s[n:], '>'); i >= 0 {
			return n + i
		}
	}
	return plain
}

// colon begins a group (RFC 5322 §3.4) if something ends it, and is text if not.
func (p *addressParser) colon() {
	name := strings.TrimSpace(p.text.String())
	if p.lastSemicolon < p.at || p.bracket || name == "" || strings.Contains(name, "@") {
		p.literal(1)
		return
	}
	p.group, p.members = name, 0
	p.text.Reset()
	p.comment = ""
	p.at++
}

func (p *addressParser) endGroup() {
	if p.group != "" && p.members == 0 {
		p.add(Address{Name: p.d.decode(p.group)})
	}
	p.group = ""
}

// endMailbox makes an Address of what was gathered.
func (p *addressParser) endMailbox() {
	text := strings.TrimSpace(p.text.String())
	var a Address
	if p.bracket {
		a = Address{Name: p.d.decode(text), Addr: p.d.decode(cleanAddr(p.angle))}
	} else {
		name, addrs := splitBare(text)
		a.Name = p.d.decode(name)
		for i, addr := range addrs {
			if addr = p.d.decode(addr); i < len(addrs)-1 {
				p.add(Address{Addr: addr})
			} else {
				a.Addr = addr
			}
		}
	}
	commentOnly, members := a == (Address{}), p.members
	if a.Name == "" && p.comment != "" {
		a.Name = p.d.decode(p.comment)
	}
	p.add(a)
	if commentOnly {
		p.members = members // a comment is no member of a group
	}
	p.text.Reset()
	p.comment, p.angle, p.bracket, p.named = "", "", false, 0
}

func (p *addressParser) add(a Address) {
	if a != (Address{}) {
		p.found = append(p.found, a)
		p.members++
	}
}

// cleanAddr removes white space round dots and "@", comments, and a source route (RFC 5321 §4.1.2: `@a,@b:user@c`).
func cleanAddr(s string) string {
	if !strings.Contains(s, `"`) {
		text, open := withoutComments(s)
		s = text + open
	}
	s = tighten(strings.TrimSpace(s), true)
	if strings.HasPrefix(s, "@") {
		if _, after, ok := strings.Cut(s, ":"); ok {
			s = after
		}
	}
	return s
}

// tighten removes white space next to "@" and "." (RFC 5322 §4.4 allowed it once). Outside of brackets a dot may end
// the initial of a name, so there it must stand behind an "@".
func tighten(s string, bracketed bool) string {
	if !strings.ContainsAny(s, " \t") || strings.Contains(s, `"`) {
		return s
	}
	var b strings.Builder
	last, domain := "", false // the word before, and whether an "@" stood since the last space
	for i, w := range strings.Fields(s) {
		joined := w[0] == '@' || w[0] == '.' || strings.HasSuffix(last, "@") || (strings.HasSuffix(last, ".") && (bracketed || domain))
		if i > 0 && !joined {
			b.WriteByte(' ')
			domain = false
		}
		b.WriteString(w)
		last, domain = w, domain || strings.Contains(w, "@")
	}
	return b.String()
}

// splitBare takes a mailbox without angle brackets apart: addresses only, an address among words, or words only.
func splitBare(text string) (name string, addrs []string) {
	if !strings.Contains(text, "@") {
		return text, nil
	}
	words := strings.Fields(tighten(text, false))
	var rest []string
	for _, w := range words {
		if j := strings.IndexByte(w, '@'); j > 0 && j < len(w)-1 {
			addrs = append(addrs, w)
		} else {
			rest = append(rest, w)
		}
	}
	if len(addrs) == 0 || (len(addrs) > 1 && len(rest) > 0) {
		return text, nil
	}
	return strings.Join(rest, " "), addrs
}
