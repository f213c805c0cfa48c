package main_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFirstMail is the main job, once for each way in: an account, a message, its
// file, and the search that finds it.
func TestFirstMail(t *testing.T) {
	t.Parallel()
	b := newBox(t, noSweep, "mx", "submission", "submissions", "lmtp")
	b.addUser("ann@" + host) // no daemon yet
	d := b.start()
	for _, tc := range []struct {
		listener, from, with string
		dial                 func(b *box) *client
	}{
		{"mx", "zoe@example.com", "with ESMTP\n", func(b *box) *client { return b.dial("mx") }},
		{"mx-tls", "zoe@example.com", "with ESMTPS (TLS 1.3) tls TLS_", func(b *box) *client {
			c := b.dial("mx").startTLS(b.t, b.tlsConfig())
			c.want(b.t, "EHLO client.example", "250")
			return c
		}},
		{"lmtp", "zoe@example.com", "(local)\n\tby " + host + " with LMTP\n", func(b *box) *client { return b.dial("lmtp") }},
		{"submission", "ann@" + host, "with ESMTPSA (TLS 1.3) tls TLS_", func(b *box) *client {
			c := b.dial("submission")
			c.want(b.t, "MAIL FROM:<ann@"+host+">", "530 5.7.0 ")
			return login(b.t, c.startTLS(b.t, b.tlsConfig()))
		}},
		{"submissions", "ann@" + host, "with ESMTPSA (TLS 1.3) tls TLS_", func(b *box) *client {
			nc, err := tls.Dial("tcp", b.address("submissions").String(), b.tlsConfig())
			if err != nil {
				b.t.Fatal(err)
			}
			b.t.Cleanup(func() { nc.Close() })
			c, err := greet(nc)
			if err != nil {
				b.t.Fatal(err)
			}
			return login(b.t, c)
		}},
	} {
		t.Run(tc.listener, func(t *testing.T) {
			b := b.in(t)
			to := "to-" + tc.listener + "@" + host
			b.addUser(to) // beside the daemon
			subject, id := "Grüße aus Köln über "+tc.listener, "first-"+tc.listener+"@example.com"
			message := letter(id, subject, "Schöne Grüße!\n.\n..\n. \nthe end\n")
			reply := tc.dial(b).mustSend(t, tc.from, message, to)
			_, transaction, _ := strings.Cut(reply, "accepted as ")
			b.checkFile(to, fmt.Sprintf("Return-Path: <%s>\nX-Original-To: %s\nDelivered-To: %s\nReceived: from client.example ", tc.from, to, to),
				tc.with, "\tid "+transaction+" for <"+to+">; ", message)
			b.checkFound(to, id, subject)
			if !strings.Contains(d.log.String(), "id="+transaction) {
				t.Errorf("the log knows nothing of %s", transaction)
			}
		})
	}
	d.stop()
}

// login goes on as ann.
func login(t *testing.T, c *client) *client {
	t.Helper()
	if reply := c.want(t, "EHLO client.example", "250"); !strings.Contains(reply, "AUTH PLAIN LOGIN") || strings.Contains(reply, "STARTTLS") {
		t.Fatalf("EHLO in TLS says %q", reply)
	}
	c.want(t, plain("ann@"+host), "235 2.7.0 ")
	c.want(t, "MAIL FROM:<zoe@example.com>", "553 5.7.1 ")
	return c
}

// checkFile insists on the message in new/: our fields, then what was sent.
func (b *box) checkFile(account, start, with, id, message string) {
	b.t.Helper()
	text := b.onlyFile(account)
	if !strings.HasPrefix(text, start) || !strings.Contains(text, with) || !strings.Contains(text, id) {
		b.t.Errorf("trace fields: %.600q, want %q… %q… %q", text, start, with, id)
	}
	if !strings.HasSuffix(text, "\n"+strings.ReplaceAll(message, "\r\n", "\n")) {
		b.t.Errorf("stored %q, sent %q", text, message)
	}
	path := b.files(account)[0]
	sizes := fmt.Sprintf(",S=%d,W=%d", len(text), len(text)+strings.Count(text, "\n"))
	if filepath.Base(filepath.Dir(path)) != "new" || !strings.HasSuffix(path, sizes) {
		b.t.Errorf("the file is %s, want it in new/, with %s", path, sizes)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		b.t.Errorf("mode of %s: %v, %v, want 0600", path, info.Mode(), err)
	}
}

// checkFound insists that mailctl finds the message, by several of its headers, as
// JSON and as lines for programs.
func (b *box) checkFound(account, id, subject string) {
	b.t.Helper()
	eventually(b.t, "the message is found", func() bool {
		rows, ok := b.search("--message-id", id)
		return ok && len(rows) == 1
	})
	for _, args := range [][]string{
		{"--user", account, "--subject", "grüße köln"},
		{"--user", account, "--from", "Zoë"},
		{"--user", account, "--header", "Delivered-To=" + account},
		{"--user", account, "--flag", "new"},
	} {
		rows, _ := b.search(args...)
		if len(rows) != 1 || rows[0].MessageID != id || rows[0].Subject != subject || rows[0].Account != account || rows[0].Folder != "INBOX" {
			b.t.Errorf("search %v finds %+v", args, rows)
		}
	}
	lines := b.mustMailctl("", "search", "headers", "--message-id", "<"+id+">")
	fields := strings.Split(strings.TrimSuffix(lines, "\n"), "\t")
	if len(fields) != 7 || fields[2] != account || fields[6] != subject {
		b.t.Errorf("lines of search: %q", lines)
	}
	if path := b.mustMailctl("", "msg", "path", id); strings.TrimSpace(path) != b.files(account)[0] {
		b.t.Errorf("msg path says %q, the file is %s", path, b.files(account)[0])
	}
	if _, _, code := b.mailctl("", "search", "headers", "--user", account, "--subject", "nothing of the kind"); code != 3 {
		b.t.Errorf("exit code for nothing found is %d, want 3", code)
	}
}

// TestSeveralRecipients: one message for several, of whom none learns of the others,
// and one file for all.
func TestSeveralRecipients(t *testing.T) {
	t.Parallel()
	b := newBox(t, "", "mx", "lmtp")
	for _, name := range []string{"ann", "bob", "cy"} {
		b.addUser(name + "@" + host)
	}
	b.mustMailctl("", "alias", "add", "team@"+host, "bob@"+host, "cy@"+host)
	b.start()
	c := b.dial("mx")
	c.want(t, "MAIL FROM:<>", "250")
	for address, code := range map[string]string{
		"ann+news@" + host: "250", "TEAM@" + strings.ToUpper(host): "250", "nobody@" + host: "550 5.1.1 ", "zoe@example.com": "550 5.7.1 ",
	} {
		c.want(t, "RCPT TO:<"+address+">", code)
	}
	c.want(t, "DATA", "354")
	c.want(t, letter("several@example.com", "several", "to all\n")+".", "250 2.0.0 ")
	var first os.FileInfo
	for _, name := range []string{"ann", "bob", "cy"} {
		text := b.onlyFile(name + "@" + host)
		if !strings.HasPrefix(text, "Return-Path: <>\nReceived: ") || strings.Contains(text, "Delivered-To") || strings.Contains(text, "team@") {
			t.Errorf("%s has %.300q", name, text)
		}
		info, err := os.Stat(b.files(name + "@" + host)[0])
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = info
		} else if !os.SameFile(first, info) {
			t.Errorf("%s has a file of its own, want a link", name)
		}
	}
	if rows := b.awaitIndex(); len(rows) != 3 {
		t.Errorf("%d messages found, want 3", len(rows))
	}
}
