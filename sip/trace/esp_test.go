package trace

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// espPacket is an ESP packet with NULL encryption (RFC 4303 section 2): the
// payload padded to 4 bytes, and a check value of some length.
func espPacket(next byte, payload []byte, check int, nonce bool) []byte {
	head := "\x12\x34\x56\x78\x00\x00\x00\x01"
	if nonce {
		head += "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7"
	}
	pad := ""
	for i := 1; (len(payload)+len(pad)+2)%4 != 0; i++ {
		pad += string(rune(i))
	}
	icv := make([]byte, check)
	r := rand.New(rand.NewPCG(1, uint64(check)))
	for i := range icv {
		icv[i] = byte(r.Uint32())
	}
	return cat(head, payload, pad, []byte{byte(len(pad)), next}, icv)
}

func TestNullESP(t *testing.T) {
	body := gopacket.Payload("hello")
	udp := serialize(t, udpLayer(alice, bob), body)
	inner := serialize(t, ip(alice, bob, layers.IPProtocolUDP), udpLayer(alice, bob), body)
	inner6 := serialize(t, ip(alice6, bob6, layers.IPProtocolUDP), udpLayer(alice6, bob6), body)
	tcp := func() []byte {
		l := &layers.TCP{SrcPort: 5060, DstPort: 5060, Seq: 7, ACK: true, Window: 100}
		if err := l.SetNetworkLayerForChecksum(ip(alice, bob, layers.IPProtocolTCP).(gopacket.NetworkLayer)); err != nil {
			t.Fatal(err)
		}
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l, body); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}()
	sctp := cat("\x13\xc4\x13\xc4", 8, sctpData(1, 3, "hello"))
	for _, check := range checkLengths {
		for _, c := range []struct {
			name    string
			next    byte
			payload []byte
			six     bool
		}{
			{"UDP", protoUDP, udp, false},
			{"TCP", protoTCP, tcp, false},
			{"SCTP", protoSCTP, sctp, false},
			{"a tunnel of IPv4", protoIPv4, inner, false},
			{"a tunnel of IPv6", protoIPv6, inner6, true},
		} {
			packet := espPacket(c.next, c.payload, check, false)
			whole := map[string][]byte{
				"ESP":          serialize(t, ip(alice, bob, protoESP), gopacket.Payload(packet)),
				"ESP over UDP": serialize(t, ip(alice, bob, layers.IPProtocolUDP), &layers.UDP{SrcPort: 4500, DstPort: 4500}, gopacket.Payload(packet)),
				"a mapped one": serialize(t, ip(alice, bob, layers.IPProtocolUDP), &layers.UDP{SrcPort: 4500, DstPort: 61234}, gopacket.Payload(packet)),
			}
			if check == 16 {
				whole["GMAC"] = serialize(t, ip(alice, bob, protoESP), gopacket.Payload(espPacket(c.next, c.payload, check, true)))
			}
			for kind, b := range whole {
				t.Run(fmt.Sprintf("%s in %s, %d", c.name, kind, check), func(t *testing.T) {
					var n network
					s, ok := n.decode(Packet{At: start, Link: layers.LinkTypeRaw, Data: b})
					src, dst := alice, bob
					if c.six {
						src, dst = alice6, bob6
					}
					if !ok || s.src != src || s.dst != dst || string(s.payload) != "hello" {
						t.Errorf("got %v, %v > %v: %q", ok, s.src, s.dst, s.payload)
					}
					for i := range b {
						n.decode(Packet{At: start, Link: layers.LinkTypeRaw, Data: bytes.Clone(b[:i])})
					}
				})
			}
		}
	}
}

// TestEncryptedESP: what is encrypted is not taken for anything.
func TestEncryptedESP(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	var n network
	for range 20000 {
		b := make([]byte, 60+r.IntN(200))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		var s segment
		if n.esp(alice.Addr(), bob.Addr(), b, false, &s, 0) {
			t.Fatalf("%x is taken for %+v", b, s)
		}
	}
	// Nor keys exchanged on the port of ESP, nor what keeps a mapping alive.
	for _, payload := range []string{"\x00\x00\x00\x00" + strings.Repeat("i", 30), "\xff"} {
		b := serialize(t, ip(alice, bob, layers.IPProtocolUDP), &layers.UDP{SrcPort: 4500, DstPort: 4500}, gopacket.Payload(payload))
		if s, ok := n.decode(Packet{Link: layers.LinkTypeRaw, Data: b}); !ok || s.dst.Port() != 4500 || string(s.payload) != payload {
			t.Errorf("%q is taken for %+v", payload, s)
		}
	}
}
