package hep

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"go.uber.org/zap"
)

// The example of the protocol's specification (HEP3 network protocol, "sample"):
// an INVITE of which 14 bytes are there.
func TestGolden(t *testing.T) {
	golden, err := hex.DecodeString(strings.Join(strings.Fields(`
		48455033 0071
		0000 0001 0007 02
		0000 0002 0007 11
		0000 0003 000a d4ca0001
		0000 0004 000a 527400d3
		0000 0007 0008 2eea
		0000 0008 0008 13c4
		0000 0009 000a 4e4982cb
		0000 000a 000a 0001d4c0
		0000 000b 0007 01
		0000 000c 000a 000000e4
		0000 000f 0014 494e56495445207369703a626f62`), ""))
	if err != nil {
		t.Fatal(err)
	}
	p := Packet{Protocol: SIP, Transport: UDP, Source: netip.MustParseAddrPort("212.202.0.1:12010"), Destination: netip.MustParseAddrPort("82.116.0.211:5060"),
		At: time.Unix(1313440459, 120000*1000).UTC(), Agent: 228, Payload: []byte("INVITE sip:bob")}
	got, err := p.Append(nil)
	if err != nil || !bytes.Equal(got, golden) {
		t.Errorf("%v; got\n%x\nwant\n%x", err, got, golden)
	}
	back, n, err := Decode(append(golden, "more"...))
	if err != nil || n != len(golden) || fmt.Sprint(back) != fmt.Sprint(p) {
		t.Errorf("%v, %d bytes; decoded %+v", err, n, back)
	}
}

func TestRoundTrip(t *testing.T) {
	p := Packet{Protocol: RTCP, Transport: TCP, Source: netip.MustParseAddrPort("[2001:db8::1]:5060"), Destination: netip.MustParseAddrPort("[2001:db8::2]:65535"),
		At: time.Unix(4000000000, 999999000).UTC(), Agent: 1<<32 - 1, Password: "secret", Correlation: "call@host", Payload: []byte("{}")}
	b, err := p.Append([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	back, n, err := Decode(b[6:])
	if err != nil || n != len(b)-6 || fmt.Sprint(back) != fmt.Sprint(p) {
		t.Errorf("%v, %d of %d bytes; decoded %+v, want %+v", err, n, len(b)-6, back, p)
	}
	p.Payload = make([]byte, 65000)
	if out, err := p.Append(b); err == nil || len(out) != len(b) {
		t.Errorf("65000 bytes: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":           "",
		"another magic":     "484550320006",
		"a longer length":   "484550330007",
		"a shorter length":  "484550330005",
		"a chunk cut off":   "484550330009000000",
		"a chunk too long":  "48455033000c000000010009",
		"a chunk too short": "48455033000c000000010005",
		"an address of 3":   "48455033000f000000030009010203",
	} {
		b, _ := hex.DecodeString(in)
		if p, _, err := Decode(b); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	other := "48455033000d" + "1234" + "0001" + "0007" + "05" // a vendor's own chunk
	b, _ := hex.DecodeString(other)
	if _, n, err := Decode(b); err != nil || n != 13 {
		t.Errorf("a vendor's chunk: %d, %v", n, err)
	}
}

func FuzzDecode(f *testing.F) {
	p := Packet{Protocol: SIP, Transport: UDP, Source: netip.MustParseAddrPort("192.0.2.1:1"), Destination: netip.MustParseAddrPort("[::1]:2"), Password: "x", Correlation: "y", Payload: []byte("z")}
	b, _ := p.Append(nil)
	f.Add(b)
	f.Add([]byte("HEP3\x00\x06"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, n, err := Decode(b)
		if err != nil {
			return
		}
		if n > len(b) || len(p.Payload) > n {
			t.Fatalf("%d of %d bytes, payload %d", n, len(b), len(p.Payload))
		}
		if !p.Source.Addr().IsValid() || !p.Destination.Addr().IsValid() {
			return // cannot be written
		}
		out, err := p.Append(nil)
		if err != nil {
			return
		}
		back, _, err := Decode(out)
		if err != nil || !bytes.Equal(back.Payload, p.Payload) || back.Source.Port() != p.Source.Port() || back.At != p.At && p.At.Nanosecond() < 1e9 && p.At.Unix() < 1<<32 && back.At.Unix() != p.At.Unix() {
			t.Fatalf("%v: %+v, was %+v", err, back, p)
		}
	})
}

func testConfig(target string) Config {
	cfg := Defaults()
	cfg.Target, cfg.Password, cfg.RTCP = target, "pw", true
	return cfg
}

// run starts a mirror and stops it at the end of the test.
func run(t *testing.T, cfg Config) *Mirror {
	t.Helper()
	m, err := New(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return m
}

var (
	door = netip.MustParseAddrPort("192.0.2.10:5060")
	peer = netip.MustParseAddrPort("203.0.113.1:5080")
)

func TestMirrorUDP(t *testing.T) {
	homer, err := net.ListenPacket("udp4", "127.0.86.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer homer.Close()
	m := run(t, testConfig("udp:"+homer.LocalAddr().String()))
	at := time.Date(2026, 11, 25, 12, 0, 0, 5000, time.UTC)
	m.SIP(true, door, peer, "UDP", []byte("INVITE"), at)
	m.SIP(false, door, peer, "TLS", []byte("SIP/2.0 100"), at)
	sr, err := rtcp.Marshal([]rtcp.Packet{&rtcp.SenderReport{SSRC: 7, NTPTime: 5<<32 | 1<<31, PacketCount: 50, OctetCount: 8000,
		Reports: []rtcp.ReceptionReport{{SSRC: 9, FractionLost: 64, TotalLost: 3, LastSequenceNumber: 70000, Jitter: 12}}}})
	if err != nil {
		t.Fatal(err)
	}
	m.RTCP("call-1", door, peer, sr, at)
	_ = homer.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 4096)
	for i, want := range []Packet{
		{Protocol: SIP, Transport: UDP, Source: peer, Destination: door, Payload: []byte("INVITE")},
		{Protocol: SIP, Transport: TCP, Source: door, Destination: peer, Payload: []byte("SIP/2.0 100")},
		{Protocol: RTCP, Transport: UDP, Source: peer, Destination: door, Correlation: "call-1"},
	} {
		n, _, err := homer.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := Decode(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
		if want.Protocol == RTCP {
			var r report
			if err := json.Unmarshal(got.Payload, &r); err != nil || r.SSRC != 7 || r.Type != 200 || r.Sender.NTPMicros != 500000 || r.Count != 1 ||
				r.Blocks[0] != (block{Source: 9, Highest: 70000, Fraction: 64, Jitter: 12, Lost: 3}) {
				t.Errorf("%v: %s", err, got.Payload)
			}
			want.Payload = got.Payload
		}
		want.At, want.Agent, want.Password = at, 2001, "pw"
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("packet %d: %+v, want %+v", i, got, want)
		}
	}
}

// Over TCP packets follow each other.
func TestMirrorTCP(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.86.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	m := run(t, testConfig("tcp:"+ln.Addr().String()))
	m.SIP(true, door, peer, "UDP", []byte("one"), time.Now())
	m.SIP(true, door, peer, "UDP", []byte("two"), time.Now())
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	var all []byte
	for _, want := range []string{"one", "two"} {
		head := make([]byte, headerSize)
		if _, err := io.ReadFull(c, head); err != nil {
			t.Fatal(err)
		}
		rest := make([]byte, int(head[4])<<8+int(head[5])-headerSize)
		if _, err := io.ReadFull(c, rest); err != nil {
			t.Fatal(err)
		}
		p, _, err := Decode(append(head, rest...))
		if err != nil || string(p.Payload) != want {
			t.Errorf("%v: %q, want %q", err, p.Payload, want)
		}
		all = append(all, p.Payload...)
	}
	if len(all) != 6 {
		t.Errorf("got %q", all)
	}
}

// Nobody sends: what does not fit is dropped and counted, and nobody waits.
func TestMirrorUnderPressure(t *testing.T) {
	cfg := testConfig("udp:127.0.86.1:9")
	cfg.Queue = 16
	m, err := New(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		m.SIP(true, door, peer, "UDP", []byte("INVITE"), time.Now())
	}
	if c := m.Counts(); c != (Counts{Dropped: 84}) {
		t.Errorf("%+v, want 84 dropped", c)
	}
}

// A Homer that is away costs packets, never the mirror.
func TestMirrorWithoutHomer(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.86.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := ln.Addr().String()
	_ = ln.Close()
	m := run(t, testConfig("tcp:"+target))
	for range 10 {
		m.SIP(true, door, peer, "UDP", []byte("INVITE"), time.Now())
	}
	for end := time.Now().Add(10 * time.Second); m.Counts().Failed < 10; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v, want 10 failed", m.Counts())
		}
	}
}

// Off is a nil Mirror, which may be called.
func TestMirrorOff(t *testing.T) {
	m, err := New(Defaults(), zap.NewNop())
	if m != nil || err != nil {
		t.Fatal(m, err)
	}
	m.SIP(true, door, peer, "UDP", nil, time.Now())
	m.RTCP("", door, peer, nil, time.Now())
	m.Run(context.Background())
	if m.Counts() != (Counts{}) {
		t.Error(m.Counts())
	}
}

func TestConfig(t *testing.T) {
	for target, ok := range map[string]bool{
		"udp:192.0.2.9:9060": true, "tcp:[2001:db8::9]:9061": true, "": true,
		"192.0.2.9:9060": false, "tls:192.0.2.9:9060": false, "udp:homer:9060": false, "udp:192.0.2.9": false, "udp:192.0.2.9:0": false, "udp:0.0.0.0:9060": false,
	} {
		cfg := Defaults()
		cfg.Target = target
		faults := 0
		cfg.Check(func(string, string, ...any) { faults++ })
		if (faults == 0) != ok {
			t.Errorf("%q: %d faults", target, faults)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", testConfig("").Password, testConfig(""), testConfig("").Password); strings.Contains(s, "pw") {
		t.Errorf("the password is seen: %s", s)
	}
}

func BenchmarkSIP(b *testing.B) {
	m, err := New(testConfig("udp:127.0.86.1:9"), zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		for c := range m.queue {
			m.pool.Put(c)
		}
	}()
	data := bytes.Repeat([]byte("x"), 900)
	b.ReportAllocs()
	for range b.N {
		m.SIP(true, door, peer, "UDP", data, time.Time{})
	}
	close(m.queue)
}
