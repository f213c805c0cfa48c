// Package backup makes copies of a box's data while mail flows, and puts back from them what is missing.
//
// # Layout
//
// A backup is a data directory of its own, which mailctl --root searches and from which a box can start:
//
//	backup.json          the manifest: what is here, and from when. Its presence is what makes a backup complete
//	backup.list.gz       a line for each message: account, folder, key, flags, size, time
//	accounts.db          one state of it, in one file
//	index.db             one that agrees with the mail here; left out where there is none, or it is not wanted
//	maild.toml           the configuration, as a copy to look at: no program reads it here
//	mail/DOMAIN/USER/    the Maildir++ trees, with what other programs keep beside the mail (dovecot-keywords, subscriptions)
//	tls/                 the self-signed certificate, if there is one
//
// Until it is complete, backup.json.partial stands in the place of backup.json, and whoever makes it holds a lock on that file. One
// rename completes it. A run that was killed is gone on with by the next to the same place.
//
// # Links
//
// Where it can be, a message is a hard link to the live file: nothing is read or written, and no room is taken. A delivered file is never
// rewritten by this box, nor by mutt, Dovecot or anything that follows the Maildir specification: what they change is the name. A program
// that does write into the file (an editor that is set so) changes the backup as well, and so does a bad sector: a backup against
// failing disks is on another disk. Options.Copy makes copies instead (clones, where the file system can), and an unchanged message is
// then a link to the copy in the previous backup. A message to several accounts, one file with a name in each, is copied once.
//
// # What is in it
//
// Every message that was acknowledged before the backup began and is not removed while it runs. Deliveries and other programs go on meanwhile, so the
// folders are gone through in passes: the times of a folder's directories are read before its names are. A message that a pass misses was
// renamed during it, into a directory whose time then is another one than was noted, and the next pass reads that directory again. So it is with
// folders and accounts, and the directories in which they stand. The passes end when no directory has changed, or when three are through and
// the last of them came upon no message from before the backup that those before it had missed. A message that is moved may be in both
// places; it has one key, and is restored once.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"maild/appliance/account"
	"maild/appliance/config"
	"maild/appliance/process"
	"maild/appliance/store"
	"maild/index"
)

// What can be wrong with a place.
var (
	ErrExists     = errors.New("exists already")
	ErrInside     = errors.New("is inside the data directory")
	ErrNoBackup   = errors.New("is no backup")
	ErrIncomplete = errors.New("is an incomplete backup")
	ErrNewer      = errors.New("was made by a newer release")
)

// Options say what to back up, and where to.
type Options struct {
	Data     config.Config // whose DataDir is backed up
	Dest     string        // absolute; see MakePlace
	Previous string        // an earlier complete backup whose unchanged messages are linked where the live ones cannot be; "" = none
	Copy     bool          // no links to the live files
	NoIndex  bool
	// Config is the content of the configuration file; nil where there is none. ConfigPath is its name.
	Config     []byte
	ConfigPath string
	Version    string // of the program
	Host       string

	Log        *slog.Logger
	Progress   func(index.Progress)         // may be nil
	Unreadable func(path string, err error) // a file that could not be backed up
	Note       func(format string, args ...any)

	afterPass func(pass int) // test hook
}

// run is a backup being made.
type run struct {
	Options
	begun    time.Time
	lock     *process.Lock
	from, to *store.Mailboxes
	previous *previous
	batch    *batch
	again    bool             // something may be at Dest already
	noLinks  bool             // to the live files: another file system
	told     map[string]bool  // what could not be read
	copies   map[inode]string // of files with several names, where their copy is
	missing  bool             // of what is kept beside the mail, only what is missing is copied
	scanned  int64
	total    int64
	m        Manifest
}

// destination is the data of the backup as a box would see it.
func (o Options) destination() config.Config {
	c := o.Data
	c.DataDir = o.Dest
	return c
}

// Make makes a backup at o.Dest, which MakePlace has made, or goes on with one. When it returns nil the backup is complete and on disk. Files that
// cannot be read are left out, told to o.Unreadable, and counted in the manifest. ErrExists where there is something else at o.Dest;
// process.ErrLocked while another process makes a backup there.
func Make(ctx context.Context, o Options) (Manifest, error) {
	r := &run{Options: o, begun: time.Now().UTC(), told: map[string]bool{}, copies: map[inode]string{}}
	if err := r.enter(); err != nil {
		return Manifest{}, fmt.Errorf("backup %s: %w", o.Dest, err)
	}
	defer r.lock.Release()
	r.from, r.to = store.OpenMailboxes(o.Data.MailDir()), store.OpenMailboxes(o.destination().MailDir())
	defer r.from.Close()
	defer r.to.Close()
	r.batch = &batch{fsys: o.Dest}
	defer r.batch.abort()
	if o.Previous != "" {
		p, err := openPrevious(o.Previous)
		if err != nil {
			return Manifest{}, fmt.Errorf("previous backup %s: %w", o.Previous, err)
		}
		r.previous = p
		defer p.close()
	}
	if err := r.make(ctx); err != nil {
		return r.m, fmt.Errorf("backup %s: %w", o.Dest, err)
	}
	return r.m, nil
}

// enter takes the place, with the lock.
func (r *run) enter() error {
	if _, err := os.Lstat(manifestPath(r.Dest)); err == nil {
		return fmt.Errorf("%w, complete: name another place", ErrExists)
	}
	entries, err := os.ReadDir(r.Dest)
	if err != nil {
		return err
	}
	_, err = os.Lstat(partialPath(r.Dest))
	if r.again = err == nil; !r.again && len(entries) > 0 {
		return fmt.Errorf("%w, and is no backup: name another place", ErrExists)
	}
	if r.lock, err = process.TakeLock(partialPath(r.Dest)); err != nil {
		return err
	}
	// Whoever held it may just have completed the backup.
	if _, err := os.Lstat(manifestPath(r.Dest)); err == nil {
		return errors.Join(fmt.Errorf("%w, complete: name another place", ErrExists), os.Remove(partialPath(r.Dest)), r.lock.Release())
	}
	return nil
}

// make does the work, in an order that matters: accounts.db after the mail, so that no mail is without its account, and the index last.
func (r *run) make(ctx context.Context) error {
	// The Manifest is there from the beginning, so that a list of backups can tell of one under way.
	r.m = Manifest{Format: format, Version: r.Version, Host: r.Host, DataDir: r.Data.DataDir, Begun: r.begun, Copy: r.Copy}
	if err := r.m.write(partialPath(r.Dest)); err != nil {
		return err
	}
	if r.again {
		if err := r.prune(ctx); err != nil {
			return err
		}
	}
	if err := r.count(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{r.closed, r.passes, r.smallFiles, r.accounts, r.list, r.index} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return r.complete()
}

// accounts copies accounts.db.
func (r *run) accounts(ctx context.Context) error {
	to := r.destination().AccountsDB()
	err := account.Copy(ctx, r.Data.AccountsDB(), to)
	if errors.Is(err, fs.ErrNotExist) {
		r.Note("there is no %s: the backup has mail only", r.Data.AccountsDB())
		return nil
	}
	if err != nil {
		return err
	}
	r.m.AccountsSHA256, err = sumFile(to)
	return err
}

// index copies the index. It is disposable: where it cannot be had, the first search makes one.
func (r *run) index(ctx context.Context) error {
	to := r.destination().IndexDB()
	if r.NoIndex {
		return removeFile(to)
	}
	_, err := index.Backup(ctx, r.Data.IndexDB(), index.Options{Path: to, Source: r.to, Log: r.Log})
	if errors.Is(err, index.ErrNoIndex) {
		r.Note("%v: the first search of the backup makes one", err)
		return removeFile(to)
	}
	r.m.Index = err == nil
	return err
}

// complete makes all of it durable, and then the rename. MakePlace has seen to the directory above.
func (r *run) complete() error {
	if err := syncFileSystem(r.Dest); err != nil {
		return err
	}
	r.m.Ended = time.Now().UTC()
	if err := r.m.write(partialPath(r.Dest)); err != nil {
		return err
	}
	if err := os.Rename(partialPath(r.Dest), manifestPath(r.Dest)); err != nil {
		return err
	}
	return process.SyncDir(r.Dest)
}

// MakePlace makes the directory for a backup of the data directory at data, where it is missing, for the owner of the data. It may be called as root,
// before stepping down to that owner: the directory above it may be anybody's. dest is given back absolute. ErrInside if it is in the
// data directory.
func MakePlace(dest, data string) (string, error) {
	dest, err := filepath.Abs(dest)
	if err != nil {
		return "", err
	}
	if err := outside(dest, data); err != nil {
		return "", fmt.Errorf("backup %s: %w", dest, err)
	}
	if _, err := os.Lstat(dest); !errors.Is(err, fs.ErrNotExist) {
		return dest, err
	}
	if err := makeAbove(filepath.Dir(dest)); err != nil {
		return "", err
	}
	if err := process.MakeDir(dest, placeMode); err != nil {
		return "", err
	}
	if os.Geteuid() != 0 {
		return dest, nil
	}
	info, err := os.Stat(data)
	if err != nil {
		return "", err
	}
	uid, gid := ownerOf(info)
	return dest, os.Chown(dest, uid, gid)
}

const (
	// placeMode keeps others from reading mail.
	placeMode = 0o700
	// aboveMode lets the owner of the data reach a place below directories that root made.
	aboveMode = 0o755
)

// makeAbove makes the directories above a place, which may lead to backups of several owners, whatever the umask is.
func makeAbove(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeAbove(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := process.MakeDir(dir, aboveMode); err != nil {
		return err
	}
	return os.Chmod(dir, aboveMode)
}

// outside sees that dest is not in data, whatever links lead there.
func outside(dest, data string) error {
	real, err := filepath.EvalSymlinks(data)
	if err != nil {
		return err
	}
	within, err := os.Stat(real)
	if err != nil {
		return err
	}
	for dir := dest; ; dir = filepath.Dir(dir) {
		// A part that is missing has no link in it.
		if there, err := filepath.EvalSymlinks(dir); err == nil {
			dir = there
			if info, err := os.Stat(dir); err == nil && os.SameFile(info, within) {
				return fmt.Errorf("%w, %s: each backup would hold those before it: name a place elsewhere", ErrInside, data)
			}
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// syncFileSystem writes out what the file system of path has in memory: one call for any number of files.
func syncFileSystem(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &fs.PathError{Op: "sync", Path: path, Err: err}
	}
	return nil
}
