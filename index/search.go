package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"maild/index/header"
)

// pageRows is how many rows are read before the caller gets them. No database snapshot is held while it works on them: a
// slow reader would keep the write-ahead log growing.
const pageRows = 256

// Search calls fn for each message that answers q, newest first by time of arrival. An error of fn ends the search and is returned. Memory does
// not grow with the number of hits. A query of more than a hundred words is ErrTooLong. The rows are read in pages: what is written meanwhile may be in a later page or not.
func (ix *Index) Search(ctx context.Context, q Query, fn func(Message) error) error {
	if err := q.check(); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	match, err := ix.headerTerms(ctx, q.Headers)
	if err != nil {
		return fmt.Errorf("search: %w", readError(err))
	}
	text, args := q.compile().statement()
	below, found := int64(math.MaxInt64), 0
	for {
		want := pageRows
		if q.Limit > 0 && len(match) == 0 {
			want = min(want, q.Limit-found)
		}
		page, read, err := ix.page(ctx, text, append(args[:len(args):len(args)], below, want))
		if err != nil {
			return fmt.Errorf("search: %w", readError(err))
		}
		for i := range page {
			ok, err := ix.matches(ctx, match, &page[i])
			if err != nil {
				return fmt.Errorf("search: %w", readError(err))
			}
			if !ok {
				continue
			}
			if err := fn(page[i]); err != nil {
				return err
			}
			if found++; q.Limit > 0 && found >= q.Limit {
				return nil
			}
		}
		if read.rows < want {
			return nil
		}
		below = read.last
	}
}

// pageEnd is how far a page went.
type pageEnd struct {
	rows int
	last int64 // the smallest id
}

// page reads one page. Damage that it meets is left for Run to deal with. A row whose folder was removed meanwhile is left out.
func (ix *Index) page(ctx context.Context, text string, args []any) ([]Message, pageEnd, error) {
	g := ix.current()
	list, end, err := g.page(ctx, text, args)
	if again := ix.current(); err != nil && again != g {
		g = again // opened anew under our hands
		list, end, err = g.page(ctx, text, args)
	}
	if faultOf(err) == faultDamaged {
		ix.suspect.Store(g)
	}
	return list, end, err
}

func (g *generation) page(ctx context.Context, text string, args []any) ([]Message, pageEnd, error) {
	var end pageEnd
	rows, err := g.read.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, end, err
	}
	defer rows.Close()
	var list []Message
	var folders []int64
	for rows.Next() {
		m, folder, err := scanMessage(rows)
		if err != nil {
			return nil, end, err
		}
		list, folders = append(list, m), append(folders, folder)
		end = pageEnd{end.rows + 1, m.ID}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, end, err
	}
	kept := list[:0]
	for i, m := range list {
		p, err := g.place(ctx, folders[i])
		if errors.Is(err, sql.ErrNoRows) {
			continue // removed between the two readings
		}
		if err != nil {
			return nil, end, err
		}
		m.Account, m.Folder = p.account, p.folder
		kept = append(kept, m)
	}
	return kept, end, nil
}

// place gives the account and name of a folder. Ids are never used twice, so what was read once stays right.
func (g *generation) place(ctx context.Context, id int64) (place, error) {
	if p, ok := g.folders.Load(id); ok {
		return p.(place), nil
	}
	var p place
	if err := g.read.QueryRowContext(ctx, `SELECT account, name FROM folder WHERE id = ?`, id).Scan(&p.account, &p.folder); err != nil {
		return p, err
	}
	g.folders.Store(id, p)
	return p, nil
}

func scanMessage(rows *sql.Rows) (m Message, folder int64, err error) {
	var arrived int64
	var date sql.NullInt64
	var inReplyTo, refs string
	h := header.Header{}
	err = rows.Scan(&m.ID, &folder, &m.Key, &m.Flags, &m.New, &m.Octets, &arrived, &date, &h.MessageID, &inReplyTo, &refs, &h.Subject, &h.From,
		&h.To, &h.Cc, &h.ReplyTo, &h.ListID)
	m.Arrived = time.UnixMicro(arrived).UTC()
	if date.Valid {
		h.Date = time.Unix(date.Int64, 0).UTC()
	}
	h.InReplyTo, h.References = splitIDs(inReplyTo), splitIDs(refs)
	m.Header = h
	return m, folder, err
}

func splitIDs(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, " ")
}

// Message gives one row; the error is ErrNotFound when there is none with that id.
func (ix *Index) Message(ctx context.Context, id int64) (Message, error) {
	page, _, err := ix.page(ctx, "SELECT "+messageFields+" FROM message m WHERE m.id = ?", []any{id})
	switch {
	case err != nil:
		return Message{}, fmt.Errorf("message %d: %w", id, readError(err))
	case len(page) == 0:
		return Message{}, fmt.Errorf("message %d: %w", id, ErrNotFound)
	}
	return page[0], nil
}

// readError says of an error that comes from damage that it does.
func readError(err error) error {
	if faultOf(err) == faultDamaged && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}
