package maildir

import (
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// testTree makes an empty tree.
func testTree(t testing.TB) *Tree {
	t.Helper()
	tree, err := Create(filepath.Join(t.TempDir(), "example.org", "ann"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTree(t, tree) })
	return tree
}

// closeTree checks that every directory was given back, then closes the tree.
func closeTree(t testing.TB, tree *Tree) {
	for key, d := range tree.dirs {
		if refs := d.refs.Load(); refs != 1 {
			t.Errorf("%v is held %d times at the end", key, refs)
		}
	}
	if err := tree.Close(); err != nil {
		t.Error(err)
	}
}

// stage makes a sealed message.
func stage(t testing.TB, tree *Tree, content string) *Staged {
	t.Helper()
	s, err := tree.Stage()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	return s
}

// deliver puts a message into the INBOX.
func deliver(t testing.TB, tree *Tree, content string) Entry {
	t.Helper()
	e, err := stage(t, tree, content).Commit()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// put makes a file as another program would, with the directories above it.
func put(t testing.TB, tree *Tree, path, content string) {
	t.Helper()
	path = filepath.Join(tree.Path(), path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// files lists all files of a tree, links included, by their path in it.
func files(t testing.TB, tree *Tree) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(tree.Path(), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			rel, _ := filepath.Rel(tree.Path(), path)
			found = append(found, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// scan collects what Scan shows, sorted by file name.
func scan(t testing.TB, tree *Tree, folder string) []Entry {
	t.Helper()
	var found []Entry
	if err := tree.Scan(folder, func(e Entry) error { found = append(found, e); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(found, func(a, b Entry) int { return strings.Compare(a.FileName(), b.FileName()) })
	return found
}

func content(t testing.TB, tree *Tree, e Entry) string {
	t.Helper()
	f, err := tree.OpenMessage(e)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	octets, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(octets)
}

func symlink(t testing.TB, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
}

// TestStandardLibraryOnly holds the package's promise to need nothing else.
func TestStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	sources, err := filepath.Glob("*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	for _, source := range sources {
		parsed, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			first, _, _ := strings.Cut(path, "/")
			if strings.Contains(first, ".") || first == "maild" {
				t.Errorf("%s imports %s", source, path)
			}
		}
	}
}
