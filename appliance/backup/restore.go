package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"maild/appliance/account"
	"maild/appliance/config"
	"maild/appliance/process"
	"maild/appliance/store"
	"maild/index"
	"maild/maildir"
)

// lockName is of the file in the data directory that a restore holds a lock on.
const lockName = "restore.lock"

// Chosen says which messages of a backup are wanted.
type Chosen map[string]map[Ref]bool // by account

// Ref is a message of an account.
type Ref struct{ Folder, Key string }

// RestoreOptions say what to put back.
type RestoreOptions struct {
	Data    config.Config // whose DataDir gets it
	Source  string        // a complete backup
	Account string        // this one alone; "" = all
	As      string        // the account that its mail goes to; "" = Account
	Chosen  Chosen        // these messages alone; nil = all
	DryRun  bool

	Progress   func(index.Progress)
	Unreadable func(what string, err error)
}

// Restored says what a restore did.
type Restored struct {
	Looked     int64 // messages of the backup that were asked for
	Restored   int64
	Octets     int64
	Present    int64 // their key is in the account, in whatever folder
	Same       int64 // the account has their content under another key
	Unreadable int64
	Accounts   []string // whose mail was looked at
}

// Restore puts back messages that are in the backup and not in the account: with their folder, key, flags and time. Nothing that is there is
// touched. A message is there when its key is, in any folder, or when a message that is not of this backup has the same content. It may run
// beside the daemon, which sees the messages come. When it returns nil they are on disk; after an interruption the next
// run finishes. process.ErrLocked while another restore runs.
func Restore(ctx context.Context, o RestoreOptions) (Restored, error) {
	if _, err := Open(o.Source); err != nil {
		return Restored{}, err
	}
	r := &restore{RestoreOptions: o, start: time.Now(), numbers: newNumbers(),
		from: store.OpenMailboxes(config.Config{DataDir: o.Source}.MailDir()), to: store.OpenMailboxes(o.Data.MailDir())}
	defer r.from.Close()
	defer r.to.Close()
	if !o.DryRun {
		lock, err := process.TakeLock(filepath.Join(o.Data.DataDir, lockName))
		if err != nil {
			return Restored{}, fmt.Errorf("restore: %w", err)
		}
		defer lock.Release()
	}
	if err := r.run(ctx); err != nil {
		return r.done, fmt.Errorf("restore from %s: %w", o.Source, err)
	}
	return r.done, nil
}

// restore is one at work.
type restore struct {
	RestoreOptions
	start    time.Time
	from, to *store.Mailboxes
	numbers  numbers
	done     Restored
	batch    *batch
	waiting  Restored // what the batch holds: it counts when the disk has it
}

func (r *restore) run(ctx context.Context) error {
	accounts, err := r.from.Accounts(ctx)
	if err != nil {
		return err
	}
	r.batch = &batch{fsys: r.Data.DataDir}
	defer r.batch.abort()
	for _, a := range accounts {
		if r.Account != "" && a != r.Account || r.Chosen != nil && len(r.Chosen[a]) == 0 {
			continue
		}
		if err := r.account(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// account puts back the messages of one account.
func (r *restore) account(ctx context.Context, a string) error {
	target := a
	if r.As != "" {
		target = r.As
	}
	r.done.Accounts = append(r.done.Accounts, target)
	live, err := r.keysOf(ctx, r.to, target)
	if err != nil {
		return err
	}
	kept, err := r.keysOf(ctx, r.from, a)
	if err != nil {
		return err
	}
	x := &restoring{restore: r, account: a, target: target, live: live, kept: kept, made: map[string]bool{}}
	err = r.from.Use(a, false, func(from *maildir.Tree) error {
		folders, err := from.Folders()
		if err != nil {
			return err
		}
		for _, f := range folders {
			if err := x.wholeFolder(f); err != nil {
				return err
			}
			err := from.Scan(f, func(e maildir.Entry) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return x.message(ctx, from, e)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = r.flush()
	}
	if err == nil && r.Chosen == nil && !r.DryRun {
		err = x.beside()
	}
	return err
}

// flush has what was put back on disk, and counts it.
func (r *restore) flush() error {
	if err := r.batch.flush(); err != nil {
		return err
	}
	r.done.Restored += r.waiting.Restored
	r.done.Octets += r.waiting.Octets
	r.waiting = Restored{}
	return nil
}

// keysOf gives the keys of an account, by number.
func (r *restore) keysOf(ctx context.Context, m *store.Mailboxes, a string) (map[uint64]bool, error) {
	keys := map[uint64]bool{}
	folders, err := m.Folders(ctx, a)
	if errors.Is(err, fs.ErrNotExist) {
		return keys, nil
	}
	for _, f := range folders {
		if err == nil {
			err = m.Scan(ctx, a, f, index.WholeFolder, func(f index.File) error {
				keys[r.numbers.of(f.Key)] = true
				return nil
			})
		}
	}
	return keys, err
}

// restoring is an account being put back.
type restoring struct {
	*restore
	account, target string
	live, kept      map[uint64]bool
	others          map[int64][]other // live messages that are not of the backup, by size; nil until needed
	made            map[string]bool   // the folders that are known to be there
}

// message puts back one message, if it is wanted and not there.
func (x *restoring) message(ctx context.Context, from *maildir.Tree, e maildir.Entry) error {
	if x.Chosen != nil && !x.Chosen[x.account][Ref{e.Folder, string(e.Key)}] {
		return nil
	}
	if x.done.Looked++; x.done.Looked%showEvery == 0 && x.Progress != nil {
		x.Progress(index.Progress{Scanned: x.done.Looked, Elapsed: time.Since(x.start)})
	}
	number := x.numbers.of(string(e.Key))
	if x.live[number] {
		x.done.Present++
		return nil
	}
	f, e, err := from.OpenFound(e)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return x.unreadable(e, err)
	}
	defer f.Close()
	same, err := x.hasContent(ctx, f)
	switch {
	case isUnreadable(err):
		return x.unreadable(e, err)
	case err != nil:
		return err
	case same:
		x.done.Same++
		return nil
	}
	if err := x.put(e, f); isUnreadable(err) {
		return x.unreadable(e, err)
	} else if err != nil {
		return err
	}
	x.live[number] = true // it may be in two folders of the backup
	return nil
}

func (x *restoring) unreadable(e maildir.Entry, err error) error {
	x.done.Unreadable++
	x.Unreadable(x.account+" "+e.Folder+" "+string(e.Key), err)
	return nil
}

// put adds a message to the live account.
func (x *restoring) put(e maildir.Entry, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return readError{err}
	}
	if x.DryRun {
		x.done.Restored++
		x.done.Octets += info.Size()
		return nil
	}
	err = x.to.Use(x.target, true, func(to *maildir.Tree) error {
		if err := x.folder(to, e.Folder); err != nil {
			return err
		}
		waiting := len(x.batch.files)
		octets, err := x.batch.add(f, filepath.Join(to.Path(), "tmp"), to.MessagePath(e), info.ModTime())
		if err != nil {
			return err
		}
		x.waiting.Restored++
		x.waiting.Octets += octets
		if len(x.batch.files) <= waiting {
			return x.flush() // the batch was full
		}
		return nil
	})
	return err
}

// wholeFolder makes a folder that may be empty, where everything is put back.
func (x *restoring) wholeFolder(name string) error {
	if x.Chosen != nil || x.DryRun {
		return nil
	}
	return x.to.Use(x.target, true, func(to *maildir.Tree) error { return x.folder(to, name) })
}

// folder sees that a folder is there.
func (x *restoring) folder(to *maildir.Tree, name string) error {
	if x.made[name] {
		return nil
	}
	if name != maildir.Inbox {
		if err := to.CreateFolder(name); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	x.made[name] = true
	return nil
}

// beside puts back what other programs kept beside the mail and is not there.
func (x *restoring) beside() error {
	small := &run{Options: Options{Unreadable: x.Unreadable}, missing: true, told: map[string]bool{}}
	for name := range x.made {
		err := x.from.Use(x.account, false, func(from *maildir.Tree) error {
			return x.to.Use(x.target, true, func(to *maildir.Tree) error {
				return small.beside(folderDir(from, name), folderDir(to, name))
			})
		})
		if err != nil {
			return err
		}
	}
	x.done.Unreadable += small.m.Unreadable
	return nil
}

// OpenAccounts opens the accounts of a backup for reading. Those of an older schema are read from a copy that is brought up to date, in a directory
// of its own below scratch. fs.ErrNotExist if the backup has none. close ends it.
func OpenAccounts(ctx context.Context, source, scratch string, o account.Options) (d *account.Directory, close func() error, err error) {
	o.Path, o.ReadOnly = config.Config{DataDir: source}.AccountsDB(), true
	d, err = account.Open(ctx, o)
	if err == nil {
		return d, d.Close, nil
	}
	if !errors.Is(err, account.ErrOlder) {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp(scratch, "restore-*")
	if err != nil {
		return nil, nil, err
	}
	from := o.Path
	o.Path, o.ReadOnly = filepath.Join(dir, "accounts.db"), false
	if err = account.Copy(ctx, from, o.Path); err == nil {
		d, err = account.Open(ctx, o)
	}
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return d, func() error { return errors.Join(d.Close(), os.RemoveAll(dir)) }, nil
}
