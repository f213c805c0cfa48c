package index

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"maild/index/header"
	"maild/index/query"
)

// naive answers queries by looking at every message: slow, and simple enough to be believed.
type naive struct {
	messages []naiveMessage
	threads  map[query.ID]map[*naiveMessage]bool
}

type naiveMessage struct {
	Message
	fields []header.Field // decoded
	text   string
}

func (n *naive) find(x query.Expr) (keys []string) {
	for i := range n.messages {
		if n.holds(x, &n.messages[i]) {
			keys = append(keys, n.messages[i].Key)
		}
	}
	return keys
}

func (n *naive) holds(x query.Expr, m *naiveMessage) bool {
	switch x := x.(type) {
	case query.And:
		return !slices.ContainsFunc(x, func(y query.Expr) bool { return !n.holds(y, m) })
	case query.Or:
		return slices.ContainsFunc(x, func(y query.Expr) bool { return n.holds(y, m) })
	case query.Not:
		return !n.holds(x.X, m)
	case query.Text:
		return slices.ContainsFunc(m.texts(x.Field), func(text string) bool { return naiveText(x, text) })
	case query.Header:
		return slices.ContainsFunc(m.fields, func(f header.Field) bool {
			return strings.EqualFold(f.Name, x.Name) && strings.Contains(strings.ToLower(f.Value), strings.ToLower(x.Value))
		})
	case query.ID:
		return n.is(x, m)
	case query.Thread:
		return n.inThread(x.ID, m)
	case query.Account:
		local, _, _ := strings.Cut(m.Account, "@")
		return m.Account == x.Name || local == x.Name
	case query.Domain:
		return strings.HasSuffix(m.Account, "@"+x.Name)
	case query.Folder:
		return m.Folder == x.Name || x.Below && strings.HasPrefix(m.Folder, x.Name)
	case query.Flag:
		return strings.ContainsRune(m.Flags, rune(x.Letter))
	case query.New:
		return m.New
	case query.Attachment:
		return strings.Contains(m.text, "ATTACHMENT")
	case query.Arrived:
		return within(m.Arrived, x.From, x.Before)
	case query.Sent:
		return !m.Header.Date.IsZero() && within(m.Header.Date, x.From, x.Before)
	case query.Octets:
		return m.Octets >= x.From && (x.Below == 0 || m.Octets < x.Below)
	}
	panic(fmt.Sprintf("%T", x))
}

func within(t, from, before time.Time) bool {
	return !t.Before(from) && (before.IsZero() || t.Before(before))
}

func (n *naive) is(id query.ID, m *naiveMessage) bool {
	return id.MessageID != "" && m.Header.MessageID == id.MessageID || id.MessageID == "" && m.Arrived.UnixMicro() == id.Number
}

// inThread joins until nothing is added any more.
func (n *naive) inThread(id query.ID, m *naiveMessage) bool {
	if in, ok := n.threads[id]; ok {
		return in[m]
	}
	in := map[*naiveMessage]bool{}
	for i := range n.messages {
		if n.is(id, &n.messages[i]) {
			in[&n.messages[i]] = true
		}
	}
	for grown := true; grown; {
		grown = false
		names := map[string]bool{}
		for p := range in {
			for _, id := range idsOf(&p.Message) {
				names[p.Account+" "+id] = true
			}
		}
		for i := range n.messages {
			p := &n.messages[i]
			if !in[p] && slices.ContainsFunc(idsOf(&p.Message), func(id string) bool { return names[p.Account+" "+id] }) {
				in[p], grown = true, true
			}
		}
	}
	n.threads[id] = in
	return in[m]
}

func (m *naiveMessage) texts(f query.Field) []string {
	h := &m.Header
	return map[query.Field][]string{
		query.Any: {"s" + h.Subject, "a" + h.From, "a" + h.To, "a" + h.Cc}, query.From: {"a" + h.From}, query.To: {"a" + h.To}, query.Cc: {"a" + h.Cc},
		query.Subject: {"s" + h.Subject}, query.Body: {"s" + m.text},
	}[f]
}

// naiveText takes a text with "a" before it for addresses, "s" for others.
func naiveText(t query.Text, text string) bool {
	atCounts := text[0] == 'a'
	have, want := naiveWords(text[1:], atCounts), naiveWords(t.Text, atCounts)
	if len(want) == 0 {
		return t.Field != query.Body && strings.Contains(text[1:], t.Text)
	}
	inner := func(s string, last bool) bool {
		r := []rune(s)
		if last {
			slices.Reverse(r)
		}
		return (unicode.IsLetter(r[0]) || unicode.IsDigit(r[0])) && !isCJK(r[0])
	}
	openStart := t.Match == query.Substring && t.Field != query.Body && inner(t.Text, false)
	openEnd := t.Match == query.Prefix || t.Match == query.Substring && (inner(t.Text, true) || t.Field == query.Body)
	for i := 0; i+len(want) <= len(have); i++ {
		ok := true
		for j, w := range want {
			front, back := "^", "$"
			if j == 0 && openStart {
				front = ""
			}
			if j == len(want)-1 && openEnd {
				back = ""
			}
			ok = ok && strings.Contains("^"+have[i+j]+"$", front+w+back)
		}
		if ok {
			return true
		}
	}
	return false
}

func naiveWords(s string, atCounts bool) []string {
	var b strings.Builder
	for _, r := range norm.NFC.String(strings.Map(func(r rune) rune {
		if r >= 0x300 && r < 0x370 {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(s))) {
		switch {
		case isCJK(r), r == '@' && atCounts:
			b.WriteString(" " + string(r) + " ")
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Fields(b.String())
}

// chance makes messages and queries of few words, so that they meet.
type chance struct{ *rand.Rand }

func pick[T any](c chance, list ...T) T { return list[c.IntN(len(list))] }

func (c chance) word() string {
	return pick(c, "bill", "Bill", "gates", "Jörg", "jorg", "Андрей", "Королёв", "королев", "東京", "東京都庁", "明日は東京", "plan", "planes", "Größe", "a", "il", "x1", "o'neill",
		"acme.com", "acme", "com", "über", "Νίκος", "한국", "list-one")
}

func (c chance) words() string {
	list := make([]string, 1+c.IntN(3))
	for i := range list {
		list[i] = c.word()
	}
	return strings.Join(list, pick(c, " ", " ", "-", ", ", ""))
}

func (c chance) address() string {
	return c.words() + " <" + pick(c, "bill", "joerg", "ann", "bob.x", "no-reply") + "@" + pick(c, "acme.com", "acme.org", "mail.acme.com", "x.example") + ">"
}

func (c chance) id() string { return fmt.Sprintf("m%d@x", c.IntN(70)) }

func (c chance) message(i int) (p place, f File, text string) {
	p = place{pick(c, "ann@example.org", "bob@example.net", "ann@example.net"), pick(c, "INBOX", "INBOX", "Archive", "Archive.2026", "Sent")}
	f = File{Key: fmt.Sprintf("%03d", i), New: c.IntN(4) == 0, Octets: int64(100 * (1 + c.IntN(9))), Arrived: longAgo.Add(time.Duration(i) * time.Hour)}
	for _, flag := range "FRSTa" {
		if c.IntN(3) == 0 && !f.New {
			f.Flags += string(flag)
		}
	}
	text = fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\nMessage-ID: <m%d@x>\n", c.address(), c.address(), c.words(), i%60)
	for _, more := range []string{"Cc: " + c.address(), "In-Reply-To: <" + c.id() + ">", "References: <" + c.id() + "> <" + c.id() + ">", "X-Kept: " + c.words(),
		"X-File: " + c.words(), fmt.Sprintf("Date: Fri, %d Jan 2026 12:00:00 +0000", 2+7*c.IntN(4))} {
		if c.IntN(4) == 0 {
			text += more + "\n"
		}
	}
	text += "\n" + c.words() + "\n"
	if c.IntN(5) == 0 {
		text += "ATTACHMENT\n"
	}
	return p, f, text
}

func (c chance) expr(depth int) query.Expr {
	if depth > 0 {
		switch c.IntN(6) {
		case 0, 1:
			x := query.And{}
			for range c.IntN(4) {
				x = append(x, c.expr(depth-1))
			}
			return x
		case 2:
			return query.Or{c.expr(depth - 1), c.expr(depth - 1), c.expr(depth - 1)}[:2+c.IntN(2)]
		case 3:
			return query.Not{X: c.expr(depth - 1)}
		}
	}
	return c.leaf()
}

func (c chance) leaf() query.Expr {
	at := func() time.Time { return longAgo.Add(time.Duration(c.IntN(200)) * time.Hour) }
	switch c.IntN(14) {
	case 0:
		return query.Header{Name: pick(c, "Subject", "X-Kept", "x-file", "CC", "References", "X-None"), Value: pick(c, c.word(), c.id(), "")}
	case 1:
		return pick[query.Expr](c, query.ID{MessageID: c.id()}, query.ID{Number: at().UnixMicro()}, query.Thread{ID: query.ID{MessageID: c.id()}})
	case 2:
		return pick[query.Expr](c, query.Account{Name: "ann"}, query.Account{Name: "ann@example.net"}, query.Domain{Name: "example.net"}, query.Account{Name: "none"})
	case 3:
		return pick[query.Expr](c, query.Folder{Name: "INBOX"}, query.Folder{Name: "Archive"}, query.Folder{Name: "Archive", Below: true})
	case 4, 5:
		return pick[query.Expr](c, query.Flag{Letter: 'S'}, query.Flag{Letter: 'F'}, query.Flag{Letter: 'a'}, query.New{}, query.Attachment{}, query.Not{X: query.Flag{Letter: 'S'}})
	case 6:
		return pick[query.Expr](c, query.Arrived{From: at()}, query.Arrived{Before: at()}, query.Sent{From: at()}, query.Sent{Before: at()}, query.Sent{})
	case 7:
		return pick[query.Expr](c, query.Octets{From: 300}, query.Octets{Below: 500}, query.Octets{From: 200, Below: 800})
	}
	return query.Text{Field: query.Field(c.IntN(6)), Match: query.Match(c.IntN(3)), Text: pick(c, c.word(), c.word(), c.words(), "@acme.com", "@acme", "ill@ac", "bill@acme.com", "@", "-", "e", "ORG")}
}

// TestAgainstNaive asks at random, and compares what the index finds, counts and joins to what looking at every message does.
func TestAgainstNaive(t *testing.T) {
	t.Parallel()
	const messages, queries = 200, 500
	for _, seed := range []uint64{1, 2} {
		c := chance{rand.New(rand.NewPCG(seed, 0))}
		src, all := newMapSource(), &naive{threads: map[query.ID]map[*naiveMessage]bool{}}
		ix := openTest(t, Options{Source: src, Headers: []string{"X-Kept"}, Body: true})
		for i := range messages {
			p, f, text := c.message(i)
			m := naiveMessage{Message: src.put(p, f, text)}
			_, m.text, _ = strings.Cut(text, "\n\n")
			for _, field := range m.Header.All {
				m.fields = append(m.fields, header.Field{Name: field.Name, Value: header.Decode(field.Value)})
			}
			all.messages = append(all.messages, m)
		}
		slices.Reverse(all.messages)
		reconcile(t, ix, ReconcileOptions{})
		for range queries {
			x := c.expr(3)
			want := all.find(x)
			if got := keysOf(t, ix, Query{Where: x}); !slices.Equal(got, want) {
				logWrong(t, ix, all, x)
				t.Fatalf("seed %d: %s:\n%q, want\n%q", seed, x, got, want)
			}
			if n, err := ix.Count(t.Context(), x); err != nil || n != int64(len(want)) {
				t.Fatalf("%s: counted %d, %v, want %d", x, n, err, len(want))
			}
			sort, limit := Sort(1+c.IntN(6)), c.IntN(20)
			got := keysOf(t, ix, Query{Where: x, Sort: sort, Limit: limit})
			if limit > 0 {
				want = want[:min(len(want), len(got))]
			}
			if sort == SortOldest && limit == 0 {
				slices.Reverse(got)
			}
			if limit == 0 && sort != SortOldest {
				slices.SortFunc(got, func(a, b string) int { return cmp.Compare(b, a) })
			}
			if limit == 0 && !slices.Equal(got, want) || len(got) != len(want) {
				t.Fatalf("%s by %d, %d: %q, want %q", x, sort, limit, got, want)
			}
		}
	}
}

// logWrong logs the parts that are answered wrongly by themselves.
func logWrong(t *testing.T, ix *Index, all *naive, x query.Expr) {
	t.Helper()
	query.Walk(x, func(y query.Expr) bool {
		if got, want := keysOf(t, ix, Query{Where: y}), all.find(y); !slices.Equal(got, want) {
			t.Logf("wrong: %s: %d, want %d: %.40q, %.40q", y, len(got), len(want), got, want)
		}
		return true
	})
}
