package trace

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/sip/sdp"
)

// Limits on RTP that no description has announced yet. Media may be captured
// before the answer that announces it, so what looks like RTP is held for a
// while.
const (
	maxStrays     = 512              // streams
	maxStrayBytes = 1 << 20          // held of one stream
	maxHeldBytes  = 32 << 20         // held of all
	strayPatience = 30 * time.Second // how old the last packet may be when the description comes
	minStray      = 10               // packets in sequence that make a stream worth telling
)

// stray is a stream that nothing announced.
type stray struct {
	key   streamKey
	stats codec.Stats
	pt    uint8
	buf   []byte // packets held, one after the other
	held  []heldPacket
	full  bool // too much came: only stats go on
}

type heldPacket struct {
	at  time.Time
	end int // in buf
}

// strays holds streams until a description claims them.
type strays struct {
	open map[streamKey]*stray
	size int // bytes held
}

// add takes a packet that looks like RTP and belongs to no call.
func (t *strays) add(key streamKey, h header12, b []byte, at time.Time) {
	s := t.open[key]
	if s == nil {
		if t.open == nil {
			t.open = map[streamKey]*stray{}
		}
		if len(t.open) >= maxStrays {
			t.evict()
		}
		s = &stray{key: key, pt: h.pt}
		t.open[key] = s
	}
	c, _ := sdp.Static(h.pt)
	s.stats.Packet(h.seq, h.ts, at, c.Clock)
	if s.full {
		return
	}
	if len(s.buf)+len(b) > maxStrayBytes || t.size+len(b) > maxHeldBytes {
		t.size -= len(s.buf)
		s.buf, s.held, s.full = nil, nil, true
		return
	}
	s.buf = append(s.buf, b...)
	s.held = append(s.held, heldPacket{at, len(s.buf)})
	t.size += len(b)
}

// evict makes room: the stream that was silent longest goes.
func (t *strays) evict() {
	var oldest *stray
	for _, s := range t.open {
		if oldest == nil || s.stats.LastAt.Before(oldest.stats.LastAt) {
			oldest = s
		}
	}
	t.remove(oldest)
}

func (t *strays) remove(s *stray) {
	t.size -= len(s.buf)
	delete(t.open, s.key)
}

// claim takes out the streams to or from a that were heard shortly before now,
// in order of their first packets.
func (t *strays) claim(a netip.AddrPort, now time.Time) []*stray {
	var out []*stray
	for key, s := range t.open {
		if (key.src == a || key.dst == a) && now.Sub(s.stats.LastAt) < strayPatience {
			out = append(out, s)
		}
	}
	for _, s := range out {
		t.remove(s)
	}
	sortStrays(out)
	return out
}

// left lists the streams that nothing claimed and that are surely RTP.
func (t *strays) left() []Stream {
	var all []*stray
	for _, s := range t.open {
		if s.stats.Packets >= minStray && s.stats.Packets > 2*s.stats.Restarts && s.stats.Lost() < s.stats.Packets {
			all = append(all, s)
		}
	}
	sortStrays(all)
	out := make([]Stream, len(all))
	for i, s := range all {
		c, _ := sdp.Static(s.pt)
		out[i] = Stream{
			SSRC: SSRC(s.key.ssrc), Source: s.key.src, Destination: s.key.dst,
			PayloadType: int(s.pt), Codec: c.Name,
			Packets: s.stats.Packets, Lost: s.stats.Lost(), Jitter: s.stats.Jitter(),
			FirstAt: Time{s.stats.FirstAt}, Seconds: s.stats.LastAt.Sub(s.stats.FirstAt).Seconds(),
		}
	}
	return out
}

func sortStrays(s []*stray) {
	slices.SortFunc(s, func(a, b *stray) int {
		return cmp.Or(a.stats.FirstAt.Compare(b.stats.FirstAt), cmp.Compare(a.key.ssrc, b.key.ssrc), a.key.src.Compare(b.key.src))
	})
}
