package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// errEmpty says that an unfinished file holds nothing worth keeping.
var errEmpty = errors.New("nothing was recorded")

const mib = 1 << 20

// Recorder owns a directory of recordings. Its methods are safe for concurrent
// use, and none but New and Close waits for the disk.
type Recorder struct {
	cfg  Config
	log  *zap.Logger
	held *os.File // the lock

	total atomic.Int64 // bytes of all files
	full  atomic.Pointer[string]

	started, finished, failed, refused, dropped, deleted atomic.Uint64

	mu     sync.Mutex
	open   map[*Recording]struct{}
	closed bool
	wg     sync.WaitGroup
}

// New takes over the directory of cfg, and finishes what a crash left there. It
// returns nil if cfg names none: nothing is recorded then.
func New(cfg Config, log *zap.Logger) (*Recorder, error) {
	if cfg.Directory == "" {
		return nil, nil
	}
	var faults []error
	cfg.Check(func(path, format string, args ...any) {
		faults = append(faults, fmt.Errorf("recording.%s: %s", path, fmt.Sprintf(format, args...)))
	})
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if err := os.MkdirAll(cfg.Directory, 0o700); err != nil {
		return nil, fmt.Errorf("recording.directory: %w", err)
	}
	held, err := os.OpenFile(filepath.Join(cfg.Directory, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("recording.directory: %w; the door must be able to write there", err)
	}
	if err := lock(held); err != nil {
		return nil, errors.Join(fmt.Errorf("recording.directory: %s: %w; give each door its own", cfg.Directory, err), held.Close())
	}
	r := &Recorder{cfg: cfg, log: log, held: held, open: map[*Recording]struct{}{}}
	r.mend()
	r.sweep(time.Now())
	return r, nil
}

// mend finishes the files that a crash left unfinished, and deletes the empty ones.
func (r *Recorder) mend() {
	r.each(func(path string, _ fs.FileInfo) {
		if !strings.HasSuffix(path, part) {
			return
		}
		err := mendFile(path)
		if err == nil {
			r.log.Warn("a recording was left unfinished and is finished now", zap.String("file", strings.TrimSuffix(path, part)))
			return
		}
		if errors.Is(err, errEmpty) {
			err = os.Remove(path)
		}
		if err != nil {
			r.log.Error("an unfinished recording cannot be finished", zap.String("file", path), zap.Error(err))
		}
	})
}

func mendFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if strings.HasSuffix(path, "."+WAV+part) {
		err = mendWAV(f)
	} else {
		err = mendPCAPNG(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(path, strings.TrimSuffix(path, part))
}

// each calls f for every file of ours.
func (r *Recorder) each(f func(path string, info fs.FileInfo)) {
	all, err := os.ReadDir(r.cfg.Directory)
	if err != nil {
		r.log.Error("the directory of recordings cannot be read", zap.Error(err))
	}
	for _, e := range all {
		if !ours.MatchString(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil {
			f(filepath.Join(r.cfg.Directory, e.Name()), info)
		}
	}
}

// sweepEvery is how often old files are looked for; lookEvery, whether there is
// room.
const (
	sweepEvery = time.Minute
	lookEvery  = time.Second
)

// Run keeps the directory within its limits until ctx ends.
func (r *Recorder) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	swept := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if now.Sub(swept) >= sweepEvery {
				swept = now
				r.sweep(now)
				continue
			}
			r.look()
		}
	}
}

// sweep deletes what is older than keep, counts the rest, and looks for room.
func (r *Recorder) sweep(now time.Time) {
	var total int64
	r.each(func(path string, info fs.FileInfo) {
		if now.Sub(info.ModTime()) <= r.cfg.Keep || strings.HasSuffix(path, part) {
			total += info.Size()
			return
		}
		if err := os.Remove(path); err != nil {
			r.log.Error("an old recording cannot be deleted", zap.String("file", path), zap.Error(err))
			total += info.Size()
			return
		}
		r.deleted.Add(1)
	})
	r.total.Store(total)
	r.look()
}

// look notes whether there is room, and says so once when that changes.
func (r *Recorder) look() {
	why := ""
	if total := r.total.Load(); total >= int64(r.cfg.MaxMB)*mib {
		why = fmt.Sprintf("the recordings hold %d MiB, max_mb is %d", total/mib, r.cfg.MaxMB)
	} else if n, err := free(r.cfg.Directory); err != nil {
		why = fmt.Sprintf("the disk cannot be asked for its room: %v", err)
	} else if n < int64(r.cfg.MinFreeMB)*mib {
		why = fmt.Sprintf("%d MiB are free on the disk, min_free_mb is %d", n/mib, r.cfg.MinFreeMB)
	}
	was := r.full.Load()
	switch {
	case why != "" && was == nil:
		r.full.Store(&why)
		r.log.Error("recording stops: there is no room; calls go on", zap.String("why", why))
	case why == "" && was != nil:
		r.full.Store(nil)
		r.log.Info("recording goes on: there is room again")
	}
}

// grow counts bytes written.
func (r *Recorder) grow(n int64) {
	if r.total.Add(n) >= int64(r.cfg.MaxMB)*mib && r.full.Load() == nil {
		r.look()
	}
}

// Announce says who tells the caller: ByPrompt, ByPBX or ByNobody.
func (r *Recorder) Announce() string { return r.cfg.Announce }

// Emergency says whether emergency calls are recorded.
func (r *Recorder) Emergency() bool { return r.cfg.Emergency }

// Packets says whether the files are captures, which want the signalling.
func (r *Recorder) Packets() bool { return r.cfg.Format == PCAPNG }

// Counts are the figures so far.
type Counts struct {
	Now      int    // recordings under way
	Started  uint64 //
	Finished uint64 // whole, or up to a limit
	Failed   uint64 // lost or cut off by an error of the disk
	Refused  uint64 // not begun: no room, or too many at once
	Dropped  uint64 // packets that the disk was too slow for
	Deleted  uint64 // files that were older than keep
	Bytes    int64  // that all files hold
	Full     bool   // there is no room
}

// Counts are those at the moment of the call; of a nil Recorder they are zero.
func (r *Recorder) Counts() Counts {
	if r == nil {
		return Counts{}
	}
	r.mu.Lock()
	n := len(r.open)
	r.mu.Unlock()
	return Counts{Now: n, Started: r.started.Load(), Finished: r.finished.Load(), Failed: r.failed.Load(), Refused: r.refused.Load(),
		Dropped: r.dropped.Load(), Deleted: r.deleted.Load(), Bytes: r.total.Load(), Full: r.full.Load() != nil}
}

// Close finishes every recording and gives the directory back. It waits for the
// disk.
func (r *Recorder) Close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	r.closed = true
	for rec := range r.open {
		rec.End(time.Now())
	}
	r.mu.Unlock()
	r.wg.Wait()
	return r.held.Close()
}
