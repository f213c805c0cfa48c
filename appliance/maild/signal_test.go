package main_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTerminate: SIGTERM ends idle sessions with 421, takes no new ones, and lets
// the client that is in the middle of a message finish.
func TestTerminate(t *testing.T) {
	t.Parallel()
	b := newBox(t, "", "mx")
	d := b.start()
	addr := b.address("mx")
	idle, afterwards, busy := b.dial("mx"), b.dial("mx"), b.dial("mx")
	afterwards.mustSend(t, "zoe@example.com", letter("before@example.com", "before", "\n"), "postmaster@"+host)
	for _, line := range []string{"MAIL FROM:<zoe@example.com>", "RCPT TO:<postmaster@" + host + ">"} {
		busy.want(t, line, "250")
	}
	busy.want(t, "DATA", "354")
	head, tail, _ := strings.Cut(letter("under-way@example.com", "under way", "first half\nsecond half\n"), "second")
	if _, err := busy.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	b.closeSockets()

	d.signal(syscall.SIGTERM)
	d.expectNote("STOPPING=1")
	for _, c := range []*client{idle, afterwards} {
		c.want(t, "", "421 4.3.2 ")
		c.wantEnd(t)
	}
	eventually(t, "connections are refused", func() bool {
		c, err := net.Dial(addr.Network(), addr.String())
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	busy.want(t, "second"+tail+".", "250 2.0.0 accepted as ")
	busy.want(t, "", "421 4.3.2 ")
	busy.wantEnd(t)
	if code := d.wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if n := len(b.files("postmaster@" + host)); n != 2 {
		t.Errorf("%d messages in the Maildir, want 2", n)
	}
}

// TestTerminateCutsTheEndless: who does not finish within limits.shutdown_timeout is
// cut, and nothing of the message stays.
func TestTerminateCutsTheEndless(t *testing.T) {
	t.Parallel()
	b := newBox(t, "[limits]\nshutdown_timeout = \"1s\"\ndata_timeout = \"1h\"\ncommand_timeout = \"1h\"\n", "mx", "lmtp")
	d := b.start()
	var clients []*client
	for _, listener := range []string{"mx", "lmtp"} {
		c := b.dial(listener)
		c.want(t, "MAIL FROM:<zoe@example.com>", "250")
		c.want(t, "RCPT TO:<postmaster@"+host+">", "250")
		clients = append(clients, c)
	}
	clients[0].want(t, "DATA", "354")
	if _, err := clients[0].Write([]byte("Subject: never ends\r\n\r\nand so on,")); err != nil {
		t.Fatal(err)
	}
	d.signal(syscall.SIGTERM)
	d.expectNote("STOPPING=1")
	for _, c := range clients {
		c.wantEnd(t)
	}
	if code := d.wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if !strings.Contains(d.log.String(), "limits.shutdown_timeout") {
		t.Error("the log does not say that transactions were cut")
	}
	if files := b.allMail(); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

// TestInterrupt: Ctrl-C is like SIGTERM, and a second daemon can follow at once on
// the same sockets.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	b := newBox(t, "", "mx")
	for range 3 {
		d := b.start()
		b.dial("mx").want(t, "QUIT", "221")
		d.signal(syscall.SIGINT)
		d.expectNote("STOPPING=1")
		if code := d.wait(); code != 0 {
			t.Fatalf("exit code %d, want 0", code)
		}
	}
}

// TestReload: SIGHUP takes over a good file and refuses a bad one, and mail flows
// all the while.
func TestReload(t *testing.T) {
	t.Parallel()
	b := newBox(t, "[limits]\nmessage_size = \"1MiB\"\n", "mx")
	d := b.start()
	old := b.dial("mx")
	b.wantSize("1048576")

	reload := func(tables string) {
		t.Helper()
		b.configure(tables)
		d.signal(syscall.SIGHUP)
		d.expectNote("RELOADING=1")
		d.expectNote("READY=1")
	}
	reload("[limits]\nmessage_size = \"2MiB\"\n")
	b.wantSize("2097152")
	for _, bad := range []string{"[limits]\nmessage_size = \"3MiB\"\nmessage_syze = 1\n", "[limits\n", "[limits]\nmessage_size = 5\n[tls]\ncertificate = \"/nonexistent\"\nkey = \"/nonexistent\"\n"} {
		before := strings.Count(d.log.String(), "the old configuration stays in use")
		reload(bad)
		eventually(t, "a line in the log", func() bool {
			return strings.Count(d.log.String(), "the old configuration stays in use") == before+1
		})
		b.wantSize("2097152")
	}
	if err := os.Remove(b.conf); err != nil {
		t.Fatal(err)
	}
	d.signal(syscall.SIGHUP)
	d.expectNote("RELOADING=1")
	d.expectNote("READY=1")
	b.wantSize("2097152")
	if !strings.Contains(d.log.String(), b.conf+":5: ") {
		t.Error("the log does not say where the configuration is wrong")
	}
	reload("[limits]\nmessage_size = \"4MiB\"\n[log]\nfile = \"" + b.dir + "/maild.log\"\n")
	b.wantSize("4194304")
	old.mustSend(t, "zoe@example.com", letter("reload@example.com", "still here", "\n"), "postmaster@"+host)
	eventually(t, "the log is in its new file", func() bool {
		text, err := os.ReadFile(b.dir + "/maild.log")
		return err == nil && strings.Contains(string(text), "delivered")
	})
	d.stop()
}

// TestReloadStorm: hangups that come faster than they can be served do not stop
// mail, nor the daemon.
func TestReloadStorm(t *testing.T) {
	t.Parallel()
	b := newBox(t, "", "mx")
	d := b.start()
	c := b.dial("mx")
	stop := make(chan struct{})
	drained := make(chan struct{})
	go func() { // the notifications are of no interest, but must be taken
		defer close(drained)
		for {
			select {
			case <-b.notes:
			case <-stop:
				return
			}
		}
	}()
	for range 50 {
		d.signal(syscall.SIGHUP)
		c.mustSend(t, "zoe@example.com", letter("storm@example.com", "storm", "\n"), "postmaster@"+host)
	}
	close(stop)
	<-drained
	d.signal(syscall.SIGTERM)
	if code := d.wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if n := len(b.files("postmaster@" + host)); n != 50 {
		t.Errorf("%d messages in the Maildir, want 50", n)
	}
}

// wantSize insists on the limit that EHLO announces on a new connection.
func (b *box) wantSize(octets string) {
	b.t.Helper()
	c, err := connect(b.address("mx"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	reply := c.want(b.t, "EHLO client.example", "250")
	if !strings.Contains(reply, "SIZE "+octets+"\n") {
		b.t.Fatalf("EHLO says %q, want SIZE %s", reply, octets)
	}
	c.SetDeadline(time.Now().Add(patience))
	c.want(b.t, "QUIT", "221")
}
