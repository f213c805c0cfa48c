package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// quotaState is what mailctl says of an account.
type quotaState struct {
	Account     string
	Result      string
	Index       quotaSize
	Files       quotaSize
	Maildirsize *quotaSize
}

type quotaSize struct{ Octets, Messages int64 }

// agreement is what "quota verify" finds.
func (b *box) agreement(account string) quotaState {
	b.t.Helper()
	stdout, stderr, _ := b.mailctl("", "quota", "verify", "--json", account)
	var list []quotaState
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || len(list) != 1 {
		b.t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	return list[0]
}

// sumOfFiles adds up an account's INBOX by its files.
func (b *box) sumOfFiles(account string) (sum quotaSize) {
	b.t.Helper()
	for _, path := range b.files(account) {
		info, err := os.Stat(path)
		if err != nil {
			b.t.Fatal(err)
		}
		sum.Octets += info.Size()
		sum.Messages++
	}
	return sum
}

// storming sends messages at once, each by a session of its own, and counts the
// answers by their first nine octets.
func (b *box) storming(to string, messages int) map[string]int {
	answers := map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range messages {
		all.Go(func() {
			answer := ""
			c, err := connect(b.address("mx"))
			if err == nil {
				defer c.Close()
				if _, err = c.ask("EHLO client.example"); err == nil {
					answer, err = c.send("zoe@example.com", letter(fmt.Sprintf("storm%d@example.com", i), "storm", strings.Repeat("x\n", 500)), to)
				}
			}
			if err != nil {
				answer = err.Error()
			}
			mu.Lock()
			answers[answer[:min(len(answer), 9)]]++
			mu.Unlock()
		})
	}
	all.Wait()
	return answers
}

// TestQuotaStorm: two hundred deliveries at once, and room for fifty: so many are
// taken, the others are told so, and all who count agree.
func TestQuotaStorm(t *testing.T) {
	t.Parallel()
	const many, room = 200, 50
	for _, tc := range []struct{ name, tables, refusal string }{
		{"messages", noSweep + "[quota]\nmessages = 50\nwarn = []\n", "452 4.2.2"},
		{"octets", noSweep + "[quota]\noctets = \"66000\"\ngrace = 2000\nover = \"permanent\"\nwarn = []\n", "552 5.2.2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, tc.tables, "mx")
			ann := "ann@" + host
			b.addUser(ann)
			d := b.start()
			answers := b.storming(ann, many)
			taken, sum := answers["250 2.0.0"], b.sumOfFiles(ann)
			if taken+answers[tc.refusal] != many || int64(taken) != sum.Messages {
				t.Fatalf("answers %v, files %+v", answers, sum)
			}
			if tc.name == "messages" && taken != room {
				t.Errorf("%d taken, room for %d", taken, room)
			}
			if one := sum.Octets / sum.Messages; tc.name == "octets" && (sum.Octets > 66000+2000 || sum.Octets < 66000-one) {
				t.Errorf("%d octets of 66000 and a grace of 2000, %d each", sum.Octets, one)
			}
			t.Logf("answers %v, files %+v", answers, sum)
			state := b.agreement(ann)
			if state.Result != "ok" || state.Index != sum || state.Files != sum || state.Maildirsize == nil || *state.Maildirsize != sum {
				t.Errorf("%+v, %+v", state, state.Maildirsize)
			}
			// Room made by others is found without being told.
			for _, path := range b.files(ann)[:10] {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			b.awaitIndex()
			if reply, err := b.dial("mx").send("zoe@example.com", letter("later@example.com", "later", "x\n"), ann); err != nil || !strings.HasPrefix(reply, "250") {
				t.Errorf("after ten are gone: %q, %v", reply, err)
			}
			d.signal(syscall.SIGTERM)
			if code := d.wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// TestQuotaWithoutIndex: with the index removed, and no file in its place that
// could be filled, the limit holds all the same.
func TestQuotaWithoutIndex(t *testing.T) {
	t.Parallel()
	b := newBox(t, noSweep+"[quota]\nmessages = 5\nwarn = []\n", "mx")
	ann := "ann@" + host
	b.addUser(ann)
	b.start()
	if answers := b.storming(ann, 3); answers["250 2.0.0"] != 3 {
		t.Fatalf("%v", answers)
	}
	path := filepath.Join(b.data, "index.db")
	if err := overwriteAll(path); err != nil {
		t.Fatal(err)
	}
	answers := b.storming(ann, 10)
	if answers["250 2.0.0"] != 2 || answers["452 4.2.2"] != 8 {
		t.Errorf("while the index is spoilt: %v", answers)
	}
	b.awaitIndex()
	if state := b.agreement(ann); state.Result != "ok" || state.Files.Messages != 5 {
		t.Errorf("%+v", state)
	}
}

// TestQuotaWarning: the user gets one message at each mark, by name of the box,
// and a restart does not repeat it. maildirsize follows what others do.
func TestQuotaWarning(t *testing.T) {
	t.Parallel()
	b := newBox(t, "[index]\nsweep = \"100ms\"\n[quota]\nwarn = [50]\n", "mx")
	ann := "ann@" + host
	b.addUser(ann)
	d := b.start()
	b.mustMailctl("", "quota", "set", ann, "--messages", "10") // beside the daemon
	warnings := func() int {
		rows, _ := b.search("--subject", "Your mailbox is")
		return len(rows)
	}
	if answers := b.storming(ann, 5); answers["250 2.0.0"] != 5 {
		t.Fatalf("%v", answers)
	}
	b.awaitIndex()
	if n := warnings(); n != 1 {
		t.Errorf("%d warnings", n)
	}
	d.signal(syscall.SIGTERM)
	d.expectNote("STOPPING=1")
	d.wait()
	b.start()
	if answers := b.storming(ann, 1); answers["250 2.0.0"] != 1 {
		t.Fatalf("%v", answers)
	}
	b.awaitIndex()
	if n := warnings(); n != 1 {
		t.Errorf("%d warnings after a restart", n)
	}
	for _, path := range b.files(ann)[:3] {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "maildirsize says what is left", func() bool {
		s := b.agreement(ann)
		return s.Result == "ok" && s.Files.Messages == 4
	})
}
