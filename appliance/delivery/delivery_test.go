package delivery

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"maild/appliance/account"
	"maild/appliance/mail"
	"maild/appliance/message"
	"maild/appliance/store"
	"maild/index"
	"maild/maildir"
)

// fixture is a delivery over real databases and Maildirs, with the accounts ann
// and bob and the alias both, at example.org.
type fixture struct {
	*Delivery
	t     *testing.T
	boxes *store.Mailboxes
	index *index.Index
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	dir, ctx := t.TempDir(), context.Background()
	log := slog.New(slog.DiscardHandler)
	accounts, err := account.Open(ctx, account.Options{Path: filepath.Join(dir, "accounts.db"), Hostname: "mx.example.org", Separator: "+"})
	must(t, err)
	must(t, accounts.EnsureLocal(ctx))
	ann, bob := mail.Address{Local: "ann", Domain: "example.org"}, mail.Address{Local: "bob", Domain: "example.org"}
	for _, a := range []mail.Address{ann, bob} {
		_, err := accounts.AddAccount(ctx, a, "")
		must(t, err)
	}
	must(t, accounts.AddAlias(ctx, mail.Address{Local: "both", Domain: "example.org"}, []mail.Address{ann, bob}))
	boxes := store.OpenMailboxes(filepath.Join(dir, "mail"))
	ix, err := index.Open(ctx, index.Options{Path: filepath.Join(dir, "index.db"), Source: boxes, Log: log})
	must(t, err)
	t.Cleanup(func() {
		ix.Close()
		boxes.Close()
		accounts.Close()
	})
	return &fixture{&Delivery{Accounts: accounts, Store: store.New(boxes, ix), Hostname: "mx.example.org", MaxReceived: 50, Log: log}, t, boxes, ix}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// message resolves recipients and makes a transaction.
func (f *fixture) message(to ...string) Message {
	f.t.Helper()
	m := Message{ID: "id1", Time: time.Unix(1700000000, 0).UTC(), Origin: message.Origin{Hello: "client", Protocol: "ESMTP"}}
	m.Envelope.From.Address = mail.Address{Local: "zoe", Domain: "example.com"}
	for _, s := range to {
		a, err := mail.ParseAddress(s)
		must(f.t, err)
		r, err := f.Recipient(context.Background(), mail.ForwardPath{Address: a}, false)
		must(f.t, err)
		m.Recipients = append(m.Recipients, r)
		m.Envelope.To = append(m.Envelope.To, r.Path)
	}
	return m
}

// deliver sends text and returns the reply codes.
func (f *fixture) deliver(m Message, text string) []mail.Result {
	return f.Deliver(context.Background(), m, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

func (f *fixture) path(name, sub string) string {
	f.t.Helper()
	p, err := f.boxes.Path(name + "@example.org")
	must(f.t, err)
	return filepath.Join(p, sub)
}

// files lists a directory of an account's Maildir.
func (f *fixture) files(name, sub string) []string {
	f.t.Helper()
	list, err := filepath.Glob(filepath.Join(f.path(name, sub), "*"))
	must(f.t, err)
	return list
}

func TestDeliverToOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	res := f.deliver(f.message("Ann+x@example.org"), "Subject: a\n\nb\n")
	if len(res) != 1 || res[0].Action != mail.Delivered || res[0].Status.Code != 250 || res[0].Status.Text != "accepted as id1" {
		t.Fatalf("result %+v", res)
	}
	list := f.files("ann", "new")
	if len(list) != 1 {
		t.Fatalf("files %v", list)
	}
	text, err := os.ReadFile(list[0])
	must(t, err)
	want := "Return-Path: <zoe@example.com>\nX-Original-To: Ann+x@example.org\nDelivered-To: ann@example.org\n" +
		"Received: from client (local)\n\tby mx.example.org with ESMTP\n\tid id1 for <Ann+x@example.org>; Tue, 14 Nov 2023 22:13:20 +0000\nSubject: a\n\nb\n"
	if string(text) != want {
		t.Errorf("file\n%s\nwant\n%s", text, want)
	}
}

// Several accounts share one file, which names none of them (no Bcc leaks).
func TestDeliverToSeveral(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	res := f.deliver(f.message("ann@example.org", "both@example.org", "bob@example.org"), "Subject: a\n\nb\n")
	for _, r := range res {
		if r.Status.Code != 250 {
			t.Errorf("%s: %v", r.Recipient.Path(), r.Status)
		}
	}
	ann, bob := f.files("ann", "new"), f.files("bob", "new")
	if len(ann) != 1 || len(bob) != 1 {
		t.Fatalf("ann has %d, bob %d", len(ann), len(bob))
	}
	text, err := os.ReadFile(ann[0])
	must(t, err)
	if s := string(text); strings.Contains(s, "example.org>") || strings.Contains(s, "Delivered-To") || strings.Contains(s, "X-Original-To") {
		t.Errorf("the file names a recipient:\n%s", s)
	}
	a, err := os.Stat(ann[0])
	must(t, err)
	b, err := os.Stat(bob[0])
	must(t, err)
	if !os.SameFile(a, b) || a.Sys().(*syscall.Stat_t).Nlink != 2 {
		t.Error("the two are not one file with two links")
	}
}

// What fails while it is prepared leaves nothing with anybody.
func TestPrepareFailsForAll(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	must(t, f.boxes.Use("ann@example.org", true, func(*maildir.Tree) error { return nil }))
	must(t, os.MkdirAll(filepath.Dir(f.path("bob", "")), 0o700))
	must(t, os.WriteFile(f.path("bob", ""), nil, 0o600)) // where a directory should be
	res := f.deliver(f.message("ann@example.org", "bob@example.org"), "Subject: a\n\nb\n")
	for _, r := range res {
		if r.Status.Code != 451 || r.Action != mail.Delayed || r.Err == nil {
			t.Errorf("%s: %+v", r.Recipient.Path(), r)
		}
	}
	if n, m := len(f.files("ann", "new")), len(f.files("ann", "tmp")); n != 0 || m != 0 {
		t.Errorf("ann has %d messages and %d files in tmp", n, m)
	}
}

// What fails when it is committed fails for that account alone.
func TestCommitFailsForOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.message("ann@example.org", "bob@example.org")
	for _, name := range []string{"ann", "bob"} {
		must(t, f.boxes.Use(name+"@example.org", true, func(*maildir.Tree) error { return nil }))
	}
	must(t, os.Remove(f.path("bob", "new")))
	must(t, os.WriteFile(f.path("bob", "new"), nil, 0o600))
	res := f.deliver(m, "Subject: a\n\nb\n")
	if res[0].Status.Code != 250 || res[1].Status.Code != 451 {
		t.Errorf("ann %v, bob %v", res[0].Status, res[1].Status)
	}
	if n, m := len(f.files("ann", "new")), len(f.files("bob", "tmp")); n != 1 || m != 0 {
		t.Errorf("ann has %d messages, bob %d files in tmp", n, m)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		code int
	}{
		{message.ErrTooBig, 552},
		{message.ErrBareLineEnd, 550},
		{message.ErrLoop, 554},
		{&message.SourceError{Err: io.ErrUnexpectedEOF}, 451},
		{syscall.ENOSPC, 452},
		{errors.New("anything"), 451},
	} {
		f := newFixture(t)
		res := f.Deliver(context.Background(), f.message("ann@example.org"), func(w io.Writer) error {
			io.WriteString(w, "Subject: a\n\n")
			return c.err
		})
		if res[0].Status.Code != c.code || strings.Contains(res[0].Status.Text, "anything") {
			t.Errorf("%v: %v, want %d", c.err, res[0].Status, c.code)
		}
		if n, m := len(f.files("ann", "new")), len(f.files("ann", "tmp")); n != 0 || m != 0 {
			t.Errorf("%v: %d messages and %d files in tmp", c.err, n, m)
		}
	}
}

// A closed index does not hold up mail.
func TestIndexGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	must(t, f.index.Close())
	if res := f.deliver(f.message("ann@example.org"), "Subject: a\n\nb\n"); res[0].Status.Code != 250 {
		t.Errorf("%+v", res[0])
	}
}

func TestRecipientStatus(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range []struct {
		to      string
		trusted bool
		want    string
	}{
		{"nobody@example.org", false, "550 5.1.1"},
		{"a@elsewhere.example", false, "550 5.7.1 relaying denied"},
		{"a@elsewhere.example", true, "550 5.7.1 this server does not send"},
	} {
		a, err := mail.ParseAddress(c.to)
		must(t, err)
		_, err = f.Recipient(context.Background(), mail.ForwardPath{Address: a}, c.trusted)
		if got := mail.StatusOf(err).String(); err == nil || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", c.to, got, c.want)
		}
	}
}
