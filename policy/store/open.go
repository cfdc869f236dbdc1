package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNoStore says that there is no store at the path: serve makes it.
var ErrNoStore = errors.New("no store there yet; it is made when `portero serve` first runs")

// busyTimeout is how long a statement waits for another process that writes, ms.
const busyTimeout = 5000

// database is one SQLite file: one connection that writes, as SQLite allows no
// more, and a few that read while it does.
type database struct {
	write, read *sql.DB
}

// openDatabase opens the file at path. With create it makes the file and brings
// its schema up to date; without, both must be so already.
func openDatabase(ctx context.Context, path string, create bool) (database, error) {
	if create {
		if err := touch(path); err != nil {
			return database{}, err
		}
	} else if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return database{}, fmt.Errorf("store %s: %w", path, ErrNoStore)
	} else if err != nil {
		return database{}, fmt.Errorf("store %s: %w", path, err)
	}
	d := database{}
	var err error
	// synchronous=FULL: a promise is on disk when its transaction has ended.
	if d.write, err = sql.Open("sqlite", dsn(path, "_pragma=synchronous(FULL)&_txlock=immediate")); err != nil {
		return database{}, fmt.Errorf("store %s: %w", path, err)
	}
	d.write.SetMaxOpenConns(1)
	if create {
		// A large store takes longer than opening one may: cut off, it would be begun
		// anew at each start.
		err = migrate(context.WithoutCancel(ctx), d.write)
	} else {
		err = current(ctx, d.write)
	}
	if err != nil {
		d.write.Close()
		return database{}, fmt.Errorf("store %s: %w", path, err)
	}
	if d.read, err = sql.Open("sqlite", dsn(path, "_query_only=1")); err != nil {
		d.write.Close()
		return database{}, fmt.Errorf("store %s: %w", path, err)
	}
	d.read.SetMaxOpenConns(4)
	return d, nil
}

func (d database) close() error {
	return errors.Join(d.read.Close(), d.write.Close())
}

// touch makes the file and its directory, for their owner's eyes only: it holds
// telephone numbers. SQLite gives the companions the file's own mode.
func touch(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("store %s: its directory cannot be made; set store.path to a place this user may write: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("store %s: cannot be written; set store.path to a place this user may write: %w", path, err)
	}
	return f.Close()
}

// dsn is the data source name of path. The path is escaped, so that a name with
// ? or # in it opens that file and no other.
func dsn(path, options string) string {
	u := url.URL{Path: filepath.Clean(path)}
	return fmt.Sprintf("file:%s?_busy_timeout=%d&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&%s",
		strings.TrimPrefix(u.EscapedPath(), "./"), busyTimeout, options)
}

// migrate applies the embedded files whose number is above the schema's, all of
// them or none.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Glob(migrations, "migrations/*.sql") // in the order of their numbers
	if err != nil {
		return fmt.Errorf("listing migrations: %w", err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("cannot be opened: %w", err)
	}
	defer tx.Rollback()
	have, err := version(ctx, tx)
	if err != nil {
		return err
	}
	if have > len(files) {
		return fmt.Errorf("its schema is version %d, this Portero knows up to %d; run the newer Portero or another file", have, len(files))
	}
	for i := have; i < len(files); i++ {
		text, err := migrations.ReadFile(files[i])
		if err != nil {
			return fmt.Errorf("reading %s: %w", files[i], err)
		}
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("applying %s: %w", files[i], err)
		}
	}
	if have == len(files) {
		return nil
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(files))); err != nil {
		return fmt.Errorf("setting the schema's version: %w", err)
	}
	return tx.Commit()
}

// current refuses a schema that this program does not know.
func current(ctx context.Context, db *sql.DB) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("listing migrations: %w", err)
	}
	have, err := version(ctx, db)
	if err != nil {
		return err
	}
	if have != len(files) {
		return fmt.Errorf("its schema is version %d, this Portero knows version %d; use the same Portero that serves", have, len(files))
	}
	return nil
}

func version(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (int, error) {
	var v int
	if err := q.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v); err != nil {
		return 0, fmt.Errorf("not an SQLite file that can be read: %w", err)
	}
	return v, nil
}
