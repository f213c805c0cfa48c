// Package maildir keeps mail in Maildirs and Maildir++ trees on a local file system.
//
// # Layout
//
// A [Tree] is one account's directory:
//
//	tmp/ new/ cur/                  the INBOX
//	.Sent/{tmp,new,cur}             the folder "Sent"
//	.Archive.2026/{tmp,new,cur}     the folder "Archive.2026"; a dot separates levels, on disk all folders are siblings
//
// Folder names are written in modified UTF-7 (RFC 3501 §5.1.3). A message is one regular file in new/ or cur/:
//
//	<secs>.M<usec>P<pid>Q<n>.<host>,S=<octets>,W=<octets with CRLF>[:2,<flags>]
//
// The part before ":2," is the message's [Key]: its identity, never given to another message. Lines end in LF; [CRLF]
// gives the wire form. A delivered file is never rewritten: flags change by rename, copies are hard links.
//
// # Delivery
//
// Delivery has two phases, so that a message for several trees can be prepared in all of them before it appears in any:
//
//	s, err := tree.Stage()      // tmp/, O_EXCL, 0600
//	io.Copy(s, message)
//	s.Seal()                    // content on disk
//	other, err := s.Link(tree2) // same message, staged elsewhere
//	s.Commit()                  // rename into new/, fsync new/: only now is it delivered
//	other.Commit()
//
// A [Batch] brings in many at the price of a few syncs, under names that its caller may choose.
//
// A crash before Commit leaves at most a file in tmp/, which [Tree.CleanTmp] takes away after [StaleTmpAge].
//
// # Quota
//
// maildirsize, beside the INBOX's directories, tells other programs the limits of an account and what it holds, by the rules of Maildir++
// (https://www.courier-mta.org/imap/README.maildirquota.html): a line of limits, then lines of octets and messages to be added up.
// [Tree.AddSize] adds a line, [Tree.WriteSize] writes it anew, [Tree.Size] adds up the messages themselves. It holds nobody back here.
//
// # Other programs
//
// Any program may change a tree at any time. Operations on a message find it again when it was renamed meanwhile, and
// directory handles are compared with the path before they are used, so a directory that was moved away or made anew is
// never written to by mistake. Symbolic links inside a tree are never followed: a linked new/, cur/, tmp/, folder or message is
// passed over by scans and is an error when named. (The tree's own path may lead through links; that is the
// administrator's choice.) Files that other programs keep beside the mail (dovecot*, courierimap*, maildirsize, .Sent.cmeta
// and their like) are neither folders nor messages.
//
// The package needs Linux and nothing beyond the standard library.
package maildir
