package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// The sides of a recording: the channels of a WAV file.
const (
	Caller = 0 // left: what the caller says
	Heard  = 1 // right: what the caller hears
)

// Source is a copy of one side's RTP packets. relay.Tap is one.
type Source interface {
	Next(buf []byte) (packet []byte, at time.Time, ok bool)
	Dropped() uint64
}

// Call is what a recording is of.
type Call struct {
	ID      string    // the door's own
	CallID  string    // of SIP
	Start   time.Time // sample 0 of the file
	Sources [2]Source // by side
	// Media are the addresses of the caller's media and of the door's toward it;
	// only asked for when packets are recorded.
	Media func() (caller, door netip.AddrPort)
	// Done is told once what became of the file. It must not block.
	Done func(Result)
}

// Result is what became of a recording.
type Result struct {
	File    string        // its path; empty if there is none
	Length  time.Duration //
	Dropped uint64        // packets that are missing, as the disk was too slow
	Stopped string        // why it ends before its call; empty if it does not
	Err     error         // why there is no file, or not a whole one
}

// Recording is one file in the making.
type Recording struct {
	r    *Recorder
	call Call
	path string
	log  *zap.Logger

	ended chan time.Time // 1: when the recording ends
	once  sync.Once

	mu       sync.Mutex
	payloads []payload
	messages []packet
	lost     atomic.Uint64 // messages that were too many
	kept     int           // bytes of messages
}

type payload struct {
	pt    uint8
	name  string
	clock int
}

// maxKept bounds the signalling that waits for the disk, bytes a call.
const maxKept = 256 << 10

// ErrRefused says that a recording was not begun.
var ErrRefused = errors.New("not recorded")

// Begin starts to record a call. The error wraps ErrRefused: there is no room, or
// too many calls are recorded.
func (r *Recorder) Begin(c Call) (*Recording, error) {
	refuse := func(why string) (*Recording, error) {
		r.refused.Add(1)
		return nil, fmt.Errorf("%w: %s", ErrRefused, why)
	}
	if why := r.full.Load(); why != nil {
		return refuse(*why)
	}
	path := filepath.Join(r.cfg.Directory, name(c.Start, c.ID, c.CallID, r.cfg.Format))
	rec := &Recording{r: r, call: c, path: path, ended: make(chan time.Time, 1),
		log: r.log.With(zap.String("call_id", c.CallID), zap.String("portero_id", c.ID))}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return refuse("the door closes")
	case len(r.open) >= r.cfg.MaxCalls:
		return refuse(fmt.Sprintf("max_calls is %d", r.cfg.MaxCalls))
	}
	r.open[rec] = struct{}{}
	r.started.Add(1)
	r.wg.Go(rec.run)
	return rec, nil
}

// Path is where the file will be.
func (rec *Recording) Path() string { return rec.path }

// Payload tells a payload type of the call (RFC 3551), as often as they change.
func (rec *Recording) Payload(pt uint8, name string, clock int) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if len(rec.payloads) < 256 {
		rec.payloads = append(rec.payloads, payload{pt, name, clock})
	}
}

// Message adds a SIP message of the caller's leg; only captures have them. What
// tells of pressed keys is left out unless keys are wanted.
func (rec *Recording) Message(in bool, local, remote netip.AddrPort, data []byte, at time.Time) {
	if !rec.r.cfg.Keys && tellsKeys(data) {
		return
	}
	k := packet{at: at, src: local, dst: remote, inbound: in, data: append([]byte(nil), data...)}
	if in {
		k.src, k.dst = remote, local
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.kept+len(data) > maxKept {
		rec.lost.Add(1)
		return
	}
	rec.kept += len(data)
	rec.messages = append(rec.messages, k)
}

// tellsKeys says whether a message bears keys: INFO with DTMF, KPML (RFC 4730).
func tellsKeys(data []byte) bool {
	head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	head = bytes.ToLower(head)
	return bytes.Contains(head, []byte("application/dtmf")) || bytes.Contains(head, []byte("application/kpml-response"))
}

// End ends the recording. What came until then is still written.
func (rec *Recording) End(at time.Time) { rec.once.Do(func() { rec.ended <- at }) }

// drainEvery is how often a recording takes what has come.
const drainEvery = 500 * time.Millisecond

// file is a format.
type file interface {
	begin(io.Writer) error
	flush(io.Writer, time.Time) error
	finish(*os.File, time.Time, []comment) error
}

// run is the recording's goroutine.
func (rec *Recording) run() {
	res := rec.record()
	r := rec.r
	r.mu.Lock()
	delete(r.open, rec)
	r.mu.Unlock()
	r.dropped.Add(res.Dropped)
	if res.Err != nil {
		r.failed.Add(1)
		rec.log.Error("a recording failed; its call goes on", zap.String("file", rec.path), zap.Error(res.Err))
	} else {
		r.finished.Add(1)
	}
	if rec.call.Done != nil {
		rec.call.Done(res)
	}
}

// record writes the file.
func (rec *Recording) record() (res Result) {
	f, err := os.OpenFile(rec.path+part, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return Result{Err: err}
	}
	defer func() { // what was written before an error is kept, if anything was
		if res.Err == nil {
			return
		}
		_ = f.Close()
		switch e := mendFile(rec.path + part); {
		case e == nil:
			res.File = rec.path
		case errors.Is(e, errEmpty):
			_ = os.Remove(rec.path + part)
		}
	}()
	var (
		w       *wav
		p       *pcapng
		to      file
		written *int64
	)
	if rec.r.cfg.Format == PCAPNG {
		p = newPCAPNG(rec.call.Start, rec.call.CallID, rec.r.cfg.Keys)
		to, written = p, &p.written
	} else {
		w = newWAV(rec.call.Start)
		to, written = w, &w.written
	}
	if err := to.begin(f); err != nil {
		return Result{Err: err}
	}
	counted := int64(0)
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	var end time.Time
	for end.IsZero() {
		var now time.Time
		select {
		case end = <-rec.ended:
			now = end
		case now = <-tick.C:
			if why := rec.r.full.Load(); why != nil {
				end, res.Stopped = now, *why
			} else if now.Sub(rec.call.Start) >= rec.r.cfg.MaxLength {
				end, res.Stopped = now, "max_length"
			}
		}
		rec.drain(w, p, end)
		if err := to.flush(f, now); err != nil {
			res.Err = err
			return res
		}
		rec.r.grow(*written - counted)
		counted = *written
	}
	res.Length = end.Sub(rec.call.Start)
	for _, s := range rec.call.Sources {
		res.Dropped += s.Dropped()
	}
	if err := to.finish(f, end, rec.about(res, w, p)); err != nil {
		res.Err = err
		return res
	}
	rec.r.grow(*written - counted)
	if res.Err = errors.Join(f.Sync(), f.Close()); res.Err != nil {
		return res
	}
	if res.Err = os.Rename(rec.path+part, rec.path); res.Err == nil {
		res.File = rec.path
	}
	return res
}

// drain takes what the copies hold; nothing that came after end, if that is told.
func (rec *Recording) drain(w *wav, p *pcapng, end time.Time) {
	rec.mu.Lock()
	payloads, messages := rec.payloads, rec.messages
	rec.payloads, rec.messages, rec.kept = nil, nil, 0
	rec.mu.Unlock()
	for _, k := range payloads {
		if w != nil {
			w.payload(k.pt, k.name, k.clock)
		} else {
			p.payload(k.pt, k.name, k.clock)
		}
	}
	var caller, door netip.AddrPort
	if p != nil {
		for _, k := range messages {
			p.add(k)
		}
		if rec.call.Media != nil {
			caller, door = rec.call.Media()
		}
	}
	var buf [2048]byte
	for side, s := range rec.call.Sources {
		for {
			b, at, ok := s.Next(buf[:])
			if !ok {
				break
			}
			switch {
			case !end.IsZero() && at.After(end):
			case w != nil:
				w.packet(side, b, at)
			case side == Caller:
				p.rtp(b, at, caller, door, true)
			default:
				p.rtp(b, at, door, caller, false)
			}
		}
	}
}

// about is what the file says of itself.
func (rec *Recording) about(res Result, w *wav, p *pcapng) []comment {
	text := "recorded by Portero"
	if n := res.Dropped + rec.lost.Load(); n > 0 {
		text += fmt.Sprintf("; %d packets are missing, as the disk was too slow", n)
	}
	if w != nil && w.late > 0 {
		text += fmt.Sprintf("; %d packets came more than %v late and are missing", w.late, settle)
	}
	if p != nil && p.left > 0 {
		text += fmt.Sprintf("; %d packets of keys are left out", p.left)
	}
	if res.Stopped != "" {
		text += "; it ends before the call: " + res.Stopped
	}
	return []comment{
		{"INAM", "Call-ID " + rec.call.CallID}, {"ISRC", rec.call.ID},
		{"ICRD", rec.call.Start.UTC().Format(time.RFC3339)}, {"ICMT", text},
	}
}
