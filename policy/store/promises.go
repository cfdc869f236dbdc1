package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Promises is the table of callbacks owed. Every change is one transaction, on
// disk when the method has returned; several processes may hold the same file.
type Promises struct {
	db database
}

// OpenPromises opens the promises of the store that cfg names, for a program
// beside the door: it makes no file and starts nothing. The error is
// [ErrNoStore] when no door has served with this store yet.
func OpenPromises(ctx context.Context, cfg Config) (*Promises, error) {
	db, err := openDatabase(ctx, cfg.Path, false)
	if err != nil {
		return nil, err
	}
	return &Promises{db: db}, nil
}

// Close lets go of the file.
func (p *Promises) Close() error { return p.db.close() }

// columns are what scan reads, in its order.
const columns = `id, number, destination, call_id, state, promised_at, not_before, lease_until, attempts, cancel_at, ended_at, claims`

func scan(row interface{ Scan(...any) error }) (Promise, error) {
	var p Promise
	err := row.Scan(&p.ID, &p.Number, &p.Destination, &p.CallID, &p.State, &p.PromisedAt, &p.NotBefore,
		&p.LeaseUntil, &p.Attempts, &p.CancelAt, &p.EndedAt, &p.claim)
	return p, err
}

// inTx runs f in a transaction that holds the write lock from its start.
func (p *Promises) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := p.db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Promise writes down that number is owed a callback. It is on disk when the
// method returns; say nothing to the caller before. When the number is owed one
// already, that promise is returned and existed is true; was it cancelled while
// being dialled, the caller who asks again takes the cancelling back.
func (p *Promises) Promise(ctx context.Context, number, callID, destination string, at time.Time) (pr Promise, existed bool, err error) {
	if number == "" {
		return Promise{}, false, errors.New("promise: the number is empty; a number to dial is wanted")
	}
	err = p.inTx(ctx, func(tx *sql.Tx) error {
		pr, err = scan(tx.QueryRowContext(ctx, `UPDATE promises SET cancel_at = NULL
			WHERE number = ? AND state IN ('open', 'dialing') RETURNING `+columns, number))
		if existed = err == nil; existed || !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		pr, err = scan(tx.QueryRowContext(ctx, `INSERT INTO promises (number, destination, call_id, state, promised_at, not_before)
			VALUES (?, ?, ?, 'open', ?, ?) RETURNING `+columns, number, destination, callID, at.UnixNano(), at.UnixNano()))
		return err
	})
	if err != nil {
		return Promise{}, false, fmt.Errorf("promise to %s: %w", number, err)
	}
	return pr, existed, nil
}

// Claim takes the oldest promise that is due at now, for the length of the
// lease: until then no one else gets it, in this process or another. A claim
// that lapsed (its door died) is given out again. ok is false when none is due.
func (p *Promises) Claim(ctx context.Context, now time.Time, lease time.Duration) (pr Promise, ok bool, err error) {
	// Most looks find nothing: they shall not take the write lock.
	var due bool
	err = p.db.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM promises WHERE
		(state = 'open' AND not_before <= ?1) OR (state = 'dialing' AND lease_until <= ?1))`, now.UnixNano()).Scan(&due)
	if err != nil {
		return Promise{}, false, fmt.Errorf("looking for a due promise: %w", err)
	}
	if !due {
		return Promise{}, false, nil
	}
	err = p.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE promises SET state = 'cancelled', ended_at = ?1, lease_until = NULL
			WHERE state = 'dialing' AND lease_until <= ?1 AND cancel_at IS NOT NULL`, now.UnixNano()); err != nil {
			return err
		}
		pr, err = scan(tx.QueryRowContext(ctx, `UPDATE promises
			SET state = 'dialing', lease_until = ?2, claims = claims + 1, attempts = attempts + 1
			WHERE id = (SELECT id FROM promises
				WHERE (state = 'open' AND not_before <= ?1) OR (state = 'dialing' AND lease_until <= ?1)
				ORDER BY promised_at, id LIMIT 1)
			RETURNING `+columns, now.UnixNano(), now.Add(lease).UnixNano()))
		if errors.Is(err, sql.ErrNoRows) {
			pr = Promise{}
			return nil
		}
		return err
	})
	if err != nil {
		return Promise{}, false, fmt.Errorf("claiming a promise: %w", err)
	}
	return pr, pr.ID != 0, nil
}

// Resolve ends a claimed promise in a final state after the attempt a. The error
// is [ErrLost] when the claim has lapsed.
func (p *Promises) Resolve(ctx context.Context, pr Promise, s State, a Attempt) error {
	if !s.Final() {
		return fmt.Errorf("promise %d: resolving to %q; a final state is wanted", pr.ID, s)
	}
	return p.release(ctx, pr, s, time.Time{}, 0, &a)
}

// Reschedule gives a claimed promise back after the attempt a, to be dialled
// again not before the given time. One that was cancelled meanwhile ends.
func (p *Promises) Reschedule(ctx context.Context, pr Promise, notBefore time.Time, a Attempt) error {
	return p.release(ctx, pr, StateOpen, notBefore, 0, &a)
}

// Release gives a claimed promise back without an attempt: nothing was dialled.
func (p *Promises) Release(ctx context.Context, pr Promise, notBefore, now time.Time) error {
	return p.release(ctx, pr, StateOpen, notBefore, 1, &Attempt{At: At(now)})
}

// release ends a claim. undone is 1 when it was no attempt. An attempt without
// an outcome is not recorded.
func (p *Promises) release(ctx context.Context, pr Promise, s State, notBefore time.Time, undone int, a *Attempt) error {
	err := p.inTx(ctx, func(tx *sql.Tx) error {
		var nb, ended any
		if s.Final() {
			ended = a.At.column()
		} else {
			nb = notBefore.UnixNano()
		}
		r, err := tx.ExecContext(ctx, `UPDATE promises SET
				state = CASE WHEN ?1 = 'open' AND cancel_at IS NOT NULL THEN 'cancelled' ELSE ?1 END,
				ended_at = CASE WHEN ?1 = 'open' AND cancel_at IS NOT NULL THEN ?4 ELSE ?3 END,
				not_before = coalesce(?2, not_before), lease_until = NULL, attempts = attempts - ?5
			WHERE id = ?6 AND state = 'dialing' AND claims = ?7`,
			string(s), nb, ended, a.At.column(), undone, pr.ID, pr.claim)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrLost, err)
		}
		if a.Outcome == "" {
			return nil
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO attempts (promise_id, at, outcome, detail, call_id) VALUES (?, ?, ?, ?, ?)`,
			pr.ID, a.At.UnixNano(), a.Outcome, a.Detail, a.CallID)
		return err
	})
	if err != nil {
		return fmt.Errorf("promise %d to %s: to %s: %w", pr.ID, pr.Number, s, err)
	}
	return nil
}

// Cancel takes a promise back, by its id or by the number it is owed to. One
// that is being dialled at this moment is not dialled again; the call in
// progress goes on, and the State returned is still [StateDialing]. The error is
// [ErrNotFound] or [ErrEnded].
func (p *Promises) Cancel(ctx context.Context, idOrNumber string, at time.Time) (pr Promise, err error) {
	err = p.inTx(ctx, func(tx *sql.Tx) error {
		pr, err = p.find(ctx, tx, idOrNumber)
		if err != nil {
			return err
		}
		if pr.State.Final() {
			return fmt.Errorf("%w: %s", ErrEnded, pr.State)
		}
		pr, err = scan(tx.QueryRowContext(ctx, `UPDATE promises SET cancel_at = ?1,
				ended_at = CASE state WHEN 'open' THEN ?1 END,
				state = CASE state WHEN 'open' THEN 'cancelled' ELSE state END
			WHERE id = ?2 RETURNING `+columns, at.UnixNano(), pr.ID))
		return err
	})
	if err != nil {
		return Promise{}, fmt.Errorf("cancelling promise %s: %w", idOrNumber, err)
	}
	return pr, nil
}

// Withdraw unmakes a promise that could not be said to the caller, as if it had
// never been made. One that is being dialled already is not dialled again, one
// that was dialled or has ended stays as it is.
func (p *Promises) Withdraw(ctx context.Context, id int64, at time.Time) error {
	err := p.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM promises WHERE id = ? AND state = 'open' AND claims = 0`, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE promises SET cancel_at = ? WHERE id = ? AND state = 'dialing'`, at.UnixNano(), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("withdrawing promise %d: %w", id, err)
	}
	return nil
}

// find is the promise of that id, else the one owed to that number, else the
// last one that was.
func (p *Promises) find(ctx context.Context, tx *sql.Tx, idOrNumber string) (Promise, error) {
	pr, err := scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM promises WHERE number = ?
		ORDER BY state IN ('open', 'dialing') DESC, promised_at DESC LIMIT 1`, idOrNumber))
	if !errors.Is(err, sql.ErrNoRows) {
		return pr, err
	}
	if id, ok := promiseID(idOrNumber); ok {
		pr, err = scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM promises WHERE id = ?`, id))
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return pr, err
}

// Hasten makes every open promise due at now, also those that wait for a retry,
// and returns how many it moved.
func (p *Promises) Hasten(ctx context.Context, now time.Time) (int, error) {
	return p.change(ctx, "hastening promises", `UPDATE promises SET not_before = ?1 WHERE state = 'open' AND not_before > ?1`, now.UnixNano())
}

// Expire ends every open promise made before the given time and returns how
// many it ended.
func (p *Promises) Expire(ctx context.Context, before, now time.Time) (int, error) {
	var old bool
	if err := p.db.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM promises WHERE state = 'open' AND promised_at < ?)`,
		before.UnixNano()).Scan(&old); err != nil || !old {
		return 0, err
	}
	return p.change(ctx, "expiring promises", `UPDATE promises SET state = 'expired', ended_at = ?2
		WHERE state = 'open' AND promised_at < ?1`, before.UnixNano(), now.UnixNano())
}

func (p *Promises) change(ctx context.Context, what, statement string, args ...any) (int, error) {
	r, err := p.db.write.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	n, err := r.RowsAffected()
	return int(n), err
}
