package maildir

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Key is a message's file name without its flags. It identifies the message for as long as it exists and is never reused.
// Foreign programs may have made it of any bytes but NUL and the slash.
type Key string

// infoMark separates the key from the flags.
const infoMark = ":2,"

// maxNameOctets is the longest file name of Linux file systems.
const maxNameOctets = 255

// Entry says where a message was seen. It holds no resources; the message may have been renamed since.
type Entry struct {
	Folder string // decoded name, such as Inbox or "Archive.2026"
	Key    Key
	Flags  Flags
	New    bool // in new/, not yet taken by a mail reader
}

// FileName returns the name under which this package would file e in new/ or cur/, without the directory.
func (e Entry) FileName() string {
	if e.New && e.Flags == "" && !strings.Contains(string(e.Key), infoMark) {
		return string(e.Key)
	}
	return string(e.Key) + infoMark + string(e.Flags)
}

// Octets returns the message's size in octets with LF line ends, as its key tells it in S=; false when it does not.
func (e Entry) Octets() (int64, bool) { return e.Key.size("S=") }

// WireOctets returns the message's size in octets with CRLF line ends, as its key tells it in W=; false when it does not.
func (e Entry) WireOctets() (int64, bool) { return e.Key.size("W=") }

// sub names the directory that holds e.
func (e Entry) sub() string {
	if e.New {
		return subNew
	}
	return subCur
}

// size finds one of the comma-separated fields behind the unique part of a key.
func (k Key) size(field string) (int64, bool) {
	_, rest, more := strings.Cut(string(k), ",")
	for more {
		var part string
		part, rest, more = strings.Cut(rest, ",")
		if digits, ok := strings.CutPrefix(part, field); ok {
			n, err := strconv.ParseUint(digits, 10, 63)
			return int64(n), err == nil
		}
	}
	return 0, false
}

// valid reports whether k can be a message's file name, so that a key from outside never names anything else.
func (k Key) valid() bool {
	return k != "" && k[0] != '.' && !strings.ContainsAny(string(k), "/\x00")
}

// ParseFileName splits the name of a file in new/ or cur/. It reports false for what cannot be a message: an empty
// name or key, a name with a slash, and names that begin with a dot, which the specification says to pass over.
// Where ":2," is followed by bytes that cannot be flags, the whole name is the key.
func ParseFileName(base string) (Key, Flags, bool) {
	key, flags := base, Flags("")
	if i := strings.LastIndex(base, infoMark); i >= 0 {
		if info := base[i+len(infoMark):]; allFlags(info) {
			key, flags = base[:i], ParseFlags(info)
		}
	}
	return Key(key), flags, Key(key).valid()
}

func allFlags(s string) bool {
	for i := range len(s) {
		if !isFlag(s[i]) {
			return false
		}
	}
	return true
}

// Names makes unique file names for one host: the time in microseconds, the process, and a counter. The counter begins at
// a random number, so that neither a clock set back nor a process id used again (always 1 in a container) repeats a
// name. Safe for concurrent use.
type Names struct {
	host    string
	pid     int
	counter atomic.Uint64
}

// NewNames returns a generator for host, usually the result of [os.Hostname].
func NewNames(host string) *Names {
	n := &Names{host: sanitiseHost(host), pid: os.Getpid()}
	var seed [4]byte
	rand.Read(seed[:]) // crypto/rand.Read never returns an error
	n.counter.Store(uint64(binary.BigEndian.Uint32(seed[:])))
	return n
}

// Next returns a name that was not returned before.
func (n *Names) Next() string {
	now := time.Now()
	count := n.counter.Add(1)
	name := make([]byte, 0, 64+len(n.host))
	name = strconv.AppendInt(name, now.Unix(), 10)
	name = append(name, ".M"...)
	name = strconv.AppendInt(name, int64(now.Nanosecond()/1000), 10)
	name = append(name, 'P')
	name = strconv.AppendInt(name, int64(n.pid), 10)
	name = append(name, 'Q')
	name = strconv.AppendUint(name, count, 10)
	name = append(name, '.')
	name = append(name, n.host...)
	return string(name)
}

// sized adds the two sizes to a unique name.
func sized(name string, octets, wireOctets int64) Key {
	buf := make([]byte, 0, len(name)+24)
	buf = append(buf, name...)
	buf = append(buf, ",S="...)
	buf = strconv.AppendInt(buf, octets, 10)
	buf = append(buf, ",W="...)
	buf = strconv.AppendInt(buf, wireOctets, 10)
	return Key(buf)
}

// maxHostOctets keeps names well under maxNameOctets, with room for flags.
const maxHostOctets = 100

// sanitiseHost writes what cannot stand in a name as a backslash and three octal digits: the specification asks it for the
// slash and the colon; the comma begins our fields, and the rest would be trouble in listings.
func sanitiseHost(host string) string {
	var b strings.Builder
	for i := range len(host) {
		if b.Len() > maxHostOctets-4 {
			break
		}
		if c := host[i]; isFlag(c) && c != ':' && c != ',' && c != '\\' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	if b.Len() == 0 {
		return "localhost"
	}
	return b.String()
}
