package index

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrUncertain says that the index cannot tell how much there is, for it is being filled or compared with the mail. Its remedy is to ask the mail.
var ErrUncertain = errors.New("the index is not up to date")

// Usage is what an account holds, all folders taken together.
type Usage struct {
	Messages int64
	Octets   int64 // of the files
}

// Usage gives the number and the total size of an account's messages, by the totals of its folders.
func (ix *Index) Usage(ctx context.Context, account string) (messages, octets int64, err error) {
	err = ix.current().read.QueryRowContext(ctx, `SELECT coalesce(sum(messages), 0), coalesce(sum(octets), 0) FROM folder WHERE account = ?`,
		strings.ToLower(account)).Scan(&messages, &octets)
	if err != nil {
		return 0, 0, fmt.Errorf("usage of %s: %w", account, readError(err))
	}
	return messages, octets, nil
}

// Usages gives the usage of all accounts that have a folder in the index.
func (ix *Index) Usages(ctx context.Context) (map[string]Usage, error) {
	rows, err := ix.current().read.QueryContext(ctx, `SELECT account, messages, octets FROM usage`)
	if err != nil {
		return nil, fmt.Errorf("usage: %w", readError(err))
	}
	defer rows.Close()
	all := map[string]Usage{}
	for rows.Next() {
		var account string
		var u Usage
		if err := rows.Scan(&account, &u.Messages, &u.Octets); err != nil {
			return nil, fmt.Errorf("usage: %w", readError(err))
		}
		all[account] = u
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("usage: %w", readError(err))
	}
	return all, nil
}

// UsageBeside is Usage together with which of the given keys have a row in a folder, both at one moment: what was delivered and may be on its
// way into the index is neither left out nor counted twice. ErrUncertain while the index is not to be trusted about this account.
func (ix *Index) UsageBeside(ctx context.Context, account, folder string, keys []string) (u Usage, have map[string]bool, err error) {
	account = strings.ToLower(account)
	if !ix.marks.trusts(account) {
		return u, nil, ErrUncertain
	}
	g := ix.current()
	if !g.filled.Load() {
		_, filled, err := g.state(ctx)
		if err != nil {
			return u, nil, fmt.Errorf("usage of %s: %w", account, readError(err))
		}
		if !filled {
			return u, nil, ErrUncertain
		}
		g.filled.Store(true)
	}
	u, have, err = g.usageBeside(ctx, account, folder, keys)
	if err != nil {
		return u, nil, fmt.Errorf("usage of %s: %w", account, readError(err))
	}
	return u, have, nil
}

func (g *generation) usageBeside(ctx context.Context, account, folder string, keys []string) (u Usage, have map[string]bool, err error) {
	const sums = `SELECT NULL, coalesce(sum(messages), 0), coalesce(sum(octets), 0) FROM folder WHERE account = ?1`
	if len(keys) == 0 {
		var none sql.NullString
		err = g.read.QueryRowContext(ctx, sums, account).Scan(&none, &u.Messages, &u.Octets)
		return u, nil, err
	}
	list, err := json.Marshal(keys)
	if err != nil {
		return u, nil, err
	}
	rows, err := g.read.QueryContext(ctx, sums+`
		UNION ALL SELECT key, 0, 0 FROM message WHERE folder = (SELECT id FROM folder WHERE account = ?1 AND name = ?2)
			AND key IN (SELECT value FROM json_each(?3))`, account, folder, string(list))
	if err != nil {
		return u, nil, err
	}
	defer rows.Close()
	have = map[string]bool{}
	for rows.Next() {
		var key sql.NullString
		var one Usage
		if err := rows.Scan(&key, &one.Messages, &one.Octets); err != nil {
			return u, nil, err
		}
		if key.Valid {
			have[key.String] = true
		} else {
			u = one
		}
	}
	return u, have, rows.Err()
}
