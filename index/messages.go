package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// ReadOnly reports whether the index was opened so: then what it is told of is ignored, as another process keeps it.
func (ix *Index) ReadOnly() bool { return ix.opt.ReadOnly }

// Messages gives the rows of those ids that there are, in no order. It is meant for some hundreds at a time.
func (ix *Index) Messages(ctx context.Context, ids []int64) ([]Message, error) {
	page, err := ix.page(ctx, "SELECT "+messageFields+" FROM message m WHERE m.id "+inList, []any{idList(ids)})
	if err != nil {
		return nil, fmt.Errorf("messages: %w", readError(err))
	}
	list := make([]Message, len(page))
	for i := range page {
		list[i] = page[i].Message
	}
	return list, nil
}

// IDOf gives the id of the message of a folder that has key; the error is ErrNotFound when the index has none.
func (ix *Index) IDOf(ctx context.Context, account, folder, key string) (id int64, err error) {
	err = ix.reading(func(g *generation) error {
		return g.read.QueryRowContext(ctx, `SELECT m.id FROM message m JOIN folder f ON f.id = m.folder WHERE f.account = ? AND f.name = ? AND m.key = ?`,
			strings.ToLower(account), folder, key).Scan(&id)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("message %s: %w", key, ErrNotFound)
	}
	return id, readError(err)
}

// FolderUsage is what the index knows of one folder.
type FolderUsage struct {
	Folder           string
	Messages, Unread int64
	Octets           int64
}

// FolderUsage gives what the folders of an account hold, in no order. Of a folder without a message there may be nothing.
func (ix *Index) FolderUsage(ctx context.Context, account string) (list []FolderUsage, err error) {
	err = ix.reading(func(g *generation) error {
		list = nil
		rows, err := g.read.QueryContext(ctx, `SELECT f.name, count(m.id), coalesce(sum(instr(m.flags, 'S') = 0), 0), coalesce(sum(m.octets), 0)
			FROM folder f JOIN message m ON m.folder = f.id WHERE f.account = ? GROUP BY f.id`, strings.ToLower(account))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var u FolderUsage
			if err := rows.Scan(&u.Folder, &u.Messages, &u.Unread, &u.Octets); err != nil {
				return err
			}
			list = append(list, u)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("folders of %s: %w", account, readError(err))
	}
	return list, nil
}
