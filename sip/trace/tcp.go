package trace

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
	"time"
)

// Limits of TCP reassembly, per direction of a connection.
const (
	maxFlows    = 4096            // directions followed at a time
	maxFlowed   = 64 << 20        // bytes held of all of them
	maxMessage  = 128 << 10       // bytes of one message
	maxWaiting  = 256 << 10       // bytes behind a gap
	maxStep     = 1 << 20         // sequence numbers; a longer step is no loss and no repetition
	gapPatience = 5 * time.Second // how long a gap may stay open, capture time
)

// portSIPS is that of SIP over TLS (RFC 3261 section 19.1.2).
const portSIPS = 5061

type flowPair struct{ src, dst netip.AddrPort }

func (p flowPair) back() flowPair { return flowPair{p.dst, p.src} }

// tcpFlows follows the connections that carry SIP, plain, over TLS, over
// WebSocket or mirrored by HEP, one direction at a time. A flow is opened by
// SYN, or in the middle by a segment that shows what it is; all other traffic
// leaves nothing behind.
type tcpFlows struct {
	open map[flowPair]*tcpFlow
	keys *KeyLog // of TLS; nil when there are none

	held   int // bytes, as last counted
	sealed int // connections of TLS that cannot be read: all when there are keys, else those on the port of SIP
}

// tcpFlow is one direction: its bytes are put in order, taken out of TLS if they
// are in it, and given to who understands what is spoken.
type tcpFlow struct {
	next    uint32 // sequence number awaited
	buf     []byte // in order, not yet understood
	since   time.Time
	last    time.Time
	waiting []tcpPiece
	held    int // bytes in waiting

	counted int // bytes held when they were last counted

	tls   *tlsConn // shared by the two directions; nil while nothing shows TLS
	side  tlsSide
	talk  spoken
	begun bool // it is known whether this is TLS
}

type tcpPiece struct {
	seq uint32
	at  time.Time
	b   []byte
}

// add takes a segment and calls deliver with each message that is complete by
// it, as a datagram of its own. Its time is that of the packet that completed it.
func (t *tcpFlows) add(s *segment, deliver func(*segment)) {
	key := flowPair{s.src, s.dst}
	f := t.open[key]
	if s.syn {
		if f == nil || f.next != s.seq+1 { // else it is repeated
			// A new connection, perhaps on the ports of an old one.
			if !s.ack {
				t.drop(key.back())
			}
			f = t.start(key, s.seq+1, s.at)
		}
		if len(s.payload) == 0 {
			return
		}
		s.seq++ // TCP Fast Open
	}
	if f == nil {
		at := shows(s.payload)
		if at < 0 || isHello(s.payload) && s.payload[5] == serverHello && t.open[key.back()] == nil {
			// Of a hello that answers one that is not known there is nothing to read.
			return
		}
		f = t.start(key, s.seq+uint32(at), s.at)
		s.payload, s.seq = s.payload[at:], f.next
	}
	f.last = s.at
	f.take(s.seq, s.payload, s.at)
	f.fill()
	if len(f.waiting) > 0 && (f.held > maxWaiting || s.at.Sub(f.since) > gapPatience) {
		f.jump()
	}
	news := f.tls.state()
	if !t.understand(f, key, s, deliver) || s.done && len(f.waiting) == 0 {
		t.drop(key)
	} else {
		t.count(f)
	}
	if f.tls != nil && f.tls.sealed {
		t.drop(key.back())
		return
	}
	// What one end says may be what the other's bytes waited for.
	if f.tls != nil && f.tls.state() != news {
		back := key.back()
		if g := t.open[back]; g != nil && len(g.buf) > 0 {
			other := segment{at: s.at, src: back.src, dst: back.dst}
			if t.understand(g, back, &other, deliver) {
				t.count(g)
			} else {
				t.drop(back)
			}
		}
	}
	if t.held > maxFlowed {
		t.evict()
	}
}

// count brings the sum of what is held up to date.
func (t *tcpFlows) count(f *tcpFlow) {
	n := len(f.buf) + f.held + len(f.side.plain) + len(f.talk.frames.message) + len(f.talk.frames.window)
	t.held += n - f.counted
	f.counted = n
}

func (t *tcpFlows) drop(key flowPair) {
	if f := t.open[key]; f != nil {
		t.held -= f.counted
		delete(t.open, key)
	}
}

// shows returns where in a segment begins what opens a flow in the middle, or -1.
func shows(b []byte) int {
	if at := findStart(b); at >= 0 {
		return at
	}
	if isHello(b) || isUpgrade(b) || isHEP(b) || beginsFrame(b) {
		return 0
	}
	return -1
}

// understand reads what stands in order. It returns false when the flow turns
// out not to carry SIP, or nothing that can be read.
func (t *tcpFlows) understand(f *tcpFlow, key flowPair, s *segment, deliver func(*segment)) bool {
	if !f.begun {
		if len(f.buf) < 6 && len(f.buf) > 0 && f.buf[0] == recordHandshake {
			return true
		}
		if isHello(f.buf) {
			if g := t.open[key.back()]; g != nil && g.tls != nil {
				f.tls = g.tls
			} else {
				f.tls = &tlsConn{}
			}
		}
		f.begun = len(f.buf) > 0
	}
	one := segment{at: s.at, src: key.src, dst: key.dst}
	if f.tls == nil {
		used, ok := f.talk.take(f.buf, &one, deliver)
		f.buf = rest(f.buf, used)
		return ok
	}
	used, ok := f.side.records(f.tls, f.buf, t.keys, func(plain []byte, lost bool) bool {
		f.talk.secure = true
		if lost {
			f.talk.lose()
			f.side.plain = f.side.plain[:0]
		}
		f.side.plain = append(f.side.plain, plain...)
		used, ok := f.talk.take(f.side.plain, &one, deliver)
		f.side.plain = rest(f.side.plain, used)
		return ok
	})
	f.buf = rest(f.buf, used)
	if c := f.tls; c.sealed && c.greeted && !c.counted {
		c.counted = true
		if t.keys.any() || key.src.Port() == portSIPS || key.dst.Port() == portSIPS {
			t.sealed++
		}
	}
	return ok
}

// rest keeps what is not used of b.
func rest(b []byte, used int) []byte {
	if used == 0 {
		return b
	}
	return append(b[:0], b[used:]...)
}

// flush gives up the gaps that are open at the end of a capture.
func (t *tcpFlows) flush(deliver func(*segment)) {
	var keys []flowPair
	for k, f := range t.open {
		if len(f.waiting) > 0 {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b flowPair) int {
		return cmp.Or(t.open[a].last.Compare(t.open[b].last), a.src.Compare(b.src), a.dst.Compare(b.dst))
	})
	for _, k := range keys {
		f := t.open[k]
		for ok := true; ok && len(f.waiting) > 0; {
			f.jump()
			ok = t.understand(f, k, &segment{at: f.last, src: k.src, dst: k.dst}, deliver)
		}
	}
}

func (t *tcpFlows) start(key flowPair, next uint32, at time.Time) *tcpFlow {
	if t.open == nil {
		t.open = map[flowPair]*tcpFlow{}
	}
	if len(t.open) >= maxFlows {
		t.evict()
	}
	t.drop(key)
	f := &tcpFlow{next: next, since: at, last: at}
	t.open[key] = f
	return f
}

// evict drops the quarter of the flows that was silent longest.
func (t *tcpFlows) evict() {
	keys := make([]flowPair, 0, len(t.open))
	for k := range t.open {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return t.open[keys[i]].last.Before(t.open[keys[j]].last) })
	for _, k := range keys[:min(len(keys)/4+1, len(keys))] {
		t.drop(k)
	}
}

// take puts a segment's bytes where they belong: to the buffer, behind a gap,
// or nowhere if they were there before (a retransmission).
func (f *tcpFlow) take(seq uint32, b []byte, at time.Time) {
	ahead, behind := seq-f.next, f.next-seq
	switch {
	case ahead == 0:
	case ahead > maxStep && behind > maxStep:
		// Another connection on the same ports, whose SYN was not captured.
		f.waiting, f.held = nil, 0
		f.restart(seq)
		if isHello(b) {
			f.tls, f.side, f.talk, f.begun = nil, tlsSide{}, spoken{}, false
		}
	case behind <= maxStep:
		if behind >= uint32(len(b)) {
			return
		}
		b = b[behind:]
	default:
		if len(f.waiting) == 0 {
			f.since = at
		}
		if len(b) > 0 && f.held+len(b) <= maxWaiting+maxMessage {
			f.waiting = append(f.waiting, tcpPiece{seq, at, append([]byte(nil), b...)})
			f.held += len(b)
		}
		return
	}
	f.buf = append(f.buf, b...)
	f.next += uint32(len(b))
}

// fill moves what no longer waits into the buffer.
func (f *tcpFlow) fill() {
	for moved := true; moved && len(f.waiting) > 0; {
		moved = false
		for i, p := range f.waiting {
			if int32(p.seq-f.next) > 0 {
				continue
			}
			f.waiting = append(f.waiting[:i], f.waiting[i+1:]...)
			f.held -= len(p.b)
			f.take(p.seq, p.b, p.at)
			moved = true
			break
		}
	}
}

// jump gives a gap up. The message it was in is lost.
func (f *tcpFlow) jump() {
	least := 0
	for i, p := range f.waiting {
		if int32(p.seq-f.waiting[least].seq) < 0 {
			least = i
		}
	}
	f.restart(f.waiting[least].seq)
	f.fill()
	f.since = f.last
}

// restart goes on at another place of the stream, in the middle of whatever
// stands there.
func (f *tcpFlow) restart(next uint32) {
	f.next = next
	f.buf = f.buf[:0]
	f.side.lost = true
	if f.tls == nil {
		f.talk.lose()
	}
}
