package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"maild/index/header"
)

const (
	// settleTime is how long a difference must last to count: what has just changed is on its way into the index.
	settleTime = 1500 * time.Millisecond
	settlePoll = 100 * time.Millisecond
	// maxSuspects bounds the memory for differences; who has more needs a rebuild.
	maxSuspects = 100_000
	// allWords is of how many messages the words are asked for; of those beyond, one in someWords.
	allWords  = 1000
	someWords = 20
	// repairRows is how many rows are mended in one transaction.
	repairRows = 200
)

// VerifyOptions say what to look at.
type VerifyOptions struct {
	Accounts []string // "user@domain"; none = all
	Share    float64  // of the messages whose content is read again; 0 or 1 = all. Names, flags and counts are always compared
	Repair   bool     // mend what differs
	Progress func(Progress)
	Found    func(Difference) error // called for each difference; an error ends the work
}

// The kinds of differences.
const (
	MissingRow  = "missing row"
	MissingFile = "row without file"
	Differs     = "differs"
	WrongWords  = "words"
	WrongFolder = "folder"
	BadDatabase = "database"
)

// Difference is something that the index says otherwise than the mail.
type Difference struct {
	Kind                 string
	Account, Folder, Key string
	ID                   int64
	What                 string // which columns, with what stands there and what should
}

// VerifyReport is what was found.
type VerifyReport struct {
	Checked     int64 // messages whose names were compared
	Read        int64 // and those whose content was
	Differences int64
	Repaired    int64
	Failed      int64 // files that cannot be read
	Elapsed     time.Duration
}

// Verify proves the index against the mail: every file has its row, every row its file, and each row is what a fresh reading of the file gives,
// with its words and references; the folders are the same, and the database is whole. Mail may come and go meanwhile: a difference
// counts when it is still there a second and a half later. With Repair set, what differs is mended. An error means that the work is not complete.
func (ix *Index) Verify(ctx context.Context, opt VerifyOptions) (VerifyReport, error) {
	if ix.opt.Source == nil {
		return VerifyReport{}, errors.New("verify the index: there is no mail to hold it against")
	}
	if opt.Repair && ix.opt.ReadOnly {
		return VerifyReport{}, errors.New("verify the index: it was opened read-only, so nothing can be repaired")
	}
	v := &verifier{ix: ix, opt: opt, start: time.Now(), suspects: map[fileKey]bool{}, unread: map[fileKey]bool{}}
	err := v.run(ctx)
	v.report.Elapsed, v.report.Failed, v.report.Read = time.Since(v.start), v.failed.Load(), v.read.Load()
	if err != nil {
		return v.report, fmt.Errorf("verify the index: %w", err)
	}
	return v.report, nil
}

type verifier struct {
	ix     *Index
	opt    VerifyOptions
	start  time.Time
	report VerifyReport

	mu       sync.Mutex
	suspects map[fileKey]bool // a key of "" is the folder
	unread   map[fileKey]bool // counted in failed: a file may be looked at many times
	read     atomic.Int64
	failed   atomic.Int64
}

func (v *verifier) suspect(k fileKey) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.suspects) < maxSuspects {
		v.suspects[k] = true
	}
}

// unreadable counts and logs a file once.
func (v *verifier) unreadable(k fileKey, cause error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.unread[k] {
		return
	}
	if len(v.unread) < maxSuspects {
		v.unread[k] = true
	}
	v.failed.Add(1)
	v.ix.log.Warn("index: cannot read a message", "account", k.account, "mailbox", k.folder, "key", k.key, "error", cause)
}

func (v *verifier) run(ctx context.Context) error {
	lasting, err := v.compare(ctx)
	if faultOf(err) == faultDamaged {
		// What was suspected before the damage was met says nothing: all of it is to be read again.
		lasting, err = nil, v.broken(err)
	}
	if err != nil {
		return err
	}
	for _, d := range lasting {
		if err := v.found(d); err != nil {
			return err
		}
	}
	if !v.opt.Repair || v.report.Differences == 0 {
		return nil
	}
	return v.repair(ctx, lasting)
}

// compare looks at the database, then at all files, and gives what differs and lasts. Damage to the database ends it with an error, unless it was met
// by the checks of the whole, which tell it.
func (v *verifier) compare(ctx context.Context) ([]Difference, error) {
	if err := v.database(ctx); err != nil {
		return nil, err
	}
	if err := v.walk(ctx); err != nil {
		return nil, err
	}
	return v.settle(ctx)
}

func (v *verifier) found(d Difference) error {
	v.report.Differences++
	if v.opt.Found == nil {
		return nil
	}
	return v.opt.Found(d)
}

// wholeChecks count what must not be there. Each is one statement, which sees no transaction half done.
func (v *verifier) wholeChecks() map[string]string {
	checks := map[string]string{
		"messages whose words are missing":     `SELECT count(*) FROM message WHERE id NOT IN (SELECT id FROM terms_docsize)`,
		"words of messages that are gone":      `SELECT count(*) FROM terms_docsize WHERE id NOT IN (SELECT id FROM message)`,
		"references of messages that are gone": `SELECT count(*) FROM reference WHERE id NOT IN (SELECT id FROM message)`,
		"fields of messages that are gone":     `SELECT count(*) FROM extra WHERE id NOT IN (SELECT id FROM message)`,
		"texts of messages that are gone":      `SELECT count(*) FROM bodies_docsize WHERE id NOT IN (SELECT id FROM message)`,
		"messages of folders that are gone":    `SELECT count(*) FROM message WHERE folder NOT IN (SELECT id FROM folder)`,
		"folders with wrong totals":            wrongTotals,
	}
	return checks
}

// database looks at the file as a whole.
func (v *verifier) database(ctx context.Context) error {
	read := v.ix.current().read
	for what, text := range v.wholeChecks() {
		var n int64
		if err := read.QueryRowContext(ctx, text).Scan(&n); err != nil {
			return v.broken(err)
		}
		if n > 0 {
			if err := v.found(Difference{Kind: BadDatabase, What: fmt.Sprintf("%s: %d", what, n)}); err != nil {
				return err
			}
		}
	}
	faults, err := quickCheck(ctx, read, 10)
	for _, line := range faults {
		if err := v.found(Difference{Kind: BadDatabase, What: line}); err != nil {
			return err
		}
	}
	return v.broken(err)
}

// broken makes a finding of an error that is damage.
func (v *verifier) broken(err error) error {
	if faultOf(err) == faultDamaged {
		return v.found(Difference{Kind: BadDatabase, What: err.Error()})
	}
	return err
}

// walk compares the names of all files with the rows, and reads those that were chosen.
func (v *verifier) walk(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	keys := make(chan fileKey, 256)
	var reading sync.WaitGroup
	for range readers() {
		reading.Go(func() {
			for k := range keys {
				if ctx.Err() != nil {
					continue
				}
				n := v.read.Add(1)
				d, err := v.check(ctx, k, n <= allWords || n%someWords == 0)
				if err != nil {
					cancel(err)
				} else if d.Kind != "" {
					v.suspect(k)
				}
			}
		})
	}
	err := v.list(ctx, keys)
	close(keys)
	reading.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause // what a reader met; the listing only says that it was told to end
	}
	return err
}

func (v *verifier) list(ctx context.Context, keys chan<- fileKey) error {
	rc := &reconciler{ix: v.ix, gen: v.ix.current(), opt: ReconcileOptions{Accounts: v.opt.Accounts}}
	accounts, all, err := rc.accounts(ctx)
	if err != nil {
		return err
	}
	known, err := rc.known(ctx)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		folders, err := v.ix.opt.Source.Folders(ctx, account)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, folder := range folders {
			if err := v.folder(ctx, rc, place{account, folder}, keys); err != nil {
				return err
			}
		}
		v.strange(account, known[account], folders)
		delete(known, account)
	}
	if all {
		for account, folders := range known {
			v.strange(account, folders, nil)
		}
	}
	return nil
}

// strange suspects folders that only the index knows.
func (v *verifier) strange(account string, known map[string]Stamp, folders []string) {
	for f := range known {
		if !slices.Contains(folders, f) {
			v.suspect(fileKey{place: place{account, f}})
		}
	}
}

// folder compares one folder by names.
func (v *verifier) folder(ctx context.Context, rc *reconciler, p place, keys chan<- fileKey) error {
	id, err := rc.folderID(ctx, p)
	if err != nil {
		return err
	}
	if id == 0 {
		v.suspect(fileKey{place: p})
	}
	snap, err := rc.snapshot(ctx, id, WholeFolder)
	if err != nil {
		return err
	}
	err = v.ix.opt.Source.Scan(ctx, p.account, p.folder, WholeFolder, func(f File) error {
		v.report.Checked++
		k := fileKey{p, f.Key}
		hash := snap.keyHash(f.Key)
		r, ok := snap.rows[hash]
		delete(snap.rows, hash)
		if !ok || r.state != snap.stateHash(f.Key, f.Flags, f.New) {
			v.suspect(k)
		}
		if v.opt.Progress != nil && v.report.Checked%1000 == 0 {
			v.opt.Progress(Progress{Scanned: v.report.Checked, Elapsed: time.Since(v.start)})
		}
		if v.opt.Share > 0 && v.opt.Share < 1 && rand.Float64() >= v.opt.Share {
			return ctx.Err()
		}
		select {
		case keys <- k:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, r := range snap.rows {
		var key string
		err := rc.gen.read.QueryRowContext(ctx, `SELECT key FROM message WHERE id = ?`, r.id).Scan(&key)
		switch {
		case err == nil:
			v.suspect(fileKey{p, key})
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
	}
	return nil
}

// settle looks at what was suspected again until it is in order or has lasted.
func (v *verifier) settle(ctx context.Context) (lasting []Difference, err error) {
	deadline := time.Now().Add(settleTime)
	for {
		lasting = lasting[:0]
		for k := range v.suspects {
			d, err := v.check(ctx, k, true)
			if err != nil {
				return nil, err
			}
			if d.Kind == "" {
				delete(v.suspects, k)
				continue
			}
			lasting = append(lasting, d)
		}
		if len(lasting) == 0 || time.Now().After(deadline) {
			break
		}
		if !sleep(ctx, settlePoll) {
			return nil, context.Cause(ctx)
		}
	}
	slices.SortFunc(lasting, func(a, b Difference) int {
		return strings.Compare(a.Account+"\x00"+a.Folder+"\x00"+a.Key, b.Account+"\x00"+b.Folder+"\x00"+b.Key)
	})
	return lasting, nil
}

// check holds one file, or with an empty key one folder, against the index. The Kind of the result is "" when they agree.
func (v *verifier) check(ctx context.Context, k fileKey, words bool) (Difference, error) {
	d := Difference{Account: k.account, Folder: k.folder, Key: k.key}
	if k.key == "" {
		return v.checkFolder(ctx, d)
	}
	folder, id, row, found, err := v.ix.current().rowAt(ctx, k)
	if err != nil {
		return d, err
	}
	fresh, here, err := v.fresh(ctx, row.file(), k.place)
	if err != nil {
		if ctx.Err() == nil {
			v.unreadable(k, err)
		}
		return Difference{}, ctx.Err()
	}
	d.ID = id
	switch {
	case !here && !found:
		return Difference{}, nil
	case !here:
		d.Kind = MissingFile
		return d, nil
	case !found:
		d.Kind = MissingRow
		return d, nil
	}
	if d.What = row.difference(&fresh); d.What != "" {
		d.Kind = Differs
		return d, nil
	}
	if !words {
		return Difference{}, nil
	}
	if d.What, err = v.ix.current().wrongWords(ctx, folder, id, &fresh, v.ix.body.Load()); d.What != "" {
		d.Kind = WrongWords
	}
	if err != nil || d.Kind == "" {
		return Difference{}, err
	}
	return d, nil
}

func (v *verifier) checkFolder(ctx context.Context, d Difference) (Difference, error) {
	_, err := v.ix.opt.Source.Stamp(ctx, d.Account, d.Folder)
	here := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	rc := &reconciler{ix: v.ix, gen: v.ix.current()}
	id, err := rc.folderID(ctx, place{d.Account, d.Folder})
	if err != nil || here == (id != 0) {
		return Difference{}, err
	}
	d.Kind, d.What = WrongFolder, "is there, and not in the index"
	if !here {
		d.What = "is in the index, and not there"
	}
	return d, nil
}

// fresh reads a file as for a new row. It has the name given, or is found by its key.
func (v *verifier) fresh(ctx context.Context, file File, k place) (r row, here bool, err error) {
	content, f, err := v.ix.opt.Source.Read(ctx, k.account, k.folder, file, v.ix.want())
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	return newRow(Message{Account: k.account, Folder: k.folder, Key: f.Key, Flags: f.Flags, New: f.New, Octets: f.Octets, Arrived: f.Arrived,
		Header: header.Parse(content.Header), Attachment: content.Attachment, Body: content.Text}, v.ix.fields), true, nil
}
