package admin

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// digest is what stands for something that must not be taken for something else: half of a SHA-256.
type digest [16]byte

// digestOf is the digest of a list of texts. The first says what they are.
func digestOf(parts ...string) digest {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		io.WriteString(h, p)
	}
	return digest(h.Sum(nil)[:len(digest{})])
}

// firstSlots is the size of a new set: half a megabyte of a sparse file.
const firstSlots = 1 << 15

// digestSet is a set that needs no memory: a hash table in a file that has no name, of slots that are empty (zero) or hold a digest. It is gone
// with the process. Not safe for concurrent use.
type digestSet struct {
	file  *os.File
	slots uint64 // a power of two
	count uint64
}

func newDigestSet() (*digestSet, error) {
	f, err := slotFile(firstSlots)
	if err != nil {
		return nil, err
	}
	return &digestSet{file: f, slots: firstSlots}, nil
}

// slotFile makes a file of empty slots.
func slotFile(slots uint64) (*os.File, error) {
	f, err := os.CreateTemp("", "mailctl-")
	if err != nil {
		return nil, fmt.Errorf("temporary file: %w", err)
	}
	err = errors.Join(os.Remove(f.Name()), f.Truncate(int64(slots)*int64(len(digest{}))))
	if err != nil {
		return nil, fmt.Errorf("temporary file: %w", errors.Join(err, f.Close()))
	}
	return f, nil
}

func (s *digestSet) close() error { return s.file.Close() }

// find gives the slot of d, or the empty one where it would be.
func (s *digestSet) find(d digest) (slot uint64, found bool, err error) {
	mask := s.slots - 1
	for slot = binary.BigEndian.Uint64(d[:8]) & mask; ; slot = (slot + 1) & mask {
		var got digest
		if _, err := s.file.ReadAt(got[:], int64(slot)*int64(len(d))); err != nil {
			return 0, false, fmt.Errorf("temporary file: %w", err)
		}
		if got == d || got == (digest{}) {
			return slot, got == d, nil
		}
	}
}

// has reports whether d is in the set.
func (s *digestSet) has(d digest) (bool, error) {
	_, found, err := s.find(d)
	return found, err
}

// add puts d into the set, and reports whether it was not there.
func (s *digestSet) add(d digest) (bool, error) {
	slot, found, err := s.find(d)
	if err != nil || found {
		return false, err
	}
	if _, err := s.file.WriteAt(d[:], int64(slot)*int64(len(d))); err != nil {
		return false, fmt.Errorf("temporary file: %w", err)
	}
	if s.count++; s.count > s.slots/2 {
		return true, s.grow()
	}
	return true, nil
}

// grow doubles the table.
func (s *digestSet) grow() error {
	f, err := slotFile(2 * s.slots)
	if err != nil {
		return err
	}
	old := s.file
	*s = digestSet{file: f, slots: 2 * s.slots}
	buf := make([]byte, firstSlots*len(digest{}))
	for at := int64(0); ; at += int64(len(buf)) {
		n, err := old.ReadAt(buf, at)
		for i := 0; i+len(digest{}) <= n; i += len(digest{}) {
			if d := digest(buf[i:]); d != (digest{}) {
				if _, err := s.add(d); err != nil {
					return errors.Join(err, old.Close())
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return old.Close()
		}
		if err != nil {
			return fmt.Errorf("temporary file: %w", errors.Join(err, old.Close()))
		}
	}
}
