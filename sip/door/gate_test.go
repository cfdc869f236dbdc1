package door

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
)

type countedDrops map[string]int

func (countedDrops) CallStarted()                  {}
func (countedDrops) CallEnded(store.Record)        {}
func (countedDrops) Decided(policy.Decision, bool) {}
func (c countedDrops) SIPDropped(reason string)    { c[reason]++ }
func (countedDrops) FramesDropped(uint64)          {}
func (countedDrops) Panicked()                     {}

const invite = "INVITE sip:100@192.0.2.1 SIP/2.0\r\nv: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n" +
	"To: <sip:100@192.0.2.1>\r\ni: 1\r\nCSeq: 1 INVITE\r\n"

func testGate(strangers string) (*gate, countedDrops) {
	drops := countedDrops{}
	d := &Door{cfg: Defaults(), log: zap.NewNop(), deps: Deps{Metrics: drops}}
	d.cfg.Strangers = strangers
	d.trunks = []trunk{{Trunk{Name: "carrier"}, []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}}
	d.gate = newGate(d)
	return d.gate, drops
}

func TestGate(t *testing.T) {
	trunk, stranger := "198.51.100.7:5060", "203.0.113.66:5060"
	for _, c := range []struct {
		name, from, strangers, in string
		passes                    bool
		drop                      string
	}{
		{"a call", trunk, "drop", invite + "\r\n", true, ""},
		{"a response", trunk, "drop", "SIP/2.0 200 OK\r\nCall-ID: 1\r\n\r\n", true, ""},
		{"a keep-alive", trunk, "drop", "\r\n\r\n", true, ""},
		{"a stranger's call", stranger, "drop", invite + "\r\n", false, "stranger"},
		{"a stranger's call, to be refused", stranger, "refuse", invite + "\r\n", true, "stranger"},
		{"a stranger's OPTIONS, to be refused", stranger, "refuse", strings.ReplaceAll(invite, "INVITE", "OPTIONS") + "\r\n", false, "stranger"},
		{"a scanner on the trunk", trunk, "drop", invite + "User-Agent: friendly-scanner\r\n\r\n", false, "scanner"},
		{"a scanner's name in the body", trunk, "drop", invite + "\r\nUser-Agent: friendly-scanner\r\n", true, ""},
		{"not SIP", trunk, "drop", "GET / HTTP/1.1\r\n\r\n", false, "not_sip"},
		{"binary", trunk, "drop", "\x00\x01\x02\x03\x04\x05", false, "not_sip"},
		{"too many headers", trunk, "drop", invite + strings.Repeat("X: y\r\n", 200) + "\r\n", false, "too_many_headers"},
		{"too large", trunk, "drop", invite + "\r\n" + strings.Repeat("x", 40000), false, "too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, drops := testGate(c.strangers)
			out, err := g.filter(sipmsg.TransportReadProps{Transport: "UDP", LocalAddr: &net.UDPAddr{}, RemoteAddr: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(c.from))}, []byte(c.in))
			if err != nil {
				t.Fatalf("an error would end the listener: %v", err)
			}
			if (len(out) > 0) != c.passes {
				t.Errorf("passed %v, want %v: %q", len(out) > 0, c.passes, out)
			}
			if c.drop != "" && drops[c.drop] != 1 || c.drop == "" && len(drops) > 0 {
				t.Errorf("counted %v, want %q", drops, c.drop)
			}
		})
	}
}

// The bytes of an INVITE reach the handler as they were, under a number that
// nobody outside can give.
func TestGateKeepsBytes(t *testing.T) {
	g, _ := testGate("drop")
	in := invite + "\r\n"
	forged := strings.Replace(in, "From:", "x-portero-raw: deadbeef\r\n  folded\r\nFrom:", 1)
	props := sipmsg.TransportReadProps{Transport: "UDP", LocalAddr: &net.UDPAddr{}, RemoteAddr: &net.UDPAddr{IP: net.IPv4(198, 51, 100, 7), Port: 5060}}
	out, _ := g.filter(props, []byte(forged))
	msg, err := sipmsg.NewParser().ParseSIP(out)
	if err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	hs := msg.(*sipmsg.Request).GetHeaders(rawHeader)
	if len(hs) != 1 || hs[0].Value() == "deadbeef" {
		t.Fatalf("raw headers %v", hs)
	}
	r, ok := g.take(hs[0].Value())
	if !ok || string(r.raw) != in {
		t.Errorf("kept %q (%v), want the message without the forged header", r.raw, ok)
	}
	if _, again := g.take(hs[0].Value()); again {
		t.Error("the bytes were handed out twice")
	}
}

// However many strangers come, few are answered.
func TestGateRefusesFew(t *testing.T) {
	g, _ := testGate("refuse")
	now := time.Now()
	answered := 0
	for range 100 {
		if g.mayRefuse(now) {
			answered++
		}
	}
	if answered != refusals || !g.mayRefuse(now.Add(time.Second)) {
		t.Errorf("%d strangers of one second were answered, want %d, and one of the next", answered, refusals)
	}
}

func TestGateIsBounded(t *testing.T) {
	g, _ := testGate("drop")
	for range maxRaw + 10 {
		g.keep([]byte(invite), netip.AddrPort{})
	}
	if len(g.raw) != maxRaw {
		t.Errorf("%d INVITEs kept, want %d", len(g.raw), maxRaw)
	}
	g.sweep(time.Now().Add(rawAge + time.Second))
	if len(g.raw) != 0 {
		t.Errorf("%d INVITEs left after their time", len(g.raw))
	}
}

func FuzzGate(f *testing.F) {
	f.Add([]byte(invite + "\r\n"))
	f.Add([]byte("SIP/2.0 200 OK\r\n\r\n"))
	f.Add([]byte(invite + "X-Portero-Raw: 1\r\n 2\r\n\r\n"))
	g, _ := testGate("refuse")
	props := sipmsg.TransportReadProps{Transport: "UDP", LocalAddr: &net.UDPAddr{}, RemoteAddr: &net.UDPAddr{IP: net.IPv4(198, 51, 100, 7), Port: 5060}}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := g.filter(props, in)
		if err != nil {
			t.Fatal("an error would end the listener")
		}
		if len(out) > len(in)+100 {
			t.Fatalf("%d bytes became %d", len(in), len(out))
		}
		g.sweep(time.Now().Add(time.Hour))
	})
}
