package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// verifyAll runs a Verify and gives its findings, a line each.
func verifyAll(t *testing.T, ix *Index, opt VerifyOptions) ([]string, VerifyReport) {
	t.Helper()
	var list []string
	opt.Found = func(d Difference) error {
		list = append(list, fmt.Sprintf("%s %s %s: %s", d.Kind, d.Folder, d.Key, d.What))
		return nil
	}
	r, err := ix.Verify(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if r.Differences != int64(len(list)) {
		t.Errorf("%d differences, %d told", r.Differences, len(list))
	}
	return list, r
}

// TestVerify damages a row in each way there is: each is found, and mended.
func TestVerify(t *testing.T) {
	t.Parallel()
	for statement, want := range map[string]string{
		"": "",
		"UPDATE message SET subject = 'other' WHERE key = '7'":                     `differs INBOX 7: subject is "other"`,
		"UPDATE message SET flags = 'F' WHERE key = '7'":                           `differs INBOX 7: flags is "F"`,
		"UPDATE message SET octets = 1 WHERE key = '7'":                            `differs INBOX 7: octets is "1"`,
		"UPDATE message SET arrived = arrived + 1 WHERE key = '7'":                 `differs INBOX 7: arrived`,
		"UPDATE message SET key = 'x' WHERE key = '7'":                             "missing row INBOX 7: ",
		"DELETE FROM message WHERE key = '7'; ":                                    "missing row INBOX 7: ",
		"DELETE FROM terms WHERE rowid = (SELECT id FROM message WHERE key = '7')": "words INBOX 7: the message is not found by its own words",
		"DELETE FROM reference":                                                    "words INBOX 7: a reference is missing",
		"DELETE FROM word":                                                         `words INBOX 0: the word`,
		"DELETE FROM extra WHERE id = (SELECT id FROM message WHERE key = '7')":    `differs INBOX 7: fields is ""`,
		"INSERT INTO folder (account, domain, name) VALUES ('z@z', 'z', 'INBOX')":  "folder INBOX : is in the index, and not there",
		"INSERT INTO reference VALUES (5, 5)":                                      "database  : references of messages that are gone: 1",
		"INSERT INTO terms (rowid, subject) VALUES (5, 'ghost')":                   "database  : words of messages that are gone: 1",
	} {
		t.Run(statement, func(t *testing.T) {
			t.Parallel()
			src := newMapSource()
			ix := openTest(t, Options{Source: src, Headers: []string{"X-Trace"}, Log: slog.New(slog.DiscardHandler)})
			for i := range 10 {
				text := letter(fmt.Sprint(i, "@x"), "Bob <bob@x.example>", fmt.Sprint("number ", i))
				if i == 7 {
					text = "In-Reply-To: <0@x>\n" + text
				}
				src.put(inbox, File{Key: fmt.Sprint(i)}, text)
			}
			src.put(place{"eve@example.org", "Empty"}, File{Key: "e"}, letter("e@x", "bob@x.example", "e"))
			reconcile(t, ix, ReconcileOptions{})
			if statement != "" {
				if err := sqliteFile(ix.opt.Path, statement); err != nil {
					t.Fatal(err)
				}
			}
			list, _ := verifyAll(t, ix, VerifyOptions{})
			if want == "" != (len(list) == 0) || !strings.Contains(strings.Join(list, "\n"), want) {
				t.Fatalf("found %q, want %q", list, want)
			}
			if _, r := verifyAll(t, ix, VerifyOptions{Repair: true}); r.Repaired != r.Differences {
				t.Errorf("not all was mended: %+v", r)
			}
			if list, _ := verifyAll(t, ix, VerifyOptions{}); len(list) > 0 {
				t.Errorf("after the repair: %q", list)
			}
		})
	}
}

// TestVerifyMeanwhile: what is on its way is no difference; a sample reads less but compares all names.
func TestVerifyMeanwhile(t *testing.T) {
	t.Parallel()
	src := benchSource(1000)
	ix := openTest(t, Options{Source: src})
	reconcile(t, ix, ReconcileOptions{})
	defer runTest(t, ix)()
	src.put(inbox, File{Key: "late"}, letter("late@x", "bob@x", "late"))
	ix.marks.addAll()
	if list, r := verifyAll(t, ix, VerifyOptions{}); len(list) > 0 || r.Read < 1000 {
		t.Errorf("%q, %+v", list, r)
	}
	if _, r := verifyAll(t, ix, VerifyOptions{Share: 0.1}); r.Checked != 1001 || r.Read > 400 || r.Read < 10 {
		t.Errorf("sample: %+v", r)
	}
	if _, err := ix.Verify(t.Context(), VerifyOptions{Accounts: []string{inbox.account}}); err != nil {
		t.Error(err)
	}
}

// TestVerifyDamaged: damage that ends the reading of rows is told, and mended by a rebuild.
func TestVerifyDamaged(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"message", "message_folder", "folder", "sqlite_autoindex_message_1", "reference", "terms_data", "terms_docsize", "word", "extra"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := benchSource(1000)
			ix := openTest(t, Options{Source: src, Log: slog.New(slog.DiscardHandler)})
			reconcile(t, ix, ReconcileOptions{})
			path := ix.opt.Path
			if err := ix.Close(); err != nil {
				t.Fatal(err)
			}
			if err := damageTable(path, name); err != nil {
				t.Fatal(err)
			}
			ix = openTest(t, Options{Path: path, Source: src, Log: slog.New(slog.DiscardHandler)})
			if list, _ := verifyAll(t, ix, VerifyOptions{}); !strings.Contains(strings.Join(list, "\n"), BadDatabase) {
				t.Fatalf("found %q", list)
			}
			if _, r := verifyAll(t, ix, VerifyOptions{Repair: true}); r.Repaired != r.Differences {
				t.Errorf("not all was mended: %+v", r)
			}
			if list, r := verifyAll(t, ix, VerifyOptions{}); len(list) > 0 || r.Checked != 1000 {
				t.Errorf("after the repair: %q, %+v", list, r)
			}
		})
	}
}

// damageTable overwrites the first page of a table or an index.
func damageTable(path, name string) error {
	db, err := sql.Open("sqlite", dsn(path, "mode=ro"))
	if err != nil {
		return err
	}
	var root int64
	err = db.QueryRow(`SELECT rootpage FROM sqlite_schema WHERE name = ?`, name).Scan(&root)
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	return overwrite(path, (root-1)*4096, noise[:4096])
}

// TestVerifySettles: what differs while the files are listed and is in order soon after is no difference; what stays is.
func TestVerifySettles(t *testing.T) {
	t.Parallel()
	src := benchSource(100)
	ix := openTest(t, Options{Source: src})
	reconcile(t, ix, ReconcileOptions{})
	p, key := benchPlace(0), benchFile(0).Key
	src.put(p, File{Key: "late"}, letter("late@x", "bob@x", "late"))
	src.remove(p, key)
	list, _ := verifyAll(t, ix, VerifyOptions{})
	if all := strings.Join(list, "\n"); len(list) != 2 || !strings.Contains(all, MissingRow+" "+p.folder+" late") || !strings.Contains(all, MissingFile+" "+p.folder+" "+key) {
		t.Errorf("nothing followed, and found %q", list)
	}
	// The rows of a folder are read before its files are listed, so both are suspected by the time the listing is over.
	var once sync.Once
	done := make(chan error, 1)
	src.onScan = func() {
		once.Do(func() {
			go func() {
				_, err := ix.Reconcile(t.Context(), ReconcileOptions{Force: true})
				done <- err
			}()
		})
	}
	if list, _ := verifyAll(t, ix, VerifyOptions{Accounts: []string{p.account}}); len(list) > 0 {
		t.Errorf("followed, and found %q", list)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestVerifyReadOnly: what is only read can be proved, not mended.
func TestVerifyReadOnly(t *testing.T) {
	t.Parallel()
	src := benchSource(50)
	ix := openTest(t, Options{Source: src})
	reconcile(t, ix, ReconcileOptions{})
	if err := sqliteFile(ix.opt.Path, "UPDATE message SET subject = 'other' WHERE id = (SELECT min(id) FROM message)"); err != nil {
		t.Fatal(err)
	}
	reader := openTest(t, Options{Path: ix.opt.Path, Source: src, ReadOnly: true})
	if list, _ := verifyAll(t, reader, VerifyOptions{}); len(list) != 1 {
		t.Errorf("found %q", list)
	}
	if _, err := reader.Verify(t.Context(), VerifyOptions{Repair: true}); err == nil {
		t.Error("a read-only index was repaired")
	}
}

// TestVerifyLetters: letters that are none to SQLite's tokenizer are no missing words.
func TestVerifyLetters(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src})
	for i, s := range []string{"\u1cf2", "\U0001e900", "\u0378", "\U00016f50", "\u0bcd", "한국", "e\u0301", "😀", "#", "½", "a\u200db", "\ue040"} {
		src.put(inbox, File{Key: fmt.Sprint(i)}, letter(fmt.Sprint(i, "@x"), "Bob "+s+" <bob@x.example>", s))
	}
	reconcile(t, ix, ReconcileOptions{})
	if list, _ := verifyAll(t, ix, VerifyOptions{}); len(list) > 0 {
		t.Errorf("found %q", list)
	}
}

// TestVerifyUnreadable: a file that cannot be read is counted once, however often it is looked at.
func TestVerifyUnreadable(t *testing.T) {
	t.Parallel()
	src := benchSource(20)
	ix := openTest(t, Options{Source: unreadableSource{src, "late"}, Log: slog.New(slog.DiscardHandler)})
	reconcile(t, ix, ReconcileOptions{})
	src.put(benchPlace(0), File{Key: "late"}, letter("late@x", "bob@x", "late"))
	if list, r := verifyAll(t, ix, VerifyOptions{}); len(list) > 0 || r.Failed != 1 {
		t.Errorf("found %q, %+v", list, r)
	}
}

// unreadableSource is one with a file that nobody may read.
type unreadableSource struct {
	*mapSource
	key string
}

func (s unreadableSource) Read(ctx context.Context, account, folder string, f File, want Want) (Content, File, error) {
	if f.Key == s.key {
		return Content{}, f, fs.ErrPermission
	}
	return s.mapSource.Read(ctx, account, folder, f, want)
}
