package trace

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// sipText is a message of about 150 bytes with a body of n bytes.
func sipText(id string, n int) string {
	return fmt.Sprintf("OPTIONS sip:b@example.com SIP/2.0\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\nContent-Length: %d\r\n\r\n%s", id, n, strings.Repeat("x", n))
}

type part struct {
	from, to int // of the whole text
	after    time.Duration
}

// feed sends the parts of a text as segments and tells the Call-IDs found.
func feed(t *tcpFlows, isn uint32, text string, parts []part) []string {
	var ids []string
	now := start
	for _, p := range parts {
		now = now.Add(p.after)
		s := segment{tcp: true, src: alice, dst: bob, at: now, seq: isn + uint32(p.from), payload: []byte(text[p.from:p.to])}
		t.add(&s, func(s *segment) {
			if m, ok := parseMessage(s.payload); ok {
				ids = append(ids, m.callID)
			}
		})
	}
	return ids
}

func TestStreams(t *testing.T) {
	one, two, three := sipText("one", 40), sipText("two", 0), sipText("three", 10)
	text := one + "\r\n\r\n" + two + three
	a, b := len(one), len(one)+4+len(two)
	end := len(text)
	for _, c := range []struct {
		name  string
		parts []part
		want  string
	}{
		{"all at once", []part{{0, end, 0}}, "one two three"},
		{"byte by byte", each(0, end), "one two three"},
		{"body apart", []part{{0, a - 40, 0}, {a - 40, a, 0}, {a, end, 0}}, "one two three"},
		{"out of order", []part{{0, 50, 0}, {b, end, 0}, {a, b, 0}, {50, a, 0}}, "one two three"},
		{"repeated and overlapping", []part{{0, a, 0}, {0, a, 0}, {a - 30, b, 0}, {a, end, 0}}, "one two three"},
		{"begins inside a message", []part{{60, end, 0}}, "two three"},
		{"begins inside a body", []part{{a - 10, a, 0}, {a, end, 0}}, "two three"},
		{"a gap that stays", []part{{0, 50, 0}, {a, b, 0}, {b, end, gapPatience + 1}}, "two three"},
		{"a start line in pieces", []part{{0, a + 4, 0}, {a + 4, a + 9, 0}, {a + 9, a + 30, 0}, {a + 30, end, 0}}, "one two three"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The sequence numbers wrap in the middle.
			for _, isn := range []uint32{1000, ^uint32(a + 2)} {
				var f tcpFlows
				if got := strings.Join(feed(&f, isn, text, c.parts), " "); got != c.want {
					t.Errorf("from %d: got %q, want %q", isn, got, c.want)
				}
			}
		})
	}
}

func each(from, to int) []part {
	var out []part
	for i := from; i < to; i++ {
		out = append(out, part{i, i + 1, 0})
	}
	// The first segment opens the flow, so it must show what it is.
	return append([]part{{0, 45, 0}}, out[45:]...)
}

func TestSynOpensFlow(t *testing.T) {
	// With the SYN captured, even a first segment that comes late is placed.
	var f tcpFlows
	text := sipText("one", 5)
	syn := segment{tcp: true, syn: true, src: alice, dst: bob, at: start, seq: 99}
	f.add(&syn, nil)
	got := feed(&f, 100, text, []part{{10, len(text), 0}, {0, 10, 0}})
	if len(got) != 1 || got[0] != "one" {
		t.Errorf("got %q", got)
	}
}

// TestPortsOfAnOldConnection: no SYN was captured and the numbers start elsewhere.
func TestPortsOfAnOldConnection(t *testing.T) {
	for _, step := range []uint32{1 << 31, 1<<31 + 5, 1<<31 - 5, ^uint32(2 << 20)} {
		var f tcpFlows
		var got []string
		for i, id := range []string{"one", "two", "three"} {
			text := sipText(id, 0)
			got = append(got, feed(&f, uint32(i)*step, text, []part{{0, len(text), 0}})...)
		}
		if s := strings.Join(got, " "); s != "one two three" {
			t.Errorf("step %#x: got %q", step, s)
		}
	}
}

func TestOtherTrafficLeavesNothing(t *testing.T) {
	var f tcpFlows
	for i := range 100 {
		src := netip.AddrPortFrom(alice.Addr(), uint16(10000+i))
		for j, text := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", strings.Repeat("data", 300)} {
			s := segment{tcp: true, syn: j == 0, src: src, dst: bob, at: start, seq: uint32(j * 100), payload: []byte(text)}
			if j == 1 {
				s.seq = 1
			}
			f.add(&s, func(*segment) { t.Error("HTTP was taken for SIP") })
		}
	}
	if len(f.open) != 0 {
		t.Errorf("%d flows are held", len(f.open))
	}
}

func TestStreamLimits(t *testing.T) {
	var f tcpFlows
	for i := range 2 * maxFlows {
		s := segment{tcp: true, syn: true, src: netip.AddrPortFrom(alice.Addr(), uint16(i)), dst: bob, at: start.Add(time.Duration(i)), seq: 1}
		f.add(&s, nil)
	}
	if len(f.open) > maxFlows {
		t.Errorf("%d flows are held, at most %d may be", len(f.open), maxFlows)
	}
	// A message without end.
	f = tcpFlows{}
	seq := uint32(0)
	for i := range 100 {
		text := strings.Repeat("a", 4000)
		if i == 0 {
			text = "OPTIONS sip:b SIP/2.0\r\nX: "
		}
		s := segment{tcp: true, src: alice, dst: bob, at: start, seq: seq, payload: []byte(text)}
		seq += uint32(len(text))
		f.add(&s, func(*segment) { t.Error("a message without end was told") })
	}
	if n := len(f.open[flowPair{alice, bob}].buf); n > maxMessage+8000 {
		t.Errorf("%d bytes are held of an endless message", n)
	}
	// Many such messages.
	f = tcpFlows{}
	for i := range 3 * maxFlowed / maxMessage {
		src := netip.AddrPortFrom(alice.Addr(), uint16(i))
		for j := range 3 {
			text := strings.Repeat("a", maxMessage/3)
			if j == 0 {
				text = "OPTIONS sip:b SIP/2.0\r\nX: "
			}
			s := segment{tcp: true, src: src, dst: bob, at: start.Add(time.Duration(i)), seq: uint32(j) * 27, payload: []byte(text)}
			if j == 2 {
				s.seq += maxMessage/3 - 27
			}
			f.add(&s, func(*segment) { t.Error("a message without end was told") })
		}
	}
	sum := 0
	for _, g := range f.open {
		sum += len(g.buf) + g.held
	}
	if sum > maxFlowed || f.held != sum {
		t.Errorf("%d bytes are held of all flows, %d counted", sum, f.held)
	}
	// Segments far ahead of a gap.
	f = tcpFlows{}
	feed(&f, 0, sipText("one", 0), []part{{0, 50, 0}})
	for i := range 1000 {
		s := segment{tcp: true, src: alice, dst: bob, at: start, seq: uint32(5000 + i*2000), payload: make([]byte, 1000)}
		f.add(&s, func(*segment) {})
	}
	if held := f.open[flowPair{alice, bob}].held; held > maxWaiting+maxMessage {
		t.Errorf("%d bytes wait behind a gap", held)
	}
}
