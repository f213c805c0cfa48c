package index

import (
	"errors"
	"strings"
)

// Moved notes that a message which was in the folder of an account under key is now m, of which Account, Folder, Key, Flags, New and Arrived count. Its id
// stays. Where the row is missing, both folders are marked for reconcile. Queued like Record.
func (ix *Index) Moved(account, folder, key string, m Message) {
	ix.enqueue(op{kind: opMove, row: newRow(m, ix.fields), from: place{strings.ToLower(account), folder}, fromKey: key})
}

// applyMove gives the row of a message that was moved its new place. Who follows the files may have been faster.
func (b *batch) applyMove(o *op, to int64, touched map[int64]bool) (known bool, err error) {
	r := &o.row
	there, arrived, err := b.stored(to, r.key)
	if err != nil {
		return true, err
	}
	from, err := b.folder(o.from, false)
	if err != nil {
		return true, err
	}
	var was stored
	left := false
	if from != 0 {
		touched[from] = true
		if was, left, err = b.stored(from, o.fromKey); err != nil {
			return true, err
		}
	}
	switch {
	case arrived && left && was.id != there.id: // seen to come before it was seen to go
		return true, errors.Join(b.drop(there.id), b.moveRow(was.id, r))
	case arrived:
		return true, b.setFlags(there, r.flags, r.new)
	case left:
		return true, b.moveRow(was.id, r)
	}
	return false, nil
}

// sameFile gives the other rows without a Message-ID that have a row's key, size and time: a key is never given to another message.
func (b *batch) sameFile(r *row) (places []place, files []File, ids []int64, err error) {
	rows, err := b.conn.QueryContext(background(), `SELECT m.id, m.flags, m.new, f.account, f.name FROM message m JOIN folder f ON f.id = m.folder
		WHERE m.id >= ?1 AND m.id < ?1 + 10000 AND m.arrived = ?1 AND m.message_id = '' AND m.octets = ?2 AND m.key = ?3`, r.arrived, r.octets, r.key)
	if err != nil {
		return nil, nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p place
		f := File{Key: r.key}
		var id int64
		if err := rows.Scan(&id, &f.Flags, &f.New, &p.account, &p.folder); err != nil {
			return nil, nil, nil, err
		}
		if p != r.place {
			places, files, ids = append(places, p), append(files, f), append(ids, id)
		}
	}
	return places, files, ids, rows.Err()
}

// done ends what take began.
func (e *events) done() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.taken = nil
}

// going reports whether it was told that a file has gone, and that has not been looked at yet.
func (e *events) going(k fileKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.files[k].Gone || e.taken[k].Gone
}

// hold reports whether a file was seen to go, and not to come back under any name.
func (t *tombs) hold(k fileKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.at[k]
	return ok
}
