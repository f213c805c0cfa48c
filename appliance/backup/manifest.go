package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"maild/appliance/process"
)

// format is what this code writes, and reads up to.
const format = 1

const (
	manifestName = "backup.json"
	partialName  = manifestName + ".partial"
	listName     = "backup.list.gz"
	configName   = "maild.toml"
	tlsName      = "tls"
)

func manifestPath(dir string) string { return filepath.Join(dir, manifestName) }
func partialPath(dir string) string  { return filepath.Join(dir, partialName) }

// Manifest is what a backup says of itself.
type Manifest struct {
	Format   int       `json:"format"`
	Version  string    `json:"version"` // of the program that made it
	Host     string    `json:"host"`
	DataDir  string    `json:"data_dir"` // that was backed up
	Begun    time.Time `json:"begun"`    // of the run that completed it: what was acknowledged before is in it
	Ended    time.Time `json:"ended"`
	Copy     bool      `json:"copy"`     // no message is a link to the live file
	Previous string    `json:"previous"` // the backup that unchanged messages were taken from; "" = none

	Accounts   int64 `json:"accounts"` // with mail
	Folders    int64 `json:"folders"`
	Messages   int64 `json:"messages"`
	Octets     int64 `json:"octets"` // of the messages
	Unreadable int64 `json:"unreadable"`

	// How the messages came here, in the run that completed it. Those of a run before it are not among them.
	LinkedMessages    int64 `json:"linked"`
	UnchangedMessages int64 `json:"unchanged"` // linked from the previous backup
	CopiedMessages    int64 `json:"copied"`
	CopiedOctets      int64 `json:"copied_octets"`

	Index          bool   `json:"index"`
	Config         string `json:"config"`          // the path of the configuration that was copied; "" = none
	AccountsSHA256 string `json:"accounts_sha256"` // "" = there was none
	ListSHA256     string `json:"list_sha256"`
}

// write writes the manifest in its place, where nobody reads half of it: it counts by its name.
func (m Manifest) write(path string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// maxManifest is far more than a manifest has.
const maxManifest = 1 << 20

func readManifest(path string) (m Manifest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err == nil {
		m, err = parseManifest(text)
	}
	return m, err
}

func parseManifest(text []byte) (m Manifest, err error) {
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("%s cannot be understood: %w", manifestName, err)
	}
	switch {
	case m.Format > format:
		return Manifest{}, fmt.Errorf("%w: its format is %d, this one knows %d: install that release", ErrNewer, m.Format, format)
	case m.Format < 1:
		return Manifest{}, fmt.Errorf("%s cannot be understood: it has no format", manifestName)
	}
	return m, nil
}

// Open reads the manifest of a complete backup. ErrNoBackup if dir is none, ErrIncomplete if it is not complete, ErrNewer if a later release made
// it.
func Open(dir string) (Manifest, error) {
	m, err := readManifest(manifestPath(dir))
	if !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			err = fmt.Errorf("backup %s: %w", dir, err)
		}
		return m, err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s %w: it does not exist: name a directory that \"mailctl backup\" made", dir, ErrNoBackup)
	} else if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	if _, err := os.Lstat(partialPath(dir)); err == nil {
		return m, fmt.Errorf("%s %w: \"mailctl backup\" to the same place completes it", dir, ErrIncomplete)
	}
	return m, fmt.Errorf("%s %w: it has no %s: name a directory that \"mailctl backup\" made; \"mailctl backup list\" finds them", dir, ErrNoBackup, manifestName)
}

// Listed is one backup of a list.
type Listed struct {
	Path     string
	Complete bool
	Running  bool     // it is being made now
	Fault    error    // why the manifest cannot be read; nil = it can
	Manifest Manifest // of one that is not complete, only what was known at its beginning
}

// List finds the backups in dir, or dir itself if it is one, the oldest first.
func List(dir string) ([]Listed, error) {
	if l, ok := look(dir); ok {
		return []Listed{l}, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s %w: it does not exist: name a directory that backups stand in", dir, ErrNoBackup)
	}
	if err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	var list []Listed
	for _, e := range entries {
		if l, ok := look(filepath.Join(dir, e.Name())); ok {
			list = append(list, l)
		}
	}
	slices.SortStableFunc(list, func(a, b Listed) int { return a.Manifest.Begun.Compare(b.Manifest.Begun) })
	return list, nil
}

// look reports whether there is a backup at path.
func look(path string) (l Listed, ok bool) {
	l = Listed{Path: path, Complete: true}
	l.Manifest, l.Fault = readManifest(manifestPath(path))
	if !errors.Is(l.Fault, fs.ErrNotExist) && !errors.Is(l.Fault, syscall.ENOTDIR) {
		return l, true
	}
	partial := partialPath(path)
	if _, err := os.Lstat(partial); err != nil {
		return l, false
	}
	l.Complete = false
	l.Manifest, l.Fault = readManifest(partial)
	if running, err := process.Locked(partial); err == nil {
		l.Running = running
	}
	return l, true
}

// Newest gives the newest complete backup of the data at data on host that stands beside dest; "" if there is none.
func Newest(dest, host, data string) string {
	list, err := List(filepath.Dir(dest))
	if err != nil {
		return "" // no reason to make none
	}
	for _, l := range slices.Backward(list) {
		if l.Complete && l.Fault == nil && l.Path != dest && l.Manifest.Host == host && l.Manifest.DataDir == data {
			return l.Path
		}
	}
	return ""
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func ownerOf(info fs.FileInfo) (uid, gid int) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return -1, -1
}
