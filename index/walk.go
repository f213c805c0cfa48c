package index

import (
	"context"
	"errors"
	"hash/maphash"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// walk goes through accounts and folders and finds what differs.
func (rc *reconciler) walk(ctx context.Context) error {
	accounts, all, err := rc.accounts(ctx)
	if err != nil {
		return err
	}
	known, err := rc.knownPlaces(ctx)
	if err != nil {
		return err
	}
	here := make(map[string]bool, len(accounts))
	for _, account := range accounts {
		here[account] = true
		if err := rc.walkAccount(ctx, account, known[account]); err != nil {
			return err
		}
	}
	if !all {
		return nil
	}
	for account, folders := range known {
		if !here[account] {
			rc.foldersGone(ctx, account, folders)
		}
	}
	return context.Cause(ctx)
}

// knownPlaces gives the folders that have a row, by account.
func (rc *reconciler) knownPlaces(ctx context.Context) (map[string][]string, error) {
	query, args := `SELECT account, name FROM folder`, []any{}
	if len(rc.opt.Accounts) > 0 {
		query += ` WHERE account IN (?` + strings.Repeat(",?", len(rc.opt.Accounts)-1) + `)`
		for _, a := range rc.opt.Accounts {
			args = append(args, strings.ToLower(a))
		}
	}
	rows, err := rc.gen.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := map[string][]string{}
	for rows.Next() {
		var account, name string
		if err := rows.Scan(&account, &name); err != nil {
			return nil, err
		}
		known[account] = append(known[account], name)
	}
	return known, rows.Err()
}

func (rc *reconciler) walkAccount(ctx context.Context, account string, known []string) error {
	if some := rc.opt.folders[account]; some != nil {
		for _, folder := range some {
			if err := rc.walkFolder(ctx, place{account, folder}); err != nil {
				return err
			}
		}
		return context.Cause(ctx)
	}
	folders, err := rc.ix.opt.Source.Folders(ctx, account)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // the account is gone, and folders is empty
	}
	if err != nil {
		return err
	}
	rc.folders.Add(int64(len(folders)))
	for _, folder := range folders {
		if err := rc.walkFolder(ctx, place{account, folder}); err != nil {
			return err
		}
	}
	gone := slices.DeleteFunc(slices.Clone(known), func(f string) bool { return slices.Contains(folders, f) })
	rc.foldersGone(ctx, account, gone)
	return context.Cause(ctx)
}

func (rc *reconciler) foldersGone(ctx context.Context, account string, folders []string) {
	for _, f := range folders {
		rc.emit(ctx, change{kind: changeFolderGone, in: &folderPass{place: place{account, f}}})
	}
}

// walkFolder finds what differs in one folder.
func (rc *reconciler) walkFolder(ctx context.Context, p place) error {
	now := time.Now()
	stamp, err := rc.ix.opt.Source.Stamp(ctx, p.account, p.folder)
	if errors.Is(err, fs.ErrNotExist) {
		rc.foldersGone(ctx, p.account, []string{p.folder})
		return nil
	}
	if err != nil {
		return err
	}
	pass := &folderPass{place: p, stamp: stamp, sound: now.UnixNano()-max(stamp.New, stamp.Cur) >= int64(clockResolution)}
	pass.open.Store(1)
	id, unchanged, err := rc.folderRow(ctx, pass)
	if err != nil {
		return err
	}
	if !unchanged || rc.opt.Force || rc.opt.Reparse {
		pass.compared = true
		if err := rc.diff(ctx, pass, id); err != nil {
			return err
		}
	} else {
		pass.sound = false // nothing to store
	}
	rc.emit(ctx, change{kind: changeNothing, in: pass}) // the walker is through with it
	return context.Cause(ctx)
}

// folderRow gives the id of the folder's row, 0 if there is none, and whether its stamp is the one of the last scan.
func (rc *reconciler) folderRow(ctx context.Context, pass *folderPass) (id int64, unchanged bool, err error) {
	rows, err := rc.gen.read.QueryContext(ctx,
		`SELECT id, coalesce(stamp_new = ? AND stamp_cur = ?, 0) FROM folder WHERE account = ? AND name = ?`,
		pass.stamp.New, pass.stamp.Cur, pass.account, pass.folder)
	if err != nil {
		return 0, false, err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&id, &unchanged)
	}
	return id, unchanged, errors.Join(err, rows.Err())
}

// snapshot is what the rows of a folder say, in some thirty octets a row: names and flags are kept as hashes, and
// every difference is looked up before it is believed. The rows are read before the files are listed, so a row that is recorded meanwhile is not in it and
// cannot be taken for one whose file is gone.
type snapshot struct {
	seed maphash.Seed
	rows map[uint64]snapshotRow // by hash of the key
}

type snapshotRow struct {
	id    int64
	state uint64 // hash of key, flags and new
	size  uint64 // hash of octets and time
}

func (s *snapshot) keyHash(key string) uint64 { return maphash.String(s.seed, key) }

func (s *snapshot) stateHash(key, flags string, isNew bool) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	h.WriteString(key)
	h.WriteByte(':')
	h.WriteString(flags)
	if isNew {
		h.WriteByte('!')
	}
	return h.Sum64()
}

func (s *snapshot) sizeHash(octets, arrived int64) uint64 {
	return maphash.Comparable(s.seed, [2]int64{octets, arrived})
}

func (rc *reconciler) snapshot(ctx context.Context, folder int64) (*snapshot, error) {
	s := &snapshot{seed: maphash.MakeSeed(), rows: map[uint64]snapshotRow{}}
	if folder == 0 {
		return s, nil
	}
	rows, err := rc.gen.read.QueryContext(ctx, `SELECT id, key, flags, new, octets, arrived FROM message WHERE folder = ?`, folder)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var id, octets, arrived int64
	var key, flags string
	var isNew bool
	for rows.Next() {
		if err := rows.Scan(&id, &key, &flags, &isNew, &octets, &arrived); err != nil {
			return nil, err
		}
		s.rows[s.keyHash(key)] = snapshotRow{id, s.stateHash(key, flags, isNew), s.sizeHash(octets, arrived)}
	}
	return s, rows.Err()
}

// diff lists the folder and hands on what differs from its rows.
func (rc *reconciler) diff(ctx context.Context, pass *folderPass, folder int64) error {
	snap, err := rc.snapshot(ctx, folder)
	if err != nil {
		return err
	}
	err = rc.ix.opt.Source.Scan(ctx, pass.account, pass.folder, func(f File) error {
		rc.scanned.Add(1)
		return rc.compare(ctx, pass, snap, folder, f)
	})
	if errors.Is(err, fs.ErrNotExist) {
		pass.failed.Store(true) // gone since it was listed: the next pass removes it
		return nil
	}
	if err != nil {
		return err
	}
	if err := rc.confirmGone(ctx, pass, snap); err != nil {
		return err
	}
	for hash, r := range snap.rows {
		isKey := func(key string) bool { return snap.keyHash(key) == hash }
		if !rc.emit(ctx, change{kind: changeRemove, in: pass, was: stored{id: r.id}, isKey: isKey}) {
			break
		}
	}
	return context.Cause(ctx)
}

// confirmGone keeps rows whose files a listing missed: a file that is renamed while its directory is read may not be seen. If the
// directory changed meanwhile, it is listed again.
func (rc *reconciler) confirmGone(ctx context.Context, pass *folderPass, snap *snapshot) error {
	if len(snap.rows) == 0 {
		return nil
	}
	stamp, err := rc.ix.opt.Source.Stamp(ctx, pass.account, pass.folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if stamp == pass.stamp && pass.sound {
		return nil
	}
	return rc.ix.opt.Source.Scan(ctx, pass.account, pass.folder, func(f File) error {
		delete(snap.rows, snap.keyHash(f.Key))
		return nil
	})
}

// compare looks at one file.
func (rc *reconciler) compare(ctx context.Context, pass *folderPass, snap *snapshot, folder int64, f File) error {
	hash := snap.keyHash(f.Key)
	r, ok := snap.rows[hash]
	delete(snap.rows, hash)
	if ok && r.state == snap.stateHash(f.Key, f.Flags, f.New) {
		if rc.opt.Reparse || rc.opt.Stat && rc.touched(ctx, pass, snap, r, f) {
			return rc.emitJob(ctx, pass, job{in: pass, file: f, again: true})
		}
		return nil
	}
	was, found, err := rc.rowOf(ctx, folder, f.Key)
	switch {
	case err != nil:
		return err
	case found && (was.flags != f.Flags || was.new != f.New):
		rc.emit(ctx, change{kind: changeFlags, in: pass, was: was, row: row{flags: f.Flags, new: f.New}})
	}
	if !found || rc.opt.Reparse || rc.opt.Stat && rc.touched(ctx, pass, snap, r, f) {
		return rc.emitJob(ctx, pass, job{in: pass, file: f, again: found})
	}
	return context.Cause(ctx)
}

// touched reports whether a file has another size or time than its row says.
func (rc *reconciler) touched(ctx context.Context, pass *folderPass, snap *snapshot, r snapshotRow, f File) bool {
	now, err := rc.ix.opt.Source.Stat(ctx, pass.account, pass.folder, f)
	return err == nil && r.size != snap.sizeHash(now.Octets, max(1, now.Arrived.UnixMicro()))
}

func (rc *reconciler) emitJob(ctx context.Context, pass *folderPass, j job) error {
	pass.open.Add(1)
	select {
	case rc.jobs <- j:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// rowOf looks one row up.
func (rc *reconciler) rowOf(ctx context.Context, folder int64, key string) (s stored, ok bool, err error) {
	if folder == 0 {
		return s, false, nil
	}
	rows, err := rc.gen.read.QueryContext(ctx, `SELECT id, flags, new FROM message WHERE folder = ? AND key = ?`, folder, key)
	if err != nil {
		return s, false, err
	}
	defer rows.Close()
	if ok = rows.Next(); ok {
		err = rows.Scan(&s.id, &s.flags, &s.new)
	}
	return s, ok, errors.Join(err, rows.Err())
}
