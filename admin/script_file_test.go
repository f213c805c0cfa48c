package admin

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// putFile makes what is not mailctl's own: a file of text, a link, a pipe, and the directories above it.
func (s *script) putFile(words []string) error {
	s.t.Helper()
	path := filepath.Join(s.root, words[1])
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	switch words[0] {
	case "symlink":
		return os.Symlink(words[2], path)
	case "fifo":
		return syscall.Mkfifo(path, 0o600)
	}
	at, err := time.Parse(time.RFC3339Nano, words[2])
	if err != nil {
		return err
	}
	text, err := s.textBlock()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at))
}

// textBlock reads lines up to a single dot; a backslash has the meaning it has in Go.
func (s *script) textBlock() (string, error) {
	var text strings.Builder
	for ; s.lines[s.at] != "."; s.at++ {
		s.written.WriteString(s.lines[s.at] + "\n")
		line, err := strconv.Unquote(`"` + strings.ReplaceAll(s.lines[s.at], `"`, `\"`) + `"`)
		if err != nil {
			return "", err
		}
		text.WriteString(line + "\n")
	}
	s.written.WriteString(".\n")
	s.at++
	return text.String(), nil
}
