package trace

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Limits on RTP that no description has announced yet. Media may be captured
// before the answer that announces it, so what looks like RTP is held for a
// while.
const (
	maxStrays     = 16_384           // streams
	maxPerFlow    = 8                // streams of one source and destination, each of few packets: it is no RTP
	maxStrayBytes = 1 << 20          // held of one stream
	maxHeldBytes  = 32 << 20         // held of all
	strayPatience = 30 * time.Second // how old the last packet may be when the description comes
	strayLinger   = 2 * time.Minute  // without a packet: the stream is over
	maxStraysTold = 10_000
)

// stray is a stream that nothing announced.
type stray struct {
	key   streamKey
	flow  *strayFlow
	guess guess
	held  []heldPacket
	hold  [][]byte // what they stand in
	size  int      // bytes held
	gone  bool     // no more is gathered
	full  bool     // too much came: only the figures go on
}

type heldPacket struct {
	at time.Time
	b  []byte // in hold
}

// Lengths of the pieces of memory that the packets of a stream are held in: the
// first, and the others, which are used again.
const (
	firstBlock = 2 << 10
	holdBlock  = 16 << 10
)

// strayFlow is what goes from one address to another without having been announced.
type strayFlow struct {
	pair    flowPair
	streams []*stray
	foreign bool // no RTP
	since   time.Time
	places  [2]int // in the lists of its two addresses
}

// strays holds streams until a description claims them.
type strays struct {
	flows map[flowPair]*strayFlow
	ends  map[netip.AddrPort][]*strayFlow
	open  int // streams
	size  int // bytes held
	free  [][]byte
	told  []Stream
	left  int // streams not told, for there are too many
}

// add takes a packet that looks like RTP and belongs to no call, and returns its
// stream; nil when the packet can be no RTP.
func (t *strays) add(key streamKey, h header12, b []byte, at time.Time) *stray {
	pair := flowPair{key.src, key.dst}
	f := t.flows[pair]
	if f == nil {
		f = t.flow(pair, at)
	}
	if f.foreign {
		return nil
	}
	var s *stray
	for _, x := range f.streams {
		if x.key.ssrc == key.ssrc {
			s = x
		}
	}
	if s == nil {
		if s = t.stream(f, key, at); s == nil {
			return nil
		}
	}
	t.packet(s, h, b, at)
	return s
}

// packet takes a packet of a stream.
func (t *strays) packet(s *stray, h header12, b []byte, at time.Time) {
	s.guess.packet(h, at)
	if s.full {
		return
	}
	last := len(s.hold) - 1
	if last < 0 || cap(s.hold[last])-len(s.hold[last]) < len(b) {
		size := holdBlock
		if last < 0 && len(b) <= firstBlock {
			size = firstBlock
		}
		if s.size+size > maxStrayBytes || t.size+size > maxHeldBytes || len(b) > size || s.over(at) {
			t.release(s)
			s.full = true
			return
		}
		s.hold, last = append(s.hold, t.block(size)), last+1
		s.size += size
		t.size += size
	}
	from := len(s.hold[last])
	s.hold[last] = append(s.hold[last], b...)
	s.held = append(s.held, heldPacket{at, s.hold[last][from:]})
}

func (t *strays) block(size int) []byte {
	if n := len(t.free); n > 0 && size == holdBlock {
		b := t.free[n-1]
		t.free = t.free[:n-1]
		return b
	}
	return make([]byte, 0, size)
}

// over says whether a description that came now would come too late for the first
// packet that is held.
func (s *stray) over(now time.Time) bool {
	return len(s.held) > 0 && now.Sub(s.held[0].at) > 4*strayPatience
}

// release gives the packets of a stream up.
func (t *strays) release(s *stray) {
	t.size -= s.size
	for _, b := range s.hold {
		if len(t.free) < 256 && cap(b) == holdBlock {
			t.free = append(t.free, b[:0])
		}
	}
	s.held, s.hold, s.size = nil, nil, 0
}

// ends are the two addresses of a flow, once where it leads back to where it came
// from.
func (p flowPair) ends() []netip.AddrPort {
	if p.src == p.dst {
		return []netip.AddrPort{p.src}
	}
	return []netip.AddrPort{p.src, p.dst}
}

func (t *strays) flow(pair flowPair, at time.Time) *strayFlow {
	if t.flows == nil {
		t.flows, t.ends = map[flowPair]*strayFlow{}, map[netip.AddrPort][]*strayFlow{}
	}
	if len(t.flows) >= maxStrays {
		t.evict()
	}
	f := &strayFlow{pair: pair, since: at}
	for i, a := range pair.ends() {
		f.places[i] = len(t.ends[a])
		t.ends[a] = append(t.ends[a], f)
	}
	t.flows[pair] = f
	return f
}

// stream begins one in a flow; nil when the flow turns out to be no RTP. Few
// sources send more than a handful of streams to one port, and what is no RTP has
// another number in the place of the SSRC in each packet.
func (t *strays) stream(f *strayFlow, key streamKey, at time.Time) *stray {
	if len(f.streams) >= maxPerFlow {
		quiet := 0
		for i, x := range f.streams {
			if x.guess.last.Before(f.streams[quiet].guess.last) {
				quiet = i
			}
		}
		x := f.streams[quiet]
		if !x.guess.surely() {
			for len(f.streams) > 0 {
				s := f.streams[0]
				t.drop(s)
				t.release(s)
			}
			f.foreign = true
			return nil
		}
		t.tell(x)
		t.drop(x)
		t.release(x)
	}
	if t.open >= maxStrays {
		t.evict()
		if t.flows[f.pair] == nil {
			return nil
		}
	}
	s := &stray{key: key, flow: f, held: make([]heldPacket, 0, 12)}
	f.streams = append(f.streams, s)
	f.since = at
	t.open++
	return s
}

// last is when a flow was heard last.
func (f *strayFlow) last() time.Time {
	at := f.since
	for _, s := range f.streams {
		at = later(at, s.guess.last)
	}
	return at
}

// evict makes room: the eighth of the flows that was silent longest goes.
func (t *strays) evict() {
	all := make([]*strayFlow, 0, len(t.flows))
	for _, f := range t.flows {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *strayFlow) int { return a.last().Compare(b.last()) })
	for _, f := range all[:len(all)/8+1] {
		t.finish(f)
	}
}

// sweep ends the flows that have been silent for long.
func (t *strays) sweep(now time.Time) {
	for _, f := range t.flows {
		if now.Sub(f.last()) > strayLinger {
			t.finish(f)
		}
	}
}

// finish tells the streams of a flow and forgets it.
func (t *strays) finish(f *strayFlow) {
	for len(f.streams) > 0 {
		s := f.streams[0]
		t.tell(s)
		t.drop(s)
		t.release(s)
	}
	if t.flows[f.pair] == f {
		t.forget(f)
	}
}

// drop takes a stream out.
func (t *strays) drop(s *stray) {
	t.open--
	s.gone = true
	f := s.flow
	f.streams = slices.DeleteFunc(f.streams, func(x *stray) bool { return x == s })
}

// forget takes a flow without streams out.
func (t *strays) forget(f *strayFlow) {
	delete(t.flows, f.pair)
	for i, a := range f.pair.ends() {
		list := t.ends[a]
		last := list[len(list)-1]
		list[f.places[i]] = last
		if last.pair.src == a {
			last.places[0] = f.places[i]
		} else {
			last.places[1] = f.places[i]
		}
		list[len(list)-1] = nil
		if t.ends[a] = list[:len(list)-1]; len(list) == 1 {
			delete(t.ends, a)
		}
	}
}

// claim takes out the streams to or from a that were heard shortly before now,
// in order of their first packets. What they hold is to be released.
func (t *strays) claim(a netip.AddrPort, now time.Time) []*stray {
	var out []*stray
	for _, f := range slices.Clone(t.ends[a]) {
		for _, s := range slices.Clone(f.streams) {
			if now.Sub(s.guess.last) < strayPatience {
				s.guess.settle()
				out = append(out, s)
				t.drop(s)
			}
		}
		if len(f.streams) == 0 && !f.foreign {
			t.forget(f)
		}
	}
	slices.SortFunc(out, func(a, b *stray) int {
		return cmp.Or(a.guess.stats.FirstAt.Compare(b.guess.stats.FirstAt), cmp.Compare(a.key.ssrc, b.key.ssrc), a.key.src.Compare(b.key.src))
	})
	return out
}

// tell notes a stream that nothing claimed, if it is surely RTP.
func (t *strays) tell(s *stray) {
	if s.guess.settle(); !s.guess.surely() {
		return
	}
	if len(t.told) >= maxStraysTold {
		t.left++
		return
	}
	g := &s.guess
	t.told = append(t.told, Stream{
		SSRC: SSRC(s.key.ssrc), Source: s.key.src, Destination: s.key.dst,
		PayloadType: int(g.pt), Codec: g.codec.Name,
		Packets: g.stats.Packets, Duplicates: g.stats.Duplicates, Lost: g.stats.Lost(), Jitter: g.stats.Jitter(),
		FirstAt: Time{g.stats.FirstAt}, Seconds: g.stats.LastAt.Sub(g.stats.FirstAt).Seconds(),
	})
}

// all ends every flow and lists the streams that were told, in order of their
// first packets.
func (t *strays) all() []Stream {
	for _, f := range t.flows {
		t.finish(f)
	}
	slices.SortFunc(t.told, func(a, b Stream) int {
		return cmp.Or(a.FirstAt.Compare(b.FirstAt.Time), cmp.Compare(a.SSRC, b.SSRC), a.Source.Compare(b.Source))
	})
	return t.told
}
