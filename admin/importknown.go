package admin

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strings"
	"time"

	"maild/maildir"
)

// learn reads the names, and with --dedup the contents, that the account has.
func (im *importer) learn() error {
	folders, err := im.tree.Folders()
	if err != nil {
		return err
	}
	show, done := im.progress("reading what is there")
	defer done()
	var count int64
	start := time.Now()
	for _, folder := range folders {
		err := im.tree.Scan(folder, func(e maildir.Entry) error {
			if err := im.ctx.Err(); err != nil {
				return err
			}
			if d, ok := importedDigest(e.Key); ok {
				if _, err := im.known.add(presentDigest(d)); err != nil {
					return err
				}
			}
			if !im.dedup {
				return nil
			}
			if count++; show != nil {
				show(progressOf(count, 0, start))
			}
			return im.learnContent(e)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (im *importer) learnContent(e maildir.Entry) error {
	f, err := im.tree.OpenMessage(e)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close()
	im.hash.Reset()
	if _, err := io.Copy(im.hash, f); err != nil {
		return fmt.Errorf("read %s: %w", f.Name(), err)
	}
	_, err = im.known.add(contentDigest(im.hash))
	return err
}

func presentDigest(d digest) digest          { return digestOf("present", string(d[:])) }
func seenDigest(d digest) digest             { return digestOf("seen", string(d[:])) }
func contentDigest(content hash.Hash) digest { return digestOf("content", string(content.Sum(nil))) }

const (
	importPrefix = "I"
	importSuffix = ".import"
)

// importName is the name of a message whose digest is d.
func importName(d digest, arrived time.Time) string {
	micros := max(0, arrived.UnixMicro())
	return fmt.Sprintf("%d.M%d%s%x%s", micros/1e6, micros%1e6, importPrefix, d[:], importSuffix)
}

// importedDigest gives the digest of a name, if it is one of importName's.
func importedDigest(key maildir.Key) (d digest, ok bool) {
	unique, _, _ := strings.Cut(string(key), ",")
	unique, ok = strings.CutSuffix(unique, importSuffix)
	at := len(unique) - hex.EncodedLen(len(d))
	if !ok || at < 1 || unique[at-1:at] != importPrefix {
		return d, false
	}
	n, err := hex.Decode(d[:], []byte(unique[at:]))
	return d, err == nil && n == len(d)
}

// verdict says whether a message is known.
type verdict int

const (
	unknown verdict = iota
	present         // the account has it
	again           // it has been met in this run
)

// know looks whether a message is known, and remembers that it has been met.
func (im *importer) know(d digest) (verdict, error) {
	first, err := im.known.add(seenDigest(d))
	if err != nil {
		return unknown, &destinationError{err}
	}
	if !first {
		return again, nil
	}
	has, err := im.known.has(presentDigest(d))
	if err != nil {
		return unknown, &destinationError{err}
	}
	if has {
		return present, nil
	}
	return unknown, nil
}

// isDouble reports, and counts, with --dedup, whether the account has the content that was hashed last.
func (im *importer) isDouble() (bool, error) {
	if !im.dedup {
		return false, nil
	}
	first, err := im.known.add(contentDigest(im.hash))
	if err != nil {
		return false, &destinationError{err}
	}
	if !first {
		im.report.double()
	}
	return !first, nil
}
