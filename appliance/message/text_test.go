package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func TestReadBody(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, message string
		want          Body
	}{
		{"plain", "Subject: x\n\nHello\nthere\n", Body{Text: "Hello\nthere\n"}},
		{"wire form", "Subject: x\r\n\r\nHello\r\nthere\r\n", Body{Text: "Hello\nthere\n"}},
		{"no header", "\nHello", Body{Text: "Hello"}},
		{"header alone", "Subject: x\n", Body{}},
		{"nothing", "", Body{}},
		{"latin-1", "Content-Type: text/plain; charset=iso-8859-1\n\ngr\xfc\xdfe\n", Body{Text: "grüße\n"}},
		{"quoted-printable", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: Quoted-Printable\n\n" +
			"gr=C3=BC=c3=9fe and =\nmore=  \n, 1=1 =4\n", Body{Text: "grüße and more, 1=1 =4\n"}},
		{"base64", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nZ3LDvMOf\nZQ==\nISE\n", Body{Text: "grüße!!"}},
		{"alternative", mixed("alternative", "\n<not shown>\n", "Content-Type: text/html\n\n<b>no</b>\n"), Body{Text: "<not shown>"}},
		{"html only", "Content-Type: text/html; charset=utf-8\n\n<html><head><title>x</title><style>p{}</style></head>" +
			"<body><p>Gr&uuml;&szlig;e<br>an <b>alle</b></p><ul><li>one<li>two</ul></body></html>\n",
			Body{FromHTML: true, Text: "Grüße\nan alle\n\n- one\n- two"}},
		{"attachment", mixed("mixed", "Content-Type: text/plain\n\nsee there\n",
			"Content-Type: image/PNG; name=\"a b.png\"\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\n\nAAAA\nAAAA\n"),
			Body{Text: "see there", Attachments: []Attachment{{"a b.png", "image/png", 6}}}},
		{"html beside text", mixed("mixed", "\nhello\n", "Content-Type: text/html\n\n<p>page\n"),
			Body{Text: "hello", Attachments: []Attachment{{"", "text/html", 7}}}},
		{"text as attachment", mixed("mixed", "\nhello\n", "Content-Type: text/plain\nContent-Disposition: attachment; filename=\"notes.txt\"\n\nabc\n"),
			Body{Text: "hello", Attachments: []Attachment{{"notes.txt", "text/plain", 3}}}},
		{"nested", mixed("mixed", strings.ReplaceAll(mixed("alternative", "\ninner\n", "Content-Type: text/html\n\n<p>x\n"), "=_b", "=_b2"),
			"Content-Type: application/pdf\n\n%PDF\n"),
			Body{Text: "inner", Attachments: []Attachment{{"", "application/pdf", 4}}}},
		{"unended", "Content-Type: multipart/mixed; boundary=x\n\n--x\n\nhello", Body{Text: "hello"}},
		{"epilogue", "Content-Type: multipart/mixed; boundary=x\n\npreamble\n--x\n\nhello\n--x--  \nepilogue\n", Body{Text: "hello"}},
		{"multipart without boundary", "Content-Type: multipart/mixed\n\n--x\n\nhello\n", Body{Attachments: []Attachment{{"", "multipart/mixed", 11}}}},
		{"delimiter within a header", "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: image/png\n--x\n\ntext\n--x--\n",
			Body{Text: "text", Attachments: []Attachment{{"", "image/png", 0}}}},
		{"boundary that never comes", "Content-Type: multipart/mixed; boundary=x\n\n--y\n\nhello\n", Body{Text: "--y\n\nhello\n"}},
		{"boundary cut short", "Content-Type: multipart/mixed; boundary=\"----=_NextPart_000_0001\n\n------=_NextPart_000_0001_AB\n\nhello\n------=_NextPart_000_0001_AB--\nx\n",
			Body{Text: "hello"}},
		{"text after a boundary", "Content-Type: multipart/mixed; boundary=x\n\n--x and more\n\n--xyz\n--x-- end\nno\n", Body{Text: "--xyz"}},
		{"one boundary begins another", "Content-Type: multipart/mixed; boundary=long-enough-to-be-unmistakable\n\n--long-enough-to-be-unmistakable\n" +
			"Content-Type: multipart/mixed; boundary=long-enough-to-be-unmistakable-2\n\n--long-enough-to-be-unmistakable-2\n\none\n" +
			"--long-enough-to-be-unmistakable-2--\n--long-enough-to-be-unmistakable\n\ntwo\n", Body{Text: "one\ntwo\n"}},
		{"two texts", mixed("mixed", "\none\n", "\ntwo\n"), Body{Text: "one\ntwo"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for name, r := range map[string]io.Reader{"whole": strings.NewReader(tt.message), "by octets": iotest.OneByteReader(strings.NewReader(tt.message))} {
				got, err := ReadBody(r, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tt.want) {
					t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, tt.want)
				}
			}
		})
	}
}

// mixed makes a message with two parts, each given with its header.
func mixed(subtype, one, two string) string {
	return "Content-Type: multipart/" + subtype + "; boundary=\"=_b\"\n\npreamble\n--=_b\n" + strings.TrimSuffix(one, "\n") + "\n--=_b\n" + strings.TrimSuffix(two, "\n") + "\n--=_b--\n"
}

func TestReadBodyIsBounded(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("grüße ", 1000)
	for name, message := range map[string]string{
		"plain": "Content-Type: text/plain; charset=utf-8\n\n" + text,
		"html":  "Content-Type: text/html; charset=utf-8\n\n" + strings.Repeat("<p>", 10) + text,
	} {
		b, err := ReadBody(strings.NewReader(message), 100)
		if err != nil {
			t.Fatal(err)
		}
		if !b.Cut || len(b.Text) > 100 || len(b.Text) < 90 || strings.ContainsRune(b.Text, utf8.RuneError) || strings.Contains(b.Text, "Ã") {
			t.Errorf("%s: cut %v, %d octets: %q", name, b.Cut, len(b.Text), b.Text)
		}
	}
}

func TestReadBodyOfManyParts(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("Content-Type: multipart/mixed; boundary=x\n\n")
	for range maxAttachments + 7 {
		b.WriteString("--x\nContent-Type: image/gif\n\nGIF\n")
	}
	body, err := ReadBody(strings.NewReader(b.String()), 100)
	if err != nil || len(body.Attachments) != maxAttachments || body.Unlisted != 7 {
		t.Fatalf("%d listed, %d not, error %v", len(body.Attachments), body.Unlisted, err)
	}
}

func TestReadBodyNestedDeep(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	b.WriteString("\nat the bottom\n")
	body, err := ReadBody(strings.NewReader(b.String()), 100)
	if err != nil || len(body.Attachments) != 1 || body.Attachments[0].Type != "multipart/mixed" {
		t.Fatalf("%+v, error %v", body, err)
	}
}

func TestReadBodyReaderFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	b, err := ReadBody(io.MultiReader(strings.NewReader("\nhello\n"), iotest.ErrReader(broken)), 100)
	if !errors.Is(err, broken) || b.Text != "hello\n" {
		t.Fatalf("%q, error %v", b.Text, err)
	}
}

func TestParseParams(t *testing.T) {
	t.Parallel()
	tests := []struct{ field, value, name, want string }{
		{`Text/Plain; Charset="UTF-8"`, "text/plain", "charset", "UTF-8"},
		{`text/plain (a comment); charset=utf-8 (another)`, "text/plain", "charset", "utf-8"},
		{`attachment; filename="a;b\"c.txt"`, "attachment", "filename", `a;b"c.txt`},
		{`attachment; filename*=UTF-8''gr%C3%BC%C3%9Fe.txt`, "attachment", "filename", "grüße.txt"},
		{`attachment; filename*=iso-8859-1'de'gr%FC%DFe.txt; filename=x`, "attachment", "filename", "grüße.txt"},
		{`attachment; filename*1*=%C3%9Fe.txt; filename*0*=UTF-8''gr%C3%BC`, "attachment", "filename", "grüße.txt"},
		{`attachment; filename*0="one "; filename*1="two"; filename*3="lost"`, "attachment", "filename", "one two"},
		{`attachment; filename="open`, "attachment", "filename", "open"},
		{`attachment; filename`, "attachment", "filename", ""},
		{`;;;`, "", "filename", ""},
		{`a/b; x=1; x=2`, "a/b", "x", "1"},
	}
	for _, tt := range tests {
		value, params := parseParams(tt.field)
		if value != tt.value || params[tt.name] != tt.want {
			t.Errorf("%s: got %q, %s=%q, want %q, %q", tt.field, value, tt.name, params[tt.name], tt.value, tt.want)
		}
	}
}

func TestHTMLText(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"1 < 2 &amp; 3 > 2", "1 < 2 & 3 > 2"},
		{"a<br>b<BR/>c<br />d", "a\nb\nc\nd"},
		{"<p>one</p><p>two</p>", "one\n\ntwo"},
		{"a <!-- no <b> --> b", "a b"},
		{"a <!-- open", "a <!-- open"},
		{`<a href="x>y">link</a>`, "link"},
		{"<a title='it\"s'>x</a>", "x"},
		{"<script>if (a<b) {}</SCRIPT>x", "x"},
		{"<script>never closed", ""},
		{"<pre>a\n  b</pre>", "a\n  b"},
		{"<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"},
		{"<b", "<b"},
		{"&#1;&lt;b&gt;", "\x01<b>"},
	}
	for _, tt := range tests {
		if got := htmlText(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestHTMLTextIsLinear works on what would not end within the life of a test if any search were made again and again.
func TestHTMLTextIsLinear(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"<", "<a", "<a ", "<!--", `<a x="`, `<a x='"`, "<a'", "</", "<script", "&", `<a x="'>`, "<li>", "<pre> \n"} {
		if text := htmlText(strings.Repeat(s, (1<<20)/len(s))); len(text) > 4<<20 {
			t.Errorf("%q grew to %d octets", s, len(text))
		}
	}
}

func FuzzReadBody(f *testing.F) {
	f.Add([]byte("Subject: x\n\nHello\n"), uint16(100))
	f.Add([]byte(mixed("alternative", "\nx\n", "Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<b=\n>&uuml;\n")), uint16(100))
	f.Add([]byte("Content-Type: text/html; charset=utf-16\nContent-Transfer-Encoding: base64\n\nAGEAYgBj=AA\n"), uint16(3))
	f.Add([]byte("Content-Disposition: attachment; filename*0*=utf-8''%; filename*1=x\n\n"), uint16(9))
	f.Fuzz(func(t *testing.T, message []byte, limit uint16) {
		b, err := ReadBody(bytes.NewReader(message), int(limit))
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadBody(iotest.HalfReader(bytes.NewReader(message)), int(limit))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(b) {
			t.Fatalf("read in pieces: %+v, whole: %+v, error %v", again, b, err)
		}
		if !utf8.ValidString(b.Text) {
			t.Fatalf("text is no UTF-8: %q", b.Text)
		}
		// Three octets at most for one, and a line feed after each part.
		if len(b.Text) > 3*int(limit)+len(message) {
			t.Fatalf("%d octets of text for a limit of %d", len(b.Text), limit)
		}
		for _, a := range b.Attachments {
			if !utf8.ValidString(a.Name+a.Type) || strings.ContainsAny(a.Name+a.Type, "\n\r\x1b") || a.Octets > int64(len(message)) {
				t.Fatalf("attachment %+v", a)
			}
		}
	})
}

func BenchmarkReadBody(b *testing.B) {
	line := strings.Repeat("QUJD", 19) + "\n"
	message := []byte(mixed("mixed", "\nhello\n", "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n"+strings.Repeat(line, 1<<16)))
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		if _, err := ReadBody(bytes.NewReader(message), 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}
