package door

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/transport"
)

type countedDrops map[string]int

func (countedDrops) CallStarted()                  {}
func (countedDrops) CallEnded(store.Record)        {}
func (countedDrops) Decided(policy.Decision, bool) {}
func (c countedDrops) SIPDropped(reason string)    { c[reason]++ }
func (c countedDrops) SIPRefused(code string)      { c[code]++ }
func (countedDrops) FramesDropped(uint64)          {}
func (c countedDrops) Panicked()                   { c["panic"]++ }
func (countedDrops) Attempted(_, _, _ string)      {}
func (countedDrops) Registered(string, bool)       {}

const invite = "INVITE sip:100@192.0.2.1 SIP/2.0\r\nv: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n" +
	"To: <sip:100@192.0.2.1>\r\ni: 1\r\nCSeq: 1 INVITE\r\n"

func testGate(strangers string) (*gate, countedDrops) {
	drops := countedDrops{}
	d := &Door{cfg: Defaults(), log: zap.NewNop(), deps: Deps{Metrics: drops}}
	d.cfg.Strangers = strangers
	d.trunks = []trunk{{Trunk: Trunk{Name: "carrier"}, nets: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}}
	var err error
	if d.upstream, err = newUpstream(d.cfg, d.deps); err != nil {
		panic(err)
	}
	d.gate = newGate(d)
	return d.gate, drops
}

func TestGate(t *testing.T) {
	trunk, stranger := "198.51.100.7:5060", "203.0.113.66:5060"
	for _, c := range []struct {
		name, from, strangers, in string
		drop                      string
	}{
		{"a call", trunk, "drop", invite + "\r\n", ""},
		{"a response", trunk, "drop", "SIP/2.0 200 OK\r\nCall-ID: 1\r\n\r\n", ""},
		{"a stranger's call", stranger, "drop", invite + "\r\n", "stranger"},
		{"a stranger's call, to be refused", stranger, "refuse", invite + "\r\n", ""},
		{"a stranger's OPTIONS, to be refused", stranger, "refuse", strings.ReplaceAll(invite, "INVITE", "OPTIONS") + "\r\n", "stranger"},
		{"a scanner on the trunk", trunk, "drop", invite + "User-Agent: friendly-scanner\r\n\r\n", "scanner"},
		{"a scanner's name in the body", trunk, "drop", invite + "\r\nUser-Agent: friendly-scanner\r\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, drops := testGate(c.strangers)
			from := netip.MustParseAddrPort(c.from)
			got := g.drop(transport.Received{Flow: transport.Flow{Transport: "UDP", Remote: from}, Data: []byte(c.in)})
			if got != c.drop {
				t.Errorf("dropped as %q, want %q", got, c.drop)
			}
			if refused := c.name == "a stranger's call, to be refused"; refused != (drops["stranger"] == 1) {
				t.Errorf("counted %v", drops)
			}
		})
	}
}

// What is malformed is answered, if it is a request, and counted.
func TestGateRefusesMalformed(t *testing.T) {
	d := trunkDoor(t)
	socket := &sent{}
	serve, err := d.net.UDP(socket)
	if err != nil {
		t.Fatal(err)
	}
	_ = serve
	flow, ok := d.net.Ready(transport.Target{Transport: transport.UDP, Addr: netip.MustParseAddrPort("198.51.100.7:5060")})
	if !ok {
		t.Fatal("no socket")
	}
	for _, c := range []struct{ name, in, count, answer string }{
		{"not SIP", "GET / HTTP/1.1\r\n\r\n", "malformed", ""},
		{"binary", "\x00\x01\x02\x03\x04\x05", "malformed", ""},
		{"a response without Via", "SIP/2.0 200 OK\r\nCall-ID: 1\r\n\r\n", "malformed", ""},
		{"an ACK with a NUL", strings.ReplaceAll(invite, "INVITE", "ACK") + "X: \x00\r\n\r\n", "malformed", ""},
		{"two Call-IDs", invite + "Call-ID: 2\r\n\r\n", "P510-malformed", "SIP/2.0 400 Bad Request: Call-ID is there twice"},
		{"another version", strings.Replace(invite, " SIP/2.0", " SIP/7.0", 1) + "\r\n", "P510-malformed", "SIP/2.0 505 Version Not Supported: "},
		{"too many headers", invite + strings.Repeat("X-A: y\r\n", 200) + "\r\n", "P515-too-large", "SIP/2.0 513 Message Too Large: "},
		{"too large", invite + "\r\n" + strings.Repeat("x", 40000), "P515-too-large", "SIP/2.0 513 Message Too Large: "},
		{"a scheme that the parser does not take", strings.Replace(invite, "<sip:100@", "<x-y:100@", 1) + "\r\n", "P510-malformed", "SIP/2.0 400 Bad Request: The message cannot be parsed: "},
	} {
		drops := d.deps.Metrics.(countedDrops)
		clear(drops)
		socket.data = nil
		d.gate.Receive(transport.Received{Flow: flow, Data: []byte(c.in), At: time.Now()})
		if len(drops) != 1 || drops[c.count] != 1 || !strings.HasPrefix(string(socket.data), c.answer) || c.answer == "" && socket.data != nil {
			t.Errorf("%s: counted %v, answered %q", c.name, drops, socket.data)
		}
	}
}

// sent is a socket that keeps what was sent last.
type sent struct {
	net.PacketConn
	data []byte
}

func (s *sent) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5060} }

func (s *sent) WriteTo(b []byte, _ net.Addr) (int, error) {
	s.data = bytes.Clone(b)
	return len(b), nil
}

// trunkDoor is a door with one trunk, where no call begins.
func trunkDoor(t testing.TB) *Door {
	cfg := Defaults()
	cfg.Trunks = []Trunk{{Name: "carrier", Addresses: []string{"198.51.100.0/24"}}}
	cfg.Destinations = map[string]Destination{"agents": {URI: "sip:192.0.2.9"}}
	d, err := New(cfg, Deps{Log: zap.NewNop(), Metrics: countedDrops{}})
	if err != nil {
		t.Fatal(err)
	}
	d.draining.Store(true)
	return d
}

// A stranger's connection is closed before a byte of it is read.
func TestGateAdmits(t *testing.T) {
	g, drops := testGate("refuse")
	for from, want := range map[string]bool{"198.51.100.7:5060": true, "203.0.113.66:5060": false} {
		if got := g.Admit("TCP", netip.AddrPort{}, netip.MustParseAddrPort(from)); got != want {
			t.Errorf("%s admitted: %v", from, got)
		}
	}
	if drops["stranger"] != 1 {
		t.Errorf("counted %v", drops)
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

func FuzzGate(f *testing.F) {
	f.Add([]byte(invite + "\r\n"))
	f.Add([]byte("SIP/2.0 200 OK\r\n\r\n"))
	f.Add([]byte(invite + "Content-Length: 3\r\n\r\nabcd"))
	d := trunkDoor(f)
	drops := d.deps.Metrics.(countedDrops)
	flow := transport.Flow{Transport: "UDP", Remote: netip.MustParseAddrPort("198.51.100.7:5060")}
	f.Fuzz(func(t *testing.T, in []byte) {
		d.gate.Receive(transport.Received{Flow: flow, Data: in, At: time.Now()})
		if drops["panic"] > 0 {
			t.Fatal("the gate panicked")
		}
	})
}
