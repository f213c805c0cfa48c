package index

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestSQL(t *testing.T) {
	t.Parallel()
	src := newMapSource()
	ix := openTest(t, Options{Source: src, Headers: []string{AllHeaders}})
	src.put(inbox, File{Key: "1", Flags: "F"}, letter("1@x", "bob@x", "hello"))
	reconcile(t, ix, ReconcileOptions{})
	for text, want := range map[string]string{
		`SELECT account, folder, flags, unread, flagged, subject, "from", "to" FROM messages`: "[ann@example.org INBOX F 1 1 hello bob@x Ann <ann@example.org>]",
		"SELECT value FROM headers WHERE name = 'x-trace'":                                    "[hop 1@x]",
		"SELECT count(*) FROM headers WHERE name = 'subject';  ":                              "[1]",
		"SELECT account, messages, unread FROM accounts":                                      "[ann@example.org 1 1]",
		"SELECT folder, messages FROM folders":                                                "[INBOX 1]",
		"SELECT messages FROM usage":                                                          "[1]",
		"WITH x(a) AS (VALUES (';')) SELECT a FROM x":                                         "[;]",
		"SELECT 1 WHERE 0":               "[]",
		"select\t1":                      "[1]",
		"SELECT(1)":                      "[1]",
		"SELECT*FROM(SELECT 2)":          "[2]",
		"VALUES(3)":                      "[3]",
		"SELECT 1 -- ; not the end":      "[1]",
		"SELECT ';' /* ; */ || '''; '":   "[;'; ]",
		"SELECT count(*) FROM messages;": "[1]",
	} {
		err := ix.SQL(t.Context(), text, func(_ []string, v []any) error {
			if got := fmt.Sprint(v); got != want {
				t.Errorf("%s: %s, want %s", text, got, want)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"", "DELETE FROM message", "PRAGMA query_only = 0", "ATTACH 'x' AS y", "SELECT 1; DELETE FROM message", "SELECT ';' /* ; */; PRAGMA query_only=0",
		"WITH x AS (SELECT 1) DELETE FROM message", "EXPLAIN", "INSERT INTO meta VALUES ('a','b')", "SELECTION", "SELECT 1;SELECT 2", "VACUUM INTO '/tmp/x'",
		"SELECT * FROM pragma_journal_mode('delete')", "WITH x AS (SELECT 1) INSERT INTO terms (terms) VALUES ('delete-all')", "\x00", ";", "SELECT load_extension('x')"} {
		if err := ix.SQL(t.Context(), text, func([]string, []any) error { return nil }); err == nil {
			t.Errorf("%q was run", text)
		}
	}
	if c := count(ix); c != 1 {
		t.Errorf("%d rows left", c)
	}
	if err := ix.SQL(t.Context(), "SELECT nothing FROM messages", nil); err == nil || errors.Is(err, ErrDamaged) || ix.suspect.Load() != nil {
		t.Errorf("a column that is not there: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := ix.SQL(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) FROM n", func([]string, []any) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("endless: %v", err)
	}
}
