package query

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func now() time.Time { return time.Date(2026, 11, 24, 15, 4, 5, 0, time.UTC) }

func options() Options { return Options{Now: now(), Body: true} }

// TestParse compares canonical texts, each of which must also be read as an equal tree.
func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                              "*",
		"  * ":                          "*",
		"* a":                           `"a"`,
		"a OR *":                        `"a" OR *`,
		"-*":                            "-*",
		"hello":                         `"hello"`,
		"hello world":                   `"hello" "world"`,
		"hello AND world":               `"hello" "world"`,
		"and or not":                    `"and" "or" "not"`,
		"ORB ANDY NOTE":                 `"ORB" "ANDY" "NOTE"`,
		`"OR" "NOT"`:                    `"OR" "NOT"`,
		"a OR b c":                      `"a" OR "b" "c"`,
		"a b OR c":                      `"a" "b" OR "c"`,
		"a OR NOT b c":                  `"a" OR -"b" "c"`,
		"(a OR b) c":                    `("a" OR "b") "c"`,
		"(a OR b)(c)":                   `("a" OR "b") "c"`,
		"a OR (b OR c)":                 `"a" OR "b" OR "c"`,
		"a (b (c d))":                   `"a" "b" "c" "d"`,
		"a -(-(b c))":                   `"a" "b" "c"`,
		"a OR -(-(b OR c))":             `"a" OR "b" OR "c"`,
		"NOT a -b":                      `-"a" -"b"`,
		"NOT(a)":                        `-"a"`,
		"NOT NOT a":                     `"a"`,
		"-NOT a":                        `"a"`,
		"-(a b)":                        `-("a" "b")`,
		`a "-" b`:                       `"a" "-" "b"`,
		"well-known a-":                 `"well-known" "a-"`,
		`"two words"`:                   `"two words"`,
		`“typo graphic”`:                `"typo graphic"`,
		`„deutsch“ "mixed”"`:            `"deutsch" "mixed”"`,
		`“typo "`:                       `"typo "`,
		`"say “hi” now"`:                `"say “hi” now"`,
		`a“b`:                           `"a“b"`,
		`a"b`:                           `"a\"b"`,
		`"with \" quote"`:               `"with \" quote"`,
		`"a\\b\c"`:                      `"a\\b\\c"`,
		"wo*":                           `"wo"*`,
		"w*rd wo**":                     `"w*rd" "wo*"*`,
		`"*"`:                           `"*"`,
		`"two wo"*`:                     `"two wo"*`,
		"12:30 http://x.example/ a-b:c": `"12:30" "http://x.example/" "a-b:c"`,
		":x тема:x":                     `":x" "тема:x"`,
		"from:bill":                     `from:"bill"`,
		"FROM:@acme.com":                `from:"@acme.com"`,
		`from:"bill gates"`:             `from:"bill gates"`,
		"from:bill*":                    `from:"bill"*`,
		`from:"bill ga"*`:               `from:"bill ga"*`,
		"from:=bill":                    `from:="bill"`,
		"from:(bill OR bob)":            `from:"bill" OR from:"bob"`,
		"from:(a OR b) c":               `(from:"a" OR from:"b") "c"`,
		"-from:(a b)":                   `-(from:"a" from:"b")`,
		`to:(a* "b c"*)`:                `to:"a"* to:"b c"*`,
		"subject:(a -b)":                `subject:"a" -subject:"b"`,
		"subject:(a (b OR 12:30))":      `subject:"a" (subject:"b" OR subject:"12:30")`,
		"subject:東京":                    `subject:"東京"`,
		`subject:"a b" subject:re*`:     `subject:"a b" subject:"re"*`,
		"to:a cc:b body:c":              `to:"a" cc:"b" body:"c"`,
		"list:golang":                   `header:List-Id="golang"`,
		"header:X-Spam=yes":             `header:X-Spam="yes"`,
		`header:X-Spam="yes sir"`:       `header:X-Spam="yes sir"`,
		`header:X="a*" header:Y=b=c`:    `header:X="a*" header:Y="b=c"`,
		"header:X-Spam":                 "header:X-Spam",
		"(header:X)":                    "header:X",
		"id:1769868000000000":           "id:1769868000000000",
		"id:<a@b> id:c@d":               `id:"<a@b>" id:"<c@d>"`,
		"id:<5> id:+5 id:0":             `id:"<5>" id:"<+5>" id:"<0>"`,
		"thread:<a@b> thread:7":         `thread:"<a@b>" thread:7`,
		"in:inbox in:Archive*":          `in:"INBOX" in:"Archive"*`,
		`in:"Sent Mail" in:"a*"`:        `in:"Sent Mail" in:"a*"`,
		`in:* in:"a*"* in:Archive/*`:    `in:""* in:"a*"* in:"Archive/"*`,
		"account:Anna@Example.org":      `account:"anna@example.org"`,
		"domain:@@Example.org":          `domain:"example.org"`,
		"is:unread is:read is:flagged":  "-is:read is:read is:flagged",
		"is:seen is:starred is:deleted": "is:read is:flagged is:trashed",
		"is:forwarded is:draft":         "is:passed is:draft",
		"-is:unread is:unanswered":      "is:read -is:replied",
		"is:recent is:NEW keyword:k":    "is:recent is:recent keyword:k",
		"has:attachment":                "has:attachment",
		"larger:10M smaller:1kB":        "size:10485761..<0 size:0..<1000",
		"larger:2KiB smaller:3MB":       "size:2049..<0 size:0..<3000000",
		"size:1k":                       "size:1024..<1025",
		"Привет мир":                    `"Привет" "мир"`,
		"東京　大阪":                         `"東京" "大阪"`, // an ideographic space
		`'; DROP TABLE message; --x`:    `"';" "DROP" "TABLE" "message;" "x"`,
		"subject:NEAR(a b) {subject}:x": `subject:"NEAR" "a" "b" "{subject}:x"`,
	} {
		checkParse(t, text, want, options())
	}
}

func checkParse(t *testing.T, text, want string, o Options) {
	t.Helper()
	x, err := Parse(text, o)
	if err != nil {
		t.Errorf("%q: %v", text, err)
		return
	}
	if got := x.String(); got != want {
		t.Errorf("%q: %s, want %s", text, got, want)
	}
	if again, err := Parse(x.String(), o); err != nil || !reflect.DeepEqual(x, again) {
		t.Errorf("%q wrote %s, which is read as %#v, %v, want %#v", text, x, again, err, x)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"before:2026":                     "date:..<2026-01-01T00:00:00Z",
		"before:3d":                       "date:..<2026-11-21T15:04:05Z",
		"after:2026-02":                   "date:2026-02-01T00:00:00Z..<",
		"after:2026-01-31T08:00:00+02:00": "date:2026-01-31T06:00:00Z..<",
		"date:2026-01..2026-03":           "date:2026-01-01T00:00:00Z..<2026-04-01T00:00:00Z",
		"date:2026-01":                    "date:2026-01-01T00:00:00Z..<2026-02-01T00:00:00Z",
		"date:2026-01-31":                 "date:2026-01-31T00:00:00Z..<2026-02-01T00:00:00Z",
		"date:2024-02-29":                 "date:2024-02-29T00:00:00Z..<2024-03-01T00:00:00Z",
		"date:2026-01-31T08:00":           "date:2026-01-31T08:00:00Z..<2026-01-31T08:01:00Z",
		"date:2026-01-31t08:00z":          "date:2026-01-31T08:00:00Z..<2026-01-31T08:01:00Z",
		"date:2026-01-31T08:00:30":        "date:2026-01-31T08:00:30Z..<2026-01-31T08:00:31Z",
		"date:2026-01..":                  "date:2026-01-01T00:00:00Z..<",
		"date:..2026":                     "date:..<2027-01-01T00:00:00Z",
		"date:9998":                       "date:9998-01-01T00:00:00Z..<9999-01-01T00:00:00Z",
		"date:Today":                      "date:2026-11-24T00:00:00Z..<2026-11-25T00:00:00Z",
		"date:yesterday":                  "date:2026-11-23T00:00:00Z..<2026-11-24T00:00:00Z",
		"date:yesterday..now":             "date:2026-11-23T00:00:00Z..<2026-11-24T15:04:05Z",
		"date:12h":                        "date:2026-11-24T03:04:05Z..<",
		"date:3d":                         "date:2026-11-21T15:04:05Z..<",
		"date:1y":                         "date:2025-11-24T15:04:05Z..<",
		"date:2w..3d":                     "date:2026-11-10T15:04:05Z..<2026-11-21T15:04:05Z",
		"sent:2025":                       "sent:2025-01-01T00:00:00Z..<2026-01-01T00:00:00Z",
	} {
		checkParse(t, text, want, options())
	}
}

// TestZone: days are those of the zone, also where they are shorter, and results are in UTC.
func TestZone(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatalf("%v: install the package tzdata", err)
	}
	for text, want := range map[string]string{
		"date:2026-03-29":                "date:2026-03-28T23:00:00Z..<2026-03-29T22:00:00Z", // clocks are put forward
		"date:2026-07":                   "date:2026-06-30T22:00:00Z..<2026-07-31T22:00:00Z",
		"date:today":                     "date:2026-11-23T23:00:00Z..<2026-11-24T23:00:00Z",
		"date:2026-10-25T02:30:00+01:00": "date:2026-10-25T01:30:00Z..<2026-10-25T01:30:01Z", // the second 02:30 of that day
		"after:1850":                     "date:1849-12-31T23:06:32Z..<",                     // local mean time
	} {
		checkParse(t, text, want, Options{Now: now(), Zone: berlin})
	}
}

func TestTrees(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]Expr{
		"":                  And{},
		"a OR b c":          Or{Text{Text: "a"}, And{Text{Text: "b"}, Text{Text: "c"}}},
		`-from:"a b"`:       Not{Text{From, "a b", Substring}},
		"from:=a":           Text{From, "a", Words},
		"cc:a*":             Text{Cc, "a", Prefix},
		`subject:"a b"`:     Text{Subject, "a b", Words},
		"to:(a b*)":         And{Text{To, "a", Substring}, Text{To, "b", Prefix}},
		"id:5":              ID{Number: 5},
		"id:<a@b>":          ID{MessageID: "a@b"},
		"thread:a@b":        Thread{ID{MessageID: "a@b"}},
		"list:x":            Header{"List-Id", "x"},
		"in:Inbox*":         Folder{"INBOX", true},
		"is:unread":         Not{Flag{'S'}},
		"is:recent":         New{},
		"larger:10M":        Octets{From: 10485761},
		"smaller:10M":       Octets{Below: 10485760},
		"date:2026-01-31":   Arrived{day, day.AddDate(0, 0, 1)},
		"sent:2026-01-31..": Sent{From: day},
	} {
		if x, err := Parse(text, options()); err != nil || !reflect.DeepEqual(x, want) {
			t.Errorf("%q: %#v, %v, want %#v", text, x, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text   string
		column int
		want   string // of problem and remedy
	}{
		{"(a b", 1, "a ( without its ): close it"},
		{"from:bill (", 11, "a ( without its ): close it"},
		{"a b)", 4, "a ) without its (: remove it"},
		{"a ( )", 3, "nothing within the parentheses: write a word there"},
		{"from:()", 6, "nothing within the parentheses"},
		{`a "b c`, 3, "a quote without its end: close it"},
		{"a “b c", 3, "a quote without its end"},
		{`"a”`, 1, "a quote without its end"},
		{"a OR", 3, "OR with nothing after it: write what else may hold"},
		{"a OR OR b", 3, "OR with nothing after it"},
		{"(a OR)", 4, "OR with nothing after it"},
		{"a  OR b (OR c)", 10, "OR with nothing before it: write a condition before it"},
		{" AND a", 2, "AND with nothing before it"},
		{"a AND", 3, "AND with nothing after it"},
		{"a NOT", 3, "NOT with nothing after it"},
		{"(a NOT)", 4, "NOT with nothing after it: write what must not hold"},
		{"a NOT OR b", 3, "NOT with nothing after it"},
		{"a - b", 3, "- with nothing after it: write what must not hold right after it, or put - in quotes"},
		{"a -", 3, "- with nothing after it"},
		{"--", 2, "- with nothing after it"},
		{"(-)", 2, "- with nothing after it"},
		{"from: bill", 1, "from: with nothing after it: write from:VALUE without a space"},
		{"x in:", 3, "in: with nothing after it"},
		{`in:""`, 1, "in: with nothing after it"},
		{`list:" "`, 1, "list: with nothing after it"},
		{`header:X=`, 1, "header:X= with nothing after it"},
		{`header:X=""`, 1, "header:X= with nothing after it"},
		{"fron:bill", 1, "fron: is no field: did you mean from:?"},
		{"東京 fron:x", 4, "fron: is no field"},
		{"foo:x", 1, "did you mean from:? the fields are from: to:"},
		{"colour:red", 1, "colour: is no field: the fields are from: to:"},
		{"is:unred", 4, "is:unred is not known: did you mean is:unread?"},
		{"is:sleepy", 4, "write is: and one of unread, read"},
		{"has:legs", 5, "has:legs is not known: write has:attachment"},
		{"is:(read)", 4, "is: takes no parentheses: write is:VALUE, once for each with OR"},
		{"list:go*", 8, "list: takes no star"},
		{`account:"a"*`, 12, "account: takes no star"},
		{"keyword:AB", 9, "one letter from a to z: write keyword:a"},
		{"domain:@", 8, "an empty domain: write domain:example.org"},
		{"id:<>", 4, "an empty id: write the number"},
		{"header:=x", 1, "without the name of a field: write header:Name=value"},
		{"header:X:y", 9, "cannot go on like this: write header:X=value"},
		{"header:Naïve=y", 10, "cannot go on like this"},
		{`""`, 1, "nothing to look for: write a word"},
		{"subject:*", 1, "nothing to look for after subject:"},
		{"subject:(*)", 10, "nothing to look for"},
		{"from:(to:x)", 7, "a condition of its own within from:( )"},
		{"date:2026-13", 6, "2026-13 is no time: write 2026-01-31"},
		{"date:2026-02-30", 6, "is no time"},
		{"date:2026-01..2026-99", 15, "2026-99 is no time"},
		{`date:"2026-01..2026-99"`, 16, "2026-99 is no time"},
		{"date:..", 6, "is no time"},
		{"date:6m", 6, "6m is no time: m may be minutes or months"},
		{"date:9999999999w", 6, "is no time"},
		{"date:9999", 6, "is no time"},
		{"before:0001", 8, "is no time"},
		{"date:3000y", 6, "is no time"},
		{"date:2026..2025", 6, "the range ends before it begins: write the earlier time first"},
		{"before:2025..2026", 8, "before: takes one time: write date:2025..2026"},
		{"larger:big", 8, "big is no size: write a number of octets above 0"},
		{"larger:0", 8, "0 is no size"},
		{"larger:99999999TB", 8, "is no size"},
		{"smaller:10X", 9, "10X is no size"},
		{"size:9..<5", 6, "the range ends before it begins"},
		{"a\x00b", 2, "a NUL character: leave it out"},
		{"é\xff", 2, "the query is not UTF-8: set the terminal"},
		{strings.Repeat("(", 60) + "a" + strings.Repeat(")", 60), 51, "at most 50 are possible"},
		{strings.Repeat("-", 60) + "a", 51, "at most 50 are possible"},
		{strings.Repeat("a ", 600), 1001, "too many conditions: ask in several steps: at most 500"},
	} {
		_, err := Parse(tt.text, options())
		var s *SyntaxError
		if !errors.As(err, &s) || s.Column != tt.column || !strings.Contains(err.Error(), tt.want) || s.Query != tt.text || s.Remedy == "" {
			t.Errorf("%q: %v, want column %d: %s", tt.text, err, tt.column, tt.want)
		}
	}
}

func TestPointer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"fron:x":              "fron:x\n^",
		"a (":                 "a (\n  ^",
		"東京 fron:x":           "東京 fron:x\n     ^",
		"e\u0301 fron:x":      "e\u0301 fron:x\n  ^", // a combining accent
		"a\t\x1b[31m\nfron:x": "a  [31m fron:x\n        ^",
		"a \xff":              "a \uFFFD\n  ^",
	} {
		var s *SyntaxError
		if _, err := Parse(text, options()); !errors.As(err, &s) {
			t.Errorf("%q: %v", text, err)
		} else if got := s.Pointer(); got != want {
			t.Errorf("%q: %v\n%s\nwant\n%s", text, err, got, want)
		}
	}
}

func TestBodyAndTextOptions(t *testing.T) {
	t.Parallel()
	x, err := Parse(`hello "a b" wor* from:c subject:(d)`, Options{Now: now(), Body: true, Text: true})
	if want := `body:"hello" body:"a b" body:"wor"* from:"c" subject:"d"`; err != nil || x.String() != want {
		t.Errorf("%v, %v, want %s", x, err, want)
	}
	for text, o := range map[string]Options{"body:x": {}, "x": {Text: true}} {
		var s *SyntaxError
		if _, err := Parse(text, o); !errors.As(err, &s) || !strings.Contains(s.Remedy, "set body = true in [index]") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	x, err := Parse("a -(b OR c) d", options())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		below bool // what is excluded
		want  string
	}{{true, "abcd"}, {false, "ad"}} {
		got := ""
		Walk(x, func(y Expr) bool {
			if word, ok := y.(Text); ok {
				got += word.Text
			}
			_, isNot := y.(Not)
			return tt.below || !isNot
		})
		if got != tt.want {
			t.Errorf("below %v: %s, want %s", tt.below, got, tt.want)
		}
	}
}

// FuzzParse: what is read writes itself in a form that is read as an equal tree, and an error points into the text.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a OR -b (c d)", `from:"x y"* subject:(a OR b*)`, "date:2026-01..3d larger:1k", "thread:<a@b> id:5 -is:unread", "header:X=1 ( )",
		"a - b", "-* OR *", `“a„b” "c“d" e”f`, `in:"a*"* in:* domain:@@x`, "date:9998..9999 before:0001 after:2026-01-31T08:00+01:00", `header:X="\\\"" list:a`,
		"((a OR b c) OR -(d (e OR f))) g", "sent:..<2026-01-01T00:00:00Z size:5..<9 from:=a", "東京　e\u0301 is:recent has:attachment keyword:k"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, far bool) {
		o := options()
		if far {
			o.Zone = time.FixedZone("", 12*3600+45*60+7)
		}
		x, err := Parse(text, o)
		if err != nil {
			var s *SyntaxError
			if !errors.As(err, &s) || s.Column < 1 || s.Column > utf8.RuneCountInString(text)+1 || s.Problem == "" || s.Remedy == "" {
				t.Fatalf("%q: %v", text, err)
			}
			if lines := strings.Split(s.Pointer(), "\n"); len(lines) != 2 {
				t.Fatalf("%q: %q", text, lines)
			}
			return
		}
		again, err := Parse(x.String(), o)
		if err != nil {
			t.Fatalf("%q wrote %q: %v", text, x, err)
		}
		if !reflect.DeepEqual(x, again) {
			t.Fatalf("%q wrote %q: %#v, which is read as %#v", text, x, x, again)
		}
	})
}
