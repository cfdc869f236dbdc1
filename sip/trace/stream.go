package trace

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/sip/sdp"
)

// Limits on one stream.
const (
	maxTypes  = 8   // payload types counted
	maxDigits = 256 // keys kept
)

// streamKey is what makes an RTP stream.
type streamKey struct {
	src, dst netip.AddrPort
	ssrc     uint32
}

// header is the fixed part of an RTP packet. Unlike codec.RTP it is there for
// encrypted packets too, whose padding and extensions cannot be checked.
type header12 struct {
	pt   uint8
	seq  uint16
	ts   uint32
	ssrc uint32
}

// rtpHeader reads the fixed header of what looks like RTP (RFC 3550 section
// 5.1) and not like RTCP on the same port (RFC 5761 section 4).
func rtpHeader(b []byte) (header12, bool) {
	if len(b) < 12 || b[0]>>6 != 2 || b[1] >= 192 && b[1] <= 223 {
		return header12{}, false
	}
	return header12{
		pt: b[1] & 0x7f, seq: binary.BigEndian.Uint16(b[2:]),
		ts: binary.BigEndian.Uint32(b[4:]), ssrc: binary.BigEndian.Uint32(b[8:]),
	}, true
}

// stream measures one RTP stream of a call.
type stream struct {
	gone  bool // no more is gathered
	key   streamKey
	call  *call
	stats codec.Stats
	types []typeCount

	pt    int // payload type that codec describes, -1 for none
	epoch int // of the call's media when codec was looked up
	codec sdp.Codec
	event bool // telephone-event
	quiet bool // comfort noise
	heard bool // it goes where the caller was told to send, unencrypted

	spoken bool // it comes from there: what the caller hears

	side   Side // who speaks in it
	secure bool // SRTP

	events *codec.Decoder // made for the first event
	digits []byte
}

type typeCount struct {
	codec   sdp.Codec
	aside   bool // events or comfort noise
	packets int
}

// packet takes a packet of the stream.
func (s *stream) packet(h header12, b []byte, at time.Time) {
	if int(h.pt) != s.pt || s.epoch != s.call.epoch {
		s.lookup(h.pt)
	}
	clock := s.codec.Clock
	if s.event || s.quiet {
		clock = 0 // their timestamps do not pace them
	}
	s.stats.Packet(h.seq, h.ts, at, clock)
	s.count(h.pt)
	if s.event {
		s.key4733(b, at)
	}
}

// lookup finds what a payload type means: the receiver's description says it
// (RFC 3264 section 5.1), else the sender's, else any of the call's, else
// RFC 3551.
func (s *stream) lookup(pt uint8) {
	s.pt, s.epoch = int(pt), s.call.epoch
	c, ok := sdp.Codec{PT: pt}, false
	rank := 0
	s.heard, s.spoken = false, false
	s.side, s.secure = s.call.side(s.key)
	for _, e := range s.call.media {
		if e.addr == s.key.src && e.callee && !e.secure {
			s.spoken = true
		}
		if e.addr == s.key.dst && e.callee && !e.secure {
			s.heard = true
		}
		d, has := e.codecs.of(pt)
		if !has {
			continue
		}
		r := 1
		if e.addr == s.key.src {
			r = 2
		}
		if e.addr == s.key.dst {
			r = 3
		}
		if r > rank {
			c, ok, rank = d, true, r
		}
	}
	if !ok {
		c, _ = assignment(pt)
	}
	s.codec = c
	s.event = strings.EqualFold(c.Name, "telephone-event")
	s.quiet = strings.EqualFold(c.Name, "CN")
}

func (s *stream) count(pt uint8) {
	for i := range s.types {
		if t := &s.types[i]; t.codec.PT == pt {
			t.packets++
			if t.codec.Name == "" {
				t.codec, t.aside = s.codec, s.event || s.quiet
			}
			return
		}
	}
	if len(s.types) < maxTypes {
		c := s.codec
		c.PT = pt
		s.types = append(s.types, typeCount{c, s.event || s.quiet, 1})
	}
}

// key4733 reads the keys of telephone events.
func (s *stream) key4733(b []byte, at time.Time) {
	if s.events == nil {
		s.events = codec.NewDecoder()
	}
	s.events.Payload(uint8(s.pt), "telephone-event", s.codec.Clock)
	s.events.Packet(b, at, nil, s.digit) //nolint:errcheck // what is not RTP has no key
}

func (s *stream) digit(d codec.Digit) {
	if len(s.digits) < maxDigits {
		s.digits = append(s.digits, d.Key)
	}
}

// report is what is told of the stream.
func (s *stream) report() Stream {
	if s.events != nil {
		s.events.Flush(nil, s.digit)
	}
	r := Stream{
		SSRC: SSRC(s.key.ssrc), Source: s.key.src, Destination: s.key.dst,
		Packets: s.stats.Packets, Duplicates: s.stats.Duplicates, Lost: s.stats.Lost(), Jitter: s.stats.Jitter(),
		FirstAt: Time{s.stats.FirstAt}, Seconds: s.stats.LastAt.Sub(s.stats.FirstAt).Seconds(), Digits: string(s.digits), Side: s.side, SRTP: s.secure,
	}
	var best typeCount
	for _, t := range s.types {
		if best.packets == 0 || best.aside && !t.aside || best.aside == t.aside && t.packets > best.packets {
			best = t
		}
	}
	r.PayloadType, r.Codec = int(best.codec.PT), best.codec.Name
	return r
}
