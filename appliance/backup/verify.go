package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"maild/appliance/account"
	"maild/appliance/config"
	"maild/appliance/store"
	"maild/index"
	"maild/maildir"
)

// VerifyOptions say whom to tell.
type VerifyOptions struct {
	Progress func(index.Progress) // may be nil
	Found    func(Problem) error  // an error ends the work
}

// Verify holds a complete backup against its manifest: every message that it lists is there with its size and time, and no other; the list and
// accounts.db are the ones that were written; both databases are whole. It gives how many messages it looked for. What a message says is not
// compared: nobody knew it when it was linked.
func Verify(ctx context.Context, dir string, o VerifyOptions) (m Manifest, checked int64, err error) {
	if m, err = Open(dir); err != nil {
		return m, 0, err
	}
	start := time.Now()
	cfg := config.Config{DataDir: dir}
	v := &verifying{dir: dir, m: m, mail: store.OpenMailboxes(cfg.MailDir()), found: o.Found, seen: func(n int64) {
		if o.Progress != nil {
			o.Progress(index.Progress{Scanned: n, Total: m.Messages, Elapsed: time.Since(start)})
		}
	}}
	defer v.mail.Close()
	if err := v.run(ctx, cfg); err != nil {
		return m, v.n, fmt.Errorf("verify backup %s: %w", dir, err)
	}
	return m, v.n, nil
}

func (v *verifying) run(ctx context.Context, cfg config.Config) error {
	if err := v.databases(ctx, cfg); err != nil {
		return err
	}
	sum, err := sumFile(filepath.Join(v.dir, listName))
	switch {
	case err != nil:
		return v.problem(Missing, listName, "%v: which messages there were is not known", err)
	case sum != v.m.ListSHA256:
		return v.problem(Differs, listName, "it is not the one that was written: which messages there were is not known")
	}
	if err := v.messages(ctx); err != nil {
		return err
	}
	if v.n != v.m.Messages {
		if err := v.problem(Differs, manifestName, "it says %d messages, the list %d", v.m.Messages, v.n); err != nil {
			return err
		}
	}
	var total int64
	_, _, err = eachFile(ctx, v.mail, func(*maildir.Tree, string, maildir.Entry) error { total++; return nil })
	if err == nil && total > v.here {
		err = v.problem(Extra, "mail", "%d messages are there that the backup did not have", total-v.here)
	}
	return err
}

// databases checks the two of them.
func (v *verifying) databases(ctx context.Context, cfg config.Config) error {
	if v.m.AccountsSHA256 != "" {
		err := account.Check(ctx, cfg.AccountsDB())
		sum, sumErr := sumFile(cfg.AccountsDB())
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && sumErr != nil:
			err = sumErr
		case err == nil && sum != v.m.AccountsSHA256:
			err = errors.New("it is not the one that was written")
		}
		if err != nil {
			if err := v.problem(Database, filepath.Base(cfg.AccountsDB()), "%v", err); err != nil {
				return err
			}
		}
	}
	err := index.Check(ctx, cfg.IndexDB())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist) && !v.m.Index, err == nil:
		return nil
	}
	return v.problem(Database, filepath.Base(cfg.IndexDB()), "%v", err)
}
