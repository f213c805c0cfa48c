package admin

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"maild/appliance/foreign"
	"maild/appliance/mbox"
	"maild/index/header"
	"maild/maildir"
)

// smallOctets is how much of a message of an mbox is held in memory, to know it before it is written.
const smallOctets = 256 << 10

// mbox takes the messages of one.
func (im *importer) mbox(f foreign.File) error {
	target := im.targets[f.Folder]
	if target == "" {
		return nil // its folder has been named
	}
	file, err := f.Open()
	if err != nil {
		im.report.failed(f.Path, err)
		return nil
	}
	defer file.Close()
	packed, err := foreign.Compressed(file)
	if err != nil {
		im.report.failed(f.Path, err)
		return nil
	}
	in := io.Reader(file)
	if packed {
		if in, err = gzip.NewReader(file); err != nil {
			im.report.failed(f.Path, err)
			return nil
		}
	}
	box := &mboxSource{importer: im, Reader: mbox.NewReader(in, im.mboxFormat), file: f, target: target}
	before := im.report.readOctets
	for {
		if err := im.ctx.Err(); err != nil {
			return err
		}
		im.report.readOctets = before + position(file, box.Reader, packed)
		err := box.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var broken *destinationError
		if errors.As(err, &broken) {
			return err
		}
		if err != nil { // the rest of this mbox cannot be read
			im.report.failed(f.Path, err)
			return nil
		}
	}
}

// position is how much of a file has been read.
func position(f *os.File, r *mbox.Reader, packed bool) int64 {
	if !packed {
		return r.Offset()
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	return at
}

// mboxSource is an mbox being taken.
type mboxSource struct {
	*importer
	*mbox.Reader
	file   foreign.File
	target string
}

// next takes the next message.
func (b *mboxSource) next() error {
	e, err := b.Reader.Next()
	if err != nil {
		return err
	}
	where := fmt.Sprintf("%s, message at octet %d", b.file.Path, e.Offset)
	switch {
	case e.Expunged:
		b.report.skipped(where, "deleted already by its mail reader, which has not compacted the mbox yet")
		return nil
	case e.Internal:
		b.report.skipped(where, "no message, but notes that a mail reader keeps for itself")
		return nil
	}
	b.small.Reset()
	if _, err := io.CopyN(&b.small, b.Reader, smallOctets); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("message at octet %d: %w", e.Offset, err)
	}
	if b.small.Len() == smallOctets {
		return b.large(e)
	}
	b.importer.hash.Reset()
	b.importer.hash.Write(b.small.Bytes())
	in, ok, err := b.incoming(e)
	if !ok || err != nil {
		return err
	}
	return b.content(bytes.NewReader(b.small.Bytes()), where, in)
}

// large takes a message that must be written to be known. What was read of it is in small.
func (b *mboxSource) large(e mbox.Envelope) error {
	b.importer.hash.Reset()
	src := &remembering{r: io.MultiReader(bytes.NewReader(b.small.Bytes()), b.Reader)}
	content := io.TeeReader(src, b.importer.hash)
	var octets int64
	var err error
	if b.dry {
		octets, err = io.Copy(io.Discard, content)
	} else {
		err = b.batch.Write(content)
	}
	switch {
	case src.err != nil:
		return errors.Join(fmt.Errorf("message at octet %d: %w", e.Offset, src.err), b.dropWritten())
	case err != nil:
		return &destinationError{err}
	}
	in, ok, err := b.incoming(e)
	if ok && err == nil {
		var double bool
		if double, err = b.isDouble(); double {
			ok = false
		}
	}
	switch {
	case err != nil || !ok:
		return errors.Join(err, b.dropWritten())
	case b.dry:
		b.report.taken(1, octets)
		return nil
	}
	return b.place(in)
}

// dropWritten takes back what was written, if anything is.
func (b *mboxSource) dropWritten() error {
	if b.dry {
		return nil
	}
	return b.drop()
}

// incoming says where a message goes whose content was hashed; false when the account has it.
func (b *mboxSource) incoming(e mbox.Envelope) (in maildir.Incoming, ok bool, err error) {
	sum := string(b.importer.hash.Sum(nil))
	in = maildir.Incoming{Folder: b.target, New: e.Fresh, ModTime: b.arrival(e), Flags: b.letters(e)}
	// Equal messages are told apart by their number.
	for n := 0; ; n++ {
		d := digestOf("mbox", b.source, b.file.Path, sum, strconv.FormatInt(e.Date.Unix(), 10), b.target, strconv.Itoa(n))
		v, err := b.know(d)
		switch {
		case err != nil:
			return in, false, err
		case v == again:
			continue
		case v == present:
			b.report.present()
			return in, false, nil
		}
		in.Name = importName(d, in.ModTime)
		return in, true, nil
	}
}

// arrival is when a message came: by the "From " line, else by its Date, else when the mbox was written last.
func (b *mboxSource) arrival(e mbox.Envelope) time.Time {
	if !e.Date.IsZero() {
		return e.Date
	}
	block, err := header.ReadBlock(bytes.NewReader(b.small.Bytes()))
	if h := header.Parse(block); err == nil && !h.Date.IsZero() {
		return h.Date
	}
	return b.file.ModTime
}

// letters are the flags of a message, and those keywords that have a letter.
func (b *mboxSource) letters(e mbox.Envelope) maildir.Flags {
	letters := e.Flags
	for _, name := range e.Keywords {
		if c, ok := b.keywords[strings.ToLower(name)]; ok {
			letters += string(c)
		} else {
			b.report.keyword(name)
		}
	}
	return maildir.ParseFlags(letters)
}
