package appliance

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"maild/appliance/config"
)

// Logger is the log of a daemon: to standard error, or to a file that is opened
// again at each reload, as logrotate wants it. Safe for concurrent use.
type Logger struct {
	*slog.Logger
	level *slog.LevelVar
	sink  *sink
}

// sink is where the log goes now.
type sink struct {
	mu   sync.Mutex
	w    io.Writer
	file *os.File
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// NewLogger makes the log that cfg describes; stderr is used where it names no
// file.
func NewLogger(cfg config.Log, stderr io.Writer) (*Logger, error) {
	l := &Logger{level: new(slog.LevelVar), sink: &sink{}}
	if err := l.Reload(cfg, stderr); err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: l.level}
	var h slog.Handler = slog.NewTextHandler(l.sink, opts)
	if cfg.Format == "json" {
		h = slog.NewJSONHandler(l.sink, opts)
	}
	l.Logger = slog.New(h)
	return l, nil
}

// Reload takes over the level and opens the file again. The format stays.
func (l *Logger) Reload(cfg config.Log, stderr io.Writer) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		return fmt.Errorf("log level: %w", err)
	}
	var file *os.File
	w := stderr
	if cfg.File != "" {
		f, err := os.OpenFile(cfg.File, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
		if err != nil {
			return fmt.Errorf("open log: %w", err)
		}
		file, w = f, f
	}
	l.level.Set(level)
	l.sink.mu.Lock()
	defer l.sink.mu.Unlock()
	if l.sink.file != nil {
		l.sink.file.Close()
	}
	l.sink.w, l.sink.file = w, file
	return nil
}
