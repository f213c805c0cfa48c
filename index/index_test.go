package index

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maild/index/query"
)

func TestRecordAndFind(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	m := src.put(inbox, File{Key: "1", New: true}, letter("1@x", "Bob <bob@acme.example>", "Hello"))
	ix.Record(m)
	flush(t, ix)
	got, err := ix.Message(t.Context(), m.Arrived.UnixMicro())
	if err != nil {
		t.Fatal(err)
	}
	if got.Account != m.Account || got.Folder != m.Folder || got.Key != "1" || got.Header.Subject != "Hello" || !got.New || got.Octets != m.Octets ||
		!got.Arrived.Equal(m.Arrived) || !got.Header.Date.Equal(m.Header.Date) || got.Header.MessageID != "1@x" {
		t.Errorf("got %+v", got)
	}
	if _, err := ix.Message(t.Context(), 5); !errors.Is(err, ErrNotFound) {
		t.Errorf("a message that is not there: %v", err)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src, Headers: []string{"X-Kept"}})
	archive := place{inbox.account, "Archive.2026"}
	bob := place{"bob@example.net", "INBOX"}
	put := func(p place, key, flags string, isNew bool, octets int64, at int, text string) {
		src.put(p, File{Key: key, Flags: flags, New: isNew, Octets: octets, Arrived: longAgo.Add(time.Duration(at) * time.Hour)}, text)
	}
	put(inbox, "a", "", true, 100, 1, "From: Bill Gates <bill@acme.com>\nTo: ann@example.org\nSubject: Größere Pläne\nMessage-ID: <a@acme.com>\nX-Kept: Yes, INDEED\n\n")
	put(inbox, "b", "S", false, 200, 2, "From: =?utf-8?q?J=C3=B6rg?= <joerg@acme.org>\nCc: list@lists.example\nSubject: Re: plane ticket 100%\nIn-Reply-To: <a@acme.com>\nX-Other: in the file\n\n")
	put(inbox, "c", "FS", false, 300, 3, "From: notify@acme.com.example\nSubject: =?utf-8?b?5LuK5pel44Gv5p2x5Lqs44Gr6KGM44GP?=\nList-Id: The <the.list.example>\n\n")
	put(archive, "d", "RS", false, 400, 4, "From: Привет <p@example.ru>\nSubject: Встреча в Москве\nReferences: <a@acme.com> <b@x>\n\n")
	put(bob, "e", "", false, 500, 5, "From: carl@acme.com\nTo: Bob <bob@example.net>, Ann <ann@example.org>\nSubject: ?! *** \"quoted\" AND OR NOT (NEAR)\n\n")
	reconcile(t, ix, ReconcileOptions{})
	at := func(h int) time.Time { return longAgo.Add(time.Duration(h) * time.Hour) }
	for _, c := range []struct {
		q    Query
		want string
	}{
		{ask(``), "edcba"},
		{ask(`from:bill`), "a"},
		{ask(`from:=bil`), ""},
		{ask(`from:bil*`), "a"},
		{ask(`from:(bill gates)`), "a"},
		{ask(`from:"bill gates"`), "a"},
		{ask(`from:@acme.com`), "eca"},
		{ask(`from:@acme.com -from:example`), "ea"},
		{ask(`from:bill@acme.com`), "a"},
		{ask(`from:ill@acm`), "a"},
		{ask(`from:bill.com`), ""},
		{ask(`from:cme.co`), "eca"},
		{ask(`from:acme from:jorg`), "b"},
		{ask(`from:ÖRG`), "b"},
		{ask(`from:ивет`), "d"},
		{ask(`subject:grossere`), ""},
		{ask(`subject:große*`), "a"},
		{ask(`subject:größere`), "a"},
		{ask(`subject:grösser`), ""},
		{ask(`subject:plan*`), "ba"},
		{ask(`subject:PLANE`), "ba"},
		{ask(`subject:встреча subject:москв*`), "d"},
		{ask(`subject:東京`), "c"},
		{ask(`subject:東行`), ""},
		{ask(`東京`), "c"},
		{ask(`to:ann`), "ea"},
		{ask(`cc:lists.example`), "b"},
		{ask(`subject:"AND"`), "e"},
		{ask(`subject:"\"quoted\""`), "e"},
		{ask(`subject:"***"`), "e"},
		{ask(`subject:"%"`), "b"},
		{ask(`subject:"_"`), ""},
		{ask(`"?!" quoted`), "e"},
		{ask(`bill`), "a"},
		{ask(`bill OR carl`), "ea"},
		{ask(`acme -carl`), "cba"},
		{ask(`NOT acme`), "d"},
		{ask(`acme AND (bill OR carl)`), "ea"},
		{ask(`bill OR is:flagged`), "ca"},
		{ask(`-(bill OR is:flagged)`), "edb"},
		{ask(`bill@acme.com`), "a"},
		{ask(`ann@example.org`), "ea"},
		{ask(`id:<a@acme.com>`), "a"},
		{ask(`id:a@acme.com`), "a"},
		{ask(`id:a@acme`), ""},
		{ask(`account:BOB@example.net`), "e"},
		{ask(`account:bob OR in:Archive.2026`), "ed"},
		{ask(`account:ann`), "dcba"},
		{ask(`domain:Example.Org`), "dcba"},
		{ask(`in:Archive.2026`), "d"},
		{ask(`in:Archive*`), "d"},
		{ask(`in:arch*`), ""},
		{ask(`account:bob in:Archive.2026`), ""},
		{ask(`-in:INBOX`), "d"},
		{ask(`larger:300`), "ed"},
		{ask(`smaller:300`), "ba"},
		{ask(`is:read`), "dcb"},
		{ask(`is:flagged is:read`), "c"},
		{ask(`is:unread`), "ea"},
		{ask(`is:unread bill`), "a"},
		{ask(`is:read acme`), "cb"},
		{ask(`is:read -is:flagged -is:replied`), "b"},
		{ask(`is:recent`), "a"},
		{ask(`-is:recent acme`), "ecb"},
		{ask(`has:attachment`), ""},
		{ask(`-has:attachment`), "edcba"},
		{ask(`header:Subject=ticket`), "b"},
		{ask(`header:subject="ticket 100%"`), "b"},
		{ask(`header:subject=GRÖSS`), ""},
		{ask(`header:subject=GRÖßERE`), "a"},
		{ask(`header:from="ill gat"`), "a"},
		{ask(`header:References="<a@acme.com> <b"`), "d"},
		{ask(`header:In-Reply-To=a@acme`), "b"},
		{ask(`list:the.list`), "c"},
		{ask(`header:x-kept="yes, indeed"`), "a"},
		{ask(`header:X-Other="THE FILE"`), "b"},
		{ask(`header:Cc`), "b"},
		{ask(`-header:Cc`), "edca"},
		{ask(`header:X-Other OR bill`), "ba"},
		{ask(`acme (header:X-Other OR header:x-kept)`), "ba"},
		{ask(`acme header:Subject=plane header:X-Other=file`), "b"},
		{ask(`thread:<a@acme.com>`), "dba"},
		{ask(`thread:<b@x>`), ""},
		{ask(`sent:2020`), ""},
		{ask(`-sent:..2030`), "edcba"},
		{ask(`acme account:ann is:read larger:1 smaller:250`), "b"},
		{Query{Limit: 2}, "ed"},
		{Query{Sort: SortOldest, Limit: 2}, "ab"},
		{Query{Sort: SortLargest, Limit: 2}, "ed"},
		{Query{Sort: SortSmallest, Limit: 2}, "ab"},
		{Query{Sort: SortFrom}, "aebcd"},
		{Query{Sort: SortSubject, Limit: 1}, "e"},
		{Query{Sort: SortSent, Where: ask("is:read").Where}, "dcb"},
		{Query{Sort: SortLargest, Where: ask("header:X-Other OR header:x-kept").Where, Limit: 1}, "b"},
		{Query{Where: query.Arrived{From: at(3)}}, "edc"},
		{Query{Where: query.Arrived{Before: at(3)}}, "ba"},
		{Query{Where: query.Arrived{From: at(2), Before: at(4)}}, "cb"},
		{Query{Where: query.And{query.Not{X: query.Arrived{From: at(2), Before: at(4)}}, ask("acme").Where}}, "ea"},
	} {
		if got := strings.Join(keysOf(t, ix, c.q), ""); got != c.want {
			t.Errorf("%v: %q, want %q", c.q, got, c.want)
		}
		if n, err := ix.Count(t.Context(), c.q.Where); err != nil || c.q.Limit == 0 && n != int64(len(c.want)) {
			t.Errorf("%v: counted %d, %v, want %d", c.q, n, err, len(c.want))
		}
	}
}

// TestSearchPages goes over many pages, asks for more from within, and stops.
func TestSearchPages(t *testing.T) {
	t.Parallel()
	const n = 3*pageRows + 7
	ix := openTest(t, Options{Source: benchSource(n)})
	reconcile(t, ix, ReconcileOptions{})
	last := int64(1 << 62)
	got := 0
	err := ix.Search(t.Context(), ask("from:example"), func(m Message) error {
		if m.ID >= last {
			t.Fatalf("id %d after %d", m.ID, last)
		}
		last = m.ID
		got++
		again, err := ix.Message(t.Context(), m.ID)
		if err == nil && again.Key != m.Key {
			t.Errorf("message %d is %q and %q", m.ID, m.Key, again.Key)
		}
		return err
	})
	if err != nil || got != n {
		t.Errorf("%d of %d, %v", got, n, err)
	}
	enough := errors.New("enough")
	if err := ix.Search(t.Context(), Query{}, func(Message) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("stopped with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ix.Search(ctx, Query{}, func(Message) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// FuzzTerms: no text of a user is a syntax error, and what is in a message is found by its own words.
func FuzzTerms(f *testing.F) {
	for _, s := range []string{
		"hello", `"`, `""`, `a"b`, "a*", "*", "^a", "a:b", "-a", "NEAR(a b)", "a AND", "(", ")", "{a}", "+", "'", ";", "--", "\x00", "a\x00b", "\xff", "東京", "%", `\`, "_",
		"'; DROP TABLE message", "\u0301", "a\u0301", "ﷺ", "①", "🂡", "\u200b",
	} {
		f.Add(s)
	}
	src := newMapSource()
	src.put(inbox, File{Key: "1"}, letter("1@x", "bob@x", "hello 東京 world"))
	ix := openTest(f, Options{Source: src, Headers: []string{"x-trace"}})
	reconcile(f, ix, ReconcileOptions{})
	f.Fuzz(func(t *testing.T, s string) {
		text := func(f query.Field, m query.Match) query.Expr { return query.Text{Field: f, Text: s, Match: m} }
		all := query.And{query.Account{Name: s}, query.Domain{Name: s}, query.Folder{Name: s, Below: true}, query.ID{MessageID: s}, query.Thread{ID: query.ID{MessageID: s}},
			query.Header{Name: s, Value: s}, query.Header{Name: "subject", Value: s}, query.Header{Name: "x-trace", Value: s}}
		for _, f := range []query.Field{query.Any, query.From, query.To, query.Cc, query.Subject, query.Body} {
			all = append(all, text(f, query.Words), text(f, query.Prefix), text(f, query.Substring))
		}
		for _, x := range append(all, all, query.Or(all), query.Not{X: all}, query.Not{X: query.Or(all)}) {
			if err := ix.Search(context.Background(), Query{Where: x}, func(Message) error { return nil }); err != nil {
				t.Fatalf("%q: %v: %v", s, x, err)
			}
		}
		if c := count(ix); c != 1 {
			t.Fatalf("%d messages left", c)
		}
	})
}

// A query of very many conditions is refused in words, or answered; SQLite's own limits are not met.
func TestLongSearches(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	src.put(inbox, File{Key: "1"}, letter("1@x", "bob@x", "hello world"))
	ix := openTest(t, Options{Source: src})
	reconcile(t, ix, ReconcileOptions{})
	for text, want := range map[string]int{
		strings.Repeat("hello ", 500):                                1,
		strings.Repeat(`"%" `, 500):                                  0,
		strings.Repeat("hello OR ", 499) + "x":                       1,
		strings.Repeat("is:read OR ", 499) + "hello":                 1,
		strings.Repeat("-(", 24) + "hello" + strings.Repeat(")", 24): 1,
		`"` + strings.Repeat("hello ", 5000) + `"`:                   0,
	} {
		found := 0
		err := ix.Search(t.Context(), ask(text), func(Message) error {
			found++
			return nil
		})
		if err != nil || found != want {
			t.Errorf("%.60s: %d found, %v, want %d", text, found, err, want)
		}
	}
	for _, leaf := range []string{"hello", "is:read", "header:subject=hello"} {
		nested := leaf
		for range 48 {
			nested = "is:unread (x OR " + nested + ")"
		}
		if _, err := ix.Count(t.Context(), ask(nested).Where); err != nil {
			t.Errorf("%s, nested: %v", leaf, err)
		}
		for n := range 12 { // across the depth from which the words are asked one by one
			nested := leaf
			for range n {
				nested = "(x hello hello OR (hello " + nested + "))"
			}
			if _, err := ix.Count(t.Context(), ask(nested).Where); err != nil {
				t.Errorf("%s, nested %d: %v", leaf, n, err)
			}
		}
		deep := query.Expr(query.Not{X: ask("x " + leaf).Where})
		for range maxDepth - 3 {
			deep = query.Not{X: deep}
		}
		if err := ix.Search(t.Context(), Query{Where: deep}, func(Message) error { return nil }); err != nil {
			t.Errorf("%s, deep: %v", leaf, err)
		}
		if err := ix.Search(t.Context(), Query{Where: query.Not{X: query.Not{X: query.Not{X: deep}}}}, nil); !errors.Is(err, ErrTooLong) {
			t.Errorf("%s, too deep: %v", leaf, err)
		}
		many := query.And{}
		for range maxConditions {
			many = append(many, ask(leaf).Where)
		}
		for _, x := range []query.Expr{many, query.Or(many), query.Not{X: many}} {
			if _, err := ix.Count(t.Context(), x); err != nil {
				t.Errorf("%s, many: %v", leaf, err)
			}
		}
	}
	if err := ix.Search(t.Context(), Query{Where: make(query.And, maxConditions+1)}, nil); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
}

// TestManyWords asks for parts of words that stand for more words than are asked for by themselves.
func TestManyWords(t *testing.T) {
	t.Parallel()
	const n = maxExpansions + 50
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	for i := range n {
		src.put(inbox, File{Key: fmt.Sprint(i)}, letter(fmt.Sprintf("%d@x", i), fmt.Sprintf("É%d <%d@acme.example>", i, i), "s"))
	}
	reconcile(t, ix, ReconcileOptions{})
	for text, want := range map[string]int{"from:e": n, "from:é": n, "from:E1": 0, "from:e10": 0, "-from:e": 0, "from:e -from:acme": 0, "from:é from:7@acme": 0, "from:(e OR x)": n,
		"from:1": 0, "to:e": n, "from:e subject:s": n, "from:e OR from:zzz": n, "from:e -subject:s": 0, "from:q": 0} {
		for i := range n {
			switch name := fmt.Sprint(i); text {
			case "from:E1", "from:e10":
				want += map[bool]int{true: 1}[strings.HasPrefix("e"+name, strings.ToLower(text[5:]))]
			case "from:é from:7@acme":
				want += map[bool]int{true: 1}[strings.HasSuffix(name, "7")]
			case "from:1":
				want += map[bool]int{true: 1}[strings.Contains(name, "1")]
			}
		}
		if got, err := ix.Count(t.Context(), ask(text).Where); err != nil || got != int64(want) {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
}

// TestSearchAcrossRebuild goes on in the new file, in which folders have other numbers.
func TestSearchAcrossRebuild(t *testing.T) {
	t.Parallel()
	const n = pageRows + firstPage
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	bob := place{"bob@example.net", "INBOX"}
	for i := range n {
		f := File{Key: fmt.Sprint(i), Arrived: longAgo.Add(time.Duration(i) * time.Second)}
		src.put(inbox, f, letter(fmt.Sprintf("%d@x", i), "a@x", "anns"))
		f.Arrived = f.Arrived.Add(time.Millisecond)
		src.put(bob, f, letter(fmt.Sprintf("%d@y", i), "a@x", "bobs"))
	}
	reconcile(t, ix, ReconcileOptions{Accounts: []string{bob.account}})
	reconcile(t, ix, ReconcileOptions{})
	for _, x := range []string{"account:bob", "account:bob OR header:X-None"} {
		got := 0
		err := ix.Search(t.Context(), ask(x), func(m Message) error {
			if got++; m.Account != bob.account || m.Header.Subject != "bobs" {
				t.Fatalf("%s: message %d is of %s", x, got, m.Account)
			}
			if got == 1 {
				_, err := ix.Rebuild(t.Context(), RebuildOptions{})
				return err
			}
			return nil
		})
		if err != nil || got != n {
			t.Errorf("%s: %d of %d, %v", x, got, n, err)
		}
	}
}

// TestBody finds the text of messages where that is indexed, and all over again when the option changes.
func TestBody(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	path := filepath.Join(t.TempDir(), "index.db")
	src.put(inbox, File{Key: "1"}, "Subject: a\nContent-Type: multipart/mixed\n\nthe quick fox ATTACHMENT\n")
	src.put(inbox, File{Key: "2"}, "Subject: b\n\nthe lazy dog 明日は東京\n")
	ix := openTest(t, Options{Path: path, Source: src, Body: true})
	reconcile(t, ix, ReconcileOptions{})
	for text, want := range map[string]string{
		"body:quick": "1", "body:東京": "2", "body:the": "21", `body:"lazy dog" subject:b`: "2", "body:qui*": "1", "body:quick OR subject:b": "21", "-body:quick": "2", "has:attachment": "1", "quick": "",
	} {
		if got := strings.Join(keysOf(t, ix, ask(text)), ""); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	src.remove(inbox, "1")
	reconcile(t, ix, ReconcileOptions{Force: true})
	if got := keysOf(t, ix, ask("body:the")); len(got) != 1 {
		t.Errorf("after a removal: %q", got)
	}
	if err := ix.Close(); err != nil {
		t.Fatal(err)
	}
	ix = openTest(t, Options{Path: path, Source: src})
	reconcile(t, ix, ReconcileOptions{})
	if body, err := ix.BodyIndexed(t.Context()); err != nil || body {
		t.Errorf("still said to be indexed: %v, %v", body, err)
	}
}
