package backup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"maild/maildir"
)

// What is not as the manifest says is found.
func TestVerify(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(dest, cur string, e maildir.Entry) error
		want  string
	}{
		"message removed": {func(_, cur string, e maildir.Entry) error { return os.Remove(filepath.Join(cur, e.FileName())) }, Missing},
		"message cut":     {func(_, cur string, e maildir.Entry) error { return os.Truncate(filepath.Join(cur, e.FileName()), 3) }, Differs},
		"message touched": {func(_, cur string, e maildir.Entry) error {
			return os.Chtimes(filepath.Join(cur, e.FileName()), old.Add(1), old.Add(1))
		}, Differs},
		"message added": {func(_, cur string, _ maildir.Entry) error { return os.WriteFile(filepath.Join(cur, "x"), nil, 0o600) }, Extra},
		"message flagged": {func(_, cur string, e maildir.Entry) error {
			return os.Rename(filepath.Join(cur, e.FileName()), filepath.Join(cur, string(e.Key)+":2,FS"))
		}, ""},
		"list": {func(dest, _ string, _ maildir.Entry) error {
			return os.WriteFile(filepath.Join(dest, listName), nil, 0o600)
		}, Differs},
		"list removed": {func(dest, _ string, _ maildir.Entry) error { return os.Remove(filepath.Join(dest, listName)) }, Missing},
		"accounts": {func(dest, _ string, _ maildir.Entry) error {
			return os.WriteFile(filepath.Join(dest, "accounts.db"), []byte("nonsense"), 0o600)
		}, Database},
		"index": {func(dest, _ string, _ maildir.Entry) error {
			return os.Truncate(filepath.Join(dest, "index.db"), 20_000)
		}, Database},
		"index removed": {func(dest, _ string, _ maildir.Entry) error { return os.Remove(filepath.Join(dest, "index.db")) }, Database},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			e := b.put(maildir.Inbox, "S", "Subject: a\n\n")
			b.index()
			dest, _ := b.make("one", nil)
			must(t, c.spoil(dest, filepath.Join(dest, "mail/example.org/ann/cur"), e))
			got := problems(t, dest)
			if len(got) != min(1, len(c.want)) || len(got) > 0 && got[0].Kind != c.want {
				t.Errorf("%+v, want %q", got, c.want)
			}
		})
	}
}

// A manifest of a later release is not guessed at.
func TestNewerManifest(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	dest, m := b.make("one", nil)
	m.Format = format + 1
	must(t, m.write(manifestPath(dest)))
	if _, err := Open(dest); !errors.Is(err, ErrNewer) {
		t.Errorf("%v", err)
	}
	if _, err := Restore(t.Context(), RestoreOptions{Data: b.cfg, Source: dest}); !errors.Is(err, ErrNewer) {
		t.Errorf("%v", err)
	}
	if l, err := List(dest); err != nil || len(l) != 1 || l[0].Fault == nil || Newest(filepath.Join(filepath.Dir(dest), "two"), m.Host, m.DataDir) != "" {
		t.Errorf("%+v, %v", l, err)
	}
}

func FuzzLine(f *testing.F) {
	f.Add(`"a@x"	"INBOX"	"k"	nS	1	2`)
	f.Add(`"a@x"	"A\tB"	"\xff"	c	0	-2`)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseLine(text)
		if err != nil {
			return
		}
		// What was understood is written and read as the same.
		again := strings.TrimSuffix(string(appendLine(nil, l)), "\n")
		if strings.Contains(again, "\n") {
			t.Fatalf("%q has a line end", again)
		}
		if got, err := parseLine(again); err != nil || got != l {
			t.Fatalf("%q: %+v, then %q: %+v, %v", text, l, again, got, err)
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format":1,"messages":3}`))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, err := parseManifest(text); err == nil && m.Format != format {
			t.Fatalf("format %d was taken", m.Format)
		}
	})
}
