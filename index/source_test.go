package index

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"maild/index/header"
	"maild/index/query"
)

// mapSource is a Source in memory: a tree of accounts, folders and files with directory times.
type mapSource struct {
	mu       sync.Mutex
	accounts map[string]map[string]*mapFolder
	reads    int
	scans    int
	toScan   func() // called before each Scan, outside of the lock
	onScan   func() // called in the middle of each Scan, outside of the lock
}

type mapFolder struct {
	stamp Stamp
	files map[string]mapFile
}

type mapFile struct {
	File
	text string
}

func newMapSource() *mapSource {
	return &mapSource{accounts: map[string]map[string]*mapFolder{}}
}

// longAgo is when the synthetic directories were changed, unless a test says otherwise: old enough to be trusted.
var longAgo = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// put stores a message and gives what Record would be told about it.
func (s *mapSource) put(p place, f File, text string) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accounts[p.account] == nil {
		s.accounts[p.account] = map[string]*mapFolder{}
	}
	d := s.accounts[p.account][p.folder]
	if d == nil {
		d = &mapFolder{stamp: Stamp{longAgo.UnixNano(), longAgo.UnixNano()}, files: map[string]mapFile{}}
		s.accounts[p.account][p.folder] = d
	}
	if f.Arrived.IsZero() {
		f.Arrived = longAgo.Add(time.Duration(len(d.files)) * time.Second)
	}
	if f.Octets == 0 {
		f.Octets = int64(len(text))
	}
	d.change(f.Key)
	d.files[f.Key] = mapFile{f, text}
	d.change(f.Key)
	return Message{
		Account: p.account, Folder: p.folder, Key: f.Key, Flags: f.Flags, New: f.New, Octets: f.Octets, Arrived: f.Arrived,
		Header: header.Parse([]byte(text)),
	}
}

func (s *mapSource) remove(p place, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.accounts[p.account][p.folder]
	d.change(key)
	delete(d.files, key)
}

// change gives the directory that a file is in another time.
func (d *mapFolder) change(key string) {
	f, ok := d.files[key]
	switch {
	case ok && f.New:
		d.stamp.New++
	case ok:
		d.stamp.Cur++
	}
}

func (s *mapSource) Accounts(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for a := range s.accounts {
		list = append(list, a)
	}
	slices.Sort(list)
	return list, nil
}

func (s *mapSource) Folders(_ context.Context, account string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for f := range s.accounts[account] {
		list = append(list, f)
	}
	slices.Sort(list)
	return list, nil
}

func (s *mapSource) folder(account, folder string) (*mapFolder, error) {
	d := s.accounts[account][folder]
	if d == nil {
		return nil, fmt.Errorf("%s %s: %w", account, folder, fs.ErrNotExist)
	}
	return d, nil
}

func (s *mapSource) Stamp(_ context.Context, account, folder string) (Stamp, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.folder(account, folder)
	if err != nil {
		return Stamp{}, err
	}
	return d.stamp, nil
}

func (s *mapSource) Scan(_ context.Context, account, folder string, part Part, fn func(File) error) error {
	s.mu.Lock()
	if toScan := s.toScan; toScan != nil {
		s.mu.Unlock()
		toScan()
		s.mu.Lock()
	}
	d, err := s.folder(account, folder)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	s.scans++
	var list []File
	for _, f := range d.files {
		if f.New || part == WholeFolder {
			list = append(list, File{Key: f.Key, Flags: f.Flags, New: f.New})
		}
	}
	onScan := s.onScan
	s.mu.Unlock()
	for i, f := range list {
		if onScan != nil && i == len(list)/2 {
			onScan()
		}
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

func (s *mapSource) Stat(_ context.Context, account, folder string, f File) (File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.folder(account, folder)
	if err != nil {
		return f, err
	}
	if file, ok := d.files[f.Key]; ok {
		return file.File, nil
	}
	return f, fs.ErrNotExist
}

func (s *mapSource) Probe(_ context.Context, account, folder string, f File, _ ...File) (File, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.accounts[account][folder]
	if d == nil {
		return f, false, nil
	}
	now, ok := d.files[f.Key]
	return now.File, ok, nil
}

func (s *mapSource) Read(_ context.Context, account, folder string, f File, want Want) (Content, File, error) {
	s.mu.Lock()
	d, err := s.folder(account, folder)
	if err != nil {
		s.mu.Unlock()
		return Content{}, f, err
	}
	s.reads++
	file, ok := d.files[f.Key]
	s.mu.Unlock()
	if !ok {
		return Content{}, f, fmt.Errorf("%s: %w", f.Key, fs.ErrNotExist)
	}
	block, err := header.ReadBlock(strings.NewReader(file.text))
	c := Content{Header: block}
	_, body, _ := strings.Cut(file.text, "\n\n")
	if want >= WantContent {
		c.Attachment = strings.Contains(body, "ATTACHMENT")
	}
	if want >= WantText {
		c.Text = body
	}
	return c, file.File, err
}

var inbox = place{"ann@example.org", "INBOX"}

// letter is a small message.
func letter(id, from, subject string) string {
	return fmt.Sprintf("From: %s\nTo: Ann <ann@example.org>\nSubject: %s\nMessage-ID: <%s>\nDate: Mon, 23 Nov 2026 15:00:33 +0000\nX-Trace: hop %s\n\nbody\n",
		from, subject, id, id)
}

func openTest(t testing.TB, opt Options) *Index {
	t.Helper()
	if opt.Path == "" {
		opt.Path = filepath.Join(t.TempDir(), "index.db")
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	ix, err := Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ix.Close(); err != nil {
			t.Error(err)
		}
	})
	return ix
}

// runTest starts Run and stops it when the test ends, or when stop is called.
func runTest(t testing.TB, ix *Index) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- ix.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	for !ix.running.Load() {
		time.Sleep(time.Millisecond) // the state is what is waited for
	}
	return stop
}

func keysOf(t testing.TB, ix *Index, q Query) []string {
	t.Helper()
	keys := []string{}
	var ids, alone []int64
	if err := ix.Search(t.Context(), q, func(m Message) error {
		keys, ids = append(keys, m.Key), append(ids, m.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := ix.IDs(t.Context(), q, func(id int64) error { alone = append(alone, id); return nil }); err != nil || !slices.Equal(ids, alone) {
		t.Errorf("ids %v, alone %v, %v", ids, alone, err)
	}
	return keys
}

func reconcile(t testing.TB, ix *Index, opt ReconcileOptions) Report {
	t.Helper()
	r, err := ix.Reconcile(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func flush(t testing.TB, ix *Index) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := ix.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// ask makes a query of a text, which must be right.
func ask(text string) Query {
	x, err := query.Parse(text, query.Options{Now: longAgo, Body: true})
	if err != nil {
		panic(err)
	}
	return Query{Where: x}
}
