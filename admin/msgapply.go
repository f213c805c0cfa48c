package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"maild/appliance/store"
	"maild/index"
	"maild/maildir"
)

// msgChange is a command that changes messages, at work.
type msgChange struct {
	*call
	change store.Change
	action string // flag, move, copy or delete

	ix      *index.Index
	store   *store.Store
	list    *list            // what is written of each message; nil = nothing
	targets map[string]error // what is wrong with the folder in an account
	recent  []store.Outcome  // the last that changed
	lagged  error            // why the index could not be written

	done, same, failed, notFound int64
}

// changeView is what became of a message, or would, in JSON.
type changeView struct {
	ID      int64  `json:"id"`
	Action  string `json:"action"`
	Account string `json:"account"`
	Folder  string `json:"folder"`
	Flags   string `json:"flags"`
	Subject string `json:"subject"`
	// The place and flags after the change, or of the copy; empty when it is deleted or failed.
	ToAccount string `json:"to_account"`
	ToFolder  string `json:"to_folder"`
	ToFlags   string `json:"to_flags"`
	Changed   bool   `json:"changed"`
	Error     string `json:"error,omitempty"`
}

// run does the whole command for the messages that args or --query name.
func (j *msgChange) run(ctx context.Context, args []string) error {
	s, err := j.selected(args)
	if err != nil {
		return err
	}
	if err := j.open(); err != nil {
		return err
	}
	if j.change.Account != "" {
		if err := j.checkAccounts(ctx, []string{j.change.Account}); err != nil {
			return err
		}
		// One folder for all: that it is missing is no fault of a message.
		if err := j.target(j.change.Account); err != nil {
			return err
		}
	}
	if j.ix, err = j.search(ctx); err != nil {
		return err
	}
	j.store = store.New(j.mail(), j.ix)
	if err := s.look(ctx, j.ix); err != nil {
		return err
	}
	if err := j.agreed(ctx, s); err != nil {
		return err
	}
	if j.Bool("dry-run") || j.form() == formJSON {
		j.list = j.call.list(column{name: "id"}, column{name: "account", least: 8}, column{name: "folder", least: 7}, column{name: "flags"},
			column{name: "then", least: 7}, column{name: "subject", least: 12})
	}
	show, clear := j.progress(map[string]string{"flag": "flagging", "move": "moving", "copy": "copying", "delete": "deleting"}[j.action])
	begin := time.Now()
	if s.count < 0 || s.count > changeBatch {
		collect(longWork)
	}
	err = s.each(ctx, j.ix, func(batch []index.Message) error {
		err := j.batch(ctx, batch)
		if show != nil {
			show(index.Progress{Scanned: j.done + j.same + j.failed, Total: max(0, s.count), Elapsed: time.Since(begin)})
		}
		return err
	}, func(missing error) { clear(); j.fail(missing) })
	clear()
	if j.list != nil {
		err = errors.Join(err, j.list.end())
	}
	if !j.Bool("dry-run") {
		j.await(ctx)
	}
	j.summary()
	return errors.Join(err, j.verdict())
}

// agreed asks where it is to be asked: before a deletion, and before whatever a query finds is changed.
func (j *msgChange) agreed(ctx context.Context, s *selection) error {
	if j.Bool("dry-run") || s.where == nil && j.change.Action != store.Delete {
		return nil
	}
	question := map[string]string{"flag": "Change the flags of %s", "move": "Move %s to " + j.change.Folder, "copy": "Copy %s to " + j.change.Folder,
		"delete": "DELETE %s for good"}[j.action]
	if j.change.Account != "" {
		question += " of " + j.change.Account
	}
	what := messages(s.count)
	if s.count < 0 {
		if !j.Bool("yes") {
			return usagef("how many messages standard input names cannot be asked about: give --yes, or --dry-run to see them")
		}
		return nil
	}
	return j.confirm(ctx, fmt.Sprintf(question, what)+"?")
}

// messages is a number of them in words.
func messages(n int64) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// target says what is wrong with the folder that messages of an account come to; nil is nothing.
func (j *msgChange) target(account string) error {
	if j.change.Action != store.Move && j.change.Action != store.Copy || j.change.Create {
		return nil
	}
	if err, known := j.targets[account]; known {
		return err
	}
	if j.targets == nil {
		j.targets = map[string]error{}
	}
	_, err := j.existingFolder(account, j.change.Folder)
	j.targets[account] = err
	return err
}

// batch changes some messages and writes what became of them.
func (j *msgChange) batch(ctx context.Context, batch []index.Message) error {
	var able []index.Message
	for _, m := range batch {
		account := m.Account
		if j.change.Account != "" {
			account = j.change.Account
		}
		_, known := j.targets[account]
		if err := j.target(account); err != nil {
			if !known { // once for the account: it may have very many messages
				j.note("%v", err)
			}
			j.count(err)
			if err := j.write(store.Outcome{Was: m, Err: err}); err != nil {
				return err
			}
			continue
		}
		able = append(able, m)
	}
	if j.Bool("dry-run") {
		for _, m := range able {
			o := store.Outcome{Was: m, Now: j.then(m)}
			o.Changed = j.change.Action == store.Copy || j.change.Action == store.Delete || !o.Known()
			if err := j.settle(ctx, o); err != nil {
				return err
			}
		}
		return ctx.Err()
	}
	outcomes := j.store.Apply(ctx, j.change, able)
	j.again(ctx, outcomes)
	if !j.ix.ReadOnly() {
		// What was changed is to be found even if the command is being interrupted. Should that fail, a later search finds it by the directory times.
		if err := j.ix.Flush(context.WithoutCancel(ctx)); err != nil {
			j.lagged = err
		}
	}
	for _, o := range outcomes {
		if err := j.settle(ctx, o); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// then is what a message would become.
func (j *msgChange) then(m index.Message) index.Message {
	now := index.Message{Account: m.Account, Folder: m.Folder, Key: m.Key, Flags: m.Flags, New: m.New}
	switch j.change.Action {
	case store.Flag:
		now.Flags = string(maildir.Flags(m.Flags).With(j.change.Add).Without(j.change.Remove))
	case store.Move, store.Copy:
		now.Folder = j.change.Folder
		if j.change.Account != "" {
			now.Account = j.change.Account
		}
	}
	return now
}

// settle counts what became of a message and writes it.
func (j *msgChange) settle(ctx context.Context, o store.Outcome) error {
	if o.Err != nil && ctx.Err() != nil && errors.Is(o.Err, ctx.Err()) {
		return nil // not begun
	}
	switch {
	case o.Err != nil:
		j.fail(j.faultOf(o))
	case o.Changed:
		j.done++
		if j.recent = append(j.recent, o); len(j.recent) >= 2*watchedChanges {
			j.recent = slices.Clone(j.recent[len(j.recent)-watchedChanges:])
		}
	default:
		j.same++
	}
	return j.write(o)
}

// faultOf is what a person is told about a message that could not be changed.
func (j *msgChange) faultOf(o store.Outcome) error {
	var target *maildir.TargetError
	switch {
	case errors.Is(o.Err, store.ErrGone):
		return notFoundf("message %d: %v", o.Was.ID, o.Err)
	case errors.As(o.Err, &target) && errors.Is(o.Err, fs.ErrNotExist):
		return notFoundf("message %d: the folder %s has just been removed", o.Was.ID, j.change.Folder)
	case errors.Is(o.Err, fs.ErrExist):
		return &fault{code: ExitExists, text: fmt.Sprintf("message %d: the folder %s has a message of that file name already: delete one of the two", o.Was.ID, j.change.Folder)}
	}
	return fmt.Errorf("message %d: %w", o.Was.ID, o.Err)
}

// fail names a failure.
func (j *msgChange) fail(err error) {
	j.note("%s", explain(err, j.owner()))
	j.count(err)
}

func (j *msgChange) count(err error) {
	j.failed++
	if exitCode(err) == ExitNotFound {
		j.notFound++
	}
}

// write tells of one message, where that is asked for.
func (j *msgChange) write(o store.Outcome) error {
	if j.list == nil {
		return nil
	}
	v := changeView{ID: o.Was.ID, Action: j.action, Account: o.Was.Account, Folder: o.Was.Folder, Flags: o.Was.Flags, Subject: o.Was.Header.Subject, Changed: o.Changed}
	then := "deleted"
	switch {
	case o.Err != nil:
		v.Error = validText(o.Err.Error())
		then = "fails"
	case j.change.Action != store.Delete:
		v.ToAccount, v.ToFolder, v.ToFlags = o.Now.Account, o.Now.Folder, o.Now.Flags
		then = v.ToFolder
		if j.change.Action == store.Flag {
			then = v.ToFlags
		} else if v.ToAccount != v.Account {
			then += " of " + v.ToAccount
		}
	}
	return j.list.add([]string{fmt.Sprint(v.ID), v.Account, v.Folder, flagColumn(o.Was), then, v.Subject}, v)
}

// summary says how many messages were changed.
func (j *msgChange) summary() {
	if j.done+j.same == 0 {
		return
	}
	if j.done == 0 {
		j.note("%s: nothing to do, it is so already", messages(j.same))
		return
	}
	did := map[string]string{"flag": "changed", "move": "moved to " + j.change.Folder, "copy": "copied to " + j.change.Folder, "delete": "deleted"}[j.action]
	if j.change.Account != "" {
		did += " of " + j.change.Account
	}
	are := " are "
	if j.done == 1 {
		are = " is "
	}
	if j.Bool("dry-run") {
		are = " would be "
	}
	text := messages(j.done) + are + did
	if j.same > 0 {
		text += fmt.Sprintf(", and %s so already", map[bool]string{true: "1 is", false: fmt.Sprintf("%d are", j.same)}[j.same == 1])
	}
	j.note("%s", text)
}

// verdict is the exit code: some done and some not is one of its own.
func (j *msgChange) verdict() error {
	total := j.done + j.same + j.failed
	switch {
	case j.failed == 0:
		return nil
	case j.done+j.same > 0:
		return &fault{code: ExitPartial, text: fmt.Sprintf("%d of %s failed: see above", j.failed, messages(total))}
	case j.failed == j.notFound:
		return &fault{code: ExitNotFound, text: strings.TrimSpace(j.only(total))}
	}
	return &fault{code: ExitFailed, text: j.only(total)}
}

// only is the last word where everything failed. About a single message all has been said.
func (j *msgChange) only(total int64) string {
	if total == 1 {
		return ""
	}
	return fmt.Sprintf("none of %s is changed: see above", messages(total))
}
