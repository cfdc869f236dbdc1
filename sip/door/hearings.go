package door

import (
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A fixed pool of workers hears the callers of all calls. Each worker looks
// after its share of them every hearEvery, a part of the share at each of its
// turns; so the analysis costs no wake-up per packet, never has a core for long,
// and when it is late only the rings of its calls fill. A share that is small is
// heard in one turn, and a worker without one sleeps: a turn is a change of
// threads, and a hundred of them a second would be a tenth of what a quiet door
// costs.
const (
	hearEvery = 100 * time.Millisecond
	turns     = 10
	small     = 2 * turns
	// hearBehind lets packets that arrived before a moment reach the ring before
	// the judge is told that the moment is over.
	hearBehind = 20 * time.Millisecond
)

type hearings struct {
	workers []*worker
	behind  bool // behind all other threads
	next    atomic.Uint32
	done    chan struct{}
	running sync.WaitGroup
}

type worker struct {
	wake chan struct{} // there is somebody to hear, where there was nobody

	mu   sync.Mutex
	sets [turns]map[*hearing]struct{}
	n    int // in all sets
}

// newHearings makes a pool of as many workers, 0 as many as there are processors.
func newHearings(analysts int) *hearings {
	h := &hearings{done: make(chan struct{}), behind: analysts > 0}
	if analysts <= 0 {
		analysts = runtime.GOMAXPROCS(0)
	}
	for range analysts {
		w := &worker{wake: make(chan struct{}, 1)}
		for i := range w.sets {
			w.sets[i] = map[*hearing]struct{}{}
		}
		h.workers = append(h.workers, w)
	}
	return h
}

func (h *hearings) start() {
	for _, w := range h.workers {
		h.running.Go(func() {
			if h.behind {
				behind()
			}
			w.run(h.done)
		})
	}
}

func (h *hearings) stop() {
	close(h.done)
	h.running.Wait()
}

// share gives a hearing to a worker.
func (h *hearings) share(one *hearing) {
	n := int(h.next.Add(1))
	w := h.workers[n%len(h.workers)]
	one.w, one.set = w, n/len(h.workers)%turns
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sets[one.set][one] = struct{}{}
	if w.n++; w.n == 1 {
		select {
		case w.wake <- struct{}{}:
		default: // it has yet to see the last one
		}
	}
}

func (w *worker) forget(one *hearing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.sets[one.set][one]; ok {
		delete(w.sets[one.set], one)
		w.n--
	}
}

func (w *worker) run(done <-chan struct{}) {
	due := time.NewTimer(0)
	defer due.Stop()
	for n := 0; ; {
		all, few := w.at(n % turns)
		for _, h := range all {
			h.listen(time.Now().Add(-hearBehind))
		}
		switch {
		case few && len(all) == 0:
			select {
			case <-done:
				return
			case <-w.wake:
			}
			due.Reset(hearEvery)
		case few:
			due.Reset(hearEvery)
		default:
			n++
			due.Reset(hearEvery / turns)
		}
		select {
		case <-done:
			return
		case <-due.C:
		}
	}
}

// at is whom the worker hears at a turn; few says that these are all.
func (w *worker) at(turn int) (all []*hearing, few bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n > small {
		return slices.Collect(maps.Keys(w.sets[turn])), false
	}
	for _, set := range w.sets {
		all = slices.AppendSeq(all, maps.Keys(set))
	}
	return all, true
}
