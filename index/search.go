package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"maild/index/query"
)

// pageRows is how many rows are read before the caller gets them. No database snapshot is held while it works on them: a
// slow reader would keep the write-ahead log growing.
const pageRows = 256

// Search calls fn for each message that answers q, in its order. An error of fn ends the search and is returned. Memory does
// not grow with the number of hits, except by eight octets each where the order is not that of arrival. A query of very many conditions
// is ErrTooLong. The rows are read in pages: what is written meanwhile may be in a later page or not.
func (ix *Index) Search(ctx context.Context, q Query, fn func(Message) error) error {
	s := search{ix: ix, q: q}
	if err := q.check(); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	if q.Sort.sqlOrder() != "" {
		return s.sorted(ctx, fn)
	}
	return s.each(ctx, fn)
}

// search is a query on its way through the pages.
type search struct {
	ix    *Index
	q     Query
	only  []int64 // these messages alone; nil = all
	c     *compiled
	found int
}

// reading runs fn with the query as it is made for the file that is open now: folders have other numbers in another file. If one takes its
// place meanwhile, fn runs once more.
func (s *search) reading(ctx context.Context, fn func(c *compiled) error) error {
	return s.ix.reading(func(g *generation) error {
		if s.c == nil || s.c.gen != g {
			c, err := s.ix.compile(ctx, g, s.q.Where)
			if err != nil {
				return err
			}
			if s.c = c; s.only != nil {
				s.c = c.within(s.only)
			}
		}
		return fn(s.c)
	})
}

// reading runs fn on the file that is open now, and once more if another took its place meanwhile. Damage that it meets is left for Run to
// deal with.
func (ix *Index) reading(fn func(g *generation) error) error {
	g := ix.current()
	err := fn(g)
	if again := ix.current(); err != nil && again != g {
		g = again // opened anew under our hands
		err = fn(g)
	}
	if faultOf(err) == faultDamaged {
		ix.suspect.Store(&suspicion{g, err})
	}
	return err
}

// firstPage is smaller than the others, so that the first lines come at once.
const firstPage = 64

// wanted is how many rows to read for a page.
func (s *search) wanted(page int) int {
	if s.q.Limit > 0 && s.c.row == nil {
		return min(pageRows, s.q.Limit-s.found)
	}
	return page
}

// each goes through the messages in the order of ids, or against it.
func (s *search) each(ctx context.Context, fn func(Message) error) error {
	end := s.q.Sort.firstBound()
	for page := firstPage; ; page = pageRows {
		var list []hit
		var read pageEnd
		var want int
		err := s.reading(ctx, func(c *compiled) (err error) {
			want = s.wanted(page)
			text, args := c.page(s.q.Sort, end, want)
			list, read, err = c.gen.page(ctx, text, args, len(c.columns))
			return err
		})
		if err != nil {
			return fmt.Errorf("search: %w", readError(err))
		}
		if more, err := s.deliver(ctx, list, fn); err != nil || !more {
			return err
		}
		if read.rows < want {
			return nil
		}
		end = read.last
	}
}

// deliver gives those of a page that answer to fn. It reports whether more are wanted.
func (s *search) deliver(ctx context.Context, page []hit, fn func(Message) error) (more bool, err error) {
	for i := range page {
		if s.c.row != nil {
			ok, err := s.c.row.holds(ctx, &testedRow{ix: s.ix, m: &page[i].Message, outcomes: page[i].outcomes})
			if err != nil {
				return false, fmt.Errorf("search: %w", readError(err))
			}
			if !ok {
				continue
			}
		}
		if err := fn(page[i].Message); err != nil {
			return false, err
		}
		if s.found++; s.q.Limit > 0 && s.found >= s.q.Limit {
			return false, nil
		}
	}
	return true, nil
}

// sorted finds the order first, by ids, and then the rows.
func (s *search) sorted(ctx context.Context, fn func(Message) error) error {
	ids, err := s.sortedIDs(ctx)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, pageRows) {
		var page []hit
		err := s.reading(ctx, func(c *compiled) (err error) {
			args := append(c.columnArgs[:len(c.columnArgs):len(c.columnArgs)], idList(chunk))
			page, _, err = c.gen.page(ctx, "SELECT "+c.fields()+" FROM message m WHERE m.id "+inList, args, len(c.columns))
			return err
		})
		if err != nil {
			return fmt.Errorf("search: %w", readError(err))
		}
		at := make(map[int64]int, len(chunk))
		for i, id := range chunk {
			at[id] = i
		}
		slices.SortFunc(page, func(a, b hit) int { return at[a.ID] - at[b.ID] })
		if more, err := s.deliver(ctx, page, fn); err != nil || !more {
			return err
		}
	}
	return nil
}

// sortedIDs gives the ids of all that may answer, in an order that is not theirs.
func (s *search) sortedIDs(ctx context.Context) (ids []int64, err error) {
	err = s.reading(ctx, func(c *compiled) (err error) {
		from, _, args := c.from()
		text := "SELECT m.id" + from + " ORDER BY " + s.q.Sort.sqlOrder()
		if s.q.Limit > 0 && c.row == nil {
			text, args = text+" LIMIT ?", append(args, s.q.Limit)
		}
		ids, err = c.gen.numbers(ctx, text, args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("search: %w", readError(err))
	}
	return ids, nil
}

// idPage is how many ids are read before the caller gets them.
const idPage = 4096

// IDs is Search for the ids alone, which come faster: where words and flags decide, no row is read.
func (ix *Index) IDs(ctx context.Context, q Query, fn func(id int64) error) error {
	s := search{ix: ix, q: q}
	if err := q.check(); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	byRow := false
	err := s.reading(ctx, func(c *compiled) error {
		byRow = c.row != nil
		return nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("search: %w", readError(err))
	case byRow:
		return ix.Search(ctx, q, func(m Message) error { return fn(m.ID) })
	case q.Sort.sqlOrder() != "":
		ids, err := s.sortedIDs(ctx)
		return errors.Join(err, each(ids, fn))
	}
	end, want := q.Sort.firstBound(), idPage
	for ; ; want = idPage {
		if q.Limit > 0 {
			want = min(want, q.Limit-s.found)
		}
		var ids []int64
		err := s.reading(ctx, func(c *compiled) (err error) {
			text, args := c.idPage(q.Sort, end, want)
			ids, err = c.gen.numbers(ctx, text, args...)
			return err
		})
		if err != nil {
			return fmt.Errorf("search: %w", readError(err))
		}
		if err := each(ids, fn); err != nil {
			return err
		}
		if s.found += len(ids); len(ids) < want || s.found == q.Limit {
			return nil
		}
		end = ids[len(ids)-1]
	}
}

func each(ids []int64, fn func(int64) error) error {
	for _, id := range ids {
		if err := fn(id); err != nil {
			return err
		}
	}
	return nil
}

// numbers reads a column.
func (g *generation) numbers(ctx context.Context, text string, args ...any) ([]int64, error) {
	rows, err := g.read.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, rows.Err()
}

// Count says how many messages answer x; nil is all of them. Where words and flags decide alone no row is read.
func (ix *Index) Count(ctx context.Context, x query.Expr) (n int64, err error) {
	s := search{ix: ix, q: Query{Where: x}}
	if err := s.q.check(); err != nil {
		return 0, fmt.Errorf("count: %w", err)
	}
	err = s.reading(ctx, func(c *compiled) error {
		if c.row != nil {
			return nil
		}
		text, _, args := c.wordsFrom()
		return c.gen.read.QueryRowContext(ctx, "SELECT count(*)"+text, args...).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("count: %w", readError(err))
	}
	if s.c.row != nil {
		err = s.each(ctx, func(Message) error { n++; return nil })
	}
	return n, err
}

// BodyIndexed reports whether the text of messages is in the index.
func (ix *Index) BodyIndexed(ctx context.Context) (bool, error) {
	var built string
	err := ix.reading(func(g *generation) (err error) {
		built, err = g.builtWith(ctx)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("index: %w", readError(err))
	}
	_, body := readBuilt(built)
	return body, nil
}

// pageEnd is how far a page went.
type pageEnd struct {
	rows int
	last int64 // the id of the last row
}

// hit is a row that was found, with the outcomes of the conditions asked for beside it.
type hit struct {
	Message
	outcomes []bool
}

// page reads one page in a query of its own.
func (ix *Index) page(ctx context.Context, text string, args []any) (list []hit, err error) {
	err = ix.reading(func(g *generation) error {
		list, _, err = g.page(ctx, text, args, 0)
		return err
	})
	return list, err
}

// page reads one page. A row whose folder was removed meanwhile is left out.
func (g *generation) page(ctx context.Context, text string, args []any, columns int) ([]hit, pageEnd, error) {
	var end pageEnd
	rows, err := g.read.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, end, err
	}
	defer rows.Close()
	var list []hit
	var folders []int64
	for rows.Next() {
		h := hit{outcomes: make([]bool, columns)}
		folder, err := h.scan(rows)
		if err != nil {
			return nil, end, err
		}
		list, folders = append(list, h), append(folders, folder)
		end = pageEnd{end.rows + 1, h.ID}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, end, err
	}
	if err := g.learnFolders(ctx, folders); err != nil {
		return nil, end, err
	}
	kept := list[:0]
	for i, h := range list {
		p, ok := g.folders.Load(folders[i])
		if !ok {
			continue // removed between the two readings
		}
		h.Account, h.Folder = p.(place).account, p.(place).folder
		kept = append(kept, h)
	}
	return kept, end, nil
}

// learnFolders reads the places of those folders that are not known yet. Ids are never used twice, so what was read once stays right.
func (g *generation) learnFolders(ctx context.Context, ids []int64) error {
	var unknown []int64
	for _, id := range ids {
		if _, ok := g.folders.Load(id); !ok && !slices.Contains(unknown, id) {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	rows, err := g.read.QueryContext(ctx, `SELECT id, account, name FROM folder WHERE id `+inList, idList(unknown))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var p place
		if err := rows.Scan(&id, &p.account, &p.folder); err != nil {
			return err
		}
		g.folders.Store(id, p)
	}
	return rows.Err()
}

// scan reads messageFields and the outcomes.
func (h *hit) scan(rows *sql.Rows) (folder int64, err error) {
	var arrived int64
	var date sql.NullInt64
	var inReplyTo, refs string
	m, f := &h.Message, &h.Header
	into := []any{&m.ID, &folder, &m.Key, &m.Flags, &m.New, &m.Attachment, &m.Octets, &arrived, &date, &f.MessageID, &inReplyTo, &refs, &f.Subject,
		&f.From, &f.To, &f.Cc, &f.ReplyTo, &f.ListID}
	for i := range h.outcomes {
		into = append(into, &h.outcomes[i])
	}
	err = rows.Scan(into...)
	m.Arrived = time.UnixMicro(arrived).UTC()
	if date.Valid {
		f.Date = time.Unix(date.Int64, 0).UTC()
	}
	f.InReplyTo, f.References = splitIDs(inReplyTo), splitIDs(refs)
	return folder, err
}

func splitIDs(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, " ")
}

// Message gives one row; the error is ErrNotFound when there is none with that id.
func (ix *Index) Message(ctx context.Context, id int64) (Message, error) {
	page, err := ix.page(ctx, "SELECT "+messageFields+" FROM message m WHERE m.id = ?", []any{id})
	switch {
	case err != nil:
		return Message{}, fmt.Errorf("message %d: %w", id, readError(err))
	case len(page) == 0:
		return Message{}, fmt.Errorf("message %d: %w", id, ErrNotFound)
	}
	return page[0].Message, nil
}

// readError says of an error that comes from damage that it does.
func readError(err error) error {
	if faultOf(err) == faultDamaged && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}
