package maildir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

func TestFind(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	for base, want := range map[string]Entry{
		"new/1.new":              {Inbox, "1.new", "", true},
		"new/1.flagged:2,F":      {Inbox, "1.flagged", "F", true},
		"cur/1.empty:2,":         {Inbox, "1.empty", "", false},
		"cur/1.bare":             {Inbox, "1.bare", "", false},
		"cur/1.all:2,DFPRST":     {Inbox, "1.all", "DFPRST", false},
		"cur/1.unsorted:2,SRR":   {Inbox, "1.unsorted", "RS", false},
		"cur/1.keywords:2,Sabz":  {Inbox, "1.keywords", "Sabz", false},
		"cur/1.unknown:2,?XS9":   {Inbox, "1.unknown", "9?SX", false},
		"cur/1.experiment:1,abc": {Inbox, "1.experiment:1,abc", "", false},
		"cur/1.double:2,S:2,R":   {Inbox, "1.double:2,S", "R", false},
	} {
		put(t, tree, base, base)
		got, err := tree.Find(Inbox, want.Key)
		if err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", base, got, err, want)
		}
		if text := content(t, tree, got); text != base {
			t.Errorf("%s opens %s", base, text)
		}
		if info, err := tree.StatMessage(Entry{Folder: Inbox, Key: want.Key, Flags: "Tq"}); err != nil || info.Size() != int64(len(base)) {
			t.Errorf("%s with stale flags: %v", base, err)
		}
	}
	for _, key := range []Key{"1.missing", "1.new:2,", "", ".", "..", "../cur/1.bare", ".x", "a\x00b"} {
		if _, err := tree.Find(Inbox, key); err == nil {
			t.Errorf("found %q", key)
		}
		if f, err := tree.OpenMessage(Entry{Folder: Inbox, Key: key, New: true}); err == nil {
			f.Close()
			t.Errorf("opened %q", key)
		}
	}
}

func TestChangeFlags(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		base        string
		add, remove Flags
		want        string
	}{
		{"new/1.x", "S", "", "cur/1.x:2,S"},
		{"new/1.x", "", "S", "new/1.x"},
		{"new/1.x:2,S", "S", "", "new/1.x:2,S"},
		{"new/1.x:2,S", "", "S", "cur/1.x:2,"},
		{"cur/1.x:2,S", "F", "", "cur/1.x:2,FS"},
		{"cur/1.x:2,SRzQ1", "F", "S", "cur/1.x:2,1FQRz"},
		{"cur/1.x", "a", "", "cur/1.x:2,a"},
		{"cur/1.x:2,FS", "T", "FST", "cur/1.x:2,"},
		{"cur/1.x:2,SF", "S", "", "cur/1.x:2,SF"}, // nothing to change: others' spelling stays
		{"cur/1.x:1,a", "S", "", "cur/1.x:1,a:2,S"},
	} {
		tree := testTree(t)
		put(t, tree, test.base, "x")
		key, _, _ := ParseFileName(filepath.Base(test.base))
		e, err := tree.ChangeFlags(Inbox, key, test.add, test.remove)
		if err != nil {
			t.Error(test.base, err)
			continue
		}
		if got := files(t, tree); len(got) != 1 || got[0] != test.want {
			t.Errorf("%s +%s -%s is %q, want %q", test.base, test.add, test.remove, got, test.want)
		}
		if got := scan(t, tree, Inbox); len(got) != 1 || got[0] != e {
			t.Errorf("%s: %+v returned, %+v there", test.base, e, got)
		}
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	e := deliver(t, tree, "x")
	for range 2 { // the second time there is nothing to do
		got, err := tree.Take(Inbox, e.Key)
		if want := (Entry{Inbox, e.Key, "", false}); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if got := files(t, tree); len(got) != 1 || got[0] != "cur/"+string(e.Key)+":2," {
		t.Errorf("files %q", got)
	}
}

// TestRenamedMeanwhile lets another program change a message's name just before we rename it.
func TestRenamedMeanwhile(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	e := deliver(t, tree, "x")
	path, name := tree.Path(), string(e.Key)
	others := []func() error{
		func() error { return os.Rename(path+"/new/"+name, path+"/cur/"+name+":2,") },
		func() error { return os.Rename(path+"/cur/"+name+":2,", path+"/cur/"+name+":2,Ra") },
		func() error { return os.Rename(path+"/cur/"+name+":2,Ra", path+"/cur/"+name+":2,Rk") },
	}
	tree.hook = func(step, _ string) error {
		if step != stepRename || len(others) == 0 {
			return nil
		}
		other := others[0]
		others = others[1:]
		return other()
	}
	got, err := tree.ChangeFlags(Inbox, e.Key, Seen, "")
	if err != nil || got.Flags != "RSk" || len(others) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if text := content(t, tree, e); text != "x" {
		t.Errorf("content %q by the old entry", text)
	}
	if err := tree.RemoveMessage(e); err != nil {
		t.Error(err)
	}
	if err := tree.RemoveMessage(e); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
}

// TestChangeFlagsConcurrently: each of eight can lose at most seven races, fewer than it has tries.
func TestChangeFlagsConcurrently(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	e := deliver(t, tree, "x")
	var wg sync.WaitGroup
	for _, flag := range []Flags{"S", "R", "F", "a", "b", "c", "S", "X"} {
		wg.Go(func() {
			if _, err := tree.ChangeFlags(Inbox, e.Key, flag, ""); err != nil {
				t.Error(flag, err)
			}
		})
	}
	wg.Wait()
	if got := scan(t, tree, Inbox); len(got) != 1 || got[0].Flags != "FRSXabc" {
		t.Errorf("%+v", got)
	}
}

func TestNothingIsReplaced(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	if err := tree.CreateFolder("Sent"); err != nil {
		t.Fatal(err)
	}
	put(t, tree, "cur/1.x:2,", "one")
	put(t, tree, "cur/1.x:2,S", "two")
	put(t, tree, ".Sent/cur/1.x:2,F", "three")
	if _, err := tree.ChangeFlags(Inbox, "1.x", Seen, ""); !errors.Is(err, fs.ErrExist) {
		t.Errorf("ChangeFlags: %v", err)
	}
	if _, err := tree.Move(Inbox, "1.x", "Sent"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Move: %v", err)
	}
	if got := files(t, tree); len(got) != 4 {
		t.Errorf("files %q", got)
	}
}

func TestMoveAndCopy(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	if err := tree.CreateFolder("Arc.ä"); err != nil {
		t.Fatal(err)
	}
	e := deliver(t, tree, "a\n")
	moved, err := tree.Move(Inbox, e.Key, "Arc.ä")
	if want := (Entry{"Arc.ä", e.Key, "", true}); err != nil || moved != want {
		t.Fatalf("%+v, %v", moved, err)
	}
	if _, err := tree.ChangeFlags("Arc.ä", e.Key, "Sk", ""); err != nil {
		t.Fatal(err)
	}
	copied, err := tree.Copy("Arc.ä", e.Key, Inbox)
	if err != nil || copied.Key == e.Key || copied.Flags != "Sk" || copied.New || copied.Folder != Inbox {
		t.Fatalf("%+v, %v", copied, err)
	}
	if octets, ok := copied.Octets(); !ok || octets != 2 {
		t.Errorf("copy %s", copied.Key)
	}
	if wire, ok := copied.WireOctets(); !ok || wire != 3 {
		t.Errorf("copy %s", copied.Key)
	}
	original, err1 := tree.StatMessage(Entry{Folder: "Arc.ä", Key: e.Key})
	double, err2 := tree.StatMessage(copied)
	if err := errors.Join(err1, err2); err != nil || !os.SameFile(original, double) {
		t.Errorf("the copy is no hard link: %v", err)
	}
	if same, err := tree.Move(Inbox, copied.Key, Inbox); err != nil || same != copied {
		t.Errorf("moved to where it is: %+v, %v", same, err)
	}
	for _, to := range []string{"Nowhere", "../x", ""} {
		if _, err := tree.Move(Inbox, copied.Key, to); err == nil {
			t.Errorf("moved to %q", to)
		}
		if _, err := tree.Copy(Inbox, copied.Key, to); err == nil {
			t.Errorf("copied to %q", to)
		}
	}
	if got := scan(t, tree, Inbox); len(got) != 1 || got[0] != copied {
		t.Errorf("INBOX %+v", got)
	}
}

func TestCopyWithoutLinks(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	put(t, tree, "cur/1.foreign:2,FS", "a\n\n")
	tree.hook = func(step, _ string) error {
		if step == stepLink {
			return syscall.EXDEV
		}
		return nil
	}
	e, err := tree.Copy(Inbox, "1.foreign", Inbox)
	if err != nil || e.Flags != "FS" || e.New {
		t.Fatalf("%+v, %v", e, err)
	}
	if octets, ok := e.Octets(); !ok || octets != 3 || content(t, tree, e) != "a\n\n" {
		t.Errorf("copy %s", e.Key)
	}
	tree.hook = nil
	linked, err := tree.Copy(Inbox, "1.foreign", Inbox)
	if octets, ok := linked.Octets(); err != nil || !ok || octets != 3 {
		t.Errorf("copy %s, %v", linked.Key, err)
	}
	if _, ok := linked.WireOctets(); ok {
		t.Errorf("copy %s claims to know its wire size", linked.Key)
	}
}

// TestMoveFaults: a message is in one place or the other, never in none and never in both.
func TestMoveFaults(t *testing.T) {
	t.Parallel()
	for _, faulty := range []string{stepRename, stepSyncDir, stepLink} {
		tree := testTree(t)
		if err := tree.CreateFolder("Sent"); err != nil {
			t.Fatal(err)
		}
		e := deliver(t, tree, "x")
		tree.hook = func(step, _ string) error {
			if step == faulty {
				return syscall.EIO
			}
			return nil
		}
		var err error
		if faulty == stepLink {
			_, err = tree.Copy(Inbox, e.Key, "Sent")
		} else {
			_, err = tree.Move(Inbox, e.Key, "Sent")
		}
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", faulty, err)
		}
		if got := scan(t, tree, Inbox); len(got) != 1 || got[0] != e || len(scan(t, tree, "Sent")) != 0 {
			t.Errorf("%s: INBOX %v, Sent %v", faulty, got, scan(t, tree, "Sent"))
		}
		if _, err := tree.Copy(Inbox, e.Key, "Sent"); faulty == stepSyncDir && (err == nil || len(scan(t, tree, "Sent")) != 0) {
			t.Errorf("copy without fsync: %v", err)
		}
	}
}

func TestMessagePath(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	put(t, tree, ".Entwürfe/cur/1.x:2,S", "x")
	for _, test := range []struct {
		e    Entry
		want string
	}{
		{Entry{Inbox, "1.x", "", true}, "new/1.x"},
		{Entry{"Ä.b", "1.x", "S", false}, ".&AMQ-.b/cur/1.x:2,S"},
		{Entry{"Entwürfe", "1.x", "S", false}, ".Entwürfe/cur/1.x:2,S"},
	} {
		if got := tree.MessagePath(test.e); got != filepath.Join(tree.Path(), test.want) {
			t.Errorf("%+v: %s", test.e, got)
		}
	}
	for _, bad := range []Entry{{"..", "1.x", "", true}, {"a/b", "1.x", "", true}, {Inbox, "../x", "", true}, {Inbox, "", "", true}} {
		if got := tree.MessagePath(bad); got != "" {
			t.Errorf("%+v: %s", bad, got)
		}
	}
}
