package appliance_test

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path of the module in go.mod.
const module = "maild"

// layers is the design: a package imports from the lines above its own only,
// from no other package of its line and from none below. Packages are named
// by their directory.
func layers() [][]string {
	return [][]string{
		{"appliance/spelling"},
		{"index/header", "index/query"}, // parts of index, with no need of it
		{"maildir", "index", "appliance/mail", "appliance/process"},
		{"appliance/message", "appliance/mbox", "appliance/dsn", "appliance/config", "appliance/aliases"},
		{"appliance/account"},
		{"appliance/store", "appliance/foreign", "appliance/queue", "appliance/relay"},
		{"appliance/delivery", "appliance/backup"},
		{"appliance/smtpd", "appliance/imapd"},
		{"appliance", "admin"},
		{"appliance/maild", "appliance/sendmail", "admin/mailctl", "packaging/bench/generate"},
	}
}

// homes says which packages may import a third-party module; others may not, so
// that it can be replaced there. "*" is everybody but those of standardOnly.
func homes() map[string][]string {
	databases := []string{"index", "appliance/account", "appliance/queue"}
	smtp := []string{"appliance/smtpd", "appliance/relay", "appliance/sendmail"}
	return map[string][]string{
		"github.com/emersion/go-smtp": smtp,
		"github.com/emersion/go-sasl": smtp,
		"modernc.org/sqlite":          databases,
		"github.com/BurntSushi/toml":  {"appliance/config"},
		"github.com/urfave/cli/v2":    {"admin"},
		"golang.org/x/crypto":         {"appliance/account"},
		"golang.org/x/net":            {"appliance/mail"},
		"golang.org/x/term":           {"admin"},
		"golang.org/x/sync":           {"*"},
		"golang.org/x/sys":            {"*"},
		"golang.org/x/text":           {"*"},
	}
}

// standardOnly is what anybody may copy into another program as it is.
func standardOnly() []string { return []string{"maildir"} }

// imports is what each package of the module imports.
type imports map[string][]string

// violations lists what breaks the design, sorted.
func violations(graph imports) []string {
	level := map[string]int{}
	for i, line := range layers() {
		for _, p := range line {
			level[p] = i
		}
	}
	var bad []string
	for p, list := range graph {
		if _, ok := level[p]; !ok {
			bad = append(bad, p+" has no layer: give it one in layers")
			continue
		}
		for _, imported := range list {
			if fault := violation(level, p, imported); fault != "" {
				bad = append(bad, p+" imports "+imported+": "+fault)
			}
		}
	}
	slices.Sort(bad)
	return bad
}

// violation says what is wrong with one import, or nothing.
func violation(level map[string]int, importer, imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	inside := imported == module || first == module
	if !inside && !strings.Contains(first, ".") {
		return "" // the standard library
	}
	if slices.Contains(standardOnly(), importer) {
		return "beyond the standard library"
	}
	if !inside {
		return homeless(importer, imported)
	}
	to := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
	switch at, ok := level[to]; {
	case !ok:
		return "no layer"
	case at == level[importer]:
		return "sideways"
	case at > level[importer]:
		return "upwards"
	}
	return ""
}

// homeless says what is wrong with an import from another module.
func homeless(importer, imported string) string {
	for mod, where := range homes() {
		if imported != mod && !strings.HasPrefix(imported, mod+"/") {
			continue
		}
		if slices.Contains(where, "*") || slices.Contains(where, importer) {
			return ""
		}
		return "its home is " + strings.Join(where, ", ")
	}
	return "it has no home: name one in homes"
}

// readImports parses the import clauses of every file below root that is not a
// test, whatever its build constraints.
func readImports(root string) (imports, error) {
	graph := imports{}
	err := filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			return skipDir(root, file, e.Name())
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(rel)
		graph[dir] = append(graph[dir], []string{}...)
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if !slices.Contains(graph[dir], name) {
				graph[dir] = append(graph[dir], name)
			}
		}
		return nil
	})
	return graph, err
}

// skipDir leaves out what the go command leaves out.
func skipDir(root, dir, name string) error {
	if dir == root {
		return nil
	}
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return filepath.SkipDir
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func TestLayers(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil || !strings.HasPrefix(string(mod), "module "+module+"\n") {
		t.Fatalf("%s is not the root of the module: %v", root, err)
	}
	graph, err := readImports(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"maildir", "index", "appliance", "appliance/smtpd", "appliance/maild"} {
		if len(graph[p]) == 0 {
			t.Errorf("no imports of %s were seen: the test looks in the wrong place", p)
		}
	}
	for _, v := range violations(graph) {
		t.Error(v)
	}
}

// TestLayersAreHeld shows that each kind of violation is found, and nothing else.
func TestLayersAreHeld(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ importer, imported, want string }{
		{"maildir", "os", ""},
		{"maildir", "encoding/json", ""},
		{"maildir", "golang.org/x/text/width", "beyond the standard library"},
		{"maildir", "maild/appliance/mail", "beyond the standard library"},
		{"index", "maild/index/header", ""},
		{"index/header", "maild/index", "upwards"},
		{"index", "maild/maildir", "sideways"},
		{"index", "modernc.org/sqlite/lib", ""},
		{"index", "modernc.org/libc", "it has no home"},
		{"appliance/message", "modernc.org/sqlite", "its home is index"},
		{"appliance/message", "maild/appliance/mail", ""},
		{"appliance/message", "maild/appliance/config", "sideways"},
		{"appliance/account", "maild/appliance/config", ""},
		{"appliance/store", "maild/appliance/queue", "sideways"},
		{"appliance/store", "maild/appliance/delivery", "upwards"},
		{"appliance/delivery", "maild/appliance/store", ""},
		{"appliance/delivery", "github.com/emersion/go-smtp", "its home is appliance/smtpd"},
		{"appliance/smtpd", "github.com/emersion/go-smtp", ""},
		{"appliance/smtpd", "github.com/emersion/go-smtpd", "it has no home"},
		{"appliance/smtpd", "maild/appliance", "upwards"},
		{"appliance", "maild/admin", "sideways"},
		{"admin", "github.com/urfave/cli/v2", ""},
		{"admin/mailctl", "github.com/urfave/cli/v2", "its home is admin"},
		{"appliance/maild", "maild/admin", ""},
		{"appliance/maild", "maild/admin/mailctl", "sideways"},
		{"admin", "maild/appliance/unheard", "no layer"},
		{"appliance/config", "maild", "no layer"},
		{"appliance/config", "maildrop.example/x", "it has no home"},
		{"appliance/util", "os", "has no layer"},
	} {
		t.Run(path.Join(tc.importer, tc.imported), func(t *testing.T) {
			t.Parallel()
			got := strings.Join(violations(imports{tc.importer: {tc.imported}}), "\n")
			if (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
				t.Errorf("violations = %q, want %q", got, tc.want)
			}
		})
	}
}
