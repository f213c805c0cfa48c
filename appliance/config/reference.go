package config

import (
	"fmt"
	"strings"
)

// Reference is the commented configuration file that is installed with the
// package: every key with its meaning, switched off, showing its default.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# The configuration of maild, a mail appliance. TOML; see maild.toml(5).
#
# Every key has a default, which is shown here behind a "#". Remove the "#" to
# change it. "maild check" says whether the file is right; "systemctl reload
# maild" makes it count.
`)
	c := defaults()
	write(&b, &c, func(doc string) string { return "\n# " + strings.ReplaceAll(doc, "\n", "\n# ") + "\n" }, "#")
	return b.String()
}

// TOML is the whole configuration as a file that Parse reads back as c.
func (c Config) TOML() string {
	var b strings.Builder
	write(&b, &c, func(string) string { return "" }, "")
	return b.String()
}

// write puts out every key of c with its comment, each value behind mark.
func write(b *strings.Builder, c *Config, comment func(string) string, mark string) {
	docs := map[string]string{}
	for _, t := range tableDocs() {
		docs[t.name] = t.doc
	}
	current := ""
	for _, k := range keys() {
		table, leaf := cutLast(k.name)
		if table != current {
			current = table
			doc := comment(docs[table])
			if doc == "" {
				doc = "\n"
			}
			fmt.Fprintf(b, "%s[%s]\n", doc, table)
		}
		fmt.Fprintf(b, "%s%s%s = %s\n", comment(k.doc), mark, leaf, k.get(c))
	}
}

// Keys lists the full name of every key, in the order of the reference file.
func Keys() []string {
	var names []string
	for _, k := range keys() {
		names = append(names, k.name)
	}
	return names
}

// nearestKey also finds a key by its last part alone.
func nearestKey(name string) string {
	if near := nearest(name, Keys()); near != "" {
		return near
	}
	var leaves []string
	full := map[string]string{}
	for _, k := range Keys() {
		_, leaf := cutLast(k)
		leaves = append(leaves, leaf)
		full[leaf] = k
	}
	return full[nearest(name, leaves)]
}
