package trace

import (
	"crypto/tls"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/sip/hep"
)

// FuzzStream gives anything as what both ends of a TCP connection send, in
// segments, with the secrets of a connection of TLS: nothing may break, hang, or
// be held beyond the limits.
func FuzzStream(f *testing.F) {
	const random = "ab"
	keys := ""
	for _, label := range []string{"CLIENT_RANDOM", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"} {
		keys += label + " " + strings.Repeat(random, 32) + " " + strings.Repeat("cd", 48) + "\n"
	}
	both := func(client, server string, size int) {
		f.Add([]byte(client), []byte(server), uint16(size), uint8(0))
		f.Add([]byte(client), []byte(server), uint16(size), uint8(3))
	}
	both(sipText("one", 40), sipText("two", 0), 50)
	both(wsRequest+wsFrame(0x81, sipText("one", 0), "mask")+wsFrame(0xc1, deflated(f, sipText("two", 9))[0], "mask"), wsResponse+wsFrame(0x01, "OPTIONS", "")+wsFrame(0x80, " sip:x", ""), 90)
	both(string(mirrored(f, hep.Packet{Protocol: hep.SIP, Source: alice, Destination: bob, At: start, Payload: []byte(sipText("one", 0))})), "", 30)
	// Hellos with the random above, of both versions, and what follows.
	hello := func(kind byte, version, rest string) string {
		r, _ := hex.DecodeString(strings.Repeat(random, 32))
		body := version + string(r) + "\x00" + rest
		m := string([]byte{kind, 0, byte(len(body) >> 8), byte(len(body))}) + body
		return "\x16\x03\x01" + string(be16(len(m))) + m
	}
	const application = "\x17\x03\x03\x00\x20" + "0123456789abcdef0123456789abcdef"
	both(hello(1, "\x03\x03", "\x00\x02\x13\x01\x01\x00")+application, hello(2, "\x03\x03", "\x13\x01\x00\x00\x06\x00\x2b\x00\x02\x03\x04")+"\x14\x03\x03\x00\x01\x01"+application, 60)
	both(hello(1, "\x03\x03", "\x00\x02\xc0\x2f\x01\x00")+"\x14\x03\x03\x00\x01\x01"+application, hello(2, "\x03\x03", "\xc0\x2f\x00\x00\x04\x00\x16\x00\x00")+"\x14\x03\x03\x00\x01\x01"+application, 60)
	both(hello(1, "\x03\x01", "\x00\x02\x00\x2f\x01\x00")+"\x14\x03\x01\x00\x01\x01"+application, hello(2, "\x03\x01", "\x00\x2f\x00")+"\x14\x03\x01\x00\x01\x01"+application, 1000)
	config := &tls.Config{Certificates: []tls.Certificate{certificate(f, true)}}
	o := converse(f, config, config, []string{sipText("one", 0)}, []string{sipText("un", 0)})
	sent := map[bool]string{}
	for _, w := range o.writes {
		sent[w.client] += string(w.b)
	}
	both(sent[true], sent[false], 500)

	f.Fuzz(func(t *testing.T, client, server []byte, size uint16, missing uint8) {
		flows := &tcpFlows{keys: &KeyLog{}}
		if err := flows.keys.Add([]byte(keys)); err != nil {
			t.Fatal(err)
		}
		deliver := func(s *segment) {
			if len(s.payload) > maxMessage+maxRecordTLS || s.transport == "" {
				t.Errorf("a message of %d bytes over %q", len(s.payload), s.transport)
			}
		}
		n := max(1, int(size))
		now := start
		for i := 0; i*n < max(len(client), len(server)); i++ {
			now = now.Add(2 * time.Second)
			if missing > 0 && i%4 == int(missing) {
				continue
			}
			for _, side := range []struct {
				key flowPair
				b   []byte
			}{{flowPair{alice, bob}, client}, {flowPair{bob, alice}, server}} {
				if i*n >= len(side.b) {
					continue
				}
				s := segment{tcp: true, src: side.key.src, dst: side.key.dst, at: now, seq: uint32(i * n), payload: side.b[i*n : min(len(side.b), (i+1)*n)]}
				flows.add(&s, deliver)
			}
		}
		flows.flush(deliver)
		for _, g := range flows.open {
			if len(g.buf) > 2*maxMessage || len(g.side.plain) > 2*maxMessage {
				t.Errorf("%d and %d bytes are held", len(g.buf), len(g.side.plain))
			}
		}
	})
}
