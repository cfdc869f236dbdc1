package phone

import (
	"encoding/binary"
	"strings"
	"time"
)

// pressing is one key on its way, a step every 20 ms (RFC 4733).
type pressing struct {
	key
	ts   uint32 // of its first packet, which all its packets bear
	done time.Duration
}

// sounding says whether the key is still down at this step.
func (p *pressing) sounding() bool { return p.done < p.duration }

func (p *pressing) first() bool { return p.done == 0 }

// packets are the payloads of this step: one, and at the end of the key three
// with the end bit (RFC 4733 section 2.5.1.4).
func (p *pressing) packets() [][4]byte {
	length := min(p.done+frameTime, p.duration)
	var b [4]byte
	b[0] = byte(strings.IndexByte("0123456789*#ABCD", p.digit))
	b[1] = 10 // volume, −10 dBm0
	binary.BigEndian.PutUint16(b[2:], uint16(length*8/time.Millisecond))
	if length < p.duration {
		return [][4]byte{b}
	}
	b[1] |= 0x80
	return [][4]byte{b, b, b}
}

// step goes 20 ms on and says whether key and pause are over.
func (p *pressing) step() bool {
	p.done += frameTime
	return p.done >= p.duration+p.pause
}
