package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"maild/index"
	"maild/index/header"
	"maild/maildir"
)

// Store is the mailboxes and the index over them. Safe for concurrent use.
type Store struct {
	*Mailboxes
	// Log takes what is wrong with a maildirsize, which keeps no mail from coming. It is set once; nil is none.
	Log *slog.Logger

	index  *index.Index
	ledger ledger
}

// New joins mailboxes and the index that was opened over them.
func New(m *Mailboxes, x *index.Index) *Store { return &Store{Mailboxes: m, index: x} }

// Draft is a message on its way into one account's INBOX. It ends with Commit or
// Abort. Not safe for concurrent use.
type Draft struct {
	store   *Store
	account string
	tree    *sharedTree
	staged  *maildir.Staged
	placed  maildir.Entry // after Commit
	quota   Quota         // of Admit
	entry   *entry        // the room that is kept, nil for none
}

// Stage begins a message for account, whose tree is made if it has none.
func (s *Store) Stage(account string) (*Draft, error) {
	return s.begin(account, (*maildir.Tree).Stage)
}

// begin makes a draft of what stage puts into the tree of account. A tree that was
// moved away or removed while it was open here is made anew, as one that never
// was.
func (s *Store) begin(account string, stage func(*maildir.Tree) (*maildir.Staged, error)) (*Draft, error) {
	t, err := s.take(account, true)
	if err != nil {
		return nil, err
	}
	staged, err := stage(t.Tree)
	if errors.Is(err, fs.ErrNotExist) {
		if err = remake(t.Path()); err == nil {
			staged, err = stage(t.Tree)
		}
	}
	if err != nil {
		s.giveBack(account, t)
		return nil, fmt.Errorf("stage for %s: %w", account, err)
	}
	return &Draft{store: s, account: account, tree: t, staged: staged}, nil
}

func remake(path string) error {
	t, err := maildir.Create(path)
	if err != nil {
		return err
	}
	return t.Close()
}

// Account is whom the draft is for.
func (d *Draft) Account() string { return d.account }

// Octets is the size of the message so far, as it is in the file.
func (d *Draft) Octets() int64 { return d.staged.Octets() }

// Write adds to the message, with LF line ends.
func (d *Draft) Write(p []byte) (int, error) { return d.staged.Write(p) }

// Seal makes the content durable. No more can be written.
func (d *Draft) Seal() error {
	if err := d.staged.Seal(); err != nil {
		return fmt.Errorf("write for %s: %w", d.account, err)
	}
	return nil
}

// Link stages the same sealed message for another account, by a hard link where
// the file system allows.
func (d *Draft) Link(account string) (*Draft, error) {
	return d.store.begin(account, d.staged.Link)
}

// Commit delivers the message into the INBOX. When it returns nil the message is
// durable under its name, and the index and maildirsize have been told; block is its header, as
// message.Intake has kept it. On an error it is as if it had never come.
func (d *Draft) Commit(block []byte) (key string, err error) {
	defer d.end()
	octets, arrived := d.staged.Octets(), d.staged.ModTime()
	e, err := d.staged.Commit()
	if err != nil {
		d.staged.Abort()
		d.refuse()
		return "", fmt.Errorf("deliver to %s: %w", d.account, err)
	}
	d.placed = e
	d.settle(index.Message{
		Account: d.account, Folder: e.Folder, Key: string(e.Key), Flags: string(e.Flags), New: e.New,
		Octets: octets, Arrived: arrived.Truncate(time.Microsecond), Header: header.Parse(block), Incomplete: true,
	})
	return string(e.Key), nil
}

// TakeBack undoes a Commit: the message is gone again, unless somebody has moved
// it meanwhile.
func (d *Draft) TakeBack() error {
	err := d.store.Use(d.account, false, func(t *maildir.Tree) error { return t.RemoveMessage(d.placed) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take back from %s: %w", d.account, err)
	}
	return nil
}

// Abort takes the draft away. It does nothing after Commit.
func (d *Draft) Abort() error {
	if d.tree == nil {
		return nil
	}
	defer d.end()
	d.refuse()
	return d.staged.Abort()
}

// end gives the tree back, once.
func (d *Draft) end() {
	if d.tree != nil {
		d.store.giveBack(d.account, d.tree)
		d.tree = nil
	}
}
