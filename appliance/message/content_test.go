package message

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"maild/index/header"
)

// readContent reads a message as the index does, with text and without, and sees that both say the same.
func readContent(t *testing.T, message string) Content {
	t.Helper()
	name := filepath.Join(t.TempDir(), "m")
	if err := os.WriteFile(name, []byte(message), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block, err := header.ReadBlock(f)
	if err != nil {
		t.Fatal(err)
	}
	with, err := ReadContent(f, block, true)
	if err != nil {
		t.Fatal(err)
	}
	without, err := ReadContent(f, block, false)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Content{Attachment: with.Attachment}); without != want {
		t.Errorf("without text: %+v, with it: %v", without, with.Attachment)
	}
	if plain := attachmentByLines([]byte(message)); with.Attachment != plain {
		t.Errorf("attachment: %v, line by line: %v", with.Attachment, plain)
	}
	return with
}

func TestContentOfOnePart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, header string
		attachment   bool
		text         string
	}{
		{"no type", "", false, "body\n"},
		{"plain", "Content-Type: text/plain; charset=utf-8\n", false, "body\n"},
		{"HTML", "Content-Type: text/html\n", false, "body"},
		{"text with a name", "Content-Type: text/plain; name=a.txt\n", false, "a.txt"},
		{"text attached", "Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n", true, "a.txt"},
		{"disposition in capitals", "content-disposition: ATTACHMENT\n", true, ""},
		{"text inline", "Content-Type: text/plain\nContent-Disposition: inline; filename=a.txt\n", false, "body\n"},
		{"invitation", "Content-Type: text/calendar; method=REQUEST\n", false, ""},
		{"document", "Content-Type: application/pdf\n", true, ""},
		{"document with a name", "Content-Type: application/pdf;\n name=\"=?utf-8?q?=C3=BC=2Epdf?=\"\n", true, "ü.pdf"},
		{"image inline", "Content-Type: image/jpeg\nContent-Disposition: inline\n", true, ""},
		{"message", "Content-Type: message/rfc822\n", true, ""},
		{"signed and wrapped", "Content-Type: application/pkcs7-mime; name=smime.p7m\nContent-Disposition: attachment\n", false, "smime.p7m"},
		{"unknown type", "Content-Type: nonsense\n", false, "body\n"},
		{"multipart without a boundary", "Content-Type: multipart/mixed\n", false, ""},
		{"multipart with an empty boundary", "Content-Type: multipart/mixed; boundary=\"\"\n", false, ""},
		{"multipart without a delimiter", "Content-Type: multipart/mixed; boundary=x\n", false, "body\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, want := readContent(t, tt.header+"\nbody\n"), (Content{tt.attachment, tt.text}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestContentOfMultipart(t *testing.T) {
	t.Parallel()
	const (
		plain = "Content-Type: text/plain\n\nhello\n"
		page  = "Content-Type: text/html\n\n<p>hello\n"
		named = "Content-Disposition: attachment; filename=sig.asc\n\nabc\n"
	)
	inner := func(subtype, one, two string) string {
		return strings.ReplaceAll(mixed(subtype, one, two), "=_b", "=_inner")
	}
	tests := []struct {
		name, message string
		attachment    bool
		text          string
	}{
		{"alternative", mixed("alternative", plain, page), false, "hello"},
		{"HTML without plain text", mixed("alternative", page, "Content-Type: text/x-amp-html\n\nhi\n"), false, "hello"},
		{"document", mixed("mixed", plain, "Content-Type: application/pdf; name=a.pdf\n\n%PDF\n"), true, "hello\na.pdf"},
		{"document first", mixed("mixed", "Content-Type: application/pdf; name=a.pdf\n\n%PDF\n", plain), true, "hello\na.pdf"},
		{"document alone has a name", mixed("mixed", "Content-Type: application/pdf; name=a.pdf\n\n%PDF\n", "\n\n"), true, "a.pdf"},
		{"attached to an alternative", mixed("mixed", inner("alternative", plain, page), "Content-Type: image/png\n\nx\n"), true, "hello"},
		{"beside an alternative", mixed("mixed", inner("alternative", plain, page), plain), false, "hello\nhello"},
		{"within an alternative", mixed("alternative", plain, inner("mixed", page, "Content-Type: application/pdf\n\nx\n")), true, "hello"},
		{"image that is shown", mixed("related", page,
			"Content-Type: image/png; name=logo.png\nContent-ID: <1@x>\nContent-Disposition: inline\n\nx\n"), false, "hello\nlogo.png"},
		{"image that nothing shows", mixed("related", page, "Content-Type: image/png\n\nx\n"), true, "hello"},
		{"image in related, attached", mixed("related", page,
			"Content-Type: image/png\nContent-ID: <1@x>\nContent-Disposition: attachment\n\nx\n"), true, "hello"},
		{"image with an identifier in mixed", mixed("mixed", plain,
			"Content-Type: image/png\nContent-ID: <1@x>\n\nx\n"), true, "hello"},
		{"invitation in an alternative", mixed("alternative", plain, "Content-Type: text/calendar; name=i.ics\n\nBEGIN\n"), false, "hello\ni.ics"},
		{"invitation beside text", mixed("mixed", plain, "Content-Type: text/calendar\n\nBEGIN\n"), true, "hello"},
		{"text with a name", mixed("mixed", plain, "Content-Type: text/plain; name=a.txt\n\nx\n"), true, "hello\na.txt"},
		{"text with a name, inline", mixed("mixed", plain, "Content-Type: text/plain; name=a.txt\nContent-Disposition: inline\n\nx\n"), false, "hello\nx"},
		{"HTML beside text", mixed("mixed", plain, page), false, "hello"},
		{"PGP signature", mixed("signed", plain, "Content-Type: application/pgp-signature\n"+named), false, "hello\nsig.asc"},
		{"S/MIME signature", mixed("signed", plain, "Content-Type: application/pkcs7-signature\n"+named), false, "hello\nsig.asc"},
		{"S/MIME signature, old name", mixed("signed", plain, "Content-Type: application/x-pkcs7-signature\n"+named), false, "hello\nsig.asc"},
		{"encrypted", mixed("encrypted", "Content-Type: application/pgp-encrypted\n\nVersion: 1\n",
			"Content-Type: application/octet-stream\n"+named), false, "sig.asc"},
		{"forwarded", mixed("mixed", plain, "Content-Type: message/rfc822\n\nSubject: x\n\ny\n"), true, "hello"},
		{"digest", mixed("digest", "Content-Type: message/rfc822\n\nSubject: x\n\ny\n", "\nSubject: z\n\ny\n"), false, "Subject: z\n\ny"},
		{"report", mixed("report", plain, "Content-Type: message/delivery-status\n\nAction: failed\n"), false, "hello"},
		{"report with headers", mixed("report", plain, "Content-Type: text/rfc822-headers\n\nSubject: x\n"), false, "hello"},
		{"report with an archive", mixed("report", plain, "Content-Type: application/gzip\n\nx\n"), true, "hello"},
		{"attached multipart", mixed("mixed", plain, "Content-Disposition: attachment\n"+inner("alternative", plain, page)), true, "hello\nhello"},
		{"wire form", strings.ReplaceAll(mixed("mixed", plain, "Content-Type: image/png\n\nx\n"), "\n", "\r\n"), true, "hello"},
		{"wire form without", strings.ReplaceAll(mixed("mixed", plain, plain), "\n", "\r\n"), false, "hello\nhello"},
		{"after the end", "Content-Type: multipart/mixed; boundary=x\n\n--x\n\nhello\n--x--\n--x\nContent-Type: image/png\n\nx\n", false, "hello"},
		{"no preamble, no end", "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: image/png", true, ""},
		{"ends with a delimiter", "Content-Type: multipart/mixed; boundary=x\n\n--x", false, ""},
		{"delimiter within a header", "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: image/png\n--x\n\ntext\n--x--\n", true, "text"},
		{"multipart without a body",
			"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=y\n" +
				"--x\n\ntext\n--y\nContent-Type: image/png\n\n",
			false, "text\n--y\nContent-Type: image/png\n\n"},
		{"inner multipart without a boundary", mixed("mixed", plain, "Content-Type: multipart/mixed\n\nx\n"), false, "hello"},
		{"inner multipart never ended",
			"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=y\n\n--y\n\na\n--x\nContent-Type: image/png\n\n", true, "a"},
		{"nothing after the header", "Content-Type: multipart/mixed; boundary=x\n", false, ""},
		{"field that is looked at twice", mixed("mixed", plain, "Content-Disposition: inline\nContent-Disposition: attachment\n\nx\n"), false, "hello\nx"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, want := readContent(t, tt.message), (Content{tt.attachment, tt.text}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestContentAttachmentOctets(t *testing.T) {
	t.Parallel()
	const front = "Content-Type: multipart/mixed; boundary=x\n\n--x\n\n"
	const back = "\n--x\nContent-Type: image/png\n"
	for _, beyond := range []bool{false, true} {
		n := AttachmentOctets - len(front) - len(back)
		if beyond {
			n += len(back)
		}
		text := strings.Repeat("0123456789abcde\n", n/16) + strings.Repeat("-", n%16)
		if got := readContent(t, front+text+back+"\nx\n--x--\n"); got.Attachment == beyond || got.Text != text {
			t.Errorf("beyond: %v, attachment: %v, %d octets of text of %d", beyond, got.Attachment, len(got.Text), len(text))
		}
	}
	late := "X: " + strings.Repeat("x", header.MaxBlockOctets) + "\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: image/png\n\n"
	if readContent(t, late).Attachment {
		t.Error("attachment of a multipart whose type lies beyond the header that is read")
	}
}

func TestContentNestedDeep(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{maxDepth, maxDepth + 1} {
		var b strings.Builder
		for n := range depth {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d.\n\n--b%d.\n", n, n)
		}
		b.WriteString("\nhello\n")
		if got, want := readContent(t, b.String()).Attachment, depth > maxDepth; got != want {
			t.Errorf("%d deep: attachment %v, want %v", depth, got, want)
		}
	}
}

func TestContentIsBounded(t *testing.T) {
	t.Parallel()
	text := "\n" + strings.Repeat("\xe9", 2*MaxContentOctets) + "\n"
	part := "Content-Type: application/pdf; name=\"" + strings.Repeat("ü", 200) + "\"\n\nx\n"
	message := mixed("mixed", strings.Repeat(part+"--=_b\n", 499)+part, text)
	got := readContent(t, message)
	if !got.Attachment || len(got.Text) > MaxContentOctets || len(got.Text) < MaxContentOctets-4 || !utf8.ValidString(got.Text) {
		t.Errorf("attachment %v, %d octets of text, valid %v", got.Attachment, len(got.Text), utf8.ValidString(got.Text))
	}
	if n := strings.Count(got.Text, "\n"); n != maxNamesOctets/401 || !strings.HasPrefix(got.Text, "ééé") {
		t.Errorf("%d names after %q", n, got.Text[:20])
	}
}
