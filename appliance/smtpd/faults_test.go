package smtpd

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// begin opens a transaction up to and with the recipient.
func (c *client) begin() {
	c.t.Helper()
	c.line()
	for _, cmd := range []string{"EHLO client", "MAIL FROM:<zoe@example.com>", "RCPT TO:<ann@example.org>"} {
		if r := c.ask(cmd); !strings.HasPrefix(r, "250") {
			c.t.Fatalf("%s: %s", cmd, r)
		}
	}
}

func (c *client) want(prefix string) {
	c.t.Helper()
	if got := c.reply(); !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("got %q, want %q", got, prefix)
	}
}

// go-smtp stores what came of a BDAT LAST that a close cuts short, as if whole.
func TestChunkCutShort(t *testing.T) {
	t.Parallel()
	for _, last := range []string{"", " LAST"} {
		b := newBench(t, nil)
		c := b.dial(MX)
		c.begin()
		c.send("BDAT 100" + last + "\r\nSubject: half\r\n")
		c.Conn.(*net.TCPConn).CloseWrite()
		for c.line() != "EOF" {
		}
		b.stop()
		if n := len(b.messages("ann@example.org")); n != 0 || b.leftInTmp() != 0 {
			t.Errorf("BDAT%s: %d messages stored, %d files in tmp/", last, n, b.leftInTmp())
		}
	}
}

func TestDataCutShort(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	c := b.dial(MX)
	c.begin()
	c.ask("DATA")
	c.send("Subject: half\r\n\r\n.")
	c.Close()
	b.stop()
	if n := len(b.messages("ann@example.org")); n != 0 || b.leftInTmp() != 0 {
		t.Errorf("%d messages stored, %d files in tmp/", n, b.leftInTmp())
	}
}

// stop waits until all connections are gone.
func (b *bench) stop() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	must(b.t, b.srv.Shutdown(ctx))
}

// go-smtp answers 554 to a message that stalls, and runs the rest of it as
// commands.
func TestStalledData(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(cfg *Config) { cfg.DataTimeout = 50 * time.Millisecond })
	c := b.dial(MX)
	c.begin()
	c.ask("DATA")
	c.send("Subject: stalls\r\n\r\nMAIL FROM:<evil@example.com>\r\n")
	c.want("421 4.4.2 ")
	c.Conn.Write([]byte("RSET\r\nMAIL FROM:<evil@example.com>\r\n"))
	if got := c.line(); got != "EOF" {
		t.Errorf("after the stall: %q", got)
	}
	if n := len(b.messages("ann@example.org")); n != 0 {
		t.Errorf("%d messages stored", n)
	}
}

// A message may take longer than the timeout, as long as it comes.
func TestSlowData(t *testing.T) {
	t.Parallel()
	const timeout = 3 * time.Second // far above what a busy machine stalls
	b := newBench(t, func(cfg *Config) { cfg.DataTimeout = timeout })
	c := b.dial(MX)
	c.begin()
	c.ask("DATA")
	tick := time.NewTicker(timeout / 10)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < timeout+timeout/4; <-tick.C {
		c.send("x")
	}
	c.send("\r\n.\r\n")
	c.want("250 2.0.0 accepted")
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(cfg *Config) { cfg.CommandTimeout = 50 * time.Millisecond })
	c := b.dial(MX)
	c.line()
	c.want("421 4.4.2 ")
	if got := c.line(); got != "EOF" {
		t.Errorf("after 421: %q", got)
	}
}

// Shutdown tells idle clients 421 and lets a transaction end.
func TestShutdown(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	idle, busy, quiet := b.dial(MX), b.dial(MX), b.dial(Submissions)
	idle.line()
	idle.ask("EHLO client")
	quiet.line()
	busy.begin()
	busy.ask("DATA")
	busy.send("Subject: in time\r\n")
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		done <- b.srv.Shutdown(ctx)
	}()
	idle.want("421 4.3.2 ")
	quiet.want("421 4.3.2 ")
	select {
	case err := <-done:
		t.Fatalf("Shutdown ended with a transaction open: %v", err)
	default:
	}
	busy.send("\r\n.\r\n")
	busy.want("250 2.0.0 accepted")
	busy.want("421 4.3.2 ")
	must(t, <-done)
	if n := len(b.messages("ann@example.org")); n != 1 {
		t.Errorf("%d messages stored", n)
	}
	if c, err := net.Dial("tcp", b.addrs[MX].String()); err == nil {
		c.Close()
		t.Error("a new connection was taken after Shutdown")
	}
}

// A transaction that does not end is cut when Shutdown's time is over.
func TestShutdownBound(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	c := b.dial(MX)
	c.begin()
	c.ask("DATA")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := b.srv.Shutdown(ctx); err != context.DeadlineExceeded {
		t.Errorf("Shutdown: %v", err)
	}
	if b.leftInTmp() != 0 {
		t.Error("a file is left in tmp/")
	}
}

// A fault of ours is temporary, and its cause is not told. go-smtp would send 554
// with the text of the error.
func TestLocalFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	c := b.dial(MX)
	c.begin()
	path, err := b.mail.Path("ann@example.org")
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, nil, 0o600))
	c.ask("DATA")
	c.send("\r\n.\r\n")
	if got := c.reply(); got != "451 4.3.0 local error in processing, try again later" {
		t.Errorf("Maildir that is a file: %q", got)
	}
	must(t, os.Remove(path))
	must(t, b.accounts.Close())
	c.ask("MAIL FROM:<zoe@example.com>")
	if got := c.ask("RCPT TO:<ann@example.org>"); got != "451 4.3.0 local error in processing, try again later" {
		t.Errorf("closed accounts.db: %q", got)
	}
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(cfg *Config) { cfg.MaxConnections = 1 })
	first := b.dial(MX)
	first.line()
	second := b.dial(MX)
	if got := second.line(); !strings.HasPrefix(got, "421 4.7.0 ") {
		t.Errorf("one connection too many: %q", got)
	}
	first.ask("QUIT")
	first.line() // closed: the server has counted it out before
	third := b.dial(MX)
	if got := third.line(); !strings.HasPrefix(got, "220 ") {
		t.Errorf("after one has left: %q", got)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	old := b.dial(MX)
	old.line()
	cfg := *b.srv.cfg.Load()
	cfg.Hostname = "new.example.org"
	b.srv.Reload(cfg)
	c := b.dial(MX)
	if got := c.line(); got != "220 new.example.org ESMTP maild" {
		t.Errorf("after a reload: %q", got)
	}
	if got := old.ask("HELO x"); got != "250 "+testHost {
		t.Errorf("connection of before: %q", got)
	}
}

// countingListener counts the writes of its connections: go-smtp makes one of
// each reply line.
type countingListener struct {
	net.Listener
	writes atomic.Int64
}

type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, &l.writes}, err
}

func (c countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func TestRepliesAreSentTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	counting := &countingListener{Listener: l}
	b.served.Go(func() { b.srv.Serve(MX, counting) })
	b.addrs[MX] = l.Addr()
	c := b.dial(MX)
	c.line()
	c.send("EHLO client\r\nMAIL FROM:<zoe@example.com>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n")
	for !strings.HasPrefix(c.reply(), "354") {
	}
	if n := counting.writes.Load(); n != 2 {
		t.Errorf("greeting and four replies took %d writes, want 2", n)
	}
}
