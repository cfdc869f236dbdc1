package callback

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/portero/portero/policy/store"
)

// Book is where promises are written; [store.Promises] is one.
type Book interface {
	Promise(ctx context.Context, number, callID, destination string, at time.Time) (p store.Promise, existed bool, err error)
	Latest(ctx context.Context, number string) (store.Promise, error)
	Counts(ctx context.Context) (map[store.State]int, error)
}

// Queue takes promises. It is safe for concurrent use.
type Queue struct {
	cfg     Config
	numbers numbers
	book    Book
}

// NewQueue is a queue that writes to book. The error is one of cfg, which
// [Config.Check] reports too.
func NewQueue(cfg Config, book Book) (*Queue, error) {
	n, err := newNumbers(cfg)
	if err != nil {
		return nil, fmt.Errorf("callback: %w", err)
	}
	return &Queue{cfg: cfg, numbers: n, book: book}, nil
}

// Dialable gives a caller's number as it would be dialled, or a [Refusal].
func (q *Queue) Dialable(number string) (string, error) {
	if !q.cfg.Enabled {
		return "", &Refusal{number, RefusedDisabled, "callback.enabled is false"}
	}
	return q.numbers.dialable(number)
}

// Offer promises the caller a callback. When it returns without an error the
// promise is on disk and may be said; existed tells that the number was owed
// one already. The error is a [Refusal] when the number gets none; any other
// means that the store failed, and nothing may be promised.
func (q *Queue) Offer(ctx context.Context, number, callID string, at time.Time) (p store.Promise, existed bool, err error) {
	dial, err := q.Dialable(number)
	if err != nil {
		return store.Promise{}, false, err
	}
	last, err := q.book.Latest(ctx, dial)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return store.Promise{}, false, err
	case !last.State.Final():
		return q.book.Promise(ctx, dial, callID, q.cfg.Destination, at) // owed already
	case last.State != store.StateJoined && at.Sub(last.EndedAt.Time) < q.cfg.Cooldown:
		return store.Promise{}, false, &Refusal{number, RefusedCooldown,
			fmt.Sprintf("the last promise to it ended as %s less than %v ago", last.State, q.cfg.Cooldown)}
	}
	counts, err := q.book.Counts(ctx)
	if err != nil {
		return store.Promise{}, false, err
	}
	if open := counts[store.StateOpen] + counts[store.StateDialing]; open >= q.cfg.MaxOpen {
		return store.Promise{}, false, &Refusal{number, RefusedFull, fmt.Sprintf("%d promises are open already", open)}
	}
	return q.book.Promise(ctx, dial, callID, q.cfg.Destination, at)
}

// RingTimeout is how long a phone that is called back may ring, for the door.
func (q *Queue) RingTimeout() time.Duration { return q.cfg.RingTimeout }
