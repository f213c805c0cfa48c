package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Parse reads and checks the contents of a configuration file. The name stands
// in the messages only. Every error is a [Problems] with all that is wrong; a
// file that is not TOML at all has one, where the parser stopped.
func Parse(name string, data []byte) (Config, error) {
	var document map[string]any
	if _, err := toml.Decode(string(data), &document); err != nil {
		return Config{}, Problems{syntaxProblem(name, err)}
	}
	r := &reader{name: name, lines: locate(string(data)), config: defaults(),
		keys: map[string]key{}, tables: tables(), faulty: map[string]bool{}}
	for _, k := range keys() {
		r.keys[k.name] = k
	}
	r.table(nil, document)
	r.cross()
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return Config{}, r.problems
	}
	if r.config.Hostname == "" {
		r.config.Hostname = machineName()
	}
	return r.config, nil
}

func syntaxProblem(name string, err error) Problem {
	p := Problem{File: name, Text: err.Error()}
	var parse toml.ParseError
	if errors.As(err, &parse) {
		p.Line = parse.Position.Line
		p.Text = parse.Message
		if parse.LastKey != "" && !strings.Contains(p.Text, parse.LastKey) {
			p.Text += fmt.Sprintf(" (at or after key %q)", parse.LastKey)
		}
		if strings.HasPrefix(p.Text, "expected value") {
			p.Remedy = `write text in quotes, as in key = "value"`
		}
	}
	return p
}

// reader fills a Config from a parsed document and collects what is wrong.
type reader struct {
	name     string
	lines    map[string]int
	config   Config
	keys     map[string]key
	tables   []string
	faulty   map[string]bool // keys with a problem of their own
	problems Problems
}

func (r *reader) report(line int, text, remedy string) {
	r.problems = append(r.problems, Problem{File: r.name, Line: line, Text: text, Remedy: remedy})
}

// table reads one table, or the whole document when prefix is empty.
func (r *reader) table(prefix toml.Key, table map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		full := append(slices.Clone(prefix), name)
		dotted := full.String()
		line := r.line(full)
		k, known := r.keys[dotted]
		switch {
		case known:
			if f := k.set(&r.config, table[name]); f != nil {
				r.faulty[dotted] = true
				r.report(line, dotted+": "+f.text, f.remedy)
			}
		case !slices.Contains(r.tables, dotted):
			text, remedy := r.unknown(prefix, name, table[name])
			r.report(line, text, remedy)
		default:
			inner, ok := table[name].(map[string]any)
			if !ok {
				r.report(line, fmt.Sprintf("%s: %s where a table is wanted", dotted, describe(table[name])),
					fmt.Sprintf("write [%s] on a line of its own, its keys below", dotted))
				continue
			}
			r.table(full, inner)
		}
	}
}

// cross reports the faults between keys that are each right.
func (r *reader) cross() {
	for _, f := range crossCheck(&r.config) {
		if slices.ContainsFunc(f.keys, func(k string) bool { return r.faulty[k] }) {
			continue
		}
		line := 0
		for _, k := range f.keys {
			line = max(line, r.lines[k])
		}
		r.report(line, f.text, f.remedy)
	}
}

// line is where a key stands, or the nearest of its parents.
func (r *reader) line(full toml.Key) int {
	for n := len(full); n > 0; n-- {
		if line := r.lines[full[:n].String()]; line > 0 {
			return line
		}
	}
	return 0
}

// unknown says that there is no such key, and which was most likely meant: one
// of the same table, the same name in another table, or anything alike.
func (r *reader) unknown(prefix toml.Key, name string, value any) (text, remedy string) {
	dotted := append(slices.Clone(prefix), name).String()
	text = fmt.Sprintf("unknown key %q", dotted)
	if _, isTable := value.(map[string]any); isTable {
		text = fmt.Sprintf("unknown table [%s]", dotted)
		if near := nearest(name, r.tables); near != "" {
			return text, fmt.Sprintf("did you mean [%s]?", near)
		}
	}
	here, same := r.candidates(prefix.String())
	if near := nearest(name, slices.Sorted(maps.Keys(here))); near != "" {
		return text, fmt.Sprintf("did you mean %q?", near)
	}
	for _, other := range same {
		if table, leaf := cutLast(other); leaf == name {
			return text, fmt.Sprintf("%q belongs %s", leaf, placeOf(table))
		}
	}
	if near := nearest(dotted, same); near != "" {
		return text, fmt.Sprintf("did you mean %q?", near)
	}
	if len(prefix) == 0 {
		return text, "remove it; the tables are " + strings.Join(r.tables, ", ")
	}
	return text, "remove it; the keys here are " + strings.Join(slices.Sorted(maps.Keys(here)), ", ")
}

// candidates gives the names in one table, and the full names of all keys.
func (r *reader) candidates(table string) (here map[string]bool, all []string) {
	here = map[string]bool{}
	all = slices.Sorted(maps.Keys(r.keys))
	for _, name := range all {
		if in, leaf := cutLast(name); in == table {
			here[leaf] = true
		}
	}
	return here, all
}

// cutLast splits "limits.recipients" at its last dot.
func cutLast(name string) (table, leaf string) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return "", name
	}
	return name[:i], name[i+1:]
}

func placeOf(table string) string {
	if table == "" {
		return "at the top, before the first [table]"
	}
	return "below [" + table + "]"
}
