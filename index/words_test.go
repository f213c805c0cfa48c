package index

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestNames finds names of many scripts by parts of them, with and without their marks.
func TestNames(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	for key, name := range map[string]string{
		"a": "Андрей Королёв", "b": "Γιώργος ΝΊΚΟΣ", "c": "हिन्दी", "d": "Kim한국がx", "e": "Nguyễn Văn Đạt", "f": "Straße MÜLLER", "g": "Łódź",
		"h": "שָׁלוֹם", "i": "مُحَمَّد", "j": "Bob🤍Smith", "k": "e\u0301toile", "l": "Ꭰlpha", "m": "Łukasz O'Neill-Smythe", "n": "東京都庁",
	} {
		src.put(inbox, File{Key: key}, letter(key+"@x", name+" <"+key+"@x.example>", name))
	}
	reconcile(t, ix, ReconcileOptions{})
	for text, want := range map[string]string{
		"андрей": "a", "ДРЕ": "a", "андреи": "a", "королёв": "a", "КОРОЛЕВ": "a", "ролев*": "", "Γιώργος": "b", "γιωρ": "b", "νίκος": "b", "ικοσ": "b",
		"हिन्दी": "c", "kim한국": "d", "im한국が": "d", "国": "", "nguyen": "e", "guyễn": "e", "đạt": "e", "straße": "f", "muller": "f", "ÜLL": "f",
		"łódź": "g", "שלום": "h", "שָׁלוֹם": "h", "محمد": "i", "bob": "j", "mith": "j", "étoile": "k", "ETOI": "k", "ᎠLPHA": "l", "eill-sm": "m", "o'neill": "m",
		"京都": "n", "東都": "", "@x.exam": "abcdefghijklmn", "n@x.example": "n", "x.example": "abcdefghijklmn",
		"n@": "n", "@": "abcdefghijklmn", "@x": "abcdefghijklmn", "n@x.": "n", "n@x.e": "n", "@example": "", "x@": "", "n@y": "", "@x.example": "abcdefghijklmn", "@x.example.": "", "@x-": "abcdefghijklmn", "tel n@x.example": "", "東京都庁 <n@x.example>": "n",
	} {
		got := keysOf(t, ix, ask("from:"+text))
		slices.Sort(got)
		if strings.Join(got, "") != want {
			t.Errorf("from:%s: %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"subject:андреи": "a", "subject:дрей": "", "subject:королев": "a", "subject:νικοσ": "b", "subject:étoile": "k", "subject:bob": "j", "subject:한국": "d", "subject:が": "d",
		"subject:か": "", "subject:smith": "j", "subject:🤍": "j", "subject:🤎": "",
	} {
		if got := strings.Join(keysOf(t, ix, ask(text)), ""); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestFold holds what the words of addresses are folded to against the tokenizer: their words must be the same to it as the originals, or
// the expansion of a part of a word would find nothing.
func TestFold(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE VIRTUAL TABLE t USING fts5 (a, b, content = '', tokenize = 'ascii');
		CREATE VIRTUAL TABLE v USING fts5vocab (t, instance); BEGIN`); err != nil {
		t.Fatal(err)
	}
	insert, err := db.Prepare(`INSERT INTO t (rowid, a, b) VALUES (?, ?, ?)`)
	if err != nil {
		t.Fatal(err)
	}
	for r := rune(0x21); r < 0x30000; r++ {
		if unicode.In(r, unicode.L, unicode.N) && !unicode.Is(unicode.Han, r) && !unicode.Is(unicode.Hangul, r) {
			if _, err := insert.Exec(r, addressText("q"+string(r)+"q"), addressText(fold("q"+string(r)+"q"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	rows, err := db.Query(`SELECT doc, group_concat(CASE col WHEN 'a' THEN term END), group_concat(CASE col WHEN 'b' THEN term END) FROM v GROUP BY doc`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var r rune
		var original, folded string
		if err := rows.Scan(&r, &original, &folded); err != nil {
			t.Fatal(err)
		}
		if n++; original != folded {
			t.Errorf("%U %c is %q, folded %q", r, r, original, folded)
		}
	}
	if err := rows.Err(); err != nil || n < 20_000 {
		t.Errorf("%d characters, %v", n, err)
	}
}

func TestUnmarked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "plain": "plain", "é": "e", "e\u0301": "e", "ế": "e", "ё Й": "е И", "ά": "α", "ガ": "ガ", "한": "한", "क़": "क़", "ß": "ß", "\xff": "\xff", "Ø": "Ø",
	} {
		if got := unmarked(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := fmt.Sprint(addressWords("Bob SMITH <bob@x.example>, 東京 ab東c")); got != "[bob smith x example ab c]" {
		t.Errorf("words: %s", got)
	}
}

func FuzzSpaced(f *testing.F) {
	f.Add("今日は東京 a")
	f.Add("plain")
	f.Add("é e\u0301 🤍")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // what is indexed and what is asked for is valid
		}
		got, plain := spaced(s), unmarked(s)
		runes := func(s string) string {
			return strings.Join(textWords(fold(s)), "")
		}
		if runes(got) != runes(plain) {
			t.Errorf("%q lost or gained something: %q", plain, got)
		}
		if again := spaced(got); strings.Join(textWords(again), " ") != strings.Join(textWords(got), " ") {
			t.Errorf("%q: %q, then %q", s, got, again)
		}
		if again := unmarked(plain); again != plain {
			t.Errorf("%q: %q, then %q", s, plain, again)
		}
	})
}

// TestAddressPattern holds what decides on a row against what the words find.
func TestAddressPattern(t *testing.T) {
	t.Parallel()
	const text = "Bob Smith <b.smith@mail.acme.example>, 東京 <t@東京.example>"
	for part, want := range map[string]bool{
		"smith@mail": true, "smith@ma": true, "mith@": true, "@mail.acme": true, "@acme": false, "acme.ex": true, "cme.example": true, "@": true,
		"ail mail": false, "il acme": true, "@東": true, "t@東京.e": true, "@京": false, "b smith": true, "bob@": false, "": false,
		"@mail.acme.example>": true, "@mail.acme.example.": false, "smith@mail.acme.example>, 東": true, "acme mail": false,
	} {
		if got := part != "" && addressPattern(part).in(text); got != want {
			t.Errorf("%q: %v, want %v", part, got, want)
		}
	}
}
