package maildir

import (
	"errors"
	"fmt"
	"io/fs"
)

// Measure is how size is found out.
type Measure int

const (
	ByName Measure = iota // what the name says in S=, as the rules of Maildir++ have it; the file where it does not
	ByFile                // the file itself
)

// Size adds up all messages of all folders, those in Trash and those with the flag T too, but without those of the given keys. With ByName only messages whose names do not tell
// their size are looked at. Mail that comes, goes or is renamed meanwhile may be counted or not; [Tree.Stamp] from before and after tells.
//
// QUIRK: Courier, as Debian has it, counts neither Trash nor what has the flag T when it calculates maildirsize itself (seen with deliverquota
// of maildrop 2.9.3); Dovecot 2.3 counts both, unless a quota_rule says otherwise. Both take the file's sum as it stands otherwise.
func (t *Tree) Size(by Measure, without map[Key]bool) (total Size, err error) {
	folders, err := t.Folders()
	if err != nil {
		return total, err
	}
	for _, folder := range folders {
		for _, sub := range []string{subNew, subCur} {
			s, err := t.subSize(folder, sub, by, without)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return total, fmt.Errorf("size of %s: %w", folder, err)
			}
			total = total.Plus(s)
		}
	}
	return total, nil
}

func (t *Tree) subSize(folder, sub string, by Measure, without map[Key]bool) (total Size, err error) {
	d, err := t.acquire(folder, sub)
	if err != nil {
		return total, err
	}
	defer d.release()
	err = d.messages(func(key Key, _ Flags, base string) error {
		if without[key] {
			return nil
		}
		octets, told := key.size("S=")
		if !told || by == ByFile {
			st, err := d.stat(base)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			octets = st.Size
		}
		total = total.Plus(Size{octets, 1})
		return nil
	})
	return total, err
}
