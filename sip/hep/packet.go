package hep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// What a packet carries (chunk 11).
const (
	SIP  byte = 1
	RTP  byte = 4
	RTCP byte = 5 // as JSON, which is what Homer reads
)

// IP protocols (chunk 2).
const (
	TCP  byte = 6
	UDP  byte = 17
	SCTP byte = 132
	TLS  byte = 22 // what Kamailio and OpenSIPS write for it: the number of IDP
)

// Packet is one captured message.
type Packet struct {
	Protocol            byte // SIP, RTP or RTCP; others are about
	Transport           byte // TCP, UDP, SCTP or TLS
	Source, Destination netip.AddrPort
	At                  time.Time // to the microsecond; zero: it is not known, as in version 1
	Agent               uint32    // who captured it
	Password            string    // what the collector wants to see; "" is not sent
	Correlation         string    // what ties packets without a Call-ID to a call; "" is not sent
	Payload             []byte
	Compressed          bool // Payload is as the sender compressed it; only read, never written
}

// Types of the generic chunks (vendor 0).
const (
	chunkFamily      = 1
	chunkTransport   = 2
	chunkSource4     = 3
	chunkDest4       = 4
	chunkSource6     = 5
	chunkDest6       = 6
	chunkSourcePort  = 7
	chunkDestPort    = 8
	chunkSeconds     = 9
	chunkMicros      = 10
	chunkProtocol    = 11
	chunkAgent       = 12
	chunkPassword    = 14
	chunkPayload     = 15
	chunkCompressed  = 16
	chunkCorrelation = 17
)

// Address families, as the protocol counts them.
const (
	family4 = 2
	family6 = 10
)

const (
	magic      = "HEP3"
	headerSize = 6
	chunkSize  = 6 // of a chunk's own header
	// maxPayload leaves room for all else in a UDP datagram over IPv4.
	maxPayload = 65507 - 1024
)

// ErrTooLarge says that a packet does not fit into what the protocol can say.
var ErrTooLarge = errors.New("hep: payload too large")

// Append encodes p behind dst.
func (p *Packet) Append(dst []byte) ([]byte, error) {
	if len(p.Payload) > maxPayload || len(p.Password) > 256 || len(p.Correlation) > 512 {
		return dst, ErrTooLarge
	}
	start := len(dst)
	dst = append(append(dst, magic...), 0, 0)
	source, dest := p.Source.Addr().Unmap(), p.Destination.Addr().Unmap()
	if source.Is4() && dest.Is4() {
		dst = chunk8(dst, chunkFamily, family4)
		dst = chunk8(dst, chunkTransport, p.Transport)
		a, b := source.As4(), dest.As4()
		dst = chunk(chunk(dst, chunkSource4, a[:]), chunkDest4, b[:])
	} else {
		dst = chunk8(dst, chunkFamily, family6)
		dst = chunk8(dst, chunkTransport, p.Transport)
		a, b := source.As16(), dest.As16()
		dst = chunk(chunk(dst, chunkSource6, a[:]), chunkDest6, b[:])
	}
	dst = chunk16(dst, chunkSourcePort, p.Source.Port())
	dst = chunk16(dst, chunkDestPort, p.Destination.Port())
	if !p.At.IsZero() {
		dst = chunk32(dst, chunkSeconds, uint32(p.At.Unix()))
		dst = chunk32(dst, chunkMicros, uint32(p.At.Nanosecond()/1000))
	}
	dst = chunk8(dst, chunkProtocol, p.Protocol)
	dst = chunk32(dst, chunkAgent, p.Agent)
	if p.Password != "" {
		dst = chunk(dst, chunkPassword, p.Password)
	}
	if p.Correlation != "" {
		dst = chunk(dst, chunkCorrelation, p.Correlation)
	}
	dst = chunk(dst, chunkPayload, p.Payload)
	binary.BigEndian.PutUint16(dst[start+4:], uint16(len(dst)-start))
	return dst, nil
}

func chunk[T string | []byte](dst []byte, kind uint16, value T) []byte {
	dst = binary.BigEndian.AppendUint16(dst, 0) // vendor: generic
	dst = binary.BigEndian.AppendUint16(dst, kind)
	dst = binary.BigEndian.AppendUint16(dst, uint16(chunkSize+len(value)))
	return append(dst, value...)
}

func chunk8(dst []byte, kind uint16, v byte) []byte { return chunk(dst, kind, []byte{v}) }

func chunk16(dst []byte, kind, v uint16) []byte {
	return chunk(dst, kind, []byte{byte(v >> 8), byte(v)})
}

func chunk32(dst []byte, kind uint16, v uint32) []byte {
	return chunk(dst, kind, []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// Decode reads the packet at the head of b and returns how long it is. Chunks of
// other vendors and types are passed over. Payload points into b. Packets of
// versions 1 and 2, which do not say how long they are, take all of b.
func Decode(b []byte) (p Packet, n int, err error) {
	if len(b) > 0 && (b[0] == 1 || b[0] == 2) {
		p, err = decodeOld(b)
		return p, len(b), err
	}
	if len(b) < headerSize || string(b[:4]) != magic {
		return p, 0, errors.New("hep: not a packet of version 3")
	}
	n = int(binary.BigEndian.Uint16(b[4:]))
	if n < headerSize || n > len(b) {
		return p, 0, fmt.Errorf("hep: a packet of %d bytes says it has %d", len(b), n)
	}
	var source, dest netip.Addr
	var sourcePort, destPort uint16
	var seconds, micros uint32
	timed := false
	for rest := b[headerSize:n]; len(rest) > 0; {
		if len(rest) < chunkSize {
			return p, 0, errors.New("hep: a chunk is cut off")
		}
		vendor, kind, size := binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:]), int(binary.BigEndian.Uint16(rest[4:]))
		if size < chunkSize || size > len(rest) {
			return p, 0, fmt.Errorf("hep: chunk %d says it has %d bytes, of %d", kind, size, len(rest))
		}
		v := rest[chunkSize:size]
		rest = rest[size:]
		if vendor != 0 {
			continue
		}
		if want, fixed := sizes[kind]; fixed && len(v) != want {
			return p, 0, fmt.Errorf("hep: chunk %d has %d bytes, not %d", kind, len(v), want)
		}
		switch kind {
		case chunkTransport:
			p.Transport = v[0]
		case chunkProtocol:
			p.Protocol = v[0]
		case chunkSource4, chunkSource6:
			source, _ = netip.AddrFromSlice(v)
		case chunkDest4, chunkDest6:
			dest, _ = netip.AddrFromSlice(v)
		case chunkSourcePort:
			sourcePort = binary.BigEndian.Uint16(v)
		case chunkDestPort:
			destPort = binary.BigEndian.Uint16(v)
		case chunkSeconds:
			seconds, timed = binary.BigEndian.Uint32(v), true
		case chunkMicros:
			micros, timed = binary.BigEndian.Uint32(v), true
		case chunkAgent:
			p.Agent = binary.BigEndian.Uint32(v)
		case chunkPassword:
			p.Password = string(v)
		case chunkCorrelation:
			p.Correlation = string(v)
		case chunkPayload, chunkCompressed:
			p.Payload, p.Compressed = v, kind == chunkCompressed
		}
	}
	p.Source, p.Destination = netip.AddrPortFrom(source, sourcePort), netip.AddrPortFrom(dest, destPort)
	if timed {
		p.At = time.Unix(int64(seconds), int64(micros)*1000).UTC()
	}
	return p, n, nil
}

// sizes are those of the chunks that have one.
var sizes = map[uint16]int{
	chunkFamily: 1, chunkTransport: 1, chunkSource4: 4, chunkDest4: 4, chunkSource6: 16, chunkDest6: 16, chunkSourcePort: 2,
	chunkDestPort: 2, chunkSeconds: 4, chunkMicros: 4, chunkProtocol: 1, chunkAgent: 4,
}
