package maildir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

func testBatch(t testing.TB, tree *Tree) *Batch {
	t.Helper()
	b, err := tree.Batch()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// placed writes and places a message.
func placed(t testing.TB, b *Batch, text string, in Incoming) Entry {
	t.Helper()
	if err := b.Write(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	e, err := b.Place(in)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestBatch(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	if err := tree.CreateFolder("Sent"); err != nil {
		t.Fatal(err)
	}
	b := testBatch(t, tree)
	at := time.Date(2001, 2, 3, 4, 5, 6, 789012345, time.UTC)
	want := map[Entry]string{}
	for i, in := range []Incoming{
		{Folder: Inbox, New: true},
		{Folder: Inbox, Name: "981173106.M7I0a.import", Flags: "SFa", ModTime: at},
		{Folder: "Sent", ModTime: at},
		{Folder: "Sent", Flags: "S", New: true, ModTime: at}, // flags are for cur/ alone
		{Folder: "Sent", Key: "1.2.x,S=23", ModTime: at},
	} {
		text := fmt.Sprintf("Subject: %d\n\nline\r\nline\n", i)
		e := placed(t, b, text, in)
		if octets, _ := e.Octets(); octets != int64(len(text)) || octets != b.Octets() {
			t.Errorf("%s: %d octets, want %d", e.Key, octets, len(text))
		}
		if wire, ok := e.WireOctets(); wire != int64(len(text)+3) && ok {
			t.Errorf("%s: %d octets on the wire", e.Key, wire)
		}
		if e.New != (i == 0) {
			t.Errorf("%s: new is %v", e.Key, e.New)
		}
		want[e] = text
	}
	if err := b.Write(strings.NewReader("dropped")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Drop(), b.Drop()); err != nil {
		t.Fatal(err)
	}
	if got := files(t, tree); b.Waiting() != len(want) || strings.Contains(strings.Join(got, " "), "cur/9") {
		t.Errorf("before Commit %d wait: %q", b.Waiting(), got)
	}
	if err := errors.Join(b.Commit(), b.Commit(), b.Abort(), b.Abort()); err != nil {
		t.Fatal(err)
	}
	for e, text := range want {
		if got := content(t, tree, e); got != text {
			t.Errorf("%v: %q, want %q", e, got, text)
		}
		if info, err := tree.StatMessage(e); err != nil || !e.New && !info.ModTime().Equal(at) {
			t.Errorf("%v: time %v, error %v", e, info.ModTime(), err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(tree.Path(), subTmp)); err != nil || len(left) > 0 {
		t.Errorf("tmp/ has %d files, error %v", len(left), err)
	}
	if _, err := os.Stat(filepath.Join(tree.Path(), "cur", "981173106.M7I0a.import,S=23,W=26:2,FSa")); err != nil {
		t.Error(err)
	}
}

func TestBatchLink(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	path := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, []byte("a\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := testBatch(t, tree)
	defer b.Abort()
	if ok, err := b.Link(f); err != nil || !ok {
		t.Fatal(ok, err)
	}
	e, err := b.Place(Incoming{Folder: Inbox, Flags: "S", ModTime: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	was, err1 := os.Stat(path)
	now, err2 := tree.StatMessage(e)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if octets, _ := e.Octets(); !os.SameFile(was, now) || octets != 4 {
		t.Errorf("%v is no link to %s", e, path)
	}
	tree.hook = func(step, _ string) error {
		if step == stepLink {
			return syscall.EXDEV
		}
		return nil
	}
	if ok, err := b.Link(f); ok || err != nil {
		t.Errorf("across file systems: %v, %v", ok, err)
	}
}

// TestBatchFails holds that whatever fails, nothing of the batch can be seen, and nothing is left in tmp/ after Abort.
func TestBatchFails(t *testing.T) {
	t.Parallel()
	for _, step := range []string{stepCreate, stepWrite, stepSync, stepRename, stepSyncDir} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			tree := testTree(t)
			b := testBatch(t, tree)
			placed(t, b, "one", Incoming{Folder: Inbox, New: true})
			placed(t, b, "two", Incoming{Folder: Inbox, Flags: "S"})
			count := 0
			tree.hook = func(s, _ string) error {
				if s == step {
					count++
				}
				if s == step && (s != stepRename || count == 2) {
					return syscall.EIO
				}
				return nil
			}
			err := b.Write(strings.NewReader("three"))
			if err == nil {
				err = b.Commit()
			}
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("error %v", err)
			}
			if err := b.Abort(); err != nil {
				t.Error(err)
			}
			if got := files(t, tree); len(got) != 0 {
				t.Errorf("left %q", got)
			}
		})
	}
}

func TestBatchReaderFails(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	b := testBatch(t, tree)
	if _, err := b.Place(Incoming{Folder: Inbox}); err == nil {
		t.Error("placed what was not written")
	}
	cut := io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if err := b.Write(cut); err != io.ErrUnexpectedEOF {
		t.Errorf("error %v", err)
	}
	if err := b.Drop(); err != nil {
		t.Error(err)
	}
	if err := b.Write(stuck{}); err != io.ErrNoProgress {
		t.Errorf("a reader that gives nothing: %v", err)
	}
	if err := b.Drop(); err != nil {
		t.Error(err)
	}
	if err := b.Write(strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Place(Incoming{Folder: "Nowhere"}); err == nil {
		t.Error("placed in a folder that is not there")
	}
	if err := b.Abort(); err != nil {
		t.Error(err)
	}
	if got := files(t, tree); len(got) != 0 {
		t.Errorf("left %q", got)
	}
}

// TestBatchMoved holds that a folder which is exchanged before Commit is not written to.
func TestBatchMoved(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	if err := tree.CreateFolder("Sent"); err != nil {
		t.Fatal(err)
	}
	b := testBatch(t, tree)
	placed(t, b, "one", Incoming{Folder: "Sent"})
	if err := tree.RenameFolder("Sent", "Old"); err != nil {
		t.Fatal(err)
	}
	var moved *errMoved
	if err := b.Commit(); !errors.As(err, &moved) {
		t.Errorf("error %v", err)
	}
	if err := b.Abort(); err != nil {
		t.Error(err)
	}
	if n := countMessages(t, tree, "Old"); n != 0 {
		t.Errorf("%d messages in the folder that was moved", n)
	}
}

func countMessages(t *testing.T, tree *Tree, folder string) (n int) {
	t.Helper()
	if err := tree.Scan(folder, func(Entry) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBatchFull holds the bounds.
func TestBatchFull(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	b := testBatch(t, tree)
	for n := 1; ; n++ {
		placed(t, b, "x", Incoming{Folder: Inbox})
		if b.Full() {
			if n != fullBatchMessages {
				t.Errorf("full with %d messages", n)
			}
			break
		}
	}
	if err := errors.Join(b.Commit(), b.Abort()); err != nil {
		t.Fatal(err)
	}
	if n := countMessages(t, tree, Inbox); n != fullBatchMessages {
		t.Errorf("%d messages", n)
	}
}
