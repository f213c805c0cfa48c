package index

import (
	"context"
	"slices"
)

// repair mends what differs: a damaged database by a rebuild, single rows by reading their files again. What was mended is checked again.
func (v *verifier) repair(ctx context.Context, lasting []Difference) error {
	if v.report.Differences > int64(len(lasting)) || len(lasting) >= maxSuspects {
		if _, err := v.ix.Rebuild(ctx, RebuildOptions{Progress: v.opt.Progress}); err != nil {
			return err
		}
	} else {
		if err := v.mendFolders(ctx, lasting); err != nil {
			return err
		}
		for chunk := range slices.Chunk(lasting, repairRows) {
			if err := v.mendRows(ctx, chunk); err != nil {
				return err
			}
		}
	}
	left := int64(0)
	before := v.report.Differences
	found := v.opt.Found
	v.opt.Found = nil // they have been told
	err := v.database(ctx)
	left, v.report.Differences, v.opt.Found = v.report.Differences-before, before, found
	if err != nil {
		return err
	}
	for _, d := range lasting {
		now, err := v.check(ctx, fileKey{place{d.Account, d.Folder}, d.Key}, true)
		if err != nil {
			return err
		}
		if now.Kind != "" {
			left++
		}
	}
	v.report.Repaired = before - left
	return nil
}

// mendFolders compares the folders concerned, which also finds those that came or went.
func (v *verifier) mendFolders(ctx context.Context, lasting []Difference) error {
	var accounts []string
	for _, d := range lasting {
		accounts = append(accounts, d.Account)
	}
	slices.Sort(accounts)
	_, err := v.ix.Reconcile(ctx, ReconcileOptions{Accounts: slices.Compact(accounts), Force: true})
	return err
}

// mendRows writes rows anew, with their words. They keep their ids.
func (v *verifier) mendRows(ctx context.Context, chunk []Difference) error {
	type mended struct {
		row
		here bool
	}
	var list []mended
	for _, d := range chunk {
		if d.Key == "" {
			continue
		}
		k := fileKey{place{d.Account, d.Folder}, d.Key}
		r, here, err := v.fresh(ctx, File{Key: k.key}, k.place)
		if err != nil {
			continue // counted by the check that follows
		}
		r.place, r.key = k.place, k.key
		list = append(list, mended{r, here})
	}
	_, err := v.ix.writeBatch(ctx, nil, func(b *batch) error {
		clear(b.words)
		for i := range list {
			if err := b.mend(&list[i].row, list[i].here); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// mend drops what is there of a row, and adds it anew if its file is here.
func (b *batch) mend(r *row, here bool) error {
	folder, err := b.folder(r.place, here)
	if err != nil || folder == 0 {
		return err
	}
	was, ok, err := b.stored(folder, r.key)
	if err != nil {
		return err
	}
	id := r.arrived
	if ok {
		if apart := was.id - r.arrived; apart < maxShiftMicros && apart > -maxShiftMicros {
			id = was.id
		}
		if err := b.drop(was.id); err != nil {
			return err
		}
	}
	if !here {
		return nil
	}
	if _, err := b.dropTerms.Exec(id); err != nil {
		return err
	}
	_, _, err = b.addAt(id, r)
	return err
}
