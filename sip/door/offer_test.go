package door

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/sip/sdp"
)

// described gives what a leg whose media is at addr would send for in.
func rewritten(t *testing.T, l *leg, in string, at netip.AddrPort) string {
	t.Helper()
	d, err := sdp.Parse([]byte(strings.ReplaceAll(in, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(l.rewriteAt(d, at, nil)), "\r\n", "\n")
}

// The caller's media is at an address of the version that his offer names; without
// an offer, of the version that his SIP comes in. The far side's is of its peer's.
func TestMediaIPVersion(t *testing.T) {
	four, six := netip.MustParseAddrPort("192.0.2.1:5060"), netip.MustParseAddrPort("[2001:db8::1]:5060")
	offer := func(c string) *sdp.Description {
		d, err := sdp.Parse([]byte("v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\n" + c + "t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct {
		name   string
		offer  *sdp.Description
		source netip.AddrPort
		want   bool
	}{
		{"IPv4 by IPv6", offer("c=IN IP4 192.0.2.1\r\n"), six, false},
		{"IPv6 by IPv4", offer("c=IN IP6 2001:db8::1\r\n"), four, true},
		{"no offer, IPv6", nil, six, true},
		{"no offer, IPv4", nil, four, false},
		{"no address, IPv6", offer(""), six, true},
		{"IPv4 as IPv6", nil, netip.MustParseAddrPort("[::ffff:192.0.2.1]:5060"), false},
		{"a callback", nil, netip.AddrPort{}, false},
	} {
		if got := describesIPv6(c.offer, c.source); got != c.want {
			t.Errorf("%s: IPv6 %v", c.name, got)
		}
	}
	for peer, want := range map[string]bool{"[2001:db8::1]:5060": true, "192.0.2.1:5060": false, "pbx.example:5060": false, "": false} {
		if got := isIPv6(peer); got != want {
			t.Errorf("%s: IPv6 %v", peer, got)
		}
	}
}

// Each leg agrees on RTCP on one port with its own peer (RFC 5761 section 5.1.1).
func TestMuxPerLeg(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:20000")
	parse := func(attributes string) *sdp.Description {
		d, err := sdp.Parse([]byte("v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n" + attributes))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	plain, mux := parse(""), parse("a=rtcp-mux\r\n")
	for _, c := range []struct {
		name          string
		offer, answer *sdp.Description // of the caller, of the far side
		offered       bool             // to the far side
		answered      bool             // to the caller
	}{
		{"neither", plain, plain, false, false},
		{"both", mux, mux, true, true},
		{"the caller only", mux, plain, true, true},
		{"the far side unasked", plain, mux, false, false},
	} {
		caller, far := &leg{theirs: c.offer}, &leg{}
		has := func(b []byte) bool { return strings.Contains(string(b), "a=rtcp-mux\r\n") }
		if got := has(far.rewriteAt(c.offer, at, nil)); got != c.offered {
			t.Errorf("%s: offered %v", c.name, got)
		}
		far.theirs = c.answer
		caller.mux = muxes(c.offer)
		if got := has(caller.rewriteAt(answering(c.answer, c.offer), at, caller.theirs)); got != c.answered {
			t.Errorf("%s: answered %v", c.name, got)
		}
	}
}

func TestRewrite(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:20000")
	for _, c := range []struct{ name, in, want string }{
		{"plain", "v=0\no=bob 77 5 IN IP4 10.0.0.7\ns=call\nc=IN IP4 10.0.0.7\nt=0 0\nm=audio 4000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\na=x-kept\na=sendrecv\n",
			"v=0\no=bob 9 1 IN IP4 192.0.2.1\ns=call\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 20000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\na=x-kept\na=sendrecv\n"},
		{"address in the section", "v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 0\nc=IN IP4 10.0.0.7\na=rtcp:4009\n",
			"v=0\no=- 9 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 20000 RTP/AVP 0\n"},
		{"hold of old", "v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio 4000 RTP/AVP 0\n",
			"v=0\no=- 9 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio 20000 RTP/AVP 0\n"},
		{"video declined, ICE gone", "v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7\nt=0 0\na=group:BUNDLE 0\na=ice-lite\nm=audio 4000 RTP/AVP 0\na=candidate:1 1 udp 1 10.0.0.7 4000 typ host\nm=video 4002 RTP/AVP 31\nc=IN IP4 10.0.0.8\n",
			"v=0\no=- 9 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 20000 RTP/AVP 0\nm=video 0 RTP/AVP 31\n"},
		{"RTCP on one port is offered on", "v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7\nt=0 0\nm=audio 4000 RTP/AVP 0\na=rtcp-mux\na=rtcp:4000\na=sendrecv\n",
			"v=0\no=- 9 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 20000 RTP/AVP 0\na=sendrecv\na=rtcp-mux\n"},
		{"encrypted, keys untouched", "v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7\nt=0 0\nm=audio 4000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY\n",
			"v=0\no=- 9 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 20000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY\n"},
		{"encrypted at best effort", "v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7\nt=0 0\nm=audio 4000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY\nm=audio 4000 RTP/AVP 0 8\n",
			"v=0\no=- 9 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 0 RTP/SAVP 0\nm=audio 20000 RTP/AVP 0 8\n"},
		{"voice or fax", "v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7\nt=0 0\nm=audio 4000 RTP/AVP 0\nm=image 4002 udptl t38\n",
			"v=0\no=- 9 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 20000 RTP/AVP 0\nm=image 0 udptl t38\n"},
		{"hold of old, IPv6", "v=0\no=- 1 1 IN IP6 2001:db8::7\ns=-\nc=IN IP6 ::\nt=0 0\nm=audio 4000 RTP/AVP 0\n",
			"v=0\no=- 9 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio 20000 RTP/AVP 0\n"},
		{"fax", "v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7\nt=0 0\nm=audio 0 RTP/AVP 0\nm=image 4000 udptl t38\na=T38FaxVersion:0\n",
			"v=0\no=- 9 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 0 RTP/AVP 0\nm=image 20000 udptl t38\na=T38FaxVersion:0\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, rewritten(t, &leg{session: 9, version: 1}, c.in, at)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// An answer has the offer's sections, in their order (RFC 3264 section 6),
// whatever the side that answered made of them.
func TestAnswering(t *testing.T) {
	const head = "v=0\nc=IN IP4 10.0.0.7\n"
	offer := "m=audio 4000 RTP/AVP 0\nm=video 4002 RTP/AVP 31\nm=image 4004 udptl t38\n"
	for _, c := range []struct{ name, answer, want string }{
		{"right", "m=audio 1 RTP/AVP 0\nm=video 0 RTP/AVP 31\nm=image 0 udptl t38\n", "m=audio 1 RTP/AVP 0\nm=video 0 RTP/AVP 31\nm=image 0 udptl t38\n"},
		{"left out", "m=audio 1 RTP/AVP 0\n", "m=audio 1 RTP/AVP 0\nm=video 0 RTP/AVP 31\nm=image 0 udptl t38\n"},
		{"out of order", "m=image 3 udptl t38\nm=audio 1 RTP/AVP 0\n", "m=audio 1 RTP/AVP 0\nm=video 0 RTP/AVP 31\nm=image 3 udptl t38\n"},
		{"too many", "m=audio 1 RTP/AVP 0\nm=audio 2 RTP/AVP 0\nm=video 0 RTP/AVP 31\n", "m=audio 1 RTP/AVP 0\nm=video 0 RTP/AVP 31\nm=image 0 udptl t38\n"},
	} {
		parse := func(s string) *sdp.Description {
			d, err := sdp.Parse([]byte(head + s))
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		got := strings.TrimPrefix(strings.ReplaceAll(string(answering(parse(c.answer), parse(offer)).Bytes()), "\r\n", "\n"), head)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// The version of a leg's description counts its changes (RFC 3264 section 8),
// not the other leg's.
func TestVersion(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:20000")
	l := &leg{session: 9, version: 1}
	a := "v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7\nt=0 0\nm=audio 4000 RTP/AVP 0\n"
	same := strings.Replace(a, "o=- 1 1", "o=- 1 2", 1)
	hold := same + "a=sendonly\n"
	for i, c := range []struct{ in, version string }{{a, " 9 1 "}, {same, " 9 1 "}, {hold, " 9 2 "}, {a, " 9 3 "}} {
		if got := rewritten(t, l, c.in, at); !strings.Contains(got, c.version) {
			t.Errorf("description %d: want version%sin %q", i, c.version, got)
		}
	}
}

func TestCommon(t *testing.T) {
	for _, c := range []struct {
		name, media string
		audio       string
		event       uint8
		ok          bool
	}{
		{"both", "m=audio 4000 RTP/AVP 0 8 101\na=rtpmap:101 telephone-event/8000\n", "PCMU", 101, true},
		{"A-law first", "m=audio 4000 RTP/AVP 8 0\n", "PCMA", 0, true},
		{"after Opus", "m=audio 4000 RTP/AVP 96 8\na=rtpmap:96 opus/48000/2\n", "PCMA", 0, true},
		{"G.729 only", "m=audio 4000 RTP/AVP 18\n", "", 0, false},
		{"encrypted", "m=audio 4000 RTP/SAVP 0\n", "PCMU", 0, false},
		{"switched off", "m=audio 0 RTP/AVP 0\n", "", 0, false},
		{"wide event clock", "m=audio 4000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/48000\n", "PCMU", 0, true},
	} {
		d, err := sdp.Parse([]byte("v=0\nc=IN IP4 10.0.0.7\n" + c.media))
		if err != nil {
			t.Fatal(err)
		}
		v, ok := common(d)
		if ok != c.ok || ok && (v.audio.Name != c.audio || v.event.PT != c.event) {
			t.Errorf("%s: got %+v %v", c.name, v, ok)
		}
	}
}

// TestPacketTime: the packet time that the door speaks in and answers with is what
// the peer wants, within what it bears and what the door does.
func TestPacketTime(t *testing.T) {
	for _, c := range []struct {
		lines  string
		ms     int64
		answer string
	}{
		{"", 20, "20"},
		{"a=ptime:30\n", 30, "30"},
		{"a=ptime:60\na=maxptime:40\n", 40, "40"},
		{"a=maxptime:10\n", 10, "10"},
		{"a=maxptime:150\n", 20, "20"},
		{"a=ptime:200\n", 60, "60"},
		{"a=ptime:x\na=maxptime:-1\n", 20, "20"},
	} {
		d, err := sdp.Parse([]byte("v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7\nt=0 0\nm=audio 4000 RTP/AVP 0\n" + c.lines))
		if err != nil {
			t.Fatal(err)
		}
		v, ok := common(d)
		if ms := prompt.Packet(v.ptime).Milliseconds(); !ok || ms != c.ms {
			t.Errorf("%q: packets of %d ms, want %d", c.lines, ms, c.ms)
		}
		l := &leg{c: &call{session: &relay.Session{}}}
		if m := l.audio(v, sdp.SendRecv); strconv.Itoa(m.Ptime()) != c.answer {
			t.Errorf("%q: answered with %d ms, want %s", c.lines, m.Ptime(), c.answer)
		}
	}
}
