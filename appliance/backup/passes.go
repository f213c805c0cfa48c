package backup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"maild/index"
	"maild/maildir"
)

const (
	// fewPasses are always enough where no message moves; manyPasses are enough where some always do.
	fewPasses  = 3
	manyPasses = 20
	// tick is how long after its own time a directory's time may still stand for another change: the kernel's clock tick is 10 ms at most.
	tick = 50 * time.Millisecond
	// showEvery is after how many messages progress is told.
	showEvery = 256
)

// mailbox is one folder of an account.
type mailbox struct{ account, folder string }

// pass is one of the passes through all folders.
type pass struct {
	number  int
	changed int  // directories that had changed, folders that were read
	missed  int  // messages from before the backup that no pass before it had seen
	unsure  bool // a directory had changed too shortly before it was read
}

// passes copies all messages. See the package's documentation for why that is all of them.
func (r *run) passes(ctx context.Context) error {
	stamps := map[mailbox]index.Stamp{}
	times := map[string]time.Time{}
	for n := 1; ; n++ {
		p := pass{number: n}
		if err := r.above(ctx, &p, times); err != nil {
			return err
		}
		if err := r.pass(ctx, &p, stamps); err != nil {
			return err
		}
		if err := r.batch.flush(); err != nil {
			return err
		}
		if r.afterPass != nil {
			r.afterPass(n)
		}
		switch {
		case n > 1 && p.changed == 0 && !p.unsure, n >= fewPasses && p.missed == 0, n >= manyPasses:
			return r.single(ctx, stamps)
		}
		if p.unsure {
			if err := pause(ctx, tick); err != nil {
				return err
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// above notes the times of the directories in which domains, accounts and folders stand, before they are listed: what is renamed there meanwhile could
// be missed by the lists.
func (r *run) above(ctx context.Context, p *pass, times map[string]time.Time) error {
	dirs := []string{r.Data.MailDir()}
	accounts, err := r.from.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		path, err := r.from.Path(a)
		if err != nil {
			return err
		}
		dirs = append(dirs, filepath.Dir(path), path)
	}
	for _, dir := range dirs {
		now := time.Now()
		var changed time.Time
		if info, err := os.Stat(dir); err == nil {
			changed = info.ModTime()
		}
		if last, ok := times[dir]; !ok || !last.Equal(changed) {
			p.changed++
		}
		p.unsure = p.unsure || now.Sub(changed) < tick
		times[dir] = changed
	}
	return nil
}

// pass goes through the folders that have changed since they were read.
func (r *run) pass(ctx context.Context, p *pass, stamps map[mailbox]index.Stamp) error {
	return r.eachMailbox(ctx, func(b mailbox) error {
		now := time.Now()
		stamp, err := r.from.Stamp(ctx, b.account, b.folder)
		if errors.Is(err, fs.ErrNotExist) {
			p.changed++ // removed or renamed: under its new name it is another folder
			return nil
		}
		if err != nil {
			return r.unreadable(b.account+" "+b.folder, readError{err})
		}
		if last, ok := stamps[b]; ok && last == stamp {
			return nil
		}
		p.changed++
		if now.UnixNano()-max(stamp.New, stamp.Cur) < int64(tick) {
			p.unsure = true
			stamp = index.Stamp{} // once more
		}
		stamps[b] = stamp
		return r.mailbox(ctx, p, b)
	})
}

// eachMailbox calls fn for every folder there is.
func (r *run) eachMailbox(ctx context.Context, fn func(mailbox) error) error {
	accounts, err := r.from.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		folders, err := r.from.Folders(ctx, a)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			if err := r.unreadable(a, readError{err}); err != nil {
				return err
			}
			continue
		}
		for _, f := range folders {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := fn(mailbox{a, f}); err != nil {
				return err
			}
		}
	}
	return nil
}

// closed finds the directories of accounts and folders that cannot be looked into, which nobody lists as such.
func (r *run) closed(ctx context.Context) error {
	users, err := filepath.Glob(filepath.Join(pattern(r.Data.MailDir()), "*", "[^.]*"))
	if err != nil {
		return err
	}
	for _, user := range users {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := os.ReadDir(user)
		if errors.Is(err, fs.ErrPermission) {
			if err := r.unreadable(user, err); err != nil {
				return err
			}
		}
		for _, e := range entries {
			if !e.IsDir() || e.Name()[0] != '.' {
				continue
			}
			dir := filepath.Join(user, e.Name())
			if _, err := os.Lstat(filepath.Join(dir, "cur")); errors.Is(err, fs.ErrPermission) {
				if err := r.unreadable(dir, err); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// pattern is a path as filepath.Glob takes it for itself.
func pattern(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// mailbox copies the messages of one folder.
func (r *run) mailbox(ctx context.Context, p *pass, b mailbox) error {
	err := r.both(b, func(from, to *maildir.Tree) error {
		var stopped error
		err := from.Scan(b.folder, func(e maildir.Entry) error {
			if stopped = ctx.Err(); stopped == nil {
				stopped = r.message(p, message{b.account, e, from, to})
			}
			return stopped
		})
		if stopped != nil {
			return stopped
		}
		return asReading(err)
	})
	return r.passOver(b.account+" "+b.folder, err)
}

// passOver leaves out what has gone, and what cannot be read.
func (r *run) passOver(what string, err error) error {
	switch {
	case errors.Is(err, errGone):
		return nil
	case isUnreadable(err):
		return r.unreadable(what, err)
	}
	return err
}

// both opens the folder where it is and makes it where it will be.
func (r *run) both(b mailbox, fn func(from, to *maildir.Tree) error) error {
	opened := false
	err := r.from.Use(b.account, false, func(from *maildir.Tree) error {
		opened = true
		return r.to.Use(b.account, true, func(to *maildir.Tree) error {
			if b.folder != maildir.Inbox {
				if err := to.CreateFolder(b.folder); err != nil && !errors.Is(err, fs.ErrExist) {
					return err
				}
			}
			return fn(from, to)
		})
	})
	if !opened {
		return asReading(err)
	}
	return err
}

// message is one message on its way.
type message struct {
	account string
	maildir.Entry
	from, to *maildir.Tree
}

// message copies one message, unless it is there.
func (r *run) message(p *pass, m message) error {
	if p.number == 1 {
		r.scanned++
		r.show(r.scanned%showEvery == 0)
	}
	if p.number > 1 || r.again {
		if _, err := os.Lstat(m.to.MessagePath(m.Entry)); err == nil {
			return nil
		}
	}
	// One that was renamed or removed a moment ago is found by the next pass, if it is still there.
	if err := r.copyMessage(m); err != nil {
		return r.passOver(m.from.MessagePath(m.Entry), err)
	}
	if p.number > 1 {
		if info, err := m.from.StatMessage(m.Entry); err != nil || info.ModTime().Before(r.begun) {
			p.missed++
		}
	}
	return nil
}

// show tells how far the work is.
func (r *run) show(now bool) {
	if now && r.Progress != nil {
		r.Progress(index.Progress{Scanned: r.scanned, Total: r.total, Elapsed: time.Since(r.begun)})
	}
}

// unreadable leaves something out, which several passes may come upon. The backup goes on.
func (r *run) unreadable(what string, err error) error {
	if r.told[what] {
		return nil
	}
	r.told[what] = true
	var cause readError
	if errors.As(err, &cause) {
		err = cause.error
	}
	r.m.Unreadable++
	r.Unreadable(what, err)
	return nil
}

// count finds out how many messages there are, for those who wait.
func (r *run) count(ctx context.Context) error {
	if r.Progress == nil {
		return nil
	}
	return r.eachMailbox(ctx, func(b mailbox) error {
		err := r.from.Scan(ctx, b.account, b.folder, index.WholeFolder, func(index.File) error { r.total++; return nil })
		if err != nil && ctx.Err() != nil {
			return err
		}
		return nil // the passes tell of it
	})
}

// smallFiles copies what is kept beside the mail, the certificate and the configuration.
func (r *run) smallFiles(ctx context.Context) error {
	err := r.eachMailbox(ctx, func(b mailbox) error {
		err := r.both(b, func(from, to *maildir.Tree) error {
			return r.beside(folderDir(from, b.folder), folderDir(to, b.folder))
		})
		return r.passOver(b.account+" "+b.folder, err)
	})
	if err != nil {
		return err
	}
	tls := filepath.Join(r.Dest, tlsName)
	if err := os.RemoveAll(tls); err != nil {
		return err
	}
	if err := r.directory(filepath.Join(r.Data.DataDir, tlsName), tls); err != nil {
		return err
	}
	config := filepath.Join(r.Dest, configName)
	if r.Config == nil {
		return removeFile(config)
	}
	r.m.Config = r.ConfigPath
	return os.WriteFile(config, r.Config, 0o600)
}

// folderDir is the directory that holds new/ and cur/ of a folder.
func folderDir(t *maildir.Tree, folder string) string {
	return filepath.Dir(filepath.Dir(t.MessagePath(maildir.Entry{Folder: folder, Key: "x"})))
}
