package relay

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"

	"github.com/pion/rtcp"
)

// RTCP packet types (RFC 3550 section 12.1, RFC 3611, RFC 4585).
const (
	rtcpSR   = 200
	rtcpRR   = 201
	rtcpSDES = 202
	rtcpBYE  = 203
	rtcpXR   = 207
)

// isRTCP says whether b begins like RTCP (RFC 3550 appendix A.2, RFC 5761 section 4).
func isRTCP(b []byte) bool {
	return len(b) >= 8 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223 &&
		4+4*int(binary.BigEndian.Uint16(b[2:])) <= len(b)
}

// parts calls f for each packet of a compound packet; false if it is not well formed.
func parts(b []byte, f func(part []byte)) bool {
	for len(b) > 0 {
		if len(b) < 4 || b[0]>>6 != 2 {
			return false
		}
		n := 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return false
		}
		f(b[:n])
		b = b[n:]
	}
	return true
}

// rewriteSender makes a compound packet of the source in speak of the stream it
// was spliced to, in place: SSRC, and a sender report's RTP timestamp. A BYE is
// taken out, for the caller's stream goes on; nil if nothing is left, or if the
// packet is malformed.
func rewriteSender(b []byte, in, out, tsOff uint32) []byte {
	kept := b[:0]
	ok := parts(b, func(part []byte) {
		if part[1] == rtcpBYE {
			return
		}
		if len(part) >= 8 && part[1] >= rtcpSR && part[1] <= rtcpXR {
			swap(part[4:], in, out)
		}
		if part[1] == rtcpSR && len(part) >= 28 {
			ts := part[16:20]
			binary.BigEndian.PutUint32(ts, binary.BigEndian.Uint32(ts)+tsOff)
		}
		kept = append(kept, part...) // moves down, if at all
	})
	if !ok || len(kept) == 0 {
		return nil
	}
	return kept
}

// rewriteReports makes the report blocks of a compound packet about the stream
// out speak of the source it was spliced from, in place. What is malformed stays
// as it is.
func rewriteReports(b []byte, out, in uint32, seqOff uint16) {
	parts(b, func(part []byte) {
		blocks := 8
		switch part[1] {
		case rtcpSR:
			blocks = 28
		case rtcpRR:
		default:
			return
		}
		for range part[0] & 0x1F {
			if len(part) < blocks+24 {
				return
			}
			block := part[blocks : blocks+24]
			blocks += 24
			if !swap(block, out, in) {
				continue
			}
			// The highest number received: its low half is shifted back, the cycles
			// in the high half are the stream's own count and stay.
			low := block[10:12]
			binary.BigEndian.PutUint16(low, binary.BigEndian.Uint16(low)-seqOff)
		}
	})
}

// swap replaces the SSRC at the start of b if it is from.
func swap(b []byte, from, to uint32) bool {
	if binary.BigEndian.Uint32(b) != from {
		return false
	}
	binary.BigEndian.PutUint32(b, to)
	return true
}

// senderReport is an SR and an SDES with the CNAME (RFC 3550 sections 6.4.1 and 6.5.1).
func senderReport(ssrc, ts, packets, octets uint32, at time.Time, cname string, about ...rtcp.ReceptionReport) []byte {
	b, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.SenderReport{SSRC: ssrc, NTPTime: ntp(at), RTPTime: ts, PacketCount: packets, OctetCount: octets, Reports: about},
		description(ssrc, cname),
	})
	if err != nil {
		return nil // cannot be: all fields are in range
	}
	return b
}

func description(ssrc uint32, cname string) *rtcp.SourceDescription {
	return &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: ssrc,
		Items:  []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: cname}},
	}}}
}

// ntp is a time as NTP writes it (RFC 3550 section 4).
func ntp(t time.Time) uint64 {
	const since1900 = 2208988800 // s, from 1900 to 1970
	return uint64(t.Unix()+since1900)<<32 | uint64(t.Nanosecond())<<32/1e9
}

// newCNAME is a short-term persistent one (RFC 7022 section 4.2): 96 random
// bits, which tell nobody who the door is.
func newCNAME() string {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], rand.Uint64())
	binary.BigEndian.PutUint32(b[8:], rand.Uint32())
	return hex.EncodeToString(b[:])
}
