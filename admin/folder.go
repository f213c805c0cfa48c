package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"maild/appliance/store"
	"maild/index"
	"maild/maildir"
)

const folderNames = `
Names are shown decoded, and a dot stands between levels: Archive.2026 is below Archive, which need not exist. Folders of all programs on
the same Maildir are the same.`

const folderFollows = `
While no daemon runs, the index is right on return. A running daemon follows by itself; the command waits until it has, for a second at
most, and says so if it has not.`

func (c *call) folderCommand(ctx context.Context) *cli.Command {
	yes := &cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"}
	return &cli.Command{Name: "folder", Usage: "the folders of the accounts", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "list", Usage: "list folders and what they hold", ArgsUsage: "[ACCOUNT…]",
			Description: "Columns: account, folder, messages, unread, octets. Without ACCOUNT, the folders of all accounts." + folderNames,
			UsageText:   "mailctl folder list ann@example.org\nmailctl folder list --json | jq '.[] | select(.unread > 0)'"}, 0, -1, listFolders),
		c.verb(ctx, &cli.Command{Name: "create", Usage: "make a folder", ArgsUsage: "ACCOUNT FOLDER",
			Description: "Makes a folder, which is durable on return. Levels above it are not made." + folderNames,
			UsageText:   "mailctl folder create ann@example.org Archive.2026"}, 2, 2, createFolder),
		c.verb(ctx, &cli.Command{Name: "rename", Usage: "rename a folder and all below it", ArgsUsage: "ACCOUNT OLD NEW",
			Description: "The folders below OLD go along, and messages keep their ids. Nothing is renamed where one of the new names exists. Interrupted, some of\nthe lower folders are renamed, and the same command finishes the work." + folderNames + folderFollows,
			UsageText:   "mailctl folder rename ann@example.org Archive Old"}, 3, 3, renameFolder),
		c.verb(ctx, &cli.Command{Name: "remove", Usage: "remove a folder", ArgsUsage: "ACCOUNT FOLDER",
			Description: "A folder that holds messages is removed only with --purge, which deletes them for good: on a terminal you are asked, elsewhere --yes\nmust be given. One that has folders below it is removed only with --recursive, all of them. INBOX stays." + folderFollows,
			Flags: []cli.Flag{&cli.BoolFlag{Name: "purge", Usage: "delete the messages, too"}, &cli.BoolFlag{Name: "recursive", Usage: "remove the folders below it, too"},
				&cli.BoolFlag{Name: "dry-run", Usage: "show what would be removed, and do nothing"}, yes},
			UsageText: "mailctl folder remove ann@example.org Archive.2019\nmailctl folder remove ann@example.org Junk --purge --yes"}, 2, 2, removeFolder),
	}}
}

// folderName reads the name of a folder from the command line.
func folderName(name string) (string, error) {
	if strings.EqualFold(name, maildir.Inbox) {
		return maildir.Inbox, nil // RFC 3501 §5.1: INBOX is the same in any case
	}
	if dotted := strings.Trim(strings.ReplaceAll(name, "/", "."), "."); strings.Contains(name, "/") && maildir.ValidFolder(dotted) == nil {
		return "", usagef("folder %q: a dot stands between levels: write %s", name, dotted)
	}
	if err := maildir.ValidFolder(name); err != nil {
		return "", usagef("%v", err)
	}
	return name, nil
}

// folderAccount reads an account from the command line and opens the box.
func (c *call) folderAccount(ctx context.Context) (string, error) {
	names, err := accountNames(c.Args().Slice()[:1])
	if err != nil {
		return "", err
	}
	if err := c.open(); err != nil {
		return "", err
	}
	return names[0], c.checkAccounts(ctx, names)
}

// folders are those of an account. One that never had mail has an INBOX to be.
func (c *call) folders(ctx context.Context, account string) ([]string, error) {
	list, err := c.mail().Folders(ctx, account)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return list, err
}

// existingFolder gives the folders of an account, among which name must be.
func (c *call) existingFolder(account, name string) ([]string, error) {
	known, err := c.folders(context.Background(), account)
	if err != nil || slices.Contains(known, name) {
		return known, err
	}
	remedy := fmt.Sprintf("\"mailctl folder list %s\" lists them, \"mailctl folder create\" makes one", account)
	if s := nearestFolder(name, known); s != "" {
		remedy = fmt.Sprintf("did you mean %s?", s)
	}
	return known, notFoundf("%s has no folder %s: %s", account, name, remedy)
}

// nearestFolder is what a misspelt name was meant to be, "" if none is near.
func nearestFolder(name string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return k
		}
	}
	return suggest(name, known)
}

// family is a folder, if it is among known, and all below it.
func family(known []string, folder string) (list []string) {
	for _, k := range known {
		if k == folder || strings.HasPrefix(k, folder+".") {
			list = append(list, k)
		}
	}
	return list
}

// folderView is a folder in JSON.
type folderView struct {
	Account  string `json:"account"`
	Folder   string `json:"folder"`
	Messages int64  `json:"messages"`
	Unread   int64  `json:"unread"`
	Octets   int64  `json:"octets"`
}

func listFolders(ctx context.Context, c *call) error {
	names, err := c.openFor(ctx)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		if names, err = c.mail().Accounts(ctx); err != nil {
			return err
		}
	}
	ix, err := c.search(ctx)
	if err != nil {
		return err
	}
	if err := c.tellState(ctx, ix); err != nil {
		return err
	}
	l := c.list(column{name: "account", least: 8, hidden: len(c.Args().Slice()) == 1}, column{name: "folder", least: 12}, column{name: "messages", right: true},
		column{name: "unread", right: true}, column{name: "octets", right: true})
	for _, account := range names {
		folders, err := c.folders(ctx, account)
		if err != nil {
			return err
		}
		usage, err := folderUsage(ctx, ix, account)
		if err != nil {
			return err
		}
		for _, f := range folders {
			u := usage[f]
			v := folderView{account, f, u.Messages, u.Unread, u.Octets}
			if err := l.add([]string{v.Account, v.Folder, fmt.Sprint(v.Messages), fmt.Sprint(v.Unread), c.size(v.Octets)}, v); err != nil {
				return err
			}
		}
	}
	return l.end()
}

// folderUsage is what the index knows of an account's folders, by name.
func folderUsage(ctx context.Context, ix *index.Index, account string) (map[string]index.FolderUsage, error) {
	list, err := ix.FolderUsage(ctx, account)
	usage := map[string]index.FolderUsage{}
	for _, u := range list {
		usage[u.Folder] = u
	}
	return usage, err
}

// folderDone is what a change of folders gives in JSON.
type folderDone struct {
	Account string   `json:"account"`
	Folder  string   `json:"folder"`
	To      string   `json:"to,omitempty"`      // its new name
	Folders []string `json:"folders,omitempty"` // those renamed or removed, by their old names
	// Messages is how many were deleted.
	Messages int64 `json:"messages,omitempty"`
}

func createFolder(ctx context.Context, c *call) error {
	name, err := folderName(c.Args().Get(1))
	if err != nil {
		return err
	}
	account, err := c.folderAccount(ctx)
	if err != nil {
		return err
	}
	err = fs.ErrExist
	if name != maildir.Inbox {
		err = c.mail().Use(account, true, func(t *maildir.Tree) error { return t.CreateFolder(name) })
	}
	if errors.Is(err, fs.ErrExist) {
		return &fault{code: ExitExists, text: fmt.Sprintf("%s has a folder %s already", account, name)}
	}
	if err != nil {
		return err
	}
	c.note("folder %s of %s is made", name, account)
	return c.object(folderDone{Account: account, Folder: name})
}

func renameFolder(ctx context.Context, c *call) error {
	from, err := folderName(c.Args().Get(1))
	if err != nil {
		return err
	}
	to, err := folderName(c.Args().Get(2))
	switch {
	case err != nil:
		return err
	case from == maildir.Inbox || to == maildir.Inbox:
		return usagef("INBOX is the Maildir itself and can be neither renamed nor the new name: \"mailctl msg move --query\" moves its messages")
	case from == to:
		return usagef("%s is its name already", from)
	case strings.HasPrefix(to, from+"."):
		return usagef("folder %s cannot be put below itself", from)
	}
	account, err := c.folderAccount(ctx)
	if err != nil {
		return err
	}
	known, err := c.existingFolder(account, from)
	renamed := family(known, from)
	if err != nil && len(renamed) == 0 { // what an interrupted rename has left has no folder at the top
		return err
	}
	ix, err := c.search(ctx)
	if err != nil {
		return err
	}
	before, err := folderUsage(ctx, ix, account)
	if err != nil {
		return err
	}
	err = c.mail().RenameFolder(account, from, to)
	if errors.Is(err, fs.ErrExist) {
		return &fault{code: ExitExists, text: fmt.Sprintf("%v: move its messages with \"mailctl msg move\", or choose another name", err)}
	}
	if err != nil {
		return err
	}
	c.indexFollows(ctx, account, func(now map[string]index.FolderUsage) bool {
		for _, f := range renamed {
			if was := before[f].Messages; now[f].Messages > 0 || now[to+strings.TrimPrefix(f, from)].Messages < was {
				return false
			}
		}
		return true
	})
	if n := len(renamed); n > 1 {
		c.note("folder %s of %s is renamed to %s, with %d below it", from, account, to, n-1)
	} else {
		c.note("folder %s of %s is renamed to %s", from, account, to)
	}
	return c.object(folderDone{Account: account, Folder: from, To: to, Folders: renamed})
}

// indexFollows brings the index up to changed folders, or waits until the daemon has done so.
func (c *call) indexFollows(ctx context.Context, account string, done func(map[string]index.FolderUsage) bool) {
	ix := c.box.index
	show, clear := c.progress("indexing")
	err := store.New(c.mail(), ix).Renew(ctx, account, show)
	clear()
	if err == nil && ix.ReadOnly() {
		err = until(ctx, func() (bool, error) {
			now, err := folderUsage(ctx, ix, account)
			return err == nil && done(now), err
		})
	}
	if err != nil {
		c.note("the mail is changed, but not yet the index, which follows by itself: %v", err)
	}
}

func removeFolder(ctx context.Context, c *call) error {
	name, err := folderName(c.Args().Get(1))
	switch {
	case err != nil:
		return err
	case name == maildir.Inbox:
		return usagef("INBOX is the Maildir itself and cannot be removed: \"mailctl msg delete --query\" deletes its messages, \"mailctl user remove --purge\" all of an account")
	}
	account, err := c.folderAccount(ctx)
	if err != nil {
		return err
	}
	known, err := c.existingFolder(account, name)
	doomed := family(known, name)
	if err != nil && len(doomed) == 0 {
		return err
	}
	below := slices.DeleteFunc(slices.Clone(doomed), func(f string) bool { return f == name })
	if len(below) > 0 && !c.Bool("recursive") {
		return fmt.Errorf("folder %s of %s has folders below it: %s: remove them first, or all with --recursive", name, account, strings.Join(below, ", "))
	}
	slices.Reverse(doomed) // the top goes last, so that what an interruption leaves is found again
	held, total, err := c.heldBy(ctx, account, doomed)
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return c.wouldRemove(account, doomed, held)
	}
	if total > 0 && !c.Bool("purge") {
		return fmt.Errorf("%s of %s: %s: --purge deletes them for good, \"mailctl msg move --query\" moves them elsewhere", describeHeld(doomed, held), account, messages(total))
	}
	if c.Bool("purge") {
		if err := c.confirm(ctx, fmt.Sprintf("Remove %s of %s and DELETE %s for good?", strings.Join(doomed, ", "), account, messages(total))); err != nil {
			return err
		}
	}
	if _, err := c.search(ctx); err != nil {
		return err
	}
	return c.removeFolders(ctx, account, doomed, total)
}

// removeFolders removes folders that were agreed on.
func (c *call) removeFolders(ctx context.Context, account string, doomed []string, total int64) error {
	removed, err := c.mail().RemoveFolders(account, doomed, c.Bool("purge"))
	if removed > 0 {
		c.indexFollows(ctx, account, func(now map[string]index.FolderUsage) bool {
			return !slices.ContainsFunc(doomed[:removed], func(f string) bool { return now[f].Messages > 0 })
		})
		c.note("removed of %s: %s", account, strings.Join(doomed[:removed], ", "))
	}
	if errors.Is(err, maildir.ErrNotEmpty) {
		err = fmt.Errorf("%w: mail has just come, or new/ or cur/ has files that are no messages: --purge deletes all", err)
	}
	if err != nil && removed > 0 {
		return &fault{code: ExitPartial, err: err}
	}
	if err != nil {
		return err
	}
	done := folderDone{Account: account, Folder: doomed[len(doomed)-1], Folders: doomed}
	if c.Bool("purge") {
		done.Messages = total
	}
	return c.object(done)
}

// heldBy counts the message files in folders. The files are asked, not the index, as they are about to go.
func (c *call) heldBy(ctx context.Context, account string, folders []string) (held map[string]int64, total int64, err error) {
	held = map[string]int64{}
	for _, f := range folders {
		err := c.mail().Scan(ctx, account, f, index.WholeFolder, func(index.File) error { held[f]++; return nil })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, err
		}
		total += held[f]
	}
	return held, total, nil
}

// describeHeld names those folders that hold messages.
func describeHeld(folders []string, held map[string]int64) string {
	var names []string
	for _, f := range folders {
		if held[f] > 0 {
			names = append(names, f)
		}
	}
	if len(names) == 1 {
		return "folder " + names[0]
	}
	return "folders " + strings.Join(names, ", ")
}

// wouldRemove lists what would go.
func (c *call) wouldRemove(account string, folders []string, held map[string]int64) error {
	l := c.list(column{name: "account", least: 8}, column{name: "folder", least: 12}, column{name: "messages", right: true})
	for _, f := range folders {
		v := ordered{{"account", account}, {"folder", f}, {"messages", held[f]}}
		if err := l.add([]string{account, f, fmt.Sprint(held[f])}, v); err != nil {
			return err
		}
	}
	return l.end()
}
