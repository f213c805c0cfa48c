package index

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
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
	yes, no := true, false
	at := func(h int) time.Time { return longAgo.Add(time.Duration(h) * time.Hour) }
	for _, c := range []struct {
		name string
		q    Query
		want string
	}{
		{"all, newest first", Query{}, "edcba"},
		{"limit", Query{Limit: 2}, "ed"},
		{"from name", Query{From: []string{"bill"}}, "a"},
		{"from prefix", Query{From: []string{"bi ga"}}, "a"},
		{"from words are in any order", Query{From: []string{"gates bill"}}, "a"},
		{"from domain", Query{From: []string{"@acme.com"}}, "eca"},
		{"from whole address", Query{From: []string{"bill@acme.com"}}, "a"},
		{"a phrase needs neighbours", Query{From: []string{"bill.com"}}, ""},
		{"two from terms", Query{From: []string{"acme", "jorg"}}, "b"},
		{"umlaut for none", Query{Subject: []string{"grossere"}}, ""},
		{"diacritics", Query{Subject: []string{"große"}}, "a"},
		{"diacritics folded both ways", Query{Subject: []string{"PLANE"}}, "ba"},
		{"cyrillic", Query{Subject: []string{"встреча москв"}}, "d"},
		{"cjk inside a run", Query{Subject: []string{"東京"}}, "c"},
		{"cjk not adjacent", Query{Subject: []string{"東行"}}, ""},
		{"to", Query{To: []string{"ann"}}, "ea"},
		{"cc", Query{Cc: []string{"lists.example"}}, "b"},
		{"operators are words", Query{Subject: []string{"AND"}}, "e"},
		{"quotes", Query{Subject: []string{`"quoted"`}}, "e"},
		{"no token", Query{Subject: []string{"***"}}, "e"},
		{"percent is no wildcard", Query{Subject: []string{"%"}}, "b"},
		{"underscore is none", Query{Subject: []string{"_"}}, ""},
		{"no token and a token", Query{Subject: []string{"?! quoted"}}, "e"},
		{"empty term", Query{Subject: []string{"  "}}, "edcba"},
		{"message id", Query{MessageID: "<a@acme.com>"}, "a"},
		{"message id bare", Query{MessageID: "a@acme.com"}, "a"},
		{"message id is exact", Query{MessageID: "a@acme"}, ""},
		{"account", Query{Accounts: []string{"BOB@example.net"}}, "e"},
		{"accounts", Query{Accounts: []string{"bob@example.net", "ann@example.org"}, Limit: 3}, "edc"},
		{"domain", Query{Domains: []string{"Example.Org"}}, "dcba"},
		{"folder", Query{Folders: []string{"Archive.2026"}}, "d"},
		{"account and folder", Query{Accounts: []string{"bob@example.net"}, Folders: []string{"Archive.2026"}}, ""},
		{"since", Query{Since: at(3)}, "edc"},
		{"before", Query{Before: at(3)}, "ba"},
		{"between", Query{Since: at(2), Before: at(4)}, "cb"},
		{"larger", Query{LargerThan: 300}, "ed"},
		{"smaller", Query{SmallerThan: 300}, "ba"},
		{"with", Query{With: "S"}, "dcb"},
		{"with both", Query{With: "FS"}, "c"},
		{"without", Query{Without: "S"}, "ea"},
		{"with and without", Query{With: "S", Without: "FR"}, "b"},
		{"unseen", Query{Unseen: &yes}, "ea"},
		{"seen", Query{Unseen: &no}, "dcb"},
		{"new", Query{New: &yes}, "a"},
		{"not new", Query{New: &no, From: []string{"acme"}}, "ecb"},
		{"header column", Query{Headers: []HeaderTerm{{"Subject", "ticket 100%"}}}, "b"},
		{"header column, folded", Query{Headers: []HeaderTerm{{"subject", "GRÖSS"}}}, ""},
		{"header column, case", Query{Headers: []HeaderTerm{{"subject", "GRÖßERE"}}}, "a"},
		{"header substring", Query{Headers: []HeaderTerm{{"from", "ill gat"}}}, "a"},
		{"header ids", Query{Headers: []HeaderTerm{{"References", "<a@acme.com> <b"}}}, "d"},
		{"header in reply to", Query{Headers: []HeaderTerm{{"In-Reply-To", "a@acme"}}}, "b"},
		{"header list id", Query{Headers: []HeaderTerm{{"list-id", "the.list"}}}, "c"},
		{"header kept", Query{Headers: []HeaderTerm{{"x-kept", "yes, indeed"}}}, "a"},
		{"header in the file", Query{Headers: []HeaderTerm{{"X-Other", "THE FILE"}}}, "b"},
		{"header is there", Query{Headers: []HeaderTerm{{"Cc", ""}}}, "b"},
		{"header and text", Query{From: []string{"acme"}, Headers: []HeaderTerm{{"Subject", "plane"}, {"X-Other", "file"}}}, "b"},
		{"everything at once", Query{From: []string{"acme"}, Accounts: []string{"ann@example.org"}, Since: at(1), Before: at(5), With: "S", LargerThan: 1, SmallerThan: 250}, "b"},
	} {
		if got := strings.Join(keysOf(t, ix, c.q), ""); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
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
	err := ix.Search(t.Context(), Query{From: []string{"example"}}, func(m Message) error {
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
		q := Query{
			From: []string{s}, To: []string{s}, Cc: []string{s}, Subject: []string{s, "x " + s}, MessageID: s, Accounts: []string{s}, Domains: []string{s}, Folders: []string{s},
			Headers: []HeaderTerm{{s, s}, {"subject", s}, {"x-trace", s}}, With: s, Without: s,
		}
		for _, q := range []Query{q, {Subject: []string{s}}, {From: []string{s}, Subject: []string{"hello"}}, {Headers: q.Headers}, {MessageID: s}, {Accounts: []string{s}}} {
			if err := ix.Search(context.Background(), q, func(Message) error { return nil }); err != nil && !errors.Is(err, ErrTooLong) {
				t.Fatalf("%q: %v", s, err)
			}
		}
		if c := count(ix); c != 1 {
			t.Fatalf("%d messages left", c)
		}
	})
}

// A search of very many words or flags is refused in words, or answered; SQLite's own limits are not met.
func TestLongSearches(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	src.put(inbox, File{Key: "1"}, letter("1@x", "bob@x", "hello world"))
	ix := openTest(t, Options{Source: src})
	reconcile(t, ix, ReconcileOptions{})
	for _, c := range []struct {
		q    Query
		want int
		err  error
	}{
		{Query{Subject: []string{strings.Repeat("hello ", maxTerms)}}, 1, nil},
		{Query{Subject: []string{strings.Repeat("% ", maxTerms)}}, 0, nil},
		{Query{Subject: []string{strings.Repeat("hello ", maxTerms+1)}}, 0, ErrTooLong},
		{Query{Headers: make([]HeaderTerm, maxTerms+1)}, 0, ErrTooLong},
		{Query{Without: strings.Repeat("SFé", 5000)}, 1, nil},
		{Query{With: strings.Repeat("é", 5000)}, 0, nil},
	} {
		found := 0
		err := ix.Search(t.Context(), c.q, func(Message) error {
			found++
			return nil
		})
		if !errors.Is(err, c.err) || found != c.want {
			t.Errorf("%.60v: %d found, %v, want %d, %v", c.q, found, err, c.want, c.err)
		}
	}
}

func FuzzSpaced(f *testing.F) {
	f.Add("今日は東京 a")
	f.Add("plain")
	f.Fuzz(func(t *testing.T, s string) {
		got := spaced(s)
		if utf8.ValidString(s) && strings.Join(strings.Fields(got), "") != strings.Join(strings.Fields(s), "") {
			t.Errorf("%q lost or gained something: %q", s, got)
		}
		if !slices.ContainsFunc([]rune(s), isCJK) && got != s {
			t.Errorf("%q was changed to %q", s, got)
		}
	})
}
