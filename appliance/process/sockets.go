package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// firstInherited is SD_LISTEN_FDS_START of sd_listen_fds(3).
const firstInherited = 3

// Inherited returns the listening sockets that whoever started this process has
// handed over (sd_listen_fds(3)): by systemd, so that no connection is refused
// while the daemon restarts; by tests, so that nothing races for a port. They are
// named by LISTEN_FDNAMES; a socket without a useful name gets "".
//
// QUIRK: LISTEN_PID may be missing, for a parent cannot know the pid of a child
// before it starts it. The variables are removed, so that children do not see
// them. It must be called once, before other descriptors are opened.
func Inherited() (map[string][]net.Listener, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(v)
	}
	if count == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 64 {
		return nil, fmt.Errorf("LISTEN_FDS=%q is not a number of sockets", count)
	}
	name := strings.Split(names, ":")
	found := map[string][]net.Listener{}
	for i := range n {
		l, err := inherit(firstInherited + i)
		if err != nil {
			return nil, fmt.Errorf("inherited socket %d: %w", firstInherited+i, err)
		}
		key := ""
		if i < len(name) && names != "" {
			key = name[i]
		}
		found[key] = append(found[key], l)
	}
	return found, nil
}

func inherit(fd int) (net.Listener, error) {
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "inherited")
	if f == nil {
		return nil, errors.New("not open")
	}
	defer f.Close() // FileListener has a descriptor of its own
	l, err := net.FileListener(f)
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // the path is its maker's
	}
	return l, err
}
