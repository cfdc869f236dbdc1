package webrtc

import (
	"bytes"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/stun/v4"
	pion "github.com/pion/webrtc/v4"
	"go.uber.org/zap"
)

// packet is 20 ms of µ-law.
func packet(seq uint16) *rtp.Packet {
	payload := make([]byte, 160)
	for i := range payload {
		payload[i] = byte(int(seq)*7 + i)
	}
	return &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 0, SequenceNumber: seq, Timestamp: uint32(seq) * 160, SSRC: 0xFA00FA00}, Payload: payload}
}

// ears is what a peer has heard.
type ears struct {
	mu  sync.Mutex
	rtp []rtp.Packet
	ctl [][]byte
	src netip.AddrPort
}

func listenTo(p *Peer) *ears {
	e := &ears{}
	p.Watch(func(b []byte, src netip.AddrPort, _ int64) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.src = src
		if isRTCP(b) {
			e.ctl = append(e.ctl, bytes.Clone(b))
			return
		}
		var q rtp.Packet
		if q.Unmarshal(bytes.Clone(b)) == nil {
			e.rtp = append(e.rtp, q)
		}
	})
	return e
}

func (e *ears) packets() []rtp.Packet {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]rtp.Packet(nil), e.rtp...)
}

// What a browser sends arrives as it made it, and it hears what it is sent with
// the numbers and times that it was given.
func TestBrowser(t *testing.T) {
	m := newMux(t)
	c, p := called(t, m)
	e := listenTo(p)
	for seq := range uint16(20) {
		if err := c.out.WriteRTP(packet(65530 + seq)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "20 packets are heard", func() bool { return len(e.packets()) == 20 })
	for i, q := range e.packets() {
		want := packet(65530 + uint16(i))
		if q.SequenceNumber != want.SequenceNumber || q.Timestamp != want.Timestamp || !bytes.Equal(q.Payload, want.Payload) {
			t.Fatalf("packet %d came as %v", i, q.Header)
		}
	}
	if err := c.pc.WriteRTCP([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 7}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "RTCP is heard", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return len(e.ctl) > 0 })

	down, _ := packet(1000).Marshal()
	eventually(t, "the browser hears", func() bool {
		if err := p.Send(down); err != nil && !errors.Is(err, errRepeated) {
			t.Fatal(err)
		}
		select {
		case got := <-c.heard:
			if !bytes.Equal(got, down) {
				t.Fatalf("the browser heard %x, sent was %x", got, down)
			}
			return true
		default:
			return false
		}
	})
	if err := p.Lost(time.Time{}, time.Now()); err != nil {
		t.Errorf("lost: %v", err)
	}
	if err := p.Lost(time.Time{}, time.Now().Add(consent+time.Second)); err == nil {
		t.Error("a browser that is heard nothing of is not lost")
	}
}

// A browser that closes its connection has left.
func TestBrowserLeaves(t *testing.T) {
	m := newMux(t)
	c, p := called(t, m)
	c.close()
	eventually(t, "the browser has left", func() bool { return p.Lost(time.Now(), time.Now()) != nil })
}

// Nobody but the holder of the certificate in the SDP gets keys.
func TestFingerprint(t *testing.T) {
	m := newMux(t)
	p, err := m.Open(zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := newClient(t, pion.MimeTypePCMU)
	r := c.offer(false)
	r.Fingerprints = []string{m.fingerprint} // somebody else's
	if err := p.Know(r); err != nil {
		t.Fatal(err)
	}
	c.answer(p)
	eventually(t, "the handshake is refused", func() bool { return errors.Is(p.Lost(time.Now(), time.Now()), ErrFingerprint) })
	if err := p.Send(make([]byte, 12)); !errors.Is(err, ErrNoWay) {
		t.Errorf("sending to it: %v", err)
	}
}

// A restart of ICE (RFC 8445 section 9) has new credentials and keeps the keys;
// one that comes to nothing leaves the way that there was.
func TestICERestart(t *testing.T) {
	m := newMux(t)
	c, p := called(t, m)
	e := listenTo(p)
	before := p.Local()
	if err := p.Know(Remote{Ufrag: "neverseen", Pwd: "aaaaaaaaaaaaaaaaaaaaaaaa", Fingerprints: p.remote.Fingerprints}); err != nil {
		t.Fatal(err)
	}
	if err := c.out.WriteRTP(packet(1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the old way serves", func() bool { return len(e.packets()) == 1 })
	if err := p.Know(c.offer(true)); err != nil {
		t.Fatal(err)
	}
	now := p.Local()
	if now.Ufrag == before.Ufrag || now.Pwd == before.Pwd || now.Fingerprint != before.Fingerprint {
		t.Errorf("credentials before %+v, now %+v", before, now)
	}
	c.answer(p)
	eventually(t, "a pair is nominated under the new credentials", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.nominated && p.before == credentials{}
	})
	if n := m.Browsers(); n != 1 {
		t.Errorf("%d browsers", n)
	}
	seq := uint16(2)
	eventually(t, "media goes on", func() bool {
		_ = c.out.WriteRTP(packet(seq))
		seq++
		return len(e.packets()) > 1
	})
	if p.tried != 1 {
		t.Errorf("%d handshakes", p.tried)
	}
}

// When Portero offers, the browser answers with the active role.
func TestPorteroOffers(t *testing.T) {
	m := newMux(t)
	p, err := m.Open(zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	e := listenTo(p)
	c := newClient(t, pion.MimeTypePCMA)
	if err := c.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeOffer, SDP: description(p, "actpass")}); err != nil {
		t.Fatal(err)
	}
	a, err := c.pc.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.pc.SetLocalDescription(a); err != nil {
		t.Fatal(err)
	}
	if err := p.Know(remoteIn(a.SDP)); err != nil {
		t.Fatal(err)
	}
	c.connected()
	seq := uint16(0)
	eventually(t, "the browser is heard", func() bool {
		_ = c.out.WriteRTP(packet(seq))
		seq++
		return len(e.packets()) > 0
	})
}

// Whoever has not the password of a call is told nothing, and its media is
// nobody's.
func TestStrangers(t *testing.T) {
	m := newMux(t)
	c, p := called(t, m)
	e := listenTo(p)
	stranger := newStrangerTo(t, p.Addr())
	good := check(t, p.Local().Ufrag+":"+p.remote.Ufrag, p.Local().Pwd)
	for name, b := range map[string][]byte{
		"nobody's fragment":   check(t, "nobody:x", p.Local().Pwd),
		"another's fragment":  check(t, p.Local().Ufrag+":other", p.Local().Pwd),
		"another password":    check(t, p.Local().Ufrag+":"+p.remote.Ufrag, "not the password"),
		"no username":         check(t, "", p.Local().Pwd),
		"cut":                 good[:len(good)-9],
		"a byte changed":      append(append([]byte{}, good[:30]...), append([]byte{good[30] ^ 1}, good[31:]...)...),
		"no STUN":             {0, 1, 2, 3},
		"one byte":            {0},
		"DTLS of a stranger":  {22, 254, 253, 0},
		"media of a stranger": append([]byte{0x80, 0}, make([]byte, 200)...),
	} {
		if stranger.ask(b) != nil {
			t.Errorf("%s: answered", name)
		}
	}
	if stranger.ask(good) == nil {
		t.Error("the right password is not answered")
	}
	if err := c.out.WriteRTP(packet(1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the browser is heard", func() bool { return len(e.packets()) == 1 })
	// Even who has the password has not the keys.
	stranger.send(append([]byte{0x80, 0}, make([]byte, 200)...))
	if err := c.out.WriteRTP(packet(2)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the browser is heard", func() bool { return len(e.packets()) == 2 })
}

// Checks that a lite agent must refuse, and say why.
func TestRefusedChecks(t *testing.T) {
	m := newMux(t)
	_, p := called(t, m)
	s := newStrangerTo(t, p.Addr())
	user, pwd := p.Local().Ufrag+":"+p.remote.Ufrag, p.Local().Pwd
	for name, tc := range map[string]struct {
		attribute stun.AttrType
		code      stun.ErrorCode
	}{
		"the peer thinks to be controlled": {stun.AttrICEControlled, stun.CodeRoleConflict},
		"what must be understood is not":   {0x7FFF, stun.CodeUnknownAttribute},
	} {
		t.Run(name, func(t *testing.T) {
			b := s.ask(check(t, user, pwd, stun.RawAttribute{Type: tc.attribute, Value: make([]byte, 8)}))
			res := &stun.Message{Raw: b}
			if err := res.Decode(); err != nil {
				t.Fatal(err)
			}
			var code stun.ErrorCodeAttribute
			if err := code.GetFrom(res); err != nil || code.Code != tc.code || res.Type != stun.BindingError {
				t.Errorf("answered %s, code %d (%v)", res.Type, code.Code, err)
			}
			if err := stun.NewShortTermIntegrity(pwd).Check(res); err != nil {
				t.Error(err)
			}
		})
	}
}

// A browser that comes from ever other addresses takes no more room for it.
func TestManySources(t *testing.T) {
	m := newMux(t)
	c, p := called(t, m)
	e := listenTo(p)
	good := check(t, p.Local().Ufrag+":"+p.remote.Ufrag, p.Local().Pwd)
	for range 3 * maxSources {
		s := newStrangerTo(t, p.Addr())
		eventually(t, "an answer", func() bool { return s.ask(good) != nil })
	}
	// The browser's own address was forgotten until its next check.
	seq := uint16(1)
	eventually(t, "the browser is heard", func() bool {
		_ = c.out.WriteRTP(packet(seq))
		seq++
		return len(e.packets()) > 0
	})
	_ = m.Close()
	for _, s := range m.sockets {
		if n := len(s.known); n > maxSources {
			t.Errorf("%d addresses are known", n)
		}
	}
}

// FuzzPacket gives the reader anything, of a stranger and of the browser.
func FuzzPacket(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add(append([]byte{0x80, 0}, make([]byte, 170)...))
	f.Add(append([]byte{0x80, 200}, make([]byte, 40)...))
	m, err := New(Config{Listen: []string{"127.0.83.1:0"}}, zap.NewNop())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = m.Close() })
	_, p, _ := keyedPeer(f, m, profiles[0])
	p.now = credentials{"ufrag", "passwordpasswordpassword"}
	m.register("ufrag", p)
	f.Add(check(f, "ufrag:theirs", "passwordpasswordpassword"))
	s := &socket{m: m, conn: m.sockets[0].conn, known: map[netip.AddrPort]*Peer{}, from: map[*Peer][]netip.AddrPort{}}
	src := netip.MustParseAddrPort("127.0.83.9:9")
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > maxPacket {
			return
		}
		for _, known := range []bool{false, true} {
			if known {
				s.know(src, p)
			}
			s.serve(b, src, 0)
		}
		delete(s.known, src)
		delete(s.from, p)
	})
}

// 50 browsers come, talk and go, and leave nothing behind.
func TestManyBrowsers(t *testing.T) {
	m := newMux(t, "127.0.83.1:0", "127.0.83.2:0")
	const calls = 50
	var wg sync.WaitGroup
	limit := make(chan struct{}, 5) // handshakes are dear, and the machine is shared
	for i := range calls {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			c, p := called(t, m)
			e := listenTo(p)
			seq := uint16(i)
			eventually(t, "the browser is heard", func() bool {
				_ = c.out.WriteRTP(packet(seq))
				seq++
				return len(e.packets()) > 0
			})
			if i%2 == 0 {
				c.close()
			}
			p.Close()
			c.close()
		})
	}
	wg.Wait()
	if got := m.Counts(); got != (Counts{Opened: calls, Secured: calls}) {
		t.Errorf("in the end %+v", got)
	}
	// The readers forget when the next packet comes.
	for _, s := range m.sockets {
		eventually(t, "the reader has forgotten", func() bool {
			newStrangerTo(t, s.addr).send([]byte{0})
			return !s.left.Load()
		})
	}
}
