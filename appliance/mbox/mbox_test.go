package mbox

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// message is one as it was read.
type message struct {
	Envelope
	content string
}

// readAll reads a mailbox.
func readAll(r io.Reader, f Format) (all []message, err error) {
	reader := NewReader(r, f)
	for {
		e, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			return all, err
		}
		all = append(all, message{e, string(content)})
	}
}

// contents reads a mailbox of which only the contents matter.
func contents(t *testing.T, text string, f Format) []string {
	t.Helper()
	all, err := readAll(strings.NewReader(text), f)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, m := range all {
		list = append(list, m.content)
	}
	return list
}

const day = "From a@b.example Sat Jan 31 08:00:00 2026\n"

func TestQuoting(t *testing.T) {
	t.Parallel()
	body := "A: b\n\n>From x\n>>From y\n>>>From z\n>Fromage\n> From me\n\n"
	for f, want := range map[Format]string{
		Auto: "A: b\n\nFrom x\n>From y\n>>From z\n>Fromage\n> From me\n",
		RD:   "A: b\n\nFrom x\n>From y\n>>From z\n>Fromage\n> From me\n",
		O:    "A: b\n\nFrom x\n>>From y\n>>>From z\n>Fromage\n> From me\n",
		CL2:  "A: b\n\n>From x\n>>From y\n>>>From z\n>Fromage\n> From me\n",
	} {
		if got := contents(t, day+body, f); !reflect.DeepEqual(got, []string{want}) {
			t.Errorf("format %d: %q, want %q", f, got, want)
		}
	}
}

// TestSeparators holds which lines begin a message.
func TestSeparators(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"nothing":                       {"", []string{}},
		"empty lines before":            {"\n\r\n" + day + "A: b\n\nx\n", []string{"A: b\n\nx\n"}},
		"two":                           {day + "A: b\n\nx\n\n" + day + "C: d\n\ny\n\n", []string{"A: b\n\nx\n", "C: d\n\ny\n"}},
		"CRLF":                          {strings.ReplaceAll(day+"A: b\n\nx\n\n"+day+"C: d\n\ny\n\n", "\n", "\r\n"), []string{"A: b\n\nx\n", "C: d\n\ny\n"}},
		"no empty line between":         {day + "A: b\n\nx\n" + day + "C: d\n\ny\n", []string{"A: b\n\nx\n", "C: d\n\ny\n"}},
		"no date":                       {day + "A: b\n\nx\n\nFrom a@b\nC: d\n\ny\n", []string{"A: b\n\nx\n", "C: d\n\ny\n"}},
		"no header after":               {day + "A: b\n\nx\n\n" + day + "hello\n", []string{"A: b\n\nx\n", "hello\n"}},
		"a sentence":                    {day + "A: b\n\nFrom here on\nall is well\n\nFrom there, too\n", []string{"A: b\n\nFrom here on\nall is well\n\nFrom there, too\n"}},
		"a sentence before a colon":     {day + "A: b\n\nbegin\nFrom here on\nNote: all is well\n", []string{"A: b\n\nbegin\nFrom here on\nNote: all is well\n"}},
		"no body":                       {day + "A: b\n\n" + day + "C: d\n", []string{"A: b\n", "C: d\n"}},
		"empty body":                    {day + "A: b\n\n\n" + day + "C: d\n\n\n", []string{"A: b\n\n", "C: d\n\n"}},
		"no content":                    {day + "\n" + day + "\n", []string{"", ""}},
		"many empty lines":              {day + "A: b\n\n\n\n\nx\n\n\n\n" + day, []string{"A: b\n\n\n\n\nx\n\n\n", ""}},
		"no line end":                   {day + "A: b\n\nx", []string{"A: b\n\nx"}},
		"NUL":                           {day + "A: b\n\nx\x00\ny\n", []string{"A: b\n\nx\x00\ny\n"}},
		"bare CR":                       {day + "A: b\n\nx\ry\r", []string{"A: b\n\nx\ry\r"}},
		"From in the header, no fields": {day + "hello\nFrom you\nand me\n", []string{"hello\nFrom you\nand me\n"}},
	} {
		if got := contents(t, tc.text, Auto); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if _, err := readAll(strings.NewReader("SQLite format 3\x00"), Auto); !errors.Is(err, ErrFormat) {
		t.Errorf("no mbox: %v", err)
	}
}

func TestContentLength(t *testing.T) {
	t.Parallel()
	body := "x\n\n" + day + "Not: a message\n\n>From y\n"
	right := day + "A: b\nContent-Length: " + strconv.Itoa(len(body)) + "\n\n" + body + "\n" + day + "C: d\n\ny\n"
	want := []string{"A: b\n\n" + body, "C: d\n\ny\n"}
	for _, f := range []Format{Auto, CL2} {
		if got := contents(t, right, f); !reflect.DeepEqual(got, want) {
			t.Errorf("format %d: %q, want %q", f, got, want)
		}
	}
	// From a stream nothing can be seen beforehand: then the length is trusted only when it is asked for.
	stream := func(f Format) int {
		all, err := readAll(iotest.HalfReader(strings.NewReader(right)), f)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if n := stream(CL2); n != 2 {
		t.Errorf("stream of mboxcl2: %d messages", n)
	}
	if n := stream(Auto); n != 3 {
		t.Errorf("stream of unknown format: %d messages", n)
	}
	// A length that leads nowhere is not believed, and stays in the message.
	for _, length := range []string{"3", "1000", "99999999999999999999", "-1", "x"} {
		text := day + "Content-Length: " + length + "\n\nfirst\n\n" + day + "C: d\n\ny\n"
		want := []string{"Content-Length: " + length + "\n\nfirst\n", "C: d\n\ny\n"}
		if got := contents(t, text, CL2); !reflect.DeepEqual(got, want) {
			t.Errorf("length %s: %q, want %q", length, got, want)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		head, rest string
		flags      string
		keywords   []string
		fresh      bool
		expunged   bool
		internal   bool
	}{
		"none":                {head: "A: b\n", rest: "A: b\n", fresh: true},
		"mutt":                {head: "A: b\nStatus: RO\nX-Status: AF\n", rest: "A: b\n", flags: "FRS"},
		"old":                 {head: "A: b\nStatus: O\n", rest: "A: b\n"},
		"Dovecot":             {head: "A: b\nStatus: RO\nX-Status: TD\nX-Keywords: $Forwarded NonJunk a            \n", rest: "A: b\nX-Keywords: $Forwarded NonJunk a            \n", flags: "DPSTa", keywords: []string{"NonJunk"}},
		"numbers":             {head: "X-IMAPbase: 1769846400 0000000010 NonJunk\nX-UID: 7\nA: b\n", rest: "A: b\n", fresh: true},
		"letters":             {head: "X-Keywords: b a\nStatus: O\nA: b\n", rest: "A: b\n", flags: "ab"},
		"Thunderbird":         {head: "X-Mozilla-Status: 1007\nX-Mozilla-Status2: 00800000\nX-Mozilla-Keys:                   \nA: b\n", rest: "A: b\n", flags: "FPRS"},
		"Thunderbird, unread": {head: "X-Mozilla-Status: 0000\nA: b\n", rest: "A: b\n"},
		"Thunderbird, gone":   {head: "X-Mozilla-Status: 0009\nA: b\n", rest: "A: b\n", flags: "S", expunged: true},
		"no number":           {head: "X-Mozilla-Status: red\nA: b\n", rest: "X-Mozilla-Status: red\nA: b\n", fresh: true},
		"folded":              {head: "A: b\nstatus: R\n O\nC: d\n e\n", rest: "A: b\nC: d\n e\n", flags: "S"},
		"no header":           {head: "hello\nStatus: RO\n", rest: "hello\nStatus: RO\n", fresh: true},
		"notes of Dovecot":    {head: "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n", rest: "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n", fresh: true, internal: true},
		"ours":                {head: "Status: RO\nX-Status: A\nX-Keywords: $Forwarded c\nStatus: O\nX-Mozilla-Status: 0009\n", rest: "Status: O\nX-Mozilla-Status: 0009\n", flags: "PRSc"},
	} {
		all, err := readAll(strings.NewReader(day+tc.head+"\nx\n"), Auto)
		if err != nil || len(all) != 1 {
			t.Fatalf("%s: %d messages, error %v", name, len(all), err)
		}
		m := all[0]
		if m.content != tc.rest+"\nx\n" || m.Flags != tc.flags || !reflect.DeepEqual(m.Keywords, tc.keywords) || m.Fresh != tc.fresh || m.Expunged != tc.expunged || m.Internal != tc.internal {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestFrom(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	for line, sender := range map[string]string{
		"From a@b.example Sat Jan 31 08:00:00 2026":                     "a@b.example",
		"From MAILER-DAEMON Sat Jan 31 08:00:00 2026":                   "",
		"From - Sat Jan 31 08:00:00 2026":                               "",
		"From a@b  Sat Jan 31 08:00 2026":                               "a@b",
		"From a@b Sat Jan 31 09:00:00 2026 +0100":                       "a@b",
		"From a@b Sat Jan 31 09:00:00 +0100 2026":                       "a@b",
		"From a@b Sat Jan 31 08:00:00 UTC 2026 remote from x":           "a@b",
		"From \"x y\"@b Sat Jan 31 08:00:00 2026":                       "\"x",
		"From 1234567890@xxx Sat Jan 31 10:30:00 +0230 2026 some words": "1234567890@xxx",
	} {
		got, date := parseFrom(line)
		if got != sender || !date.Equal(want) {
			t.Errorf("%s: %q, %v", line, got, date)
		}
	}
	for _, line := range []string{"From ", "From a@b", "From a@b Sat Jan 32 08:00:00 2026", "From a@b Sam Jan 31 08:00:00 2026", "From a@b Sat Jan 31 08:00:00", "From a Sat anF 31 08:00:00 2026"} {
		if _, date := parseFrom(line); !date.IsZero() {
			t.Errorf("%s: %v", line, date)
		}
	}
}

// TestLongLines crosses the end of the buffer at every place that matters.
func TestLongLines(t *testing.T) {
	t.Parallel()
	for _, around := range []int{-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2} {
		n := bufferOctets + around
		check(t, []message{
			{Envelope{Date: time.Unix(1, 0).UTC(), Flags: "S"}, strings.Repeat(">", n) + "From x\n"},
			{Envelope{Date: time.Unix(1, 0).UTC(), Flags: "S"}, strings.Repeat(">", 2*n) + "From x\n>From y\n"},
			{Envelope{Date: time.Unix(1, 0).UTC(), Flags: "S"}, "A: b\n\n" + strings.Repeat(">", n) + "\nFrom z\n"},
			{Envelope{Date: time.Unix(1, 0).UTC(), Flags: "S"}, "A: b\n\n" + strings.Repeat("x", n) + "\rz\n" + strings.Repeat("From ", n/5) + "\n\n"},
		})
		long := day + "A: b\n\n" + strings.Repeat("x", n) + "\r\ny\r\n"
		if got := contents(t, long, Auto); got[0] != strings.ReplaceAll(long[len(day):], "\r\n", "\n") {
			t.Errorf("a long line that ends in CRLF at %d is changed", n)
		}
	}
}

// check writes messages, reads them, and compares.
func check(t *testing.T, all []message) {
	t.Helper()
	var file bytes.Buffer
	w := NewWriter(&file)
	for _, m := range all {
		if err := w.Message(m.Envelope, iotest.HalfReader(strings.NewReader(m.content))); err != nil {
			t.Fatal(err)
		}
	}
	for name, r := range map[string]io.Reader{"file": bytes.NewReader(file.Bytes()), "stream": iotest.DataErrReader(bytes.NewBuffer(file.Bytes()))} {
		for _, f := range []Format{Auto, RD} {
			got, err := readAll(r, f)
			if s, ok := r.(io.Seeker); ok {
				s.Seek(0, io.SeekStart)
			} else {
				r = bytes.NewBuffer(file.Bytes())
			}
			if err != nil || len(got) != len(all) {
				t.Fatalf("%s, format %d: %d messages, want %d, error %v", name, f, len(got), len(all), err)
			}
			for i := range got {
				got[i].Offset = 0
				if !reflect.DeepEqual(got[i], all[i]) {
					t.Fatalf("%s, format %d, message %d: %.200v, want %.200v", name, f, i, got[i], all[i])
				}
			}
		}
	}
}

// FuzzWrite holds that what is written is read as the same messages.
func FuzzWrite(f *testing.F) {
	f.Add("A: b\n\nFrom x\n", "", "S", int64(1769846400))
	f.Add(">From x\n\n\n", "Content-Length: 3\n\nab\n", "DFPRSTaz", int64(0))
	f.Add(" folded\nStatus: RO\nX-Status: A\nX-Keywords: b\n\n", "\n\n\n", "", int64(-1))
	f.Fuzz(func(t *testing.T, one, two, letters string, seconds int64) {
		var fl flags
		for i := range len(letters) {
			if c := letters[i]; c > ' ' && c <= '~' && c != '/' {
				fl.set(c)
			}
		}
		var sorted []byte
		for c := byte(' '); c <= '~'; c++ {
			if bytes.IndexByte(fl.letters, c) >= 0 {
				sorted = append(sorted, c)
			}
		}
		e := Envelope{Flags: string(sorted), Fresh: len(sorted) == 0, Date: time.Unix(seconds%(1<<33), 0).UTC()}
		if y := e.Date.Year(); y < 1000 || y > 9999 {
			t.Skip("no year of four digits")
		}
		check(t, []message{{e, lines(one)}, {e, lines(two)}, {e, lines(one)}})
	})
}

// lines makes a text one that an mbox can keep: LF for CRLF, and one at the end.
func lines(s string) string {
	for strings.Contains(s, "\r\n") {
		s = strings.ReplaceAll(s, "\r\n", "\n")
	}
	if s != "" && !strings.HasSuffix(s, "\n") {
		s = strings.TrimRight(s, "\r") + "\n"
	}
	return s
}

// FuzzRead holds that any file is read to its end, in the same way however it comes, and that what was read can be written and read again.
func FuzzRead(f *testing.F) {
	f.Add(day+"A: b\nStatus: RO\n\n>From x\n\n"+day+"\n", byte(0))
	f.Add("From \n\n\nFrom a Sat Jan 31 08:00:00 2026\nContent-Length: 2\n\nx\n\n\nFrom b\nA: b\n", byte(3))
	f.Fuzz(func(t *testing.T, text string, format byte) {
		form := Format(format % 4)
		whole, err := readAll(bytes.NewBufferString(text), form) // a stream, as the other
		bits, berr := readAll(iotest.OneByteReader(strings.NewReader(text)), form)
		if (err == nil) != (berr == nil) || !reflect.DeepEqual(whole, bits) {
			t.Fatalf("read at once: %+v, %v\nby octets: %+v, %v", whole, err, bits, berr)
		}
		file, err := readAll(strings.NewReader(text), form)
		if err != nil && !errors.Is(err, ErrFormat) {
			t.Fatal(err)
		}
		octets := 0
		for _, m := range file {
			octets += len(m.content)
			if strings.Contains(m.content, "\r\r\n") || len(m.Keywords) > 0 || strings.Contains(m.content, "\r\n") {
				return
			}
		}
		if octets > len(text)+1 {
			t.Fatalf("%d octets of content in a file of %d", octets, len(text))
		}
	})
}
