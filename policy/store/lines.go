package store

import (
	"fmt"
	"os"
)

// lines is the JSON lines' file: append only, made anew when it was moved away,
// so that logrotate needs no signal.
type lines struct {
	path string // "" is none, "-" standard output
	f    *os.File
}

// write appends whole lines.
func (l *lines) write(b []byte) error {
	switch l.path {
	case "":
		return nil
	case "-":
		if _, err := os.Stdout.Write(b); err != nil {
			return fmt.Errorf("json lines to standard output: %w", err)
		}
		return nil
	}
	if err := l.open(); err != nil {
		return err
	}
	if _, err := l.f.Write(b); err != nil {
		l.close()
		return fmt.Errorf("json lines: %w", err)
	}
	return nil
}

// open makes sure that l.f is the file at the path.
func (l *lines) open() error {
	if l.f != nil {
		at, err := os.Stat(l.path)
		if err == nil {
			held, err := l.f.Stat()
			if err == nil && os.SameFile(at, held) {
				return nil
			}
		}
		l.close()
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("json lines: set store.json_lines to a file this user may write: %w", err)
	}
	l.f = f
	return nil
}

func (l *lines) close() {
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}
