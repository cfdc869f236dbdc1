package webrtc

import (
	"encoding/binary"
	"errors"
)

var errRepeated = errors.New("webrtc: a packet with that number was sent already")

// replays keeps streams from using a number twice, for a key stream must never be
// used twice (RFC 3711 section 9.1): their source may repeat itself, or count anew.
type replays struct {
	streams [4]replay // the one sent last comes first
}

// replay is what was sent of one stream.
type replay struct {
	ssrc  uint32
	seq   uint16 // the highest
	begun bool
	bits  uint64 // bit n: seq-n was sent
}

// first says whether an RTP packet's number is new, and notes it.
func (r *replays) first(b []byte) bool {
	if len(b) < 12 {
		return false
	}
	seq, ssrc := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[8:])
	for i := range r.streams {
		s := r.streams[i]
		if s.begun && s.ssrc == ssrc {
			copy(r.streams[1:i+1], r.streams[:i])
			r.streams[0] = s
			return r.streams[0].first(seq)
		}
	}
	copy(r.streams[1:], r.streams[:])
	r.streams[0] = replay{ssrc: ssrc, seq: seq, bits: 1, begun: true}
	return true
}

func (r *replay) first(seq uint16) bool {
	ahead := int16(seq - r.seq)
	switch {
	case ahead > 0:
		r.bits, r.seq = r.bits<<uint(ahead)|1, seq
		return true
	case ahead <= -64:
		return false
	}
	bit := uint64(1) << uint(-ahead)
	if r.bits&bit != 0 {
		return false
	}
	r.bits |= bit
	return true
}
