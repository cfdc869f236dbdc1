package trace

import (
	"bytes"
	"net/netip"
	"sort"
	"time"
)

// Limits of TCP reassembly, per direction of a connection.
const (
	maxFlows    = 4096            // directions followed at a time
	maxMessage  = 128 << 10       // bytes of one message
	maxWaiting  = 256 << 10       // bytes behind a gap
	maxStep     = 1 << 20         // sequence numbers; a longer step is no loss and no repetition
	gapPatience = 5 * time.Second // how long a gap may stay open, capture time
)

type flowPair struct{ src, dst netip.AddrPort }

// tcpFlows follows the connections that carry SIP, one direction at a time.
// A flow is opened by SYN, or in the middle by a segment that holds a SIP
// start line; all other traffic leaves nothing behind.
type tcpFlows struct {
	open map[flowPair]*tcpFlow
}

type tcpFlow struct {
	next    uint32 // sequence number awaited
	sip     bool   // a start line was seen
	lost    bool   // bytes are missing: look for the next start line
	buf     []byte // in order, from the start of a message
	scanned int    // bytes of it without the end of the header
	need    int    // bytes of the whole message, 0 until the header is whole
	since   time.Time
	last    time.Time
	waiting []tcpPiece
	held    int // bytes in waiting
}

type tcpPiece struct {
	seq uint32
	at  time.Time
	b   []byte
}

// add takes a segment and calls message with each message that is complete by
// it. at is the capture time of the packet that completed it.
func (t *tcpFlows) add(s *segment, message func(m message, at time.Time)) {
	key := flowPair{s.src, s.dst}
	f := t.open[key]
	if s.syn {
		// A new connection, perhaps on the ports of an old one.
		f = t.start(key, s.seq+1, s.at)
		if len(s.payload) == 0 {
			return
		}
		s.seq++ // TCP Fast Open
	}
	if f == nil {
		at := findStart(s.payload)
		if at < 0 {
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
	if !f.messages(s.at, message) || s.done && len(f.waiting) == 0 {
		delete(t.open, key)
	}
}

func (t *tcpFlows) start(key flowPair, next uint32, at time.Time) *tcpFlow {
	if t.open == nil {
		t.open = map[flowPair]*tcpFlow{}
	}
	if len(t.open) >= maxFlows {
		t.evict()
	}
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
	for _, k := range keys[:len(keys)/4+1] {
		delete(t.open, k)
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
	f.next, f.lost = next, true
	f.buf, f.scanned, f.need = f.buf[:0], 0, 0
}

// messages hands out the complete messages at the head of the buffer
// (RFC 3261 section 18.3: Content-Length frames them). It returns false when
// the flow turns out not to carry SIP.
func (f *tcpFlow) messages(at time.Time, message func(m message, at time.Time)) bool {
	used := 0
	for {
		b := skipLineEnds(f.buf[used:])
		used = len(f.buf) - len(b)
		if len(b) == 0 {
			break
		}
		if _, _, ok := startLine(b); !ok {
			if !f.sip && !f.lost {
				// Less than a line may still become a start line.
				if len(b) < 16 || len(b) < maxStartLine && bytes.IndexByte(b, '\n') < 0 && isToken(b[0]) {
					break
				}
				return false
			}
			next := findStart(b)
			if next < 0 {
				// Keep the tail: a start line may be split between segments.
				if len(b) > maxStartLine {
					used = len(f.buf) - maxStartLine
				}
				break
			}
			used += next
			continue
		}
		f.sip, f.lost = true, false
		size := f.size(b)
		if size == 0 {
			if len(b) > maxMessage { // no end in sight
				used++
				f.lost, f.scanned, f.need = true, 0, 0
				continue
			}
			break
		}
		m, _ := parseMessage(b[:size])
		message(m, at)
		used += size
		f.scanned, f.need = 0, 0
	}
	f.buf = append(f.buf[:0], f.buf[used:]...)
	return true
}

// size returns the length of the message at the head of b, or 0 while it is
// not there as a whole. What it has looked at it does not look at again: a
// message may come byte by byte.
func (f *tcpFlow) size(b []byte) int {
	if f.need == 0 {
		from := max(0, f.scanned-2)
		end := headerEnd(b[from:])
		if end < 0 {
			f.scanned = len(b)
			return 0
		}
		// Without Content-Length there is no body on a stream.
		m, _ := parseMessage(b[:from+end])
		f.need = from + end + max(m.length, 0)
	}
	if len(b) < f.need {
		return 0
	}
	return f.need
}

// headerEnd returns where the body begins, or -1 while the empty line before
// it is not there.
func headerEnd(b []byte) int {
	i := bytes.Index(b, []byte("\n\r\n"))
	j := bytes.Index(b, []byte("\n\n"))
	switch {
	case i < 0 && j < 0:
		return -1
	case j < 0 || i >= 0 && i < j:
		return i + 3
	}
	return j + 2
}

// findStart returns the offset of the first SIP start line in b that stands at
// the start of a line, or -1.
func findStart(b []byte) int {
	for at := 0; at < len(b); {
		if _, _, ok := startLine(b[at:]); ok {
			return at
		}
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
	return -1
}
