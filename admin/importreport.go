package admin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"maild/appliance/foreign"
	"maild/index"
)

// maxNamed is how many files, folders or keywords a report names in JSON. All are counted, and all are named on standard error as they are met.
const maxNamed = 1000

// namedFile is a file of the source that was not taken.
type namedFile struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// importReport is what an import did, in JSON.
type importReport struct {
	Account    string            `json:"account"`
	Source     string            `json:"source"`
	DryRun     bool              `json:"dry_run"`
	Taken      int64             `json:"taken"`
	Octets     int64             `json:"octets"`
	Present    int64             `json:"present"` // taken by an earlier run
	Duplicates int64             `json:"duplicates"`
	Skipped    int64             `json:"skipped"`
	Failed     int64             `json:"failed"`
	Folders    int64             `json:"folders"`
	Keywords   map[string]string `json:"keywords"` // letter: names that Dovecot has for it
	Nameless   map[string]int64  `json:"keywords_without_letter"`
	SkippedAt  []namedFile       `json:"skipped_files"`
	FailedAt   []namedFile       `json:"failed_files"`
	Seconds    float64           `json:"seconds"`

	c             *call
	start         time.Time
	show          func(index.Progress)
	hide          func()
	total         int64 // messages there are; 0 = not known
	totalOctets   int64 // or octets
	readOctets    int64
	waiting       int64 // messages that are not durable yet
	waitingOctets int64
}

func newImportReport(c *call, account, source string, dry bool) *importReport {
	return &importReport{Account: account, Source: validText(source), DryRun: dry, Keywords: map[string]string{}, Nameless: map[string]int64{},
		SkippedAt: []namedFile{}, FailedAt: []namedFile{}, c: c, start: time.Now(), hide: func() {}}
}

// begin starts the progress on a terminal.
func (r *importReport) begin() {
	r.start = time.Now()
	r.show, r.hide = r.c.progress("importing")
}

// done ends it.
func (r *importReport) done() {
	r.hide()
	r.hide = func() {}
	r.Seconds = time.Since(r.start).Seconds()
}

// found reports whether the source had anything.
func (r *importReport) found() bool { return r.Folders > 0 }

// met is how many messages have been looked at.
func (r *importReport) met() int64 { return r.Taken + r.waiting + r.Present + r.Duplicates + r.Failed }

func (r *importReport) tick() {
	if r.show == nil {
		return
	}
	total := r.total
	if r.totalOctets > 0 && r.readOctets > 0 {
		total = int64(float64(r.met()) * float64(r.totalOctets) / float64(r.readOctets))
	}
	r.show(progressOf(r.met(), total, r.start))
}

func progressOf(scanned, total int64, start time.Time) index.Progress {
	return index.Progress{Scanned: scanned, Total: total, Elapsed: time.Since(start)}
}

// wait counts a message that is not durable yet.
func (r *importReport) wait(octets int64) {
	r.waiting++
	r.waitingOctets += octets
	r.tick()
}

// committed counts those that waited as taken.
func (r *importReport) committed() {
	r.Taken += r.waiting
	r.Octets += r.waitingOctets
	r.waiting, r.waitingOctets = 0, 0
}

func (r *importReport) taken(n, octets int64) {
	r.Taken += n
	r.Octets += octets
	r.tick()
}

func (r *importReport) present() {
	r.Present++
	r.tick()
}

func (r *importReport) double() {
	r.Duplicates++
	r.tick()
}

func (r *importReport) skipped(path, reason string) {
	r.Skipped++
	r.SkippedAt = r.name(r.SkippedAt, "skipped", path, reason)
}

func (r *importReport) failed(path string, err error) {
	r.Failed++
	r.FailedAt = r.name(r.FailedAt, "failed", path, err.Error())
}

// unnamed tells of a folder that cannot be. Its messages are counted when they are met.
func (r *importReport) unnamed(path string, err error) {
	r.FailedAt = r.name(r.FailedAt, "failed", path, err.Error())
}

func (r *importReport) name(list []namedFile, what, path, reason string) []namedFile {
	r.c.note("%s: %s: %s", what, validText(path), reason)
	if len(list) < maxNamed {
		list = append(list, namedFile{validText(path), validText(reason)})
	}
	return list
}

// keyword counts a message that has a keyword no letter stands for.
func (r *importReport) keyword(name string) {
	name = validText(name)
	if _, ok := r.Nameless[name]; ok || len(r.Nameless) < maxNamed {
		r.Nameless[name]++
	}
}

// named remembers the names that Dovecot has for letters in a folder.
func (r *importReport) named(f foreign.Folder) {
	for letter, name := range f.Keywords {
		names := strings.Fields(r.Keywords[letter])
		if name = validText(name); !slices.Contains(names, name) && len(names) < maxNamed {
			r.Keywords[letter] = strings.Join(append(names, name), " ")
		}
	}
}

// write writes the report.
func (r *importReport) write() error {
	taken := "taken"
	if r.DryRun {
		taken = "would be taken"
	}
	facts := []fact{
		{taken, fmt.Sprint(r.Taken)},
		{"size", r.c.size(r.Octets)},
		{"there already", fmt.Sprint(r.Present)},
		{"duplicates", fmt.Sprint(r.Duplicates)},
		{"skipped", fmt.Sprint(r.Skipped)},
		{"failed", fmt.Sprint(r.Failed)},
		{"folders", fmt.Sprint(r.Folders)},
		{"seconds", fmt.Sprintf("%.2f", r.Seconds)},
	}
	for _, letter := range sortedKeys(r.Keywords) {
		facts = append(facts, fact{"keyword " + letter, r.Keywords[letter]})
	}
	if err := r.c.facts(facts, r); err != nil {
		return err
	}
	for _, name := range sortedKeys(r.Nameless) {
		r.c.note("keyword %s of %d messages has no letter, and stays in their X-Keywords field alone: give it one with --keyword '%s=a'", name, r.Nameless[name], name)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
