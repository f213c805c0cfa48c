package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"maild/appliance/backup"
	"maild/appliance/process"
)

const backupHelp = `DEST gets a data directory of its own, which "mailctl --root DEST" searches and from which a box can start: accounts, index, mail, and the
configuration as maild.toml. Mail flows meanwhile; every message that was acknowledged before is in it. "create" may be left out.

DEST must not exist, or be what an interrupted backup left: the same command goes on with that. It becomes complete at once, at the end.

On the file system of the mail, messages are hard links: they take no room, and a removed message stays in the backup. What follows the
Maildir specification never writes into a message; a program that does changes the backup, too, and so does a failing disk. So back up to
another disk as well. --copy makes copies on the same file system (clones, where it can). Where copies are made, messages that have not
changed since an earlier backup are links to it: to --previous, or to the newest that stands beside DEST.

As root, DEST is made for the owner of the data, who must be able to reach the directory above it. The exit code is 8 when messages or
files could not be read: they are named, and the backup is complete without them. 7: another backup to DEST is running.`

func (c *call) backupCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "backup", Usage: "copies of everything, made while mail flows", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "create", Category: impliedCategory, Usage: "make a backup, or go on with one", ArgsUsage: "DEST",
			Description: backupHelp,
			Flags: []cli.Flag{&cli.StringFlag{Name: "previous", Usage: "take unchanged messages from the backup `DIR`; \"none\" from none"},
				&cli.BoolFlag{Name: "copy", Usage: "copy messages, make no links to the live files"},
				&cli.BoolFlag{Name: "no-index", Usage: "leave out the index: the first search of the backup makes it"}},
			UsageText: "mailctl backup /srv/backup/2026-02-01\nmailctl backup create /mnt/usb/monday --previous /mnt/usb/sunday\nmailctl --root /srv/backup/2026-02-01 search headers from:bill"},
			1, 1, createBackup),
		c.verb(ctx, &cli.Command{Name: "list", Usage: "list the backups in a directory", ArgsUsage: "DIR",
			Description: "The oldest comes first. Columns: backup, state (complete, incomplete, running, damaged), begun, host, accounts, messages, size, how many files\ncould not be read.",
			UsageText:   "mailctl backup list /srv/backup"}, 1, 1, listBackups),
		c.verb(ctx, &cli.Command{Name: "verify", Usage: "hold a backup against its manifest", ArgsUsage: "DIR",
			Description: "Every message that the backup had when it was made must be there, with its size and time, and no other; both databases must be whole. Flags\nmay have changed. What messages say is not compared: \"mailctl --root DIR index verify\" reads them. Problems are listed: kind, place, what.\nThe exit code is 6 when there are any.",
			UsageText:   "mailctl backup verify /srv/backup/2026-02-01"}, 1, 1, verifyBackup),
	}}
}

// backupView is a backup in JSON.
type backupView struct {
	Path  string `json:"path"`
	State string `json:"state"` // complete, incomplete, running, damaged
	backup.Manifest
}

func createBackup(ctx context.Context, c *call) error {
	o := backup.Options{Dest: c.Args().First(), Copy: c.Bool("copy"), NoIndex: c.Bool("no-index"), Previous: c.String("previous"),
		Version: versionText(), Log: c.log(), Note: c.note}
	if o.Dest == "" {
		return usagef("DEST is empty: name a directory")
	}
	err := c.openAfter(func(b *box) (err error) {
		if o.Config, err = b.configuration(); err != nil {
			return err
		}
		o.ConfigPath = b.file
		o.Dest, err = backup.MakePlace(o.Dest, b.cfg.DataDir)
		return err
	})
	if err == nil {
		err = c.reach(o.Dest)
	}
	if err != nil {
		return backupFault(err)
	}
	o.Data = c.box.cfg
	if o.Host, err = os.Hostname(); err != nil {
		return err
	}
	if o.Previous, err = c.previous(o); err != nil {
		return backupFault(err)
	}
	collect(longWork)
	show, done := c.progress("backing up")
	o.Progress = show
	var unread unreadFiles
	o.Unreadable = unread.add
	m, err := backup.Make(ctx, o)
	done()
	unread.tell(c)
	if err != nil {
		return backupFault(err)
	}
	if err := c.showBackup(o.Dest, m); err != nil {
		return err
	}
	if m.Unreadable > 0 {
		return &fault{code: ExitPartial, text: fmt.Sprintf("the backup is complete but for %d files or folders that could not be read: mend their rights, or the disk", m.Unreadable)}
	}
	return nil
}

// reach sees that the owner of the data can enter a place that root may have made.
func (c *call) reach(dest string) error {
	if _, err := os.ReadDir(dest); errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("backup %s: user %s, whose data it is, cannot enter it: give that user the right to enter it and each directory above, or name another place", dest, c.owner())
	}
	return nil
}

// configuration is the content of the configuration file; nil where there is none.
func (b *box) configuration() ([]byte, error) {
	if b.file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(b.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// previous is the backup to take unchanged messages from.
func (c *call) previous(o backup.Options) (string, error) {
	switch o.Previous {
	case "none":
		return "", nil
	case "":
		if c.IsSet("previous") {
			return "", usagef("--previous needs the name of a directory, or none")
		}
		return backup.Newest(o.Dest, o.Host, o.Data.DataDir), nil
	}
	path, err := filepath.Abs(o.Previous)
	if err != nil {
		return "", err
	}
	_, err = backup.Open(path)
	return path, err
}

// maxUnread is how many files that cannot be read are named. Who has more has a fault of another kind.
const maxUnread = 100

// unreadFiles is the files that could not be read. They are named when the work is done, or a terminal would lose them among the progress.
type unreadFiles struct {
	lines []string
	more  int
}

func (n *unreadFiles) add(what string, err error) {
	if len(n.lines) >= maxUnread {
		n.more++
		return
	}
	n.lines = append(n.lines, fmt.Sprintf("cannot read %s: %v", safeLine(what), err))
}

func (n *unreadFiles) tell(c *call) {
	for _, line := range n.lines {
		c.note("%s", line)
	}
	if n.more > 0 {
		c.note("and %d more", n.more)
	}
}

// showBackup says what a backup holds.
func (c *call) showBackup(dest string, m backup.Manifest) error {
	return c.facts([]fact{
		{"backup", dest},
		{"accounts", fmt.Sprint(m.Accounts)},
		{"messages", fmt.Sprint(m.Messages)},
		{"size", c.size(m.Octets)},
		{"linked", fmt.Sprint(m.LinkedMessages)},
		{"unchanged", fmt.Sprint(m.UnchangedMessages)},
		{"copied", fmt.Sprint(m.CopiedMessages)},
		{"copied size", c.size(m.CopiedOctets)},
		{"previous", m.Previous},
		{"unreadable", fmt.Sprint(m.Unreadable)},
		{"seconds", fmt.Sprintf("%.2f", m.Ended.Sub(m.Begun).Seconds())},
	}, backupView{dest, "complete", m})
}

// backupFault gives an error of a backup its exit code.
func backupFault(err error) error {
	code := 0
	var f *fault
	switch {
	case err == nil, errors.As(err, &f):
		return err
	case errors.Is(err, backup.ErrExists):
		code = ExitExists
	case errors.Is(err, backup.ErrInside):
		code = ExitUsage
	case errors.Is(err, backup.ErrNoBackup), errors.Is(err, backup.ErrIncomplete), errors.Is(err, fs.ErrNotExist):
		code = ExitNotFound
	case errors.Is(err, process.ErrLocked):
		return &fault{code: ExitLocked, text: "another one is at work there: wait for it to end", err: err}
	default:
		return err
	}
	return &fault{code: code, err: err}
}

func listBackups(_ context.Context, c *call) error {
	dir, err := filepath.Abs(c.Args().First())
	if err != nil {
		return err
	}
	found, err := backup.List(dir)
	if err != nil {
		return backupFault(err)
	}
	l := c.list(column{name: "backup", least: 12}, column{name: "state"}, column{name: "begun"}, column{name: "host", least: 6}, column{name: "accounts", right: true},
		column{name: "messages", right: true}, column{name: "size", right: true}, column{name: "unreadable", right: true})
	for _, b := range found {
		v := backupView{b.Path, stateOf(b), b.Manifest}
		row := []string{b.Path, v.State, c.moment(b.Manifest.Begun), b.Manifest.Host, fmt.Sprint(b.Manifest.Accounts), fmt.Sprint(b.Manifest.Messages),
			c.size(b.Manifest.Octets), fmt.Sprint(b.Manifest.Unreadable)}
		if err := l.add(row, v); err != nil {
			return err
		}
		if b.Fault != nil && b.Complete {
			c.note("%s: %v", b.Path, b.Fault)
		}
	}
	if len(found) == 0 {
		c.note("there are no backups in %s: make one with \"mailctl backup %s\"", dir, filepath.Join(dir, time.Now().Format(time.DateOnly)))
	}
	return l.end()
}

func stateOf(b backup.Listed) string {
	switch {
	case b.Running:
		return "running"
	case !b.Complete:
		return "incomplete"
	case b.Fault != nil:
		return "damaged"
	}
	return "complete"
}

// problemView is a problem of a backup in JSON.
type problemView struct {
	Kind  string `json:"kind"`
	Place string `json:"place"`
	What  string `json:"what"`
}

// verifiedView is a verified backup in JSON.
type verifiedView struct {
	Path     string        `json:"path"`
	Messages int64         `json:"messages"` // looked for
	Octets   int64         `json:"octets"`   // of them, as the manifest says
	Found    int           `json:"found"`    // problems, also those beyond what is listed
	Problems []problemView `json:"problems"`
}

func verifyBackup(ctx context.Context, c *call) error {
	dir, err := filepath.Abs(c.Args().First())
	if err != nil {
		return err
	}
	v := verifiedView{Path: dir, Problems: []problemView{}}
	collect(longWork)
	show, done := c.progress("verifying")
	m, checked, err := backup.Verify(ctx, dir, backup.VerifyOptions{Progress: show, Found: func(p backup.Problem) error {
		if v.Found++; v.Found <= maxListed {
			v.Problems = append(v.Problems, problemView{p.Kind, validText(p.Place), validText(p.What)})
		}
		return nil
	}})
	done()
	if err != nil {
		return backupFault(err)
	}
	v.Messages, v.Octets = checked, m.Octets
	if c.form() == formJSON {
		err = c.object(v)
	} else {
		l := c.list(column{name: "kind"}, column{name: "place", least: 20}, column{name: "what", least: 20})
		for _, p := range v.Problems {
			err = errors.Join(err, l.add([]string{p.Kind, p.Place, p.What}, p))
		}
		err = errors.Join(err, l.end())
		c.note("%d messages looked for, problems: %d", v.Messages, v.Found)
	}
	if err == nil && v.Found > 0 {
		err = &fault{code: ExitProblems, text: fmt.Sprintf("problems of the backup %s: %d: make another while the mail is there", dir, v.Found)}
	}
	return err
}
