package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"maild/maildir"
)

// putInto delivers a message into a folder of an account, and gives its file.
func putInto(t *testing.T, m *Mailboxes, account, folder, text string) (file string) {
	t.Helper()
	other := OpenMailboxes(m.root) // as another process would
	defer other.Close()
	err := other.Use(account, true, func(tree *maildir.Tree) error {
		if folder != maildir.Inbox {
			if err := tree.CreateFolder(folder); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
		s, err := tree.Stage()
		if err != nil {
			return err
		}
		defer s.Abort()
		if _, err := s.Write([]byte(text)); err != nil {
			return err
		}
		if err := s.Seal(); err != nil {
			return err
		}
		e, err := s.CommitTo(folder, "")
		file = tree.MessagePath(e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// texts reads all messages of an account, as "folder: text".
func texts(t *testing.T, m *Mailboxes, account string) string {
	t.Helper()
	var list []string
	err := m.Use(account, false, func(tree *maildir.Tree) error {
		folders, err := tree.Folders()
		for _, folder := range folders {
			err = errors.Join(err, tree.Scan(folder, func(e maildir.Entry) error {
				f, err := tree.OpenMessage(e)
				if err != nil {
					return err
				}
				defer f.Close()
				b := make([]byte, 100)
				n, err := f.Read(b)
				list = append(list, folder+": "+string(b[:n]))
				return err
			}))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, ", ")
}

func TestRenameAndAbsorb(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	m := OpenMailboxes(root)
	defer m.Close()
	putInto(t, m, "ann@a.example", maildir.Inbox, "one")
	putInto(t, m, "ann@a.example", "Work.Plans", "two")
	for range 2 { // the second time it is done already
		if err := m.Rename("ann@a.example", "anna@b.example"); err != nil {
			t.Fatal(err)
		}
	}
	if got := texts(t, m, "anna@b.example"); got != "INBOX: one, Work.Plans: two" {
		t.Errorf("after the rename: %s", got)
	}
	// A daemon that knows the old name still delivers, and so does something with a spelling of its own.
	putInto(t, m, "ann@a.example", maildir.Inbox, "three")
	odd := putInto(t, m, "ann@a.example", "Other", "four")
	if err := os.Rename(odd, filepath.Join(filepath.Dir(filepath.Dir(odd)), "cur", "1.odd.host:2,TS")); err != nil {
		t.Fatal(err)
	}
	for want := 2; want >= 0; want -= 2 {
		n, err := m.Absorb(t.Context(), "ann@a.example", "anna@b.example")
		if err != nil || n != want {
			t.Errorf("absorbed %d, %v, want %d", n, err, want)
		}
	}
	if got := texts(t, m, "anna@b.example"); got != "INBOX: one, INBOX: three, Other: four, Work.Plans: two" &&
		got != "INBOX: three, INBOX: one, Other: four, Work.Plans: two" {
		t.Errorf("after all: %s", got)
	}
	if left, _ := os.ReadDir(filepath.Join(root, "a.example")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	messages, octets, err := m.Measure(t.Context(), "anna@b.example")
	if err != nil || messages != 4 || octets != 3+3+5+4 {
		t.Errorf("measured %d messages, %d octets, %v", messages, octets, err)
	}
	if n, octets, err := m.Measure(t.Context(), "ann@a.example"); n != 0 || octets != 0 || err != nil {
		t.Errorf("nobody has %d messages, %d octets, %v", n, octets, err)
	}
}

// TestAbsorbInterrupted goes on with a tree that was moved aside, and with a message that has both names.
func TestAbsorbInterrupted(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	m := OpenMailboxes(root)
	defer m.Close()
	first := putInto(t, m, "ann@a.example", maildir.Inbox, "one")
	putInto(t, m, "anna@a.example", maildir.Inbox, "zero")
	aside := filepath.Join(root, "a.example", ".renamed-ann")
	if err := errors.Join(
		os.Link(first, filepath.Join(root, "a.example", "anna", "new", filepath.Base(first))),
		os.Rename(filepath.Join(root, "a.example", "ann"), aside),
	); err != nil {
		t.Fatal(err)
	}
	putInto(t, m, "ann@a.example", maildir.Inbox, "two") // the tree is made anew
	n, err := m.Absorb(t.Context(), "ann@a.example", "anna@a.example")
	if err != nil || n != 2 {
		t.Fatalf("absorbed %d, %v", n, err)
	}
	if got := texts(t, m, "anna@a.example"); strings.Count(got, "INBOX") != 3 || !strings.Contains(got, "one") || !strings.Contains(got, "two") {
		t.Errorf("after all: %s", got)
	}
	if left, _ := os.ReadDir(filepath.Join(root, "a.example")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// TestAbsorbKeepsStrangers holds that what cannot be moved is not removed.
func TestAbsorbKeepsStrangers(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	m := OpenMailboxes(root)
	defer m.Close()
	putInto(t, m, "ann@a.example", maildir.Inbox, "one")
	stranger := filepath.Join(root, "a.example", "ann", ".\xff", "cur")
	if err := errors.Join(os.MkdirAll(stranger, 0o700), os.WriteFile(filepath.Join(stranger, "1.a.b"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	n, err := m.Absorb(t.Context(), "ann@a.example", "anna@a.example")
	if n != 1 || err == nil || !strings.Contains(err.Error(), "1.a.b is left") {
		t.Errorf("absorbed %d, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(root, "a.example", ".renamed-ann", ".\xff", "cur", "1.a.b")); err != nil {
		t.Error(err)
	}
}

func TestRenameRefusesLinks(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	m := OpenMailboxes(root)
	defer m.Close()
	if err := errors.Join(os.Mkdir(filepath.Join(root, "a.example"), 0o700), os.Symlink(t.TempDir(), filepath.Join(root, "a.example", "ann"))); err != nil {
		t.Fatal(err)
	}
	if err := m.Rename("ann@a.example", "anna@a.example"); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Error(err)
	}
	if err := m.Rename("ann@a.example", "../etc@a.example"); err == nil {
		t.Error("a name that leads elsewhere was taken")
	}
}
