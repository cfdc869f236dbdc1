package store

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// logEvery is the least time between two log lines about the same trouble.
const logEvery = 10 * time.Second

// Health is how the store fares.
type Health struct {
	OK      bool   `json:"ok"`         // the last write succeeded
	Queued  int    `json:"queued"`     // records that wait for the writer
	Written uint64 `json:"written"`    // records written to SQLite
	Dropped uint64 `json:"dropped"`    // records lost
	Errors  uint64 `json:"errors"`     // writes that failed, a record lost counts too
	Last    string `json:"last_error"` // the newest error, empty when there was none
	LastAt  Time   `json:"last_error_at"`
}

// Health tells how the store fares.
func (s *Store) Health() Health {
	s.ill.mu.Lock()
	defer s.ill.mu.Unlock()
	h := s.ill.h
	h.OK = !s.ill.sqlite && !s.ill.lines
	h.Queued = len(s.queue)
	return h
}

// illness counts errors and logs a sample of them.
type illness struct {
	log *zap.Logger

	mu     sync.Mutex
	h      Health
	sqlite bool      // the last transaction failed
	lines  bool      // the last JSON line failed
	logged time.Time // last line
	silent int       // errors since
}

// disk notes what became of a transaction of n records.
func (i *illness) disk(n int, err error) {
	i.mu.Lock()
	i.sqlite = err != nil
	if err == nil {
		i.h.Written += uint64(n)
	}
	i.mu.Unlock()
	if err != nil {
		i.note("store: error", fmt.Errorf("writing %d calls, which are kept and tried again: %w", n, err), "", false)
	}
}

// line notes what became of writing JSON lines.
func (i *illness) line(err error) {
	i.mu.Lock()
	i.lines = err != nil
	i.mu.Unlock()
	if err != nil {
		i.note("store: error", err, "", false)
	}
}

// drop notes a record that is lost.
func (i *illness) drop(err error, callID string) {
	i.note("store: call record lost", err, callID, true)
}

// note counts an error and logs a sample of them.
func (i *illness) note(what string, err error, callID string, lost bool) {
	now := time.Now()
	i.mu.Lock()
	i.h.Errors++
	if lost {
		i.h.Dropped++
	}
	i.h.Last, i.h.LastAt = err.Error(), At(now)
	if !i.logged.IsZero() && now.Sub(i.logged) < logEvery {
		i.silent++
		i.mu.Unlock()
		return
	}
	silent := i.silent
	i.logged, i.silent = now, 0
	i.mu.Unlock()
	i.log.Error(what, zap.String("call_id", callID), zap.Error(err), zap.Int("more_since_last_line", silent))
}
