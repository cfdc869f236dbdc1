package replay

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portero/portero/sip/transport"
)

// Requests of the caller's own accord come at their recorded times.
func TestCues(t *testing.T) {
	calls := newTape(t).say(
		"> INVITE|"+head("1 INVITE", "")+"||sdp", "< 200|"+head("1 INVITE", "b1")+"||SDP", "> ACK|"+head("1 ACK", "b1"), "+400ms",
		"> INFO|"+head("2 INFO", "b1")+"|Content-Type: application/dtmf-relay||Signal=5\r\n", "< 200|"+head("2 INFO", "b1"), "+400ms",
		"> INVITE|"+head("3 INVITE", "b1")+"||sdp", "< 200|"+head("3 INVITE", "b1")+"||SDP", "> ACK|"+head("3 ACK", "b1"), "+400ms",
		"> BYE|"+head("4 BYE", "b1"), "< 200|"+head("4 BYE", "b1")).load()
	var at []time.Duration
	f := newFar(t, "127.0.87.10", func(c *farCall) {
		c.answer()
		c.await("ACK")
		began := time.Now()
		for _, method := range []string{"INFO", "INVITE", "BYE"} {
			m := c.await(method)
			if m == nil {
				return
			}
			at = append(at, time.Since(began))
			body := ""
			if method == "INVITE" {
				body = c.sdp("0 101")
			}
			c.reply(m, "200 OK", body)
			if method == "INFO" && string(m.body) != "Signal=5\r\n" {
				t.Errorf("INFO with %q", m.body)
			}
			if method == "INVITE" {
				if m.tag("To") != "f0" || !bytes.Contains(m.body, []byte("c=IN IP4 127.0.87.2")) {
					t.Errorf("re-INVITE %s", m.bytes())
				}
				c.await("ACK")
			}
		}
	})
	res := against(t, f, calls, func(o *Options) { o.Speed = 2 })
	f.stop()
	if len(res) != 1 || !res[0].Equal || len(at) != 3 {
		t.Fatalf("%+v, %v", res, at)
	}
	for i, d := range at {
		if want := time.Duration(i+1) * 200 * time.Millisecond; d < want-20*time.Millisecond || d > want+150*time.Millisecond {
			t.Errorf("request %d came after %v, want %v", i, d, want)
		}
	}
}

// A caller that tried again after a refusal does so again.
func TestNextAttempt(t *testing.T) {
	calls := newTape(t).say(
		"> INVITE|"+head("1 INVITE", "")+"||sdp", "< 302|"+head("1 INVITE", "b1")+"|Contact: <sip:carol@192.0.2.2>", "> ACK|"+head("1 ACK", "b1"), "+100ms",
		"> INVITE sip:carol@192.0.2.2 SIP/2.0|"+head("2 INVITE", "")+"||sdp", "< 486|"+head("2 INVITE", "b2"), "> ACK|"+head("2 ACK", "b2")).load()
	f := newFar(t, "127.0.87.10", func(c *farCall) {
		c.reply(c.invite, "302 Moved", "", "Contact: <sip:carol@192.0.2.9>")
		c.await("ACK")
		if m := c.await("INVITE"); m != nil {
			if !strings.HasPrefix(string(m.start), "INVITE sip:carol@127.0.87.10:") {
				t.Errorf("%s", m.start)
			}
			c.reply(m, "486 Busy Here", "")
			c.await("ACK")
		}
	})
	if res := against(t, f, calls, nil); !res[0].Equal {
		t.Errorf("%+v", res)
	}
}

// Audio that was sent before the answer is sent again when there is somewhere
// to send it, and what comes after the answer is counted from it.
func TestEarlyMedia(t *testing.T) {
	calls := newTape(t).say("> INVITE|"+head("1 INVITE", "")+"||sdp", "< 183|"+head("1 INVITE", "b1")+"||SDP", "rtp 10", "+100ms",
		"< 200|"+head("1 INVITE", "b1")+"||SDP", "> ACK|"+head("1 ACK", "b1"), "rtp 10", "> BYE|"+head("2 BYE", "b1"), "< 200|"+head("2 BYE", "b1")).load()
	for _, c := range []struct {
		name string
		ring bool
		sent int
	}{{"early again", true, 20}, {"answered at once", false, 10}} {
		f := newFar(t, "127.0.87.10", func(k *farCall) {
			if c.ring {
				k.reply(k.invite, "183 Progress", k.sdp("0 101"))
				time.Sleep(300 * time.Millisecond)
			}
			k.answer()
		})
		res := against(t, f, calls, func(o *Options) { o.Speed = 1 })
		if res[0].Flow.Sent != c.sent || res[0].Flow.Received != c.sent || res[0].Equal != c.ring {
			t.Errorf("%s: %+v", c.name, res)
		}
	}
}

// Packets go out as recorded, in the recorded pace.
func TestPace(t *testing.T) {
	f := newFar(t, "127.0.87.10", func(c *farCall) { c.reply(c.invite, "180 Ringing", ""); c.answer() })
	var mu sync.Mutex
	var got []string
	var at []time.Time
	res := against(t, f, basic(t), func(o *Options) {
		o.Speed = 1
		o.Wire = func(when time.Time, src, _ netip.AddrPort, b []byte) {
			mu.Lock()
			defer mu.Unlock()
			if b[0] == 0x80 && src.Addr() == netip.MustParseAddr("127.0.87.2") {
				got, at = append(got, string(b)), append(at, when)
			}
		}
	})
	if !res[0].Equal || len(got) < 10 {
		t.Fatalf("%+v, %d packets", res, len(got))
	}
	sent := 0
	for _, b := range got {
		if b == string(tapePacket(sent)) {
			sent++
		}
	}
	if sent != 10 {
		t.Errorf("%d of 10 packets went out as recorded", sent)
	}
	if d := at[len(at)-1].Sub(at[0]); d < 170*time.Millisecond || d > 400*time.Millisecond {
		t.Errorf("ten packets of 20 ms took %v", d)
	}
}

// --loop, --rate and --concurrency; every call has an identity of its own.
func TestMany(t *testing.T) {
	f := newFar(t, "127.0.87.10", func(c *farCall) { c.reply(c.invite, "180 Ringing", ""); c.answer() })
	began := time.Now()
	res := against(t, f, basic(t), func(o *Options) { o.Loop, o.Rate, o.Concurrency = 20, 40, 8 })
	if took := time.Since(began); took < 450*time.Millisecond {
		t.Errorf("20 calls at 40 a second took %v", took)
	}
	seen := map[string]bool{}
	for _, r := range res {
		if !r.Equal || seen[r.Now] {
			t.Errorf("%+v", r)
		}
		seen[r.Now] = true
	}
	if len(res) != 20 || res[19].Loop != 20 {
		t.Errorf("%d calls", len(res))
	}
	// One at a time: no two are ever open together.
	open, most := 0, 0
	one := newFar(t, "127.0.87.11", func(c *farCall) {
		c.mu.Lock()
		open++
		most = max(most, open)
		c.mu.Unlock()
		c.reply(c.invite, "180 Ringing", "")
		c.answer()
		if m := c.await("BYE"); m != nil {
			c.mu.Lock()
			open--
			c.mu.Unlock()
			c.reply(m, "200 OK", "")
		}
	})
	res = against(t, one, basic(t), func(o *Options) { o.Loop, o.Rate, o.Concurrency, o.Speed = 5, 100, 1, 20 })
	one.stop()
	if len(res) != 5 || most != 1 {
		t.Errorf("%d calls, %d at a time", len(res), most)
	}
}

// What is ended from outside is ended as callers do: by BYE, or CANCEL.
func TestInterrupted(t *testing.T) {
	place := func(f *far) []Result {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		var out []Result
		o := Options{Target: Target{Host: f.local.String()}, Addr: f.local, Transport: transport.UDP, Loop: 3,
			Bind: netip.AddrPortFrom(netip.MustParseAddr("127.0.87.2"), 0)}
		if err := Run(ctx, basic(t), o, func(r Result) { out = append(out, r) }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	talking := newFar(t, "127.0.87.10", func(c *farCall) { c.reply(c.invite, "180 Ringing", ""); c.answer() })
	if res := place(talking); len(res) != 1 || res[0].Equal || res[0].Note == "" || talking.said("BYE") != 1 {
		t.Errorf("%+v\n%q", res, talking.heard)
	}
	ringing := newFar(t, "127.0.87.10", func(c *farCall) {
		c.reply(c.invite, "180 Ringing", "")
		if m := c.await("CANCEL"); m != nil {
			c.reply(m, "200 OK", "")
			c.reply(c.invite, "487 Request Terminated", "")
		}
	})
	if res := place(ringing); len(res) != 1 || res[0].Equal || ringing.said("CANCEL") != 1 || ringing.said("ACK") != 1 {
		t.Errorf("%+v\n%q", res, ringing.heard)
	}
}

// A packet that was sent twice is sent twice again; one that was captured at two
// interfaces is not.
func TestDoubledPackets(t *testing.T) {
	for _, c := range []struct {
		name   string
		twice  func(i int) bool
		packet int
	}{
		{"the end of a key", func(i int) bool { return i == 9 }, 11},
		{"every interface", func(int) bool { return true }, 10},
	} {
		k := newTape(t).say("> INVITE|"+head("1 INVITE", "")+"||sdp", "< 200|"+head("1 INVITE", "b1")+"||SDP", "> ACK|"+head("1 ACK", "b1"))
		for i := range 10 {
			at := k.now.Add(time.Duration(i) * 20 * time.Millisecond)
			for range 1 + map[bool]int{true: 1}[c.twice(i)] {
				k.film.Wire(at, netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.2:6000"), tapePacket(i))
				at = at.Add(time.Millisecond)
			}
		}
		if got := len(k.load()[0].packets); got != c.packet {
			t.Errorf("%s: %d packets, want %d", c.name, got, c.packet)
		}
	}
}

// A call whose recording ends while it rings is given up there, and the 487 that
// this brings is no difference.
func TestUnfinishedRecording(t *testing.T) {
	calls := newTape(t).say("> INVITE|"+head("1 INVITE", "")+"||sdp", "< 180|"+head("1 INVITE", "b1")).load()
	f := newFar(t, "127.0.87.10", func(c *farCall) { c.reply(c.invite, "180 Ringing", "") })
	if res := against(t, f, calls, nil); !res[0].Equal || res[0].Flow.Ended != "cancelled" || f.said("CANCEL") != 1 {
		t.Errorf("%+v", res)
	}
	f = newFar(t, "127.0.87.10", func(c *farCall) { c.reply(c.invite, "180 Ringing", ""); c.answer() })
	if res := against(t, f, calls, nil); res[0].Equal || f.said("BYE") != 1 {
		t.Errorf("%+v", res)
	}
}
