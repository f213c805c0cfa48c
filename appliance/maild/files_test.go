package main_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// noSweep keeps the sweep from mending what delivery has left out of the index.
const noSweep = "[index]\nsweep = \"24h\"\n"

// files are the paths of an account's messages in its INBOX.
func (b *box) files(account string) []string {
	b.t.Helper()
	user, domain, _ := strings.Cut(account, "@")
	var paths []string
	for _, sub := range []string{"new", "cur"} {
		dir := filepath.Join(b.data, "mail", domain, user, sub)
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			b.t.Fatal(err)
		}
		for _, e := range entries {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths
}

// allMail are the paths of all files below mail/, in whatever directory.
func (b *box) allMail() []string {
	b.t.Helper()
	var paths []string
	err := filepath.WalkDir(filepath.Join(b.data, "mail"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	return paths
}

// onlyFile is the content of an account's one message.
func (b *box) onlyFile(account string) string {
	b.t.Helper()
	paths := b.files(account)
	if len(paths) != 1 {
		b.t.Fatalf("%s has %d messages, want 1", account, len(paths))
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// found is what search headers says about a message.
type found struct {
	Account   string `json:"account"`
	Folder    string `json:"folder"`
	Key       string `json:"key"`
	Flags     string `json:"flags"`
	New       bool   `json:"new"`
	Octets    int64  `json:"octets"`
	MessageID string `json:"message_id"`
	Subject   string `json:"subject"`
	From      string `json:"from"`
}

// path is where the file is, below the mail of all accounts, without its flags.
func (f found) path() string {
	user, domain, _ := strings.Cut(f.Account, "@")
	sub := "cur"
	if f.New {
		sub = "new"
	}
	return filepath.Join(domain, user, sub, f.Key)
}

// search gives what is found, and false when the index does not answer now.
func (b *box) search(args ...string) ([]found, bool) {
	b.t.Helper()
	stdout, _, code := b.mailctl("", append([]string{"search", "headers", "--json", "--limit", "0"}, args...)...)
	if code != 0 && code != 3 {
		return nil, false
	}
	var rows []found
	if err := json.Unmarshal([]byte(stdout), &rows); err != nil {
		b.t.Fatalf("search headers --json %v: %v\n%s", args, err, stdout)
	}
	return rows, true
}

// awaitIndex waits until the index has a row for each file in new/ and cur/ of the
// INBOXes, and no other.
func (b *box) awaitIndex() []found {
	b.t.Helper()
	var files []string
	for _, path := range b.allMail() {
		rel, err := filepath.Rel(filepath.Join(b.data, "mail"), path)
		if err != nil {
			b.t.Fatal(err)
		}
		if sub := filepath.Base(filepath.Dir(rel)); sub == "new" || sub == "cur" {
			file, _, _ := strings.Cut(rel, ":2,")
			files = append(files, file)
		}
	}
	slices.Sort(files)
	var rows []found
	eventually(b.t, "the index has a row for each file", func() bool {
		var ok bool
		rows, ok = b.search()
		var paths []string
		for _, r := range rows {
			paths = append(paths, r.path())
		}
		slices.Sort(paths)
		return ok && slices.Equal(paths, files)
	})
	return rows
}
