package maildir

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkDeliver measures one 4 kB message from Stage to Commit, by one writer and by several at once into one tree.
func BenchmarkDeliver(b *testing.B) {
	message := make([]byte, 4096)
	for i := range message {
		message[i] = "0123456789\n"[i%11]
	}
	for _, writers := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			tree := testTree(b)
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			work := make(chan struct{})
			done := make(chan error, writers)
			for range writers {
				go func() {
					var err error
					for range work {
						if err == nil {
							err = deliverOne(tree, message)
						}
					}
					done <- err
				}()
			}
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			for range writers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

func deliverOne(tree *Tree, message []byte) error {
	s, err := tree.Stage()
	if err != nil {
		return err
	}
	defer s.Abort()
	if _, err := s.Write(message); err != nil {
		return err
	}
	if err := s.Seal(); err != nil {
		return err
	}
	_, err = s.Commit()
	return err
}

// filled makes a folder of n messages with flags.
func filled(b *testing.B, n int) *Tree {
	tree := testTree(b)
	for i := range n {
		name := fmt.Sprintf("%d.M%dP1Q%d.host,S=4,W=5:2,%s", 1700000000+i, i, i, guessFlags(uint(i%4)))
		if err := os.WriteFile(filepath.Join(tree.Path(), "cur", name), []byte("abc\n"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return tree
}

// BenchmarkScan measures the listing of a folder of 20,000.
func BenchmarkScan(b *testing.B) {
	const messages = 20000
	tree := filled(b, messages)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := tree.Scan(Inbox, func(Entry) error { n++; return nil }); err != nil || n != messages {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.N)*messages/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkMessage measures what is done to one message of many.
func BenchmarkMessage(b *testing.B) {
	tree := filled(b, 20000)
	var entries []Entry
	if err := tree.Scan(Inbox, func(e Entry) error { entries = append(entries, e); return nil }); err != nil {
		b.Fatal(err)
	}
	for name, op := range map[string]func(e Entry) error{
		"open": func(e Entry) error {
			f, err := tree.OpenMessage(e)
			if err == nil {
				err = f.Close()
			}
			return err
		},
		"stat": func(e Entry) error { _, err := tree.StatMessage(e); return err },
		"find": func(e Entry) error { _, err := tree.Find(e.Folder, e.Key); return err },
		"flag": func(e Entry) error {
			if _, err := tree.ChangeFlags(e.Folder, e.Key, Trashed, ""); err != nil {
				return err
			}
			_, err := tree.ChangeFlags(e.Folder, e.Key, "", Trashed)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := op(entries[i%len(entries)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkStamp measures how an unchanged folder is recognised.
func BenchmarkStamp(b *testing.B) {
	tree := testTree(b)
	if err := tree.CreateFolder("Sent"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tree.Stamp("Sent"); err != nil {
			b.Fatal(err)
		}
	}
}
