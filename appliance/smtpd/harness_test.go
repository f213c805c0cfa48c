package smtpd

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"maild/appliance/account"
	"maild/appliance/delivery"
	"maild/appliance/mail"
	"maild/appliance/store"
	"maild/index"
	"maild/maildir"
)

const (
	testHost     = "mx.example.org"
	testPassword = "correct horse battery"
	testSize     = 2000 // octets, of a message
)

// bench is a server with real databases and Maildirs. Its accounts are
// ann@example.org, bob@example.org and, with an alias, both@example.org.
type bench struct {
	t        testing.TB
	srv      *Server
	mail     *store.Mailboxes
	accounts *account.Directory
	aliases  string // the aliases file
	addrs    map[Kind]net.Addr
	served   sync.WaitGroup
}

// newBench starts a server; change may adjust its configuration.
func newBench(t testing.TB, change func(*Config)) *bench {
	t.Helper()
	dir, ctx := t.TempDir(), context.Background()
	accounts, err := account.Open(ctx, account.Options{Path: filepath.Join(dir, "accounts.db"), Hostname: testHost, Separator: "+",
		Aliases: filepath.Join(dir, "aliases")})
	must(t, err)
	must(t, accounts.EnsureLocal(ctx))
	hash, err := account.Hash(testPassword)
	must(t, err)
	for _, name := range []string{"ann", "bob"} {
		_, err := accounts.AddAccount(ctx, mail.Address{Local: name, Domain: "example.org"}, hash)
		must(t, err)
	}
	must(t, accounts.AddAlias(ctx, mail.Address{Local: "both", Domain: "example.org"},
		[]mail.Address{{Local: "ann", Domain: "example.org"}, {Local: "bob", Domain: "example.org"}}))
	log := slog.New(slog.DiscardHandler)
	boxes := store.OpenMailboxes(filepath.Join(dir, "mail"))
	ix, err := index.Open(ctx, index.Options{Path: filepath.Join(dir, "index.db"), Source: boxes, Log: log})
	must(t, err)
	cfg := Config{Hostname: testHost, Accounts: accounts, Log: log, TLS: testTLS(t),
		Delivery:         &delivery.Delivery{Accounts: accounts, Store: store.New(boxes, ix), Hostname: testHost, MaxReceived: 50, Log: log},
		MaxMessageOctets: testSize, MaxRecipients: 5, MaxConnections: 50,
		CommandTimeout: time.Minute, DataTimeout: time.Minute, WriteTimeout: time.Minute}
	if change != nil {
		change(&cfg)
	}
	b := &bench{t: t, srv: New(cfg), mail: boxes, accounts: accounts, aliases: filepath.Join(dir, "aliases"), addrs: map[Kind]net.Addr{}}
	for _, kind := range []Kind{MX, Submission, Submissions, LMTP} {
		b.listen(kind, dir)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		b.srv.Shutdown(ctx)
		b.served.Wait()
		ix.Close()
		boxes.Close()
		accounts.Close()
	})
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) listen(kind Kind, dir string) {
	b.t.Helper()
	network, addr := "tcp", "127.0.0.1:0"
	if kind == LMTP {
		network, addr = "unix", filepath.Join(dir, "s")
	}
	l, err := net.Listen(network, addr)
	must(b.t, err)
	b.addrs[kind] = l.Addr()
	b.served.Go(func() {
		if err := b.srv.Serve(kind, l); err != nil {
			b.t.Error(err)
		}
	})
}

func testTLS(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{testHost}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// messages reads the messages in an account's INBOX.
func (b *bench) messages(accountName string) (texts []string) {
	b.t.Helper()
	err := b.mail.Use(accountName, true, func(t *maildir.Tree) error {
		return t.Scan(maildir.Inbox, func(e maildir.Entry) error {
			f, err := t.OpenMessage(e)
			if err != nil {
				return err
			}
			defer f.Close()
			text, err := io.ReadAll(f)
			texts = append(texts, string(text))
			return err
		})
	})
	must(b.t, err)
	return texts
}

// leftInTmp counts the files in the tmp directories of all accounts.
func (b *bench) leftInTmp() int {
	b.t.Helper()
	accounts, err := b.mail.Accounts(context.Background())
	must(b.t, err)
	n := 0
	for _, a := range accounts {
		dir, err := b.mail.Path(a)
		must(b.t, err)
		files, err := filepath.Glob(filepath.Join(dir, "tmp", "*"))
		must(b.t, err)
		n += len(files)
	}
	return n
}

// client is a raw connection.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (b *bench) dial(kind Kind) *client {
	b.t.Helper()
	addr := b.addrs[kind]
	nc, err := net.Dial(addr.Network(), addr.String())
	must(b.t, err)
	b.t.Cleanup(func() { nc.Close() })
	c := &client{t: b.t, Conn: nc, r: bufio.NewReader(nc)}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if kind == Submissions {
		c.startTLS()
	}
	return c
}

func (c *client) startTLS() {
	c.Conn = tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	c.r = bufio.NewReader(c.Conn)
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatal(err)
	}
}

// line reads a reply line, or "EOF".
func (c *client) line() string {
	s, err := c.r.ReadString('\n')
	if err != nil {
		return "EOF"
	}
	if len(s) > maxReplyOctets {
		c.t.Errorf("a reply of %d octets: %.100s", len(s), s)
	}
	return s[:len(s)-2]
}

// reply reads to the last line of a reply and returns that.
func (c *client) reply() string {
	for {
		if l := c.line(); len(l) < 4 || l[3] != '-' {
			return l
		}
	}
}

// ask sends a line and returns the last line of its reply.
func (c *client) ask(line string) string {
	c.t.Helper()
	c.send(line + "\r\n")
	return c.reply()
}
