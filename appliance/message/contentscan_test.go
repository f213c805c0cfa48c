package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"maild/index/header"
)

// attachmentByLines is what findAttachment must give, without its shortcuts.
func attachmentByLines(message []byte) bool {
	message = message[:min(len(message), AttachmentOctets)]
	block, _ := header.ReadBlock(bytes.NewReader(message))
	top := parsePart(block)
	if !top.isMultipart() {
		return top.isAttachment("")
	}
	first, ok := follow(nil, top)
	if !ok {
		return false
	}
	stack, head, inHeader := []multipart{first}, []byte(nil), false
	attached := func() bool {
		p := parsePart(head)
		head, inHeader = nil, false
		if m, ok := follow(stack, p); ok && !p.attached {
			stack = append(stack, m)
			return false
		}
		return p.isAttachment(stack[len(stack)-1].mediaType)
	}
	for line := range bytes.Lines(message[len(block):]) {
		level, last, ok := delimiter(stack, line)
		switch {
		case ok:
			if inHeader && attached() {
				return true
			}
			stack, inHeader = stack[:level+1], !last
			if last {
				stack = stack[:level]
			}
		case !inHeader:
		case len(bytes.TrimRight(line, "\r\n")) == 0:
			if attached() {
				return true
			}
		default:
			head = append(head, line...)
		}
	}
	return inHeader && attached()
}

// TestContentAcrossReads has every octet of a message's structure once at the border between two reads.
func TestContentAcrossReads(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"application/pdf", "text/plain"} {
		message := mixed("mixed", "Content-Type: text/plain\n\nhello\n", "Content-Type: "+kind+"\n\nx\n")
		start, rest, _ := strings.Cut(message, "preamble")
		for pad := scanOctets - len(rest) - 10; pad <= scanOctets+10; pad++ {
			padded := start + strings.Repeat("x", pad) + rest
			c, err := ReadContent(strings.NewReader(padded), []byte(strings.TrimSuffix(start, "\n")), false)
			if want := kind == "application/pdf"; err != nil || c.Attachment != want {
				t.Fatalf("%s, %d octets before: %v, error %v", kind, pad, c.Attachment, err)
			}
		}
	}
}

// countingReader counts the octets that are read.
type countingReader struct {
	r     io.ReaderAt
	calls int
	n     int64
	err   error // instead of what lies beyond n
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	if c.calls++; c.err != nil {
		return 0, c.err
	}
	n, err := c.r.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

func TestContentReads(t *testing.T) {
	t.Parallel()
	octets := strings.Repeat(strings.Repeat("QUJD", 19)+"\n", 1<<14)
	tests := []struct {
		name, message string
		calls         int
		octets        int64 // at most
	}{
		{"text", "\n" + octets, 0, 0},
		{"document", "Content-Type: application/pdf\n\n" + octets, 0, 0},
		{"multipart without a boundary", "Content-Type: multipart/mixed\n\n" + octets, 0, 0},
		{"alternative", mixed("alternative", "\nx\n", "Content-Type: text/html\n\nx\n"), 1, scanOctets},
		{"attachment", mixed("mixed", "\nx\n", "Content-Type: application/pdf\n\n"+octets), 1, scanOctets},
		{"much text", mixed("mixed", "\n"+octets, "Content-Type: application/pdf\n\nx\n"), AttachmentOctets / scanOctets, AttachmentOctets},
		{"long line", mixed("mixed", "\n--"+strings.ReplaceAll(octets, "\n", ""), "\n"), AttachmentOctets / scanOctets, AttachmentOctets},
	}
	for _, tt := range tests {
		block, err := header.ReadBlock(strings.NewReader(tt.message))
		if err != nil {
			t.Fatal(err)
		}
		r := &countingReader{r: strings.NewReader(tt.message)}
		if _, err := ReadContent(r, block, false); err != nil || r.calls > tt.calls || r.n > tt.octets {
			t.Errorf("%s: %d reads, %d octets, error %v; want %d, %d", tt.name, r.calls, r.n, err, tt.calls, tt.octets)
		}
	}
}

func TestContentReaderFails(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for _, wantText := range []bool{false, true} {
		_, err := ReadContent(&countingReader{err: gone}, []byte("Content-Type: multipart/mixed; boundary=x\n"), wantText)
		if !errors.Is(err, gone) {
			t.Errorf("with text %v: error %v", wantText, err)
		}
	}
}

func FuzzContent(f *testing.F) {
	f.Add([]byte("Subject: x\n\nHello\n"), uint16(0))
	f.Add([]byte(mixed("mixed", "Content-Type: text/plain\n\nx\n", "Content-Type: image/png; name=a\n\nx\n")), uint16(scanOctets-60))
	f.Add([]byte(mixed("related",
		"Content-Type: multipart/alternative; boundary=y\n\n--y\n\na\n--y--", "Content-ID: <a>\nContent-Type: image/png\n\n")), uint16(9))
	f.Add([]byte("Content-Type: multipart/mixed;\r\n boundary=\"long-enough-to-be-unmistakable\"\r\n\r\n"+
		"--long-enough-to-be-unmistakable-2\r\n\r\n--\r\n"), uint16(7))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=x\n--x\n\n--x--"), uint16(1))
	f.Fuzz(func(t *testing.T, message []byte, pad uint16) {
		block, err := header.ReadBlock(bytes.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		// Octets between the header and the rest, so that the rest lies somewhere between two reads.
		body := append([]byte("\n"), bytes.Repeat([]byte("x"), int(pad))...)
		message = append(append(bytes.Clone(block), body...), message[len(block):]...)
		r := bytes.NewReader(message)
		without, err := ReadContent(r, block, false)
		if err != nil || without.Text != "" {
			t.Fatalf("without text: %+v, error %v", without, err)
		}
		with, err := ReadContent(r, block, true)
		if err != nil || with.Attachment != without.Attachment {
			t.Fatalf("with text: %v, without: %v, error %v", with.Attachment, without.Attachment, err)
		}
		if plain := attachmentByLines(message); plain != with.Attachment {
			t.Fatalf("attachment: %v, line by line: %v", with.Attachment, plain)
		}
		if !utf8.ValidString(with.Text) || len(with.Text) > MaxContentOctets {
			t.Fatalf("%d octets of text: %q", len(with.Text), with.Text)
		}
		if again, err := ReadContent(r, block, true); err != nil || again != with {
			t.Fatalf("at first %+v, then %+v, error %v", with, again, err)
		}
		var want []header.Field
		for _, field := range header.Fields(message) {
			if len(field.Name) >= len("content-") && strings.EqualFold(field.Name[:len("content-")], "content-") {
				want = append(want, field)
			}
		}
		if got := contentFields(message); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("fields %q, want %q", got, want)
		}
	})
}

func BenchmarkContent(b *testing.B) {
	fields := "Return-Path: <list-bounces@example.com>\nDelivered-To: someone@example.org\n" +
		strings.Repeat("Received: from a.example.com (a.example.com [192.0.2.1])\n\tby b.example.org with ESMTPS id 0123456789\n"+
			"\tfor <someone@example.org>; Tue, 3 Mar 2026 10:00:00 +0000\n", 5) +
		"DKIM-Signature: v=1; a=rsa-sha256; b=" + strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz\n ", 10) + "\n" +
		"From: A <a@example.com>\nTo: B <b@example.org>\nSubject: The state of things\nMessage-ID: <1@example.com>\nMIME-Version: 1.0\n"
	alternative := fields + mixed("alternative", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"+
		strings.Repeat("A line of plain text that ends in a soft break, as most lines of mail do=\n", 18),
		"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"+
			strings.Repeat("<p style=3D\"margin: 0\">A line of text, <b>some</b> of it in bold type</p>\n", 36))
	big := strings.Repeat(strings.Repeat("QUJD", 19)+"\n", 10<<20/77)
	for _, bb := range []struct{ name, message string }{
		{"alternative", alternative},
		{"attachment", fields + mixed("mixed", "Content-Type: text/plain\n\nSee there.\n",
			"Content-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\n"+big)},
		{"plain", fields + "Content-Type: text/plain; charset=utf-8\n\n" + strings.Repeat("A line of plain text.\n", 100)},
	} {
		name := filepath.Join(b.TempDir(), "m")
		if err := os.WriteFile(name, []byte(bb.message), 0o600); err != nil {
			b.Fatal(err)
		}
		f, err := os.Open(name)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		block, err := header.ReadBlock(f)
		if err != nil {
			b.Fatal(err)
		}
		for _, wantText := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/text=%v", bb.name, wantText), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := ReadContent(f, block, wantText); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(bb.message)), "octets/message")
			})
		}
	}
}
