package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"maild/index"
	"maild/index/header"
	"maild/maildir"
)

// ErrGone says that a message is not where it was any more, under whatever name.
var ErrGone = errors.New("it has been moved or removed meanwhile")

// Action is what a Change does.
type Action uint8

const (
	Flag   Action = iota // add and remove flags
	Move                 // to another folder or account
	Copy                 // a second message in a folder: a hard link where possible
	Delete               // for good
)

// Change is what is to be done to messages.
type Change struct {
	Action      Action
	Add, Remove maildir.Flags
	// Account and Folder are where messages are moved or copied to. Account "" is each message's own.
	Account, Folder string
	// Create has the folder made where it is missing.
	Create bool
}

// Outcome is what became of one message.
type Outcome struct {
	Was index.Message
	// Now says where the message is, or its copy, by Account, Folder, Key, Flags, New and Arrived. The id of a copy is not known yet.
	Now     index.Message
	Changed bool  // false: it was so already, or Err says why not
	Err     error // ErrGone; maildir.TargetError for what is wrong with the folder it was to come to; or a fault of the disk
}

// Apply makes one change to some hundreds of messages, as the index knows them, and gives what became of each, in their order. A message that was renamed within its
// folder is found again. What is Changed without an Err is durable on return, and the index has been told. When ctx ends the rest is left,
// with its error.
func (s *Store) Apply(ctx context.Context, ch Change, list []index.Message) []Outcome {
	outcomes := make([]Outcome, len(list))
	var batch maildir.Changes
	var made []int // of each change of the batch, whose it is
	for i, m := range list {
		o := &outcomes[i]
		o.Was = m
		if o.Err = ctx.Err(); o.Err != nil {
			continue
		}
		if o.Err = s.change(&batch, ch, o); o.Err == nil {
			made = append(made, i)
		}
	}
	for at, err := range batch.Sync() {
		if err == nil {
			continue
		}
		o := &outcomes[made[at]]
		o.Err = err
		// What is removed cannot be taken back.
		o.Changed = ch.Action == Delete
	}
	for i := range outcomes {
		if o := &outcomes[i]; o.Changed || o.Err == nil && !o.Known() {
			s.tell(ctx, ch, o)
		}
	}
	return outcomes
}

// Known reports whether the index knew a message that stays one as it is now.
func (o *Outcome) Known() bool { return SameFile(o.Was, o.Now) }

// SameFile reports whether two messages are one file under one name.
func SameFile(a, b index.Message) bool {
	return a.Account == b.Account && a.Folder == b.Folder && a.Key == b.Key && a.Flags == b.Flags && a.New == b.New
}

// change makes the change to one message.
func (s *Store) change(batch *maildir.Changes, ch Change, o *Outcome) error {
	m := o.Was
	was := maildir.Entry{Folder: m.Folder, Key: maildir.Key(m.Key), Flags: maildir.Flags(m.Flags), New: m.New}
	var now maildir.Entry
	account := m.Account
	err := s.Use(m.Account, false, func(t *maildir.Tree) (err error) {
		switch ch.Action {
		case Flag:
			now, o.Changed, err = batch.ChangeFlags(t, was, ch.Add, ch.Remove)
			return err
		case Delete:
			o.Changed = true
			return batch.Remove(t, was)
		}
		act := batch.Move
		if ch.Action == Copy {
			act = batch.Copy
		}
		if ch.Account != "" {
			account = ch.Account
		}
		return s.into(account, ch, func(to *maildir.Tree) error {
			now, err = act(t, was, to, ch.Folder)
			o.Changed = ch.Action == Copy || account != m.Account || ch.Folder != m.Folder
			return err
		})
	})
	var target *maildir.TargetError
	if errors.Is(err, fs.ErrNotExist) && !errors.As(err, &target) {
		err = ErrGone
	}
	if err != nil {
		o.Changed = false
		return err
	}
	o.Now = index.Message{ID: m.ID, Account: account, Folder: now.Folder, Key: string(now.Key), Flags: string(now.Flags), New: now.New,
		Octets: m.Octets, Arrived: m.Arrived}
	return nil
}

// into runs fn with the tree that messages come to, and once more when their folder was missing and had to be made.
func (s *Store) into(account string, ch Change, fn func(*maildir.Tree) error) error {
	var inside error // what fn says, whose errors are not about the tree
	err := s.Use(account, false, func(to *maildir.Tree) error {
		inside = fn(to)
		var target *maildir.TargetError
		if !ch.Create || !errors.Is(inside, fs.ErrNotExist) || !errors.As(inside, &target) {
			return nil
		}
		if err := to.CreateFolder(ch.Folder); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		inside = fn(to)
		return nil
	})
	if err != nil {
		return &maildir.TargetError{Err: err}
	}
	return inside
}

// tell has the index follow a change.
func (s *Store) tell(ctx context.Context, ch Change, o *Outcome) {
	if s.index.ReadOnly() {
		return // another process keeps it, and sees the files
	}
	switch ch.Action {
	case Flag:
		s.index.UpdateFile(o.Now)
	case Move:
		s.index.Moved(o.Was.Account, o.Was.Folder, o.Was.Key, o.Now)
	case Delete:
		s.index.Forget(o.Was.Account, o.Was.Folder, o.Was.Key)
	case Copy:
		m := o.Now
		content, f, err := s.Read(ctx, m.Account, m.Folder, index.File{Key: m.Key, Flags: m.Flags, New: m.New}, index.WantHeader)
		if err != nil {
			return // gone again, or a reconcile finds it by the time of its directory
		}
		m.Octets, m.Arrived, m.Header, m.Incomplete = f.Octets, f.Arrived, header.Parse(content.Header), true
		s.index.Record(m)
	}
}

// Renew brings the index up to what the files of an account are, after its folders were changed.
func (s *Store) Renew(ctx context.Context, account string, progress func(index.Progress)) error {
	if s.index.ReadOnly() {
		return nil
	}
	_, err := s.index.Reconcile(ctx, index.ReconcileOptions{Accounts: []string{account}, Progress: progress})
	return err
}

// RenameFolder renames a folder of an account and all below it, as maildir.Tree.RenameFolder. Renew has the index follow.
func (m *Mailboxes) RenameFolder(account, from, to string) error {
	return m.Use(account, false, func(t *maildir.Tree) error { return t.RenameFolder(from, to) })
}

// RemoveFolders removes folders of an account. With purge set their messages go, too; else the first that is not empty ends it with maildir.ErrNotEmpty.
// Renew has the index follow.
func (m *Mailboxes) RemoveFolders(account string, folders []string, purge bool) (removed int, err error) {
	err = m.Use(account, false, func(t *maildir.Tree) error {
		remove := t.RemoveEmptyFolder
		if purge {
			remove = t.RemoveFolder
		}
		for _, f := range folders {
			if err := remove(f); err != nil {
				return fmt.Errorf("%s: %w", account, err)
			}
			removed++
		}
		return nil
	})
	return removed, err
}
