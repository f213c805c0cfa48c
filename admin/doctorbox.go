package admin

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"maild/index"
)

const (
	// sampleMessages is how many messages' rows doctor compares, and sampleRead how many of those it reads again, about.
	sampleMessages = 5_000
	sampleRead     = 100
	// resolvePatience is how long the system's resolver may take.
	resolvePatience = 2 * time.Second
	// greetPatience is how long a listener of ours may take to greet.
	greetPatience = 2 * time.Second
	// futureLeeway is how far in the future mail may have arrived.
	futureLeeway = time.Hour
	// watchShare is how much of the kernel's limit of watches may be needed before it is a fault: other programs watch files, too.
	watchShare = 0.9
)

// index looks at the state of the index and, where a daemon keeps it, compares a sample of it with the mail.
func (p *patient) index(ctx context.Context, u *checkup) error {
	v, problem, err := p.lookAtIndex(ctx)
	if err != nil {
		return err
	}
	for _, wreck := range v.Aside {
		u.notice("sudo rm "+shellWord(wreck), "%s is left of a damaged index", wreck)
	}
	switch {
	case v.State == "missing" && !v.Followed:
		u.seen = "there is none: the next search makes it"
		return nil
	case v.State == "filling":
		u.notice(p.self()+" index status", "%s", problem)
		return nil
	case problem != "":
		u.fault(p.self()+" index rebuild", "%s", problem)
		return nil
	case !v.Followed:
		u.seen = fmt.Sprintf("%d messages; no daemon keeps it, so the next search brings it up to date, and \"mailctl index verify\" compares it", v.Messages)
		return nil
	}
	return p.sampleIndex(ctx, u)
}

// sampleIndex compares the rows of some accounts, by chance, with their files.
func (p *patient) sampleIndex(ctx context.Context, u *checkup) error {
	ix, err := p.search(ctx)
	if err != nil {
		return err
	}
	names, err := p.mail().Accounts(ctx)
	if err != nil {
		return err
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var some []string
	total := int64(0)
	for _, name := range names {
		n, _, err := ix.Usage(ctx, name)
		if err != nil {
			return err
		}
		if total+n <= sampleMessages || len(some) == 0 && n <= 10*sampleMessages {
			some, total = append(some, name), total+n
		}
	}
	if len(some) == 0 {
		u.seen = "no account is small enough for a sample: run \"mailctl index verify\""
		return nil
	}
	share := min(1, sampleRead/float64(max(1, total)))
	r, err := ix.Verify(ctx, index.VerifyOptions{Accounts: some, Share: share, Progress: p.show})
	if err != nil {
		return err
	}
	if r.Differences > 0 {
		u.fault(p.self()+" index verify --repair", "the index says otherwise than the mail: %d differences among %d messages compared", r.Differences, r.Checked)
	}
	if r.Failed > 0 {
		u.fault(fmt.Sprintf("sudo chown -R %s: %s", shellWord(p.owner), shellWord(p.box.cfg.MailDir())), "%d message files cannot be read", r.Failed)
	}
	u.seen = fmt.Sprintf("%d messages of %d of %d accounts compared, %d of them read again", r.Checked, len(some), len(names), r.Read)
	return nil
}

// hostname sees that the name can be one, and that others can find it.
func (p *patient) hostname(ctx context.Context, u *checkup) error {
	name := p.box.cfg.Hostname
	if p.box.file == "" {
		u.left = "it is this machine's, not the copy's"
		return nil
	}
	u.seen = name
	if !strings.Contains(name, ".") {
		u.fault("sudoedit "+shellWord(p.box.file)+"   # hostname = \"mail.example.org\"", "the host name is %q, which is no full name: other hosts will not trust it", name)
		return nil
	}
	if !isPublicName(name) {
		u.seen += ", which is not public"
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolvePatience)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		u.fault("host "+shellWord(name)+"   # then add A and AAAA records of this machine at the name servers of the domain", "the host name %s has no address in DNS, so no mail comes here", name)
	case err != nil:
		u.seen += ", which could not be looked up"
	default:
		u.seen += fmt.Sprintf(", which has %d addresses", len(found))
	}
	return nil
}

func (p *patient) certificate(_ context.Context, u *checkup) error {
	v, faults, err := p.lookAtCertificate()
	if err != nil {
		return err
	}
	u.findings = append(u.findings, faults...)
	u.seen = "none yet: maild makes one when it starts"
	if v != nil {
		u.seen = fmt.Sprintf("%s, %s, %d days left", v.Subject, v.issuer(), v.DaysLeft)
	}
	return nil
}

// listeners sees that each can be opened, or is open and ours.
func (p *patient) listeners(ctx context.Context, u *checkup) error {
	if p.box.file == "" {
		u.left = "no configuration was read"
		return nil
	}
	up, err := p.daemonUp()
	if err != nil {
		return err
	}
	list, err := listeners(p.box.cfg.Listen)
	if err != nil {
		return err
	}
	for _, l := range list {
		_, port, _ := net.SplitHostPort(l.Address)
		switch {
		case !isOurs(l.Address):
			u.fault("ip address show   # then correct [listen] in "+shellWord(p.box.file), "%s (%s) is no address of this machine", l.Address, l.Kind)
		case up && l.State == portClosed && handed(list):
			u.notice("systemctl list-sockets", "nothing listens on %s (%s): that is right if systemd hands maild other sockets", l.Address, l.Kind)
		case up && l.State == portClosed:
			u.fault("sudo systemctl restart maild", "the daemon runs, but nothing listens on %s (%s)", l.Address, l.Kind)
		case up && l.State == portOpen && l.Kind != "submissions" && !p.greets(ctx, l):
			u.fault(fmt.Sprintf("sudo ss -lntp 'sport = :%s'   # then stop that program, and: sudo systemctl restart maild", port), "what listens on %s (%s) is not this maild", l.Address, l.Kind)
		case !up && l.State == portOpen && l.Kind != "lmtp":
			u.notice(fmt.Sprintf("sudo ss -lntp 'sport = :%s'   # systemd itself is right, if it holds the socket for maild", port), "maild does not run, and something listens on %s (%s)", l.Address, l.Kind)
		}
	}
	u.seen = fmt.Sprintf("%d of the configuration", len(list))
	if !up {
		u.seen += "; no daemon runs"
		if !p.box.copied {
			u.fault("sudo systemctl start maild", "no daemon runs on %s, so no mail comes in", p.box.cfg.DataDir)
		}
	}
	return nil
}

// isOurs reports whether an address of the configuration can be listened on: it is a wildcard, or belongs to an interface.
func isOurs(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "" || host == "localhost" {
		return true // a socket's path is no host and port either
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.IsUnspecified() || ip.IsLoopback() {
		return true
	}
	addresses, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(addresses, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap() == ip.WithZone("").Unmap()
	})
}

// greets reports whether a listener names our host in its greeting: RFC 5321 §4.2. One that greets too late or not at all may only be busy.
func (p *patient) greets(ctx context.Context, l listenerView) bool {
	network, address := "tcp", l.Address
	if l.Kind == "lmtp" {
		network = "unix"
	} else if host, port, _ := net.SplitHostPort(l.Address); host == "" {
		address = net.JoinHostPort("localhost", port)
	} else if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		address = net.JoinHostPort("localhost", port)
	}
	ctx, cancel := context.WithTimeout(ctx, greetPatience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return true
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return true
		}
	}
	greeting := make([]byte, 512)
	n, err := conn.Read(greeting)
	if err != nil {
		return true
	}
	if _, err := conn.Write([]byte("QUIT\r\n")); err == nil {
		_, _ = conn.Read(greeting[n:]) // lets the daemon end the session in order
	}
	text := string(greeting[:n])
	return strings.HasPrefix(text, "421") || strings.HasPrefix(text, "220 "+p.box.cfg.Hostname)
}

// watches holds the number of directories against what the kernel watches for one user.
func (p *patient) watches(_ context.Context, u *checkup) error {
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_user_watches")
	if err != nil {
		u.left = "the kernel does not tell its limit"
		return nil
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return fmt.Errorf("limit of watches: %w", err)
	}
	p.enoughWatches(u, limit)
	return nil
}

// enoughWatches: a folder takes two, its new/ and cur/, or one, while they are not there; an account, a domain and the whole one each.
func (p *patient) enoughWatches(u *checkup, limit int64) {
	needed := 3*p.folders + 1
	u.seen = fmt.Sprintf("%d at most for %d folders, of %d", needed, p.folders, limit)
	if float64(needed) > watchShare*float64(limit) {
		want := 2 * max(needed, limit)
		u.fault(fmt.Sprintf("echo fs.inotify.max_user_watches=%d | sudo tee /etc/sysctl.d/60-maild.conf && sudo sysctl --system", want),
			"%d folders need up to %d watches, and the kernel gives %d: changes by other programs are found late", p.folders, needed, limit)
	}
}

func (p *patient) disk(ctx context.Context, u *checkup) error {
	var v statusView
	if err := p.lookAtDisk(ctx, &v); err != nil {
		return err
	}
	for _, problem := range v.Problems {
		u.fault("df -h "+shellWord(p.box.cfg.DataDir)+" && df -i "+shellWord(p.box.cfg.DataDir), "%s", problem)
	}
	u.seen = fmt.Sprintf("%s free of %s", shortSize(v.Disk.FreeOctets), shortSize(v.Disk.TotalOctets))
	return nil
}

// clock: the times of mail are this machine's, and certificates have theirs.
func (p *patient) clock(ctx context.Context, u *checkup) error {
	now := p.world.now()
	v, _, err := p.lookAtIndex(ctx)
	if err != nil {
		return err
	}
	if v.last != nil && v.last.Arrived.After(now.Add(futureLeeway)) {
		u.fault("date && timedatectl", "mail arrived in the future, %s, for %s: the clock is wrong, or was", v.last.Arrived.Format(time.RFC3339), v.last.Account)
	}
	u.seen = now.UTC().Format(time.RFC3339)
	if p.box.copied {
		return nil
	}
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err == nil && t.Status&unix.STA_UNSYNC != 0 {
		u.notice("sudo timedatectl set-ntp true", "the clock is not kept by the network")
	}
	return nil
}
