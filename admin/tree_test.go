package admin

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// tree gives the commands, of a call that does nothing.
func tree(t *testing.T) (*call, *cli.App) {
	t.Helper()
	c := &call{world: &world{in: strings.NewReader(""), out: io.Discard, errs: io.Discard, zone: time.UTC, now: time.Now}, out: bufio.NewWriter(io.Discard), pretend: true}
	return c, c.app(t.Context())
}

// TestCommands holds that each command can be understood: it says what it is for, explains itself, and has examples that can be run. With --json each
// gives JSON, which a script shows, or says why not.
func TestCommands(t *testing.T) {
	t.Parallel()
	c, app := tree(t)
	shapes := jsonShapes()
	paths := commandPaths(app)
	if len(paths) < 20 {
		t.Fatalf("only %d commands were found", len(paths))
	}
	for _, path := range paths {
		name, cmd := pathName(path), path[len(path)-1]
		if cmd.Usage == "" || strings.HasSuffix(cmd.Usage, ".") || cmd.Description == "" {
			t.Errorf("%s: a usage (a line without a full stop) and a description are needed: %q, %q", name, cmd.Usage, cmd.Description)
		}
		if shapes[name] == "" && !strings.Contains(cmd.Description, "--json") {
			t.Errorf("%s: no script shows it with --json, and its description does not say why (UPDATE_TESTDATA=1 writes shapes.txt)", name)
		}
		own := 0
		for line := range strings.Lines(cmd.UsageText) {
			for _, args := range examples(line) {
				got, err := arrange(app, args)
				if err == nil {
					err = app.RunContext(t.Context(), append([]string{app.Name}, got.args...))
				}
				if err != nil {
					t.Errorf("%s: the example %q: %v", name, strings.TrimSpace(line), err)
				}
				if pathName(got.path) == name {
					own++
				}
			}
		}
		if own == 0 {
			t.Errorf("%s: no example shows it: %q", name, cmd.UsageText)
		}
		for _, f := range cmd.Flags {
			if flagUsage(f) == "" || takesValue(f) && flagPlaceholder(f) == "" {
				t.Errorf("%s: --%s needs a usage, with a `VALUE` where it takes one: %q", name, f.Names()[0], flagUsage(f))
			}
		}
	}
	for name := range shapes {
		if !slices.ContainsFunc(paths, func(p []*cli.Command) bool { return pathName(p) == name }) {
			t.Errorf("shapes.txt has %q, which is no command", name)
		}
	}
	_ = c
}

// examples finds the command lines of mailctl in a line for a shell. Those behind xargs lack their arguments and are left out.
func examples(line string) (list [][]string) {
	line = strings.TrimSpace(line)
	if _, inner, ok := strings.Cut(line, "<("); ok {
		line = strings.TrimSuffix(inner, ")")
	}
	words := splitWords(line)
	for len(words) > 0 {
		end := slices.IndexFunc(words, func(w string) bool { return w == "|" || w == "&&" || w == ";" || w == "||" })
		part := words
		if end >= 0 {
			part, words = words[:end], words[end+1:]
		} else {
			words = nil
		}
		if i := slices.IndexFunc(part, func(w string) bool {
			return w == ">" || w == "<" || w == ">>" || strings.HasPrefix(w, "#") || w == "2>"
		}); i >= 0 {
			part = part[:i]
		}
		for len(part) > 0 && (part[0] == "sudo" || strings.Contains(part[0], "=")) {
			part = part[1:]
		}
		if len(part) > 0 && part[0] == "mailctl" {
			list = append(list, part[1:])
		}
	}
	return list
}

// TestHelpEverywhere holds that help is there for every command and group, and says how to call it.
func TestHelpEverywhere(t *testing.T) {
	t.Parallel()
	_, app := tree(t)
	for _, path := range commandPaths(app) {
		words := strings.Fields(pathName(path))
		for n := range words {
			named := words[:n+1]
			before := must(t, append([]string{"help"}, named...)...)
			after := must(t, append(named[:len(named):len(named)], "--help")...)
			if before != after || !strings.HasPrefix(before, "mailctl "+strings.Join(named, " ")+" - ") || !strings.Contains(before, "\nUsage: mailctl "+strings.Join(named, " ")) ||
				!strings.Contains(before, "\nExamples:\n  ") {
				t.Errorf("help of %q: %q, %q", named, before, after)
			}
		}
	}
}
