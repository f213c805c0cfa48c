package main_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// load is clients that send all the time, each message with an id of its own that is
// used once, whatever becomes of it.
type load struct {
	addr    net.Addr
	next    atomic.Int64
	acked   sync.Map // id -> true
	count   atomic.Int64
	refused sync.Map // reply -> id
	stop    context.CancelFunc
	done    sync.WaitGroup
}

const loadAccount = "postmaster@" + host

// sendAlways starts the clients. A connection that breaks is opened anew.
func sendAlways(t *testing.T, addr net.Addr, clients int) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{addr: addr, stop: stop}
	for range clients {
		l.done.Go(func() {
			for ctx.Err() == nil {
				l.session(ctx)
			}
		})
	}
	t.Cleanup(stop)
	return l
}

// session sends until the connection breaks or ctx ends.
func (l *load) session(ctx context.Context) {
	c, err := connect(l.addr)
	if err != nil {
		return
	}
	defer c.Close()
	if _, err := c.ask("EHLO client.example"); err != nil {
		return
	}
	for ctx.Err() == nil {
		n := l.next.Add(1)
		id := fmt.Sprintf("%d@load.example", n)
		reply, err := c.send("zoe@example.com", letter(id, "load", loadBody(id)), loadAccount)
		switch {
		case err != nil || strings.HasPrefix(reply, "421"):
			return
		case strings.HasPrefix(reply, "250 "):
			l.acked.Store(id, true)
			l.count.Add(1)
		default:
			l.refused.Store(reply, id)
			return
		}
	}
}

// loadBody is the text of a message: between one line and some hundred kilobytes, told
// by its id.
func loadBody(id string) string {
	var n int
	fmt.Sscanf(id, "%d@", &n)
	lines := 1
	if n%3 == 0 {
		lines = 10 * (n % 100)
	}
	if n%50 == 0 {
		lines = 5000
	}
	return strings.Repeat("The quick brown fox jumps over the lazy dog of "+id+".\n", lines) + "end of " + id + "\n"
}

// await waits until n more messages are acknowledged.
func (l *load) await(t *testing.T, n int64) {
	t.Helper()
	want := l.count.Load() + n
	eventually(t, fmt.Sprintf("%d more messages acknowledged", n), func() bool { return l.count.Load() >= want })
}

// end waits until the clients have stopped.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// check insists that every acknowledged message is there once and whole, and none
// twice or in part.
func (l *load) check(t *testing.T, b *box) {
	t.Helper()
	copies := map[string]int{}
	messageID := regexp.MustCompile(`(?m)^Message-ID: <(.*)>$`)
	for _, path := range b.files(loadAccount) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		match := messageID.FindStringSubmatch(string(text))
		if match == nil {
			t.Errorf("%s has no Message-ID: %.300q", path, text)
			continue
		}
		copies[match[1]]++
		if !strings.HasPrefix(string(text), "Return-Path: <zoe@example.com>\n") || !strings.HasSuffix(string(text), "\n\n"+loadBody(match[1])) {
			t.Errorf("%s is not whole", path)
		}
	}
	for id, n := range copies {
		if n > 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
	l.acked.Range(func(id, _ any) bool {
		if copies[id.(string)] == 0 {
			t.Errorf("%s was acknowledged and is lost", id)
		}
		return true
	})
	l.refused.Range(func(reply, id any) bool {
		t.Errorf("%s was refused: %s", id, reply)
		return true
	})
	t.Logf("%d messages acknowledged, %d stored", l.count.Load(), len(copies))
}

// TestKill: SIGKILL at any moment loses no acknowledged message and breaks no
// file, and the index comes right after the restart.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	b := newBox(t, noSweep, "mx")
	d := b.start()
	l := sendAlways(t, b.address("mx"), 4)
	for range rounds {
		l.await(t, 50)
		d.kill()
		d = b.start()
	}
	l.await(t, 50)
	l.end()
	b.awaitIndex()
	l.check(t, b)
	d.stop()
}

// TestRestart: on sockets that outlive the daemon, a restart in the middle of the
// traffic refuses nobody.
func TestRestart(t *testing.T) {
	t.Parallel()
	b := newBox(t, noSweep, "mx")
	d := b.start()
	l := sendAlways(t, b.address("mx"), 4)
	for range 3 {
		l.await(t, 50)
		d.stop()
		d = b.start()
	}
	l.await(t, 50)
	l.end()
	b.awaitIndex()
	l.check(t, b)
	if tmp := len(b.allMail()) - len(b.files(loadAccount)); tmp > 0 {
		t.Errorf("%d files in tmp/ after orderly stops", tmp)
	}
	d.stop()
}

// TestCommandsUnderLoad: what is administered while mail flows works, and holds up no
// mail.
func TestCommandsUnderLoad(t *testing.T) {
	t.Parallel()
	b := newBox(t, noSweep, "mx")
	d := b.start()
	l := sendAlways(t, b.address("mx"), 2)
	l.await(t, 20)
	for i := range 5 {
		name, alias := fmt.Sprintf("user%d@%s", i, host), fmt.Sprintf("alias%d@%s", i, host)
		b.addUser(name)
		b.mustMailctl("", "alias", "add", alias, name)
		b.mustMailctl("", "index", "rebuild")
		b.mustMailctl("", "search", "headers", "--limit", "10")
		b.mustMailctl("", "status")
		b.mustMailctl("", "alias", "remove", alias)
		b.mustMailctl("", "user", "remove", "--yes", name)
	}
	l.await(t, 20)
	l.end()
	b.awaitIndex()
	l.check(t, b)
	d.stop()
}
