package header

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadBlock(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"A: b\n\nbody":          "A: b\n",
		"A: b\r\n\r\nbody":      "A: b\r\n",
		"A: b\n\r\nbody":        "A: b\n",
		"A: b\n \nC: d\n\nbody": "A: b\n \nC: d\n",
		"\nbody\n\nmore":        "",
		"\r\nbody":              "",
		"A: b":                  "A: b",
		"A: b\nno blank line\n": "A: b\nno blank line\n",
		"":                      "",
		strings.Repeat("A: b\n", 20_000) + "\nbody": strings.Repeat("A: b\n", 20_000),
	} {
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(in), "octet by octet": iotest.OneByteReader(strings.NewReader(in))} {
			if got, err := ReadBlock(r); err != nil || string(got) != want {
				t.Errorf("%s: ReadBlock(%.20q) = %.20q, %v", name, in, got, err)
			}
		}
	}
}

func TestReadBlockBound(t *testing.T) {
	t.Parallel()
	r := bytes.NewReader(bytes.Repeat([]byte("x"), 4*MaxBlockOctets))
	b, err := ReadBlock(r)
	if err != nil || len(b) != MaxBlockOctets || r.Len() != 3*MaxBlockOctets {
		t.Errorf("%d octets, %d left, %v", len(b), r.Len(), err)
	}
}

func TestReadBlockError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	b, err := ReadBlock(io.MultiReader(strings.NewReader("A: b\n"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || string(b) != "A: b\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want []Field
	}{
		{"A: b\nC:d\n", []Field{{"A", "b"}, {"C", "d"}}},
		{"A: b\r\n c\r\n\td\r\nE: f", []Field{{"A", "b c\td"}, {"E", "f"}}},
		{"From x@y Mon\nA: b", []Field{{"A", "b"}}},
		{">From x\nA: b", []Field{{"A", "b"}}},
		{"A : b", []Field{{"A", "b"}}},
		{"A\t: b", []Field{{"A", "b"}}},
		{"garbage\n more\nA: b", []Field{{"A", "b"}}},
		{"some prose: here\nA: b", []Field{{"A", "b"}}},
		{" leading\nA: b", []Field{{"A", "b"}}},
		{": b\nA:\nB: \n c", []Field{{"A", ""}, {"B", "c"}}},
		{"A: x\x00y\rz", []Field{{"A", "x\x00y\rz"}}},
		{"N\xc3\xa4me: b\nA: b", []Field{{"A", "b"}}},
		{"A: b\n\nC: d", []Field{{"A", "b"}}},
		{"", nil},
	} {
		if got := Fields([]byte(c.in)); !slices.Equal(got, c.want) {
			t.Errorf("Fields(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}
