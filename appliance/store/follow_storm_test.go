package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// storm is somebody who does things at random below a mail directory. Most of it may fail: another has been there before.
type storm struct {
	root string
	id   int
	rng  *rand.Rand
	made int
}

func (s *storm) pick(names ...string) string { return names[s.rng.IntN(len(names))] }

func (s *storm) account() string {
	return filepath.Join(s.root, s.pick("example.org", "example.org", "example.net"), s.pick("ann", "bob", "zoe"))
}

func (s *storm) folder() string {
	return filepath.Join(s.account(), s.pick(".", ".", ".A", ".B", ".B.x", ".Entwürfe", ".Entw&APw-rfe"))
}

// message is any file in a folder.
func (s *storm) message() (path string, ok bool) {
	dir := filepath.Join(s.folder(), s.pick("new", "cur"))
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return "", false
	}
	return filepath.Join(dir, entries[s.rng.IntN(len(entries))].Name()), true
}

func (s *storm) makeFolder(dir string) {
	for _, sub := range []string{"tmp", "new", "cur"} {
		_ = os.MkdirAll(filepath.Join(dir, sub), 0o700)
	}
}

func (s *storm) step() {
	switch n := s.rng.IntN(100); {
	case n < 45:
		s.made++
		dir := filepath.Join(s.folder(), s.pick("new", "cur"))
		_ = os.WriteFile(filepath.Join(dir, fmt.Sprintf("m%d.%d:2,", s.id, s.made)), nil, 0o600)
	case n < 80:
		s.file(n)
	case n < 88:
		s.makeFolder(s.folder())
	case n < 93:
		if from := s.folder(); filepath.Base(from)[0] == '.' {
			_ = os.Rename(from, filepath.Join(s.account(), s.pick(".A", ".B", ".B.x", ".C")))
		}
	case n < 96:
		if dir := s.folder(); filepath.Base(dir)[0] == '.' {
			_ = os.RemoveAll(dir)
		}
	case n < 97:
		_ = os.Rename(filepath.Join(s.folder(), "new"), filepath.Join(s.folder(), s.pick("new", "old")))
	case n < 99:
		_ = os.Rename(s.account(), s.account())
	default:
		if s.rng.IntN(4) == 0 {
			_ = os.Rename(filepath.Join(s.root, "example.net"), filepath.Join(s.root, "example.com"))
		} else {
			_ = os.RemoveAll(s.account())
		}
	}
}

// file renames, moves or removes a message.
func (s *storm) file(n int) {
	path, ok := s.message()
	if !ok {
		return
	}
	key, _, _ := strings.Cut(filepath.Base(path), ":2,")
	switch {
	case n < 62:
		_ = os.Rename(path, filepath.Join(filepath.Dir(path), "../cur", key+":2,"+s.pick("", "S", "FS", "RS", "T")))
	case n < 74:
		_ = os.Rename(path, filepath.Join(s.folder(), "cur", key+":2,S"))
	default:
		_ = os.Remove(path)
	}
}

// Whatever happens at once, in the end all is known and all is watched.
func TestFollowStorm(t *testing.T) {
	t.Parallel()
	v := follow(t, standard)
	for round := range 4 {
		var storms sync.WaitGroup
		for id := range 4 {
			s := &storm{root: v.root, id: round*4 + id, rng: rand.New(rand.NewPCG(uint64(round), uint64(id)))}
			storms.Go(func() {
				for range 500 {
					s.step()
				}
			})
		}
		storms.Wait()
		v.probe()
		v.folder(ann, "new/n1")
		v.folder(bob+"/.A", "new/n1")
		v.folder("example.net/zoe/.B")
	}
}
