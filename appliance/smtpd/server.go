// Package smtpd is the edge where mail comes in: SMTP listeners for other hosts
// (mx) and for users (submission, submissions), and LMTP on a Unix socket.
//
// The protocol's state machine is github.com/emersion/go-smtp's, whose only
// server-side home this is. Between it and the network stands conn, one per
// connection, which closes what is known to be wrong in go-smtp in one place;
// session is what go-smtp calls. A message goes from the network through
// conn.receiveBody into delivery, past go-smtp.
package smtpd

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"maild/appliance/account"
	"maild/appliance/delivery"
)

// Kind is what a listener is for.
type Kind int

// The kinds of listener.
const (
	MX          Kind = iota // other hosts, RFC 5321: port 25
	Submission              // users, RFC 6409: port 587, STARTTLS
	Submissions             // users, RFC 8314 §3.3: port 465, TLS from the start
	LMTP                    // local programs, RFC 2033: a Unix socket
)

func (k Kind) String() string {
	return [...]string{"mx", "submission", "submissions", "lmtp"}[k]
}

func (k Kind) isSubmission() bool { return k == Submission || k == Submissions }

func (k Kind) greeting() string {
	if k == LMTP {
		return "LMTP"
	}
	return "ESMTP"
}

// Config is what a Server needs. Reload puts another in its place.
type Config struct {
	Hostname string
	TLS      *tls.Config // nil: no STARTTLS, no submissions
	Accounts *account.Directory
	Delivery *delivery.Delivery
	Log      *slog.Logger

	MaxMessageOctets int64 // 0: no limit
	MaxRecipients    int   // of one transaction; 0: no limit
	MaxConnections   int   // of all listeners; 0: no limit

	CommandTimeout time.Duration // for the next command, RFC 5321 §4.5.3.2.7
	DataTimeout    time.Duration // for the next octets of a message
	WriteTimeout   time.Duration // for a reply to be taken
}

// Server serves any number of listeners. Safe for concurrent use.
type Server struct {
	cfg     atomic.Pointer[Config]
	ctx     context.Context // ends when the server has stopped
	cancel  context.CancelFunc
	smtp    *smtp.Server
	lmtp    *smtp.Server
	buffers bodyBuffers

	mu        sync.Mutex
	stopping  bool
	listeners map[net.Listener]bool
	conns     map[*conn]bool
	gone      chan struct{} // closed when stopping and no connection is left
}

// New makes a server that does not listen yet.
func New(cfg Config) *Server {
	s := &Server{listeners: map[net.Listener]bool{}, conns: map[*conn]bool{}, gone: make(chan struct{})}
	s.cfg.Store(&cfg)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.smtp, s.lmtp = s.protocol(false), s.protocol(true)
	return s
}

// Reload makes cfg that of every later connection. Those that are open keep
// theirs.
func (s *Server) Reload(cfg Config) { s.cfg.Store(&cfg) }

// protocol sets go-smtp up. It has no limits, timeouts or TLS of its own: see
// conn.
func (s *Server) protocol(lmtp bool) *smtp.Server {
	p := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		cc := c.Conn().(*conn)
		cc.sess = &session{c: cc, ctx: s.ctx}
		return cc.sess, nil
	}))
	p.LMTP = lmtp
	p.MaxLineLength = 0
	p.AllowInsecureAuth = true
	p.EnableSMTPUTF8 = true
	p.ErrorLog = errorLog{s}
	return p
}

// errorLog takes what go-smtp reports of its own: panics, mostly.
type errorLog struct{ srv *Server }

func (l errorLog) Printf(format string, v ...any) {
	l.srv.cfg.Load().Log.Error("smtp", "err", fmt.Sprintf(format, v...))
}

func (l errorLog) Println(v ...any) { l.srv.cfg.Load().Log.Error("smtp", "err", fmt.Sprintln(v...)) }

// Serve takes connections from l until Shutdown, and returns nil then. It closes l.
func (s *Server) Serve(kind Kind, l net.Listener) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return l.Close()
	}
	s.listeners[l] = true
	s.mu.Unlock()
	protocol := s.smtp
	if kind == LMTP {
		protocol = s.lmtp
	}
	err := protocol.Serve(&listener{Listener: l, srv: s, kind: kind})
	if s.isStopping() {
		return nil
	}
	return fmt.Errorf("serve %s on %s: %w", kind, l.Addr(), err)
}

func (s *Server) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// Shutdown stops listening, tells idle clients 421 and lets transactions end. When
// ctx ends first, it cuts what is left and returns ctx's error. No message that
// was acknowledged is lost either way.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	first := !s.stopping
	s.stopping = true
	for l := range s.listeners {
		l.Close()
	}
	open := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		open = append(open, c)
	}
	if first && len(open) == 0 {
		close(s.gone)
	}
	s.mu.Unlock()
	for _, c := range open {
		c.stop()
	}
	defer s.cancel()
	select {
	case <-s.gone:
		return nil
	case <-ctx.Done():
	}
	for _, c := range open {
		c.kill()
	}
	<-s.gone
	return ctx.Err()
}

// remember counts a connection in, or returns false: there are too many.
func (s *Server) remember(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || c.cfg.MaxConnections > 0 && len(s.conns) >= c.cfg.MaxConnections {
		return false
	}
	s.conns[c] = true
	return true
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.conns[c] {
		return
	}
	delete(s.conns, c)
	if s.stopping && len(s.conns) == 0 {
		close(s.gone)
	}
}

// listener gives go-smtp connections that are conns.
type listener struct {
	net.Listener
	srv  *Server
	kind Kind
}

// Accept waits for a connection that there is room for.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := l.srv.newConn(nc, l.kind)
		if l.srv.remember(c) {
			return c, nil
		}
		c.log.Warn("rejected", "status", "421 4.7.0 too many connections")
		// One short segment into an empty socket buffer: it does not block.
		nc.SetWriteDeadline(time.Now().Add(time.Millisecond))
		if l.kind != Submissions {
			nc.Write([]byte("421 4.7.0 " + c.cfg.Hostname + " too many connections, try again later\r\n"))
		}
		nc.Close()
	}
}

func (s *Server) newConn(nc net.Conn, kind Kind) *conn {
	id := newID()[:8]
	cfg := s.cfg.Load()
	c := &conn{Conn: nc, transport: nc, srv: s, cfg: cfg, kind: kind, id: id}
	c.in.pool = &s.buffers
	c.log = cfg.Log.With("session", id, "listener", kind.String(), "client", remote(nc))
	if kind == Submissions {
		c.transport = tls.Server(nc, cfg.TLS)
	}
	return c
}

// remote is the client for the log.
func remote(nc net.Conn) string {
	host, _, err := net.SplitHostPort(nc.RemoteAddr().String())
	if err != nil {
		return "local"
	}
	return host
}
