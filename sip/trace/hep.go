package trace

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"time"

	"github.com/portero/portero/sip/hep"
)

// maxSkew is how far a capturing agent's clock may be from the one that wrote
// the capture before that one's is taken: calls end by a single clock.
const maxSkew = time.Minute

// hepPacket reads what HEP mirrors (versions 1 to 3): the message inside is the
// traffic, with the addresses and the time at which the agent saw it. A datagram
// of versions 1 and 2, which begin with nothing special, has to hold SIP.
func hepPacket(b []byte, s *segment) bool {
	if len(b) < 12 || b[0] > 2 && string(b[:4]) != "HEP3" || b[0] == 0 {
		return false
	}
	p, _, err := hep.Decode(b)
	if err != nil {
		return false
	}
	return hepSegment(p, b[0] <= 2, s)
}

// hepSegment takes a decoded packet; s.at is when it came.
func hepSegment(p hep.Packet, old bool, s *segment) bool {
	if p.Protocol != hep.SIP && p.Protocol != hep.RTP {
		return false
	}
	payload := p.Payload
	if p.Compressed {
		payload = inflated(payload)
	}
	if old {
		if _, _, ok := startLine(skipLineEnds(payload)); !ok {
			return false
		}
	}
	if len(payload) == 0 || !p.Source.Addr().IsValid() || !p.Destination.Addr().IsValid() {
		return false
	}
	if p.At.Sub(s.at).Abs() <= maxSkew {
		s.at = p.At
	}
	s.src, s.dst, s.payload, s.cut, s.tcp = p.Source, p.Destination, payload, false, false
	switch p.Transport {
	case hep.TCP:
		s.transport = "tcp"
	case hep.TLS:
		s.transport = "tls"
	case hep.SCTP:
		s.transport = "sctp"
	default:
		s.transport = "udp"
	}
	return true
}

// inflated decompresses a payload; senders use zlib, gzip or neither's header.
func inflated(b []byte) []byte {
	var r io.Reader
	var err error
	switch {
	case len(b) > 2 && b[0] == 0x1f && b[1] == 0x8b:
		r, err = gzip.NewReader(bytes.NewReader(b))
	case len(b) > 2 && b[0]&15 == 8 && (int(b[0])<<8|int(b[1]))%31 == 0:
		r, err = zlib.NewReader(bytes.NewReader(b))
	default:
		r = flate.NewReader(bytes.NewReader(b))
	}
	if err != nil {
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
	if err != nil || len(out) > maxMessage {
		return nil
	}
	return out
}
