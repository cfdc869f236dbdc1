package relay

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"
)

// call is a session with a phone on both sides.
type call struct {
	s           *Session
	caller, far *phone
}

// newCall opens a session; both peers' SDP names their sockets.
func newCall(t testing.TB, o Options) *call {
	t.Helper()
	c := &call{s: open(t, config(), o), caller: newPhone(t, "127.0.0.11"), far: newPhone(t, "127.0.0.12")}
	c.far.ssrc, c.far.seq, c.far.ts = 0xF0000000, 1000, 5000
	c.s.SetRemote(CallerSide, c.caller.addr(), c.caller.rtcpAddr())
	c.s.SetRemote(FarSide, c.far.addr(), c.far.rtcpAddr())
	return c
}

func TestRelayIsTransparent(t *testing.T) {
	c := newCall(t, Options{})
	toCaller, toFar := c.s.Addr(CallerSide), c.s.Addr(FarSide)
	if toCaller.Addr().String() != "127.0.0.1" || toFar.Addr().String() != "127.0.0.2" || toCaller.Port()%2+toFar.Port()%2 != 0 {
		t.Fatalf("addresses %s and %s", toCaller, toFar)
	}
	for i := range 200 {
		up := c.caller.next()
		if i%10 == 3 { // header extension, CSRC, marker, another payload type
			up[0], up[1] = 0x91, 0x80|101
			copy(up[16:], []byte{0xBE, 0xDE, 0, 2})
		}
		send(t, c.caller.rtp, up, toCaller)
		if got, src := receive(t, c.far.rtp, soon); !bytes.Equal(got, up) || src != toFar {
			t.Fatalf("packet %d: far side got %x from %s, want %x from %s", i, got, src, up, toFar)
		}
		down := c.far.say(toFar)
		if got, src := receive(t, c.caller.rtp, soon); !bytes.Equal(got, down) || src != toCaller {
			t.Fatalf("packet %d: caller got %x from %s, want %x from %s", i, got, src, down, toCaller)
		}
	}
	// RTCP goes both ways untouched, and so does what is no RTP.
	report := senderReport(0xA0000000, 1, 2, 3, time.Now(), "x")
	send(t, c.caller.rtcp, report, beside(toCaller))
	if got, src := receive(t, c.far.rtcp, soon); !bytes.Equal(got, report) || src != beside(toFar) {
		t.Errorf("far side's RTCP: %x from %s", got, src)
	}
	send(t, c.far.rtcp, report, beside(toFar))
	if got, _ := receive(t, c.caller.rtcp, soon); !bytes.Equal(got, report) {
		t.Errorf("caller's RTCP: %x", got)
	}
	fax := []byte{0, 7, 6, 1, 2, 3}
	send(t, c.caller.rtp, fax, toCaller)
	if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(got, fax) {
		t.Errorf("T.38 arrived as %x", got)
	}
	eventually(t, "figures are right", func() bool {
		st := c.s.Stats()
		return st.Caller.Packets == 200 && st.Caller.Bytes == 200*172 && st.Caller.Other == 1 && st.Caller.RTCP == 1 &&
			st.Caller.Sent == 200 && st.Far.Packets == 200 && st.Far.Sent == 201 && st.Caller.Lost == 0 &&
			st.Caller.Latched == c.caller.addr() && !st.Caller.First.IsZero() && st.Spliced == 0
	})
	if n := c.s.Idle(time.Now()); n > soon {
		t.Errorf("idle for %s", n)
	}
}

func TestTapHearsTheCallerOnly(t *testing.T) {
	for _, both := range []bool{false, true} {
		c := newCall(t, Options{TapHeard: both})
		before := time.Now()
		var said [][]byte
		for range 5 {
			said = append(said, c.caller.say(c.s.Addr(CallerSide)))
			c.far.hear()
			c.far.say(c.s.Addr(FarSide))
			c.caller.hear()
		}
		buf := make([]byte, maxPacket)
		for i, want := range said {
			got, at, ok := c.s.Tap().Next(buf)
			if !ok || !bytes.Equal(got, want) || at.Before(before) || at.After(time.Now()) {
				t.Fatalf("packet %d: %x at %s, %t", i, got, at, ok)
			}
		}
		if _, _, ok := c.s.Tap().Next(buf); ok {
			t.Error("more than the caller said")
		}
		if tap := c.s.HeardTap(); (tap != nil) != both {
			t.Errorf("far tap %v, asked for %t", tap, both)
		} else if both {
			n := 0
			for _, _, ok := tap.Next(buf); ok; _, _, ok = tap.Next(buf) {
				n++
			}
			if n != 5 {
				t.Errorf("%d packets of the far side", n)
			}
		}
		c.s.Close()
	}
}

// TestBehindNAT: the SDP's address is private; the source is learnt, no packet is
// lost over it, and the far side's audio finds the way back.
func TestBehindNAT(t *testing.T) {
	c := newCall(t, Options{})
	c.s.SetRemote(CallerSide, netip.MustParseAddrPort("127.0.0.99:4000"), netip.AddrPort{})
	var said [][]byte
	for range 4 {
		said = append(said, c.caller.say(c.s.Addr(CallerSide)))
	}
	for i, want := range said {
		if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(got, want) {
			t.Fatalf("packet %d: %x, want %x", i, got, want)
		}
	}
	c.far.say(c.s.Addr(FarSide))
	c.caller.hear()
	buf := make([]byte, maxPacket)
	for i, want := range said { // the analysis sees the very first too
		if got, _, ok := c.s.Tap().Next(buf); !ok || !bytes.Equal(got, want) {
			t.Fatalf("tapped packet %d: %x", i, got)
		}
	}
	// RTCP from the learnt host is taken, and answered to where it came from.
	report := senderReport(1, 1, 2, 3, time.Now(), "x")
	send(t, c.caller.rtcp, report, beside(c.s.Addr(CallerSide)))
	if got, _ := receive(t, c.far.rtcp, soon); got == nil {
		t.Error("the caller's RTCP was not relayed")
	}
	send(t, c.far.rtcp, report, beside(c.s.Addr(FarSide)))
	if got, _ := receive(t, c.caller.rtcp, soon); got == nil {
		t.Error("the far side's RTCP did not find the caller")
	}
	if st := c.s.Stats(); st.Caller.Latched != c.caller.addr() || st.Caller.Refused != 0 {
		t.Errorf("stats %+v", st.Caller)
	}
	// The same SDP again (a session refresh) forgets nothing.
	c.s.SetRemote(CallerSide, netip.MustParseAddrPort("127.0.0.99:4000"), netip.AddrPort{})
	c.far.say(c.s.Addr(FarSide))
	c.caller.hear()
}

// TestBleed: an intruder sprays both ports of the caller's side, before and
// during the call; it must neither hear nor be heard.
func TestBleed(t *testing.T) {
	c := newCall(t, Options{})
	evil := newPhone(t, "127.0.0.66")
	evil.ssrc = 0xE0000000
	to := c.s.Addr(CallerSide)
	c.caller.say(to)
	c.far.hear()
	for range 20 {
		evil.say(to)
		send(t, evil.rtp, []byte("no rtp at all"), to)
		send(t, evil.rtcp, senderReport(1, 1, 2, 3, time.Now(), "evil"), beside(to))
	}
	eventually(t, "all 60 were refused", func() bool {
		st := c.s.Stats().Caller
		return st.Refused == 40 && st.RefusedRTCP == 20
	})
	for range 5 {
		want := c.caller.say(to)
		if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(got, want) {
			t.Fatalf("far side got %x", got)
		}
		evil.say(to)
		c.far.say(c.s.Addr(FarSide))
		c.caller.hear()
	}
	evil.deaf("intruder")
	c.far.deaf("far side")
	if b, _ := receive(t, c.far.rtcp, quiet); b != nil {
		t.Errorf("the intruder's RTCP went through: %x", b)
	}
}

// TestBleedFirst: even who came before the caller, with a perfect stream, loses
// the call to the SDP's source.
func TestBleedFirst(t *testing.T) {
	c := newCall(t, Options{})
	evil := newPhone(t, "127.0.0.66")
	evil.ssrc = 0xE0000000
	for range 4 {
		evil.say(c.s.Addr(CallerSide))
	}
	for range 4 {
		c.far.hear()
	}
	for range 3 {
		c.caller.say(c.s.Addr(CallerSide))
	}
	for range 3 {
		if p := c.far.hear(); p.SSRC != c.caller.ssrc {
			t.Fatalf("far side hears %x", p.SSRC)
		}
	}
	c.far.say(c.s.Addr(FarSide))
	c.caller.hear()
	evil.deaf("intruder")
}

func TestHold(t *testing.T) {
	c := newCall(t, Options{})
	c.caller.say(c.s.Addr(CallerSide))
	c.far.hear()
	c.s.SetRemote(CallerSide, netip.MustParseAddrPort("0.0.0.0:4000"), netip.AddrPort{})
	c.far.say(c.s.Addr(FarSide))
	c.caller.deaf("on hold by 0.0.0.0")
	c.s.SetRemote(CallerSide, c.caller.addr(), c.caller.rtcpAddr())
	c.far.say(c.s.Addr(FarSide))
	c.caller.hear()
}

// TestHoldBehindNAT: a peer that is not where its SDP says is on hold by
// c=0.0.0.0, plays music meanwhile, and comes back: it is heard all the time and
// hears nothing on hold, and neither has to be learnt anew.
func TestHoldBehindNAT(t *testing.T) {
	c := newCall(t, Options{})
	inside := netip.MustParseAddrPort("127.0.0.77:4000")
	c.s.SetRemote(CallerSide, inside, netip.AddrPort{})
	for range 10 {
		c.caller.say(c.s.Addr(CallerSide))
	}
	for range 10 {
		c.far.hear()
	}
	c.far.say(c.s.Addr(FarSide))
	c.caller.hear()
	c.s.SetRemote(CallerSide, netip.MustParseAddrPort("0.0.0.0:4000"), netip.AddrPort{})
	c.caller.say(c.s.Addr(CallerSide)) // music
	c.far.hear()
	c.far.say(c.s.Addr(FarSide))
	c.caller.deaf("on hold by 0.0.0.0")
	c.s.SetRemote(CallerSide, inside, netip.AddrPort{})
	c.far.say(c.s.Addr(FarSide))
	c.caller.hear()
	c.caller.say(c.s.Addr(CallerSide))
	c.far.hear()
}

// TestSwitch: the far side is replaced under the caller, who hears one stream.
func TestSwitch(t *testing.T) {
	c := newCall(t, Options{TapHeard: true})
	var last uint16
	var lastTS uint32
	for range 3 {
		c.far.say(c.s.Addr(FarSide))
		p := c.caller.hear()
		last, lastTS = p.Seq, p.Timestamp
	}
	at := time.Now()
	f, err := c.s.PrepareFar(false)
	if err != nil {
		t.Fatal(err)
	}
	if f.Addr() == c.s.Addr(FarSide) {
		t.Fatalf("the new far side has the old one's ports: %s", f.Addr())
	}
	bot := newPhone(t, "127.0.0.13")
	bot.ssrc, bot.seq, bot.ts = 0xB0000000, 65535, 0xFFFFFFF0
	f.SetRemote(bot.addr(), bot.rtcpAddr())
	bot.say(f.Addr())
	eventually(t, "the prepared far side is received", func() bool { return f.Stats().Packets == 1 })
	c.caller.deaf("before the switch")
	old, oldAddr := c.s.Far(), c.s.Addr(FarSide)
	if err := c.s.Switch(f); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		sent := bot.say(f.Addr())
		p := c.caller.hear()
		if p.SSRC != c.far.ssrc || p.Seq != last+1 || p.Marker != (i == 0) || !bytes.Equal(p.Payload, sent[12:]) {
			t.Fatalf("packet %d: ssrc %x seq %d after %d marker %t", i, p.SSRC, p.Seq, last, p.Marker)
		}
		step := p.Timestamp - lastTS
		if i == 0 {
			if passed := uint32(time.Since(at).Milliseconds() * 8); step < 160 || step > passed+160 {
				t.Errorf("timestamp moved by %d in %d", step, passed)
			}
		} else if step != 160 {
			t.Errorf("packet %d: timestamp moved by %d", i, step)
		}
		last, lastTS = p.Seq, p.Timestamp
	}
	// The caller is heard by the new far side only, untouched.
	up := c.caller.say(c.s.Addr(CallerSide))
	if got, _ := receive(t, bot.rtp, soon); !bytes.Equal(got, up) {
		t.Errorf("new far side got %x", got)
	}
	c.far.deaf("replaced far side")
	c.far.say(oldAddr)
	c.caller.deaf("from the replaced far side")
	// A new SSRC within the new far side is spliced too.
	bot.ssrc, bot.seq, bot.ts = 0xB1111111, 9, 77
	bot.say(f.Addr())
	if p := c.caller.hear(); p.SSRC != c.far.ssrc || p.Seq != last+1 || !p.Marker {
		t.Errorf("after its change of SSRC: ssrc %x seq %d after %d", p.SSRC, p.Seq, last)
	}
	// Reports speak of the streams that each side knows.
	send(t, bot.rtcp, senderReport(bot.ssrc, bot.ts, 1, 160, time.Now(), "bot"), beside(f.Addr()))
	if b, _ := receive(t, c.caller.rtcp, soon); b == nil || b[4] != 0xF0 {
		t.Errorf("sender report to the caller: %x", b)
	}
	if st := c.s.Stats(); st.Spliced != 2 || st.Far.Local != f.Addr() {
		t.Errorf("stats %+v", st)
	}
	if old.Stats().Packets != 3 {
		t.Errorf("the old far side's figures: %+v", old.Stats())
	}
	if err := c.s.Switch(old); !errors.Is(err, ErrGone) {
		t.Errorf("switch back to a closed far side: %v", err)
	}
	if err := c.s.Drop(f); err == nil {
		t.Error("the far side in use was dropped")
	}
	g, err := c.s.PrepareFar(false)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.s.Drop(g); err != nil {
		t.Error(err)
	}
	if err := c.s.Drop(g); err != nil {
		t.Errorf("dropped twice: %v", err)
	}
}

func TestPlay(t *testing.T) {
	c := newCall(t, Options{})
	sp, err := c.s.Play(8)
	if err != nil {
		t.Fatal(err)
	}
	voice := bytes.Repeat([]byte{0xD5}, 160)
	say := func(position uint32) {
		t.Helper()
		if err := sp.Send(voice, position, 160); err != nil {
			t.Fatal(err)
		}
	}
	say(0)
	first := c.caller.hear()
	say(160)
	second := c.caller.hear()
	say(1600) // held up
	third := c.caller.hear()
	if !first.Marker || second.Marker || !third.Marker || first.PayloadType != 8 || !bytes.Equal(first.Payload, voice) {
		t.Errorf("markers %t %t %t, payload type %d", first.Marker, second.Marker, third.Marker, first.PayloadType)
	}
	if second.Seq != first.Seq+1 || third.Seq != first.Seq+2 || second.Timestamp != first.Timestamp+160 || third.Timestamp != first.Timestamp+1600 {
		t.Errorf("%+v, %+v, %+v", first, second, third)
	}
	// The far side is received meanwhile, but not heard; the caller goes through.
	c.far.say(c.s.Addr(FarSide))
	eventually(t, "paused", func() bool { return c.s.Stats().Paused == 1 })
	c.caller.deaf("far side, while Portero speaks")
	up := c.caller.say(c.s.Addr(CallerSide))
	if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(got, up) {
		t.Errorf("far side got %x", got)
	}
	// Another speaker takes over; the first has no voice, and cannot close the second's.
	two, err := c.s.Play(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := sp.Send(voice, 1760, 160); !errors.Is(err, ErrSilenced) {
		t.Errorf("the first speaker: %v", err)
	}
	_ = sp.Close()
	if err := two.Send(voice, 0, 160); err != nil {
		t.Fatal(err)
	}
	p := c.caller.hear()
	if p.SSRC != first.SSRC || p.Seq != third.Seq+1 || !p.Marker || int32(p.Timestamp-third.Timestamp) < 160 {
		t.Errorf("second speaker: %+v after %+v", p, third)
	}
	// And the far side follows in the same stream.
	_ = two.Close()
	c.far.say(c.s.Addr(FarSide))
	q := c.caller.hear()
	if q.SSRC != first.SSRC || q.Seq != p.Seq+1 || !q.Marker || int32(q.Timestamp-p.Timestamp) < 160 {
		t.Errorf("far side: %+v after %+v", q, p)
	}
	if err := two.Send(make([]byte, maxSpoken+1), 0, 0); err == nil || errors.Is(err, ErrSilenced) {
		t.Errorf("too long a payload: %v", err)
	}
	if _, err := c.s.Play(128); err == nil {
		t.Error("payload type 128 was taken")
	}
	c.s.Close()
	if _, err := c.s.Play(0); !errors.Is(err, ErrClosed) {
		t.Errorf("play after close: %v", err)
	}
	if _, err := c.s.PrepareFar(false); !errors.Is(err, ErrClosed) {
		t.Errorf("prepare after close: %v", err)
	}
}

func TestExhaustion(t *testing.T) {
	cfg := config()
	cfg.CallerAddress, cfg.FarAddress = "127.0.0.4", ""
	cfg.Ports = Ports{Min: 22000, Max: 22005, Rest: time.Minute} // three pairs
	r, err := New(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a, err := r.Open("a", Options{})
	if err != nil {
		t.Fatal(err)
	}
	// The second call finds one pair of the two it needs, and must give it back.
	if _, err := r.Open("b", Options{}); !errors.Is(err, ErrNoPorts) {
		t.Fatalf("second call: %v", err)
	}
	if l := r.Load(); l.Sessions != 1 || l.Pairs != 2 || l.Limit != 3 {
		t.Errorf("load %+v", l)
	}
	f, err := a.PrepareFar(false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.PrepareFar(false); !errors.Is(err, ErrNoPorts) {
		t.Errorf("a fourth pair: %v", err)
	}
	if err := a.Switch(f); err != nil {
		t.Fatal(err)
	}
	a.Close()
	a.Close()
	if l := r.Load(); l.Sessions != 0 || l.Pairs != 0 {
		t.Errorf("load after close %+v", l)
	}
	if _, err := r.Open("c", Options{}); err != nil {
		t.Errorf("after close: %v", err)
	}
	_ = r.Close()
	if _, err := r.Open("d", Options{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after the relay closed: %v", err)
	}
}

// Between IPv4 and IPv6, either way, every byte comes out as it went in; each side
// gets an address of the version it speaks.
func TestBetweenIPVersions(t *testing.T) {
	cfg := config()
	cfg.FarAddress, cfg.CallerAddress6 = "", "::1"
	for _, v := range []struct {
		name        string
		caller, far bool // IPv6
	}{{"4 to 6", false, true}, {"6 to 4", true, false}, {"6 to 6", true, true}} {
		t.Run(v.name, func(t *testing.T) {
			host := map[bool]string{false: "127.0.0.11", true: "::1"}
			s := open(t, cfg, Options{IPv6: v.caller, FarIPv6: v.far})
			caller, far := newPhone(t, host[v.caller]), newPhone(t, host[v.far])
			if s.Addr(CallerSide).Addr().Is6() != v.caller || s.Addr(FarSide).Addr().Is6() != v.far {
				t.Fatalf("addresses %s and %s", s.Addr(CallerSide), s.Addr(FarSide))
			}
			if !s.Far().Suits(v.far) || s.Far().Suits(!v.far) {
				t.Error("the far side does not know its IP version")
			}
			s.SetRemote(CallerSide, caller.addr(), netip.AddrPort{})
			s.SetRemote(FarSide, far.addr(), far.rtcpAddr())
			for range 5 {
				up := caller.say(s.Addr(CallerSide))
				if got, src := receive(t, far.rtp, soon); !bytes.Equal(got, up) || src != s.Addr(FarSide) {
					t.Fatalf("far side got %x from %s", got, src)
				}
				down := far.say(s.Addr(FarSide))
				if got, _ := receive(t, caller.rtp, soon); !bytes.Equal(got, down) {
					t.Fatalf("caller got %x", got)
				}
			}
			report := senderReport(caller.ssrc, 1, 2, 3, time.Now(), "x")
			send(t, caller.rtcp, report, beside(s.Addr(CallerSide)))
			if got, _ := receive(t, far.rtcp, soon); !bytes.Equal(got, report) {
				t.Errorf("far side's RTCP: %x", got)
			}
			next, err := s.PrepareFar(!v.far)
			if err != nil {
				t.Fatal(err)
			}
			other := newPhone(t, host[!v.far])
			next.SetRemote(other.addr(), netip.AddrPort{})
			if err := s.Switch(next); err != nil {
				t.Fatal(err)
			}
			up := caller.say(s.Addr(CallerSide))
			if got, _ := receive(t, other.rtp, soon); !bytes.Equal(got, up) {
				t.Fatalf("the next far side, of the other version, got %x", got)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	c := newCall(t, Options{})
	start := c.s.start
	if c.s.TimedOut(start.Add(29*time.Second)) || !c.s.TimedOut(start.Add(31*time.Second)) {
		t.Error("initial timeout is not 30 s")
	}
	c.caller.say(c.s.Addr(CallerSide))
	c.far.hear()
	last := c.s.Stats().Caller.Last
	if c.s.TimedOut(last.Add(14*time.Second)) || !c.s.TimedOut(last.Add(16*time.Second)) {
		t.Error("running timeout is not 15 s")
	}
}

// TestCloseUnderLoad: sessions close while both sides send, switch and speak.
func TestCloseUnderLoad(t *testing.T) {
	for range 5 {
		c := newCall(t, Options{TapHeard: true})
		stop := make(chan struct{})
		done := make(chan struct{}, 3)
		toCaller, toFar := c.s.Addr(CallerSide), c.s.Addr(FarSide)
		for _, p := range []struct {
			*phone
			to netip.AddrPort
		}{{c.caller, toCaller}, {c.far, toFar}} {
			go func() {
				defer func() { done <- struct{}{} }()
				for {
					select {
					case <-stop:
						return
					default:
						_, _ = p.rtp.WriteToUDPAddrPort(p.next(), p.to)
						time.Sleep(100 * time.Microsecond)
					}
				}
			}()
		}
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if f, err := c.s.PrepareFar(false); err == nil {
					f.SetRemote(c.far.addr(), netip.AddrPort{})
					_ = c.s.Switch(f)
				}
				if sp, err := c.s.Play(0); err == nil {
					_ = sp.Send(make([]byte, 160), 0, 160)
					_ = sp.Close()
				}
				_ = c.s.Stats()
			}
		}()
		time.Sleep(20 * time.Millisecond)
		c.s.Close()
		close(stop)
		for range 3 {
			<-done
		}
		if p := c.s.Stats(); p.Caller.Packets == 0 {
			t.Error("nothing was relayed")
		}
	}
}
