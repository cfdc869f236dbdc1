package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// start is when the captures of these tests begin.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

var (
	alice = netip.MustParseAddrPort("192.0.2.1:5060")
	bob   = netip.MustParseAddrPort("192.0.2.2:5060")
	aRTP  = netip.MustParseAddrPort("192.0.2.1:4000")
	bRTP  = netip.MustParseAddrPort("192.0.2.2:6000")
)

// film is a capture being made, in Ethernet frames by the library's own
// serializer, so that our decoder is held against another's work.
type film struct {
	t     testing.TB
	buf   bytes.Buffer
	w     *pcapgo.Writer
	now   time.Time
	count int
}

func newFilm(t testing.TB) *film {
	f := &film{t: t, now: start}
	f.w = pcapgo.NewWriterNanos(&f.buf)
	if err := f.w.WriteFileHeader(262144, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *film) wait(d time.Duration) *film { f.now = f.now.Add(d); return f }

func (f *film) frame(b []byte) {
	f.count++
	ci := gopacket.CaptureInfo{Timestamp: f.now, CaptureLength: len(b), Length: len(b)}
	if err := f.w.WritePacket(ci, b); err != nil {
		f.t.Fatal(err)
	}
}

func (f *film) udp(src, dst netip.AddrPort, payload string) {
	f.frame(serialize(f.t, ether(src), ip(src, dst, layers.IPProtocolUDP), udpLayer(src, dst), gopacket.Payload(payload)))
}

func (f *film) tcp(src, dst netip.AddrPort, seq uint32, flags string, payload string) {
	t := &layers.TCP{SrcPort: layers.TCPPort(src.Port()), DstPort: layers.TCPPort(dst.Port()), Seq: seq, Window: 65535,
		SYN: strings.Contains(flags, "S"), FIN: strings.Contains(flags, "F"), ACK: strings.Contains(flags, "A")}
	t.SetNetworkLayerForChecksum(ip(src, dst, layers.IPProtocolTCP).(gopacket.NetworkLayer)) //nolint:errcheck // never fails for IP
	f.frame(serialize(f.t, ether(src), ip(src, dst, layers.IPProtocolTCP), t, gopacket.Payload(payload)))
}

// rtp writes n packets 20 ms apart, 160 timestamp units each.
func (f *film) rtp(src, dst netip.AddrPort, ssrc uint32, pt uint8, seq, n int) {
	for i := range n {
		f.udp(src, dst, string(rtpPacket(ssrc, pt, uint16(seq+i), uint32(160*(seq+i)))))
		f.wait(20 * time.Millisecond)
	}
}

func rtpPacket(ssrc uint32, pt uint8, seq uint16, ts uint32) []byte {
	b := make([]byte, 12+160)
	b[0], b[1] = 0x80, pt
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	for i := range b[12:] {
		b[12+i] = 0xff
	}
	return b
}

// read tells the film's calls and its summary.
func (f *film) read() ([]*Call, Summary) {
	f.t.Helper()
	var calls []*Call
	sum, err := Read(bytes.NewReader(f.buf.Bytes()), Options{}, func(c *Call) { calls = append(calls, c) })
	if err != nil {
		f.t.Fatal(err)
	}
	if sum.Packets != f.count {
		f.t.Errorf("%d packets read, %d written", sum.Packets, f.count)
	}
	return calls, sum
}

// one reads a film of one call.
func (f *film) one() *Call {
	f.t.Helper()
	calls, _ := f.read()
	if len(calls) != 1 {
		f.t.Fatalf("%d calls, one expected", len(calls))
	}
	return calls[0]
}

func serialize(t testing.TB, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, l...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ether(src netip.AddrPort) gopacket.SerializableLayer {
	e := &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
	if src.Addr().Is6() {
		e.EthernetType = layers.EthernetTypeIPv6
	}
	return e
}

func ip(src, dst netip.AddrPort, proto layers.IPProtocol) gopacket.SerializableLayer {
	if src.Addr().Is6() {
		return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
	}
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
}

func udpLayer(src, dst netip.AddrPort) gopacket.SerializableLayer {
	return &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
}

// script is a dialog between alice and bob whose messages are written by the
// first words: INVITE, 180, BYE< (sent by bob).
type script struct {
	*film
	id        string
	a, b      netip.AddrPort
	aSDP      string
	bSDP      string
	cseq      int
	cseqLine  string
	transport string
	seqA      uint32
	seqB      uint32
}

func newScript(f *film, id string) *script {
	return &script{film: f, id: id, a: alice, b: bob, aSDP: sdpOf(aRTP, "0 101"), bSDP: sdpOf(bRTP, "0 101"), cseq: 1}
}

func sdpOf(a netip.AddrPort, formats string) string {
	family := "IP4"
	if a.Addr().Is6() {
		family = "IP6"
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN %[1]s %[2]s\r\ns=-\r\nc=IN %[1]s %[2]s\r\nt=0 0\r\nm=audio %[3]d RTP/AVP %[4]s\r\na=rtpmap:101 telephone-event/8000\r\n", family, a.Addr(), a.Port(), formats)
}

// say writes messages: a method, a status code, with "+sdp" for a body, with
// "!" before it for a new CSeq number, "<" for the other direction.
func (s *script) say(words ...string) *script {
	for _, w := range words {
		s.sayOne(w)
		s.wait(10 * time.Millisecond)
	}
	return s
}

func (s *script) sayOne(w string) {
	body := ""
	back := strings.Contains(w, "<")
	fresh := strings.Contains(w, "!")
	withSDP := strings.Contains(w, "+sdp")
	tagged := strings.Contains(w, "^")
	w = strings.NewReplacer("<", "", "!", "", "+sdp", "", "^", "").Replace(w)
	if fresh {
		s.cseq++
	}
	code := w[0] >= '1' && w[0] <= '6'
	from, to := s.a, s.b
	if code != back { // an answer, or a request of bob's
		from, to = s.b, s.a
	}
	if withSDP {
		body = s.aSDP
		if from == s.b {
			body = s.bSDP
		}
	}
	line := w + " sip:bob@example.com SIP/2.0"
	if code {
		line = "SIP/2.0 " + w + " Whatever"
	} else {
		method := w
		if method == "ACK" || method == "CANCEL" {
			s.cseqLine = fmt.Sprintf("%d %s", s.cseq, w)
		} else {
			s.cseqLine = fmt.Sprintf("%d %s", s.cseq, method)
		}
	}
	toTag := ""
	if code && w != "100" || tagged {
		toTag = ";tag=b1"
	}
	head := fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK1\r\nFrom: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>%s\r\nCall-ID: %s\r\nCSeq: %s\r\n",
		line, s.a, toTag, s.id, s.cseqLine)
	if body != "" {
		head += "Content-Type: application/sdp\r\n"
	}
	m := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	if s.transport == "tcp" {
		seq := &s.seqA
		if from == s.b {
			seq = &s.seqB
		}
		s.tcp(from, to, *seq, "A", m)
		*seq += uint32(len(m))
		return
	}
	s.udp(from, to, m)
}
