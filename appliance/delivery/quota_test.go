package delivery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"maild/appliance/account"
	"maild/appliance/mail"
	"maild/appliance/store"
	"maild/index/header"
	"maild/maildir"
)

// limit gives an account at example.org limits.
func (f *fixture) limit(name string, octets, messages account.Limit) {
	f.t.Helper()
	_, err := f.Accounts.SetQuota(context.Background(), mail.Address{Local: name, Domain: "example.org"}, &octets, &messages)
	must(f.t, err)
}

// subjects lists the Subject fields in an account's INBOX, sorted.
func (f *fixture) subjects(name string) []string {
	f.t.Helper()
	list := []string{}
	files, err := filepath.Glob(filepath.Join(f.path(name, "new"), "*"))
	must(f.t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(f.t, err)
		list = append(list, header.Parse(text).Subject)
	}
	slices.Sort(list)
	return list
}

const letter = "Subject: letter\n\n0123456789\n"

// TestWarnings: a mark is told when it is crossed, once, in words, and again
// only after the mailbox has been below it.
func TestWarnings(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Quota = Quota{Warn: []int{50, 90}}
	f.limit("ann", account.NoLimit, 10)
	ctx := t.Context()
	deliver := func() {
		t.Helper()
		if r := f.deliver(f.message("ann@example.org"), letter); !r[0].Status.IsSuccess() {
			t.Fatalf("%+v", r)
		}
	}
	wants := func(warnings, told int) {
		t.Helper()
		n := 0
		for _, s := range f.subjects("ann") {
			if strings.HasPrefix(s, "Your mailbox is") {
				n++
			}
		}
		a, err := f.Accounts.Account(ctx, mail.Address{Local: "ann", Domain: "example.org"})
		if err != nil || n != warnings || a.WarnedPercent != told {
			t.Fatalf("%d warnings, told of %d, %v, want %d and %d: %q", n, a.WarnedPercent, err, warnings, told, f.subjects("ann"))
		}
	}
	for range 4 {
		deliver()
	}
	wants(0, 0)
	deliver()
	wants(1, 50) // the fifth, and the warning itself
	deliver()
	deliver()
	wants(1, 50)
	deliver() // the ninth file
	wants(2, 90)
	if r := f.deliver(f.message("ann@example.org"), letter); r[0].Status.Code != 452 {
		t.Errorf("the warnings have filled it, and more is taken: %+v", r)
	}
}

// TestWarningAgain: from below the mark it is told again, and a restart in
// between tells nothing twice.
func TestWarningAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Quota = Quota{Warn: []int{50}}
	f.limit("ann", account.NoLimit, 4)
	deliver := func() { f.deliver(f.message("ann@example.org"), letter) }
	deliver()
	deliver() // two of four, and the warning: three
	if got := f.subjects("ann"); len(got) != 3 {
		t.Fatalf("%q", got)
	}
	// Another daemon: what was told is in accounts.db.
	f.Delivery = &Delivery{Accounts: f.Accounts, Store: store.New(f.boxes, f.index), Hostname: f.Hostname, MaxReceived: 50, Quota: f.Quota, Log: f.Log}
	deliver()
	if got := f.subjects("ann"); len(got) != 4 {
		t.Fatalf("warned again: %q", got)
	}
	files, err := filepath.Glob(filepath.Join(f.path("ann", "new"), "*"))
	must(t, err)
	for _, file := range files {
		must(t, os.Remove(file))
	}
	// maildirsize says full, so the files are looked at.
	must(t, f.boxes.Use("ann@example.org", false, func(t *maildir.Tree) error {
		return t.WriteSize(maildir.Size{Messages: 4}, func() (maildir.Size, error) { return maildir.Size{}, nil })
	}))
	deliver()
	if got := f.subjects("ann"); len(got) != 1 {
		t.Fatalf("warned below the mark: %q", got)
	}
	deliver()
	if got := f.subjects("ann"); len(got) != 3 {
		t.Fatalf("not warned from below: %q", got)
	}
}

// TestLook: a limit that is set below what is there is told, once, though no more
// mail comes.
func TestLook(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Quota = Quota{Warn: []int{50}}
	for range 3 {
		f.deliver(f.message("ann@example.org"), letter)
	}
	f.limit("ann", account.NoLimit, 2)
	for range 2 {
		a, err := f.Accounts.Account(t.Context(), mail.Address{Local: "ann", Domain: "example.org"})
		must(t, err)
		must(t, f.Look(t.Context(), a))
		if got := f.subjects("ann"); len(got) != 4 || got[0] != "Your mailbox is 150 % full" {
			t.Fatalf("%q", got)
		}
	}
}

func TestWarningText(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Quota = Quota{Octets: 2000, Warn: []int{80, 95}, GraceOctets: 5000, Permanent: true}
	if r := f.deliver(f.message("ann@example.org"), letter+strings.Repeat("x", 1500)+"\n"); !r[0].Status.IsSuccess() {
		t.Fatalf("%+v", r)
	}
	var text string
	for _, file := range f.files("ann", "new") {
		data, err := os.ReadFile(file)
		must(t, err)
		if strings.Contains(string(data), "Auto-Submitted") {
			text = string(data)
		}
	}
	for _, want := range []string{"Return-Path: <>\n", "Delivered-To: ann@example.org\n", "From: Mail system <postmaster@mx.example.org>\n",
		"To: ann@example.org\n", "Auto-Submitted: auto-generated\n", "It holds 1.7 KiB of at most 2.0 KiB.\n", "messages go back to their senders", " % full\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if h := header.Parse([]byte(text)); h.Date.IsZero() || h.MessageID == "" || strings.Contains(text, "\r") {
		t.Errorf("no date, no id, or not our line ends: %q", text)
	}
}

// TestNoWarnings: an empty list tells nobody anything.
func TestNoWarnings(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Quota = Quota{Messages: 2}
	for range 3 {
		f.deliver(f.message("ann@example.org"), letter)
	}
	if got := f.subjects("ann"); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// TestManyAtOnce: any number of messages at once stay within the limit and the
// grace, and all the room there is gets used.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const grace, many = 1000, 60
	f.Quota = Quota{Octets: 10_000, GraceOctets: grace}
	m := f.message("ann@example.org")
	var all sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for i := range many {
		all.Go(func() {
			m := m
			m.ID = fmt.Sprint(i)
			r := f.deliver(m, letter+strings.Repeat("x", 500)+"\n")
			mu.Lock()
			defer mu.Unlock()
			codes[r[0].Status.Code]++
		})
	}
	all.Wait()
	var sum, one int64
	must(t, f.boxes.Use("ann@example.org", false, func(tree *maildir.Tree) error {
		s, err := tree.Size(maildir.ByFile, nil)
		sum, one = s.Octets, s.Octets/s.Messages
		if f, ferr := tree.SizeFile(); ferr != nil || f.Total != s {
			t.Errorf("maildirsize %+v, %v, files %+v", f, ferr, s)
		}
		return err
	}))
	if sum > 10_000+grace || sum < 10_000-one || codes[250]+codes[452] != many || codes[250] == 0 || codes[452] == 0 {
		t.Errorf("%d octets, replies %v", sum, codes)
	}
	used, err := f.Store.Usage(t.Context(), "ann@example.org", f.Quota.For(account.Account{Quota: account.Quota{Octets: -1, Messages: -1}}), maildir.Size{})
	if err != nil || used.Octets != sum {
		t.Errorf("usage %+v, %v, files %d: room is kept that nobody has", used, err, sum)
	}
}

// TestUnknownUsage: where nobody can tell how much there is, mail is taken.
func TestUnknownUsage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Quota = Quota{Messages: 1}
	f.deliver(f.message("ann@example.org"), letter)
	a, err := mail.ParseAddress("ann@example.org")
	must(t, err)
	r, err := f.Recipient(t.Context(), mail.ForwardPath{Address: a}, false)
	must(t, err)
	if err := f.Room(t.Context(), mail.Envelope{}, r); !errors.Is(err, store.ErrOverQuota) {
		t.Fatalf("not full: %v", err)
	}
	path, err := f.boxes.Path("ann@example.org")
	must(t, err)
	must(t, os.Remove(filepath.Join(path, "maildirsize")))
	must(t, os.Mkdir(filepath.Join(path, "maildirsize"), 0o700))
	if err := f.Room(t.Context(), mail.Envelope{}, r); err != nil {
		t.Errorf("refused: %v", err)
	}
	if res := f.deliver(f.message("ann@example.org"), letter); !res[0].Status.IsSuccess() {
		t.Errorf("%+v", res)
	}
}
