package signature

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/fingerprint/makertest"
)

// sightings are calls of some makes, in turn.
func sightings(n int, names ...string) (out []Sighting) {
	for i := range n {
		for _, name := range names {
			raw := makertest.Wire(makertest.Makers[name](makertest.NewTokens(uint64(i))))
			out = append(out, Sighting{CallID: fmt.Sprint(name, i), Message: raw, From: netip.MustParseAddr("192.0.2.1"), At: when})
		}
	}
	return out
}

// A draft of each make is a signature that matches further calls of it and none
// of the other makes'.
func TestDraft(t *testing.T) {
	for name := range makertest.Makers {
		var others []string
		for other := range makertest.Makers {
			if other != name {
				others = append(others, other)
			}
		}
		seen := append(sightings(5, name), sightings(1, others...)...)
		text, err := Draft{Name: "learnt", Kind: "phone", Source: "test", CallID: name + "0"}.Write(Default(), seen)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s, err := Load(File{Name: name, Data: text, Own: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range append(sightings(50, name)[5:], sightings(5, others...)...) {
			r, _ := match(s, one.Message, one.From, when)
			if want := strings.HasPrefix(one.CallID, name) && strings.Trim(one.CallID[len(name):], "0123456789") == ""; (r.Name() == "learnt") != want {
				t.Errorf("%s: call %s matches %v, by\n%s", name, one.CallID, !want, text)
				break
			}
		}
	}
}

// The make that most calls have is taken, what is known of it is said, and what
// differs from call to call is no condition.
func TestDraftPicks(t *testing.T) {
	seen := append(sightings(3, "pjsip"), sightings(2, "sipp")...)
	text, err := Draft{Name: "a", Kind: "phone"}.Write(Default(), seen)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for _, want := range []string{"of 3 calls:", "# Known already: microsip matches 3 of them.", `user_agent: "MicroSIP/*"`, `session: "pjmedia"`,
		`branch_shape: "Pj~hex32"`, "seen_on: 2026-12-01", "valid_to: 2027-12-01"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	conditions, _, _ := strings.Cut(got, "source:")
	for _, never := range []string{"from_user", "call_id:", "branch:", "cseq:", "origin:"} {
		if strings.Contains(conditions, never) {
			t.Errorf("%s is a condition in\n%s", never, conditions)
		}
	}
	if strings.Count(got, "\n      - |\n") != 4 {
		t.Errorf("not two positive and two negative samples:\n%s", got)
	}
	for name, d := range map[string]Draft{"no such call": {Name: "a", Kind: "phone", CallID: "none"}, "nothing to learn from": {Name: "a", Kind: "phone"}} {
		if name == "nothing to learn from" {
			seen = nil
		}
		if _, err := d.Write(Default(), seen); err == nil {
			t.Errorf("%s: a draft", name)
		}
	}
}

// Nothing of a person stays in a sample, and its print stays.
func TestAnonymous(t *testing.T) {
	raw := makertest.Wire(`INVITE sip:+34911234567@pbx.acme.example;user=phone SIP/2.0
Via: SIP/2.0/UDP 10.11.12.13:5060;branch=z9hG4bK0f2a4c6e8b1d3f5a;rport
Record-Route: <sip:proxy.acme.example;lr>
Max-Forwards: 70
f:  "Ana Lopez" <sip:ana.lopez@acme.example:5070>;tag=7c9e0b2d4f6a8c0e
To: Bob <sip:+34911234567@10.11.12.99>
Contact: <sip:ana.lopez@10.11.12.13:5060>
Call-ID: 8b1d3f5a7c9e0b2d@ana-laptop.acme.example
CSeq: 3310 INVITE
P-Asserted-Identity: <tel:+34600111222>
Authorization: Digest username="ana", response="deadbeef"
Subject: lunch with Carla
X-Secret-Customer: Acme GmbH
Allow: INVITE,ACK,
 BYE
User-Agent: phone 2.10.17.3
Content-Type: application/sdp
Content-Length:   400

v=0
o=ana.lopez 346952262 325135698 IN IP4 10.11.12.13
s=-
e=ana@acme.example
c=IN IP4 10.11.12.13
t=0 0
m=audio 4000 RTP/AVP 0
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz
a=ice-pwd:asd88fgpdd777uzjYhagZg
a=candidate:1 1 UDP 2130706431 10.11.12.13 4000 typ host
a=sendrecv
`)
	got := string(anonymous(raw))
	for _, never := range []string{"ana", "Ana", "Lopez", "acme", "Acme", "Carla", "lunch", "10.11.", "911234567", "600111222", "deadbeef", "WVNf", "asd88", "Bob"} {
		if strings.Contains(got, never) {
			t.Errorf("%q stays in\n%s", never, got)
		}
	}
	if !strings.Contains(got, "phone 2.10.17.3") {
		t.Errorf("the version is taken for an address:\n%s", got)
	}
	was, is := fingerprint.Of(raw), fingerprint.Of([]byte(got))
	// The e= line and values of attributes stand in no print; their names do.
	if was.Text != is.Text {
		t.Errorf("its print was\n%s\nand is\n%s\nof\n%s", was.Text, is.Text, got)
	}
	_, body, _ := strings.Cut(got, "\r\n\r\n")
	if !strings.Contains(got, fmt.Sprintf("Content-Length:   %d\r\n", len(body))) {
		t.Errorf("the length is not that of %d bytes:\n%s", len(body), got)
	}
}

// Whatever stands in a capture becomes a draft that holds, or an error.
func FuzzDraft(f *testing.F) {
	for _, name := range []string{"baresip", "sipp", "sofia-sip"} {
		f.Add(makertest.Wire(makertest.Makers[name](makertest.NewTokens(1))), makertest.Wire(makertest.Makers[name](makertest.NewTokens(2))))
	}
	f.Add([]byte("INVITE sip:a@b SIP/2.0\r\nf: \"\xff\r\n <sip:\x00@[::1]>;tag=*\\\r\nX-\x01: x\r\n: \r\n\r\ns= x\x80\r\no=1\r\n"), []byte("A SIP/2.0\n\n\n\n  x"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		text, err := Draft{Name: "a", Kind: "phone", Source: string(b)}.Write(Default(), []Sighting{{Message: a, At: time.Unix(1e9, 0)}, {Message: b, At: time.Unix(1e9, 0)}})
		if err == nil {
			if _, err := Load(File{Name: "a", Data: text, Own: true}); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
			return
		}
		if strings.Contains(err.Error(), "is no signature") {
			t.Errorf("%v\n%q\n%q\n%s", err, a, b, text)
		}
	})
}
