// Package process is what a process of the appliance is to the system: the user
// it runs as, the lock that says it is there, the sockets it is handed, and what
// it tells the service manager.
package process

import (
	"errors"
	"fmt"
	"io/fs"
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
	uid, gid, err := lookUp(name)
	if err != nil {
		return err
	}
	return become(uid, gid)
}

// lookUp gives a user's ids.
func lookUp(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, fmt.Errorf("user %q does not exist: make it with \"adduser --system --group --home /var/lib/maild %s\", or name another in the configuration (user = …)", name, name)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, fmt.Errorf("user %q: %w", name, err)
	}
	return uid, gid, nil
}

// MakeDataDir makes the data directory where it is missing, durably (see MakeDir).
// Root makes it the named user's.
func MakeDataDir(path, owner string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if os.Geteuid() != 0 {
		return MakeDir(path, dataDirMode)
	}
	uid, gid, err := lookUp(owner)
	if err != nil {
		return err
	}
	if err := MakeDir(path, dataDirMode); err != nil {
		return err
	}
	if err := os.Chown(path, uid, gid); err != nil {
		return err
	}
	return SyncDir(path)
}

// dataDirMode lets the group of the daemon look at the files that allow it.
const dataDirMode = 0o750

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
