package index

import (
	"context"
	"database/sql"
	"errors"
	"hash/maphash"
	"io/fs"
	"maps"
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
	known, err := rc.known(ctx)
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
			rc.foldersGone(account, slices.Collect(maps.Keys(folders)))
		}
	}
	return context.Cause(ctx)
}

// knownFolders are the folders that have a row, by account and name, with their stamps. A time of 0 is not to be trusted.
type knownFolders map[string]map[string]Stamp

// known gives the folders of the accounts that are looked at, as their rows are now.
func (rc *reconciler) known(ctx context.Context) (knownFolders, error) {
	query, args := `SELECT account, name, coalesce(stamp_new, 0), coalesce(stamp_cur, 0) FROM folder`, []any{}
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
	known := knownFolders{}
	for rows.Next() {
		var account, name string
		var stamp Stamp
		if err := rows.Scan(&account, &name, &stamp.New, &stamp.Cur); err != nil {
			return nil, err
		}
		if known[account] == nil {
			known[account] = map[string]Stamp{}
		}
		known[account][name] = stamp
	}
	return known, rows.Err()
}

func (rc *reconciler) walkAccount(ctx context.Context, account string, known map[string]Stamp) error {
	if some := rc.opt.folders[account]; some != nil {
		for _, folder := range some {
			if err := rc.walkFolder(ctx, place{account, folder}, known[folder]); err != nil {
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
	here := make(map[string]bool, len(folders))
	for _, folder := range folders {
		here[folder] = true
		if err := rc.walkFolder(ctx, place{account, folder}, known[folder]); err != nil {
			return err
		}
	}
	for folder := range known {
		if !here[folder] {
			rc.foldersGone(account, []string{folder})
		}
	}
	return context.Cause(ctx)
}

// foldersGone notes folders that are to be removed when all else is read: what was in them may have come elsewhere, and keeps its id then.
func (rc *reconciler) foldersGone(account string, folders []string) {
	for _, f := range folders {
		rc.doomed = append(rc.doomed, change{kind: changeFolderGone, in: &folderPass{place: place{account, f}}})
	}
}

// walkFolder finds what differs in one folder, whose stamp was the given one when the walk began: that it still is proves that nothing has changed.
func (rc *reconciler) walkFolder(ctx context.Context, p place, was Stamp) error {
	now := time.Now()
	stamp, err := rc.ix.opt.Source.Stamp(ctx, p.account, p.folder)
	if errors.Is(err, fs.ErrNotExist) {
		rc.foldersGone(p.account, []string{p.folder})
		return nil
	}
	if err != nil {
		return err
	}
	pass := &folderPass{place: p, stamp: stamp}
	if was.Cur == stamp.Cur && !rc.opt.Force && !rc.opt.Reparse {
		pass.part = NewPart // cur/ is as it was: the time for new mail does not grow with the folder
	}
	pass.open.Store(1)
	if stamp != was || rc.opt.Force || rc.opt.Reparse {
		pass.compared, pass.sound = true, now.UnixNano()-max(stamp.New, stamp.Cur) >= int64(clockResolution)
		id, err := rc.folderID(ctx, p)
		if err != nil {
			return err
		}
		if err := rc.diff(ctx, pass, id); err != nil {
			return err
		}
	}
	rc.emit(ctx, change{kind: changeNothing, in: pass}) // the walker is through with it
	return context.Cause(ctx)
}

// folderID gives the id of the folder's row, 0 if there is none.
func (rc *reconciler) folderID(ctx context.Context, p place) (id int64, err error) {
	err = rc.gen.read.QueryRowContext(ctx, `SELECT id FROM folder WHERE account = ? AND name = ?`, p.account, p.folder).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
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

func (rc *reconciler) snapshot(ctx context.Context, folder int64, part Part) (*snapshot, error) {
	s := &snapshot{seed: maphash.MakeSeed(), rows: map[uint64]snapshotRow{}}
	if folder == 0 {
		return s, nil
	}
	query := `SELECT id, key, flags, new, octets, arrived FROM message WHERE folder = ?`
	if part == NewPart {
		query += ` AND new = 1`
	}
	rows, err := rc.gen.read.QueryContext(ctx, query, folder)
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
	snap, err := rc.snapshot(ctx, folder, pass.part)
	if err != nil {
		return err
	}
	err = rc.ix.opt.Source.Scan(ctx, pass.account, pass.folder, pass.part, func(f File) error {
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
	return rc.ix.opt.Source.Scan(ctx, pass.account, pass.folder, pass.part, func(f File) error {
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
		rc.emit(ctx, change{kind: changeFlags, in: pass, was: was, row: row{key: f.Key, flags: f.Flags, new: f.New}})
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
	rc.inHand.Add(1)
	select {
	case rc.jobs <- j:
		return nil
	case <-ctx.Done():
		rc.inHand.Done()
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
