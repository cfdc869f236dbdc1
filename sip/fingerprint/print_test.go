package fingerprint

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/portero/portero/sip/fingerprint/makertest"
)

var idForm = regexp.MustCompile(`^p2_([1-6][0-9][0-9])?[a-z-]{3}[0-9]{2}[sn]d?(_[0-9a-f]{8}){3}$`)

// One make has one print, whatever changes from call to call.
func TestPrintIsStable(t *testing.T) {
	const calls = 500
	for name, maker := range makertest.Makers {
		texts := map[string]int{}
		for i := range calls {
			p := Of(makertest.Wire(maker(makertest.NewTokens(uint64(i)))))
			if !idForm.MatchString(p.ID) {
				t.Fatalf("%s: id %q", name, p.ID)
			}
			texts[p.Text]++
		}
		// A random token may look like another kind now and then: a decimal one of
		// eight digits, a CSeq below 4.
		most := 0
		for _, n := range texts {
			most = max(most, n)
		}
		if most < calls*99/100 {
			t.Errorf("%s: the commonest of %d prints has %d of %d calls: %v", name, len(texts), most, calls, texts)
		}
	}
}

// The makes must not share a print.
func TestPrintsDiffer(t *testing.T) {
	seen := map[string]string{}
	for name, maker := range makertest.Makers {
		id := Of(makertest.Wire(maker(makertest.NewTokens(1)))).ID
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s have print %s", name, other, id)
		}
		seen[id] = name
	}
}

// What belongs to the make is in the print, in its part of it; what belongs to
// the call or its path is not.
func TestPrintSees(t *testing.T) {
	base := makertest.Makers["baresip"](makertest.NewTokens(1))
	id := Of(makertest.Wire(base)).ID
	// The parts of the ID that differ: what it begins with, headers, tokens, SDP.
	const begin, headers, tokens, session = "begin ", "headers ", "tokens ", "session "
	for _, c := range []struct{ name, from, to, differ string }{
		{"order", "Max-Forwards: 70\nFrom:", "From:", begin + headers},
		{"order alone", "Max-Forwards: 70\nFrom:", "Subject: a\nFrom:", headers},
		{"case", "CSeq:", "CSEQ:", headers},
		{"compact form", "Call-ID:", "i:", headers},
		{"blank before the colon", "Allow:", "Allow :", headers},
		{"no blank after it", "Allow: ", "Allow:", headers},
		{"folding", "INVITE,ACK,", "INVITE,\n ACK,", headers},
		{"order of methods", "ACK,BYE", "BYE,ACK", headers},
		{"codecs", "0 8 101", "8 0 101", session},
		{"no rport", ";rport", "", tokens},
		{"the branch's form", "branch=z9hG4bK", "branch=z9hG4bKPj", tokens},
		{"no magic cookie", "branch=z9hG4bK", "branch=", tokens},
		{"the session's name", "s=-", "s=call", session},
		{"another order in the description", "s=-\nt=0 0", "t=0 0\ns=-", session},
		{"a proxy on the way", "Via: ", "Record-Route: <sip:p;lr>\nVia: SIP/2.0/UDP p;branch=z9hG4bKxyz.1\nVia: ", ""},
		{"a proxy in one line", "Via: ", "Via: SIP/2.0/UDP p;branch=z9hG4bKxyz.1, ", ""},
		{"another transport", "SIP/2.0/UDP", "SIP/2.0/TCP", ""},
		{"credentials", "Contact:", "Proxy-Authorization: Digest a=\"b\"\nContact:", ""},
		{"an asserted identity", "Contact:", "P-Asserted-Identity: <tel:+1>\nPrivacy: id\nContact:", ""},
		{"a diverted call", "Contact:", "Diversion: <sip:1@h>;reason=unconditional\nContact:", ""},
		{"the caller's name", "From: <", "From: \"Ana\" <", ""},
		{"another caller", "+34", "+49", ""},
		{"a callee by a bare address", "To: <sip:100@door>", "To: sip:100@other:5070;x=1", ""},
		{"a caller with a name in the Contact", "Contact: <", "Contact: \"Ana\" <", ""},
		{"a conference's focus", "\nCall-ID:", ";isfocus\nCall-ID:", ""},
		{"callee", "INVITE sip:100@door", "INVITE sip:200@other", ""},
		{"hops left", "Max-Forwards: 70", "Max-Forwards: 12", ""},
		{"another port for media", "m=audio 1 ", "m=audio 40222 ", ""},
		{"bare line feeds", "", "", ""},
	} {
		if c.from != "" && !strings.Contains(base, c.from) {
			t.Fatalf("%s: the message has no %q", c.name, c.from)
		}
		raw := makertest.Wire(strings.ReplaceAll(base, c.from, c.to))
		if c.from == "" {
			raw = []byte(base)
		}
		p, differ := Of(raw), ""
		was, is := strings.Split(id, "_"), strings.Split(p.ID, "_")
		for i, part := range []string{"", begin, headers, tokens, session} {
			if was[i] != is[i] {
				differ += part
			}
		}
		if differ != c.differ {
			t.Errorf("%s: other in %q, want %q: %s", c.name, differ, c.differ, p.Text)
		}
	}
}

// A number that is written without its leading zeros, a decimal token that could be
// hexadecimal, and random digits that begin as another stack's prefix do not make
// another print.
func TestPrintOfShortTokens(t *testing.T) {
	of := func(branch, tag, callID string) string {
		return Of(makertest.Wire(fmt.Sprintf("INVITE sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK%s\nFrom: <sip:a@b>;tag=%s\nTo: <sip:c@d>\nCall-ID: %s\nCSeq: 20 INVITE\n\n", branch, tag, callID))).ID
	}
	for name, c := range map[string][2][3]string{
		"hexadecimal with %x": {{"3a2b1c0d", "4f5e6d7c", "0f2a4c6e8b1d3f5a"}, {"a2b1c0d", "f5e6d", "f2a4c6e8b1d3f5a"}},
		"random ac":           {{"3a2b1c0d4e5f6a7b", "4f5e6d7c", "0f2a4c6e8b1d3f5a"}, {"ac2b1c0d4e5f6a7b", "acce6d7c", "ac2a4c6e8b1d3f5a"}},
		"decimal numbers":     {{"1189421563", "1706312941", "1183546821"}, {"189421563", "17063129", "83546821"}},
	} {
		if a, b := of(c[0][0], c[0][1], c[0][2]), of(c[1][0], c[1][1], c[1][2]); a != b {
			t.Errorf("%s: %s and %s", name, a, b)
		}
	}
}

// The text form of each kind of message, as README.md has it.
func TestPrintText(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, raw, want string }{
		{"INVITE", `
INVITE sip:100@198.51.100.2 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKPj0f2a4c6e8b1d3f5a7c9e0b2d4f6a8c0e
Max-Forwards: 70
From: "Ana" <sip:ana@192.0.2.1>;tag=5a7c9e0b2d4f6a8c0e0f2a4c6e8b1d3f
To: <sip:100@198.51.100.2>
Contact: <sip:ana@192.0.2.1:5060;ob>
Call-ID: 8b1d3f5a7c9e0b2d4f6a8c0e0f2a4c6e
CSeq: 21044 INVITE
Allow: PRACK, INVITE, ACK, BYE
Supported: replaces, 100rel, timer
User-Agent: Ready Phone 1.2
Content-Type: application/sdp
Content-Length:   180

v=0
o=- 3975421861 3975421861 IN IP4 192.0.2.1
s=pjmedia
c=IN IP4 192.0.2.1
t=0 0
m=audio 4000 RTP/AVP 8 0 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=sendrecv
`, "p2 m=INVITE h=Via,Max-Forwards,From,To,Contact,Call-ID,CSeq,Allow,Supported,User-Agent,Content-Type,Content-Length w=p " +
			"allow=PRACK,+INVITE,+ACK,+BYE supported=replaces,+100rel,+timer via=;rport;branch:Pj~hex32 from=asip>:hex32 " +
			"contact=asipp;ob>:from id=hex32 cseq=16bit sdp=-/same32/pjmedia/0-16,v,o,s,c,t|m:audio:RTP/AVP:8+0+101,rtpmap,fmtp,sendrecv"},
		{"200", `
SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;received=192.0.2.1
Record-Route: <sip:proxy;lr>
From: <sip:ana@192.0.2.1>;tag=1
To: <sip:100@198.51.100.2>;tag=as6d2f0a11
Call-ID: x
CSeq: 1 INVITE
Server: Asterisk PBX 11.7.0
Allow: INVITE, ACK
Contact: <sip:100@198.51.100.2:5060>
Content-Length: 0

`, "p2 m=200:INVITE r=OK h=Via,From,To,Call-ID,CSeq,Server,Allow,Contact,Content-Length w= allow=INVITE,+ACK supported= " +
			"tag=as~hex8 contact=asipp>:to sdp=none"},
		{"183 with a description, which follows the offer", `
SIP/2.0 183 Session Progress
v: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx
f: <sip:ana@192.0.2.1>;tag=1
t: <sip:100@198.51.100.2>;tag=9jjge6H405c5a
i: x
CSeq: 1 INVITE
l: 60

v=0
o=FreeSWITCH 1700000000 1700000001 IN IP4 192.0.2.2
s=FreeSWITCH
m=audio 4000 RTP/AVP 8
`, "p2 m=183:INVITE r=Session+Progress h=v,f,t,i,CSeq,l w= allow= supported= tag=sofia contact= " +
			"sdp=FreeSWITCH/next32/FreeSWITCH/,v,o,s|m:audio:RTP/AVP"},
		{"REGISTER, whose CSeq grows", `
REGISTER sip:registrar SIP/2.0
Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK.Ab3dEf9hI
From: <sip:ana@registrar>;tag=Ab3dEf9hJ
To: sip:ana@registrar
CSeq: 4711 REGISTER
Call-ID: Ab3dEf9hJk
Contact: <sip:ana@192.0.2.1;transport=tcp>;+sip.instance="<urn:uuid:1>"
Expires: 3600
Content-Length: 0

`, "p2 m=REGISTER h=Via,From,To,CSeq,Call-ID,Contact,Expires,Content-Length w= allow= supported= via=;branch:.~txt9 " +
			"from=asip>:txt9 contact=asip>;+sip.instance:from id=txt10 cseq=- sdp=none"},
		{"OPTIONS of a PBX", `
OPTIONS sip:192.0.2.9 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK3a2b1c0d
From: "asterisk" <sip:asterisk@192.0.2.1>;tag=as3a2b1c0d
To: <sip:192.0.2.9>
Contact: <sip:asterisk@192.0.2.1:5060>
Call-ID: 3a2b1c0d3a2b1c0d3a2b1c0d3a2b1c0d@192.0.2.1:5060
CSeq: 102 OPTIONS
Content-Length: 0

`, "p2 m=OPTIONS h=Via,From,To,Contact,Call-ID,CSeq,Content-Length w= allow= supported= via=;rport;branch:hex8 " +
			"from=asip>:as~hex8 contact=asipp>:from id=hex32@ip cseq=- sdp=none"},
		{"BYE, inside a dialog", `
BYE sip:ana@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1
From: <sip:100@198.51.100.2>;tag=2
To: <sip:ana@192.0.2.1>;tag=1
Call-ID: x
CSeq: 7 BYE

`, "p2 m=BYE+ h=Via,From,To,Call-ID,CSeq w= allow= supported= via=;branch:dec from=asip>:dec contact= id=none cseq=- sdp=none"},
		{"nothing", "", "p2 m= h= w= allow= supported= via=:nocookie:none from=b>:none contact= id=none cseq=- sdp=none"},
	} {
		p := Of(makertest.Wire(c.raw))
		if p.Text != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, p.Text, c.want)
		}
		if c.name == "INVITE" { // it is the example in the README
			shown := strings.Join(strings.Fields(string(readme)), " ")
			if !strings.Contains(shown, p.Text) || !strings.Contains(shown, p.ID+" ") {
				t.Errorf("README.md shows another print than %s\n%s", p.ID, p.Text)
			}
		}
	}
}

// The evidence of a print is what the sender declares, whatever the make.
func TestEvidence(t *testing.T) {
	for _, c := range []struct{ name, contact, want string }{
		{"declared", `<sip:a@b>;automata;actor="attendant"`, "sig.automata:4 sig.actor:2"},
		{"principal", `<sip:a@b>;actor="principal"`, ""},
		{"a message taker", `<sip:a@b>;actor="msg-taker"`, "sig.actor:2"},
		{"nothing", `<sip:a@b>`, ""},
	} {
		var got []string
		for _, e := range Of(makertest.Wire("INVITE sip:a@b SIP/2.0\nContact: " + c.contact + "\n\n")).Evidence() {
			got = append(got, fmt.Sprintf("%s:%v", e.Name, e.LLR))
			if e.Says == "" {
				t.Errorf("%s: %s says nothing", c.name, e.Name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %q", c.name, got, c.want)
		}
	}
}

// Each field is what it is named after.
func TestFields(t *testing.T) {
	var m Message
	m.Read(makertest.Wire(makertest.Makers["sipp"](makertest.NewTokens(3))))
	for name, want := range map[string]string{
		"method": "INVITE", "subject": "Performance Test", "from_user": "sipp", "from_display": "sipp",
		"branch_shape": "-dec-dec-dec", "from_tag_shape": "SIPpTag", "call_id_shape": "dec-dec@ip", "to_tag_shape": "",
		"origin": "user1", "session": "-", "origin_numbers": "apart32", "cseq_class": "first", "codecs": "0", "user_agent": "",
		"header_order": "Via,From,To,Call-ID,CSeq,Contact,Max-Forwards,Subject,Content-Type,Content-Length",
	} {
		if got := string(m.Field(Fields[name])); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if len(Fields) != int(numFields) {
		t.Errorf("%d names of %d fields", len(Fields), numFields)
	}
	for name, f := range Fields {
		if has := m.Has()&(1<<f) != 0; has != (len(m.Field(f)) > 0) {
			t.Errorf("Has says %v of %s, which is %q", has, name, m.Field(f))
		}
	}
}

// A response is not taken for its request's maker, nor a request inside a dialog
// for the one who chose its Call-ID.
func TestFieldsAreTheSendersOwn(t *testing.T) {
	sofia := makertest.Makers["sofia-sip"](makertest.NewTokens(1))
	_, rest, _ := strings.Cut(sofia, "\n")
	for name, raw := range map[string]string{
		"a response":  "SIP/2.0 200 OK\n" + rest,
		"in a dialog": strings.Replace(sofia, "To: <sip:100@door>", "To: <sip:100@door>;tag=1", 1),
	} {
		Examine(makertest.Wire(raw), func(m *Message) {
			if m.Holds(SofiaIDs) || len(m.Field(CallID)) > 0 || len(m.Field(CallIDShape)) > 0 && !m.Within() {
				t.Errorf("%s: Call-ID %q, its relation to CSeq holds: %v", name, m.Field(CallID), m.Holds(SofiaIDs))
			}
			if m.Status() > 0 && (m.Holds(SofiaTokens) || m.Has()&(1<<Branch|1<<From|1<<FromTag|1<<FromUser|1<<ViaHost) != 0) {
				t.Errorf("%s: it has its request's tokens", name)
			}
		})
	}
}

func FuzzOf(f *testing.F) {
	for _, maker := range makertest.Makers {
		f.Add(makertest.Wire(maker(makertest.NewTokens(1))))
	}
	f.Add([]byte("\r\n\nINVITE\r\nv :;branch=z9hG4bK-,\"\r\nf:<\r\nm: \"\\\r\n ,;automata\r\n\r\nm=\r\na=:\r\no="))
	f.Add([]byte("SIP/2.0 200 OK\r\nt: <a>;tag=as0\r\nCSeq: 1 INVITE\r\nX-a: b\r\n\r\no=- 1 2\r\nm=audio 1 RTP/AVP 0\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m Message
		m.Read(raw)
		p := m.Print()
		if !idForm.MatchString(p.ID) || !strings.HasPrefix(p.Text, version+" ") {
			t.Errorf("print %q %q", p.ID, p.Text)
		}
		for _, c := range []byte(p.Text + p.UserAgent) {
			if c < ' ' || c >= 0x7f {
				t.Fatalf("unprintable %q", p.Text)
			}
		}
		if len(p.Text) > 4096 {
			t.Errorf("%d bytes of text", len(p.Text))
		}
		p.Evidence()
		for _, f := range Fields {
			m.Field(f)
		}
	})
}

func BenchmarkOf(b *testing.B) {
	raw := makertest.Wire(makertest.Makers["livekit"](makertest.NewTokens(1)))
	b.ReportAllocs()
	for range b.N {
		Of(raw)
	}
}
