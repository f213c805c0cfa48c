// Package store is an account's mailboxes as one thing: its Maildir++ tree and
// its rows in the index.
//
// [Mailboxes] is the files alone, all accounts' trees below one directory:
//
//	mail/DOMAIN/USER/   a Maildir++ tree
//
// They are the truth, and what the index follows (index.Source). [Store] adds
// the index: what it changes in the files it tells the index, right after and
// without waiting.
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"maild/appliance/message"
	"maild/index"
	"maild/index/header"
	"maild/maildir"
)

// maxIdleTrees is how many trees are kept open for the next message. Each holds
// a few descriptors.
const maxIdleTrees = 128

// Mailboxes is the trees of all accounts. Safe for concurrent use, also beside
// other processes.
type Mailboxes struct {
	root string

	mu    sync.Mutex
	trees map[string]*sharedTree

	watching watchState
}

// sharedTree is an open tree and how many use it.
type sharedTree struct {
	*maildir.Tree
	users int
}

var _ index.Source = (*Mailboxes)(nil)

// OpenMailboxes is the mailboxes below root, which need not exist yet.
func OpenMailboxes(root string) *Mailboxes {
	return &Mailboxes{root: root, trees: map[string]*sharedTree{}}
}

// Close closes the trees. Nothing may be in use.
func (m *Mailboxes) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for name, t := range m.trees {
		errs = append(errs, t.Close())
		delete(m.trees, name)
	}
	return errors.Join(errs...)
}

// Path is the directory of an account's tree. account is "user@domain"; one that
// could lead elsewhere is an error, whoever made it.
func (m *Mailboxes) Path(account string) (string, error) {
	at := strings.LastIndexByte(account, '@')
	if at < 0 || !isComponent(account[:at]) || !isComponent(account[at+1:]) {
		return "", fmt.Errorf("account name %q cannot be a directory", account)
	}
	return filepath.Join(m.root, account[at+1:], account[:at]), nil
}

// isComponent reports whether s is safe as one component of a path.
func isComponent(s string) bool {
	return s != "" && s[0] != '.' && !strings.ContainsAny(s, "/\x00")
}

// Use gives the account's tree to fn; with create set it is made if it is
// missing, durably. Without, the error is fs.ErrNotExist.
func (m *Mailboxes) Use(account string, create bool, fn func(*maildir.Tree) error) error {
	t, err := m.take(account, create)
	if err != nil {
		return err
	}
	defer m.giveBack(account, t)
	return fn(t.Tree)
}

// take opens a tree or shares an open one; giveBack ends that.
func (m *Mailboxes) take(account string, create bool) (*sharedTree, error) {
	path, err := m.Path(account)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.trees[account]; t != nil {
		t.users++
		return t, nil
	}
	tree, err := openTree(path, create)
	if err != nil {
		return nil, fmt.Errorf("mailbox of %s: %w", account, err)
	}
	m.closeIdle()
	t := &sharedTree{Tree: tree, users: 1}
	m.trees[account] = t
	return t, nil
}

// openTree opens the tree at path, DOMAIN/USER below the root. Neither of the two
// may be a link, which Accounts would not find.
func openTree(path string, create bool) (*maildir.Tree, error) {
	for _, dir := range []string{filepath.Dir(path), path} {
		if info, err := os.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf("%s is a symbolic link, which is not followed: mount the other place there instead", dir)
		}
	}
	tree, err := maildir.Open(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		return maildir.Create(path)
	}
	return tree, err
}

func (m *Mailboxes) giveBack(account string, t *sharedTree) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t.users--
	if t.users == 0 && m.trees[account] != t {
		t.Close()
	}
}

// closeIdle makes room for one more tree.
func (m *Mailboxes) closeIdle() {
	for name, t := range m.trees {
		if len(m.trees) < maxIdleTrees {
			return
		}
		if t.users == 0 {
			t.Close()
			delete(m.trees, name)
		}
	}
}

// Accounts lists the accounts that have a tree, whether or not accounts.db knows
// them: what is on disk is found.
func (m *Mailboxes) Accounts(ctx context.Context) ([]string, error) {
	domains, err := directories(m.root)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, domain := range domains {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		users, err := directories(filepath.Join(m.root, domain))
		if domain == lostFound && errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, user := range users {
			if _, err := os.Lstat(filepath.Join(m.root, domain, user, "cur")); err == nil {
				list = append(list, user+"@"+domain)
			}
		}
	}
	return list, nil
}

// lostFound stands at the top of a file system of its own, and only root can read it.
const lostFound = "lost+found"

// directories lists the real directories below path, no links; none when path
// does not exist.
func directories(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list mailboxes: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && isComponent(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Folders implements index.Source.
func (m *Mailboxes) Folders(_ context.Context, account string) (folders []string, err error) {
	err = m.Use(account, false, func(t *maildir.Tree) error {
		folders, err = t.Folders()
		return err
	})
	return folders, err
}

// Stamp implements index.Source.
func (m *Mailboxes) Stamp(_ context.Context, account, folder string) (stamp index.Stamp, err error) {
	err = m.Use(account, false, func(t *maildir.Tree) error {
		s, err := t.Stamp(folder)
		stamp = index.Stamp(s)
		return err
	})
	return stamp, err
}

// Scan implements index.Source.
func (m *Mailboxes) Scan(ctx context.Context, account, folder string, part index.Part, fn func(index.File) error) error {
	return m.Use(account, false, func(t *maildir.Tree) error {
		scan := t.Scan
		if part == index.NewPart {
			scan = t.ScanNew
		}
		return scan(folder, func(e maildir.Entry) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return fn(index.File{Key: string(e.Key), Flags: string(e.Flags), New: e.New})
		})
	})
}

// Read implements index.Source.
func (m *Mailboxes) Read(_ context.Context, account, folder string, f index.File, want index.Want) (content index.Content, _ index.File, err error) {
	err = m.Use(account, false, func(t *maildir.Tree) error {
		e := maildir.Entry{Folder: folder, Key: maildir.Key(f.Key), Flags: maildir.Flags(f.Flags), New: f.New}
		file, e, err := t.OpenFound(e)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		f.Flags, f.New, f.Octets, f.Arrived = string(e.Flags), e.New, info.Size(), info.ModTime()
		if content.Header, err = header.ReadBlock(file); err != nil || want == index.WantHeader {
			return err
		}
		c, err := message.ReadContent(file, content.Header, want == index.WantText)
		content.Attachment, content.Text = c.Attachment, c.Text
		return err
	})
	return content, f, err
}

// Stat implements index.Source.
func (m *Mailboxes) Stat(_ context.Context, account, folder string, f index.File) (index.File, error) {
	err := m.Use(account, false, func(t *maildir.Tree) error {
		info, err := t.StatMessage(maildir.Entry{Folder: folder, Key: maildir.Key(f.Key), Flags: maildir.Flags(f.Flags), New: f.New})
		if err == nil {
			f.Octets, f.Arrived = info.Size(), info.ModTime()
		}
		return err
	})
	return f, err
}

// Probe implements index.Source.
func (m *Mailboxes) Probe(_ context.Context, account, folder string, f index.File, others ...index.File) (now index.File, found bool, err error) {
	entry := func(f index.File) maildir.Entry {
		return maildir.Entry{Folder: folder, Key: maildir.Key(f.Key), Flags: maildir.Flags(f.Flags), New: f.New}
	}
	var names []maildir.Entry
	for _, o := range others {
		names = append(names, entry(o))
	}
	err = m.Use(account, false, func(t *maildir.Tree) error {
		e, ok, err := t.Probe(entry(f), names...)
		now, found = index.File{Key: f.Key, Flags: string(e.Flags), New: e.New}, ok
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return f, false, nil
	}
	return now, found, err
}

// CleanTmp takes away what deliveries that never ended have left in the tmp
// directories of every account, and returns how many files that were.
func (m *Mailboxes) CleanTmp(ctx context.Context, clean func(*maildir.Tree) (int, error)) (removed int, err error) {
	accounts, err := m.Accounts(ctx)
	errs := []error{err}
	for _, a := range accounts {
		errs = append(errs, ctx.Err(), m.Use(a, false, func(t *maildir.Tree) error {
			n, err := clean(t)
			removed += n
			return err
		}))
	}
	return removed, errors.Join(errs...)
}
