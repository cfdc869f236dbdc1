package codec

import "github.com/zaf/g711"

// Static payload types (RFC 3551 section 6).
const (
	PayloadPCMU = 0
	PayloadPCMA = 8
	PayloadCN   = 13 // comfort noise, RFC 3389
)

// Decode appends the samples of G.711 codewords to dst and returns it. It
// allocates only when dst is too short, and adds nothing for NoLaw.
func (l Law) Decode(dst []int16, codewords []byte) []int16 {
	switch l {
	case MuLaw:
		for _, c := range codewords {
			dst = append(dst, g711.DecodeUlawFrame(c))
		}
	case ALaw:
		for _, c := range codewords {
			dst = append(dst, g711.DecodeAlawFrame(c))
		}
	}
	return dst
}

// Encode appends the G.711 codewords of pcm to dst and returns it. It allocates
// only when dst is too short, and adds nothing for NoLaw.
func (l Law) Encode(dst []byte, pcm []int16) []byte {
	switch l {
	case MuLaw:
		for _, v := range pcm {
			dst = append(dst, g711.EncodeUlawFrame(v))
		}
	case ALaw:
		for _, v := range pcm {
			dst = append(dst, g711.EncodeAlawFrame(v))
		}
	}
	return dst
}

// Silence is the codeword of the sample 0.
func (l Law) Silence() byte {
	if l == ALaw {
		return 0xD5
	}
	return 0xFF
}

// PayloadType is the law's static RTP payload type (RFC 3551 section 6).
func (l Law) PayloadType() uint8 {
	if l == ALaw {
		return PayloadPCMA
	}
	return PayloadPCMU
}

// String is the law's encoding name in SDP; empty for NoLaw.
func (l Law) String() string {
	switch l {
	case MuLaw:
		return "PCMU"
	case ALaw:
		return "PCMA"
	}
	return ""
}

// Clock is the RTP clock of a static payload type, Hz (RFC 3551 section 6), and
// 0 for a type that has none: comfort noise included, as its packets say nothing
// about pacing, and dynamic types, whose clock is in the SDP.
func Clock(pt uint8) int {
	switch pt {
	case 0, 3, 4, 5, 7, 8, 9, 12, 15, 18:
		return 8000 // G.722 (9) too, by RFC 3551 section 4.5.2
	case 6:
		return 16000
	case 10, 11:
		return 44100
	case 16:
		return 11025
	case 17:
		return 22050
	case 14, 25, 26, 28, 31, 32, 33, 34:
		return 90000
	}
	return 0
}
