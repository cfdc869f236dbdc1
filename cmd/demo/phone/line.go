package phone

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/portero/portero/media/codec"
)

// Samples of one packet, and its time.
const (
	frameSamples = 160
	frameTime    = 20 * time.Millisecond
)

// speechLevel is the RMS of a frame that counts as heard speech, in 16-bit
// units: −46 dBFS, above any line noise used here.
const speechLevel = 164

// Line is the audio of one call: G.711 in packets of 20 ms, and keys.
type Line struct {
	conn *net.UDPConn
	ssrc uint32

	mu       sync.Mutex
	law      codec.Law
	to       netip.AddrPort
	events   uint8
	queue    []int16 // what is being said
	idle     []int16 // looped under and between what is said; nil is digital silence
	idleAt   int
	keys     []key
	mute     bool
	said     chan struct{} // closed when the queue is empty
	heard    Heard
	hearing  []int16 // the last of what was heard
	lastLoud time.Time

	stop    chan struct{}
	ended   sync.WaitGroup
	started bool
}

// Heard says what came from the far side.
type Heard struct {
	Packets int           // RTP packets
	Speech  time.Duration // of frames louder than a line's noise
	From    netip.AddrPort
	Digits  string
}

type key struct {
	digit    byte
	duration time.Duration
	pause    time.Duration
}

// keepHeard is how much of what was heard is kept.
const keepHeard = 30 * codec.Rate

func openLine(addr netip.Addr, law codec.Law) (*Line, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return nil, fmt.Errorf("phone: %w", err)
	}
	l := &Line{conn: conn, ssrc: rand.Uint32(), law: law, stop: make(chan struct{})}
	l.ended.Add(1)
	go l.receive()
	return l, nil
}

// Addr is where the line hears.
func (l *Line) Addr() netip.AddrPort { return l.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// connect sends the audio where an SDP wants it, and begins to.
func (l *Line) connect(sdp []byte) error {
	to, law, events, err := remoteMedia(sdp)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to, l.law, l.events = to, law, events
	if !l.started {
		l.started = true
		l.ended.Add(1)
		go l.send()
	}
	return nil
}

// close ends both directions; it may be called from the call's own goroutines.
func (l *Line) close() {
	close(l.stop)
	l.conn.Close()
	go func() { // sender and receiver may be waiting for the caller of close
		l.ended.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.said != nil {
			close(l.said)
			l.said = nil
		}
	}()
}

// Background sets what is sent under and between the words: a line's noise,
// looped. Nil is digital silence.
func (l *Line) Background(pcm []int16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle, l.idleAt = pcm, 0
}

// Mute stops the packets altogether (true), as of a device that sends nothing
// while it has nothing to say.
func (l *Line) Mute(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mute = on
}

// Say sends 8 kHz audio after what is being said and waits until it is over, the
// call ends, or ctx does.
func (l *Line) Say(ctx context.Context, pcm []int16) error {
	l.mu.Lock()
	l.queue = append(l.queue, pcm...)
	if l.said == nil {
		l.said = make(chan struct{})
	}
	said := l.said
	l.mu.Unlock()
	select {
	case <-said:
		return nil
	case <-l.stop:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Press sends keys as telephone events (RFC 4733), each for duration and with a
// pause after it, and waits until they are sent.
func (l *Line) Press(ctx context.Context, digits string, duration, pause time.Duration) error {
	l.mu.Lock()
	for i := range len(digits) {
		l.keys = append(l.keys, key{digits[i], duration, pause})
	}
	l.mu.Unlock()
	select {
	case <-time.After(time.Duration(len(digits)) * (duration + pause)):
		return nil
	case <-l.stop:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Heard is what came so far.
func (l *Line) Heard() Heard {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard
}

// Hearing is a copy of the last half minute of what was heard.
func (l *Line) Hearing() []int16 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]int16(nil), l.hearing...)
}

// AwaitPause waits until the far side has said something and then nothing for
// pause; it gives up after limit, which is no error: some say nothing.
func (l *Line) AwaitPause(ctx context.Context, pause, limit time.Duration) error {
	over := time.After(limit)
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	before := l.Heard().Speech
	for {
		select {
		case now := <-tick.C:
			l.mu.Lock()
			spoke, quiet := l.heard.Speech > before, now.Sub(l.lastLoud)
			l.mu.Unlock()
			if spoke && quiet >= pause {
				return nil
			}
		case <-over:
			return nil
		case <-l.stop:
			return net.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// receive counts and keeps what the far side sends.
func (l *Line) receive() {
	defer l.ended.Done()
	d := codec.NewDecoder()
	d.Payload(101, "telephone-event", codec.Rate)
	buf := make([]byte, 2048)
	for {
		n, from, err := l.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return // closed
		}
		now := time.Now()
		l.mu.Lock()
		l.heard.Packets++
		l.heard.From = from
		// What is no RTP is not for a phone's ears.
		_ = d.Packet(buf[:n], now, func(f *codec.Frame) { l.hear(f, now) }, func(k codec.Digit) { l.heard.Digits += string(k.Key) })
		l.mu.Unlock()
	}
}

func (l *Line) hear(f *codec.Frame, now time.Time) {
	if len(f.PCM) == 0 {
		return
	}
	var sum float64
	for _, s := range f.PCM {
		sum += float64(s) * float64(s)
	}
	if math.Sqrt(sum/float64(len(f.PCM))) > speechLevel {
		l.heard.Speech += time.Duration(len(f.PCM)) * time.Second / codec.Rate
		l.lastLoud = now
	}
	l.hearing = append(l.hearing, f.PCM...)
	if extra := len(l.hearing) - keepHeard; extra > 0 {
		l.hearing = append(l.hearing[:0], l.hearing[extra:]...)
	}
}

// send paces the packets by the clock: a late one is followed sooner, so that
// the stream keeps its rate.
func (l *Line) send() {
	defer l.ended.Done()
	var (
		next   = time.Now()
		seq    = uint16(rand.Uint32())
		ts     = rand.Uint32()
		packet = make([]byte, 12+frameSamples)
		pcm    = make([]int16, frameSamples)
		press  *pressing
		marker = true
	)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-l.stop:
			return
		}
		l.mu.Lock()
		if press == nil && len(l.keys) > 0 && l.events != 0 {
			press = &pressing{key: l.keys[0], ts: ts}
			l.keys = l.keys[1:]
		}
		law, to, events, mute := l.law, l.to, l.events, l.mute
		l.next(pcm)
		l.mu.Unlock()

		switch {
		case press != nil && press.sounding():
			// The event takes the place of the audio (RFC 4733 section 2.5.1).
			for i, b := range press.packets() {
				header(packet, events, i == 0 && press.first(), seq, press.ts, l.ssrc)
				copy(packet[12:], b[:])
				l.conn.WriteToUDPAddrPort(packet[:16], to)
				seq++
			}
		case mute:
			marker = true
		default:
			header(packet, law.PayloadType(), marker, seq, ts, l.ssrc)
			law.Encode(packet[12:12], pcm)
			l.conn.WriteToUDPAddrPort(packet, to)
			seq++
			marker = false
		}
		if press != nil && press.step() {
			press = nil
		}
		ts += frameSamples
		next = next.Add(frameTime)
		timer.Reset(time.Until(next))
	}
}

// next fills one frame: what is said, over what is always there.
func (l *Line) next(pcm []int16) {
	for i := range pcm {
		s := 0
		if len(l.idle) > 0 {
			s = int(l.idle[l.idleAt])
			l.idleAt = (l.idleAt + 1) % len(l.idle)
		}
		if i < len(l.queue) {
			s += int(l.queue[i])
		}
		pcm[i] = int16(max(math.MinInt16, min(math.MaxInt16, s)))
	}
	l.queue = l.queue[min(len(pcm), len(l.queue)):]
	if len(l.queue) == 0 && l.said != nil {
		close(l.said)
		l.said = nil
	}
}

func header(b []byte, pt uint8, marker bool, seq uint16, ts, ssrc uint32) {
	b[0], b[1] = 0x80, pt
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], ssrc)
}
