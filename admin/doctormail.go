package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"maild/index"
	"maild/maildir"
)

// What doctor looks at in Maildirs, at most: enough to find what is wrong in general, and a large box is done in seconds.
const (
	maxFolderNames = 20_000
	maxNames       = 200_000
	maxFolderFiles = 100 // whose owner and rights are looked at
	nameChunk      = 1000
)

// ward is the walk through all Maildirs.
type ward struct {
	*patient
	u       *checkup
	begin   time.Time
	names   int64 // looked at
	sampled bool  // not all were
	told    map[string]bool
}

// maildirs looks at the directories of all accounts.
func (p *patient) maildirs(ctx context.Context, u *checkup) error {
	names, err := p.mail().Accounts(ctx)
	if err != nil {
		return err
	}
	w := &ward{patient: p, u: u, begin: time.Now(), told: map[string]bool{}}
	if err := w.strangers(); err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		path, err := p.mail().Path(name)
		if err != nil {
			return err
		}
		w.account(path)
		if p.show != nil {
			p.show(index.Progress{Scanned: w.names, Elapsed: time.Since(w.begin)})
		}
	}
	u.seen = fmt.Sprintf("%d Maildirs, %d folders, %d files", len(names), p.folders, w.names)
	if w.sampled {
		u.seen += ", a sample of them"
	}
	return nil
}

// once tells of a fault of one kind in one account once: what mends it mends all alike.
func (w *ward) once(kind, path, mend, format string, args ...any) {
	if key := kind + "\x00" + path; !w.told[key] {
		w.told[key] = true
		w.u.fault(mend, format, args...)
	}
}

// strangers finds what is no directory where only those can be.
func (w *ward) strangers() error {
	root := w.box.cfg.MailDir()
	domains, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range domains {
		path := filepath.Join(root, d.Name())
		if d.Name() == "lost+found" {
			continue
		}
		if !d.IsDir() {
			w.u.fault("sudo mv -i "+shellWord(path)+" "+shellWord(w.box.cfg.DataDir+"/"), "%s is no directory of a domain", path)
			continue
		}
		users, err := os.ReadDir(path)
		if err != nil {
			w.unreadable(path, path, err)
			continue
		}
		for _, user := range users {
			path := filepath.Join(path, user.Name())
			if _, err := os.Lstat(filepath.Join(path, "cur")); !user.IsDir() {
				w.u.fault("sudo mv -i "+shellWord(path)+" "+shellWord(w.box.cfg.DataDir+"/"), "%s is no Maildir, and no directory", path)
			} else if errors.Is(err, fs.ErrNotExist) {
				w.u.fault(w.makeFolder(path), "%s has no cur/, so it is no Maildir", path)
			}
		}
	}
	return nil
}

func (w *ward) unreadable(tree, path string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		return // went away meanwhile
	}
	w.once("unreadable", tree, fmt.Sprintf("sudo chown -R %s: %s && sudo chmod -R u+rwX %[2]s", shellWord(w.owner), shellWord(tree)), "%s cannot be read: %v", path, err)
}

// account looks at one Maildir and its folders.
func (w *ward) account(tree string) {
	entries, err := os.ReadDir(tree)
	if err != nil {
		w.unreadable(tree, tree, err)
		return
	}
	w.folder(tree, tree)
	for _, e := range entries {
		path := filepath.Join(tree, e.Name())
		switch {
		case !strings.HasPrefix(e.Name(), "."):
			w.rights(tree, path)
		case e.Type()&fs.ModeSymlink != 0 && isDir(filepath.Join(path, "cur")):
			w.u.fault(fmt.Sprintf("ls -l %s   # a folder must be a directory of its own", shellWord(path)), "%s is a link to a folder: links are not followed, so its mail is not seen", path)
		case !e.IsDir():
		case isDir(filepath.Join(path, "cur")) || isDir(filepath.Join(path, "new")):
			if _, err := maildir.DecodeFolder(e.Name()); err != nil {
				w.u.fault("sudo mv -i "+shellWord(path)+" "+shellWord(filepath.Join(tree, ".Recovered")), "the folder %s is not seen, as its name cannot be a folder's", path)
			}
			w.folder(tree, path)
		}
	}
}

func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// folder looks at the three directories of one folder.
func (w *ward) folder(tree, path string) {
	w.folders++
	w.rights(tree, path)
	var lacking []string
	for _, sub := range []string{"cur", "new", "tmp"} {
		dir := filepath.Join(path, sub)
		info, err := os.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			lacking = append(lacking, sub+"/")
		case err != nil:
			w.unreadable(tree, dir, err)
		case !info.IsDir():
			w.u.fault(fmt.Sprintf("sudo mv -i %s %s && %s", shellWord(dir), shellWord(dir+".old"), w.makeFolder(path)), "%s is no directory", dir)
		default:
			w.rights(tree, dir)
			w.files(tree, dir, sub == "tmp")
		}
	}
	if len(lacking) > 0 {
		w.u.fault(w.makeFolder(path), "%s has no %s", path, strings.Join(lacking, " and no "))
	}
}

// files looks at the names in one directory, a sample of them where there are many.
func (w *ward) files(tree, dir string, tmp bool) {
	f, err := os.Open(dir)
	if err != nil {
		w.unreadable(tree, dir, err)
		return
	}
	defer f.Close()
	seen, touched := 0, 0
	for {
		entries, err := f.ReadDir(nameChunk)
		for _, e := range entries {
			if seen >= maxFolderNames || w.names >= maxNames {
				w.sampled = true
				return
			}
			seen++
			w.names++
			path := filepath.Join(dir, e.Name())
			switch {
			case tmp:
				w.staged(tree, dir, path)
			case !e.Type().IsRegular():
				w.once("special", dir, "sudo mv -i "+shellWord(path)+" "+shellWord(w.box.cfg.DataDir+"/"), "%s is no regular file (%s), so it is no message", path, typeName(e.Type()))
			case e.Name()[0] == '.':
			default:
				if _, _, ok := maildir.ParseFileName(e.Name()); !ok {
					w.once("name", dir, "sudo mv -i "+shellWord(path)+" "+shellWord(filepath.Join(dir, maildir.NewNames("recovered").Next())), "%s cannot be the name of a message, so it is not seen", path)
				}
				if touched++; touched <= maxFolderFiles {
					w.rights(tree, path)
				} else {
					w.sampled = true
				}
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			w.unreadable(tree, dir, err)
			return
		}
	}
}

// staged looks at a file in tmp/, where one that is old was given up.
func (w *ward) staged(tree, dir, path string) {
	info, err := os.Lstat(path)
	if err != nil {
		return
	}
	st := info.Sys().(*syscall.Stat_t)
	changed := time.Unix(int64(max(st.Mtim.Sec, st.Ctim.Sec)), 0)
	if age := w.world.now().Sub(changed); age > maildir.StaleTmpAge {
		w.once("stale", dir, fmt.Sprintf("sudo find %s -maxdepth 1 -type f -mmin +%d -cmin +%[2]d -delete", shellWord(dir), int(maildir.StaleTmpAge.Minutes())),
			"%s is what a delivery left %d hours ago; a running daemon removes such files every day", path, int(age.Hours()))
	}
	w.rights(tree, path)
}

// rights sees whose a file or directory is.
func (w *ward) rights(tree, path string) {
	info, err := os.Lstat(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.unreadable(tree, path, err)
		}
		return
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != w.uid {
		w.once("owner", tree, fmt.Sprintf("sudo chown -R %s: %s", shellWord(w.owner), shellWord(tree)), "%s belongs to %s, not to %s", path, loginName(st.Uid), w.owner)
	}
	if !w.closed && info.Mode().Perm()&0o007 != 0 && info.Mode()&fs.ModeSymlink == 0 {
		w.once("open", tree, "sudo chmod -R o-rwx "+shellWord(tree), "%s is open to everybody on this machine (mode %04o)", path, info.Mode().Perm())
	}
}

// typeName is what a special file is called.
func typeName(t fs.FileMode) string {
	switch {
	case t.IsDir():
		return "a directory"
	case t&fs.ModeSymlink != 0:
		return "a link"
	case t&fs.ModeNamedPipe != 0:
		return "a pipe"
	case t&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}
