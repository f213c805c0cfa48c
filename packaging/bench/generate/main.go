// Generate writes mail trees to measure with: the same flags give the same tree, octet for octet, on every machine.
//
//	go run ./packaging/bench/generate -messages 100000 DIR
//
// DIR becomes what maild keeps as mail/: DIR/DOMAIN/USER is a Maildir++ tree with the folders INBOX and Archive.YEAR. Words and
// people follow Zipf's law, as they do in real mail; two thirds of the messages answer an earlier one, with References and
// In-Reply-To. 14 % are unread, 2 % flagged, 5 % carry an attachment, 10 % come from a list; one in a thousand has Japanese in the
// subject, another Russian. A file's time is the message's date.
//
// A message depends on the seed, the number of accounts and its own number, on no other message. So -first adds to a tree what
// would have come next. On standard output comes one JSON object: what was written, and words and a Message-ID to search for.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// options are the flags.
type options struct {
	messages int           // how many to write
	first    int           // number of the first one
	accounts int           // user0, user1, …
	size     int64         // mean octets of a message; 0 leaves bodies empty
	seed     uint64        // another seed, another tree
	step     time.Duration // between a message and the next
	arriving bool          // all into INBOX/new, as if delivered just now
	root     string
}

// chunk is how many messages a worker takes at a time.
const chunk = 500

func main() {
	o := options{}
	flag.IntVar(&o.messages, "messages", 6000, "write `N` messages")
	flag.IntVar(&o.first, "first", 0, "begin with message number `N`")
	flag.IntVar(&o.accounts, "accounts", 10, "for `A` accounts in turn")
	flag.Int64Var(&o.size, "size", 5700, "of `octets` on average; 0 leaves the bodies empty")
	flag.Uint64Var(&o.seed, "seed", 1, "`S` chooses one of many trees")
	flag.DurationVar(&o.step, "step", 15*time.Minute, "`time` between a message and the next")
	flag.BoolVar(&o.arriving, "arriving", false, "put all into INBOX, unseen")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "generate [flags] DIR: write Maildirs with mail to measure with into DIR/DOMAIN/USER\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	o.root = flag.Arg(0)
	if err := run(o, flag.NArg()); err != nil {
		fmt.Fprintf(os.Stderr, "generate: %v\n", err)
		os.Exit(1)
	}
}

// run writes the tree and says what is in it.
func run(o options, arguments int) error {
	switch {
	case arguments != 1:
		return errors.New("one directory is needed, after the flags: generate -messages 1000 DIR")
	case o.messages < 0 || o.first < 0 || o.size < 0 || o.step < 0:
		return errors.New("-messages, -first, -size and -step cannot be negative")
	case o.accounts < 1:
		return errors.New("-accounts must be 1 or more")
	}
	f, err := write(o)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f.answer())
}

// write shares the messages out among as many workers as there are cores.
func write(o options) (*facts, error) {
	w := newWorld(o)
	next := make(chan int)
	var mu sync.Mutex // guards all and failed
	all, failed := newFacts(), error(nil)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			p := &postman{world: w, facts: newFacts(), made: map[string]bool{}}
			for from := range next {
				for i := from; i < min(from+chunk, o.first+o.messages) && p.err == nil; i++ {
					p.err = p.deliver(i)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(p.facts)
			failed = errors.Join(failed, p.err)
		})
	}
	for i := o.first; i < o.first+o.messages; i += chunk {
		next <- i
	}
	close(next)
	workers.Wait()
	return all, failed
}
