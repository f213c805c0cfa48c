package smtpd

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// pipeListener hands over connections made in memory.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// FuzzSession: whatever a client sends, each line that comes back is a reply, none
// holds a control character, the session ends, and nothing panics (go-smtp catches
// panics and logs them).
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"EHLO a\r\nMAIL FROM:<a@b> SIZE=1\r\nRCPT TO:<postmaster>\r\nDATA\r\na\r\n.\r\nQUIT\r\n",
		"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.org>\r\nBDAT 3\r\nabcBDAT 0 LAST\r\n",
		"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.org>\r\nBDAT 3\r\nabcRSET\r\nNOOP\r\n",
		"STARTTLS\r\n\x16\x03\x01", "AUTH PLAIN =\r\n*\r\n", "HELO \x00\n", "NOOP\nNOOP\r\n",
	} {
		f.Add([]byte(s))
	}
	var mu sync.Mutex
	var logged bytes.Buffer
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	b := newBench(f, func(cfg *Config) {
		cfg.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelError}))
		cfg.DataTimeout, cfg.CommandTimeout = 100*time.Millisecond, 100*time.Millisecond
		cfg.TLS = nil
	})
	go b.srv.Serve(MX, l)
	f.Cleanup(func() { l.Close() })
	reply := regexp.MustCompile(`^[245][0-9][0-9][ -][ -~]*$|^354 |^334 |^220 `)
	f.Fuzz(func(t *testing.T, input []byte) {
		mu.Lock()
		defer mu.Unlock()
		client, server := net.Pipe()
		l.conns <- server
		client.SetDeadline(time.Now().Add(10 * time.Second))
		go func() {
			client.Write(input)
			client.Write([]byte("\r\nQUIT\r\n\r\n.\r\nQUIT\r\n"))
		}()
		out, err := io.ReadAll(client)
		client.Close()
		if err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Fatalf("%q: %v after %q", input, err, out)
		}
		for _, line := range strings.Split(strings.TrimSuffix(string(out), "\r\n"), "\r\n") {
			if !reply.MatchString(line) {
				t.Fatalf("%q: answered %q", input, line)
			}
		}
		if logged.Len() > 0 {
			t.Fatalf("%q: %s", input, logged.String())
		}
	})
}
