package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"maild/index"
)

// terminalLimit is how many messages are shown on a terminal when no limit is given.
const terminalLimit = 50

// errEnough ends a search from within.
var errEnough = errors.New("enough")

func (c *call) searchCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "search", Usage: "find messages", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "headers", Usage: "find messages by their headers, flags, size and time of arrival",
			Description: searchHelp, Flags: searchFlags(), UsageText: searchExamples}, 0, -1, searchHeaders),
	}}
}

const searchHelp = `All conditions must hold. Those of --from, --to, --cc and --subject are words: case and accents do not count, the
last part of each may be the beginning of a longer word, and every one must be there: "bill@acme" finds
bill@acme.example. --user, --domain, --folder may be repeated; one of them suffices.

TIME is a day (2026-01-31, 2026-01, 2026), today, yesterday, an age (12h, 3d, 2w), or RFC 3339. It is compared with the
time of arrival. SIZE is a number of octets, or 25k, 10M, 1G. FLAG is seen, answered, flagged, draft, trashed, passed, new
or a keyword's letter, with "un", "not-" or "!" before it for its absence (unseen, !flagged); several with commas.

The newest comes first. Columns: id, date, account, folder, flags (N is new), from, subject; a table leaves out the one
account or folder asked for. The exit code is 3 when nothing is found. While no daemon runs, the index is brought up to date first.`

const searchExamples = `mailctl search headers --from bill --since 7d
mailctl search headers --subject "quarterly report" --user anna@example.org --folder Archive
mailctl search headers --header List-Id=golang --flag unseen,flagged --limit 10
mailctl search headers --larger 10M --json
mailctl search headers --before 2025 | cut -f1 | head | xargs -n1 mailctl msg path`

func searchFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "from", Usage: "`WORDS` in the sender's name or address"},
		&cli.StringSliceFlag{Name: "to", Usage: "`WORDS` in To"},
		&cli.StringSliceFlag{Name: "cc", Usage: "`WORDS` in Cc"},
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
	v := messageView{ID: m.ID, Account: m.Account, Folder: m.Folder, Key: validText(m.Key), Flags: m.Flags, New: m.New, Octets: m.Octets,
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

func searchHeaders(ctx context.Context, c *call) error {
	if c.NArg() > 0 {
		word := c.Args().First()
		return usagef("%q stands alone: write --from %q, --to %q, --cc %q or --subject %q", word, word, word, word, word)
	}
	q, err := c.query()
	if err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	if q.Accounts, err = c.searchedAccounts(ctx); err != nil {
		return err
	}
	ix, err := c.search(ctx)
	if err != nil {
		return err
	}
	one := func(flag string) bool { return len(c.StringSlice(flag)) == 1 }
	l := c.list(column{name: "id"}, column{name: "date"}, column{name: "account", least: 8, hidden: one("user") && len(q.Accounts) == 1},
		column{name: "folder", least: 7, hidden: one("folder")}, column{name: "flags"}, column{name: "from", least: 10},
		column{name: "subject", least: 12})
	cutOff := false
	err = ix.Search(ctx, q, func(m index.Message) error {
		if !c.IsSet("limit") && q.Limit > 0 && l.count == q.Limit-1 {
			cutOff = true
			return errEnough
		}
		row := []string{fmt.Sprint(m.ID), c.shortMoment(m.Arrived), m.Account, m.Folder, flagColumn(m), m.Header.From, m.Header.Subject}
		return l.add(row, viewMessage(m))
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if err := l.end(); err != nil {
		return err
	}
	if cutOff {
		c.note("these are the newest %d; --limit 0 shows all", l.count)
	}
	if l.count == 0 {
		return c.nothingFound(ctx)
	}
	return nil
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
func (c *call) searchedAccounts(ctx context.Context) ([]string, error) {
	var names []string
	for _, user := range c.StringSlice("user") {
		if strings.Contains(user, "@") {
			a, err := address(user)
			if err != nil {
				return nil, err
			}
			names = append(names, strings.ToLower(a.Local)+"@"+a.Domain)
			continue
		}
		all, err := c.mail().Accounts(ctx)
		if err != nil {
			return nil, err
		}
		before := len(names)
		for _, name := range all {
			if at := strings.LastIndexByte(name, '@'); strings.EqualFold(name[:at], user) {
				names = append(names, name)
			}
		}
		if len(names) == before {
			return nil, notFoundf("there is no account %s@ in any domain: see \"mailctl user list\"", user)
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
			return notFoundf("nothing found: there is no mail of %s", user)
		}
	}
	for _, domain := range c.StringSlice("domain") {
		if d, err := domainName(domain); err == nil && !domains[d] {
			return notFoundf("nothing found: there is no mail of any account in %s", domain)
		}
	}
	return notFoundf("nothing found")
}
