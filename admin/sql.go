package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"maild/index"
)

// sqlTimeout is how long a statement may take unless --timeout says otherwise.
const sqlTimeout = 10 * time.Second

const sqlHelp = `STATEMENT is one SELECT, WITH, VALUES or EXPLAIN of SQLite. These views stay as they are; columns may be added:
  messages  id, account, domain, folder, key, flags, new, unread, flagged, attachment, octets, arrived, date, message_id,
            in_reply_to, "references", subject, "from", "to", cc, reply_to, list_id
  headers   id, name, value: the fields above, and those that [index] headers names
  folders   account, domain, folder, messages, unread, octets
  accounts  account, domain, folders, messages, unread, octets
  usage     account, messages, octets
Times are UTC, as 2026-01-31T08:00:00Z. "sqlite3 -readonly index.db" offers the same views.`

const sqlExamples = `mailctl search sql 'SELECT account, octets FROM usage ORDER BY octets DESC LIMIT 10'
mailctl search sql 'SELECT "from", count(*) FROM messages GROUP BY 1 ORDER BY 2 DESC LIMIT 20' --format tsv`

func searchSQL(ctx context.Context, c *call) error {
	if _, err := c.format(); err != nil {
		return err
	}
	limit := c.Duration("timeout")
	if limit <= 0 {
		return usagef("--timeout %v is no time to answer in: write 10s or 1m", limit)
	}
	if err := c.open(); err != nil {
		return err
	}
	ix, err := c.search(ctx)
	if err != nil {
		return err
	}
	if err := c.tellState(ctx, ix); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var l *list
	err = ix.SQL(ctx, c.Args().First(), func(columns []string, values []any) error {
		if l == nil {
			shown := make([]column, len(columns))
			for i, name := range columns {
				shown[i] = column{name: safeLine(validText(name)), least: 12}
			}
			l = c.list(shown...)
		}
		if values == nil {
			return nil
		}
		row := make([]string, len(values))
		object := make(ordered, len(values))
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			if s, ok := v.(string); ok {
				v = validText(s)
			}
			object[i] = member{columns[i], v}
			if v != nil {
				row[i] = fmt.Sprint(v)
			}
		}
		return l.add(row, object)
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the statement took longer than %v: ask for less, or give it more by --timeout", limit)
	case errors.Is(err, index.ErrSQL):
		return usagef("%v", err)
	case err != nil && strings.Contains(err.Error(), "SQL logic error"):
		return usagef("%v: \"mailctl help search sql\" lists the views", err)
	case err != nil:
		return err
	}
	return l.end()
}
