package maildir

// sysSyncFS is SYS_SYNCFS, which the table of package syscall ends before on this architecture.
const sysSyncFS = 306
