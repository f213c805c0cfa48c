package index

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// write commits what the walker and the readers send, in batches, until there is no more.
func (rc *reconciler) write(ctx context.Context) error {
	var list []change
	for more := true; more; {
		list, more = rc.gather(list[:0])
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if len(list) == 0 {
			continue
		}
		if err := rc.writeList(ctx, list); err != nil {
			return err
		}
		if rc.opt.Progress != nil {
			rc.opt.Progress(Progress{
				Folders: rc.folders.Load(), FoldersDone: rc.foldersDone, Scanned: rc.scanned.Load(), Written: rc.written, Elapsed: time.Since(rc.start),
			})
		}
		if more {
			sleep(ctx, yieldFor)
		}
	}
	return nil
}

// gather waits for a change, then takes more for a little while.
func (rc *reconciler) gather(list []change) (got []change, more bool) {
	c, ok := <-rc.changes
	if !ok {
		return list, false
	}
	list = append(list, c)
	enough := time.NewTimer(gatherFor)
	defer enough.Stop()
	for len(list) < batchRows {
		select {
		case c, ok := <-rc.changes:
			if !ok {
				return list, false
			}
			list = append(list, c)
		case <-enough.C:
			return list, true
		}
	}
	return list, true
}

// writeList writes a batch, in as many transactions as it takes for others to have their turn soon. Faults of the box are tried again a few times before
// they end the reconcile.
func (rc *reconciler) writeList(ctx context.Context, list []change) error {
	if !slices.ContainsFunc(list, func(c change) bool { return c.kind != changeNothing || c.in.compared }) {
		rc.settle(list)
		return nil
	}
	slices.SortStableFunc(list, func(a, b change) int { return cmp.Compare(a.order(), b.order()) })
	pause, try := firstBackoff, 0
	for len(list) > 0 {
		before, done := rc.report, 0
		_, err := rc.ix.writeBatch(ctx, rc.gen, func(b *batch) (err error) {
			done, err = rc.applySome(b, list)
			return err
		})
		if err == nil {
			rc.settle(list[:done])
			list = list[done:]
			pause, try = firstBackoff, 0
			if len(list) > 0 {
				sleep(ctx, yieldFor)
			}
			continue
		}
		rc.report = before
		if try++; faultOf(err) != faultPassing || try > attempts || !sleep(ctx, pause) {
			return err
		}
		pause *= 2
	}
	return nil
}

// applySome writes changes until turnTime is over, and the stamps of folders that end with them. It gives how many it has written.
func (rc *reconciler) applySome(b *batch, list []change) (done int, err error) {
	start := time.Now()
	ending := map[*folderPass]int64{}
	for ; done < len(list) && (done == 0 || time.Since(start) < turnTime); done++ {
		c := &list[done]
		if err := rc.apply(b, c); err != nil {
			return 0, fmt.Errorf("%s %s: %w", c.in.account, c.in.folder, err)
		}
		if c.ends() {
			ending[c.in]++
		}
	}
	for pass, n := range ending {
		if pass.open.Load() != n || !pass.compared || pass.failed.Load() {
			continue
		}
		id, err := b.folder(pass.place, true)
		if err != nil {
			return 0, err
		}
		if !pass.sound {
			continue
		}
		_, err = b.conn.ExecContext(background(), `UPDATE folder SET stamp_new = ?, stamp_cur = ? WHERE id = ?`, pass.stamp.New, pass.stamp.Cur, id)
		if err != nil {
			return 0, err
		}
	}
	return done, nil
}

// order puts what comes before what goes, so that moved messages are recognised, and each in the order of ids, in which the words are
// written fastest.
func (c *change) order() int64 {
	switch c.kind {
	case changeFlags:
		return c.was.id
	case changeAdd, changeRefresh:
		return math.MaxInt64/4 + c.row.arrived
	case changeRemove:
		return math.MaxInt64/2 + c.was.id
	}
	return math.MaxInt64
}

// ends reports whether the change is the last word of the walker or of a job.
func (c *change) ends() bool {
	return c.kind == changeAdd || c.kind == changeRefresh || c.kind == changeNothing
}

// settle counts what was committed.
func (rc *reconciler) settle(list []change) {
	for i := range list {
		if c := &list[i]; c.ends() && c.in.open.Add(-1) == 0 {
			rc.foldersDone++
		}
	}
	rc.written += int64(len(list))
}

func (rc *reconciler) apply(b *batch, c *change) error {
	switch c.kind {
	case changeAdd, changeRefresh:
		if rc.ix.buried(&c.row) {
			return nil
		}
		moved, err := rc.applyMoved(b, &c.row)
		if err != nil || moved {
			return err
		}
		was, exists, err := b.add(&c.row)
		if err != nil {
			return err
		}
		if !exists {
			rc.report.Added++
			if rc.opt.events == nil {
				return nil
			}
			return rc.askLinks(b, &c.row)
		}
		if was.flags != c.row.flags || was.new != c.row.new {
			// Listed under two names, or renamed since it was read.
			if now, ok := rc.ix.stands(c.row.place, was.file(c.row.key), c.row.file()); ok {
				if err := rc.rename(b, was, now); err != nil {
					return err
				}
			}
		}
		if c.kind == changeAdd {
			return nil
		}
		changed, err := b.refresh(was.id, &c.row)
		if err != nil || !changed {
			return err
		}
		rc.report.Changed++
		return rc.askLinks(b, &c.row)
	case changeFlags:
		// What was recorded since the file was listed may be newer.
		was, key, ok, err := rc.storedStill(b, c)
		if err != nil || !ok || key != c.row.key {
			return err
		}
		now, ok := rc.ix.stands(c.in.place, was.file(c.row.key), c.row.file())
		if !ok {
			now = c.row.file()
		}
		return rc.rename(b, was, now)
	case changeRemove:
		if c.links {
			if err := rc.askLinksOf(b, c.in.place, c.was.id); err != nil {
				return err
			}
		}
		return rc.removeGone(b, c)
	case changeFolderGone:
		return rc.removeFolder(b, c.in.place)
	}
	return nil
}

// applyMoved makes the row of a file that is gone that of the one which has come in its place, if they are the same message.
func (rc *reconciler) applyMoved(b *batch, r *row) (bool, error) {
	folder, err := b.folder(r.place, true)
	if err != nil {
		return false, err
	}
	if _, exists, err := b.stored(folder, r.key); err != nil || exists {
		return false, err
	}
	id, ok, err := rc.movedFrom(b, r)
	if err != nil || !ok {
		return false, err
	}
	rc.report.Moved++
	if err := b.moveRow(id, r); err != nil {
		return true, err
	}
	// Message-ID and size may be those of another version of the message.
	if _, err := b.refresh(id, r); err != nil {
		return true, err
	}
	return true, rc.askLinks(b, r)
}

// removeFolder removes a folder that is gone, with its rows.
func (rc *reconciler) removeFolder(b *batch, p place) error {
	id, err := b.folder(p, false)
	if err != nil || id == 0 {
		return err
	}
	for _, text := range []string{
		`DELETE FROM terms WHERE rowid IN (SELECT id FROM message WHERE folder = ?)`,
		`DELETE FROM bodies WHERE rowid IN (SELECT id FROM message WHERE folder = ?)`,
		`DELETE FROM reference WHERE id IN (SELECT id FROM message WHERE folder = ?)`,
		`DELETE FROM extra WHERE id IN (SELECT id FROM message WHERE folder = ?)`,
	} {
		if _, err := b.conn.ExecContext(background(), text, id); err != nil {
			return err
		}
	}
	res, err := b.conn.ExecContext(background(), `DELETE FROM message WHERE folder = ?`, id)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	rc.report.Removed += n
	delete(b.folders, p)
	_, err = b.conn.ExecContext(background(), `DELETE FROM folder WHERE id = ?`, id)
	return err
}
