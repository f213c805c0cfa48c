//go:build !amd64 && !386

package maildir

import "syscall"

const sysSyncFS = syscall.SYS_SYNCFS
