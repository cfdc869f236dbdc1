package door

import (
	"bytes"
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/syntax"
)

// A session description in a body is where it is said to be, and only it is
// replaced.
func FuzzBody(f *testing.F) {
	f.Add("application/sdp", []byte("v=0\r\n"))
	f.Add("multipart/mixed;boundary=b", []byte("--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b\r\nContent-Type: application/isup\r\n\r\n\x01\r\n--b--\r\n"))
	f.Add("multipart/mixed;boundary=\"\"", []byte("--\r\n\r\n--"))
	f.Fuzz(func(t *testing.T, contentType string, data []byte) {
		req := sipmsg.NewRequest(sipmsg.INVITE, sipmsg.Uri{Scheme: "sip", Host: "h"})
		setBody(req, contentType, data)
		b := bodyOf(req)
		if b.start < 0 || b.start > b.end || b.end > len(b.data) {
			t.Fatalf("%d to %d of %d", b.start, b.end, len(b.data))
		}
		if b.end > 0 && !bytes.Equal(b.with(b.sdp()), data) {
			t.Fatalf("%q with its own description is %q", data, b.with(b.sdp()))
		}
	})
}

// Whatever a Refer-To hides in its escapes, what is made of it is one header
// field of printable characters, and says the same again.
func FuzzReferToOneLine(f *testing.F) {
	f.Add(`"Bob" <sip:bob@192.0.2.1?Replaces=c1%40h%3Bto-tag%3D1%3Bfrom-tag%3D2&Subject=x>;p=1`)
	f.Add("sip:bob@192.0.2.1;method=INVITE")
	f.Add("<sip:b@h?Replaces=c%3Bto-tag%3D1%0D%0AX-Injected%3A1%3Bfrom-tag%3D2>")
	f.Add("<sip:b@h?Replaces=c%3Bto-tag%3D1%00%3Bfrom-tag%3D2>")
	f.Fuzz(func(t *testing.T, s string) {
		if _, fault := syntax.Check([]byte(strings.Replace(invite, "\r\n", "\r\nRefer-To: "+s+"\r\n", 1)+"\r\n"), false); !fault.OK() {
			return
		}
		r, err := parseReferTo(s)
		if err != nil {
			return
		}
		out := r.String()
		if strings.ContainsAny(out, "\r\n") { // a display name may quote any other control character (RFC 3261 section 25.1, quoted-pair)
			t.Fatalf("%q became %q", s, out)
		}
		if r.replaces == nil {
			return
		}
		if strings.ContainsFunc(r.replaces.String(), control) {
			t.Fatalf("the Replaces of %q is %q", s, r.replaces)
		}
		again, err := parseReferTo(out)
		if err != nil || again.replaces == nil || again.replaces.callID != r.replaces.callID || again.replaces.toTag != r.replaces.toTag || again.replaces.fromTag != r.replaces.fromTag {
			t.Fatalf("%q became %q, which reads %+v, %v", s, out, again, err)
		}
	})
}

// What is added to an offer is described, and taken out of its answer again;
// whatever the two are, what comes out can be read.
func FuzzConversion(f *testing.F) {
	const head = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP "
	f.Add([]byte(head+"0 101\r\na=rtpmap:101 telephone-event/8000\r\n"), []byte(head+"8 101\r\na=rtpmap:8 PCMA/8000\r\na=fmtp:8 x\r\n"))
	f.Add([]byte(head+"9 8\r\na=rtpmap:0 PCMU/8000\r\n"), []byte(head+"0 0 200 x\r\n"))
	f.Fuzz(func(t *testing.T, offered, answered []byte) {
		offer, err := sdp.Parse(offered)
		if err != nil {
			return
		}
		answer, err := sdp.Parse(answered)
		if err != nil {
			return
		}
		if audioOf(offer) == nil {
			return
		}
		added := lacking(codecsOf(offer))
		wide, err := sdp.Parse(adding(offer, added).Bytes())
		if err != nil {
			t.Fatalf("%q with %v: %v", offered, added, err)
		}
		if n := len(codecsOf(wide)); n != len(codecsOf(offer))+len(added) {
			t.Fatalf("%q with %v has %d codecs", offered, added, n)
		}
		told := understood(answer, offer, added)
		if _, err := sdp.Parse(told.Bytes()); err != nil {
			t.Fatalf("%q to %q: %v", answered, offered, err)
		}
		changes(codecsOf(told), codecsOf(answer), codecsOf(wide))
	})
}

// control says whether a character ends a header or hides in it; a tab is a blank.
func control(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }
