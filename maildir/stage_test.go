package maildir

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
)

func TestDeliver(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	const text = "Subject: a\n\nb\n"
	s := stage(t, tree, text)
	if got := scan(t, tree, Inbox); len(got) != 0 {
		t.Errorf("visible before Commit: %v", got)
	}
	e, err := s.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Abort(); err != nil {
		t.Errorf("Abort after Commit: %v", err)
	}
	if e.Folder != Inbox || !e.New || e.Flags != "" || e.Key != s.Key() {
		t.Errorf("entry %+v", e)
	}
	octets, _ := e.Octets()
	wire, _ := e.WireOctets()
	if octets != int64(len(text)) || wire != int64(len(text)+3) || s.Octets() != octets || s.WireOctets() != wire {
		t.Errorf("sizes %d, %d", octets, wire)
	}
	info, err := os.Lstat(filepath.Join(tree.Path(), "new", e.FileName()))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 || !info.ModTime().Equal(s.ModTime()) || info.Size() != octets {
		t.Errorf("file %v %v %d", info.Mode(), info.ModTime(), info.Size())
	}
	if got := content(t, tree, e); got != text {
		t.Errorf("content %q", got)
	}
	if got := files(t, tree); len(got) != 1 {
		t.Errorf("files %q", got)
	}
}

func TestStagedContent(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("0123456789", 7) + "\n"
	for _, size := range []int{0, 1, firstBufferOctets, stageBufferOctets - 1, stageBufferOctets, stageBufferOctets + 1, 3*stageBufferOctets + 5} {
		want := strings.Repeat(line, size/len(line)+1)[:size]
		for name, fill := range map[string]func(*Staged) error{
			"one write":   func(s *Staged) error { _, err := s.Write([]byte(want)); return err },
			"small reads": func(s *Staged) error { _, err := s.ReadFrom(iotest.HalfReader(strings.NewReader(want))); return err },
			"io.Copy":     func(s *Staged) error { _, err := io.Copy(s, strings.NewReader(want)); return err },
			"odd writes": func(s *Staged) error {
				for rest := []byte(want); len(rest) > 0; {
					n := min(len(rest), 4097)
					if _, err := s.Write(rest[:n]); err != nil {
						return err
					}
					rest = rest[n:]
				}
				return nil
			},
		} {
			tree := testTree(t)
			s, err := tree.Stage()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(fill(s), s.Seal()); err != nil {
				t.Fatal(name, size, err)
			}
			e, err := s.Commit()
			if err != nil {
				t.Fatal(name, size, err)
			}
			if content(t, tree, e) != want || s.Octets() != int64(size) || s.WireOctets() != int64(size+strings.Count(want, "\n")) {
				t.Errorf("%s of %d octets: stored other than written, or counted %d, %d", name, size, s.Octets(), s.WireOctets())
			}
		}
	}
}

func TestStagedReaderFails(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	s, err := tree.Stage()
	if err != nil {
		t.Fatal(err)
	}
	cut := io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if n, err := s.ReadFrom(cut); n != 3 || err != io.ErrUnexpectedEOF {
		t.Errorf("ReadFrom: %d, %v", n, err)
	}
	if _, err := s.ReadFrom(stuck{}); err != io.ErrNoProgress {
		t.Errorf("a reader that gives nothing: %v", err)
	}
	if err := errors.Join(s.Abort(), s.Abort()); err != nil {
		t.Error(err)
	}
	if got := files(t, tree); len(got) != 0 {
		t.Errorf("left %q", got)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestStagedOrder(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	s, err := tree.Stage()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(); err == nil {
		t.Error("committed before Seal")
	}
	if _, err := s.Link(tree); err == nil {
		t.Error("linked before Seal")
	}
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("x")); err == nil {
		t.Error("wrote after Seal")
	}
	if _, err := s.ReadFrom(strings.NewReader("x")); err == nil {
		t.Error("read after Seal")
	}
	if err := s.Seal(); err == nil {
		t.Error("sealed twice")
	}
	if _, err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(); err == nil {
		t.Error("committed twice")
	}
}

// TestFaults makes each step of a delivery to two trees fail, and looks for traces.
func TestFaults(t *testing.T) {
	t.Parallel()
	both := func(one, two *Tree) (errs []error, staged []*Staged) {
		s, err := one.Stage()
		if err != nil {
			return []error{err}, nil
		}
		_, err = s.ReadFrom(bytes.NewReader(make([]byte, 2*stageBufferOctets)))
		errs, staged = append(errs, err), append(staged, s)
		if err := s.Seal(); err != nil {
			return append(errs, err), staged
		}
		other, err := s.Link(two)
		if err != nil {
			return append(errs, err), staged
		}
		staged = append(staged, other)
		for _, s := range staged {
			_, err := s.Commit()
			errs = append(errs, err)
		}
		return errs, staged
	}
	for _, test := range []struct {
		step      string
		errno     syscall.Errno
		delivered int // trees that the message is in at the end: a fault in the second is none of the first's
	}{
		{stepCreate, syscall.ENOSPC, 0},
		{stepWrite, syscall.ENOSPC, 0},
		{stepSync, syscall.EIO, 0},
		{stepLink, syscall.ENOSPC, 0},
		{stepRename, syscall.EIO, 1},
		{stepSyncDir, syscall.EIO, 1},
	} {
		for _, second := range []bool{false, true} {
			one, two := testTree(t), testTree(t)
			faulty, want := one, test.delivered
			if second {
				faulty = two
			}
			if !second && test.step == stepLink || second && test.step != stepLink && test.delivered == 0 {
				want = 2 // the step is not made there
			}
			faulty.hook = func(step, _ string) error {
				if step == test.step {
					return test.errno
				}
				return nil
			}
			errs, staged := both(one, two)
			if err := errors.Join(errs...); want < 2 && !errors.Is(err, test.errno) || want == 2 && err != nil {
				t.Errorf("%s, second %t: error %v", test.step, second, err)
			}
			for _, s := range staged {
				if err := s.Abort(); err != nil {
					t.Errorf("%s, second %t: abort: %v", test.step, second, err)
				}
			}
			if left := append(files(t, one), files(t, two)...); len(left) != want {
				t.Errorf("%s, second %t: %d files left, want %d: %q", test.step, second, len(left), want, left)
			}
		}
	}
}

func TestWriteErrorIsFinal(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	s, err := tree.Stage()
	if err != nil {
		t.Fatal(err)
	}
	full := true
	tree.hook = func(step, _ string) error {
		if full && step == stepWrite {
			return syscall.ENOSPC
		}
		return nil
	}
	if _, err := s.Write(make([]byte, stageBufferOctets+1)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write: %v", err)
	}
	full = false
	if _, err := s.Write([]byte("more")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write after an error: %v", err)
	}
	if err := s.Seal(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Seal after an error: %v", err)
	}
	if got := files(t, tree); len(got) != 0 {
		t.Errorf("left %q", got)
	}
}

func TestLink(t *testing.T) {
	t.Parallel()
	for name, linkError := range map[string]error{"hard link": nil, "EXDEV": syscall.EXDEV, "EMLINK": syscall.EMLINK, "EPERM": syscall.EPERM} {
		one, two := testTree(t), testTree(t)
		two.hook = func(step, _ string) error {
			if step == stepLink {
				return linkError
			}
			return nil
		}
		s := stage(t, one, "a\nb\n")
		other, err := s.Link(two)
		if err != nil {
			t.Fatal(name, err)
		}
		again, err := s.Link(one)
		if err != nil {
			t.Fatal(name, err)
		}
		var entries []Entry
		for _, s := range []*Staged{s, other, again} {
			e, err := s.Commit()
			if err != nil {
				t.Fatal(name, err)
			}
			entries = append(entries, e)
		}
		first, err1 := one.StatMessage(entries[0])
		second, err2 := two.StatMessage(entries[1])
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(name, err)
		}
		if os.SameFile(first, second) != (linkError == nil) {
			t.Errorf("%s: same file is %t", name, os.SameFile(first, second))
		}
		if !second.ModTime().Equal(other.ModTime()) || other.Octets() != 4 || other.WireOctets() != 6 {
			t.Errorf("%s: the second has %v, %d, %d", name, other.ModTime(), other.Octets(), other.WireOctets())
		}
		if content(t, two, entries[1]) != "a\nb\n" || len(scan(t, one, Inbox)) != 2 {
			t.Errorf("%s: not all delivered", name)
		}
	}
}

func TestCommitTo(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	if err := tree.CreateFolder("Junk"); err != nil {
		t.Fatal(err)
	}
	s := stage(t, tree, "x")
	if _, err := s.CommitTo("Nowhere", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
	if _, err := s.CommitTo("../x", ""); err == nil {
		t.Error("a folder outside the tree was taken")
	}
	e, err := s.CommitTo("Junk", "SaF")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := stage(t, tree, "y").CommitTo("Junk", "")
	if err != nil {
		t.Fatal(err)
	}
	seen, err := stage(t, tree, "z").CommitSeen("Junk", "")
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{{"Junk", e.Key, "FSa", false}, {"Junk", plain.Key, "", true}, {"Junk", seen.Key, "", false}}
	for i, got := range []Entry{e, plain, seen} {
		if found, err := tree.Find("Junk", got.Key); got != want[i] || found != want[i] || err != nil {
			t.Errorf("%+v found as %+v, want %+v (%v)", got, found, want[i], err)
		}
	}
}

func TestDeliverConcurrently(t *testing.T) {
	t.Parallel()
	const workers, each = 32, 20
	tree := testTree(t)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				s, err := tree.Stage()
				if err != nil {
					t.Error(err)
					return
				}
				_, writeErr := s.Write([]byte("x\n"))
				sealErr := s.Seal()
				_, commitErr := s.Commit()
				if err := errors.Join(writeErr, sealErr, commitErr); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	keys := make(map[Key]bool)
	for _, e := range scan(t, tree, Inbox) {
		keys[e.Key] = true
	}
	if len(keys) != workers*each || len(files(t, tree)) != workers*each {
		t.Errorf("%d keys, %d files of %d", len(keys), len(files(t, tree)), workers*each)
	}
}
