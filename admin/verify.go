package admin

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"maild/index"
)

// verifyHelp is the description of the command.
const verifyHelp = `Every message file must have its row, every row its file, and each row must be what a fresh reading of the file gives: headers,
size, flags, folder and words. Mail may be delivered and moved meanwhile: a difference counts when it lasts longer than a second. While
no daemon runs, the index is brought up to date first.

Differences are listed: kind, account, folder, key, id, what. The exit code is 6 when there are any, and with --repair when some are
left. --sample reads only a share of the files again, by chance; names and flags of all are compared: cheap enough for every night.`

func (c *call) verifyCommand(ctx context.Context) *cli.Command {
	return c.verb(ctx, &cli.Command{Name: "verify", Usage: "prove that the index says what the mail does", ArgsUsage: "[ACCOUNT…]",
		Description: verifyHelp,
		Flags: []cli.Flag{&cli.StringFlag{Name: "sample", Usage: "read `SHARE` of the files again, as in 5% or 0.05"},
			&cli.BoolFlag{Name: "repair", Usage: "mend what differs"}},
		UsageText: "mailctl index verify\nmailctl index verify --sample 1%\nmailctl index verify --repair anna@example.org"}, 0, -1, indexVerify)
}

// differenceView is a difference in JSON.
type differenceView struct {
	Kind    string `json:"kind"`
	Account string `json:"account"`
	Folder  string `json:"folder"`
	Key     string `json:"key"`
	ID      int64  `json:"id"`
	What    string `json:"what"`
}

// verifyView is the whole result in JSON.
type verifyView struct {
	Checked     int64            `json:"checked"`
	Read        int64            `json:"read"`
	Failed      int64            `json:"failed"`
	Found       int64            `json:"found"` // differences, also those beyond what is listed
	Repaired    int64            `json:"repaired"`
	Seconds     float64          `json:"seconds"`
	Differences []differenceView `json:"differences"`
}

// maxListed is how many differences are listed. Who has more needs a rebuild, not a list.
const maxListed = 10_000

func indexVerify(ctx context.Context, c *call) error {
	share, err := parseShare(c.String("sample"))
	if err != nil {
		return err
	}
	names, err := c.openFor(ctx)
	if err != nil {
		return err
	}
	ix, err := c.search(ctx)
	if err != nil {
		return err
	}
	if c.Bool("repair") {
		if ix, err = c.writableIndex(ctx, ix); err != nil {
			return err
		}
	}
	collect(longWork)
	v := verifyView{Differences: []differenceView{}}
	show, done := c.progress("verifying")
	r, err := ix.Verify(ctx, index.VerifyOptions{Accounts: names, Share: share, Repair: c.Bool("repair"), Progress: show, Found: func(d index.Difference) error {
		if len(v.Differences) < maxListed {
			v.Differences = append(v.Differences, differenceView{d.Kind, d.Account, d.Folder, validText(d.Key), d.ID, d.What})
		}
		return nil
	}})
	done()
	if err != nil {
		return err
	}
	v.Checked, v.Read, v.Failed, v.Found, v.Repaired, v.Seconds = r.Checked, r.Read, r.Failed, r.Differences, r.Repaired, r.Elapsed.Seconds()
	if err := c.showVerified(v); err != nil {
		return err
	}
	return verified(r, c.Bool("repair"))
}

// showVerified writes the result.
func (c *call) showVerified(v verifyView) error {
	if c.form() == formJSON {
		return c.object(v)
	}
	l := c.list(column{name: "kind"}, column{name: "account", least: 8}, column{name: "folder", least: 7}, column{name: "key", least: 12}, column{name: "id"}, column{name: "what", least: 20})
	for _, d := range v.Differences {
		if err := l.add([]string{d.Kind, d.Account, d.Folder, d.Key, fmt.Sprint(d.ID), d.What}, d); err != nil {
			return err
		}
	}
	if err := l.end(); err != nil {
		return err
	}
	repaired := ""
	if c.Bool("repair") {
		repaired = fmt.Sprintf(", %d mended", v.Repaired)
	}
	c.note("%d messages compared, %d of them read again, differences: %d%s, in %.1f s", v.Checked, v.Read, v.Found, repaired, v.Seconds)
	if int64(len(v.Differences)) < v.Found {
		c.note("only the first %d differences are listed", len(v.Differences))
	}
	return nil
}

// verified is the end of a verify as an exit code.
func verified(r index.VerifyReport, repair bool) error {
	left := r.Differences - r.Repaired
	switch {
	case left > 0 && repair:
		return &fault{code: ExitProblems, text: fmt.Sprintf("differences left: %d of %d: \"mailctl index rebuild\" makes the index anew", left, r.Differences)}
	case left > 0:
		return &fault{code: ExitProblems, text: fmt.Sprintf("differences between the index and the mail: %d: \"mailctl index verify --repair\" mends them", left)}
	case r.Failed > 0:
		return &fault{code: ExitFailed, text: fmt.Sprintf("%d message files cannot be read: mend their rights", r.Failed)}
	}
	return nil
}

// writableIndex opens for writing what was opened for reading, beside a daemon.
func (c *call) writableIndex(ctx context.Context, ix *index.Index) (*index.Index, error) {
	if err := ix.Close(); err != nil {
		return nil, err
	}
	c.box.index = nil
	ix, err := index.Open(ctx, c.indexOptions())
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	c.box.index = ix
	return ix, nil
}

// parseShare reads 5% or 0.05; nothing is all.
func parseShare(s string) (float64, error) {
	if s == "" {
		return 1, nil
	}
	digits, percent := strings.CutSuffix(s, "%")
	share, err := strconv.ParseFloat(digits, 64)
	if percent {
		share /= 100
	}
	if err != nil || !(share > 0 && share <= 1) {
		return 0, usagef("--sample %q is no share: write 5%% or 0.05", s)
	}
	return share, nil
}

// accountNames reads the accounts named on the command line.
func accountNames(args []string) ([]string, error) {
	var names []string
	for _, arg := range args {
		a, err := address(arg)
		if err != nil {
			return nil, err
		}
		names = append(names, accountName(a))
	}
	return names, nil
}
