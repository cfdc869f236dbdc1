package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/portero/portero/policy"
)

// The limits of a list of calls.
const (
	DefaultCalls = 100
	MaxCalls     = 1000
)

// Filter says which calls are wanted; a zero field wants all.
type Filter struct {
	Since time.Time    // INVITE at this moment or later
	Until time.Time    // INVITE before this moment
	From  string       // the caller's number, exactly
	Class policy.Class // final verdict's class
	Limit int          // at most so many, 1 to MaxCalls; 0 is DefaultCalls
}

// Calls gives the records of ended calls that f wants, newest first.
func (s *Store) Calls(ctx context.Context, f Filter) ([]Record, error) {
	return Calls{s.db}.List(ctx, f)
}

// Calls are the records of ended calls.
type Calls struct {
	db database
}

// OpenCalls opens the records of the store that cfg names, for a program beside the
// door: it makes no file and starts nothing. The error is [ErrNoStore] when no door has
// served with this store yet.
func OpenCalls(ctx context.Context, cfg Config) (*Calls, error) {
	db, err := openDatabase(ctx, cfg.Path, false)
	if err != nil {
		return nil, err
	}
	return &Calls{db: db}, nil
}

// Close lets go of the file.
func (c Calls) Close() error { return c.db.close() }

// List is [Store.Calls].
func (c Calls) List(ctx context.Context, f Filter) ([]Record, error) {
	query, args := f.query()
	rows, err := c.db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("listing calls: %w", err)
	}
	defer rows.Close()
	records := []Record{}
	for rows.Next() {
		var text []byte
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("listing calls: %w", err)
		}
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("listing calls: a stored record is not JSON: %w", err)
		}
		records = append(records, r)
	}
	return records, rows.Err()
}

// query is f as SQL; every value travels as an argument.
func (f Filter) query() (string, []any) {
	var where []string
	var args []any
	add := func(cond string, arg any) {
		where = append(where, cond)
		args = append(args, arg)
	}
	if !f.Since.IsZero() {
		add("invite_at >= ?", f.Since.UnixNano())
	}
	if !f.Until.IsZero() {
		add("invite_at < ?", f.Until.UnixNano())
	}
	if f.From != "" {
		add("from_number = ?", f.From)
	}
	if f.Class != "" {
		add("class = ?", string(f.Class))
	}
	limit := f.Limit
	if limit <= 0 {
		limit = DefaultCalls
	}
	query := "SELECT record FROM calls"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	return query + " ORDER BY invite_at DESC, id DESC LIMIT ?", append(args, min(limit, MaxCalls))
}

// Call gives one record by Portero's id of the call or by the Call-ID of the
// caller's leg (the newest of that Call-ID); the error is [ErrNotFound] when
// there is none, also when it was not written yet.
func (s *Store) Call(ctx context.Context, id string) (Record, error) {
	return Calls{s.db}.Call(ctx, id)
}

// Call is [Store.Call].
func (c Calls) Call(ctx context.Context, id string) (Record, error) {
	var text []byte
	err := c.db.read.QueryRowContext(ctx, `SELECT record FROM calls WHERE id = ?1 OR call_id = ?1
		ORDER BY id = ?1 DESC, invite_at DESC LIMIT 1`, id).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Record{}, fmt.Errorf("call %q: %w", id, err)
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return Record{}, fmt.Errorf("call %q: the stored record is not JSON: %w", id, err)
	}
	return r, nil
}
