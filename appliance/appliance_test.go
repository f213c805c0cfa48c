package appliance

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"maild/appliance/config"
	"maild/appliance/smtpd"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls", "c.pem"), filepath.Join(dir, "tls", "k.pem")
	must(t, ensureSelfSigned(cert, key, "one.example"))
	var log bytes.Buffer
	c, err := loadCertificate(cert, key, slog.New(slog.NewTextHandler(&log, nil)))
	must(t, err)
	name := func() string {
		t.Helper()
		pair, err := c.get(nil)
		must(t, err)
		return pair.Leaf.DNSNames[0]
	}
	if got := name(); got != "one.example" {
		t.Errorf("at first: %s", got)
	}
	must(t, ensureSelfSigned(cert, key, "two.example"))
	touch(t, cert, 1)
	if got := name(); got != "two.example" {
		t.Errorf("after a change: %s", got)
	}
	must(t, os.WriteFile(cert, []byte("garbage"), 0o600))
	if got := name(); got != "two.example" || !strings.Contains(log.String(), "the old one stays in use") {
		t.Errorf("after damage: %s, log %s", got, log.String())
	}
	said := log.Len()
	if name(); log.Len() != said {
		t.Error("the damage is logged at each connection")
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
}

// touch makes a file look changed by more than the clock's resolution.
func touch(t *testing.T, path string, hours int) {
	t.Helper()
	when := time.Now().Add(time.Duration(hours) * time.Hour)
	must(t, os.Chtimes(path, when, when))
}

func TestListen(t *testing.T) {
	t.Parallel()
	sock := filepath.Join(t.TempDir(), "lmtp")
	cfg := config.Listen{MX: []string{"127.0.0.1:0", "[::1]:0"}, LMTP: sock}
	ls, err := Listen(context.Background(), cfg, nil)
	must(t, err)
	if len(ls[smtpd.MX]) != 2 || len(ls[smtpd.LMTP]) != 1 {
		t.Fatalf("%v", ls)
	}
	taken := config.Listen{MX: []string{ls[smtpd.MX][0].Addr().String()}}
	if _, err := Listen(context.Background(), taken, nil); err == nil || !strings.Contains(err.Error(), "another program listens there") {
		t.Errorf("port in use: %v", err)
	}
	if _, err := Listen(context.Background(), config.Listen{LMTP: sock}, nil); err == nil {
		t.Error("a live Unix socket was taken over")
	}
	// What a daemon leaves that was killed: the path, and nobody behind it.
	ls[smtpd.LMTP][0].(*net.UnixListener).SetUnlinkOnClose(false)
	must(t, ls.Close())
	ls, err = Listen(context.Background(), config.Listen{LMTP: sock}, nil)
	must(t, err)
	must(t, ls.Close())
}

func TestInheritedKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		addr net.Addr
		want smtpd.Kind
		ok   bool
	}{
		{"mx", &net.TCPAddr{Port: 1234}, smtpd.MX, true},
		{"submissions", &net.TCPAddr{Port: 1234}, smtpd.Submissions, true},
		{"", &net.TCPAddr{Port: 587}, smtpd.Submission, true},
		{"maild.socket", &net.TCPAddr{Port: 25}, smtpd.MX, true},
		{"", &net.UnixAddr{Net: "unix"}, smtpd.LMTP, true},
		{"", &net.TCPAddr{Port: 80}, 0, false},
	} {
		if got, ok := kindOf(c.name, c.addr); got != c.want || ok != c.ok {
			t.Errorf("%q on %s: %v, %v", c.name, c.addr, got, ok)
		}
	}
}

func TestNeedRestart(t *testing.T) {
	t.Parallel()
	old := config.Default()
	new := old
	new.Limits.MessageSize = 1
	if got := needRestart(old, new); got != nil {
		t.Errorf("message_size: %v", got)
	}
	new.DataDir, new.Listen.MX = "/x", []string{":26"}
	if got := needRestart(old, new); !reflect.DeepEqual(got, []string{"data_dir", "listen"}) {
		t.Errorf("got %v", got)
	}
}

func TestLogFileIsOpenedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	cfg := config.Log{File: path, Level: "info", Format: "text"}
	log, err := NewLogger(cfg, nil)
	must(t, err)
	log.Info("one")
	must(t, os.Rename(path, path+".1"))
	cfg.Level = "error"
	must(t, log.Reload(cfg, nil))
	log.Info("two")
	log.Error("three")
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), "two") || !strings.Contains(string(text), "three") {
		t.Errorf("%q, %v", text, err)
	}
}
