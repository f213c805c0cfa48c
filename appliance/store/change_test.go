package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"maild/index"
	"maild/maildir"
)

const (
	annName = "ann@example.org"
	bobName = "bob@example.org"
)

// arrive puts messages that all came in one microsecond into the INBOX of ann; those with an odd number have no Message-ID.
func arrive(t testing.TB, m *Mailboxes, n int) {
	t.Helper()
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	must(t, m.Use(annName, true, func(tree *maildir.Tree) error {
		for i := range n {
			s, err := tree.Stage()
			must(t, err)
			fmt.Fprintf(s, "Subject: number %d\nContent-Type: text/html\n", i)
			if i%2 == 0 {
				fmt.Fprintf(s, "Message-ID: <%d@example.com>\n", i)
			}
			fmt.Fprint(s, "\nbody\n")
			must(t, s.Seal())
			e, err := s.Commit()
			must(t, err)
			must(t, os.Chtimes(tree.MessagePath(e), at, at))
		}
		return nil
	}))
}

// apply is a change that every message takes.
func apply(t testing.TB, s *Store, ch Change, list []index.Message) []Outcome {
	t.Helper()
	outcomes := s.Apply(context.Background(), ch, list)
	for _, o := range outcomes {
		if o.Err != nil || !o.Changed {
			t.Fatalf("%+v of %+v: %v, %v", ch, o.Was, o.Changed, o.Err)
		}
	}
	must(t, s.index.Flush(context.Background()))
	return outcomes
}

// proven holds the index against the files.
func proven(t testing.TB, ix *index.Index) {
	t.Helper()
	r, err := ix.Verify(context.Background(), index.VerifyOptions{Share: 1, Found: func(d index.Difference) error {
		t.Errorf("%+v", d)
		return nil
	}})
	if err != nil || r.Differences > 0 {
		t.Errorf("verify: %+v, %v", r, err)
	}
}

// places are the folders of messages by id.
func places(t testing.TB, ix *index.Index) map[int64]string {
	t.Helper()
	at := map[int64]string{}
	for _, m := range all(t, ix) {
		at[m.ID] = m.Account + " " + m.Folder + " " + m.Flags + " " + m.Header.Subject
	}
	return at
}

// What a command changes while no daemon runs is in the index after Flush, as a fresh look at the files would have it, under the same ids.
func TestApplyTellsTheIndex(t *testing.T) {
	t.Parallel()
	s, ix := newStore(t)
	arrive(t, s.Mailboxes, 6)
	must(t, s.Use(bobName, true, func(*maildir.Tree) error { return nil }))
	_, err := ix.Reconcile(context.Background(), index.ReconcileOptions{})
	must(t, err)
	list := all(t, ix)
	apply(t, s, Change{Action: Flag, Add: "Sk"}, list[:2])
	apply(t, s, Change{Action: Move, Folder: "Archive", Create: true}, list[1:3])
	apply(t, s, Change{Action: Move, Account: bobName, Folder: maildir.Inbox}, list[3:4])
	copies := apply(t, s, Change{Action: Copy, Account: bobName, Folder: maildir.Inbox}, list[4:5])
	apply(t, s, Change{Action: Delete}, list[5:6])
	got := places(t, ix)
	want := map[int64]string{
		list[0].ID: annName + " INBOX Sk " + list[0].Header.Subject,
		list[1].ID: annName + " Archive Sk " + list[1].Header.Subject,
		list[2].ID: annName + " Archive  " + list[2].Header.Subject,
		list[3].ID: bobName + " INBOX  " + list[3].Header.Subject,
		list[4].ID: annName + " INBOX  " + list[4].Header.Subject,
	}
	id, err := ix.IDOf(context.Background(), bobName, maildir.Inbox, copies[0].Now.Key)
	must(t, err)
	want[id] = bobName + " INBOX  " + list[4].Header.Subject
	for id, place := range want {
		if got[id] != place {
			t.Errorf("%d is %q, want %q", id, got[id], place)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d: %v", len(got), len(want), got)
	}
	proven(t, ix)
}

// What is renamed meanwhile is found, what is gone is said to be, and what is wrong with the target is not the message's fault.
func TestApplyBesideOthers(t *testing.T) {
	t.Parallel()
	s, ix := newStore(t)
	arrive(t, s.Mailboxes, 3)
	_, err := ix.Reconcile(context.Background(), index.ReconcileOptions{})
	must(t, err)
	list := all(t, ix)
	must(t, s.Use(annName, false, func(tree *maildir.Tree) error {
		_, err := tree.ChangeFlags(maildir.Inbox, maildir.Key(list[0].Key), "FRz", "")
		return errors.Join(err, tree.RemoveMessage(maildir.Entry{Folder: maildir.Inbox, Key: maildir.Key(list[1].Key)}))
	}))
	outcomes := s.Apply(context.Background(), Change{Action: Flag, Add: "S", Remove: "R"}, list)
	if o := outcomes[0]; o.Err != nil || !o.Changed || o.Now.Flags != "FSz" {
		t.Errorf("renamed: %+v", o)
	}
	if o := outcomes[1]; !errors.Is(o.Err, ErrGone) || o.Changed {
		t.Errorf("gone: %+v", o)
	}
	if o := outcomes[2]; o.Err != nil || !o.Changed || o.Now.Flags != "S" || o.Now.New {
		t.Errorf("as it was: %+v", o)
	}
	outcomes = s.Apply(context.Background(), Change{Action: Flag, Add: "S"}, list[2:]) // the index does not know yet
	if o := outcomes[0]; o.Err != nil || o.Changed {
		t.Errorf("once more: %+v", o)
	}
	for _, ch := range []Change{{Action: Move, Folder: "Nowhere"}, {Action: Copy, Account: bobName, Folder: maildir.Inbox}} {
		o := s.Apply(context.Background(), ch, list[2:])[0]
		if !errors.Is(o.Err, fs.ErrNotExist) || !errors.As(o.Err, new(*maildir.TargetError)) || errors.Is(o.Err, ErrGone) {
			t.Errorf("%+v: %+v", ch, o)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if o := s.Apply(ctx, Change{Action: Delete}, list[2:])[0]; !errors.Is(o.Err, context.Canceled) || o.Changed {
		t.Errorf("interrupted: %+v", o)
	}
}

// Messages of one microsecond keep their ids when another process moves them all, whether they have a Message-ID or not.
func TestMovedBesideDaemonKeepIDs(t *testing.T) {
	t.Parallel()
	s, ix := newStore(t)
	arrive(t, s.Mailboxes, 400)
	must(t, s.Use(annName, false, func(tree *maildir.Tree) error { return tree.CreateFolder("Archive") }))
	_, err := ix.Reconcile(context.Background(), index.ReconcileOptions{})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- ix.Run(ctx) }()
	t.Cleanup(func() { cancel(); must(t, <-done) })
	deadline := time.Now().Add(time.Minute)
	for s.Watches().Directories == 0 || ix.Flush(ctx) != nil {
		if time.Now().After(deadline) {
			t.Fatal("nothing is watched")
		}
		time.Sleep(time.Millisecond)
	}
	before := all(t, ix)
	command := OpenMailboxes(s.root)
	t.Cleanup(func() { must(t, command.Close()) })
	read, err := index.Open(ctx, index.Options{Path: filepath.Join(filepath.Dir(s.root), "index.db"), ReadOnly: true, Source: command, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { must(t, read.Close()) })
	apply(t, New(command, read), Change{Action: Move, Folder: "Archive"}, before)
	moved := func() (n int) {
		for _, m := range all(t, read) {
			if m.Folder == "Archive" {
				n++
			}
		}
		return n
	}
	for moved() < len(before) {
		if time.Now().After(deadline) {
			t.Fatalf("%d messages are seen to have moved, of %d", moved(), len(before))
		}
		time.Sleep(10 * time.Millisecond)
	}
	at := map[int64]string{}
	for _, m := range all(t, read) {
		at[m.ID] = m.Key
	}
	for _, m := range before {
		if at[m.ID] != m.Key {
			t.Fatalf("message %d is another: %s, and was %s", m.ID, at[m.ID], m.Key)
		}
	}
	proven(t, ix)
}
