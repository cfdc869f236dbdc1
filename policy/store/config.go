package store

import (
	"path/filepath"
	"strings"
	"time"
)

// Config says where records and promises are kept, and for how long.
type Config struct {
	// Path is the SQLite file. It is made when absent, readable by its owner
	// alone, and grows two companions, -wal and -shm: all three must be on a
	// local disk (SQLite's WAL does not work over NFS). Default
	// /var/lib/portero/portero.db.
	Path string `yaml:"path"`
	// JSONLines is a file that gets every call's record as one line of JSON; "-"
	// is standard output, empty is none. A file that was moved away is made
	// anew, so logrotate needs no signal. Default empty.
	JSONLines string `yaml:"json_lines"`
	// RetentionDays is how many days the records of calls and ended promises are
	// kept in SQLite; the JSON lines are the operator's to rotate. 1 to 3650,
	// default 30.
	RetentionDays int `yaml:"retention_days"`
	// Queue is how many records may wait for the disk. When it is full, records
	// are dropped and counted; calls never wait. 16 to 1000000, default 4096.
	Queue int `yaml:"queue"`
}

// Defaults are the values of keys that are not given.
func Defaults() Config {
	return Config{Path: "/var/lib/portero/portero.db", RetentionDays: 30, Queue: 4096}
}

// Check reports every mistake in c; path is relative to this configuration.
func (c Config) Check(fault func(path, format string, args ...any)) {
	switch {
	case c.Path == "":
		fault("path", "is empty; the path of an SQLite file is wanted, such as %s", Defaults().Path)
	case strings.HasPrefix(c.Path, ":") || strings.HasPrefix(c.Path, "file:"):
		fault("path", "is %q; a plain file is wanted: promises must outlive the process, and options are Portero's own", c.Path)
	case strings.ContainsRune(c.Path, 0):
		fault("path", "holds a NUL byte; the path of an SQLite file is wanted")
	case strings.HasSuffix(c.Path, "/"):
		fault("path", "is %q, a directory; the path of an SQLite file is wanted", c.Path)
	}
	switch {
	case strings.ContainsRune(c.JSONLines, 0):
		fault("json_lines", "holds a NUL byte; a file, - for standard output, or nothing is wanted")
	case strings.HasSuffix(c.JSONLines, "/"):
		fault("json_lines", "is %q, a directory; a file, - for standard output, or nothing is wanted", c.JSONLines)
	case c.JSONLines != "" && c.JSONLines != "-" && filepath.Clean(c.JSONLines) == filepath.Clean(c.Path):
		fault("json_lines", "is the same file as path; give it its own")
	}
	if c.RetentionDays < 1 || c.RetentionDays > 3650 {
		fault("retention_days", "is %d; 1 to 3650 days are allowed: what is kept of a caller has an end", c.RetentionDays)
	}
	if c.Queue < 16 || c.Queue > 1_000_000 {
		fault("queue", "is %d; 16 to 1000000 records are allowed", c.Queue)
	}
}

// retention is RetentionDays as a duration.
func (c Config) retention() time.Duration {
	return time.Duration(c.RetentionDays) * 24 * time.Hour
}
