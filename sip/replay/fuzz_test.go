package replay

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/portero/portero/sip/transport"
)

func fuzzIdentity() identity {
	return identity{tokens: testTokens(), target: Target{Host: "127.0.87.10:5062"}, local: netip.MustParseAddrPort("127.0.87.2:5064"),
		protocol: transport.UDP, media: mediaPlace{addr: netip.MustParseAddr("127.0.87.2"), port: func(i int) uint16 { return uint16(4000 + 2*i) }},
		was: netip.MustParseAddr("192.0.2.1")}
}

// Whatever was recorded, rewriting it does not fail; what comes out is a message
// with the same lines, and rewriting it again changes no line's name.
func FuzzRewrite(f *testing.F) {
	for _, r := range basic(f) {
		for _, s := range r.steps {
			f.Add(s.bytes())
		}
	}
	f.Add([]byte("INVITE sip:a@[2001:db8::1]:5060;x=y?h=1 SIP/2.0\nVia: SIP / 2.0 / TCP [2001:db8::1]:5060 ; branch=z9hG4bK.aB3xkQm7r, SIP/2.0/UDP h;branch=1\nf: \"a;b<,>\\\"\" <sips:x;y@h>;tag=1c23\nTo: tel:+1\n m: *\n\nv=0\no=- 1 1 IN IP6 ::1\nc=IN IP4 1.2.3.4/127\nm=audio 4/2 RTP/AVP 0\na=rtcp:5\na=candidate:1 1 UDP 1 1.2.3.4 4 typ host\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parse(raw)
		if err != nil {
			return
		}
		before := m.bytes()
		id := fuzzIdentity()
		id.host = called(m.uri())
		id.freshen(m, time.Unix(1_800_000_000, 0), false)
		for _, d := range []*dialog{nil, {tag: "far", target: []byte("sip:far@127.0.87.10"), routes: [][]byte{[]byte("<sip:r;lr>")}}} {
			out := id.request(m, d, id.tokens.like(branchOf(m)), 7, []credential{{"Authorization", "Digest x"}})
			b := out.bytes()
			again, err := parse(b)
			if err != nil {
				t.Fatalf("%q became %q: %v", raw, b, err)
			}
			if !bytes.Equal(again.bytes(), b) {
				t.Fatalf("%q is not read as it was written: %q", b, again.bytes())
			}
			for _, name := range []string{"From", "To", "Call-ID", "CSeq", "Contact", "Subject"} {
				if (m.index(name) < 0) != (again.index(name) < 0) {
					t.Fatalf("%s of %q went or came in %q", name, raw, b)
				}
			}
			id.reply(out, nil, "200 OK", id.local).bytes()
			id.reply(out, m, "", id.local).bytes()
			derive(m, "ACK").bytes()
		}
		if !bytes.Equal(before, m.bytes()) {
			t.Fatalf("the recording changed: %q, %q", before, m.bytes())
		}
	})
}

// Any token gives one of the same length and shape of characters.
func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "a", "z9hG4bKPjab", "1-2@h", "4711SIPpTag001", "as", "as1", "KaQpF2g7H3g0c", "d8907723-0bc7-123b-09b5-12e962f3039b"} {
		f.Add(s, uint64(1))
	}
	f.Fuzz(func(t *testing.T, s string, seed uint64) {
		k := newTokens(rand.New(rand.NewPCG(seed, 1)))
		got := k.like(s)
		if len(got) != len(s) {
			t.Fatalf("%q became %q", s, got)
		}
		for i := range len(s) {
			if alphanumeric(s[i]) != alphanumeric(got[i]) || !alphanumeric(s[i]) && s[i] != got[i] {
				t.Fatalf("%q became %q", s, got)
			}
		}
		id, _ := k.callID(s, 1, time.Unix(0, 0), netip.Addr{}, netip.Addr{})
		if s != "" && id == "" {
			t.Fatalf("%q became no Call-ID", s)
		}
	})
}

// Any capture's calls can be loaded, exported and asked for their flows.
func FuzzExport(f *testing.F) {
	for _, r := range basic(f) {
		for _, s := range r.steps {
			f.Add(s.bytes(), s.bytes())
		}
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		k := newTape(t)
		at := time.Unix(0, 0)
		k.film.Wire(at, tapeCaller, tapeFar, []byte("INVITE sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"))
		for i, raw := range [][]byte{a, b, a} {
			if len(raw) > 60000 {
				return
			}
			src, dst := tapeCaller, tapeFar
			if i%2 == 1 {
				src, dst = dst, src
			}
			k.film.Wire(at.Add(time.Duration(i)*time.Second), src, dst, raw)
		}
		calls, _, err := Load(bytes.NewReader(k.buf.Bytes()), "", nil, DefaultHeld)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range calls {
			_ = Compare(c.Flow(), c.Flow())
			c.Fingerprint()
			c.answerAt()
			c.earlyMedia()
			if s, err := ExportSIPpAnswerer(c, "a.pcap"); err == nil && !bytes.HasSuffix(s.XML, []byte("</scenario>\n")) {
				t.Errorf("%s", s.XML)
			}
			if s, err := ExportSIPp(c, "a.pcap"); err == nil && !bytes.HasSuffix(s.XML, []byte("</scenario>\n")) {
				t.Errorf("%s", s.XML)
			}
		}
	})
}
