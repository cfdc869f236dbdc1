package replay

import (
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Film writes what goes out and comes in as a capture: raw IP packets with UDP
// in them, whatever carried the messages.
type Film struct {
	mu  sync.Mutex
	w   *pcapgo.Writer
	err error
}

// NewFilm begins a capture (pcap, in nanoseconds).
func NewFilm(w io.Writer) (*Film, error) {
	f := &Film{w: pcapgo.NewWriterNanos(w)}
	return f, f.w.WriteFileHeader(1<<18, layers.LinkTypeRaw)
}

// Wire takes one message or packet; see Options.
func (f *Film) Wire(at time.Time, src, dst netip.AddrPort, b []byte) {
	udp := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	var ip gopacket.SerializableLayer
	if src.Addr().Is6() {
		l := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
		_ = udp.SetNetworkLayerForChecksum(l) // never fails for IP
		ip = l
	} else {
		l := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
		_ = udp.SetNetworkLayerForChecksum(l) // never fails for IP
		ip = l
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(b))
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		n := len(buf.Bytes())
		err = f.w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: n, Length: n}, buf.Bytes())
	}
	if f.err == nil {
		f.err = err
	}
}

// Err is what writing failed on first, if it did.
func (f *Film) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
