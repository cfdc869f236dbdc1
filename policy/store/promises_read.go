package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// listLimit is how many promises List gives at most: open ones are bounded by
// the callback queue, ended ones by their retention.
const listLimit = 10000

// List gives the promises in the given states, or in all when none is given,
// with their history; those that wait longest first.
func (p *Promises) List(ctx context.Context, states ...State) ([]Promise, error) {
	if len(states) == 0 {
		states = States()
	}
	var list []Promise
	for _, s := range states {
		rows, err := p.db.read.QueryContext(ctx, `SELECT `+columns+` FROM promises WHERE state = ?
			ORDER BY promised_at, id LIMIT ?`, string(s), listLimit-len(list))
		if err != nil {
			return nil, fmt.Errorf("listing promises: %w", err)
		}
		for rows.Next() {
			pr, err := scan(rows)
			if err != nil {
				rows.Close()
				return nil, fmt.Errorf("listing promises: %w", err)
			}
			list = append(list, pr)
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("listing promises: %w", err)
		}
	}
	for i := range list {
		if err := p.history(ctx, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Get gives one promise with its history; the error is [ErrNotFound] when there
// is none of that id.
func (p *Promises) Get(ctx context.Context, id int64) (Promise, error) {
	return p.one(ctx, fmt.Sprintf("promise %d", id), `WHERE id = ?`, id)
}

// Latest gives the newest promise to a number, open or ended, with its history;
// the error is [ErrNotFound] when none is known.
func (p *Promises) Latest(ctx context.Context, number string) (Promise, error) {
	return p.one(ctx, "promise to "+number, `WHERE number = ? ORDER BY promised_at DESC, id DESC LIMIT 1`, number)
}

func (p *Promises) one(ctx context.Context, what, where string, arg any) (Promise, error) {
	pr, err := scan(p.db.read.QueryRowContext(ctx, `SELECT `+columns+` FROM promises `+where, arg))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err == nil {
		err = p.history(ctx, &pr)
	}
	if err != nil {
		return Promise{}, fmt.Errorf("%s: %w", what, err)
	}
	return pr, nil
}

// Counts gives the number of promises in each state.
func (p *Promises) Counts(ctx context.Context) (map[State]int, error) {
	counts := make(map[State]int)
	for _, s := range States() {
		counts[s] = 0
	}
	rows, err := p.db.read.QueryContext(ctx, `SELECT state, count(*) FROM promises GROUP BY state`)
	if err != nil {
		return nil, fmt.Errorf("counting promises: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s State
		var n int
		if err := rows.Scan(&s, &n); err != nil {
			return nil, fmt.Errorf("counting promises: %w", err)
		}
		counts[s] = n
	}
	return counts, rows.Err()
}

func (p *Promises) history(ctx context.Context, pr *Promise) error {
	pr.History = []Attempt{}
	rows, err := p.db.read.QueryContext(ctx, `SELECT at, outcome, detail, call_id FROM attempts WHERE promise_id = ? ORDER BY at, rowid`, pr.ID)
	if err != nil {
		return fmt.Errorf("attempts of promise %d: %w", pr.ID, err)
	}
	defer rows.Close()
	for rows.Next() {
		var a Attempt
		if err := rows.Scan(&a.At, &a.Outcome, &a.Detail, &a.CallID); err != nil {
			return fmt.Errorf("attempts of promise %d: %w", pr.ID, err)
		}
		pr.History = append(pr.History, a)
	}
	return rows.Err()
}
