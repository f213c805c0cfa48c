package admin

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"maild/index"
	"maild/index/query"
)

// bodyCost is what it costs to index the text of messages.
const bodyCost = "about as much disk as the text of the mail, and two to three times the time of indexing"

func freshFlag() cli.Flag {
	return &cli.BoolFlag{Name: "fresh", Usage: "say how fresh the answer is, on standard error"}
}

// needText sees that the text of messages is indexed where a query asks for it.
func (c *call) needText(ctx context.Context, ix *index.Index, where query.Expr) error {
	asked := false
	query.Walk(where, func(x query.Expr) bool {
		t, ok := x.(query.Text)
		asked = asked || ok && t.Field == query.Body
		return !asked
	})
	if !asked {
		return nil
	}
	body, err := ix.BodyIndexed(ctx)
	switch {
	case err != nil:
		return err
	case body:
		return nil
	case c.box.cfg.Index.Body:
		return &fault{code: ExitFailed, text: "the text of messages is not indexed yet: restart maild if it has not been since the configuration changed, or run \"mailctl index rebuild\""}
	}
	return usagef("the text of messages is not indexed: set body = true in [index] of the configuration and restart maild; it costs %s", bodyCost)
}

// tellState says what the answer cannot tell by itself: that the index is still being filled and, with --fresh, how fresh it is.
func (c *call) tellState(ctx context.Context, ix *index.Index) error {
	if c.box.compared.IsZero() {
		filled, have, total, err := ix.Filled(ctx)
		if err != nil {
			return err
		}
		if !filled {
			c.note("the index is being filled: %s so far", filledShare(have, total))
		}
	}
	if !c.Bool("fresh") {
		return nil
	}
	written, err := lastWritten(c.box.cfg.IndexDB())
	if err != nil {
		return err
	}
	switch {
	case c.box.followed:
		sweep := "index.sweep"
		if c.box.file != "" {
			sweep += fmt.Sprintf(" (%v)", time.Duration(c.box.cfg.Index.Sweep))
		}
		c.note("fresh: the daemon follows the mail and finds what it was not told of within %s; last written %s", sweep, c.moment(written))
	case c.box.compared.IsZero():
		c.note("fresh: as old as the index, last written %s", c.moment(written))
	default:
		c.note("fresh: compared with the mail at %s", c.moment(c.box.compared))
	}
	return nil
}

// filledShare is how much of the mail is indexed, while not all is. Mail comes and goes meanwhile, so total is about right.
func filledShare(have, total int64) string {
	return fmt.Sprintf("%d of about %d messages (%d %%)", have, max(have, total), 100*have/max(1, have, total))
}

// lastWritten is when the index changed last: the time of its file, or of the log beside it, which is newer where it holds anything.
func lastWritten(path string) (time.Time, error) {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}, err
	}
	last := info.ModTime()
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 && wal.ModTime().After(last) {
		last = wal.ModTime()
	}
	return last, nil
}
