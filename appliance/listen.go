package appliance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"maild/appliance/config"
	"maild/appliance/smtpd"
)

// Listeners are the open sockets of each kind.
type Listeners map[smtpd.Kind][]net.Listener

// Close closes them all.
func (ls Listeners) Close() error {
	var errs []error
	for _, list := range ls {
		for _, l := range list {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

// Listen opens the sockets that cfg names. Where inherited has any, under the
// names of the kinds (mx, submission, submissions, lmtp) or without a name and on
// such a port, they are used instead, and nothing is opened. Root must call it
// before it becomes another user.
func Listen(ctx context.Context, cfg config.Listen, inherited map[string][]net.Listener) (Listeners, error) {
	if len(inherited) > 0 {
		return sortInherited(inherited)
	}
	ls := Listeners{}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // MPTCP sockets are beyond Landlock's rules
	for _, want := range []struct {
		kind  smtpd.Kind
		addrs []string
	}{{smtpd.MX, cfg.MX}, {smtpd.Submission, cfg.Submission}, {smtpd.Submissions, cfg.Submissions}} {
		for _, addr := range want.addrs {
			l, err := lc.Listen(ctx, "tcp", addr)
			if err != nil {
				return nil, errors.Join(listenError(want.kind, addr, err), ls.Close())
			}
			ls[want.kind] = append(ls[want.kind], l)
		}
	}
	if cfg.LMTP != "" {
		l, err := listenUnix(cfg.LMTP)
		if err != nil {
			return nil, errors.Join(listenError(smtpd.LMTP, cfg.LMTP, err), ls.Close())
		}
		ls[smtpd.LMTP] = []net.Listener{l}
	}
	return ls, nil
}

// listenError says what to do about it, where that is known.
func listenError(kind smtpd.Kind, addr string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, os.ErrPermission):
		hint = ": ports below 1024 need root, which maild gives up at once, or a socket from systemd; or choose another port in [listen]"
	case isInUse(err):
		hint = ": another program listens there; stop it, or choose another address in [listen]"
	}
	return fmt.Errorf("listen %s on %s: %w%s", kind, addr, err, hint)
}

// listenUnix opens a Unix socket in the place of one that nobody listens on any
// more. Everybody on the box may connect: what LMTP accepts is mail to local users.
func listenUnix(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if isInUse(err) {
		c, dialErr := net.Dial("unix", path)
		if dialErr == nil {
			c.Close()
			return nil, err
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		l, err = net.Listen("unix", path)
	}
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o666)
}

// sortInherited finds out which kind each inherited socket is.
func sortInherited(inherited map[string][]net.Listener) (Listeners, error) {
	ls := Listeners{}
	for name, list := range inherited {
		for _, l := range list {
			kind, ok := kindOf(name, l.Addr())
			if !ok {
				return nil, fmt.Errorf("inherited socket %q on %s: name it mx, submission, submissions or lmtp (FileDescriptorName= in its .socket unit)", name, l.Addr())
			}
			ls[kind] = append(ls[kind], l)
		}
	}
	return ls, nil
}

func kindOf(name string, addr net.Addr) (smtpd.Kind, bool) {
	for _, kind := range []smtpd.Kind{smtpd.MX, smtpd.Submission, smtpd.Submissions, smtpd.LMTP} {
		if name == kind.String() {
			return kind, true
		}
	}
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return smtpd.LMTP, addr.Network() == "unix"
	}
	kind, ok := map[int]smtpd.Kind{25: smtpd.MX, 587: smtpd.Submission, 465: smtpd.Submissions}[tcp.Port]
	return kind, ok
}
