package prompt

import (
	"errors"
	"sync"
	"time"

	"github.com/portero/portero/media/codec"
)

const (
	frame   = 20 * time.Millisecond // between packets
	samples = Rate / 50             // in a packet
)

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
}

// Player sends clips through a speaker, a packet every 20 ms by the monotonic
// clock: a late packet does not shift those after it, and a player that was
// held up for longer than a packet goes on from there, with the gap in its
// timestamps and not with a burst.
type Player struct {
	stop chan struct{}
	once sync.Once
	done chan struct{} // clips are over
	gone chan struct{} // nothing is sent any more
	err  error         // valid after done
}

// Play starts to send clips one after the other in the given law, and owns the
// speaker from now on: it is closed at the end. Whoever starts a player stops it,
// or waits for Gone.
func Play(sp Speaker, law codec.Law, o Options, clips ...[]int16) *Player {
	p := &Player{stop: make(chan struct{}), done: make(chan struct{}), gone: make(chan struct{})}
	r := &run{p: p, sp: sp, law: law, o: o, clips: clips, silent: make([]int16, samples), payload: make([]byte, 0, samples)}
	go r.play()
	return p
}

// Done is closed when the last clip was played to its end, or earlier with Err.
func (p *Player) Done() <-chan struct{} { return p.done }

// Gone is closed when nothing is sent any more: after the trail, Stop, or Err.
func (p *Player) Gone() <-chan struct{} { return p.gone }

// Err is why the clips did not reach their end: nil after they did, ErrStopped,
// or the speaker's error. It is meaningful once Done is closed.
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

// ErrStopped is Player.Err after Stop.
var ErrStopped = errors.New("prompt was stopped before its end")

// run is what the player's goroutine owns.
type run struct {
	p       *Player
	sp      Speaker
	law     codec.Law
	o       Options
	clips   [][]int16
	silent  []int16
	payload []byte

	start  time.Time
	slot   int // of 20 ms since start, for the next packet
	timer  *time.Timer
	buffer [samples]int16
}

func (r *run) play() {
	r.start = time.Now()
	r.timer = time.NewTimer(0)
	err := r.speak()
	r.p.err = err
	close(r.p.done)
	if err == nil {
		for left := r.o.Trail; err == nil && left != 0; {
			err = r.send(r.silent)
			if left > 0 {
				left = max(0, left-frame)
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
				if n < samples {
					continue
				}
				if err := r.send(r.buffer[:]); err != nil {
					return err
				}
				n = 0
			}
		}
		if n > 0 {
			clear(r.buffer[n:])
			if err := r.send(r.buffer[:]); err != nil {
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
	position := uint32(r.slot * samples)
	r.slot++
	return r.sp.Send(r.payload, position, samples)
}

// wait sleeps until the next slot. Slots that are already over are left out.
func (r *run) wait() error {
	late := time.Since(r.start) - time.Duration(r.slot)*frame
	if late >= frame {
		r.slot += int(late / frame)
	}
	r.timer.Reset(time.Until(r.start.Add(time.Duration(r.slot) * frame)))
	select {
	case <-r.p.stop:
		return ErrStopped
	case <-r.timer.C:
		return nil
	}
}
