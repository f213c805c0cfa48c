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
	folderID, addFolder, distrust, distrustNew, find, insert, texts, nextFree,
	retext, reflag, remove, addTerms, dropTerms, addExtra, dropExtra, words, addWord,
	addReference, dropReference, addBody, dropBody, sameMessage, move, at,
	logSize, fold *sql.Stmt
}

const (
	messageColumns = `folder, key, flags, new, attachment, octets, arrived, date, message_id, in_reply_to, refs, subject, sender, recipients, cc, reply_to, list_id`
	sqlInsert      = `INSERT INTO message (id, ` + messageColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`
	// The first number from ?1 on that no message has.
	sqlNextFree = `SELECT m.id + 1 FROM message m WHERE m.id >= ?1 AND NOT EXISTS (SELECT 1 FROM message n WHERE n.id = m.id + 1) ORDER BY m.id LIMIT 1`
)

func (s *statements) table() map[**sql.Stmt]string {
	return map[**sql.Stmt]string{
		&s.folderID:    `SELECT id FROM folder WHERE account = ? AND name = ?`,
		&s.addFolder:   `INSERT INTO folder (account, domain, name) VALUES (?, ?, ?)`,
		&s.distrust:    `UPDATE folder SET stamp_new = NULL, stamp_cur = NULL WHERE id = ? AND coalesce(stamp_new, stamp_cur) IS NOT NULL`,
		&s.distrustNew: `UPDATE folder SET stamp_new = NULL WHERE id = ? AND stamp_new IS NOT NULL`,
		&s.find:        `SELECT id, flags, new FROM message WHERE folder = ? AND key = ?`,
		&s.insert:      sqlInsert,
		&s.texts: `SELECT attachment, octets, arrived, date, message_id, in_reply_to, refs, subject, sender, recipients, cc, reply_to, list_id,
			coalesce((SELECT fields FROM extra WHERE extra.id = message.id), '') FROM message WHERE id = ?`,
		&s.nextFree: sqlNextFree,
		&s.retext: `UPDATE message SET attachment=?, octets=?, date=?, message_id=?, in_reply_to=?, refs=?, subject=?, sender=?, recipients=?, cc=?,
			reply_to=?, list_id=? WHERE id = ?`,
		&s.reflag:        `UPDATE message SET flags = ?, new = ? WHERE id = ?`,
		&s.remove:        `DELETE FROM message WHERE id = ?`,
		&s.addTerms:      `INSERT INTO terms (rowid, subject, sender, recipients, cc, state) VALUES (?, ?, ?, ?, ?, ?)`,
		&s.dropTerms:     `DELETE FROM terms WHERE rowid = ?`,
		&s.addExtra:      `INSERT OR REPLACE INTO extra (id, fields) VALUES (?, ?)`,
		&s.dropExtra:     `DELETE FROM extra WHERE id = ?`,
		&s.words:         `SELECT folder, flags, new, attachment, subject, sender, recipients, cc, refs, in_reply_to FROM message WHERE id = ?`,
		&s.addWord:       `INSERT OR IGNORE INTO word (text) VALUES (?)`,
		&s.addReference:  `INSERT OR IGNORE INTO reference (hash, id) VALUES (?, ?)`,
		&s.dropReference: `DELETE FROM reference WHERE hash = ? AND id = ?`,
		&s.addBody:       `INSERT INTO bodies (rowid, body) VALUES (?, ?)`,
		&s.dropBody:      `DELETE FROM bodies WHERE rowid = ?`,
		&s.sameMessage: `SELECT m.id, m.key, m.flags, m.new, f.account, f.name FROM message m JOIN folder f ON f.id = m.folder
			WHERE m.message_id = ? AND m.message_id != '' AND m.octets = ? LIMIT 20`,
		&s.move: `UPDATE message SET folder = ?, key = ?, flags = ?, new = ?, arrived = ? WHERE id = ?`,
		&s.at:   `SELECT folder, key, flags, new FROM message WHERE id = ?`,
		// Of both: whether a reader was in the way, the pages in the log, and how many of them are in the file.
		&s.logSize: `PRAGMA wal_checkpoint(NOOP)`,
		&s.fold:    `PRAGMA wal_checkpoint(PASSIVE)`,
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
	words   map[string]struct{}
	body    bool // bodies are indexed
	bulk    bool // a new file is being filled: references and words are added by who fills it
}

// maxKnownWords bounds the memory for words that are in the table already.
const maxKnownWords = 50_000

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
	if err := g.same(false); err != nil {
		return g, err
	}
	b := &batch{statements: &g.stmts, conn: conn, folders: map[place]int64{}, ids: &g.ids, words: g.words, body: ix.body.Load()}
	if err := b.run(fn); err != nil {
		clear(g.words) // what was added may be gone again
		return g, err
	}
	if err := g.same(true); err != nil {
		return g, err
	}
	// The rows are written. A full disk, say, may keep the log from being folded; the next batch tries again.
	if err := g.checkpoint(); faultOf(err) != faultPassing {
		return g, err
	}
	return g, nil
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

// file is the file that the row says there is.
func (s stored) file(key string) File { return File{Key: key, Flags: s.flags, New: s.new} }

func (b *batch) stored(folder int64, key string) (s stored, ok bool, err error) {
	err = b.find.QueryRow(folder, key).Scan(&s.id, &s.flags, &s.new)
	if errors.Is(err, sql.ErrNoRows) {
		return s, false, nil
	}
	return s, err == nil, err
}

// add inserts a row. One that is there already is left as it is, and was reports it.
func (b *batch) add(r *row) (was stored, exists bool, err error) {
	was, _, exists, err = b.insertFrom(r.arrived, r)
	return was, exists, err
}

// addAt is add for a row that is wanted under an id. It gives the one it got.
func (b *batch) addAt(want int64, r *row) (id int64, exists bool, err error) {
	_, id, exists, err = b.insertFrom(want, r)
	return id, exists, err
}

// insertFrom inserts a row under the first free id from the one given on.
func (b *batch) insertFrom(first int64, r *row) (was stored, id int64, exists bool, err error) {
	folder, err := b.folder(r.place, true)
	if err != nil {
		return was, 0, false, err
	}
	id = first
	if id == b.ids.arrived {
		id = b.ids.free
	}
	for {
		res, err := b.insert.Exec(id, folder, r.key, r.flags, r.new, r.attachment, r.octets, r.arrived, r.date, r.messageID, r.inReplyTo, r.refs,
			r.subject, r.sender, r.recipients, r.cc, r.replyTo, r.listID)
		if err != nil {
			return was, 0, false, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return was, 0, false, err
		}
		if n == 1 {
			if b.ids.arrived == first {
				b.ids.free = id + 1
			}
			return was, id, false, b.index(id, folder, r)
		}
		if was, exists, err = b.stored(folder, r.key); err != nil || exists {
			return was, was.id, exists, err
		}
		if err := b.nextFree.QueryRow(id).Scan(&id); err != nil {
			return was, 0, false, err
		}
		*b.ids = idRun{first, id}
	}
}

// index feeds the words, references and further fields of a new row.
func (b *batch) index(id, folder int64, r *row) error {
	if err := b.index1(id, folder, r); err != nil {
		return err
	}
	if r.extra != "" {
		if _, err := b.addExtra.Exec(id, r.extra); err != nil {
			return err
		}
	}
	if b.body && r.body != "" {
		if _, err := b.addBody.Exec(id, spaced(r.body)); err != nil {
			return err
		}
	}
	if b.bulk {
		return nil
	}
	for _, hash := range references(r.refs, r.inReplyTo) {
		if _, err := b.addReference.Exec(hash, id); err != nil {
			return err
		}
	}
	return b.learn(r.words)
}

func (b *batch) index1(id, folder int64, r *row) error {
	_, err := b.addTerms.Exec(id, spaced(r.subject), addressText(r.sender), addressText(r.recipients), addressText(r.cc),
		stateText(folder, r.flags, r.new, r.attachment))
	return err
}

// learn adds words of addresses to their table.
func (b *batch) learn(words []string) error {
	for _, w := range words {
		if _, ok := b.words[w]; ok {
			continue
		}
		if _, err := b.addWord.Exec(w); err != nil {
			return err
		}
		if len(b.words) >= maxKnownWords {
			clear(b.words)
		}
		b.words[w] = struct{}{}
	}
	return nil
}

// stateOf reads what the words of a row are made of.
func (b *batch) stateOf(id int64) (folder int64, r row, err error) {
	err = b.statements.words.QueryRow(id).Scan(&folder, &r.flags, &r.new, &r.attachment, &r.subject, &r.sender, &r.recipients, &r.cc, &r.refs, &r.inReplyTo)
	return folder, r, err
}

// restate writes the words of a row anew, after its flags or folder have changed.
func (b *batch) restate(id int64) error {
	folder, r, err := b.stateOf(id)
	if err != nil {
		return err
	}
	if _, err := b.dropTerms.Exec(id); err != nil {
		return err
	}
	return b.index1(id, folder, &r)
}

// setFlags gives a row other flags.
func (b *batch) setFlags(was stored, flags string, isNew bool) error {
	if _, err := b.reflag.Exec(flags, isNew, was.id); err != nil {
		return err
	}
	if stateText(0, was.flags, was.new, false) == stateText(0, flags, isNew, false) {
		return nil
	}
	return b.restate(was.id)
}

// refresh brings a row that is there up to what a fresh reading of the file gave, flags excepted. It reports whether anything differed.
func (b *batch) refresh(id int64, r *row) (changed bool, err error) {
	var octets, arrived int64
	var attachment bool
	var date sql.NullInt64
	var t texts
	var extra string
	err = b.texts.QueryRow(id).Scan(&attachment, &octets, &arrived, &date, &t.messageID, &t.inReplyTo, &t.refs, &t.subject, &t.sender, &t.recipients,
		&t.cc, &t.replyTo, &t.listID, &extra)
	if err != nil {
		return false, err
	}
	sameDate := (r.date == nil && !date.Valid) || (r.date != nil && date.Valid && *r.date == date.Int64)
	switch {
	case arrived != r.arrived:
		return true, b.replace(id, r)
	case t == r.texts && extra == r.extra && octets == r.octets && attachment == r.attachment && sameDate && !b.body:
		return false, nil
	}
	if err := b.unindex(id); err != nil {
		return false, err
	}
	if _, err = b.retext.Exec(r.attachment, r.octets, r.date, r.messageID, r.inReplyTo, r.refs, r.subject, r.sender, r.recipients, r.cc, r.replyTo, r.listID, id); err != nil {
		return false, err
	}
	folder, now, err := b.stateOf(id)
	if err != nil {
		return false, err
	}
	fresh := *r
	fresh.flags, fresh.new = now.flags, now.new
	return true, b.index(id, folder, &fresh)
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

// unindex removes everything that hangs on a row, which still is as it was.
func (b *batch) unindex(id int64) error {
	_, r, err := b.stateOf(id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, hash := range references(r.refs, r.inReplyTo) {
		if _, err := b.dropReference.Exec(hash, id); err != nil {
			return err
		}
	}
	if _, err := b.dropTerms.Exec(id); err != nil {
		return err
	}
	if b.body {
		if _, err := b.dropBody.Exec(id); err != nil {
			return err
		}
	}
	_, err = b.dropExtra.Exec(id)
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

// distrustStamp has the next reconcile scan the folder again, all of it.
func (b *batch) distrustStamp(folder int64) error {
	_, err := b.distrust.Exec(folder)
	return err
}
