package trace

import (
	"errors"
	"io"
	"time"
)

// A Source gives packets one after the other, in the order of their times or
// nearly so. A *Capture is one.
type Source interface {
	// Next returns the next packet, valid until the next call; io.EOF at the end.
	Next() (Packet, error)
}

// ErrIdle is what the Next of a source of traffic that is happening now returns
// when none came for a while: reading goes on. At of its packet is the time.
var ErrIdle = errors.New("nothing came")

// LinkHEP marks a packet of a Source that is a datagram of HEP, with nothing
// before it. No file has it.
const LinkHEP = 0xffff

// An Idler is a reader for Read whose bytes come as things happen. While none
// come it calls f, from within its Read, with how long it has waited since the
// call before. So calls end that nothing else would end.
type Idler interface {
	WhileIdle(f func(time.Duration))
}

// Read reads a capture and tells each call when it is over, in the order in
// which the calls began (a call that outlasts 10,000 later ones comes after
// them). The error is that of the reading: it wraps ErrCut where the file was
// cut off. The calls and the summary are good up to there.
func Read(r io.Reader, o Options, each func(*Call)) (Summary, error) {
	t := newReader(o, each)
	if i, ok := r.(Idler); ok {
		i.WhileIdle(func(d time.Duration) { t.idle(t.now.Add(d)) })
	}
	c, err := OpenCapture(r)
	if err != nil {
		return Summary{}, err
	}
	c.Secrets = t.secrets
	return t.read(c)
}

// ReadFrom reads the packets of a source as Read reads those of a capture.
func ReadFrom(s Source, o Options, each func(*Call)) (Summary, error) {
	t := newReader(o, each)
	if j, ok := s.(*Joined); ok {
		j.secrets = t.secrets
	}
	return t.read(s)
}

func (t *reader) read(s Source) (Summary, error) {
	for {
		p, err := s.Next()
		switch {
		case err == nil:
			t.packet(p)
		case err == io.EOF:
			return t.finish(), nil
		case errors.Is(err, ErrIdle):
			t.idle(p.At)
		default:
			return t.finish(), err
		}
	}
}

// idle lets time pass without a packet.
func (t *reader) idle(now time.Time) {
	if t.now.IsZero() || now.IsZero() {
		return
	}
	t.clock(now)
	if len(t.network.fragments.order) > 0 {
		t.broken(false)
	}
	if t.now.Sub(t.swept) >= time.Second {
		t.sweep()
	}
}
