// Package process is what a process of the appliance is to the system: the user
// it runs as, the lock that says it is there, the sockets it is handed, and what
// it tells the service manager.
package process

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Become makes a process of root's one of the named user's, for good: groups,
// group, then user, on all threads. It does nothing for any other user, who
// cannot change and need not.
func Become(name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("user %q does not exist: make it with \"adduser --system --group --home /var/lib/maild %s\", or name another in the configuration (user = …)", name, name)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		return fmt.Errorf("user %q has no numeric ids: %s, %s", name, u.Uid, u.Gid)
	}
	return become(uid, gid)
}

// BecomeOwner makes a process of root's one of the user's who owns path, so that
// no file made there ends up root's. It does nothing where root owns path.
func BecomeOwner(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("owner of %s: %w", path, err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil
	}
	return become(int(st.Uid), int(st.Gid))
}

func become(uid, gid int) error {
	if uid == 0 {
		return nil
	}
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return fmt.Errorf("set groups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("become group %d: %w", gid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("become user %d: %w", uid, err)
	}
	if syscall.Setuid(0) == nil {
		return fmt.Errorf("become user %d: root could be taken back", uid)
	}
	return nil
}
