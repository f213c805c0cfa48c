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
	"testing"
	"time"

	"maild/index"
	"maild/maildir"
)

const (
	ann = "example.org/ann"
	bob = "example.org/bob"
)

// standard is two accounts with some mail.
func standard(v *view) {
	v.folder(ann, "new/n1", "cur/c1:2,", "cur/c2:2,FS")
	v.folder(ann+"/.Sent", "cur/s1:2,S")
	v.folder(ann+"/.Lists.go", "cur/l1:2,S", "new/l2")
	v.folder(bob, "cur/b1:2,")
}

// Changes of messages are told of one by one.
func TestFollowMessages(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(v *view){
		"delivery":   func(v *view) { v.touch(ann + "/tmp/n2"); v.mv(ann+"/tmp/n2", ann+"/new/n2") },
		"put in cur": func(v *view) { v.touch(ann + "/cur/c3:2,S") },
		"flags":      func(v *view) { v.mv(ann+"/cur/c1:2,", ann+"/cur/c1:2,RS") },
		"taken":      func(v *view) { v.mv(ann+"/new/n1", ann+"/cur/n1:2,") },
		"put back":   func(v *view) { v.mv(ann+"/cur/c1:2,", ann+"/new/c1") },
		"moved":      func(v *view) { v.mv(ann+"/cur/c1:2,", ann+"/.Sent/cur/c1:2,S") },
		"moved away": func(v *view) { v.mv(ann+"/cur/c1:2,", bob+"/cur/c1:2,") },
		"new name":   func(v *view) { v.mv(ann+"/cur/c1:2,", ann+"/.Lists.go/cur/other:2,") },
		"removed":    func(v *view) { v.rm(ann + "/cur/c1:2,"); v.rm(ann + "/new/n1") },
		"back again": func(v *view) { v.rm(ann + "/new/n1"); v.touch(ann + "/new/n1") },
		"no messages": func(v *view) {
			v.touch(ann + "/cur/.hidden")
			v.touch(ann + "/new/:2,S")
			v.touch(ann + "/maildirsize")
		},
		"as mutt sets flags": func(v *view) {
			must(v.t, os.Link(v.path(ann+"/cur/c1:2,"), v.path(ann+"/cur/c1:2,S")))
			v.rm(ann + "/cur/c1:2,")
		},
		"many": func(v *view) {
			for i := range 3000 {
				name := fmt.Sprintf("m%d", i)
				v.touch(bob + "/tmp/" + name)
				v.mv(bob+"/tmp/"+name, bob+"/new/"+name)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := follow(t, standard)
			_, before := v.told()
			change(v)
			v.settled()
			if _, now := v.told(); now != before {
				t.Errorf("looked %d times", now-before)
			}
		})
	}
}

// A message whose content may have changed under its name is told of as touched.
func TestFollowTouched(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(v *view){
		"written":         func(v *view) { v.touch(ann + "/cur/c1:2,") },
		"time":            func(v *view) { must(v.t, os.Chtimes(v.path(ann+"/cur/c1:2,"), time.Time{}, time.Unix(1, 0))) },
		"replaced, rsync": func(v *view) { v.touch(ann + "/cur/.c1.x7"); v.mv(ann+"/cur/.c1.x7", ann+"/cur/c1:2,") },
		"replaced, sed":   func(v *view) { v.touch(ann + "/cur/sedX"); v.mv(ann+"/cur/sedX", ann+"/cur/c1:2,") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := follow(t, standard)
			change(v)
			v.settled()
			found := false
			events, _ := v.told()
			for _, e := range events {
				found = found || e.Touched && e == index.Event{Account: "ann@example.org", Folder: maildir.Inbox, File: index.File{Key: "c1"}, Touched: true}
			}
			if !found {
				t.Errorf("not told as touched: %+v", events)
			}
		})
	}
	v := follow(t, standard)
	v.mv(ann+"/cur/c1:2,", ann+"/cur/c1:2,S")
	v.settled()
	events, _ := v.told()
	for _, e := range events {
		if e.Touched && e.File.Key == "c1" {
			t.Errorf("new flags are told as %+v", e)
		}
	}
}

// A root that is not there yet, or goes for a while, is waited for.
func TestFollowRootAppears(t *testing.T) {
	t.Parallel()
	v := follow(t, func(v *view) { v.rm(".") })
	if n := v.boxes.Watches().Directories; n != 0 {
		t.Errorf("%d directories are watched before there is one", n)
	}
	v.tree(fence)
	standard(v)
	v.await("the root", func() bool { return len(v.files) > 0 && maps.Equal(v.files, v.disk("")) })
	v.probe()
	v.mv(".", "../away")
	v.await("no root", func() bool { return len(v.files) == 0 })
	v.mv("../away", ".")
	v.await("the root again", func() bool { return maps.Equal(v.files, v.disk("")) })
	v.probe()
}

// The root may be a link: that is the administrator's choice.
func TestFollowLinkedRoot(t *testing.T) {
	t.Parallel()
	v := follow(t, func(v *view) {
		standard(v)
		v.mv(".", "../real")
		must(t, os.Symlink("real", v.root))
	})
	v.probe()
}

// Events that the kernel had no room for are made good.
func TestFollowOverflow(t *testing.T) {
	t.Parallel()
	limit := 0
	content, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	must(t, err)
	_, err = fmt.Sscan(string(content), &limit)
	must(t, err)
	v := follow(t, standard)
	v.settled()
	v.mu.Lock() // now nothing is told, and the queue fills up
	v.events, v.rescans = nil, 0
	for i := range limit/2 + 1000 {
		if i%2 == 0 {
			v.mv(ann+"/cur/c1:2,", ann+"/cur/c1:2,S")
		} else {
			v.mv(ann+"/cur/c1:2,S", ann+"/cur/c1:2,")
		}
	}
	v.mv(ann+"/.Sent", ann+"/.Posted")
	v.mv(ann+"/.Lists.go", ann+"/.Sent")
	v.folder("example.net/new", "new/x")
	v.rm(bob)
	v.touch(ann + "/.Sent/cur/lost:2,")
	v.mu.Unlock()
	v.await("an event for everything", func() bool {
		for _, e := range v.events {
			if e == (index.Event{}) {
				return true
			}
		}
		return false
	})
	v.probe()
}

// Where the kernel watches no more, the rest is watched, and what is free again is used.
func TestFollowFull(t *testing.T) {
	t.Parallel()
	v := newView(t)
	standard(v)
	w, err := maildir.NewWatcher()
	must(t, err)
	t.Cleanup(func() { w.Close() })
	f := newFollower(v.root, w, v.apply)
	limit := 7
	f.add = func(path string, kind maildir.WatchKind) (int, error) {
		watch, err := w.Add(path, kind)
		if err == nil && f.nodes[watch] == nil && len(f.nodes) >= limit {
			return -1, errors.Join(maildir.ErrWatchLimit, w.Remove(watch))
		}
		return watch, err
	}
	f.walkAll(true)
	f.publish()
	if now := *f.state.now.Load(); now != (index.Watches{Directories: limit, Full: true}) {
		t.Errorf("watched with a limit of %d: %+v", limit, now)
	}
	f.due = time.Now().Add(time.Hour)
	f.plan()
	if time.Until(f.due) < followRetry {
		t.Error("others are tried again although none became free")
	}
	f.drop(f.nodes[f.tree.below["example.org"].below["ann"].watch])
	f.plan()
	if time.Until(f.due) > followFreed {
		t.Error("a watch became free, and others are not tried")
	}
	limit = 100
	f.look()
	f.publish()
	if now := *f.state.now.Load(); now.Full || now.Directories <= 7 {
		t.Errorf("watched without a limit: %+v", now)
	}
	if !maps.Equal(v.files, v.disk("")) {
		t.Error(v.difference())
	}
}

// Directories that cannot be read are passed over until their rights change. They are refused here in the kernel's place, which lets root
// read everything.
func TestFollowUnreadable(t *testing.T) {
	t.Parallel()
	v := newView(t)
	standard(v)
	w, err := maildir.NewWatcher()
	must(t, err)
	t.Cleanup(func() { w.Close() })
	f := newFollower(v.root, w, v.apply)
	refused := []string{v.path(ann + "/.Sent/new"), v.path(bob)}
	f.add = func(path string, kind maildir.WatchKind) (int, error) {
		if slices.Contains(refused, path) {
			return -1, &fs.PathError{Op: "watch", Path: path, Err: fs.ErrPermission}
		}
		return w.Add(path, kind)
	}
	f.walkAll(true)
	if f.full || len(f.nodes) == 0 {
		t.Errorf("%d directories are watched, full: %v", len(f.nodes), f.full)
	}
	v.touch(bob + "/new/unseen")
	for len(refused) > 0 {
		path := refused[0]
		refused = refused[1:]
		must(t, os.Chmod(path, 0o750))
		must(t, f.w.Read(time.Now().Add(10*time.Second), f.handle))
		f.flush()
	}
	if diff := v.difference(); diff != "" {
		t.Error(diff)
	}
	before := len(v.events)
	v.touch(bob + "/new/seen")
	v.touch(ann + "/.Sent/new/seen")
	for len(v.events) < before+4 { // each is told of three times: there, written, closed
		must(t, f.w.Read(time.Now().Add(10*time.Second), f.handle))
	}
}

// The end of the context ends everything. Not parallel: it counts.
func TestFollowEnds(t *testing.T) {
	dir := t.TempDir()
	boxes := OpenMailboxes(filepath.Join(dir, "mail"))
	defer boxes.Close()
	before := inotifies(t)
	ctx, cancel := context.WithCancel(context.Background())
	end := func(index.Event) { cancel() }
	must(t, boxes.Follow(ctx, end))
	must(t, boxes.Follow(ctx, end)) // it has ended before it begins
	if after := inotifies(t); after != before {
		t.Errorf("%d descriptors are left", after-before)
	}
	if now := boxes.Watches(); now != (index.Watches{}) {
		t.Errorf("watched at the end: %+v", now)
	}
}

// inotifies counts the process's descriptors for inotify.
func inotifies(t *testing.T) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, fd := range fds {
		if target, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.Contains(target, "inotify") {
			n++
		}
	}
	return n
}
