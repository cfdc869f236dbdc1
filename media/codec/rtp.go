package codec

import (
	"encoding/binary"
	"errors"
)

// Why a packet is not RTP (RFC 3550 section 5.1).
var (
	ErrRTPShort     = errors.New("rtp: shorter than its header")
	ErrRTPVersion   = errors.New("rtp: version is not 2")
	ErrRTPExtension = errors.New("rtp: the header extension is longer than the packet")
	ErrRTPPadding   = errors.New("rtp: the padding is zero or longer than the payload")
	ErrRTPIsRTCP    = errors.New("rtp: an RTCP packet type (RFC 5761 section 4)")
)

// RTP is a parsed RTP packet.
type RTP struct {
	Marker      bool
	PayloadType uint8
	Seq         uint16
	Timestamp   uint32
	SSRC        uint32
	CSRCs       int    // contributing sources, only counted
	Payload     []byte // without padding; part of the bytes that were parsed
}

// ParseRTP reads an RTP packet (RFC 3550 section 5.1) and allocates nothing. A
// packet whose second byte lies in the range that RFC 5761 section 4 gives to
// RTCP is refused.
func ParseRTP(b []byte) (RTP, error) {
	if len(b) < 12 {
		return RTP{}, ErrRTPShort
	}
	if b[0]>>6 != 2 {
		return RTP{}, ErrRTPVersion
	}
	if b[1] >= 192 && b[1] <= 223 {
		return RTP{}, ErrRTPIsRTCP
	}
	p := RTP{
		Marker:      b[1]&0x80 != 0,
		PayloadType: b[1] & 0x7F,
		Seq:         binary.BigEndian.Uint16(b[2:]),
		Timestamp:   binary.BigEndian.Uint32(b[4:]),
		SSRC:        binary.BigEndian.Uint32(b[8:]),
		CSRCs:       int(b[0] & 0x0F),
	}
	head := 12 + 4*p.CSRCs
	if len(b) < head {
		return RTP{}, ErrRTPShort
	}
	if b[0]&0x10 != 0 {
		if len(b) < head+4 {
			return RTP{}, ErrRTPExtension
		}
		head += 4 + 4*int(binary.BigEndian.Uint16(b[head+2:]))
		if len(b) < head {
			return RTP{}, ErrRTPExtension
		}
	}
	end := len(b)
	if b[0]&0x20 != 0 {
		pad := int(b[end-1])
		if pad == 0 || end-pad < head {
			return RTP{}, ErrRTPPadding
		}
		end -= pad
	}
	p.Payload = b[head:end]
	return p, nil
}
