package admin

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"maild/appliance/mbox"
	"maild/maildir"
)

// exportBufferOctets is how much is written at a time.
const exportBufferOctets = 256 << 10

// mboxSink is one mbox.
type mboxSink struct {
	out exportFile
	buf *bufio.Writer
	box *mbox.Writer
}

func newMboxSink(out exportFile) *mboxSink {
	buf := bufio.NewWriterSize(out, exportBufferOctets)
	return &mboxSink{out: out, buf: buf, box: mbox.NewWriter(buf)}
}

func (*mboxSink) folder(string) error { return nil }

func (s *mboxSink) message(e maildir.Entry, info os.FileInfo, file *os.File) error {
	return s.box.Message(mbox.Envelope{Sender: returnPath(file), Date: info.ModTime(), Flags: string(e.Flags), Fresh: e.New && e.Flags == ""}, file)
}

func (s *mboxSink) finish() error {
	if err := s.buf.Flush(); err != nil {
		return err
	}
	return s.out.finish()
}

func (s *mboxSink) abort() error { return s.out.abort() }

// maxReturnPath is how much of a message is looked at for the field that its delivery has put at the top.
const maxReturnPath = 1024

// returnPath is the reverse-path of a message, where its first field tells it.
func returnPath(file *os.File) string {
	buf := make([]byte, maxReturnPath)
	n, err := file.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "" // which shows when the message is read
	}
	line, _, _ := strings.Cut(string(buf[:n]), "\n")
	name, value, _ := strings.Cut(line, ":")
	if !strings.EqualFold(name, "Return-Path") {
		return ""
	}
	return strings.Trim(strings.TrimSpace(value), "<>")
}

// mboxDirSink is a directory with an mbox for each folder, called like it in modified UTF-7.
type mboxDirSink struct {
	dest *destination
	buf  *bufio.Writer
	box  *mboxSink
	file *os.File // of the folder that is written; nil before the first
}

func newMboxDirSink(d *destination) *mboxDirSink { return &mboxDirSink{dest: d} }

// mboxName is the file of a folder.
func mboxName(folder string) (string, error) {
	dir, err := maildir.EncodeFolder(folder)
	if folder == maildir.Inbox {
		dir = "." + folder
	}
	return strings.TrimPrefix(dir, ".") + ".mbox", err
}

func (s *mboxDirSink) folder(name string) error {
	if err := s.endFile(); err != nil {
		return err
	}
	base, err := mboxName(name)
	if err != nil {
		return err
	}
	s.file, err = os.OpenFile(filepath.Join(s.dest.partial(), base), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	s.box = newMboxSink(&stdoutFile{s.file})
	return nil
}

func (s *mboxDirSink) message(e maildir.Entry, info os.FileInfo, file *os.File) error {
	return s.box.message(e, info, file)
}

// endFile makes the mbox durable that is written.
func (s *mboxDirSink) endFile() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.box.finish(), s.file.Sync(), s.file.Close())
	s.file = nil
	return err
}

func (s *mboxDirSink) finish() error {
	if err := s.endFile(); err != nil {
		return err
	}
	return s.dest.finish()
}

func (s *mboxDirSink) abort() error {
	var err error
	if s.file != nil {
		err = s.file.Close()
		s.file = nil
	}
	return errors.Join(err, s.dest.abort())
}

// maildirSink is a Maildir++ tree. Messages keep their names.
type maildirSink struct {
	dest  *destination
	tree  *maildir.Tree
	batch *maildir.Batch
}

func newMaildirSink(d *destination) (exportSink, error) {
	tree, err := maildir.Create(d.partial())
	if err != nil {
		return nil, errors.Join(err, d.abort())
	}
	batch, err := tree.Batch()
	if err != nil {
		return nil, errors.Join(err, tree.Close(), d.abort())
	}
	return &maildirSink{dest: d, tree: tree, batch: batch}, nil
}

func (s *maildirSink) folder(name string) error {
	if name == maildir.Inbox {
		return nil
	}
	if err := s.tree.CreateFolder(name); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func (s *maildirSink) message(e maildir.Entry, info os.FileInfo, file *os.File) error {
	if err := s.batch.Write(file); err != nil {
		return err
	}
	if _, err := s.batch.Place(maildir.Incoming{Folder: e.Folder, Key: e.Key, Flags: e.Flags, New: e.New, ModTime: info.ModTime()}); err != nil {
		return err
	}
	if s.batch.Full() {
		return s.batch.Commit()
	}
	return nil
}

func (s *maildirSink) finish() error {
	if err := s.batch.Commit(); err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	return s.dest.finish()
}

func (s *maildirSink) close() error { return errors.Join(s.batch.Abort(), s.tree.Close()) }

func (s *maildirSink) abort() error { return errors.Join(s.close(), s.dest.abort()) }

// tarSink is a tar archive with a Maildir++ tree below a directory called like the account. Names are made of folders and keys, neither of which can
// lead elsewhere.
type tarSink struct {
	out  exportFile
	buf  *bufio.Writer
	tar  *tar.Writer
	top  string
	made map[string]bool // folders
	now  time.Time
}

func newTarSink(out exportFile, account string) *tarSink {
	buf := bufio.NewWriterSize(out, exportBufferOctets)
	return &tarSink{out: out, buf: buf, tar: tar.NewWriter(buf), top: strings.ReplaceAll(strings.ToLower(account), "/", "_"), made: map[string]bool{}, now: time.Now()}
}

// path is the directory of a folder in the archive.
func (s *tarSink) path(folder string) (string, error) {
	dir, err := maildir.EncodeFolder(folder)
	if err != nil || folder == maildir.Inbox {
		return s.top, err
	}
	return s.top + "/" + dir, nil
}

// folder makes a folder. The INBOX is there always, since the archive is no Maildir without.
func (s *tarSink) folder(name string) error {
	for _, folder := range []string{maildir.Inbox, name} {
		if s.made[folder] {
			continue
		}
		s.made[folder] = true
		dir, err := s.path(folder)
		if err != nil {
			return err
		}
		for _, sub := range []string{"", "/cur", "/new", "/tmp"} {
			h := &tar.Header{Typeflag: tar.TypeDir, Name: dir + sub + "/", Mode: 0o700, ModTime: s.now.Truncate(time.Second), Format: tar.FormatPAX}
			if err := s.tar.WriteHeader(h); err != nil {
				return fmt.Errorf("write tar: %w", err)
			}
		}
	}
	return nil
}

func (s *tarSink) message(e maildir.Entry, info os.FileInfo, file *os.File) error {
	dir, err := s.path(e.Folder)
	if err != nil {
		return err
	}
	sub := "/cur/"
	if e.New {
		sub = "/new/"
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: dir + sub + e.FileName(), Mode: 0o600, Size: info.Size(), ModTime: info.ModTime(), Format: tar.FormatPAX}
	if err := s.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("write tar: %w", err)
	}
	if _, err := io.CopyN(s.tar, file, info.Size()); err != nil {
		return fmt.Errorf("write tar: %w", err)
	}
	return nil
}

func (s *tarSink) finish() error {
	if err := errors.Join(s.tar.Close(), s.buf.Flush()); err != nil {
		return fmt.Errorf("write tar: %w", err)
	}
	return s.out.finish()
}

func (s *tarSink) abort() error { return s.out.abort() }
