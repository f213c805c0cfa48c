package index

import (
	"context"
	"time"
)

// Event says that something changed in the files, in the order in which it happened.
type Event struct {
	// Account and Folder say where. Folder is "" when folders of the account were made, renamed or removed, or cannot be told apart;
	// Account is "" when everything may have changed: accounts came or went, or events were lost.
	Account, Folder string
	File            File // the file that is there now: Key, Flags and New. With Key "" the folder as a whole must be looked at
	Gone            bool // File was removed or renamed away
	Touched         bool // its content or time changed, its name did not (written, touched)

	at time.Time // when it was told
}

// Follower is a Source that tells of changes as they happen.
type Follower interface {
	// Follow calls tell, from one goroutine, for every change, until ctx ends, which is no error. It begins with Event{} as soon as it
	// is watching, since everything may have changed before. While tell runs nothing further is told, and what waits too long is lost:
	// another Event{} follows then. An error means that nothing is watched any more.
	Follow(ctx context.Context, tell func(Event)) error
}

// Watches says how much a Follower is watching.
type Watches struct {
	Directories int
	Full        bool // the kernel's limit was reached, some directories are not watched
}
