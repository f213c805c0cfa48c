package appliance

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"maild/appliance/config"
	"maild/appliance/mail"
	"maild/appliance/smtpd"
	"maild/index"
	"maild/index/query"
)

// benchAppliance is a whole daemon in this process; TMPDIR says on which file
// system.
func benchAppliance(b *testing.B, quota config.Quota) (*Appliance, string) {
	b.Helper()
	cfg := config.Default()
	cfg.Quota = quota
	cfg.Hostname, cfg.DataDir = "bench.example", b.TempDir()
	ls, err := Listen(context.Background(), config.Listen{MX: []string{"127.0.0.1:0"}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	addr := ls[smtpd.MX][0].Addr().String()
	a, err := Start(context.Background(), cfg, ls, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { a.Stop() })
	// Not postmaster, for whom no limit holds.
	if _, err := a.accounts.AddAccount(context.Background(), mail.Address{Local: "ann", Domain: cfg.Hostname}, ""); err != nil {
		b.Fatal(err)
	}
	return a, addr
}

// sender is an SMTP client that keeps its session open.
type sender struct {
	b *testing.B
	net.Conn
	r *bufio.Reader
}

func dialSender(b *testing.B, addr string) *sender {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Error(err)
		return nil
	}
	s := &sender{b, c, bufio.NewReader(c)}
	s.want("220")
	s.say("HELO bench", "250")
	return s
}

func (s *sender) want(code string) {
	line, err := s.r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, code) {
		s.b.Errorf("got %q, %v, want %s", line, err, code)
	}
}

func (s *sender) say(line, code string) {
	fmt.Fprintf(s, "%s\r\n", line)
	s.want(code)
}

// deliver sends one message with one command at a time.
func (s *sender) deliver(id string, body string) {
	s.say("MAIL FROM:<zoe@example.com>", "250")
	s.say("RCPT TO:<ann@bench.example>", "250")
	s.say("DATA", "354")
	fmt.Fprintf(s, "From: Zoe <zoe@example.com>\r\nTo: ann@bench.example\r\nSubject: message %s\r\nMessage-ID: <%s@bench.example>\r\n\r\n%s\r\n.\r\n", id, id, body)
	s.want("250")
}

// BenchmarkDelivery takes mail over loopback with some sessions at once, to an
// account without a limit and to one with limits that hold all of it.
func BenchmarkDelivery(b *testing.B) {
	for _, c := range []struct{ sessions, octets int }{{1, 4 << 10}, {10, 4 << 10}, {50, 4 << 10}, {10, 64 << 10}, {4, 1 << 20}} {
		b.Run(fmt.Sprintf("sessions=%d/octets=%d", c.sessions, c.octets), func(b *testing.B) {
			benchDelivery(b, c.sessions, c.octets, config.Default().Quota)
		})
	}
	for _, sessions := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("quota/sessions=%d/octets=4096", sessions), func(b *testing.B) {
			benchDelivery(b, sessions, 4<<10, config.Quota{Octets: 1 << 50, Messages: 1 << 30, Warn: []int{80, 95}})
		})
	}
}

func benchDelivery(b *testing.B, sessions, octets int, quota config.Quota) {
	_, addr := benchAppliance(b, quota)
	body := strings.Repeat(strings.Repeat("x", 70)+"\r\n", octets/72)
	next := make(chan int)
	var all sync.WaitGroup
	for range sessions {
		all.Go(func() {
			s := dialSender(b, addr)
			for i := range next {
				s.deliver(fmt.Sprint(i), body)
			}
			s.Close()
		})
	}
	b.SetBytes(int64(len(body)))
	b.ResetTimer()
	for i := range b.N {
		next <- i
	}
	close(next)
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkSearchable measures how long after its 250 a message is found by its
// Message-ID, alone and while other sessions deliver.
func BenchmarkSearchable(b *testing.B) {
	for _, others := range []int{0, 10} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			a, addr := benchAppliance(b, config.Default().Quota)
			stop := make(chan struct{})
			var all sync.WaitGroup
			for i := range others {
				all.Go(func() { load(b, addr, i, stop) })
			}
			s := dialSender(b, addr)
			var lag []time.Duration
			for i := 0; b.Loop(); i++ {
				id := fmt.Sprintf("watched%d", i)
				s.deliver(id, "body")
				lag = append(lag, awaitFound(b, a.index, id))
			}
			close(stop)
			all.Wait()
			slices.Sort(lag)
			b.ReportMetric(float64(lag[len(lag)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(lag[len(lag)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// load delivers until stop.
func load(b *testing.B, addr string, n int, stop chan struct{}) {
	s := dialSender(b, addr)
	defer s.Close()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
			s.deliver(fmt.Sprintf("load%d.%d", n, i), "body")
		}
	}
}

// awaitFound searches until the message is there, and returns how long that took.
func awaitFound(b *testing.B, ix *index.Index, id string) time.Duration {
	start := time.Now()
	for {
		found := false
		err := ix.Search(context.Background(), index.Query{Where: query.ID{MessageID: id + "@bench.example"}, Limit: 1}, func(index.Message) error {
			found = true
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		if found {
			return time.Since(start)
		}
		if time.Since(start) > 10*time.Second {
			b.Fatalf("%s is not found", id)
		}
	}
}
