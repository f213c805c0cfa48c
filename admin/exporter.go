package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"maild/index"
	"maild/index/query"
	"maild/maildir"
)

const (
	// exportChunk is how many messages are put in the order of their arrival at a time. A folder with more is exported in several such runs.
	exportChunk = 50000
	// exportPasses is how often folders that change under the export are read again for what is new in them.
	exportPasses = 5
)

// exportSink is what an export writes to.
type exportSink interface {
	// folder begins a folder: messages that follow are of it. It may be begun again.
	folder(name string) error
	// message adds one. file is at its beginning, and is not closed.
	message(e maildir.Entry, info os.FileInfo, file *os.File) error
	// finish makes all of it durable, and puts it in its place.
	finish() error
	// abort takes away what was written; nothing after finish.
	abort() error
}

// exporter is an export at work.
type exporter struct {
	*call
	ctx     context.Context
	account string
	only    []string   // folders; nil = all
	where   query.Expr // nil = everything
	whole   bool       // a message that cannot be exported ends it
	view    exportView

	tree  *maildir.Tree
	sink  exportSink
	done  *digestSet // what has been exported
	begun map[string]bool
	show  func(index.Progress)
	start time.Time
}

// run exports to what target opens, all of it or nothing.
func (ex *exporter) run(target func() (exportSink, error)) error {
	return ex.mail().Use(ex.account, false, func(t *maildir.Tree) (err error) {
		ex.tree, ex.begun, ex.start = t, map[string]bool{}, time.Now()
		if err := ex.checkFolders(); err != nil {
			return err
		}
		if ex.done, err = newDigestSet(); err != nil {
			return err
		}
		if ex.sink, err = target(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ex.sink.abort()) }()
		show, hide := ex.progress("exporting")
		ex.show = show
		if ex.where != nil {
			err = ex.found()
		} else {
			err = ex.all()
		}
		hide()
		if err != nil {
			return err
		}
		if err := ex.sink.finish(); err != nil {
			return err
		}
		ex.view.Seconds = time.Since(ex.start).Seconds()
		return nil
	})
}

// checkFolders sees that the folders named are there.
func (ex *exporter) checkFolders() error {
	for _, f := range ex.only {
		if _, err := ex.tree.Stamp(f); errors.Is(err, fs.ErrNotExist) {
			return notFoundf("%s has no folder %s: see \"mailctl search sql 'SELECT * FROM folders'\"", ex.account, f)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// folders are those to be exported, as they are now.
func (ex *exporter) folders() ([]string, error) {
	if ex.only != nil {
		return ex.only, nil
	}
	return ex.tree.Folders()
}

// all exports what the folders hold. Those that were changed meanwhile are read again, so that a message that was renamed or moved while its
// directory was read is not missed.
func (ex *exporter) all() error {
	seen := map[string]maildir.Stamp{}
	for range exportPasses {
		folders, err := ex.folders()
		if err != nil {
			return err
		}
		quiet := true
		for _, f := range folders {
			stamp, err := ex.tree.Stamp(f)
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed meanwhile
			}
			if err != nil {
				return err
			}
			if last, ok := seen[f]; ok && last == stamp {
				continue
			}
			seen[f], quiet = stamp, false
			if err := ex.folder(f); err != nil {
				return err
			}
		}
		if quiet {
			return nil
		}
	}
	return nil // it is in use: what comes from now on is later than the export
}

// arrival is a message and its time.
type arrival struct {
	maildir.Entry
	nanos int64
}

// folder exports a folder, its messages in the order of arrival.
func (ex *exporter) folder(name string) error {
	if err := ex.begin(name); err != nil {
		return err
	}
	var chunk []arrival
	err := ex.tree.Scan(name, func(e maildir.Entry) error {
		if err := ex.ctx.Err(); err != nil {
			return err
		}
		if has, err := ex.done.has(exportDigest(e)); has || err != nil {
			return err
		}
		a := arrival{Entry: e}
		if info, err := ex.tree.StatMessage(e); err == nil { // else opening it will say what is wrong
			a.nanos = info.ModTime().UnixNano()
		}
		if chunk = append(chunk, a); len(chunk) < exportChunk {
			return nil
		}
		err := ex.chunk(chunk)
		chunk = chunk[:0]
		return err
	})
	if err == nil {
		err = ex.chunk(chunk)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the folder was removed meanwhile
	}
	return err
}

func (ex *exporter) begin(folder string) error {
	if !ex.begun[folder] {
		ex.begun[folder] = true
		ex.view.Folders++
	}
	return ex.sink.folder(folder)
}

func (ex *exporter) chunk(list []arrival) error {
	slices.SortFunc(list, func(a, b arrival) int {
		return cmp.Or(cmp.Compare(a.nanos, b.nanos), cmp.Compare(a.Key, b.Key))
	})
	for _, a := range list {
		if err := ex.message(a.Entry); err != nil {
			return err
		}
	}
	return nil
}

// found exports what the query finds.
func (ex *exporter) found() error {
	ix, err := ex.search(ex.ctx)
	if err != nil {
		return err
	}
	if err := ex.needText(ex.ctx, ix, ex.where); err != nil {
		return err
	}
	folders, err := ex.folders()
	if err != nil {
		return err
	}
	for _, f := range folders {
		if err := ex.begin(f); err != nil {
			return err
		}
		where := query.And{query.Account{Name: ex.account}, query.Folder{Name: f}, ex.where}
		err := ix.Search(ex.ctx, index.Query{Where: where, Sort: index.SortOldest}, func(m index.Message) error {
			return ex.message(maildir.Entry{Folder: m.Folder, Key: maildir.Key(m.Key), Flags: maildir.Flags(m.Flags), New: m.New})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func exportDigest(e maildir.Entry) digest { return digestOf("exported", e.Folder, string(e.Key)) }

// message exports one message, as it is now. One that cannot be opened is told, and does not keep the others back; an error of reading does, as what
// was written of it cannot be taken back everywhere.
func (ex *exporter) message(e maildir.Entry) error {
	if err := ex.ctx.Err(); err != nil {
		return err
	}
	if first, err := ex.done.add(exportDigest(e)); !first || err != nil {
		return err
	}
	file, now, err := ex.tree.OpenFound(e)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile; where it went to another folder it is found there
	}
	if err != nil && ex.whole {
		return err
	}
	if err != nil {
		ex.view.Failed++
		path := validText(ex.tree.MessagePath(e))
		ex.note("failed: %s: %v", path, err)
		if len(ex.view.FailedAt) < maxNamed {
			ex.view.FailedAt = append(ex.view.FailedAt, namedFile{path, validText(err.Error())})
		}
		return nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = ex.sink.message(now, info, file)
	}
	if err != nil {
		return fmt.Errorf("export %s: %w", e.Key, err)
	}
	ex.view.Messages++
	ex.view.Octets += info.Size()
	if ex.show != nil {
		ex.show(progressOf(ex.view.Messages, 0, ex.start))
	}
	return nil
}

// empty exports an account that has no tree.
func (ex *exporter) empty(target func() (exportSink, error)) error {
	sink, err := target()
	if err != nil {
		return err
	}
	return errors.Join(sink.folder(maildir.Inbox), sink.finish(), sink.abort())
}

// late counts the messages in the tree at path that were not exported by run, which has ended.
func (ex *exporter) late(ctx context.Context, path string) (n int64, err error) {
	t, err := maildir.Open(path)
	if err != nil {
		return 0, err
	}
	defer t.Close()
	if ex.done == nil {
		if ex.done, err = newDigestSet(); err != nil {
			return 0, err
		}
	}
	folders, err := t.Folders()
	if err != nil {
		return 0, err
	}
	for _, f := range folders {
		err := t.Scan(f, func(e maildir.Entry) error {
			if has, err := ex.done.has(exportDigest(e)); has || err != nil {
				return err
			}
			n++
			return ctx.Err()
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// close gives back what run has left to know what was exported.
func (ex *exporter) close() error {
	if ex.done == nil {
		return nil
	}
	return ex.done.close()
}
