package backup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"maild/appliance/process"
	"maild/index"
	"maild/maildir"
)

func (b *box) restore(source string, change func(*RestoreOptions)) Restored {
	b.t.Helper()
	o := RestoreOptions{Data: b.cfg, Source: source, Unreadable: func(what string, err error) { b.t.Errorf("unreadable: %s: %v", what, err) }}
	if change != nil {
		change(&o)
	}
	r, err := Restore(b.t.Context(), o)
	must(b.t, err)
	return r
}

// What is missing comes back as it was, once, and nothing else is touched.
func TestRestore(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	kept, flagged := b.put(maildir.Inbox, "", "Subject: kept\n\n"), b.put(maildir.Inbox, "S", "Subject: flagged since\n\n")
	moved, gone := b.put("Sub", "S", "Subject: moved since\n\n"), b.put("Sub", "FSa", "Subject: gone\n\n")
	// A copy in another folder is another message of the same content.
	one, two := b.put(maildir.Inbox, "S", "Subject: twice\n\n"), b.put("Sub", "S", "Subject: twice\n\n")
	fetched := b.put(maildir.Inbox, "S", "Subject: fetched again\n\n")
	b.tree(func(tree *maildir.Tree) error { return tree.CreateFolder("Empty") })
	dest, _ := b.make("one", nil)
	b.tree(func(tree *maildir.Tree) error {
		_, err1 := tree.ChangeFlags(maildir.Inbox, flagged.Key, "R", "")
		_, err2 := tree.Move("Sub", moved.Key, maildir.Inbox)
		return errors.Join(err1, err2, tree.RemoveMessage(gone), tree.RemoveMessage(two), tree.RemoveMessage(fetched), tree.RemoveFolder("Sub"), tree.RemoveFolder("Empty"))
	})
	b.put("Refetched", "S", "Subject: fetched again\n\n")
	before := in(t, b.cfg.DataDir)
	dry := b.restore(dest, func(o *RestoreOptions) { o.DryRun = true })
	if after := in(t, b.cfg.DataDir); len(after) != len(before) {
		t.Fatalf("a dry run has changed something: %v", after)
	}
	r := b.restore(dest, nil)
	if r.Looked != 7 || r.Restored != 2 || r.Present != 4 || r.Same != 1 || r.Octets != int64(len("Subject: gone\n\n")+len("Subject: twice\n\n")) {
		t.Errorf("%+v", r)
	}
	if dry.Restored != r.Restored || dry.Octets != r.Octets || dry.Present != r.Present || dry.Same != r.Same {
		t.Errorf("the dry run said %+v", dry)
	}
	got := in(t, b.cfg.DataDir)
	for key, want := range map[maildir.Key]string{kept.Key: "INBOX/", flagged.Key: "INBOX/RS", moved.Key: "INBOX/S", gone.Key: "Sub/FSa", one.Key: "INBOX/S", two.Key: "Sub/S"} {
		if len(got[key]) != 1 || got[key][0] != want {
			t.Errorf("%s is %v, want %s", key, got[key], want)
		}
	}
	if len(got) != len(before)+2 {
		t.Errorf("%v", got)
	}
	b.tree(func(tree *maildir.Tree) error {
		info, err := tree.StatMessage(gone)
		if err != nil || !info.ModTime().Equal(old) {
			t.Errorf("%v, %v", info, err)
		}
		source, err := os.Stat(filepath.Join(dest, "mail/example.org/ann/.Sub/cur", gone.FileName()))
		if err != nil || os.SameFile(info, source) {
			t.Errorf("what came back is a link to the backup: %v", err)
		}
		folders, err := tree.Folders()
		if len(folders) != 4 {
			t.Errorf("folders: %v", folders)
		}
		return err
	})
	if r := b.restore(dest, nil); r.Restored != 0 || r.Present != 6 || r.Same != 1 {
		t.Errorf("again: %+v", r)
	}
	if left, err := filepath.Glob(filepath.Join(b.cfg.DataDir, "mail/*/*/tmp/*")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
	b.verified(dest)
}

// Chosen messages come back alone, and those of an account under another name.
func TestRestoreSome(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	one, two := b.put(maildir.Inbox, "S", "Subject: a\n\n"), b.put("Sub", "S", "Subject: b\n\n")
	dest, _ := b.make("one", nil)
	b.tree(func(tree *maildir.Tree) error {
		return errors.Join(tree.RemoveMessage(one), tree.RemoveFolder("Sub"))
	})
	r := b.restore(dest, func(o *RestoreOptions) {
		o.Chosen = Chosen{ann: {Ref{"Sub", string(two.Key)}: true, Ref{"Sub", string(one.Key)}: true}}
	})
	if got := in(t, b.cfg.DataDir); r.Restored != 1 || r.Looked != 1 || len(got) != 1 || len(got[two.Key]) != 1 {
		t.Errorf("%+v, %v", r, got)
	}
	r = b.restore(dest, func(o *RestoreOptions) { o.Account, o.As = ann, "old@example.org" })
	if r.Restored != 2 || len(r.Accounts) != 1 || r.Accounts[0] != "old@example.org" {
		t.Errorf("%+v", r)
	}
	if r := b.restore(dest, func(o *RestoreOptions) { o.Account = "none@example.org" }); r.Looked != 0 || len(r.Accounts) != 0 {
		t.Errorf("%+v", r)
	}
}

// A restore that was interrupted is finished by the next, and says what each has done.
func TestRestoreInterrupted(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	const n = batchFiles + 3*showEvery
	for i := range n {
		b.put([]string{maildir.Inbox, "Sub"}[i%2], "S", "Subject: all have one size and content\n\n")
	}
	dest, _ := b.make("one", nil)
	must(t, os.RemoveAll(filepath.Join(b.cfg.DataDir, "mail")))
	ctx, cancel := context.WithCancel(t.Context())
	o := RestoreOptions{Data: b.cfg, Source: dest, Progress: func(p index.Progress) {
		if p.Scanned > batchFiles {
			cancel()
		}
	}}
	first, err := Restore(ctx, o)
	if !errors.Is(err, context.Canceled) || first.Restored != batchFiles {
		t.Fatalf("%+v, %v", first, err)
	}
	if got := in(t, b.cfg.DataDir); int64(len(got)) != first.Restored {
		t.Errorf("%d messages, and %d were restored", len(got), first.Restored)
	}
	o.Progress = nil
	second, err := Restore(t.Context(), o)
	if err != nil || second.Restored != n-first.Restored || second.Present != first.Restored {
		t.Errorf("%+v, %v", second, err)
	}
	if got := in(t, b.cfg.DataDir); len(got) != n {
		t.Errorf("%d messages", len(got))
	}
	lock, err := process.TakeLock(filepath.Join(b.cfg.DataDir, lockName))
	must(t, err)
	defer lock.Release()
	if _, err := Restore(t.Context(), o); !errors.Is(err, process.ErrLocked) {
		t.Errorf("while another runs: %v", err)
	}
}
