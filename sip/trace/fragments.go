package trace

import (
	"net/netip"
	"time"
)

// Limits of IP reassembly. A first fragment whose rest is missing (a capture
// filter on the SIP port keeps only those) is handed on as it is when its time
// is over: the headers of a long INVITE are in it.
const (
	maxFragmented   = 256             // datagrams being put together
	maxDatagram     = 64 << 10        // bytes of one
	fragmentTimeout = 2 * time.Second // of capture time
)

type fragmentKey struct {
	src, dst netip.Addr
	id       uint32
	proto    uint8
}

type piece struct {
	at int
	b  []byte
}

type datagram struct {
	key    fragmentKey
	since  time.Time
	pieces []piece
	size   int // bytes held
	total  int // length of the whole, 0 until the last fragment was seen
}

// fragments puts IP fragments together (RFC 791 section 3.2, RFC 8200
// section 4.5). Where two overlap the one that came first holds.
type fragments struct {
	open  map[fragmentKey]*datagram
	order []*datagram // oldest first
}

// add takes a fragment and returns the whole datagram when this was the last.
func (f *fragments) add(key fragmentKey, at int, more bool, b []byte, cut bool, now time.Time) ([]byte, bool) {
	// A fragment shortened by the capture can never become whole; the first one
	// is worth keeping all the same.
	if len(b) == 0 || at+len(b) > maxDatagram || cut && at != 0 {
		return nil, false
	}
	d := f.open[key]
	if d == nil {
		if f.open == nil {
			f.open = map[fragmentKey]*datagram{}
		}
		d = &datagram{key: key, since: now}
		f.open[key] = d
		f.order = append(f.order, d)
	}
	for _, p := range d.pieces {
		if p.at == at { // a repeated fragment
			return nil, false
		}
	}
	if d.size+len(b) > maxDatagram || len(d.pieces) >= 64 {
		return nil, false
	}
	d.pieces = append(d.pieces, piece{at, append([]byte(nil), b...)})
	d.size += len(b)
	if !more && !cut {
		d.total = at + len(b)
	}
	if d.total == 0 || d.size < d.total {
		return nil, false
	}
	whole := d.prefix()
	if len(whole) < d.total {
		return nil, false
	}
	f.drop(d)
	return whole[:d.total], true
}

// expired returns the datagrams that were given up at the time now, or all
// that are open at the end of the capture, with what stands at their start.
func (f *fragments) expired(now time.Time, all bool) []*datagram {
	n := 0
	for n < len(f.order) && (all || len(f.order)-n > maxFragmented || now.Sub(f.order[n].since) > fragmentTimeout) {
		n++
	}
	if n == 0 {
		return nil
	}
	out := f.order[:n:n]
	f.order = append([]*datagram(nil), f.order[n:]...)
	for _, d := range out {
		delete(f.open, d.key)
	}
	return out
}

func (f *fragments) drop(d *datagram) {
	delete(f.open, d.key)
	for i, o := range f.order {
		if o == d {
			f.order = append(f.order[:i], f.order[i+1:]...)
			return
		}
	}
}

// prefix joins the pieces that follow each other from the start.
func (d *datagram) prefix() []byte {
	var out []byte
	for grown := true; grown; {
		grown = false
		for _, p := range d.pieces {
			if p.at <= len(out) && p.at+len(p.b) > len(out) {
				out = append(out, p.b[len(out)-p.at:]...)
				grown = true
			}
		}
	}
	return out
}
