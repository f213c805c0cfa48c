package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// row is what search headers says about a message that is changed.
type row struct {
	ID      int64  `json:"id"`
	Account string `json:"account"`
	Folder  string `json:"folder"`
	Flags   string `json:"flags"`
}

// rows asks for messages by id.
func (b *box) rows(ids []string) map[string]row {
	b.t.Helper()
	found := map[string]row{}
	stdout, stderr, code := b.mailctl("", "search", "headers", "--json", "id:"+strings.Join(ids, " OR id:"))
	if code == 3 {
		return found
	}
	var list []row
	if err := json.Unmarshal([]byte(stdout), &list); err != nil {
		b.t.Fatalf("search for ids: code %d, %v\n%s%s", code, err, stdout, stderr)
	}
	for _, r := range list {
		found[fmt.Sprint(r.ID)] = r
	}
	return found
}

// shown waits until all of some messages are found to be as they should.
func (b *box) shown(what string, ids []string, right func(row) bool) {
	b.t.Helper()
	eventually(b.t, what, func() bool {
		found := b.rows(ids)
		for _, id := range ids {
			if r, ok := found[id]; !ok || !right(r) {
				return false
			}
		}
		return true
	})
}

// TestChangeMail: messages are flagged, moved, copied and deleted while mail arrives and another program renames files. Ids stay,
// nothing is lost or doubled, and the index is right with the daemon up and down.
func TestChangeMail(t *testing.T) {
	t.Parallel()
	b := newBox(t, noSweep, "mx")
	d := b.start()
	b.addUser("ann@" + host)
	b.addUser("bob@" + host)
	l := sendAlways(t, b.address("mx"), 2)
	l.await(t, 30)
	b.mustMailctl("", "folder", "create", loadAccount, "Archive")
	var copied, deleted int
	for round := range 4 {
		l.await(t, 20)
		ids := strings.Fields(b.mustMailctl("", "search", "headers", "--format", "ids", "--sort", "oldest", "--limit", "12", "in:INBOX", "account:"+loadAccount))
		// Somebody reads one of them just now.
		path := strings.TrimSpace(b.mustMailctl("", "msg", "path", ids[0]))
		key, _, _ := strings.Cut(filepath.Base(path), ":2,")
		if err := os.Rename(path, filepath.Join(filepath.Dir(filepath.Dir(path)), "cur", key+":2,FRS")); err != nil {
			t.Fatal(err)
		}
		b.mustMailctl(strings.Join(ids, "\n"), "msg", "flag", "-", "+keyword:k", "-replied")
		b.shown("the flags", ids, func(r row) bool { return strings.HasSuffix(r.Flags, "k") && !strings.Contains(r.Flags, "R") })
		if first := b.rows(ids[:1])[ids[0]]; first.Flags != "FSk" {
			t.Errorf("flags %q, want what the other program set, too", first.Flags)
		}

		b.mustMailctl("", append(append([]string{"msg", "move"}, ids[:6]...), "Archive")...)
		b.mustMailctl(strings.Join(ids[6:8], "\n"), "msg", "move", "-", "INBOX", "--account", "ann@"+host)
		b.shown("what was moved", ids[:6], func(r row) bool { return r.Account == loadAccount && r.Folder == "Archive" })
		b.shown("what was moved to ann", ids[6:8], func(r row) bool { return r.Account == "ann@"+host && r.Folder == "INBOX" })

		b.mustMailctl(strings.Join(ids[:3], "\n"), "msg", "copy", "-", "INBOX", "--account", "bob@"+host)
		copied += 3
		eventually(t, "the copies are found", func() bool {
			return strings.TrimSpace(b.mustMailctl("", "search", "headers", "--count", "account:bob@"+host)) == fmt.Sprint(copied)
		})
		b.mustMailctl("", append([]string{"msg", "delete", "--yes"}, ids[8:10]...)...)
		deleted += 2
		eventually(t, "what was deleted is not found", func() bool { return len(b.rows(ids[8:10])) == 0 })

		if _, stderr, code := b.mailctl("", "msg", "flag", ids[8], ids[0], "+draft"); code != 8 || !strings.Contains(stderr, "there is no message "+ids[8]) {
			t.Errorf("round %d: code %d, %s", round, code, stderr)
		}
	}
	b.mustMailctl("", "folder", "rename", loadAccount, "Archive", "Old.2026")
	l.end()

	var acked int
	l.acked.Range(func(_, _ any) bool { acked++; return true })
	var messages []string
	for _, path := range b.allMail() {
		if sub := filepath.Base(filepath.Dir(path)); sub == "new" || sub == "cur" {
			key, _, _ := strings.Cut(filepath.Base(path), ":2,")
			messages = append(messages, key)
		}
	}
	if want := acked - deleted + copied; len(messages) != want {
		t.Errorf("%d messages, want %d acknowledged less %d deleted and %d copied", len(messages), acked, deleted, copied)
	}
	slices.Sort(messages)
	if n := len(messages); len(slices.Compact(messages)) != n {
		t.Error("a key is there twice")
	}
	b.verified("up")
	d.stop()
	b.verified("down")

	// And with nobody to follow.
	ids := strings.Fields(b.mustMailctl("", "search", "headers", "--format", "ids", "in:Old.2026"))
	b.mustMailctl("", "msg", "move", "--query", "in:Old.2026", "INBOX", "--yes")
	b.shown("what was moved back", ids, func(r row) bool { return r.Folder == "INBOX" })
	b.verified("down, after a move")
	b.start()
	b.shown("the same with the daemon up again", ids, func(r row) bool { return r.Folder == "INBOX" })
	b.verified("up again")
}

// verified holds the index against the mail.
func (b *box) verified(state string) {
	b.t.Helper()
	if stdout, stderr, code := b.mailctl("", "index", "verify"); code != 0 {
		b.t.Errorf("verify with the daemon %s: exit code %d\n%s%s", state, code, stdout, stderr)
	}
}
