package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	batch      = 256              // records in one transaction
	gather     = time.Second / 2  // how long a record waits for others: each transaction costs an fsync, and the pages of four indexes
	retryAfter = time.Second      // pause after the disk refused
	writeTime  = 10 * time.Second // a transaction that takes longer is given up and tried again
	sweepEvery = time.Hour        // the retention's look
	sweepPause = time.Second / 5  // between its chunks, for others who write
	linger     = time.Second / 20 // how long a JSON line waits for others: each wakes the process, and is a write
)

// row is a record ready to be written.
type row struct {
	id, callID, from, class, outcome string
	at                               int64 // ns since 1970
	text                             []byte
}

// writer is the one goroutine that writes records: first the JSON line, which
// needs a file only, then SQLite. Rows that SQLite refuses wait, as many as the
// queue is long, and are tried again.
type writer struct {
	s       *Store
	lines   lines
	text    []byte // of the lines that are written next
	pending []row
	broken  bool // the last transaction failed
}

func (w *writer) run() {
	defer close(w.s.done)
	defer w.lines.close()
	retry := time.NewTicker(retryAfter)
	defer retry.Stop()
	sweep := time.NewTimer(0)
	defer sweep.Stop()
	var due <-chan time.Time // when the oldest pending record has waited long enough
	var lull <-chan time.Time
	for {
		queue := w.s.queue
		if lull != nil {
			queue = nil
		}
		select {
		case <-lull:
			lull = nil
		case r := <-queue:
			w.take(r)
			if len(w.s.queue) < batch && w.s.cfg.Queue > 4*batch { // one that can take what comes meanwhile
				lull = time.After(linger)
			}
			switch {
			case w.broken: // the retry takes it
			case len(w.pending) >= min(batch, w.s.cfg.Queue):
				due = nil
				w.flush()
			case due == nil:
				due = time.After(gather)
			}
		case <-due:
			due = nil
			if !w.broken {
				w.flush()
			}
		case <-retry.C:
			w.flush()
		case <-sweep.C:
			sweep.Reset(w.sweep())
		case <-w.s.quit:
			for len(w.s.queue) > 0 {
				w.take(<-w.s.queue)
				if !w.broken {
					w.flush()
				}
			}
			w.flush()
			for range w.pending {
				w.s.ill.drop(errors.New("the store could not be written before it was closed"), "")
			}
			return
		}
	}
}

// take moves r and what waits behind it, a batch at most, to the JSON lines and
// to the pending rows.
func (w *writer) take(r Record) {
	w.text = w.text[:0]
	for n := 1; ; n++ {
		if ready, err := marshal(&r); err != nil {
			w.s.ill.drop(err, r.CallID)
		} else {
			w.pending = append(w.pending, ready)
			if w.lines.path != "" {
				w.text = append(append(w.text, ready.text...), '\n')
			}
		}
		if n == batch || len(w.s.queue) == 0 {
			break
		}
		r = <-w.s.queue
	}
	w.s.ill.line(w.lines.write(w.text))
	for w.broken && len(w.pending) > w.s.cfg.Queue {
		w.s.ill.drop(fmt.Errorf("%d records wait for SQLite already", w.s.cfg.Queue), w.pending[0].callID)
		w.pending = w.pending[1:]
	}
}

// marshal makes the JSON of r. A number that JSON cannot say (NaN in evidence)
// costs the verdicts, not the record.
func marshal(r *Record) (row, error) {
	text, err := json.Marshal(r)
	if err != nil {
		r.Errors = append(r.Errors, "verdicts not recorded: "+err.Error())
		r.Verdicts = r.Verdicts[:0]
		text, err = json.Marshal(r)
	}
	at := r.InviteAt
	if at.IsZero() {
		at = r.EndedAt
	}
	if at.IsZero() { // without a time it would be swept at once
		at = At(time.Now())
	}
	return row{id: r.ID, callID: r.CallID, from: r.From, class: string(r.Class()), outcome: string(r.Outcome), at: at.UnixNano(), text: text}, err
}

// flush writes pending rows, a transaction a batch, until done or refused.
func (w *writer) flush() {
	for len(w.pending) > 0 {
		n := min(len(w.pending), batch)
		err := w.insert(w.pending[:n])
		w.s.ill.disk(n, err)
		if w.broken = err != nil; w.broken {
			return
		}
		w.pending = w.pending[n:]
	}
	w.pending = nil
}

// insert writes rows in one transaction, several with a statement: that, more than
// SQLite, is what a row costs.
func (w *writer) insert(rows []row) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	return w.s.inTx(ctx, func(tx *sql.Tx) error {
		for _, n := range []int{together, 1} {
			if len(rows) < n {
				continue
			}
			st, err := tx.PrepareContext(ctx, insertRows(n))
			if err != nil {
				return err
			}
			defer st.Close()
			one := context.WithoutCancel(ctx) // the driver watches one that can end with a goroutine a statement
			args := make([]any, 0, n*7)
			for ; len(rows) >= n; rows = rows[n:] {
				args = args[:0]
				for _, r := range rows[:n] {
					args = append(args, r.id, r.callID, r.at, r.from, r.class, r.outcome, string(r.text))
				}
				if _, err := st.ExecContext(one, args...); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

const together = 16

func insertRows(n int) string {
	return `INSERT OR REPLACE INTO calls (id, call_id, invite_at, from_number, class, outcome, record) VALUES ` +
		strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?, ?), ", n), ", ")
}

// sweep deletes a chunk of what is too old and says when to look again.
func (w *writer) sweep() time.Duration {
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	more, err := w.s.sweep(ctx, time.Now())
	if err != nil {
		w.s.ill.note("store: error", err, "", false)
	}
	if more {
		return sweepPause
	}
	return sweepEvery
}
