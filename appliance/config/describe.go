package config

import (
	"fmt"
	"slices"
	"strings"
)

// Key describes one key of the configuration file. Values are written as in the file; each is valid JSON, too.
type Key struct {
	Name    string // dotted, as in "limits.recipients"
	Type    string // "text", "size", …
	Form    string // how such a value is written, with its unit; "" where the type says it all
	Default string
	Doc     string // lines, as in the reference file
	Table   string // what its [table] is about; "" at the top
}

// Setting is a key with its value in one configuration.
type Setting struct {
	Key
	Value string
	Line  int // of the file, where it is set; 0 = the default holds
}

// Describe gives every key, in the order of the reference file.
func Describe() []Key {
	docs := map[string]string{}
	for _, t := range tableDocs() {
		docs[t.name] = t.doc
	}
	c := defaults()
	var list []Key
	for _, k := range keys() {
		table, _ := cutLast(k.name)
		list = append(list, Key{Name: k.name, Type: k.typ, Form: k.form, Default: k.get(&c), Doc: k.doc, Table: docs[table]})
	}
	return list
}

// Settings gives every key of c with its value, and where data, the file that c was read from, sets it.
func (c Config) Settings(data []byte) []Setting {
	lines := locate(string(data))
	values := keys()
	var list []Setting
	for i, k := range Describe() {
		list = append(list, Setting{Key: k, Value: values[i].get(&c), Line: lines[k.Name]})
	}
	return list
}

// Find gives the keys that a name means: the key itself, or those of a [table]. The error for any other name says which was most likely meant.
func Find(name string) ([]Key, error) {
	all := Describe()
	if i := slices.IndexFunc(all, func(k Key) bool { return k.Name == name }); i >= 0 {
		return all[i : i+1], nil
	}
	if slices.Contains(tables(), name) {
		return slices.DeleteFunc(all, func(k Key) bool { return !strings.HasPrefix(k.Name, name+".") }), nil
	}
	if near := nearestKey(name); near != "" {
		return nil, fmt.Errorf("unknown key %q: did you mean %q?", name, near)
	}
	return nil, fmt.Errorf("unknown key %q: the keys are %s", name, strings.Join(Keys(), ", "))
}
