package message

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"maild/appliance/mail"
	"maild/index/header"
)

// block is a Source over a reader, with a buffer as small as it can be.
type block struct {
	r   io.Reader
	buf []byte
}

func (s *block) Fill() ([]byte, error) {
	b := make([]byte, 512)
	n, err := s.r.Read(b)
	s.buf = append(s.buf, b[:n]...)
	if n > 0 {
		err = nil
	}
	return s.buf, err
}

func (s *block) Consume(n int) { s.buf = s.buf[n:] }

func source(wire string, oneByte bool) *block {
	var r io.Reader = strings.NewReader(wire)
	if oneByte {
		r = iotest.OneByteReader(r)
	}
	return &block{r: r}
}

func TestDecodeDots(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, wire, want, rest string
		err                    error
	}{
		{"plain", "a\r\nb\r\n.\r\nQUIT", "a\nb\n", "QUIT", nil},
		{"empty", ".\r\nQUIT", "", "QUIT", nil},
		{"stuffed", "..\r\n..a\r\n.b\r\n.\r\n", ".\n.a\nb\n", "", nil},
		{"dot not at start", "a.\r\n.\r\n", "a.\n", "", nil},
		{"empty lines", "\r\n\r\n.\r\n", "\n\n", "", nil},
		{"NUL and 8-bit", "a\x00\xff\r\n.\r\n", "a\x00\xff\n", "", nil},
		// The ends of data of the SMTP smuggling attacks (2023): none is one.
		{"LF.LF", "a\n.\nb\r\n.\r\nQ", "", "Q", ErrBareLineEnd},
		{"LF.CRLF", "a\n.\r\nb\r\n.\r\nQ", "", "Q", ErrBareLineEnd},
		{"CR.CR", "a\r.\rb\r\n.\r\nQ", "", "Q", ErrBareLineEnd},
		{"CR.CRLF", "a\r.\r\nb\r\n.\r\nQ", "", "Q", ErrBareLineEnd},
		{"CRLF.LF", "a\r\n.\nb\r\n.\r\nQ", "", "Q", ErrBareLineEnd},
		{"CRLF.CR", "a\r\n.\rb\r\n.\r\nQ", "", "Q", ErrBareLineEnd},
		{"CRCRLF.CRLF", "a\r\r\n.\r\nQ", "", "Q", ErrBareLineEnd},
		{"CRLF.CRCRLF", "a\r\n.\r\r\nb\r\n.\r\nQ", "", "Q", ErrBareLineEnd},
		{"CRLF NUL.CRLF", "a\r\n\x00.\r\nb\r\n.\r\nQ", "a\n\x00.\nb\n", "Q", nil},
		{"cut", "a\r\nb", "", "", io.EOF},
		{"cut in the end", "a\r\n.", "", "", io.EOF},
		{"cut before LF", "a\r\n.\r", "", "", io.EOF},
	} {
		for _, slow := range []bool{false, true} {
			src := source(c.wire, slow)
			var out bytes.Buffer
			_, err := Decode(&out, src, true, 0, 0)
			rest, _ := io.ReadAll(src.r)
			if !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Errorf("%s: error %v, want %v", c.name, err, c.err)
				continue
			}
			if c.err == nil && out.String() != c.want || c.err != io.EOF && string(src.buf)+string(rest) != c.rest {
				t.Errorf("%s: got %q and %q left, want %q and %q", c.name, out.String(), string(src.buf)+string(rest), c.want, c.rest)
			}
		}
	}
}

func TestDecodeChunks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wire, want string
		err        error
	}{
		{"a\r\n.\r\nb", "a\n.\nb", nil},
		{"", "", nil},
		{"a\r", "", ErrBareLineEnd},
		{"a\nb", "", ErrBareLineEnd},
	} {
		for _, slow := range []bool{false, true} {
			var out bytes.Buffer
			if _, err := Decode(&out, source(c.wire, slow), false, 0, 0); !errors.Is(err, c.err) || c.err == nil && (err != nil || out.String() != c.want) {
				t.Errorf("%q: %q, %v, want %q, %v", c.wire, out.String(), err, c.want, c.err)
			}
		}
	}
}

func TestDecodeLimit(t *testing.T) {
	t.Parallel()
	wire := "..234\r\n..\r\n.\r\nQ" // ".234" CRLF "." CRLF: 9 octets
	for max, want := range map[int64]error{8: ErrTooBig, 9: nil, 10: nil} {
		src := source(wire, false)
		n, err := Decode(io.Discard, src, true, max, 100)
		if !errors.Is(err, want) || n != 9 || string(src.buf) != "Q" {
			t.Errorf("limit %d: %d octets, %v, %q left, want %v", max, n, err, src.buf, want)
		}
	}
	var lost *SourceError
	if _, err := Decode(io.Discard, source(wire, true), true, 1, 2); !errors.As(err, &lost) {
		t.Errorf("beyond the drain limit: %v, want a SourceError", err)
	}
	full := errors.New("full")
	src := source(wire, false)
	if _, err := Decode(failingWriter{full}, src, true, 0, 0); err != full || string(src.buf) != "Q" {
		t.Errorf("failing file: %v, %q left, want the message consumed", err, src.buf)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// FuzzDecode: however the octets are cut into blocks, the result is the same; the
// message ends at the first CRLF.CRLF and nowhere else; what is accepted, sent
// again, comes out the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("a\r\n..b\r\n.\r\nQUIT\r\n"))
	f.Add([]byte("\n.\r\n.\r\n"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		var out, slow bytes.Buffer
		src, src2 := source(string(wire), false), source(string(wire), true)
		_, err := Decode(&out, src, true, 0, 0)
		_, err2 := Decode(&slow, src2, true, 0, 0)
		if (err == nil) != (err2 == nil) || err == nil && !bytes.Equal(out.Bytes(), slow.Bytes()) {
			t.Fatalf("%q: %q %v in blocks, %q %v an octet at a time", wire, out.Bytes(), err, slow.Bytes(), err2)
		}
		end := bytes.Index(append([]byte("\r\n"), wire...), []byte("\r\n.\r\n"))
		rest, _ := io.ReadAll(src.r)
		left := len(src.buf) + len(rest)
		if found := err == nil || errors.Is(err, ErrBareLineEnd); found != (end >= 0) || found && len(wire)-left != end+3 {
			t.Fatalf("%q: %d octets left, %v, the end is at %d", wire, left, err, end)
		}
		if err != nil {
			return
		}
		var again bytes.Buffer
		if _, err := Decode(&again, source(encode(out.Bytes()), false), true, 0, 0); err != nil || !bytes.Equal(again.Bytes(), out.Bytes()) {
			t.Fatalf("%q: %q became %q, %v", wire, out.Bytes(), again.Bytes(), err)
		}
	})
}

// encode puts a message of whole lines on the wire.
func encode(text []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(text) {
		if line[0] == '.' {
			b.WriteByte('.')
		}
		b.Write(bytes.TrimSuffix(line, []byte("\n")))
		b.WriteString("\r\n")
	}
	return b.String() + ".\r\n"
}

func TestIntake(t *testing.T) {
	t.Parallel()
	const trace = "Return-Path: <us@example.org>\nReceived: here\n"
	for _, c := range []struct{ name, in, want, head string }{
		{"plain", "A: b\nC: d\n\nbody\n", "A: b\nC: d\n\nbody\n", "A: b\nC: d\n"},
		{"foreign Return-Path", "A: b\nReturn-Path: <x>\n\tfolded\n more\nC: d\n\nReturn-Path: kept\n", "A: b\nC: d\n\nReturn-Path: kept\n", "A: b\nC: d\n"},
		{"first field", "return-path : <x>\nC: d\n\n", "C: d\n\n", "C: d\n"},
		{"last field, no body", "C: d\nReturn-Path: <x>\n", "C: d\n", "C: d\n"},
		{"several", "Return-Path: a\nReturn-Path: b\nC: d\nReturn-Path: c\n\n", "C: d\n\n", "C: d\n"},
		{"longer name", "Return-Path-Extra: a\n\n", "Return-Path-Extra: a\n\n", "Return-Path-Extra: a\n"},
		{"garbage line", "no colon here\nReturn-Path: x\nC: d\n\n", "no colon here\nC: d\n\n", "no colon here\nC: d\n"},
		{"no header", "\nbody\n", "\nbody\n", ""},
		{"cut name", "Retu", "Retu", "Retu"},
		{"empty", "", "", ""},
	} {
		for _, size := range []int{1, 2, 7, 1000} {
			var out bytes.Buffer
			in, err := NewIntake(&out, []byte(trace), 50)
			if err != nil {
				t.Fatal(err)
			}
			for rest := c.in; rest != ""; {
				n := min(size, len(rest))
				if _, err := in.Write([]byte(rest[:n])); err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				rest = rest[n:]
			}
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			if out.String() != trace+c.want || string(in.Header()) != trace+c.head {
				t.Errorf("%s by %d: wrote %q, header %q, want %q, %q", c.name, size, out.String()[len(trace):], in.Header()[len(trace):], c.want, c.head)
			}
		}
	}
}

func TestIntakeLoop(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]error{50: nil, 51: ErrLoop} {
		in, _ := NewIntake(io.Discard, []byte("Received: ours\n"), 50)
		_, err := in.Write([]byte(strings.Repeat("Received: from a\n\tby b\n", n) + "\nReceived: in the body\n"))
		if err != want {
			t.Errorf("%d Received fields: %v, want %v", n, err, want)
		}
	}
}

func TestIntakeBoundsHeader(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	in, _ := NewIntake(&out, []byte("A: b\n"), 50)
	long := "X: " + strings.Repeat("x", 2*header.MaxBlockOctets)
	if _, err := in.Write([]byte(long)); err != nil {
		t.Fatal(err)
	}
	if len(in.Header()) != header.MaxBlockOctets || out.Len() != len("A: b\n")+len(long) {
		t.Errorf("header of %d octets kept, %d written", len(in.Header()), out.Len())
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	to, _, _ := mail.ParseForwardPath("<bob+x@example.org>")
	from, _, _ := mail.ParseReversePath("<ann@example.com>")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tr := Trace{From: from, Host: "mx.example.org", ID: "abc", Time: at, For: to, Account: "bob@example.org",
		Origin: Origin{Hello: "client.example.com", Client: netip.MustParseAddr("::ffff:192.0.2.1"), Protocol: "ESMTPS", TLS: "TLS_AES_128_GCM_SHA256", TLSNote: "TLS 1.3"}}
	want := "Return-Path: <ann@example.com>\nX-Original-To: bob+x@example.org\nDelivered-To: bob@example.org\n" +
		"Received: from client.example.com ([192.0.2.1])\n\tby mx.example.org with ESMTPS (TLS 1.3) tls TLS_AES_128_GCM_SHA256\n" +
		"\tid abc for <bob+x@example.org>; Fri, 2 Jan 2026 03:04:05 +0000\n"
	if got := string(tr.AppendTo(nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	several := Trace{Host: "mx.example.org", ID: "abc", Time: at, Origin: Origin{Hello: "h", Client: netip.MustParseAddr("2001:db8::1"), Protocol: "ESMTP"}}
	want = "Return-Path: <>\nReceived: from h ([IPv6:2001:db8::1])\n\tby mx.example.org with ESMTP\n\tid abc; Fri, 2 Jan 2026 03:04:05 +0000\n"
	if got := string(several.AppendTo(nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func BenchmarkDecode(b *testing.B) {
	wire := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 1000) + ".\r\n")
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		src := &whole{append([]byte(nil), wire...)}
		if _, err := Decode(io.Discard, src, true, 0, 0); err != nil {
			b.Fatal(err)
		}
	}
}

type whole struct{ b []byte }

func (s *whole) Fill() ([]byte, error) { return s.b, nil }
func (s *whole) Consume(n int)         { s.b = s.b[n:] }

// FuzzIntake: however a message is cut, the file is the message less its
// Return-Path fields, found line by line.
func FuzzIntake(f *testing.F) {
	f.Add([]byte("A: b\nReturn-Path: x\n y\nC: d\n\nReturn-Path: z\n"), 3)
	f.Add([]byte("return-PATH\t:\n\t\n\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		var want bytes.Buffer
		header, drop := true, false
		for line := range bytes.Lines(text) {
			name, _, isField := bytes.Cut(line, []byte(":"))
			switch {
			case !header:
			case line[0] == '\n':
				header, drop = false, false
			case line[0] == ' ' || line[0] == '\t':
			default:
				drop = isField && len(name) < maxNameOctets && bytes.EqualFold(bytes.TrimRight(name, " \t"), []byte("return-path"))
			}
			if !header || !drop {
				want.Write(line)
			}
		}
		var got bytes.Buffer
		in, _ := NewIntake(&got, nil, len(text))
		for rest := text; len(rest) > 0; {
			n := min(max(1, size%50), len(rest))
			if _, err := in.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Fatalf("%q by %d: wrote %q, want %q", text, size, got.Bytes(), want.Bytes())
		}
		if head, _, _ := bytes.Cut(append([]byte("\n"), got.Bytes()...), []byte("\n\n")); len(got.Bytes()) < 1000 && !bytes.HasPrefix(append([]byte("\n"), in.Header()...), head) {
			t.Fatalf("%q: header %q, want %q", text, in.Header(), head)
		}
	})
}
