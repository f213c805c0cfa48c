package index

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// followGather lets the events of one operation (a rename is two) and the row that a delivery records come together.
	followGather = 25 * time.Millisecond
	// refollow is how long a broken following waits before it begins anew.
	refollow = 10 * time.Second
)

// buried reports whether the file that a row was made of is gone. One that came back in a way nobody told, with its folder, is not.
func (ix *Index) buried(r *row) bool {
	return ix.tombs.has(r) && ix.gone(r.place, r.file())
}

// follow listens to the source until ctx ends. When that fails, the sweeps go on finding what changes, and it is tried again.
func (ix *Index) follow(ctx context.Context) {
	f, ok := ix.opt.Source.(Follower)
	if !ok {
		return
	}
	var background sync.WaitGroup
	defer background.Wait()
	background.Go(func() { ix.lookAtEvents(ctx) })
	for {
		err := f.Follow(ctx, func(ev Event) {
			ix.tombs.note(ev)
			ix.events.add(ev)
		})
		if ctx.Err() != nil {
			return
		}
		ix.log.Warn("index: changes of the mail are no longer seen at once, only by sweeps", "error", err, "again_in", refollow)
		if !sleep(ctx, refollow) {
			return
		}
	}
}

// lookAtEvents brings the index up to what the events tell, a batch at a time.
func (ix *Index) lookAtEvents(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ix.events.wake:
		}
		if !sleep(ctx, followGather) {
			return
		}
		e := ix.events.take()
		if e.all {
			ix.marks.addSweep()
		}
		for a := range e.accounts {
			ix.marks.add(place{account: a})
		}
		for p := range e.folders {
			ix.marks.add(p)
		}
		if len(e.files) == 0 {
			continue
		}
		_, err := ix.Reconcile(ctx, ReconcileOptions{events: e.files})
		ix.events.done()
		if err != nil && ctx.Err() == nil {
			ix.log.Warn("index: changes could not be written, their folders will be compared", "error", err, "files", len(e.files))
			for k := range e.files {
				ix.marks.add(k.place)
			}
		}
	}
}

// walkEvents hands on what a batch of events changes. What has come goes before what has gone, so that a message that was moved is seen to
// be the same one.
func (rc *reconciler) walkEvents(ctx context.Context) error {
	passes := map[place]*folderPass{}
	ids := map[place]int64{}
	var gone []fileKey
	for k, ev := range rc.opt.events {
		if passes[k.place] == nil {
			pass := &folderPass{place: k.place}
			pass.open.Store(1)
			passes[k.place] = pass
			id, err := rc.folderID(ctx, k.place)
			if err != nil {
				return err
			}
			ids[k.place] = id
		}
		if ev.Gone {
			gone = append(gone, k)
			continue
		}
		if err := rc.walkEvent(ctx, passes[k.place], ids[k.place], ev); err != nil {
			return err
		}
	}
	// Files that come are read by others, who may be slower. A row that went first would give its id to chance.
	rc.inHand.Wait()
	for _, k := range gone {
		was, found, err := rc.rowOf(ctx, ids[k.place], k.key)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		rc.emit(ctx, change{kind: changeRemove, in: passes[k.place], was: was, links: rc.opt.events[k].Touched, isKey: func(key string) bool { return key == k.key }})
	}
	return context.Cause(ctx)
}

// walkEvent looks at a file that is there.
func (rc *reconciler) walkEvent(ctx context.Context, pass *folderPass, folder int64, ev Event) error {
	was, found, err := rc.rowOf(ctx, folder, ev.File.Key)
	if err != nil {
		return err
	}
	if found && (was.flags != ev.File.Flags || was.new != ev.File.New) {
		rc.emit(ctx, change{kind: changeFlags, in: pass, was: was, row: row{key: ev.File.Key, flags: ev.File.Flags, new: ev.File.New}})
	}
	if found && !ev.Touched {
		return context.Cause(ctx)
	}
	return rc.emitJob(ctx, pass, job{in: pass, file: ev.File, again: found})
}

// askLinks has the other messages looked at that may be the same file: the kernel tells of a change by one name only.
func (rc *reconciler) askLinks(b *batch, r *row) error {
	if !rc.ix.running.Load() {
		return nil
	}
	places, files, _, err := b.same(r)
	for i, p := range places {
		rc.ix.events.add(Event{Account: p.account, Folder: p.folder, File: files[i], Touched: true})
	}
	return err
}

// askLinksOf is askLinks for a row that is about to go.
func (rc *reconciler) askLinksOf(b *batch, in place, id int64) error {
	r := row{place: in}
	err := b.conn.QueryRowContext(background(), `SELECT key, message_id, octets FROM message WHERE id = ?`, id).Scan(&r.key, &r.messageID, &r.octets)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return rc.askLinks(b, &r)
}

// same gives the other rows with a row's Message-ID and size.
func (b *batch) same(r *row) (places []place, files []File, ids []int64, err error) {
	if r.messageID == "" {
		return nil, nil, nil, nil
	}
	rows, err := b.sameMessage.Query(r.messageID, r.octets)
	if err != nil {
		return nil, nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p place
		var f File
		var id int64
		if err := rows.Scan(&id, &f.Key, &f.Flags, &f.New, &p.account, &p.folder); err != nil {
			return nil, nil, nil, err
		}
		if p != r.place || f.Key != r.key {
			places, files, ids = append(places, p), append(files, f), append(ids, id)
		}
	}
	return places, files, ids, rows.Err()
}

// movedFrom finds the row of a file that is gone and was the same message: same Message-ID, size and time, or where there is no Message-ID, same key.
// The row then moves with its id.
func (rc *reconciler) movedFrom(b *batch, r *row) (id int64, ok bool, err error) {
	if b.bulk {
		return 0, false, nil
	}
	same := b.same
	if r.messageID == "" {
		same = b.sameFile
	}
	places, files, ids, err := same(r)
	for i, k := range places {
		if apart := r.arrived - ids[i]; apart <= -maxShiftMicros || apart >= maxShiftMicros || !rc.ix.gone(k, files[i]) {
			continue
		}
		// Should it have been renamed in this moment, a comparison of its folder finds it again. Where it was told to go, it was not: that spares a
		// comparison for each message moved, which might also meet others on their way.
		if !rc.ix.tombs.hold(fileKey{k, files[i].Key}) {
			rc.ix.marks.add(k)
		}
		folder, err := b.folder(k, false)
		if err == nil && folder != 0 {
			err = b.distrustStamp(folder)
		}
		return ids[i], true, err
	}
	return 0, false, err
}

// gone reports whether a file is certainly not there any more.
func (ix *Index) gone(k place, f File) bool {
	_, here, err := ix.opt.Source.Probe(background(), k.account, k.folder, f)
	return err == nil && !here
}

// stands tells under which name the file of a row is now. A file may have two for a while, as mutt renames by link and unlink: then
// the row's own name is as good as the other, and to stay with it keeps what two at work do at once from alternating.
func (ix *Index) stands(k place, was File, others ...File) (now File, found bool) {
	now, found, err := ix.opt.Source.Probe(background(), k.account, k.folder, was, others...)
	return now, err == nil && found
}

// moveRow gives the row with id the place and name of r.
func (b *batch) moveRow(id int64, r *row) error {
	folder, err := b.folder(r.place, true)
	if err != nil {
		return err
	}
	if _, err := b.move.Exec(folder, r.key, r.flags, r.new, r.arrived, id); err != nil {
		return err
	}
	return b.restate(id)
}

// removeGone removes a row whose file is gone. One that has become another file's, as its message was moved, stays, and one whose file
// has another name by now, or is back, gets that.
func (rc *reconciler) removeGone(b *batch, c *change) error {
	was, key, ok, err := rc.storedStill(b, c)
	if err != nil || !ok || !c.isKey(key) {
		return err
	}
	if now, ok := rc.ix.stands(c.in.place, was.file(key)); ok {
		return rc.rename(b, was, now)
	}
	if rc.opt.events == nil && rc.ix.events.going(fileKey{c.in.place, key}) {
		// It may have been moved, and what has come is looked at before what has gone. The folder is not said to be compared.
		c.in.failed.Store(true)
		return nil
	}
	rc.report.Removed++
	return b.drop(was.id)
}

// storedStill reads the row that a change was decided on, if its message is in the same folder still.
func (rc *reconciler) storedStill(b *batch, c *change) (was stored, key string, ok bool, err error) {
	folder, err := b.folder(c.in.place, false)
	if err != nil {
		return was, "", false, err
	}
	was.id = c.was.id
	var at int64
	err = b.at.QueryRow(was.id).Scan(&at, &key, &was.flags, &was.new)
	if errors.Is(err, sql.ErrNoRows) {
		return was, "", false, nil
	}
	return was, key, err == nil && at == folder, err
}

// rename gives a row the name that its file has.
func (rc *reconciler) rename(b *batch, was stored, now File) error {
	if was.flags == now.Flags && was.new == now.New {
		return nil
	}
	rc.report.Changed++
	return b.setFlags(was, now.Flags, now.New)
}

// placesOf is what a reconcile of marked places looks at, in order.
func placesOf(places map[place]bool) (accounts []string, folders map[string][]string) {
	folders = map[string][]string{}
	whole := map[string]bool{}
	for p := range places {
		if p.folder == "" {
			whole[p.account] = true
		}
		folders[p.account] = append(folders[p.account], p.folder)
	}
	for a := range folders {
		accounts = append(accounts, a)
		if whole[a] {
			folders[a] = nil
		}
	}
	slices.Sort(accounts)
	return accounts, folders
}
