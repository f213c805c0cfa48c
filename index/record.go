package index

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

const (
	// queueRows and queueOctets bound what waits for the writer. Beyond either a mailbox is marked for reconcile instead.
	queueRows   = 10_000
	queueOctets = 64 << 20
)

type opKind uint8

const (
	opRecord opKind = iota
	opUpdate
	opForget
	opForgetAccount
	opMove
)

// op is one recorded change.
type op struct {
	kind opKind
	row  row
	// full says that an update carries a header, so that a missing row can be made of it.
	full bool
	from place // move: where the message was, under the same key or fromKey
	// fromKey is the key that it had there.
	fromKey string
}

// queue is what was recorded and is not committed yet.
type queue struct {
	mu       sync.Mutex
	ops      []op
	octets   int64
	recorded uint64 // ops ever put in
	done     uint64 // ops ever committed, or given up in favour of a mark
	progress chan struct{}
	wake     chan struct{}
}

func (q *queue) init() {
	q.progress = make(chan struct{})
	q.wake = make(chan struct{}, 1)
}

// put gives the number of the operation, 0 when there was no room.
func (q *queue) put(o op) (number uint64) {
	size := o.row.sizeOctets()
	q.mu.Lock()
	fits := len(q.ops) < queueRows && q.octets+size <= queueOctets
	if fits {
		q.ops = append(q.ops, o)
		q.octets += size
		q.recorded++
		number = q.recorded
	}
	q.mu.Unlock()
	if fits {
		signal(q.wake)
	}
	return number
}

// head gives up to batchRows operations, which stay in the queue until taken.
func (q *queue) head() []op {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ops[:min(len(q.ops), batchRows):min(len(q.ops), batchRows)]
}

// taken removes the first n operations.
func (q *queue) taken(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range n {
		q.octets -= q.ops[i].row.sizeOctets()
		q.ops[i] = op{}
	}
	if q.ops = q.ops[n:]; len(q.ops) == 0 {
		q.ops = nil
	}
	q.done += uint64(n)
	close(q.progress)
	q.progress = make(chan struct{})
}

// await returns when everything put in before has left.
func (q *queue) await(ctx context.Context) error {
	q.mu.Lock()
	want := q.recorded
	for q.done < want {
		progress := q.progress
		q.mu.Unlock()
		select {
		case <-progress:
		case <-ctx.Done():
			return ctx.Err()
		}
		q.mu.Lock()
	}
	q.mu.Unlock()
	return nil
}

func (q *queue) pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ops)
}

// signal wakes whoever listens to c, which has room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Record notes a message that was delivered or moved into a folder. It never blocks and never fails: the row is written by
// Run soon after (or by Flush); when too much is waiting, the folder is marked and Run reconciles it. A row that is there
// already stays as it is, since it came from looking at the file later. Nothing survives a crash, and nothing needs to: the
// folder's directory times tell the next reconcile. What it returns is for Settled.
func (ix *Index) Record(m Message) Ticket {
	m.Incomplete = m.Incomplete && needsContent(&m.Header, ix.body.Load())
	return ix.enqueue(op{kind: opRecord, row: newRow(m, ix.fields)})
}

// UpdateFile notes new flags, or the step from new/ to cur/, of the message with m's Account, Folder and Key. Where
// the row is missing it is made from m if m carries a parsed header (Header.All), else the folder is marked for reconcile. Queued like Record.
func (ix *Index) UpdateFile(m Message) {
	ix.enqueue(op{kind: opUpdate, row: newRow(m, ix.fields), full: len(m.Header.All) > 0})
}

// Forget notes that a message is gone from a folder. Queued like Record.
func (ix *Index) Forget(account, folder, key string) {
	ix.enqueue(op{kind: opForget, row: row{place: place{strings.ToLower(account), folder}, key: key}})
}

// ForgetAccount notes that an account is gone with all its folders. Queued like Record.
func (ix *Index) ForgetAccount(account string) {
	ix.enqueue(op{kind: opForgetAccount, row: row{place: place{account: strings.ToLower(account)}}})
}

// Ticket names what was recorded.
type Ticket uint64

// Settled reports whether what was recorded is not waiting any more: its row is there, or it was gone before, or its folder is marked for
// reconcile.
func (ix *Index) Settled(t Ticket) bool {
	ix.queue.mu.Lock()
	defer ix.queue.mu.Unlock()
	return ix.queue.done >= uint64(t)
}

func (ix *Index) enqueue(o op) Ticket {
	if ix.opt.ReadOnly {
		return 0
	}
	number := ix.queue.put(o)
	if number == 0 {
		ix.markOf(&o)
	}
	return Ticket(number)
}

// markOf has the folders of a change reconciled.
func (ix *Index) markOf(o *op) {
	ix.marks.add(o.row.place)
	if o.kind == opMove {
		ix.marks.add(o.from)
	}
}

// Flush waits until everything recorded before has been committed or, where it was dropped for want of room, reconciled. Without Run it does
// the writing itself, and gives up at the first error.
func (ix *Index) Flush(ctx context.Context) error {
	if ix.running.Load() {
		if err := ix.queue.await(ctx); err != nil {
			return fmt.Errorf("flush the index: %w", err)
		}
		if err := ix.marks.await(ctx); err != nil {
			return fmt.Errorf("flush the index: %w", err)
		}
		return nil
	}
	for ix.queue.pending() > 0 {
		if g, err := ix.applyHead(ctx); err != nil {
			if f := faultOf(err); f == faultReplaced || f == faultDamaged {
				if err := ix.renew(ctx, g, err); err != nil {
					return fmt.Errorf("flush the index: %w", err)
				}
				continue
			}
			return fmt.Errorf("flush the index: %w", err)
		}
	}
	return nil
}

// applyHead commits the first operations of the queue.
func (ix *Index) applyHead(ctx context.Context) (*generation, error) {
	ix.applying.Lock()
	defer ix.applying.Unlock()
	ops := ix.queue.head()
	if len(ops) == 0 {
		return nil, nil
	}
	unknown := ix.complete(ctx, ops)
	missing := len(unknown)
	g, err := ix.writeBatch(ctx, nil, func(b *batch) error {
		unknown = unknown[:missing]
		touched := map[int64]bool{} // true: more of the folder than new/
		for i := range ops {
			if ops[i].kind == opRecord && ix.buried(&ops[i].row) {
				continue // removed since
			}
			if r := &ops[i].row; (ops[i].kind == opUpdate || ops[i].kind == opMove) && ix.opt.Source != nil {
				// Another program may have been faster than the queue.
				if now, ok := ix.stands(r.place, r.file()); ok {
					r.flags, r.new = now.Flags, now.New
				}
			}
			known, err := b.apply(&ops[i], touched)
			if err != nil {
				return err
			}
			if !known {
				unknown = append(unknown, ops[i].row.place)
			}
			if !known && ops[i].kind == opMove {
				unknown = append(unknown, ops[i].from)
			}
		}
		for folder, whole := range touched {
			stmt := b.distrustNew
			if whole {
				stmt = b.distrust
			}
			if _, err := stmt.Exec(folder); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return g, err
	}
	for _, p := range unknown {
		ix.marks.add(p)
	}
	ix.queue.taken(len(ops))
	return g, nil
}

// complete reads what the headers of recorded messages have left open. It returns the places of those that could not be read: what is
// there is seen by a reconcile.
func (ix *Index) complete(ctx context.Context, ops []op) (unknown []place) {
	if ix.opt.Source == nil {
		return nil
	}
	for i := range ops {
		r := &ops[i].row
		if !r.incomplete {
			continue
		}
		r.incomplete = false
		content, _, err := ix.opt.Source.Read(ctx, r.account, r.folder, r.file(), ix.want())
		if err != nil {
			unknown = append(unknown, r.place)
			continue
		}
		r.attachment, r.body = content.Attachment, sanitize(content.Text)
	}
	return unknown
}

// want is how much of a message the rows are made of.
func (ix *Index) want() Want {
	if ix.body.Load() {
		return WantText
	}
	return WantContent
}

// apply writes one operation; known is false when it cannot be told what the row should be.
func (b *batch) apply(o *op, touched map[int64]bool) (known bool, err error) {
	r := &o.row
	if o.kind == opForgetAccount {
		return true, b.forgetAccount(r.account)
	}
	folder, err := b.folder(r.place, o.kind != opForget)
	if err != nil || folder == 0 {
		return true, err
	}
	touched[folder] = touched[folder] || o.kind != opRecord || !r.new
	switch o.kind {
	case opRecord:
		_, _, err := b.add(r)
		return true, err
	case opMove:
		return b.applyMove(o, folder, touched)
	}
	was, ok, err := b.stored(folder, r.key)
	switch {
	case err != nil:
		return true, err
	case o.kind == opForget:
		if ok {
			return true, b.drop(was.id)
		}
		return true, nil
	case ok:
		return true, b.setFlags(was, r.flags, r.new)
	case o.full:
		_, _, err := b.add(r)
		return true, err
	}
	return false, nil
}

// forgetAccount removes all of an account at once: rare, and small enough for one transaction.
func (b *batch) forgetAccount(account string) error {
	const rows = `(SELECT id FROM message WHERE folder IN (SELECT id FROM folder WHERE account = ?))`
	for _, text := range []string{
		`DELETE FROM terms WHERE rowid IN ` + rows,
		`DELETE FROM bodies WHERE rowid IN ` + rows,
		`DELETE FROM reference WHERE id IN ` + rows,
		`DELETE FROM extra WHERE id IN ` + rows,
		`DELETE FROM message WHERE folder IN (SELECT id FROM folder WHERE account = ?)`,
		`DELETE FROM folder WHERE account = ?`,
	} {
		if _, err := b.conn.ExecContext(background(), text, account); err != nil {
			return fmt.Errorf("forget %s: %w", account, err)
		}
	}
	for p := range b.folders {
		if p.account == account {
			delete(b.folders, p)
		}
	}
	return nil
}
