package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// shape is what kinds of values stood in one place.
type shape struct {
	scalars map[string]bool
	items   *shape // of a list; nil = it was always empty
	list    bool
	names   []string // of an object, in their order
	members map[string]*shape
	seen    map[string]int // how often each name was there
	objects int
}

func newShape() *shape {
	return &shape{scalars: map[string]bool{}, members: map[string]*shape{}, seen: map[string]int{}}
}

// add takes up one value more.
func (s *shape) add(d *json.Decoder) error {
	tok, err := d.Token()
	if err != nil {
		return err
	}
	switch v := tok.(type) {
	case json.Delim:
		if v == '[' {
			s.list = true
			for d.More() {
				if s.items == nil {
					s.items = newShape()
				}
				if err := s.items.add(d); err != nil {
					return err
				}
			}
		} else if err := s.object(d); err != nil {
			return err
		}
		_, err = d.Token()
		return err
	case string:
		kind := "text"
		if _, err := time.Parse(time.RFC3339, v); err == nil {
			kind = "time"
		}
		s.scalars[kind] = true
	case json.Number:
		s.scalars["number"] = true
	case bool:
		s.scalars["true/false"] = true
	case nil:
		s.scalars["null"] = true
	}
	return nil
}

func (s *shape) object(d *json.Decoder) error {
	s.objects++
	last := -1
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		name := tok.(string)
		if s.members[name] == nil {
			s.members[name] = newShape()
			s.names = slices.Insert(s.names, last+1, name)
		}
		last = slices.Index(s.names, name)
		s.seen[name]++
		if err := s.members[name].add(d); err != nil {
			return err
		}
	}
	return nil
}

// shapeWidth is how long a line may become.
const shapeWidth = 66

func (s *shape) text(indent string) string {
	var kinds []string
	if s.objects > 0 {
		kinds = append(kinds, s.objectText(indent))
	}
	if s.list {
		switch inner := ""; {
		case s.items == nil:
			kinds = append(kinds, "[ ]")
		default:
			if inner = s.items.text(indent); strings.Contains(inner, "\n") || strings.HasPrefix(inner, "{") {
				kinds = append(kinds, "["+inner+"]")
			} else {
				kinds = append(kinds, "[ "+inner+" ]")
			}
		}
	}
	scalars := maps.Clone(s.scalars)
	if scalars["time"] && scalars["text"] {
		delete(scalars, "time")
	}
	null := scalars["null"]
	delete(scalars, "null")
	kinds = append(kinds, slices.Sorted(maps.Keys(scalars))...)
	if null {
		kinds = append(kinds, "null")
	}
	return strings.Join(kinds, " or ")
}

func (s *shape) objectText(indent string) string {
	var parts []string
	for _, name := range s.names {
		mark := ""
		if s.seen[name] < s.objects {
			mark = "?"
		}
		parts = append(parts, fmt.Sprintf("%q%s: %s", name, mark, s.members[name].text(indent+"  ")))
	}
	if line := "{" + strings.Join(parts, ", ") + "}"; len(indent)+len(line) <= shapeWidth && !strings.Contains(line, "\n") {
		return line
	}
	return "{\n" + indent + "  " + strings.Join(parts, ",\n"+indent+"  ") + "\n" + indent + "}"
}

// TestShapes holds that the manual page says what JSON each command gives: it is what the scripts show. With UPDATE_TESTDATA set, shapes.txt is written anew.
func TestShapes(t *testing.T) {
	t.Parallel()
	_, app := tree(t)
	shapes := map[string]*shape{}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range recordedJSON(string(data)) {
			line, err := arrange(app, s.args)
			if err != nil || line.help {
				continue
			}
			name := pathName(line.path)
			if shapes[name] == nil {
				shapes[name] = newShape()
			}
			d := json.NewDecoder(strings.NewReader(s.output))
			d.UseNumber()
			if err := shapes[name].add(d); err != nil {
				t.Fatalf("%s: %q: %v", file, s.output, err)
			}
		}
	}
	if len(shapes) < 10 {
		t.Fatalf("only %d commands have been seen with --json", len(shapes))
	}
	var got strings.Builder
	for _, path := range commandPaths(app) {
		if s := shapes[pathName(path)]; s != nil {
			fmt.Fprintf(&got, "%s:\n%s\n\n", pathName(path), s.text(""))
		}
	}
	if os.Getenv("UPDATE_TESTDATA") != "" {
		if err := os.WriteFile("shapes.txt", []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != recordedShapes {
		t.Error("shapes.txt is not what the scripts show: write it anew with UPDATE_TESTDATA=1, and the manual pages after it")
	}
}

// recording is a command line of a script and the JSON it gave.
type recording struct {
	args   []string
	output string
}

// recordedJSON finds the command lines with --json in a script, and what they wrote.
func recordedJSON(script string) (list []recording) {
	bare := regexp.MustCompile(`([:\[,])<any>`)
	lines := strings.Split(script, "\n")
	for i := 0; i < len(lines); i++ {
		args, ok := strings.CutPrefix(lines[i], "$ mailctl ")
		if !ok || !strings.Contains(args+" ", "--json ") && !strings.Contains(args, "--format json ") && !strings.HasSuffix(args, "--format json") {
			continue
		}
		var output strings.Builder
		for i++; i < len(lines) && lines[i] != ""; i++ {
			if !strings.HasPrefix(lines[i], "! ") && !strings.HasPrefix(lines[i], "? ") && !strings.HasPrefix(lines[i], "< ") && !strings.HasPrefix(lines[i], "@ ") && !strings.HasPrefix(lines[i], "# ") {
				output.WriteString(lines[i] + "\n")
			}
		}
		text := bare.ReplaceAllString(output.String(), "${1}0")
		text = strings.NewReplacer("<time>", "2026-01-31T14:05:00Z", "<any>", "x").Replace(text)
		if output.Len() > 0 && json.Valid(bytes.TrimSpace([]byte(text))) {
			list = append(list, recording{splitWords(args), text})
		}
	}
	return list
}
