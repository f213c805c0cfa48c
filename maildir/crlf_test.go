package maildir

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCRLF(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", crlfBufferOctets-1)
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"a", "a"},
		{"a\nb\n", "a\r\nb\r\n"},
		{"a\r\nb\n", "a\r\nb\r\n"},
		{"\n\n", "\r\n\r\n"},
		{"a\rb\r", "a\rb\r"},
		{"\r\r\n", "\r\r\n"},
		{long + "\r\n", long + "\r\n"}, // the CR ends the first buffer
		{long + "x\n", long + "x\r\n"},
	} {
		for name, r := range map[string]io.Reader{
			"whole":    strings.NewReader(test.in),
			"one byte": iotest.OneByteReader(strings.NewReader(test.in)),
			"data+EOF": iotest.DataErrReader(strings.NewReader(test.in)),
		} {
			got, err := io.ReadAll(CRLF(r))
			if err != nil || string(got) != test.want {
				t.Errorf("%s: %.20q gives %.20q, %v", name, test.in, got, err)
			}
		}
	}
	if _, err := io.ReadAll(CRLF(iotest.ErrReader(io.ErrUnexpectedEOF))); err != io.ErrUnexpectedEOF {
		t.Errorf("error of the reader below: %v", err)
	}
}

// FuzzCRLF holds CRLF against the plain definition, and the counting of Staged against CRLF.
func FuzzCRLF(f *testing.F) {
	for _, seed := range []string{"", "a\nb", "a\r\nb\r", "\r\r\n\n", "\n\r"} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, split uint8) {
		var want []byte
		for i, c := range in {
			if c == '\n' && (i == 0 || in[i-1] != '\r') {
				want = append(want, '\r')
			}
			want = append(want, c)
		}
		for _, r := range []io.Reader{bytes.NewReader(in), iotest.HalfReader(bytes.NewReader(in))} {
			var got []byte
			wire := CRLF(r)
			for buf := make([]byte, int(split)+1); ; {
				n, err := wire.Read(buf)
				got = append(got, buf[:n]...)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%q gives %q, want %q", in, got, want)
			}
		}
		cut := min(int(split), len(in))
		var s Staged
		s.count(in[:cut])
		s.count(in[cut:])
		if s.Octets() != int64(len(in)) || s.WireOctets() != int64(len(want)) {
			t.Fatalf("%q is counted as %d and %d", in, s.Octets(), s.WireOctets())
		}
	})
}

// FuzzLF holds that LF is what replacing the line ends is, however the text comes.
func FuzzLF(f *testing.F) {
	f.Add("a\r\nb\nc\rd\r")
	f.Add("\r\r\n\r\n\n\r")
	f.Fuzz(func(t *testing.T, text string) {
		want := strings.ReplaceAll(text, "\r\n", "\n")
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "octets": iotest.OneByteReader(strings.NewReader(text)),
			"halves": iotest.HalfReader(strings.NewReader(text)), "with the end": iotest.DataErrReader(strings.NewReader(text))} {
			got, err := io.ReadAll(LF(r))
			if err != nil || string(got) != want {
				t.Errorf("%s: %q, want %q, error %v", name, got, want, err)
			}
		}
	})
}

func TestLFLong(t *testing.T) {
	t.Parallel()
	for around := -2; around <= 2; around++ {
		text := strings.Repeat("x", crlfBufferOctets+around) + "\r\n" + strings.Repeat("\r\n", crlfBufferOctets) + "\r"
		got, err := io.ReadAll(LF(strings.NewReader(text)))
		if want := strings.ReplaceAll(text, "\r\n", "\n"); err != nil || string(got) != want {
			t.Errorf("%d octets read, want %d, error %v", len(got), len(want), err)
		}
	}
}
