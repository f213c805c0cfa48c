package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"maild/index"
	"maild/index/query"
	"maild/maildir"
)

// terminalLimit is how many messages are shown on a terminal when no limit is given.
const terminalLimit = 50

// errEnough ends a search from within.
var errEnough = errors.New("enough")

func (c *call) searchCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "search", Usage: "find messages", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "headers", Usage: "find messages by their headers, flags, size and time of arrival", ArgsUsage: "[QUERY…]",
			Description: searchHelp, Flags: searchFlags(), UsageText: searchExamples}, 0, -1, searchHeaders),
		c.verb(ctx, &cli.Command{Name: "text", Usage: "find messages by their text and the names of attachments", ArgsUsage: "QUERY…",
			Description: textHelp, Flags: searchFlags(), UsageText: textExamples}, 1, -1, searchText),
		c.verb(ctx, &cli.Command{Name: "sql", Usage: "ask the index in SQL, reading only", ArgsUsage: "STATEMENT",
			Description: sqlHelp, Flags: []cli.Flag{formatFlag("table, tsv, json or jsonl"), freshFlag(),
				&cli.DurationFlag{Name: "timeout", Value: sqlTimeout, Usage: "give up after `TIME`"}}, UsageText: sqlExamples}, 1, 1, searchSQL),
	}}
}

const searchHelp = `QUERY is conditions with spaces between them; all must hold. OR, NOT (or - before a condition) and parentheses combine
them otherwise.
  hello "two words" wor*       in From, To, Cc or Subject: whole words, words side by side, the beginning of a word
  from:bill from:@acme.com     any part of the address or name; also to: and cc:
  subject:plan subject:(a OR b)
  list:NAME header:X-Spam=yes header:X-Spam
  in:Archive in:Archive* account:anna account:anna@example.org domain:example.org
  is:unread is:read is:flagged is:replied is:draft is:trashed is:passed is:recent keyword:k has:attachment
  date:2026-01 date:2026-01..2026-03 date:3d before:2026 after:yesterday    time of arrival; sent: is the Date field
  larger:10M smaller:2k id:1769868000000000 id:<MESSAGE-ID> thread:<MESSAGE-ID>
Case and accents do not count. The shell needs quotes round a QUERY with ( ) < > or ". One that begins with - comes after --, and all
flags before that: mailctl search headers --limit 5 -- -is:read from:bill

The flags are conditions, too. --from, --to and --cc take parts of addresses or names, --subject words, which may go on; all of them
must be there, in any order. --user, --domain, --folder may be repeated; one of them suffices.

TIME is a day (2026-01-31, 2026-01, 2026), today, yesterday, an age (12h, 3d, 2w), or RFC 3339. SIZE is a number of octets,
or 25k, 10M, 1G. FLAG is seen, answered, flagged, draft, trashed, passed, new or a keyword's letter, with "un", "not-" or "!"
before it for its absence (unseen, !flagged); several with commas.

Columns: id, date, account, folder, flags (N is new), from, subject; a table leaves out the one account or folder asked
for. With --threads: id of the oldest message, date of the newest, account, how many are found of how many, people, subject. The exit
code is 3 when nothing is found; with --count it is 0. While no daemon runs, the index is brought up to date first; --fresh says how
fresh the answer is.`

const searchExamples = `mailctl search headers 'from:bill subject:(report OR plan) is:unread date:2w'
mailctl search headers --from bill --since 7d
mailctl search headers --threads list:golang
mailctl search headers --count is:unread account:anna
mailctl search headers --sort largest --limit 10 in:INBOX
mailctl search headers before:2025 --format paths | xargs -d '\n' ls -l`

const textHelp = `QUERY is that of "search headers"; words without a field are looked for in the text of messages and in the names of attachments.
It needs body = true in [index] of the configuration, which costs about as much disk as the text of the mail, and two to three times
the time of indexing. All flags and fields of "search headers" count here, too.`

const textExamples = `mailctl search text invoice from:acme
mailctl search text '"terms of payment" has:attachment' --format ids`

func searchFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "sort", Usage: "`ORDER`: newest, oldest, largest, smallest, from, subject, sent"},
		&cli.BoolFlag{Name: "count", Usage: "say how many there are, and no more"},
		&cli.BoolFlag{Name: "threads", Usage: "a line for each conversation, with all its messages in JSON"},
		formatFlag("table, tsv, json, jsonl, paths or ids"),
		freshFlag(),
		&cli.StringSliceFlag{Name: "from", Usage: "`PARTS` of the sender's name or address"},
		&cli.StringSliceFlag{Name: "to", Usage: "`PARTS` of names or addresses in To"},
		&cli.StringSliceFlag{Name: "cc", Usage: "`PARTS` of names or addresses in Cc"},
		&cli.StringSliceFlag{Name: "subject", Usage: "`WORDS` in the subject"},
		&cli.StringFlag{Name: "message-id", Usage: "the Message-ID is `ID`"},
		&cli.StringSliceFlag{Name: "header", Usage: "any other field, `NAME=VALUE`: it contains VALUE; NAME alone: it is there"},
		&cli.StringFlag{Name: "since", Usage: "arrived at `TIME` or later"},
		&cli.StringFlag{Name: "before", Usage: "arrived before `TIME`"},
		&cli.StringFlag{Name: "larger", Usage: "larger than `SIZE`"},
		&cli.StringFlag{Name: "smaller", Usage: "smaller than `SIZE`"},
		&cli.StringSliceFlag{Name: "flag", Usage: "`FLAG` is set, or not"},
		&cli.StringSliceFlag{Name: "user", Usage: "in the account `ADDRESS`, or all of this name in any domain"},
		&cli.StringSliceFlag{Name: "domain", Usage: "in the accounts of `DOMAIN`"},
		&cli.StringSliceFlag{Name: "folder", Usage: "in `FOLDER`: INBOX, Sent, Archive.2026"},
		&cli.IntFlag{Name: "limit", Aliases: []string{"n"}, Value: -1,
			Usage: fmt.Sprintf("show at most `N`; 0 is all. On a terminal %d when not given, else all", terminalLimit)},
	}
}

// messageView is a message in JSON.
type messageView struct {
	ID         int64      `json:"id"`
	Account    string     `json:"account"`
	Folder     string     `json:"folder"`
	Key        string     `json:"key"`
	Flags      string     `json:"flags"`
	New        bool       `json:"new"`
	Attachment bool       `json:"attachment"`
	Octets     int64      `json:"octets"`
	Arrived    time.Time  `json:"arrived"`
	Date       *time.Time `json:"date"`
	MessageID  string     `json:"message_id"`
	InReplyTo  []string   `json:"in_reply_to"`
	References []string   `json:"references"`
	Subject    string     `json:"subject"`
	From       string     `json:"from"`
	To         string     `json:"to"`
	Cc         string     `json:"cc"`
	ReplyTo    string     `json:"reply_to"`
	ListID     string     `json:"list_id"`
}

func viewMessage(m index.Message) messageView {
	h := m.Header
	v := messageView{ID: m.ID, Account: m.Account, Folder: m.Folder, Key: validText(m.Key), Flags: m.Flags, New: m.New, Attachment: m.Attachment, Octets: m.Octets,
		Arrived: m.Arrived.UTC(), MessageID: h.MessageID, InReplyTo: h.InReplyTo, References: h.References, Subject: h.Subject,
		From: h.From, To: h.To, Cc: h.Cc, ReplyTo: h.ReplyTo, ListID: h.ListID}
	if !h.Date.IsZero() {
		v.Date = &h.Date
	}
	for _, list := range []*[]string{&v.InReplyTo, &v.References} {
		if *list == nil {
			*list = []string{}
		}
	}
	return v
}

func searchHeaders(ctx context.Context, c *call) error { return c.searchMessages(ctx, false) }

func searchText(ctx context.Context, c *call) error { return c.searchMessages(ctx, true) }

// searchMessages is both kinds of search. With text set, words are looked for in the text of messages.
func (c *call) searchMessages(ctx context.Context, text bool) error {
	format, err := c.format("paths", "ids")
	if err != nil {
		return err
	}
	if err := c.countFlag(format); err != nil {
		return err
	}
	order, err := c.sortFlag(format)
	if err != nil {
		return err
	}
	limit, err := c.limitFlag()
	if err != nil {
		return err
	}
	where, err := c.where(text)
	if err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	accounts, err := c.searchedAccounts(ctx)
	if err != nil {
		return err
	}
	if len(accounts) > 0 {
		where = append(where, oneOf(accounts))
	}
	ix, err := c.search(ctx)
	if err != nil {
		return err
	}
	if err := c.needText(ctx, ix, where); err != nil {
		return err
	}
	if err := c.tellState(ctx, ix); err != nil {
		return err
	}
	switch {
	case c.Bool("count"):
		return c.countMessages(ctx, ix, where)
	case c.Bool("threads"):
		return c.listThreads(ctx, ix, index.Query{Where: where, Limit: limit})
	}
	return c.listMessages(ctx, ix, index.Query{Where: where, Sort: order, Limit: limit}, format)
}

// where is the query and the conditions of the flags.
func (c *call) where(text bool) (query.And, error) {
	all, err := c.flagTerms()
	if err != nil {
		return nil, err
	}
	// Whether the text of messages is indexed is known later: the index tells.
	x, err := query.Parse(strings.Join(c.Args().Slice(), " "), query.Options{Now: c.world.now(), Zone: c.world.zone, Body: true, Text: text})
	var s *query.SyntaxError
	if errors.As(err, &s) {
		return nil, usagef("%v\n%s", err, s.Pointer())
	}
	if err != nil {
		return nil, err
	}
	return append(all, canonicalNames(x)), nil
}

// countFlag sees that nothing is asked for beside --count that it would ignore.
func (c *call) countFlag(format string) error {
	if !c.Bool("count") {
		return nil
	}
	for _, flag := range []string{"threads", "sort", "limit"} {
		if c.IsSet(flag) {
			return usagef("--count counts all messages: leave out --%s", flag)
		}
	}
	if format == "paths" || format == "ids" {
		return usagef("--count gives a number: leave out --format %s", format)
	}
	return nil
}

// sortFlag is the order to list messages in.
func (c *call) sortFlag(format string) (index.Sort, error) {
	orders := map[string]index.Sort{"": index.SortNewest, "newest": index.SortNewest, "oldest": index.SortOldest, "largest": index.SortLargest,
		"smallest": index.SortSmallest, "from": index.SortFrom, "subject": index.SortSubject, "sent": index.SortSent}
	order, ok := orders[c.String("sort")]
	if !ok {
		return 0, usagef("--sort %q is no order: write newest, oldest, largest, smallest, from, subject or sent", c.String("sort"))
	}
	switch {
	case c.Bool("threads") && c.IsSet("sort"):
		return 0, usagef("--threads come by their newest message: leave out --sort")
	case c.Bool("threads") && (format == "paths" || format == "ids"):
		return 0, usagef("--threads have no --format %s: write table, tsv, json or jsonl", format)
	}
	return order, nil
}

// countMessages writes how many there are; none is an answer, too.
func (c *call) countMessages(ctx context.Context, ix *index.Index, where query.Expr) error {
	n, err := ix.Count(ctx, where)
	if err != nil {
		return err
	}
	if f := c.form(); f == formJSON || f == formLines {
		if err := writeJSON(c.out, ordered{{"count", n}}); err != nil {
			return err
		}
		return c.out.WriteByte('\n')
	}
	_, err = fmt.Fprintln(c.out, n)
	return err
}

// listMessages writes the messages found, as they are found.
func (c *call) listMessages(ctx context.Context, ix *index.Index, q index.Query, format string) error {
	one := func(flag string) bool { return len(c.StringSlice(flag)) == 1 }
	l := c.list(column{name: "id"}, column{name: "date"}, column{name: "account", least: 8, hidden: one("user") && strings.Contains(c.StringSlice("user")[0], "@")},
		column{name: "folder", least: 7, hidden: one("folder")}, column{name: "flags"}, column{name: "from", least: 10},
		column{name: "subject", least: 12})
	if format == "ids" && (q.Limit == 0 || c.IsSet("limit")) {
		return c.listIDs(ctx, ix, q)
	}
	cutOff, chosen := false, c.IsSet("limit")
	found := 0
	err := ix.Search(ctx, q, func(m index.Message) error {
		if !chosen && q.Limit > 0 && found == q.Limit-1 {
			cutOff = true
			return errEnough
		}
		found++
		switch format {
		case "ids":
			_, err := fmt.Fprintln(c.out, m.ID)
			return err
		case "paths":
			return c.writePath(m)
		}
		row := []string{fmt.Sprint(m.ID), c.shortMoment(m.Arrived), m.Account, m.Folder, flagColumn(m), m.Header.From, m.Header.Subject}
		return l.add(row, viewMessage(m))
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if format != "ids" && format != "paths" {
		if err := l.end(); err != nil {
			return err
		}
	}
	if cutOff {
		c.note("these are the first %d; --limit 0 shows all", found)
	}
	if found == 0 {
		return c.nothingFound(ctx)
	}
	return nil
}

// listIDs is listMessages for ids alone, which need no rows.
func (c *call) listIDs(ctx context.Context, ix *index.Index, q index.Query) error {
	found := false
	var line []byte
	err := ix.IDs(ctx, q, func(id int64) error {
		found = true
		line = append(strconv.AppendInt(line[:0], id, 10), '\n')
		_, err := c.out.Write(line)
		return err
	})
	if err == nil && !found {
		return c.nothingFound(ctx)
	}
	return err
}

// writePath names the file of a message. One that has just gone is left out.
func (c *call) writePath(m index.Message) error {
	err := c.file(m, func(t *maildir.Tree, e maildir.Entry) error {
		path := t.MessagePath(e)
		if c.world.width > 0 {
			path = safeLine(path)
		}
		_, err := fmt.Fprintln(c.out, path)
		return err
	})
	var f *fault
	if errors.As(err, &f) && f.code == ExitNotFound {
		return nil
	}
	return err
}

// flagColumn is the flags as they are shown: the letters of the file name, with N before them for a message that no reader has
// seen.
func flagColumn(m index.Message) string {
	if m.New {
		return "N" + m.Flags
	}
	return m.Flags
}

// searchedAccounts are the accounts that --user names. A name without a domain stands for all accounts of that name.
func (c *call) searchedAccounts(ctx context.Context) (query.Or, error) {
	var names query.Or
	for _, user := range c.StringSlice("user") {
		if strings.Contains(user, "@") {
			a, err := address(user)
			if err != nil {
				return nil, err
			}
			names = append(names, query.Account{Name: accountName(a)})
			continue
		}
		all, err := c.mail().Accounts(ctx)
		if err != nil {
			return nil, err
		}
		before := len(names)
		for _, name := range all {
			if at := strings.LastIndexByte(name, '@'); foldedLocal(name[:at]) == foldedLocal(user) {
				names = append(names, query.Account{Name: name})
			}
		}
		if len(names) == before {
			locals := make([]string, len(all))
			for i, name := range all {
				locals[i] = name[:strings.LastIndexByte(name, '@')]
			}
			return nil, notFoundf("there is no account %s@ in any domain: %s", user, didYouMean(strings.ToLower(user), locals, "user list"))
		}
	}
	return names, nil
}

// nothingFound says so, and why that may be.
func (c *call) nothingFound(ctx context.Context) error {
	accounts, err := c.mail().Accounts(ctx)
	if err != nil {
		return err
	}
	known, domains := map[string]bool{}, map[string]bool{}
	for _, a := range accounts {
		known[a] = true
		domains[a[strings.LastIndexByte(a, '@')+1:]] = true
	}
	for _, user := range c.StringSlice("user") {
		if strings.Contains(user, "@") && !known[strings.ToLower(user)] {
			return notFoundf("nothing found: there is no mail of %s%s", user, perhaps(strings.ToLower(user), accounts))
		}
	}
	for _, domain := range c.StringSlice("domain") {
		if d, err := domainName(domain); err == nil && !domains[d] {
			return notFoundf("nothing found: there is no mail of any account in %s%s", domain, perhaps(d, slices.Sorted(maps.Keys(domains))))
		}
	}
	return notFoundf("nothing found")
}
