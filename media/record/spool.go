package record

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// A Spool keeps the packets of the last calls in pcapng files, one after the other,
// the oldest of which is deleted as room is needed. Each packet is marked with the
// call that it belongs to, so that a call can be taken out again (Kept). Packets of
// all calls go through one goroutine, which looks at what has come four times a
// second; nobody waits for it or the disk.
//
// Nothing is synced: after a loss of power the last seconds may be missing.
type Spool struct {
	cfg  Captures
	log  *zap.Logger
	held *os.File // the lock

	packets, dropped, failed, bytes atomic.Uint64

	mu      sync.Mutex
	waiting []marked
	room    int // bytes that may still wait
	calls   map[*Kept]struct{}
	closed  bool

	stop chan struct{}
	done chan struct{}

	// What follows is the goroutine's.
	file    *os.File
	size    int64
	began   time.Time
	number  int
	buf     []byte
	retryAt time.Time
	pruned  time.Time
}

// marked is a packet with what it is marked with.
type marked struct {
	packet
	mark string
}

// Kept is one call in the spool.
type Kept struct {
	s       *Spool
	id      string
	sources [2]Source
	media   func() (caller, door netip.AddrPort)

	mu     sync.Mutex
	ended  bool
	events [128]bool // payload types of telephone-event
	missed [2]uint64 // packets of the sources already counted as dropped
}

// maxWaiting bounds the signalling that waits for the disk, bytes.
const maxWaiting = 8 << 20

// spoolEvery is how often the spool takes what has come.
const spoolEvery = 250 * time.Millisecond

// segments is how many files the room and the time are divided into.
const segments = 8

// spoolFile are the names of its files; nothing else in the directory is touched.
var spoolFile = regexp.MustCompile(`^calls-\d{8}T\d{6}Z-\d{6}\.pcapng$`)

// NewSpool takes over the directory of cfg; nil if it names none: nothing is kept then.
func NewSpool(cfg Captures, log *zap.Logger) (*Spool, error) {
	s, err := newSpool(cfg, log)
	if s != nil {
		go s.run()
	}
	return s, err
}

// newSpool is NewSpool without the goroutine.
func newSpool(cfg Captures, log *zap.Logger) (*Spool, error) {
	if cfg.Directory == "" {
		return nil, nil
	}
	var faults []error
	cfg.Check(func(path, format string, args ...any) {
		faults = append(faults, fmt.Errorf("captures.%s: %s", path, fmt.Sprintf(format, args...)))
	})
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if err := os.MkdirAll(cfg.Directory, 0o700); err != nil {
		return nil, fmt.Errorf("captures.directory: %w", err)
	}
	held, err := os.OpenFile(filepath.Join(cfg.Directory, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("captures.directory: %w; the door must be able to write there", err)
	}
	if err := lock(held); err != nil {
		return nil, errors.Join(fmt.Errorf("captures.directory: %s: %w; give each door its own", cfg.Directory, err), held.Close())
	}
	s := &Spool{cfg: cfg, log: log, held: held, room: maxWaiting, calls: map[*Kept]struct{}{}, stop: make(chan struct{}), done: make(chan struct{})}
	s.prune(time.Now())
	return s, nil
}

// Media says whether voices are kept, and not the signalling alone.
func (s *Spool) Media() bool { return s.cfg.Media }

// Emergency says whether emergency calls are kept.
func (s *Spool) Emergency() bool { return s.cfg.Emergency }

// Keep begins to keep a call; id is the door's own.
func (s *Spool) Keep(id string) *Kept { return &Kept{s: s, id: plain(id, 32, false)} }

// Message keeps a SIP message of the call's. The bytes are the spool's from now on.
func (k *Kept) Message(in bool, local, remote netip.AddrPort, callID string, data []byte, at time.Time) {
	if !k.s.cfg.Keys && tellsKeys(data) {
		return
	}
	m := marked{packet{at: at, src: local, dst: remote, inbound: in, data: data}, k.id + " " + plainID(callID)}
	if in {
		m.src, m.dst = remote, local
	}
	s := k.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.room < len(data) {
		s.dropped.Add(1)
		return
	}
	s.room -= len(data)
	s.waiting = append(s.waiting, m)
}

// plainID is a Call-ID as a mark has it.
func plainID(s string) string {
	b := []byte(s[:min(len(s), 255)])
	for i, c := range b {
		if c <= ' ' || c >= 127 {
			b[i] = '?'
		}
	}
	return string(b)
}

// Voices keeps the call's RTP from now on. media are the addresses of the caller's
// media and of the door's toward it.
func (k *Kept) Voices(sources [2]Source, media func() (caller, door netip.AddrPort)) {
	k.sources, k.media = sources, media
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	if !k.s.closed {
		k.s.calls[k] = struct{}{}
	}
}

// Payload tells a payload type of the call (RFC 3551), as often as they change.
func (k *Kept) Payload(pt uint8, name string, _ int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events[pt&127] = isEvent(name)
}

// End says that no more will come. What came until then is still kept.
func (k *Kept) End() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
}

// Close keeps what has come until now, and gives the directory back.
func (s *Spool) Close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	close(s.stop)
	<-s.done
	return s.held.Close()
}

func (s *Spool) run() {
	defer close(s.done)
	tick := time.NewTicker(spoolEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			s.take(time.Now())
			s.finish()
			return
		case now := <-tick.C:
			s.take(now)
		}
	}
}

// take writes what has come.
func (s *Spool) take(now time.Time) {
	s.mu.Lock()
	batch := s.waiting
	s.waiting, s.room = nil, maxWaiting
	calls := make([]*Kept, 0, len(s.calls))
	for k := range s.calls {
		calls = append(calls, k)
	}
	s.mu.Unlock()
	for _, k := range calls {
		var over bool
		if batch, over = k.drain(batch); over {
			s.mu.Lock()
			delete(s.calls, k)
			s.mu.Unlock()
		}
	}
	full := s.file != nil && (s.size >= s.most() || now.Sub(s.began) >= s.cfg.Keep/segments)
	if full {
		s.finish()
	}
	if full || now.Sub(s.pruned) >= sweepEvery {
		s.prune(now)
	}
	if len(batch) == 0 {
		return
	}
	slices.SortStableFunc(batch, func(a, b marked) int { return a.at.Compare(b.at) })
	s.buf = s.buf[:0]
	for _, m := range batch {
		if fit(m.packet) {
			s.buf = m.packet.append(s.buf, m.mark)
		}
	}
	if err := s.write(now); err != nil {
		s.failed.Add(1)
		s.dropped.Add(uint64(len(batch)))
		s.log.Error("the packets of calls cannot be kept; calls go on", zap.Error(err))
		s.finish()
		s.retryAt = now.Add(10 * time.Second)
		return
	}
	s.packets.Add(uint64(len(batch)))
}

// drain takes what a call's voices have brought; over says that nothing more comes.
func (k *Kept) drain(batch []marked) (all []marked, over bool) {
	k.mu.Lock()
	over = k.ended // and what came before that is there already
	events := k.events
	k.mu.Unlock()
	caller, door := k.media()
	var buf [2048]byte
	for side, source := range k.sources {
		for {
			b, at, ok := source.Next(buf[:])
			if !ok {
				break
			}
			if len(b) > 1 && !k.s.cfg.Keys && events[b[1]&127] {
				continue
			}
			m := marked{packet{at: at, src: caller, dst: door, inbound: true, data: slices.Clone(b)}, k.id}
			if side != Caller {
				m.src, m.dst, m.inbound = door, caller, false
			}
			batch = append(batch, m)
		}
		n := source.Dropped()
		k.s.dropped.Add(n - k.missed[side])
		k.missed[side] = n
	}
	return batch, over
}

// most is how large a file grows, bytes.
func (s *Spool) most() int64 { return int64(s.cfg.MaxMB) * mib / segments }

// errLater says that writing failed a moment ago.
var errLater = errors.New("writing failed a moment ago")

func (s *Spool) write(now time.Time) error {
	if now.Before(s.retryAt) {
		return errLater
	}
	if s.file == nil {
		f, err := s.create(now)
		if err != nil {
			return err
		}
		s.file, s.size, s.began = f, 0, now
		s.buf = append(section("packets of the last calls"), s.buf...)
	}
	n, err := s.file.Write(s.buf)
	s.size += int64(n)
	s.bytes.Add(uint64(n))
	return err
}

// create makes the next file. A door that was started anew in the same second may have
// made one of that name.
func (s *Spool) create(now time.Time) (*os.File, error) {
	for {
		s.number++
		name := fmt.Sprintf("calls-%s-%06d.pcapng", now.UTC().Format("20060102T150405Z"), s.number)
		f, err := os.OpenFile(filepath.Join(s.cfg.Directory, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// finish ends the present file.
func (s *Spool) finish() {
	if s.file == nil {
		return
	}
	if err := s.file.Close(); err != nil {
		s.failed.Add(1)
		s.log.Error("a file of kept packets cannot be closed", zap.Error(err))
	}
	s.file = nil
}

// prune deletes the oldest files, so that there is room for the next one, and those
// whose first packets may be as old as they may be.
func (s *Spool) prune(now time.Time) {
	s.pruned = now
	files, err := spooled(s.cfg.Directory)
	if err != nil {
		s.log.Error("the directory of captures cannot be read", zap.Error(err))
		return
	}
	left := int64(s.cfg.MaxMB)*mib - s.most()
	for _, f := range slices.Backward(files) {
		if left -= f.size; left >= 0 && now.Sub(f.changed) < s.cfg.Keep-s.cfg.Keep/segments {
			continue
		}
		if err := os.Remove(f.path); err != nil {
			s.log.Error("an old file of kept packets cannot be deleted", zap.String("file", f.path), zap.Error(err))
		}
	}
}

// segment is a file of the spool.
type segment struct {
	path    string
	size    int64
	changed time.Time
}

// spooled lists a directory's files, the oldest first.
func spooled(dir string) ([]segment, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []segment
	for _, e := range all { // by name, which begins with the time
		info, err := e.Info()
		if err == nil && spoolFile.MatchString(e.Name()) && e.Type().IsRegular() {
			out = append(out, segment{filepath.Join(dir, e.Name()), info.Size(), info.ModTime()})
		}
	}
	return out, nil
}

// SpoolCounts are figures of a spool.
type SpoolCounts struct {
	Packets uint64 // kept
	Dropped uint64 // not kept, as the disk or the analysis of who keeps them was too slow
	Failed  uint64 // times that the disk refused
	Bytes   uint64 // written
}

// Counts are those at the moment of the call; of a nil Spool they are zero.
func (s *Spool) Counts() SpoolCounts {
	if s == nil {
		return SpoolCounts{}
	}
	return SpoolCounts{Packets: s.packets.Load(), Dropped: s.dropped.Load(), Failed: s.failed.Load(), Bytes: s.bytes.Load()}
}
