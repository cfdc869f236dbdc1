package relay

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/media/codec"
)

// An attacker who sprays every port of the range with perfect streams, while
// calls go on and before their first packets, neither hears nor speaks.
func TestSprayEveryPort(t *testing.T) {
	cfg := config()
	cfg.CallerAddress, cfg.FarAddress = "127.0.0.7", ""
	cfg.Ports = Ports{Min: 23000, Max: 23199, Rest: time.Second}
	r, err := New(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // says nothing
	var calls []*call
	for range 10 {
		s, err := r.Open("spray@call", Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := &call{s: s, caller: newPhone(t, "127.0.0.11"), far: newPhone(t, "127.0.0.12")}
		s.SetRemote(CallerSide, c.caller.addr(), c.caller.rtcpAddr())
		s.SetRemote(FarSide, c.far.addr(), c.far.rtcpAddr())
		c.caller.say(s.Addr(CallerSide))
		c.far.hear()
		c.far.say(s.Addr(FarSide))
		c.caller.hear()
		calls = append(calls, c)
	}
	evil := newPhone(t, "127.0.0.66")
	evil.ssrc = 0xE0000000
	for range 5 { // in the direction of each port five packets of one stream, and RTCP
		b := evil.next()
		for port := cfg.Ports.Min; port <= cfg.Ports.Max; port++ {
			to := netip.AddrPortFrom(netip.MustParseAddr(cfg.CallerAddress), uint16(port))
			send(t, evil.rtp, b, to)
			send(t, evil.rtcp, senderReport(evil.ssrc, 1, 2, 3, time.Now(), "evil"), to)
		}
	}
	for _, c := range calls {
		eventually(t, "the spray has come", func() bool {
			st := c.s.Stats()
			return st.Caller.Refused == 10 && st.Far.Refused == 10 && st.Caller.RefusedRTCP == 10 && st.Far.RefusedRTCP == 10
		})
		up := c.caller.say(c.s.Addr(CallerSide))
		if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(got, up) {
			t.Fatalf("after the spray the far side hears %x", got)
		}
		down := c.far.say(c.s.Addr(FarSide))
		if got, _ := receive(t, c.caller.rtp, soon); !bytes.Equal(got, down) {
			t.Fatalf("after the spray the caller hears %x", got)
		}
	}
	evil.deaf("the attacker")
	for _, p := range []*phone{calls[0].caller, calls[0].far} {
		if b, _ := receive(t, p.rtcp, time.Millisecond); b != nil {
			t.Errorf("RTCP of the attacker: %x", b)
		}
	}
}

// Who knows the stream's SSRC but not where its sequence stands does not get it;
// who continues it (the caller's NAT took another port) does.
func TestInjection(t *testing.T) {
	c := newCall(t, Options{})
	to := c.s.Addr(CallerSide)
	for range 5 {
		c.caller.say(to)
		c.far.hear()
	}
	evil := newPhone(t, "127.0.0.66")
	evil.ssrc, evil.seq, evil.ts = c.caller.ssrc, c.caller.seq+2000, c.caller.ts
	for range 10 {
		evil.say(to)
	}
	evil.ssrc, evil.seq = c.caller.ssrc, c.caller.seq-200
	for range 10 {
		evil.say(to)
	}
	evil.ssrc, evil.seq = c.caller.ssrc+1, c.caller.seq
	for range 10 {
		evil.say(to)
	}
	eventually(t, "all were refused", func() bool { return c.s.Stats().Caller.Refused == 30 })
	c.far.deaf("the far side")
	moved := newPhone(t, "127.0.0.11")
	moved.ssrc, moved.seq, moved.ts = c.caller.ssrc, c.caller.seq, c.caller.ts
	for range 3 {
		moved.say(to)
	}
	for range 3 {
		c.far.hear()
	}
	c.far.say(c.s.Addr(FarSide))
	moved.hear()
}

// Each side may speak another codec and packet time than it hears: nothing is
// looked at, every byte passes.
func TestAsymmetricCodecs(t *testing.T) {
	c := newCall(t, Options{})
	for i, size := range []int{80, 160, 240, 320, 480, 33, 0, 1200} { // 10 to 60 ms of G.711, GSM, nothing, much
		up, down := c.caller.next(), c.far.next()
		up = append(up[:12], bytes.Repeat([]byte{byte(i)}, size)...)
		down = append(down[:12], bytes.Repeat([]byte{byte(i), 7}, size/3)...)
		up[1], down[1] = 8, byte(96+i)
		send(t, c.caller.rtp, up, c.s.Addr(CallerSide))
		send(t, c.far.rtp, down, c.s.Addr(FarSide))
		if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(got, up) {
			t.Errorf("up %d: %x", size, got)
		}
		if got, _ := receive(t, c.caller.rtp, soon); !bytes.Equal(got, down) {
			t.Errorf("down %d: %x", size, got)
		}
	}
}

// The stream goes on after a change of the far side at every packet time.
func TestSwitchPacketTimes(t *testing.T) {
	for _, ms := range []int{10, 20, 30, 40, 60} {
		c := newCall(t, Options{})
		step := uint32(8 * ms)
		speak := func(p *phone, to netip.AddrPort) {
			b := append(p.next()[:12], make([]byte, step)...)
			p.ts += step - 160
			send(t, p.rtp, b, to)
		}
		var last codec.RTP
		for range 3 {
			speak(c.far, c.s.Addr(FarSide))
			last = c.caller.hear()
		}
		f, err := c.s.PrepareFar(false)
		if err != nil {
			t.Fatal(err)
		}
		next := newPhone(t, "127.0.0.13")
		next.ssrc = 7
		f.SetRemote(next.addr(), next.rtcpAddr())
		if err := c.s.Switch(f); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			speak(next, f.Addr())
			p := c.caller.hear()
			d := p.Timestamp - last.Timestamp
			if p.SSRC != last.SSRC || p.Seq != last.Seq+1 || d < step || i > 0 && d != step {
				t.Errorf("%d ms, packet %d: SSRC %x, sequence +%d, timestamp +%d", ms, i, p.SSRC, p.Seq-last.Seq, d)
			}
			last = p
		}
	}
}

// The far side is replaced while everybody speaks: the caller hears the old one up
// to the change and the new one from it on, in one stream without a hole; what he
// says reaches one of the two.
func TestSwitchInMidSpeech(t *testing.T) {
	c := newCall(t, Options{})
	f, err := c.s.PrepareFar(false)
	if err != nil {
		t.Fatal(err)
	}
	next := newPhone(t, "127.0.0.13")
	next.ssrc = 7
	f.SetRemote(next.addr(), next.rtcpAddr())
	toCaller, toOld, toNew := c.s.Addr(CallerSide), c.s.Addr(FarSide), f.Addr()
	const packets, change = 160, 80 // which a socket holds
	changed := make(chan struct{})
	var wg sync.WaitGroup
	for _, x := range []struct {
		p  *phone
		to netip.AddrPort
	}{{c.caller, toCaller}, {c.far, toOld}, {next, toNew}} {
		wg.Go(func() {
			for n := range packets {
				if n == change && x.p == c.far {
					close(changed)
				}
				b := x.p.next()
				binary.BigEndian.PutUint32(b[12:], uint32(n))
				binary.BigEndian.PutUint32(b[16:], x.p.ssrc)
				_, _ = x.p.rtp.WriteToUDPAddrPort(b, x.to)
				time.Sleep(time.Millisecond)
			}
		})
	}
	<-changed
	before := c.s.Far().Stats().Packets
	if err := c.s.Switch(f); err != nil {
		t.Fatal(err)
	}
	after := f.Stats().Packets
	wg.Wait()
	var heard []codec.RTP
	for {
		b, _ := receive(t, c.caller.rtp, quiet)
		if b == nil {
			break
		}
		p, err := codec.ParseRTP(b)
		if err != nil {
			t.Fatal(err)
		}
		heard = append(heard, p)
	}
	old, first, fresh := 0, -1, 0
	for i, p := range heard {
		if i > 0 && (p.SSRC != heard[0].SSRC || p.Seq != heard[i-1].Seq+1) {
			t.Errorf("packet %d: SSRC %x, sequence +%d", i, p.SSRC, p.Seq-heard[i-1].Seq)
		}
		n, ofNew := int(binary.BigEndian.Uint32(p.Payload)), binary.BigEndian.Uint32(p.Payload[4:]) == next.ssrc
		switch {
		case !ofNew && first < 0 && n == old:
			old++
		case ofNew && first < 0:
			first, fresh = n, n+1
		case ofNew && n == fresh:
			fresh++
		default:
			t.Fatalf("packet %d is number %d of the new far side: %t, after %d and %d", i, n, ofNew, old, fresh)
		}
	}
	if old < int(before) || fresh != packets || first > int(after)+1 {
		t.Errorf("heard %d of the old far side, which had sent %d at the change, and of the new one from %d to %d, at the change %d", old, before, first, fresh, after)
	}
	said := 0
	for _, p := range []*phone{c.far, next} {
		for {
			b, _ := receive(t, p.rtp, quiet)
			if b == nil {
				break
			}
			if n := int(binary.BigEndian.Uint32(b[12:])); n != said {
				t.Fatalf("the caller's packet %d after %d", n, said)
			}
			said++
		}
	}
	if said < packets-1 { // one may be on its way out by the socket that is closed
		t.Errorf("%d of the caller's %d packets were heard", said, packets)
	}
}

// An analysis that is stuck delays nobody: packets pass, what it misses is
// counted, and what it finds later is whole.
func TestStuckAnalysis(t *testing.T) {
	c := newCall(t, Options{TapHeard: true})
	const packets = 1000 // of 184 bytes in a ring of 32768
	for range packets {
		up := c.caller.say(c.s.Addr(CallerSide))
		if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(got, up) {
			t.Fatalf("far side got %x", got)
		}
		down := c.far.say(c.s.Addr(FarSide))
		if got, _ := receive(t, c.caller.rtp, soon); !bytes.Equal(got, down) {
			t.Fatalf("caller got %x", got)
		}
	}
	kept := 0
	for buf := make([]byte, maxPacket); ; kept++ {
		b, _, ok := c.s.Tap().Next(buf)
		if !ok {
			break
		}
		if p, err := codec.ParseRTP(b); err != nil || len(p.Payload) != 160 {
			t.Fatalf("kept %x: %v", b, err)
		}
	}
	if dropped := c.s.Stats().Dropped; kept < 100 || uint64(kept)+dropped != packets {
		t.Errorf("%d packets were kept, %d dropped of %d", kept, dropped, packets)
	}
}
