package trace

import "encoding/binary"

// Kinds of packets that travel on the ports of media, told apart by their first
// bytes (RFC 7983, RFC 5761 section 4).
const (
	kindRTCP = "rtcp"
	kindSTUN = "stun"
	kindDTLS = "dtls"
	kindZRTP = "zrtp"
	kindT38  = "t38"
)

// besideRTP names what shares ports with RTP and is none; "" for all else.
func besideRTP(b []byte) string {
	if len(b) < 8 {
		return ""
	}
	switch first := b[0]; {
	case first < 4 && len(b) >= 20 && len(b)%4 == 0 && binary.BigEndian.Uint32(b[4:]) == 0x2112a442: // RFC 8489's cookie
		return kindSTUN
	case first >= 16 && first < 20 && len(b) >= 12 && string(b[4:8]) == "ZRTP": // RFC 6189 section 5
		return kindZRTP
	case first >= 20 && first < 26 && len(b) >= 13 && b[1] == 0xfe && (b[2] == 0xff || b[2] == 0xfd || b[2] == 0xfc): // RFC 9147
		return kindDTLS
	case first>>6 == 2 && b[1] >= 192 && b[1] <= 223 && rtcp(b):
		return kindRTCP
	}
	return ""
}

// rtcp says whether the length of the first RTCP packet fits into b (RFC 3550
// section 6.1; what follows may be encrypted, RFC 3711).
func rtcp(b []byte) bool { return 4+4*int(binary.BigEndian.Uint16(b[2:])) <= len(b) }
