package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"maild/index"
	"maild/maildir"
)

// spot is where a message is; fileState what its name says.
type spot struct{ account, folder, key string }

type fileState struct {
	flags string
	new   bool
}

// view is what somebody knows who believes the events and looks where they say so.
type view struct {
	t     *testing.T
	root  string
	boxes *Mailboxes

	probes  int // files that were put somewhere by probe
	mu      sync.Mutex
	files   map[spot]fileState
	events  []index.Event
	rescans int
}

// fence is an account that no case touches: what happens there comes after everything before.
const fence = "fence@fence.example"

func newView(t *testing.T) *view {
	v := &view{t: t, root: filepath.Join(t.TempDir(), "mail"), files: map[spot]fileState{}}
	v.boxes = OpenMailboxes(v.root)
	t.Cleanup(func() { v.boxes.Close() })
	return v
}

// follow prepares a mail directory, follows it, and returns when that has begun. The end of the test checks how it ends.
func follow(t *testing.T, prepare func(v *view)) *view {
	t.Helper()
	v := newView(t)
	v.tree(fence)
	prepare(v)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- v.boxes.Follow(ctx, v.apply) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Follow: %v", err)
		}
	})
	v.await("the first event", func() bool { return len(v.events) > 0 })
	return v
}

// apply believes an event.
func (v *view) apply(e index.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.events = append(v.events, e)
	at, state := spot{e.Account, e.Folder, e.File.Key}, fileState{e.File.Flags, e.File.New}
	switch {
	case e.File.Key == "":
		v.rescans++
		maps.DeleteFunc(v.files, func(s spot, _ fileState) bool { return e.Account == "" || s.account == e.Account })
		maps.Copy(v.files, v.disk(e.Account))
	case !e.Gone:
		v.files[at] = state
	case v.files[at] == state:
		delete(v.files, at)
	}
}

// disk is the truth about an account, or about all.
func (v *view) disk(account string) map[spot]fileState {
	boxes := OpenMailboxes(v.root) // with nothing open that was moved away
	defer boxes.Close()
	ctx, files := context.Background(), map[spot]fileState{}
	accounts, err := boxes.Accounts(ctx)
	for _, a := range accounts {
		if account != "" && a != account {
			continue
		}
		folders, err := boxes.Folders(ctx, a)
		for _, folder := range folders {
			err = errors.Join(err, boxes.Scan(ctx, a, folder, index.WholeFolder, func(f index.File) error {
				files[spot{a, folder, f.Key}] = fileState{f.Flags, f.New}
				return nil
			}))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			v.t.Errorf("scan %s: %v", a, err)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.t.Errorf("accounts: %v", err)
	}
	return files
}

// told gives the events so far, and how many of them asked for a look at more than a file.
func (v *view) told() (events []index.Event, looks int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.events), v.rescans
}

// await polls for a state of v.
func (v *view) await(what string, reached func() bool) {
	v.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		v.mu.Lock()
		ok := reached()
		v.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.t.Fatalf("%s: not reached: %s", what, v.difference())
		}
		<-time.After(2 * time.Millisecond)
	}
}

// settled waits until all that was done so far was told, and checks that it has led to the truth.
func (v *view) settled() {
	v.t.Helper()
	v.touch("fence.example/fence/new/fence")
	must(v.t, os.Remove(v.path("fence.example/fence/new/fence")))
	isFence := func(e index.Event) bool { return e.Account == fence && e.File.Key == "fence" && e.Gone }
	v.await("the fence", func() bool {
		for i, e := range v.events {
			if isFence(e) {
				v.events[i].Gone = false // once
				return true
			}
		}
		return false
	})
	v.mu.Lock()
	defer v.mu.Unlock()
	if diff := v.difference(); diff != "" {
		v.t.Fatal(diff)
	}
}

// difference says what is known otherwise than it is on disk.
func (v *view) difference() string {
	var lines []string
	disk := v.disk("")
	for at, state := range v.files {
		if is, ok := disk[at]; !ok || is != state {
			lines = append(lines, fmt.Sprintf("known %+v %+v, on disk %v %+v", at, state, ok, is))
		}
	}
	for at, state := range disk {
		if _, ok := v.files[at]; !ok {
			lines = append(lines, fmt.Sprintf("not known %+v %+v", at, state))
		}
	}
	return strings.Join(lines, "\n")
}

// probe shows that every folder is watched, and as what it is: a file that comes there is told of at once, with no look at anything.
func (v *view) probe() {
	v.t.Helper()
	v.settled()
	boxes := OpenMailboxes(v.root)
	defer boxes.Close()
	ctx := context.Background()
	accounts, err := boxes.Accounts(ctx)
	must(v.t, err)
	var dirs []string
	for _, a := range accounts {
		folders, err := boxes.Folders(ctx, a)
		must(v.t, err)
		path, err := boxes.Path(a)
		must(v.t, err)
		for _, folder := range folders {
			base := "."
			if folder != maildir.Inbox {
				base, _ = folderDir(&node{name: path}, folder)
			}
			dir := filepath.Join(path, base)
			if _, err := os.Stat(filepath.Join(dir, "cur")); err == nil { // not so for a first spelling that is no folder
				dirs = append(dirs, dir)
			}
		}
	}
	for _, dir := range dirs {
		must(v.t, os.MkdirAll(filepath.Join(dir, "new"), 0o700))
	}
	v.settled()
	v.mu.Lock()
	v.rescans, v.events = 0, nil
	v.mu.Unlock()
	for _, dir := range dirs {
		v.probes++
		name := fmt.Sprintf("probe%d", v.probes)
		must(v.t, os.WriteFile(filepath.Join(dir, "new", name), nil, 0o600))
		must(v.t, os.Rename(filepath.Join(dir, "new", name), filepath.Join(dir, "cur", name+":2,S")))
	}
	v.settled()
	if _, looks := v.told(); looks > 0 {
		v.t.Errorf("%d looks were needed to see simple changes", looks)
	}
}

func (v *view) path(rel string) string { return filepath.Join(v.root, rel) }

// tree makes an account's tree.
func (v *view) tree(account string) *maildir.Tree {
	path, err := v.boxes.Path(account)
	must(v.t, err)
	tree, err := maildir.Create(path)
	must(v.t, err)
	v.t.Cleanup(func() { tree.Close() })
	return tree
}

// folder makes a folder's three directories below the root; messages puts files into them.
func (v *view) folder(rel string, messages ...string) {
	for _, sub := range []string{"tmp", "new", "cur"} {
		must(v.t, os.MkdirAll(v.path(rel+"/"+sub), 0o700))
	}
	for _, m := range messages {
		v.touch(rel + "/" + m)
	}
}

func (v *view) touch(rel string)      { must(v.t, os.WriteFile(v.path(rel), []byte(text), 0o600)) }
func (v *view) mv(from, to string)    { must(v.t, os.Rename(v.path(from), v.path(to))) }
func (v *view) rm(rel string)         { must(v.t, os.RemoveAll(v.path(rel))) }
func (v *view) ln(target, rel string) { must(v.t, os.Symlink(target, v.path(rel))) }
