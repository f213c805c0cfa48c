package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestParseSizeFile(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		data         string
		limit, total Size
		lines        int
	}{
		{"1000S\n", Size{1000, 0}, Size{}, 0},
		{"1000S,10C\n500 5\n-100 -1\n", Size{1000, 10}, Size{400, 4}, 2},
		{"10C,1000S\n         500            5\n", Size{1000, 10}, Size{500, 5}, 1}, // Courier
		{"0S\n7 1\n", Size{}, Size{7, 1}, 1},
		{"\n7 1\n", Size{}, Size{7, 1}, 1},
		{"1000S,5X\n7 1\n", Size{1000, 0}, Size{7, 1}, 1}, // a kind of limit yet to come
	} {
		got, err := ParseSizeFile([]byte(tc.data))
		if err != nil || got.Limit != tc.limit || got.Total != tc.total || got.Lines != tc.lines {
			t.Errorf("%q: %+v, %v", tc.data, got, err)
		}
	}
	for _, data := range []string{"", "1000S", "1000S\n5 1", "1000S\n5\n", "1000S\n5 1 2\n", "1000S\nx 1\n", "1000S\n5 1\n\n", "S\n", "-5S\n", "1000\n",
		"1000S\n5 1\n-6 -1\n", "1000S\n1 1\n1 -2\n", "1000S\n9999999999999999999 1\n", "1000S\n5 99999999999\n", "1000S\n5 1\x00\n",
		"1000S\n" + strings.Repeat(fmt.Sprintf("%d 1\n", int64(maxSizeOctets)), 2)} {
		if got, err := ParseSizeFile([]byte(data)); !errors.Is(err, ErrSizeFile) {
			t.Errorf("%.60q: %+v, %v, want ErrSizeFile", data, got, err)
		}
	}
}

func TestSizeFileIsDue(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, tc := range []struct {
		name string
		f    SizeFile
		want bool
	}{
		{"room", SizeFile{Limit: Size{100, 0}, Total: Size{90, 9}, Lines: 50, Changed: now.Add(-time.Hour)}, false},
		{"no limit", SizeFile{Total: Size{90, 9}, Lines: 50, Changed: now.Add(-time.Hour)}, false},
		{"long", SizeFile{Limit: Size{100, 0}, Octets: MaxSizeFileOctets, Changed: now}, true},
		{"over, just calculated", SizeFile{Limit: Size{100, 0}, Total: Size{91, 9}, Lines: 1, Changed: now}, false},
		{"over, calculated long ago", SizeFile{Limit: Size{100, 0}, Total: Size{91, 9}, Lines: 1, Changed: now.Add(-16 * time.Minute)}, true},
		{"over by lines", SizeFile{Limit: Size{100, 0}, Total: Size{91, 9}, Lines: 2, Changed: now}, true},
		{"over in messages", SizeFile{Limit: Size{0, 9}, Total: Size{1, 9}, Lines: 2, Changed: now}, true},
	} {
		if got := tc.f.IsDue(Size{10, 1}, now); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// contents is what maildirsize holds, "" for none.
func sizeFileOf(t *testing.T, tree *Tree) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tree.Path(), sizeFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(data)
}

func TestSizeFile(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	if _, err := tree.SizeFile(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := tree.AddSize(Size{5, 1}); !errors.Is(err, fs.ErrNotExist) || sizeFileOf(t, tree) != "" {
		t.Errorf("added to no file: %v, %q", err, sizeFileOf(t, tree))
	}
	write := func(limit, total Size) {
		t.Helper()
		if err := tree.WriteSize(limit, func() (Size, error) { return total, nil }); err != nil {
			t.Fatal(err)
		}
	}
	write(Size{1000, 10}, Size{30, 3})
	if limit, err := tree.AddSize(Size{-10, -1}); err != nil || limit != (Size{1000, 10}) {
		t.Errorf("%+v, %v", limit, err)
	}
	f, err := tree.SizeFile()
	if got := sizeFileOf(t, tree); got != "1000S,10C\n30 3\n-10 -1\n" || err != nil || f.Total != (Size{20, 2}) || f.Lines != 2 || f.Octets != int64(len(got)) {
		t.Errorf("%q read as %+v, %v", got, f, err)
	}
	write(Size{}, Size{})
	if got := sizeFileOf(t, tree); got != "0S\n0 0\n" {
		t.Errorf("no limit: %q", got)
	}
	write(Size{0, 7}, Size{})
	if got := sizeFileOf(t, tree); got != "7C\n0 0\n" {
		t.Errorf("messages alone: %q", got)
	}
	for _, bad := range []string{"", "1000S\n5 1\n7", "1000S", "1000\n5 1\n", strings.Repeat("1", 200) + "\n"} {
		put(t, tree, sizeFile, bad)
		if _, err := tree.AddSize(Size{1, 1}); !errors.Is(err, ErrSizeFile) || sizeFileOf(t, tree) != bad {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	put(t, tree, sizeFile, "1000S\n5 1\n"+strings.Repeat("1 1\n", MaxSizeFileOctets/4))
	if f, err := tree.SizeFile(); err != nil || f.Limit.Octets != 1000 || !f.IsDue(Size{}, time.Now()) {
		t.Errorf("too long: %+v, %v", f, err)
	}
	if _, err := tree.AddSize(Size{1, 1}); !errors.Is(err, ErrSizeFile) {
		t.Errorf("added to one too long: %v", err)
	}
	for range 2 {
		if err := tree.RemoveSizeFile(); err != nil || sizeFileOf(t, tree) != "" {
			t.Errorf("removed: %v", err)
		}
	}
	if left := files(t, tree); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

// TestSizeFileIsNoLink: a link is not followed out of the tree.
func TestSizeFileIsNoLink(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("1000S\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(tree.Path(), sizeFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.AddSize(Size{1, 1}); err == nil {
		t.Error("a link was followed")
	}
	if data, _ := os.ReadFile(victim); string(data) != "1000S\n" {
		t.Errorf("victim is %q", data)
	}
}

func TestSizeFaults(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, step := range []string{stepWrite, stepRename} {
		tree := testTree(t)
		zero := func() (Size, error) { return Size{}, nil }
		if err := tree.WriteSize(Size{1000, 0}, zero); err != nil {
			t.Fatal(err)
		}
		before := sizeFileOf(t, tree)
		tree.hook = func(s, _ string) error {
			if s == step {
				return broken
			}
			return nil
		}
		var err error
		if step == stepWrite {
			_, err = tree.AddSize(Size{1, 1})
		} else {
			err = tree.WriteSize(Size{5, 0}, zero)
		}
		if !errors.Is(err, broken) || sizeFileOf(t, tree) != before {
			t.Errorf("%s: %v, %q", step, err, sizeFileOf(t, tree))
		}
		if err := tree.WriteSize(Size{5, 0}, func() (Size, error) { return Size{}, broken }); !errors.Is(err, broken) || sizeFileOf(t, tree) != before {
			t.Errorf("no total: %v, %q", err, sizeFileOf(t, tree))
		}
		if left := files(t, tree); len(left) != 1 {
			t.Errorf("left: %q", left)
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	e := deliver(t, tree, "0123456789\n")
	for _, path := range []string{"cur/1.a.h,S=1000:2,ST", "cur/2.a.h:2,S", ".Trash/cur/3.a.h,S=3,W=4:2,S", ".Sent.2026/new/4.a.h,S=30,W=31", ".Sent.2026/cur/x,S=bad"} {
		put(t, tree, path, "12345")
	}
	put(t, tree, "tmp/5.a.h", "12345")
	put(t, tree, "cur/.hidden", "12345")
	put(t, tree, ".Sent.2026/maildirfolder", "")
	for by, want := range map[Measure]Size{ByName: {11 + 1000 + 5 + 3 + 30 + 5, 6}, ByFile: {11 + 5*5, 6}} {
		if got, err := tree.Size(by, nil); err != nil || got != want {
			t.Errorf("measure %d: %+v, %v, want %+v", by, got, err, want)
		}
		if got, err := tree.Size(by, map[Key]bool{e.Key: true}); err != nil || got != want.Minus(Size{11, 1}) {
			t.Errorf("measure %d without one: %+v, %v", by, got, err)
		}
	}
}

// TestSizeFileTogether: several trees on one path add and write anew at once, and no line is lost.
func TestSizeFileTogether(t *testing.T) {
	t.Parallel()
	tree := testTree(t)
	zero := func() (Size, error) { return Size{}, nil }
	if err := tree.WriteSize(Size{1 << 30, 0}, zero); err != nil {
		t.Fatal(err)
	}
	const writers, lines = 4, 100
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			other, err := Open(tree.Path())
			if err != nil {
				t.Error(err)
				return
			}
			defer other.Close()
			for i := range lines {
				if _, err := other.AddSize(Size{10, 1}); err != nil {
					t.Error(err)
				}
				if i%10 != 0 {
					continue
				}
				// What was added so far becomes the first line.
				err := other.WriteSize(Size{1 << 30, 0}, func() (Size, error) {
					f, err := other.SizeFile()
					return f.Total, err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if f, err := tree.SizeFile(); err != nil || f.Total != (Size{10 * writers * lines, writers * lines}) {
		t.Errorf("%+v, %v", f, err)
	}
}

// FuzzParseSizeFile holds that what is understood means the same when it is written as we write it.
func FuzzParseSizeFile(f *testing.F) {
	for _, s := range []string{"1000S,10C\n 500 5\n-100 -1\n", "0S\n", "\n1 1\n", "5X,,3S\n", "1S\n1 1", "9223372036854775807S\n1152921504606846976 2147483647\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSizeFile(data)
		if err != nil {
			if !errors.Is(err, ErrSizeFile) {
				t.Fatal(err)
			}
			return
		}
		if s.Total.Octets < 0 || s.Total.Messages < 0 || s.Limit.Octets < 0 || s.Limit.Messages < 0 {
			t.Fatalf("%q: %+v", data, s)
		}
		again, err := ParseSizeFile([]byte(sizeHeader(s.Limit) + sizeLine(s.Total)))
		if s.Total.Messages <= 1<<31-1 && (err != nil || again.Limit != s.Limit || again.Total != s.Total) {
			t.Fatalf("%q: %+v, written anew %+v, %v", data, s, again, err)
		}
	})
}
