package process

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Right is one of root's that a process may keep for files of others.
type Right int

// The rights, for BecomeOwnerKeeping.
const (
	ReadAnywhere  Right = iota // read every file and directory
	WriteAnywhere              // and write there; what is made belongs to the new user nevertheless
)

// capabilities are what a right can be made of, the least first. See capabilities(7).
func (r Right) capabilities() []uint {
	if r == ReadAnywhere {
		return []uint{unix.CAP_DAC_READ_SEARCH, unix.CAP_DAC_OVERRIDE} // containers often have the second alone
	}
	return []uint{unix.CAP_DAC_OVERRIDE}
}

// BecomeOwnerKeeping is BecomeOwner for a command that root has given files of others to work on, which the owner of path may not open. The
// right is the calling goroutine's alone, and that stays on its thread from here on. Where root does not have it, as in some containers, it is
// not kept, and opening such a file will say so.
func BecomeOwnerKeeping(path string, r Right) error {
	if os.Geteuid() != 0 {
		return nil
	}
	// Capabilities are a thread's: the one that keeps them is not used for anything else.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keep rights: %w", err)
	}
	if err := BecomeOwner(path); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		return nil // path is root's
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have, keep [2]unix.CapUserData
	if err := unix.Capget(&header, &have[0]); err != nil {
		return fmt.Errorf("keep rights: %w", err)
	}
	for _, c := range r.capabilities() {
		if bit := uint32(1) << (c % 32); have[c/32].Permitted&bit != 0 {
			keep[c/32].Permitted, keep[c/32].Effective = bit, bit
			break
		}
	}
	if err := unix.Capset(&header, &keep[0]); err != nil {
		return fmt.Errorf("keep rights: %w", err)
	}
	return nil
}
