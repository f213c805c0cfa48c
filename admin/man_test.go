package admin

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestManPages holds the committed pages against the code. With UPDATE_TESTDATA set, they are written anew.
func TestManPages(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mailctl.1", "maild.8", "maild.toml.5"} {
		path := filepath.Join("..", "packaging", "man", name)
		page := must(t, "man", strings.TrimSuffix(name, filepath.Ext(name)))
		if os.Getenv("UPDATE_TESTDATA") != "" {
			if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		committed, err := os.ReadFile(path)
		if err != nil || string(committed) != page {
			t.Errorf("%s is not what the code says (%v): write it anew with UPDATE_TESTDATA=1", path, err)
		}
	}
	if code, _, _ := mailctl(t, "man", "intro"); code != ExitUsage {
		t.Errorf("a page that is none: code %d", code)
	}
}

// TestManLint lets mandoc look at the pages, where it is installed: it must have nothing to say.
func TestManLint(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("mandoc"); err != nil {
		t.Skip("mandoc is not installed")
	}
	pages, err := filepath.Glob("../packaging/man/*.[158]")
	if err != nil || len(pages) != 3 {
		t.Fatal(pages, err)
	}
	for _, page := range pages {
		out, _ := exec.Command("mandoc", "-Tlint", page).CombinedOutput() // its exit code is the worst of what it says
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "referenced manual not found") { // they refer to one another
				t.Error(strings.TrimSpace(line))
			}
		}
	}
}

// TestManEscapes holds that nothing in a text is taken for a request, and that commands can be copied from a page.
func TestManEscapes(t *testing.T) {
	t.Parallel()
	p := &manPage{}
	p.prose(".so /etc/passwd\n'quoted' a\\b, use --yes (or -y). Ann's well-known e-mail… goes.\n  mailctl '--x' `a` ~/^\n.end")
	want := "\\&.so /etc/passwd 'quoted' a\\eb, use \\-\\-yes (or \\-y).\nAnn's well-known e-mail\\[u2026] goes.\n" +
		".Bd -literal -offset indent\nmailctl \\(aq\\-\\-x\\(aq \\(gaa\\(ga \\(ti/\\(ha\n.Ed\n\\&.end\n"
	if got := p.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := manArgument("At"); got != `"At"` {
		t.Errorf("a macro as an argument: %s", got)
	}
}
