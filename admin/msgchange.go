package admin

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"maild/appliance/store"
	"maild/maildir"
)

// trashFolder is where "msg delete --trash" puts messages, in their own account.
const trashFolder = "Trash"

// flagWords stands in the usage of a command that takes flags to be set and cleared. The arranger leaves words with one dash to it as they are.
const flagWords = "+FLAG… -FLAG…"

// whichHelp says how messages are named.
const whichHelp = `ID is the number that "search headers" shows, or a Message-ID that one message has; - reads them from standard input, the first field of
each line. --query names all messages that answer a QUERY of "search headers" instead: their number is shown, and on a terminal you are
asked; elsewhere --yes must be given. --dry-run shows what would be done.
`

// promiseHelp says what can be relied on.
const promiseHelp = `
A message that a mail reader has renamed meanwhile is found again; one that is gone is named, and the rest is done: exit code 8 when some
are done and others are not. Ids stay. What is said to be done survives a power cut, and the index shows it: while no daemon runs, this
command writes it there; a running daemon follows by itself, and the command waits until it has, for a second at most, and says so if
it has not. Interrupted, nothing is half done, and the same command goes on.`

const flagHelp = `Sets (+) and clears (-) flags: seen, flagged, replied, draft, trashed, passed, and keyword:a to keyword:z, which are Dovecot's letters.
` + whichHelp + `A message gets out of new/ when its flags change.
` + promiseHelp

const moveHelp = `Moves messages to a folder of their own account, or of the --account named. Flags stay, and so does whether a message is new.
What a keyword's letter means is kept by Dovecot for each folder, and does not go along.
` + whichHelp + `A message that is there already stays.
` + promiseHelp

const copyHelp = `Gives a folder of the same account, or of the --account named, a second message of the same content, flags and time, with an id of its
own. It takes no room where the file system has hard links.
` + whichHelp + promiseHelp

const deleteHelp = `Deletes messages for good, which cannot be undone: on a terminal you are asked, elsewhere --yes must be given. --trash moves them to the
folder Trash of their account instead.
` + whichHelp + promiseHelp

// changeCommands are the verbs that change messages.
func (c *call) changeCommands(ctx context.Context) []*cli.Command {
	account := &cli.StringFlag{Name: "account", Usage: "a folder of the account `ADDRESS`, not each message's own"}
	create := &cli.BoolFlag{Name: "create", Usage: "make the folder where it is missing"}
	return []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "flag", Usage: "set and clear flags", ArgsUsage: "ID… " + flagWords, Description: flagHelp, Flags: changeFlags(),
			UsageText: "mailctl msg flag 1769868000000000 +seen -flagged\nmailctl msg flag --query 'list:golang before:2w' +seen --yes\n" +
				"mailctl search headers --from bill --format ids | mailctl msg flag - +keyword:a"}, 0, -1, flagMessages),
		c.verb(ctx, &cli.Command{Name: "move", Usage: "move messages to another folder or account", ArgsUsage: "ID… FOLDER", Description: moveHelp,
			Flags: changeFlags(account, create), UsageText: "mailctl msg move 1769868000000000 Archive\n" +
				"mailctl msg move --query 'in:INBOX account:ann before:2025' Archive.2024 --create\n" +
				"mailctl msg move '<20260131.1@example.org>' INBOX --account bob@example.org"}, 1, -1, moveMessages),
		c.verb(ctx, &cli.Command{Name: "copy", Usage: "copy messages to a folder", ArgsUsage: "ID… FOLDER", Description: copyHelp, Flags: changeFlags(account, create),
			UsageText: "mailctl msg copy 1769868000000000 Invoices\nmailctl msg copy --query 'subject:invoice account:ann' INBOX --account tax@example.org --yes"},
			1, -1, copyMessages),
		c.verb(ctx, &cli.Command{Name: "delete", Usage: "delete messages", ArgsUsage: "ID…", Description: deleteHelp,
			Flags: changeFlags(&cli.BoolFlag{Name: "trash", Usage: "move them to the folder " + trashFolder + " instead"}),
			UsageText: "mailctl msg delete 1769868000000000\nmailctl msg delete --query 'in:Junk before:30d' --yes\n" +
				"mailctl msg delete --trash 1769868000000000"}, 0, -1, deleteMessages),
	}
}

// changeFlags are the flags that all of them have, and more.
func changeFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "query", Usage: "all messages that answer `QUERY`"},
		&cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, and do nothing"},
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
	}, more...)
}

func flagMessages(ctx context.Context, c *call) error {
	j := msgChange{call: c, change: store.Change{Action: store.Flag}, action: "flag"}
	var ids []string
	for _, arg := range c.Args().Slice() {
		if !isFlagWord(arg) {
			ids = append(ids, arg)
			continue
		}
		letter, set, err := flagWord(arg)
		if err != nil {
			return err
		}
		if set {
			j.change.Add = j.change.Add.With(letter)
		} else {
			j.change.Remove = j.change.Remove.With(letter)
		}
	}
	switch add, remove := j.change.Add, j.change.Remove; {
	case add == "" && remove == "":
		return usagef("no flag is named: write +seen, -flagged and the like")
	case add.Without(remove) != add:
		return usagef("a flag cannot be both set and cleared: leave out one of the two")
	}
	return j.run(ctx, ids)
}

// isFlagWord tells flags to be set or cleared from ids. Message-IDs have an @, or stand in <>.
func isFlagWord(arg string) bool {
	return len(arg) > 1 && (arg[0] == '+' || arg[0] == '-') && !strings.Contains(arg, "@")
}

// flagWord reads +seen, -flagged or +keyword:a. A name with "un" before it is the flag's absence, as in is:unread.
func flagWord(word string) (letter maildir.Flags, set bool, err error) {
	name, set := strings.ToLower(word[1:]), word[0] == '+'
	names := flagNames()
	delete(names, "new")
	delete(names, "recent")
	if _, ok := strings.CutPrefix(name, "keyword:"); ok {
		keyword := word[1+len("keyword:"):]
		if len(keyword) != 1 || keyword[0] < 'a' || keyword[0] > 'z' {
			return "", false, usagef("%q: a keyword is one letter from a to z: write %skeyword:a", word, word[:1])
		}
		return maildir.Flags(keyword), set, nil
	}
	if l, ok := names[name]; ok {
		return maildir.Flags(l), set, nil
	}
	if rest, ok := strings.CutPrefix(name, "un"); ok && names[rest] != "" {
		return maildir.Flags(names[rest]), !set, nil
	}
	if name == "new" || name == "recent" {
		return "", false, usagef("%q: new is no flag, but says that no mail reader has seen a message: write %s", word, map[bool]string{true: "-seen", false: "+seen"}[set])
	}
	known := make([]string, 0, len(names))
	for n := range names {
		known = append(known, n)
	}
	slices.Sort(known)
	if s := suggest(name, known); s != "" {
		return "", false, usagef("there is no flag %q: did you mean %s%s?", word[1:], word[:1], s)
	}
	return "", false, usagef("there is no flag %q: the flags are seen, flagged, replied, draft, trashed, passed, and keyword:a to keyword:z", word[1:])
}

func moveMessages(ctx context.Context, c *call) error {
	return c.intoFolder(ctx, msgChange{call: c, change: store.Change{Action: store.Move}, action: "move"})
}

func copyMessages(ctx context.Context, c *call) error {
	return c.intoFolder(ctx, msgChange{call: c, change: store.Change{Action: store.Copy}, action: "copy"})
}

// intoFolder runs a change whose last argument is a folder.
func (c *call) intoFolder(ctx context.Context, j msgChange) error {
	args := c.Args().Slice()
	last := len(args) - 1
	var err error
	if j.change.Folder, err = folderName(args[last]); err != nil {
		return err
	}
	if last == 0 && !c.IsSet("query") {
		return usagef("FOLDER is missing, or the messages are: write %s", formOf("mailctl msg "+j.action, c.Command))
	}
	if c.IsSet("account") {
		a, err := address(c.String("account"))
		if err != nil {
			return err
		}
		j.change.Account = strings.ToLower(a.Local) + "@" + a.Domain
	}
	j.change.Create = c.Bool("create")
	return j.run(ctx, args[:last])
}

func deleteMessages(ctx context.Context, c *call) error {
	j := msgChange{call: c, change: store.Change{Action: store.Delete}, action: "delete"}
	if c.Bool("trash") {
		j.change, j.action = store.Change{Action: store.Move, Folder: trashFolder, Create: true}, "move"
	}
	return j.run(ctx, c.Args().Slice())
}
