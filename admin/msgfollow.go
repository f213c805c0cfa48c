package admin

import (
	"context"
	"errors"
	"slices"
	"time"

	"maild/appliance/store"
	"maild/index"
)

const (
	// followPatience is how long a command waits for the daemon's index to show what it did.
	followPatience = time.Second
	followPoll     = 5 * time.Millisecond
	// watchedChanges is how many changes are looked for: the last ones, since a daemon follows in order.
	watchedChanges = 512
)

// again tries those once more that were not where the index said. Who moved them has it known in a moment.
func (j *msgChange) again(ctx context.Context, outcomes []store.Outcome) {
	gone := map[int64]int{}
	var accounts []string
	for i, o := range outcomes {
		if errors.Is(o.Err, store.ErrGone) {
			gone[o.Was.ID] = i
			accounts = append(accounts, o.Was.Account)
		}
	}
	if len(gone) == 0 {
		return
	}
	if !j.ix.ReadOnly() {
		slices.Sort(accounts)
		if _, err := j.ix.Reconcile(ctx, index.ReconcileOptions{Accounts: slices.Compact(accounts)}); err != nil {
			return // they stay what they are: gone
		}
	}
	var found []index.Message
	// Whatever is not found in time stays gone, also where that is for want of an answer.
	_ = until(ctx, func() (bool, error) {
		ids := make([]int64, 0, len(gone))
		for id := range gone {
			ids = append(ids, id)
		}
		rows, err := j.ix.Messages(ctx, ids)
		found = found[:0]
		waiting := false
		for _, m := range rows {
			if was := outcomes[gone[m.ID]].Was; store.SameFile(m, was) {
				waiting = true
			} else {
				found = append(found, m)
			}
		}
		return err == nil && (!waiting || !j.ix.ReadOnly()), err
	})
	for _, o := range j.store.Apply(ctx, j.change, found) {
		outcomes[gone[o.Was.ID]] = o
	}
}

var errLate = errors.New("the daemon has not caught up within a second")

// until asks again until the answer is yes, or followPatience is over: then the error is errLate.
func until(ctx context.Context, answer func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, followPatience)
	defer cancel()
	for {
		yes, err := answer()
		if yes {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errLate
		case <-time.After(followPoll):
		}
	}
}

// await returns when the index shows the last changes, or says that it does not.
func (j *msgChange) await(ctx context.Context) {
	err := j.lagged
	if j.ix.ReadOnly() && len(j.recent) > 0 && ctx.Err() == nil {
		left := j.recent[max(0, len(j.recent)-watchedChanges):]
		err = until(ctx, func() (bool, error) {
			var err error
			left, err = j.unseen(ctx, left)
			return err == nil && len(left) == 0, err
		})
	}
	if err != nil && ctx.Err() == nil {
		j.note("the mail is changed, but not yet the index, which follows by itself: %v", err)
	}
}

// unseen gives those of the changes that the index does not show.
func (j *msgChange) unseen(ctx context.Context, list []store.Outcome) (left []store.Outcome, err error) {
	if j.change.Action == store.Copy {
		for _, o := range list {
			_, err := j.ix.IDOf(ctx, o.Now.Account, o.Now.Folder, o.Now.Key)
			if errors.Is(err, index.ErrNotFound) {
				left = append(left, o)
			} else if err != nil {
				return list, err
			}
		}
		return left, nil
	}
	ids := make([]int64, len(list))
	for i, o := range list {
		ids[i] = o.Was.ID
	}
	rows, err := j.ix.Messages(ctx, ids)
	if err != nil {
		return list, err
	}
	known := make(map[int64]index.Message, len(rows))
	for _, m := range rows {
		known[m.ID] = m
	}
	for _, o := range list {
		if m, ok := known[o.Was.ID]; ok && store.SameFile(m, o.Was) && !o.Known() {
			left = append(left, o)
		}
	}
	return left, nil
}
