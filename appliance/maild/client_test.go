package main_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// client is an SMTP client that does what it is told, line by line.
type client struct {
	net.Conn
	r *bufio.Reader
}

// connect opens a connection and reads the greeting.
func connect(addr net.Addr) (*client, error) {
	nc, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		return nil, err
	}
	return greet(nc)
}

func greet(nc net.Conn) (*client, error) {
	nc.SetDeadline(time.Now().Add(patience))
	c := &client{nc, bufio.NewReader(nc)}
	greeting, err := c.reply()
	if err == nil && !strings.HasPrefix(greeting, "220 ") {
		err = fmt.Errorf("greeting %q", greeting)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// dial is connect, then EHLO (LHLO to lmtp); the connection ends with the test.
func (b *box) dial(listener string) *client {
	b.t.Helper()
	c, err := connect(b.address(listener))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	hello := "EHLO client.example"
	if listener == "lmtp" {
		hello = "LHLO client.example"
	}
	c.want(b.t, hello, "250")
	return c
}

// reply reads a whole reply, its lines separated by LF.
func (c *client) reply() (string, error) {
	var lines []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimSuffix(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(lines, "\n"), nil
		}
	}
}

// ask sends a line and reads the reply.
func (c *client) ask(line string) (string, error) {
	if _, err := io.WriteString(c, line+"\r\n"); err != nil {
		return "", err
	}
	return c.reply()
}

// want sends a line ("": nothing) and insists on a reply that starts so.
func (c *client) want(t *testing.T, line, prefix string) string {
	t.Helper()
	var reply string
	var err error
	if line == "" {
		reply, err = c.reply()
	} else {
		reply, err = c.ask(line)
	}
	if err != nil || !strings.HasPrefix(reply, prefix) {
		t.Fatalf("%q: reply %q, error %v, want %s", line, reply, err, prefix)
	}
	return reply
}

// wantEnd insists on the end of the connection.
func (c *client) wantEnd(t *testing.T) {
	t.Helper()
	if reply, err := c.reply(); err == nil {
		t.Fatalf("reply %q, want the end", reply)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection stays open")
	}
}

// send is one transaction. It gives the last reply, which is a refusal if it
// comes before the message.
func (c *client) send(from, message string, to ...string) (reply string, err error) {
	commands := []string{"MAIL FROM:<" + from + ">"}
	for _, address := range to {
		commands = append(commands, "RCPT TO:<"+address+">")
	}
	for _, command := range append(commands, "DATA") {
		reply, err = c.ask(command)
		if err != nil || reply[0] != '2' && reply[0] != '3' {
			return reply, err
		}
	}
	return c.ask(strings.ReplaceAll(message, "\r\n.", "\r\n..") + ".")
}

// mustSend is send with a 250 at the end.
func (c *client) mustSend(t *testing.T, from, message string, to ...string) string {
	t.Helper()
	reply, err := c.send(from, message, to...)
	if err != nil || !strings.HasPrefix(reply, "250 ") {
		t.Fatalf("message to %v: reply %q, error %v, want 250", to, reply, err)
	}
	return reply
}

// tlsConfig trusts the certificate that the box made for itself, and no other.
func (b *box) tlsConfig() *tls.Config {
	b.t.Helper()
	pem, err := os.ReadFile(filepath.Join(b.data, "tls", "self-signed.pem"))
	if err != nil {
		b.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		b.t.Fatal("no certificate in self-signed.pem")
	}
	return &tls.Config{ServerName: host, RootCAs: roots}
}

// startTLS goes on in TLS.
func (c *client) startTLS(t *testing.T, config *tls.Config) *client {
	t.Helper()
	c.want(t, "STARTTLS", "220")
	secured := tls.Client(c.Conn, config)
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	return &client{secured, bufio.NewReader(secured)}
}

// plain is the line that logs an account in (RFC 4616).
func plain(account string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+account+"\x00"+secret))
}

// letter is a message in UTF-8 with CRLF line ends.
func letter(id, subject, body string) string {
	text := "From: Zoë <zoe@example.com>\nTo: ann@" + host + "\nSubject: " + subject + "\nDate: Mon, 23 Nov 2026 09:00:00 +0100\n" +
		"Message-ID: <" + id + ">\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + body
	return strings.ReplaceAll(text, "\n", "\r\n")
}
