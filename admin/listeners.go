package admin

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"maild/appliance/config"
)

// listenerView is a listener of the configuration in JSON.
type listenerView struct {
	Kind    string `json:"kind"` // mx, submission, submissions, lmtp
	Address string `json:"address"`
	State   string `json:"state"` // open: a program listens there; closed; unknown
}

// The states of a listener.
const (
	portOpen    = "open"
	portClosed  = "closed"
	portUnknown = "unknown"
)

// listeners says of each listener of the configuration whether a program listens there. The kernel's own tables tell, so nobody is connected to.
func listeners(cfg config.Listen) ([]listenerView, error) {
	tcp, err := tcpListening()
	if err != nil {
		return nil, err
	}
	list := []listenerView{}
	for _, kind := range []struct {
		name      string
		addresses []string
	}{{"mx", cfg.MX}, {"submission", cfg.Submission}, {"submissions", cfg.Submissions}} {
		for _, address := range kind.addresses {
			v := listenerView{kind.name, address, portClosed}
			switch _, port, _ := net.SplitHostPort(address); {
			case strings.Trim(port, "0") == "":
				v.State = portUnknown // any free port was asked for
			case slices.ContainsFunc(tcp, func(l netip.AddrPort) bool { return listensFor(l, address) }):
				v.State = portOpen
			}
			list = append(list, v)
		}
	}
	if cfg.LMTP != "" {
		v := listenerView{"lmtp", cfg.LMTP, portClosed}
		open, err := unixListening(cfg.LMTP)
		if err != nil {
			return nil, err
		}
		if open {
			v.State = portOpen
		}
		list = append(list, v)
	}
	return list, nil
}

// handed reports whether a running daemon seems to have its sockets from the service manager, which then counts and not the configuration: it does not start
// unless all of its own are open, so that none is says it has others.
func handed(list []listenerView) bool {
	return !slices.ContainsFunc(list, func(l listenerView) bool { return l.State == portOpen })
}

// listensFor reports whether a socket takes what is meant for an address of the configuration.
func listensFor(l netip.AddrPort, address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || uint16(n) != l.Port() {
		return false
	}
	at := l.Addr().Unmap()
	switch {
	case at.IsUnspecified():
		return true
	case host == "localhost":
		return at.IsLoopback()
	}
	want, err := netip.ParseAddr(host)
	return err == nil && want.Unmap() == at
}

// tcpListening are the addresses where the kernel takes connections: proc_net(5).
func tcpListening() ([]netip.AddrPort, error) {
	var list []netip.AddrPort
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("look at the ports: %w", err)
		}
		list = append(list, parseListening(string(text))...)
	}
	return list, nil
}

// listenState is TCP_LISTEN.
const listenState = "0A"

// parseListening reads a table of sockets as in /proc/net/tcp.
func parseListening(table string) []netip.AddrPort {
	var list []netip.AddrPort
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != listenState {
			continue
		}
		address, port, _ := strings.Cut(fields[1], ":")
		raw, err := hex.DecodeString(address)
		if err != nil || len(raw)%4 != 0 {
			continue
		}
		for i := 0; i < len(raw); i += 4 {
			slices.Reverse(raw[i : i+4]) // words in the order of a little-endian machine
		}
		ip, ok := netip.AddrFromSlice(raw)
		n, err := strconv.ParseUint(port, 16, 16)
		if ok && err == nil {
			list = append(list, netip.AddrPortFrom(ip, uint16(n)))
		}
	}
	return list
}

// acceptsConnections is __SO_ACCEPTCON among the flags of a Unix socket in /proc/net/unix.
const acceptsConnections = 1 << 16

// unixListening reports whether a program listens on the Unix socket at path.
func unixListening(path string) (bool, error) {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return false, fmt.Errorf("look at the sockets: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 8)
		if len(fields) < 8 || strings.TrimLeft(fields[7], " 0123456789") != path {
			continue
		}
		if flags, err := strconv.ParseUint(fields[3], 16, 64); err == nil && flags&acceptsConnections != 0 {
			return true, nil
		}
	}
	return false, nil
}
