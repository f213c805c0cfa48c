// Package query is the language in which messages are asked for: Parse makes a tree of a text, and the index answers it.
//
//	from:bill@acme.com subject:"annual report" is:unread -in:Trash date:2026-01..2026-03
//
// Terms are joined by AND unless OR stands between them; NOT and a leading "-" exclude; parentheses group. NOT binds tighter than AND, and AND
// tighter than OR. The operators are written in capitals: and, or, not are words to be found. A lone star, and a query of nothing, is everything.
//
// Words are matched whole, those in quotes side by side; a star at the end lets the last one go on, and anywhere else it is part of the word. A
// backslash within quotes takes the meaning from a quote or a backslash. Addresses (from:, to:, cc:) contain what is given; from:=bill asks for
// the whole word. A group after the name of a text field, as in subject:(plan OR report), holds words only.
//
// A name of ASCII letters before a colon is a field, unless "//" follows; any other word with a colon is a word.
//
// A time is a day, a month, a year, a minute or a second in Options.Zone, RFC 3339, now, today, yesterday, or an age: 12h, 3d, 2w, 1y. Within a
// range it counts as a whole, so date:2026-01..2026-03 ends with March 31st; an age reaches to now. after: is "then or later", before: is
// "before that began". Sizes are octets, or k, M, G, T in steps of 1024; kB and the like are steps of 1000, KiB and the like of 1024.
package query

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Expr is a node of a query: And, Or, Not, or one of the conditions. String gives the canonical text: Parse reads it as an equal tree, if the
// tree is one that Parse makes. A tree is never changed, so that it may be used by several goroutines.
type Expr interface {
	expr()
	String() string
}

// And holds when all of its parts do. An empty one always holds.
type And []Expr

// Or holds when one of its parts does. It has two or more.
type Or []Expr

// Not holds when X does not.
type Not struct{ X Expr }

// Field is what a Text is looked for in.
type Field uint8

const (
	Any Field = iota // From, To, Cc or Subject
	From
	To
	Cc
	Subject
	Body // the decoded text of the message and the names of attachments
)

// Match is how a Text is looked for. Case and diacritics never count.
type Match uint8

const (
	Words     Match = iota // its words side by side, each as a whole
	Prefix                 // the same, but the last one may go on
	Substring              // anywhere in the field
)

// Text asks for words.
type Text struct {
	Field Field
	Text  string
	Match Match
}

// Header asks for a field Name that contains Value, case folded. An empty Value asks that the field is there.
type Header struct{ Name, Value string }

// ID asks for one message by its number, or for those with a Message-ID (RFC 5322 §3.6.4, here without brackets).
type ID struct {
	Number    int64
	MessageID string
}

// Thread asks for all messages of the thread that a message belongs to.
type Thread struct{ ID ID }

// Account asks for an account, "user@domain", or for all of the name "user". Lower case.
type Account struct{ Name string }

// Domain asks for the accounts of a domain. Lower case.
type Domain struct{ Name string }

// Folder asks for a folder; with Below set for all whose name begins so.
type Folder struct {
	Name  string
	Below bool
}

// Flag asks for a Maildir flag (D F P R S T) or keyword (a to z).
type Flag struct{ Letter byte }

// New asks for messages that no reader has seen, those in new/.
type New struct{}

// Attachment asks for messages with an attachment.
type Attachment struct{}

// Arrived asks for a time of arrival, in UTC: From included, Before not; zero is open.
type Arrived struct{ From, Before time.Time }

// Sent is the same for the Date field.
type Sent struct{ From, Before time.Time }

// Octets asks for the size of the file in octets: at least From, less than Below; 0 is open.
type Octets struct{ From, Below int64 }

func (And) expr()        {}
func (Or) expr()         {}
func (Not) expr()        {}
func (Text) expr()       {}
func (Header) expr()     {}
func (ID) expr()         {}
func (Thread) expr()     {}
func (Account) expr()    {}
func (Domain) expr()     {}
func (Folder) expr()     {}
func (Flag) expr()       {}
func (New) expr()        {}
func (Attachment) expr() {}
func (Arrived) expr()    {}
func (Sent) expr()       {}
func (Octets) expr()     {}

func (a And) String() string {
	if len(a) == 0 {
		return "*"
	}
	parts := make([]string, len(a))
	for i, x := range a {
		parts[i] = grouped(x)
	}
	return strings.Join(parts, " ")
}

// String has parentheses only where they are needed, so that it is never nested deeper than what was parsed.
func (o Or) String() string {
	parts := make([]string, len(o))
	for i, x := range o {
		if all, ok := x.(And); ok {
			parts[i] = all.String()
		} else {
			parts[i] = grouped(x)
		}
	}
	return strings.Join(parts, " OR ")
}

// grouped puts parentheses round what has parts.
func grouped(x Expr) string {
	switch x := x.(type) {
	case And:
		if len(x) > 0 {
			return "(" + x.String() + ")"
		}
	case Or:
		return "(" + x.String() + ")"
	}
	return x.String()
}

func (n Not) String() string { return "-" + grouped(n.X) }

func (t Text) String() string {
	prefix := ""
	if t.Field != Any {
		prefix = t.Field.String() + ":"
	}
	text := prefix + quoted(t.Text)
	switch {
	case t.Match == Prefix:
		return text + "*"
	case t.Match == Words && (t.Field == From || t.Field == To || t.Field == Cc):
		return prefix + "=" + quoted(t.Text)
	}
	return text
}

// String is the name that stands before the colon.
func (f Field) String() string { return [...]string{"any", "from", "to", "cc", "subject", "body"}[f] }

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func (h Header) String() string {
	if h.Value == "" {
		return "header:" + h.Name
	}
	return "header:" + h.Name + "=" + quoted(h.Value)
}

func (i ID) String() string { return "id:" + i.value() }

func (i ID) value() string {
	if i.MessageID == "" {
		return strconv.FormatInt(i.Number, 10)
	}
	return quoted("<" + i.MessageID + ">")
}

func (t Thread) String() string  { return "thread:" + t.ID.value() }
func (a Account) String() string { return "account:" + quoted(a.Name) }
func (d Domain) String() string  { return "domain:" + quoted(d.Name) }

func (f Folder) String() string {
	if f.Below {
		return "in:" + quoted(f.Name) + "*"
	}
	return "in:" + quoted(f.Name)
}

func (f Flag) String() string {
	for _, n := range flagNames() {
		if n.letter == f.Letter {
			return "is:" + n.name
		}
	}
	return "keyword:" + string(f.Letter)
}

func (New) String() string        { return "is:recent" }
func (Attachment) String() string { return "has:attachment" }

func (a Arrived) String() string { return span("date:", a.From, a.Before) }
func (s Sent) String() string    { return span("sent:", s.From, s.Before) }

// span writes a range whose end is not included, as instants.
func span(name string, from, before time.Time) string {
	text := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Format(time.RFC3339Nano)
	}
	return name + text(from) + "..<" + text(before)
}

func (o Octets) String() string { return fmt.Sprintf("size:%d..<%d", o.From, o.Below) }

// Walk calls fn for x and, as long as fn returns true, for what is below it.
func Walk(x Expr, fn func(Expr) bool) {
	if !fn(x) {
		return
	}
	switch x := x.(type) {
	case And:
		for _, y := range x {
			Walk(y, fn)
		}
	case Or:
		for _, y := range x {
			Walk(y, fn)
		}
	case Not:
		Walk(x.X, fn)
	}
}
