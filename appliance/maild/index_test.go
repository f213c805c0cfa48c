package main_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestIndexFaults: whatever is done to index.db while mail flows, no mail is refused,
// and the index is whole again without a restart.
func TestIndexFaults(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"removed":           os.Remove,
		"removed with log":  removeWithLog,
		"removed its log":   func(path string) error { return os.Remove(path + "-wal") },
		"empty":             func(path string) error { return os.Truncate(path, 0) },
		"cut in the middle": func(path string) error { return os.Truncate(path, 20_000) },
		"overwritten":       overwriteAll,
		"overwritten in it": func(path string) error { return overwritePage(path, "bodies_config") },
		"of a newer schema": newerSchema,
		"other file":        func(path string) error { return replace(path, bytes.Repeat([]byte("This is no index.\n"), 5000)) },
		"removed twice":     func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, l := spoilIndex(t, noSweep, spoil)
			d.awaitLog("index: opened anew")
			l.await(t, 20)
			l.end()
			d.awaitIndex()
			l.check(t, d.box)
			d.stop()
		})
	}
}

// TestIndexFaultsBeside: so it is with the files that SQLite keeps beside index.db.
// Some it mends itself, and what is wrong with others only the next sweep meets. What
// is written into the -shm is beyond it: that is not a file but memory in common.
func TestIndexFaultsBeside(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"its log cut":     func(path string) error { return os.Truncate(path+"-wal", 0) },
		"its log spoilt":  func(path string) error { return overwrite(path + "-wal") },
		"its memory cut":  func(path string) error { return os.Truncate(path+"-shm", 0) },
		"its memory gone": func(path string) error { return os.Remove(path + "-shm") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, l := spoilIndex(t, "[index]\nsweep = \"200ms\"\n", spoil)
			l.end()
			d.awaitIndex()
			l.check(t, d.box)
			d.stop()
		})
	}
}

// spoilIndex does something to index.db while mail flows, and looks on for a while.
func spoilIndex(t *testing.T, tables string, spoil func(path string) error) (*daemon, *load) {
	t.Helper()
	b := newBox(t, tables, "mx")
	d := b.start()
	l := sendAlways(t, b.address("mx"), 2)
	l.await(t, 50)
	if err := spoil(b.data + "/index.db"); err != nil {
		t.Fatal(err)
	}
	l.await(t, 50)
	return d, l
}

// removeWithLog is rm index.db*, and SQLite may be quicker with the files beside.
func removeWithLog(path string) error {
	return errors.Join(os.Remove(path), removeLog(path))
}

func removeLog(path string) error {
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// overwrite puts other octets into the file as it is.
func overwrite(path string) error {
	return writeAt(path, 0, bytes.Repeat([]byte("garbage "), 4096))
}

func writeAt(path string, offset int64, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, offset)
	return errors.Join(err, f.Close())
}

// overwriteAll leaves no page as it was. A checkpoint may mend some of them before the daemon looks.
func overwriteAll(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return writeAt(path, 0, bytes.Repeat([]byte("garbage "), int(info.Size())/8))
}

// overwritePage puts other octets into the first page of a table.
func overwritePage(path, table string) error {
	out, err := exec.Command(program("mailctl"), "--root", filepath.Dir(path), "search", "sql",
		"SELECT rootpage FROM sqlite_schema WHERE name = '"+table+"'", "--format", "tsv").Output()
	if err != nil {
		return err
	}
	page, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return err
	}
	const octets = 4096
	return writeAt(path, (page-1)*octets, bytes.Repeat([]byte("garbage "), octets/8))
}

// newerSchema puts a copy of the file in its place whose user_version (a big-endian
// number at octet 60 of an SQLite file) is that of a later release.
func newerSchema(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(data) < 100 {
		return errors.New("no header of an SQLite file")
	}
	binary.BigEndian.PutUint32(data[60:], 999)
	return replace(path, data)
}

// replace puts a file in the place of another, with the log of neither.
func replace(path string, data []byte) error {
	if err := os.WriteFile(path+".other", data, 0o600); err != nil {
		return err
	}
	if err := removeLog(path); err != nil {
		return err
	}
	return os.Rename(path+".other", path)
}

// TestIndexBrokenAtStart: a daemon starts with any index.db, and with none.
func TestIndexBrokenAtStart(t *testing.T) {
	t.Parallel()
	b := newBox(t, "", "mx")
	for _, spoil := range []func(path string) error{
		removeWithLog,
		overwrite,
		newerSchema,
		func(path string) error { return os.Truncate(path, 0) },
		func(path string) error { return os.Truncate(path, 5000) },
	} {
		d := b.start()
		b.dial("mx").mustSend(t, "zoe@example.com", letter("start@example.com", "start", "\n"), loadAccount)
		b.awaitIndex()
		d.stop()
		if err := spoil(b.data + "/index.db"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	b.start()
	if rows := b.awaitIndex(); len(rows) != 5 {
		t.Errorf("%d messages found, want 5", len(rows))
	}
}

// TestIndexFollows: what other programs do to the Maildir is seen by a sweep.
func TestIndexFollows(t *testing.T) {
	t.Parallel()
	b := newBox(t, "[index]\nsweep = \"100ms\"\n", "mx")
	b.start()
	c := b.dial("mx")
	for range 3 {
		c.mustSend(t, "zoe@example.com", letter("follow@example.com", "follow", "\n"), loadAccount)
	}
	b.awaitIndex()
	files := b.files(loadAccount)
	dir := b.data + "/mail/" + host + "/postmaster/"
	if err := errors.Join(os.Remove(files[0]), os.Rename(files[1], dir+"cur/"+filepath.Base(files[1])+":2,FS")); err != nil {
		t.Fatal(err)
	}
	b.awaitIndex()
	if rows, _ := b.search("--flag", "seen", "--flag", "flagged"); len(rows) != 1 {
		t.Errorf("%d messages are seen and flagged, want 1", len(rows))
	}
}
