package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// batchRows is how many rows one transaction takes at most: enough to make its fixed cost small, few enough that
// another writer waits for some ten milliseconds only.
const batchRows = 1000

// statements are prepared once for the writing connection.
type statements struct {
	folderID, addFolder, distrust, find, insert, texts, nextFree,
	retext, reflag, exflag, remove, addTerms, dropTerms, addExtra, dropExtra *sql.Stmt
}

const (
	messageColumns = `folder, key, flags, new, octets, arrived, date, message_id, in_reply_to, refs, subject, sender, recipients, cc, reply_to, list_id`
	sqlInsert      = `INSERT INTO message (id, ` + messageColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`
	// The first number from ?1 on that no message has.
	sqlNextFree = `SELECT m.id + 1 FROM message m WHERE m.id >= ?1 AND NOT EXISTS (SELECT 1 FROM message n WHERE n.id = m.id + 1) ORDER BY m.id LIMIT 1`
)

func (s *statements) table() map[**sql.Stmt]string {
	return map[**sql.Stmt]string{
		&s.folderID:  `SELECT id FROM folder WHERE account = ? AND name = ?`,
		&s.addFolder: `INSERT INTO folder (account, domain, name) VALUES (?, ?, ?)`,
		&s.distrust:  `UPDATE folder SET stamp_new = NULL WHERE id = ? AND stamp_new IS NOT NULL`,
		&s.find:      `SELECT id, flags, new FROM message WHERE folder = ? AND key = ?`,
		&s.insert:    sqlInsert,
		&s.texts: `SELECT octets, arrived, date, message_id, in_reply_to, refs, subject, sender, recipients, cc, reply_to, list_id,
			coalesce((SELECT fields FROM extra WHERE extra.id = message.id), '') FROM message WHERE id = ?`,
		&s.nextFree: sqlNextFree,
		&s.retext: `UPDATE message SET octets=?, date=?, message_id=?, in_reply_to=?, refs=?, subject=?, sender=?, recipients=?, cc=?,
			reply_to=?, list_id=? WHERE id = ?`,
		&s.reflag:    `UPDATE message SET flags = ?, new = ? WHERE id = ?`,
		&s.exflag:    `UPDATE message SET flags = ?, new = ? WHERE id = ? AND flags = ? AND new = ?`,
		&s.remove:    `DELETE FROM message WHERE id = ?`,
		&s.addTerms:  `INSERT INTO terms (rowid, subject, sender, recipients, cc) VALUES (?, ?, ?, ?, ?)`,
		&s.dropTerms: `DELETE FROM terms WHERE rowid = ?`,
		&s.addExtra:  `INSERT OR REPLACE INTO extra (id, fields) VALUES (?, ?)`,
		&s.dropExtra: `DELETE FROM extra WHERE id = ?`,
	}
}

func (s *statements) prepare(ctx context.Context, conn *sql.Conn) error {
	for stmt, text := range s.table() {
		p, err := conn.PrepareContext(ctx, text)
		if err != nil {
			s.close()
			return fmt.Errorf("prepare %s: %w", text, err)
		}
		*stmt = p
	}
	return nil
}

func (s *statements) close() {
	for stmt := range s.table() {
		if *stmt != nil {
			// Closing a statement reports the error of its last use, which was seen then.
			_ = (*stmt).Close()
			*stmt = nil
		}
	}
}

// batch is one write transaction.
type batch struct {
	*statements
	conn    *sql.Conn
	folders map[place]int64
	ids     *idRun
}

// idRun is the last collision of ids, and where the free numbers after it begin: files with one common time come in long runs.
type idRun struct{ arrived, free int64 }

// background is used inside of a transaction, which is short: a context that can end costs the driver a goroutine per statement.
func background() context.Context { return context.Background() }

// writeBatch runs fn in a write transaction, having made sure before and after it that the file is the one at Path.
// The generation it worked on is returned with an error, for renew. If pinned is not nil, the transaction is for that one only.
func (ix *Index) writeBatch(ctx context.Context, pinned *generation, fn func(*batch) error) (*generation, error) {
	if ix.opt.ReadOnly {
		return nil, errors.New("the index was opened read-only")
	}
	ix.wmu.Lock()
	defer ix.wmu.Unlock()
	g := ix.current()
	if pinned != nil && g != pinned {
		return pinned, errReplaced
	}
	// Going on without the lock is safe, if unfair: see lockPatience.
	if err := ix.lock.acquire(lockPatience); err == nil {
		defer ix.lock.release()
	} else if !errors.Is(err, errLocked) {
		return g, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	conn, err := g.writer(ctx)
	if err != nil {
		return g, err
	}
	if err := g.same(); err != nil {
		return g, err
	}
	b := &batch{statements: &g.stmts, conn: conn, folders: map[place]int64{}, ids: &g.ids}
	if err := b.run(fn); err != nil {
		return g, err
	}
	return g, g.same()
}

func (b *batch) run(fn func(*batch) error) error {
	if _, err := b.conn.ExecContext(background(), "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := fn(b)
	if err == nil {
		_, err = b.conn.ExecContext(background(), "COMMIT")
	}
	if err != nil {
		// What matters is the first error; SQLite may have rolled back by itself.
		_, _ = b.conn.ExecContext(background(), "ROLLBACK")
	}
	return err
}

// folder gives the id of a place; without create it is 0 when the place has no row.
func (b *batch) folder(p place, create bool) (int64, error) {
	if id, ok := b.folders[p]; ok {
		return id, nil
	}
	var id int64
	err := b.folderID.QueryRow(p.account, p.folder).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		if !create {
			return 0, nil
		}
		_, domain, _ := strings.Cut(p.account, "@")
		res, err := b.addFolder.Exec(p.account, domain, p.folder)
		if err != nil {
			return 0, err
		}
		id, err = res.LastInsertId()
		if err != nil {
			return 0, err
		}
	} else if err != nil {
		return 0, err
	}
	b.folders[p] = id
	return id, nil
}

// stored is what is known of a row already there.
type stored struct {
	id    int64
	flags string
	new   bool
}

func (b *batch) stored(folder int64, key string) (s stored, ok bool, err error) {
	err = b.find.QueryRow(folder, key).Scan(&s.id, &s.flags, &s.new)
	if errors.Is(err, sql.ErrNoRows) {
		return s, false, nil
	}
	return s, err == nil, err
}

// add inserts a row. One that is there already is left as it is, and was reports it.
func (b *batch) add(r *row) (was stored, exists bool, err error) {
	folder, err := b.folder(r.place, true)
	if err != nil {
		return was, false, err
	}
	id := r.arrived
	if id == b.ids.arrived {
		id = b.ids.free
	}
	for {
		res, err := b.insert.Exec(id, folder, r.key, r.flags, r.new, r.octets, r.arrived, r.date, r.messageID, r.inReplyTo, r.refs,
			r.subject, r.sender, r.recipients, r.cc, r.replyTo, r.listID)
		if err != nil {
			return was, false, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return was, false, err
		}
		if n == 1 {
			if b.ids.arrived == r.arrived {
				b.ids.free = id + 1
			}
			return was, false, b.index(id, r)
		}
		if was, exists, err = b.stored(folder, r.key); err != nil || exists {
			return was, exists, err
		}
		if err := b.nextFree.QueryRow(id).Scan(&id); err != nil {
			return was, false, err
		}
		*b.ids = idRun{r.arrived, id}
	}
}

// index feeds the words and the further fields of a new row.
func (b *batch) index(id int64, r *row) error {
	if _, err := b.addTerms.Exec(id, spaced(r.subject), spaced(r.sender), spaced(r.recipients), spaced(r.cc)); err != nil {
		return err
	}
	if r.extra == "" {
		return nil
	}
	_, err := b.addExtra.Exec(id, r.extra)
	return err
}

// refresh brings a row that is there up to what a fresh reading of the file gave, flags excepted. It reports whether anything differed.
func (b *batch) refresh(id int64, r *row) (changed bool, err error) {
	var octets, arrived int64
	var date sql.NullInt64
	var t texts
	var extra string
	err = b.texts.QueryRow(id).Scan(&octets, &arrived, &date, &t.messageID, &t.inReplyTo, &t.refs, &t.subject, &t.sender, &t.recipients,
		&t.cc, &t.replyTo, &t.listID, &extra)
	if err != nil {
		return false, err
	}
	sameDate := (r.date == nil && !date.Valid) || (r.date != nil && date.Valid && *r.date == date.Int64)
	switch {
	case arrived != r.arrived:
		return true, b.replace(id, r)
	case t == r.texts && extra == r.extra && octets == r.octets && sameDate:
		return false, nil
	}
	if _, err = b.retext.Exec(r.octets, r.date, r.messageID, r.inReplyTo, r.refs, r.subject, r.sender, r.recipients, r.cc, r.replyTo, r.listID, id); err != nil {
		return false, err
	}
	if err := b.unindex(id); err != nil {
		return false, err
	}
	return true, b.index(id, r)
}

// replace gives the row a new id: ids follow the time of arrival, and that has changed. Flags stay.
func (b *batch) replace(id int64, r *row) error {
	folder, err := b.folder(r.place, true)
	if err != nil {
		return err
	}
	was, ok, err := b.stored(folder, r.key)
	if err != nil || !ok {
		return err
	}
	if err := b.drop(id); err != nil {
		return err
	}
	r.flags, r.new = was.flags, was.new
	_, _, err = b.add(r)
	return err
}

func (b *batch) unindex(id int64) error {
	if _, err := b.dropTerms.Exec(id); err != nil {
		return err
	}
	_, err := b.dropExtra.Exec(id)
	return err
}

// drop removes a row and its words.
func (b *batch) drop(id int64) error {
	if err := b.unindex(id); err != nil {
		return err
	}
	_, err := b.remove.Exec(id)
	return err
}

// distrustStamp has the next reconcile scan the folder again.
func (b *batch) distrustStamp(folder int64) error {
	_, err := b.distrust.Exec(folder)
	return err
}
