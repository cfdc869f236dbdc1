package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Store is the open store of a door: the promises, and the calls' records with
// the writer behind them. Its methods are safe for concurrent use.
type Store struct {
	*Promises
	log   *zap.Logger
	cfg   Config
	queue chan Record
	quit  chan struct{} // closed by Close: write what is queued and stop
	done  chan struct{} // closed by the writer when it has stopped
	gate  sync.RWMutex  // held by Put to send and by Close to shut
	shut  bool          // guarded by gate
	ill   illness
}

// Open opens the store that cfg names, makes it when absent, brings its schema
// up to date, and starts the writer and the retention. An error here is one of
// configuration; once open, a store that breaks is counted and logged, and calls
// go on.
func Open(cfg Config, log *zap.Logger) (*Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	w := &writer{lines: lines{path: cfg.JSONLines}}
	if cfg.JSONLines != "" && cfg.JSONLines != "-" {
		if err := w.lines.open(); err != nil {
			return nil, err
		}
	}
	db, err := openDatabase(ctx, cfg.Path, true)
	if err != nil {
		w.lines.close()
		return nil, err
	}
	s := &Store{
		Promises: &Promises{db: db},
		log:      log,
		cfg:      cfg,
		queue:    make(chan Record, cfg.Queue),
		quit:     make(chan struct{}),
		done:     make(chan struct{}),
	}
	s.ill.log = log
	w.s = s
	go w.run()
	return s, nil
}

// Put hands over a call's record. It never waits: a full queue costs the record,
// which is counted and logged. The record's slices are copied. A record with the
// ID of one already stored replaces it.
func (s *Store) Put(r Record) {
	r = r.canonical()
	if r.ID == "" {
		r.ID = r.CallID
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.shut {
		s.ill.drop(errors.New("the store is closed"), r.CallID)
		return
	}
	select {
	case s.queue <- r:
	default:
		s.ill.drop(fmt.Errorf("%d records wait already", cap(s.queue)), r.CallID)
	}
}

// Close writes what is queued, waiting ten seconds at most for a disk that does
// not answer, and lets go of the files.
func (s *Store) Close() error {
	s.gate.Lock()
	if s.shut {
		s.gate.Unlock()
		return nil
	}
	s.shut = true
	s.gate.Unlock()
	close(s.quit)
	<-s.done
	return s.Promises.Close()
}

// Sweep deletes records and ended promises older than the retention, as of now.
// The store does so by itself every hour.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	for {
		more, err := s.sweep(ctx, now)
		if err != nil || !more {
			return err
		}
	}
}

// sweepChunk bounds how long one transaction of the sweep holds the write lock.
const sweepChunk = 500

// sweep deletes a chunk; more tells whether another is worth a look.
func (s *Store) sweep(ctx context.Context, now time.Time) (more bool, err error) {
	before := now.Add(-s.cfg.retention()).UnixNano()
	for what, statement := range map[string]string{
		"calls": `DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE invite_at < ? LIMIT ?)`,
		"promises": `DELETE FROM promises WHERE id IN (SELECT id FROM promises
			WHERE state NOT IN ('open', 'dialing') AND ended_at < ? LIMIT ?)`,
	} {
		n, err := s.change(ctx, "deleting old "+what, statement, before, sweepChunk)
		if err != nil {
			return false, err
		}
		more = more || n == sweepChunk
	}
	return more, nil
}
