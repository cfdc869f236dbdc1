package prompt

import (
	"errors"
	"sync"
	"time"

	"github.com/portero/portero/media/codec"
)

// Packet times, as a=ptime says them (RFC 8866 section 6.4).
const (
	usualPacket = 20 * time.Millisecond
	minPacket   = 10 * time.Millisecond
	maxPacket   = 60 * time.Millisecond
)

// Packet is the packet time to speak to a peer with that asked for ms: 10 to 60
// ms in steps of 10; 20 ms if it asked for nothing.
func Packet(ms int) time.Duration {
	if ms <= 0 {
		return usualPacket
	}
	d := time.Duration(min(ms, 1000)) * time.Millisecond
	return min(max(d-d%minPacket, minPacket), maxPacket)
}

// Speaker sends one packet of the stream to the caller at once; position is its
// first sample, counted from the beginning. relay.Session.Play gives one.
type Speaker interface {
	Send(payload []byte, position, samples uint32) error
	Close() error
}

// Options say how clips are played. The zero value plays them once.
type Options struct {
	// Loop begins again after the last clip, until Stop.
	Loop bool
	// Trail is how long silence is sent after the last clip, so that the caller's
	// stream does not break off; negative means until Stop.
	Trail time.Duration
	// Packet is the time from packet to packet, as Packet gives it; 0 is 20 ms.
	Packet time.Duration
}

// Player sends clips through a speaker, a packet every packet time by the
// monotonic clock: a late packet does not shift those after it, and a player that
// was held up for longer than a packet goes on from there, with the gap in its
// timestamps and not with a burst.
type Player struct {
	stop chan struct{}
	once sync.Once
	cut  chan struct{}
	cuts sync.Once
	done chan struct{} // clips are over
	gone chan struct{} // nothing is sent any more
	err  error         // valid after done
}

// Play starts to send clips one after the other in the given law, and owns the
// speaker from now on: it is closed at the end. Whoever starts a player stops it,
// or waits for Gone.
func Play(sp Speaker, law codec.Law, o Options, clips ...[]int16) *Player {
	p := &Player{stop: make(chan struct{}), cut: make(chan struct{}), done: make(chan struct{}), gone: make(chan struct{})}
	if o.Packet == 0 {
		o.Packet = usualPacket
	}
	samples := int(o.Packet * Rate / time.Second)
	r := &run{p: p, sp: sp, law: law, o: o, clips: clips, cut: p.cut,
		silent: make([]int16, samples), buffer: make([]int16, samples), payload: make([]byte, 0, samples)}
	go r.play()
	return p
}

// Done is closed when the last clip was played to its end, or earlier with Err.
func (p *Player) Done() <-chan struct{} { return p.done }

// Gone is closed when nothing is sent any more: after the trail, Stop, or Err.
func (p *Player) Gone() <-chan struct{} { return p.gone }

// Err is why the clips did not reach their end: nil after they did, ErrStopped,
// ErrCut, or the speaker's error. It is meaningful once Done is closed.
func (p *Player) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Stop ends the player and returns when its last packet has gone. It may be
// called again, and after the end.
func (p *Player) Stop() {
	p.once.Do(func() { close(p.stop) })
	<-p.gone
}

// Cut ends the clips where they are, within a packet's time; the trail follows at
// once, so that the stream goes on. It returns at once and may be called again.
func (p *Player) Cut() { p.cuts.Do(func() { close(p.cut) }) }

// Player.Err after Stop and after Cut.
var (
	ErrStopped = errors.New("prompt was stopped before its end")
	ErrCut     = errors.New("prompt was interrupted")
)

// run is what the player's goroutine owns.
type run struct {
	p       *Player
	sp      Speaker
	law     codec.Law
	o       Options
	clips   [][]int16
	cut     <-chan struct{} // nil once it was heeded
	silent  []int16
	buffer  []int16
	payload []byte

	start time.Time
	slot  int // of packet times since start, for the next packet
	timer *time.Timer
}

func (r *run) play() {
	r.start = time.Now()
	r.timer = time.NewTimer(0)
	err := r.speak()
	r.cut = nil
	r.p.err = err
	close(r.p.done)
	if err == nil || err == ErrCut {
		err = nil
		for left := r.o.Trail; err == nil && left != 0; {
			err = r.send(r.silent)
			if left > 0 {
				left = max(0, left-r.o.Packet)
			}
		}
	}
	r.timer.Stop()
	_ = r.sp.Close() // gives the stream back; it cannot fail in a way that matters here
	close(r.p.gone)
}

// speak sends the clips; it returns one packet's time after the last one.
func (r *run) speak() error {
	total := 0
	for _, c := range r.clips {
		total += len(c)
	}
	for total > 0 {
		n := 0 // samples in the buffer
		for _, c := range r.clips {
			for len(c) > 0 {
				k := copy(r.buffer[n:], c)
				n, c = n+k, c[k:]
				if n < len(r.buffer) {
					continue
				}
				if err := r.send(r.buffer); err != nil {
					return err
				}
				n = 0
			}
		}
		if n > 0 {
			clear(r.buffer[n:])
			if err := r.send(r.buffer); err != nil {
				return err
			}
		}
		if !r.o.Loop {
			break
		}
	}
	return r.wait()
}

// send waits for the next slot and sends one packet.
func (r *run) send(pcm []int16) error {
	if err := r.wait(); err != nil {
		return err
	}
	r.payload = r.law.Encode(r.payload[:0], pcm)
	samples := len(r.buffer)
	position := uint32(r.slot * samples)
	r.slot++
	return r.sp.Send(r.payload, position, uint32(samples))
}

// wait sleeps until the next slot. Slots that are already over are left out.
func (r *run) wait() error {
	packet := r.o.Packet
	late := time.Since(r.start) - time.Duration(r.slot)*packet
	if late >= packet {
		r.slot += int(late / packet)
	}
	r.timer.Reset(time.Until(r.start.Add(time.Duration(r.slot) * packet)))
	select {
	case <-r.p.stop:
		return ErrStopped
	case <-r.cut:
		return ErrCut
	case <-r.timer.C:
		return nil
	}
}
