package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"maild/appliance/foreign"
	"maild/appliance/mbox"
	"maild/appliance/process"
	"maild/maildir"
)

func (c *call) importCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "import", Usage: "bring mail in from elsewhere", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "maildir", Usage: "bring in a Maildir, or a tree of them", ArgsUsage: "PATH ACCOUNT",
			Description: "PATH is a Maildir with its folders, in the layout of Courier, Dovecot (Maildir++ or fs) or mutt, or a directory of Maildirs. Flags, keyword\n" +
				"letters, times of arrival and folders are kept.\n" + importHelp,
			Flags: append(importFlags(), &cli.BoolFlag{Name: "link", Usage: "link files instead of copying them, where that is possible; then nothing may change them any more"}),
			UsageText: "mailctl import maildir /home/anna/Maildir anna@example.org --dry-run\n" +
				"mailctl import maildir /home/anna/Maildir anna@example.org --map Sent=Archive.Sent --map 'Junk E-mail=Junk'"}, 2, 2, importMaildir),
		c.verb(ctx, &cli.Command{Name: "mbox", Usage: "bring in an mbox, or a directory of them", ArgsUsage: "PATH ACCOUNT",
			Description: "PATH is a file, which goes to the INBOX unless --into says otherwise, or a directory of them, as Thunderbird's or ~/Mail; files may be\n" +
				"compressed by gzip. Flags come from Status, X-Status, X-Keywords and X-Mozilla-Status, the time of arrival from the \"From \" line, or\n" +
				"else the Date field.\n" + importHelp,
			Flags: append(importFlags(), &cli.StringFlag{Name: "mbox-format", Value: "auto", Usage: "how \"From \" is quoted, `FORM`: rd, o, cl2, or auto, which is rd unless a Content-Length leads to the next message"},
				&cli.StringSliceFlag{Name: "keyword", Usage: "keep the keyword NAME as a letter, `NAME=LETTER`"}),
			UsageText: "mailctl import mbox /var/mail/anna anna@example.org\n" +
				"mailctl import mbox ~/.thunderbird/x.default/Mail/'Local Folders' anna@example.org --into Old"}, 2, 2, importMbox),
	}}
}

const importHelp = `The source is only read. A message that cannot be taken is named and does not keep the others back; the exit code is 8 then. When the
command ends, what it says was taken is on disk. The same command run again, after an interruption or a power cut or later, takes only
what is not there yet: a message carries in its file name where it came from, as long as it is in the account. Files changed or moved in the
source count as others; --dedup finds those by their content. An administrator's import is not held by quotas.`

func importFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "into", Usage: "put everything into `FOLDER`, and folders below it"},
		&cli.StringSliceFlag{Name: "map", Usage: "put the folder OLD, and those below it, into NEW: `OLD=NEW`; --into does not count for them"},
		&cli.BoolFlag{Name: "dedup", Usage: "leave out messages of which the account has the same octets already"},
		&cli.BoolFlag{Name: "dry-run", Usage: "only say what would be taken"},
	}
}

// importOptions are the flags.
type importOptions struct {
	into       string
	renames    map[string]string
	dedup      bool
	dry        bool
	link       bool
	mboxFormat mbox.Format
	keywords   map[string]byte
}

func (c *call) importOptions() (o importOptions, err error) {
	o = importOptions{dedup: c.Bool("dedup"), dry: c.Bool("dry-run"), link: c.Bool("link"), renames: map[string]string{}, keywords: map[string]byte{}}
	if o.into, err = folderFlag("into", c.String("into")); err != nil {
		return o, err
	}
	for _, m := range c.StringSlice("map") {
		from, to, ok := strings.Cut(m, "=")
		if !ok || from == "" || to == "" {
			return o, usagef("--map %q: write OLD=NEW", m)
		}
		if to, err = folderFlag("map", to); err != nil {
			return o, err
		}
		if strings.EqualFold(from, maildir.Inbox) {
			from = maildir.Inbox
		}
		o.renames[strings.ReplaceAll(from, "/", ".")] = to
	}
	for _, k := range c.StringSlice("keyword") {
		at := strings.LastIndexByte(k, '=')
		if at < 1 || len(k) != at+2 || k[at+1] < 'a' || k[at+1] > 'z' {
			return o, usagef("--keyword %q: write NAME=LETTER, with a letter from a to z", k)
		}
		o.keywords[strings.ToLower(k[:at])] = k[at+1]
	}
	if name := c.String("mbox-format"); name != "" {
		var ok bool
		if o.mboxFormat, ok = mbox.Formats()[name]; !ok {
			return o, usagef("--mbox-format %q is none: write rd, o, cl2 or auto", name)
		}
	}
	return o, nil
}

// folderFlag reads the name of a folder; a slash between levels is as good as a dot.
func folderFlag(flag, name string) (string, error) {
	if name == "" || strings.EqualFold(name, maildir.Inbox) {
		return strings.ToUpper(name), nil
	}
	name = strings.ReplaceAll(name, "/", ".")
	if err := maildir.ValidFolder(name); err != nil {
		return "", usagef("--%s: %v", flag, err)
	}
	return name, nil
}

func importMaildir(ctx context.Context, c *call) error {
	return c.importFrom(ctx, kindMaildir, foreign.Maildirs)
}

func importMbox(ctx context.Context, c *call) error {
	return c.importFrom(ctx, kindMbox, foreign.Mboxes)
}

// importFrom runs an import of what walk finds.
func (c *call) importFrom(ctx context.Context, kind string, walk func(ctx context.Context, path string, v foreign.Visitor) error) error {
	path, name := c.Args().Get(0), c.Args().Get(1)
	if path == "" {
		return usagef("PATH is empty: name a %s", kind)
	}
	o, err := c.importOptions()
	if err != nil {
		return err
	}
	a, err := address(name)
	if err != nil {
		return err
	}
	right := process.ReadAnywhere
	c.keep = &right
	if err := c.open(); err != nil {
		return err
	}
	d, err := c.accounts(ctx, reading)
	if err != nil {
		return err
	}
	u, err := existing(ctx, d, a)
	if err != nil {
		return err
	}
	source, err := c.importSource(path, u.Name())
	if err != nil {
		return err
	}
	im := &importer{call: c, ctx: ctx, account: u.Name(), source: source, importOptions: o, report: newImportReport(c, u.Name(), source, o.dry)}
	if c.world.animated { // nobody else would see how much is left
		if err := walk(ctx, source, im.counter(kind)); err != nil {
			return sourceError(err)
		}
	}
	err = im.run(func() error { return walk(ctx, source, im.visitor(kind)) })
	return im.end(ctx, err)
}

// importSource is the path of a source without links, which is its identity. It must not be the account's own mail.
func (c *call) importSource(path, account string) (string, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", notFoundf("%s does not exist: name what is to be imported", path)
	}
	if err != nil {
		return "", fmt.Errorf("source: %w", err)
	}
	own, err := c.mail().Path(account)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(own); err == nil {
		own = real
	}
	if isWithin(abs, own) || isWithin(own, abs) {
		return "", usagef("%s is, or holds, the mail of %s itself: name another source", path, account)
	}
	return abs, nil
}

// isWithin reports whether path is dir or lies below it.
func isWithin(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// importLock is the file in an account's tree that keeps two imports apart. It stays there.
const importLock = "import.lock"

// lockImport keeps other imports out of an account: two of one source would both take what neither has yet.
func lockImport(t *maildir.Tree) (*process.Lock, error) {
	l, err := process.TakeLock(filepath.Join(t.Path(), importLock))
	if errors.Is(err, process.ErrLocked) {
		return nil, &fault{code: ExitLocked, text: "another import into this account is at work: wait for it to end"}
	}
	return l, err
}

// end tells what was done, and brings the index up to date where no daemon does.
func (im *importer) end(ctx context.Context, err error) error {
	im.report.done()
	if err != nil && !im.report.found() {
		return err // there is nothing to tell beside it
	}
	err = errors.Join(err, im.report.write())
	if im.report.Taken > 0 && !im.dry && err == nil {
		if ierr := im.followUp(ctx); ierr != nil {
			im.note("the index will notice later: %s", explain(ierr, im.owner()))
		}
	}
	if err == nil && im.report.Failed > 0 {
		err = &fault{code: ExitPartial, text: fmt.Sprintf("%d could not be taken: see above; the same command takes them when what keeps them back is mended", im.report.Failed)}
	}
	return err
}

// followUp makes the index agree with mail that a command has changed, while no daemon does.
func (c *call) followUp(ctx context.Context) error {
	up, err := c.daemonUp()
	if err != nil || up {
		return err
	}
	_, err = c.search(ctx)
	return err
}

// ownAndPlain reports whether a file may be linked to: it is the user's own, who may read it later, too.
func ownAndPlain(info os.FileInfo) bool {
	uid, ok := ownerOf(info)
	return ok && uid == os.Geteuid() && info.Mode().Perm()&0o400 != 0
}
