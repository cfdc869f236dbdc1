package syntax

import (
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

// bench is an INVITE as a carrier sends it.
var bench = string(wire(`INVITE sip:+493012345678@192.0.2.10:5060;user=phone SIP/2.0
Via: SIP/2.0/UDP 203.0.113.10:5060;branch=z9hG4bK1d2c4ea9f2;rport
Record-Route: <sip:203.0.113.10;lr;ftag=gK0c9f>
From: "Alice Example" <sip:+14155550123@203.0.113.10;user=phone>;tag=gK0c9f7a21
To: <sip:+493012345678@192.0.2.10;user=phone>
Call-ID: 1074292480_130541289@203.0.113.10
CSeq: 614873 INVITE
Max-Forwards: 68
Allow: INVITE,ACK,CANCEL,BYE,REGISTER,REFER,INFO,SUBSCRIBE,NOTIFY,PRACK,UPDATE,OPTIONS,MESSAGE,PUBLISH
Accept: application/sdp, application/isup, application/dtmf, multipart/mixed
Contact: <sip:+14155550123@203.0.113.10:5060>
P-Asserted-Identity: "Alice Example" <sip:+14155550123@203.0.113.10:5060;user=phone>
Supported: timer,100rel,precondition
Session-Expires: 1800
Min-SE: 90
Content-Length: 161
Content-Disposition: session; handling=optional
Content-Type: application/sdp

v=0
o=Sonus_UAC 504412 10934 IN IP4 203.0.113.10
s=SIP Media Capabilities
c=IN IP4 203.0.113.20
t=0 0
m=audio 5012 RTP/AVP 0 8 101
a=sendrecv
a=ptime:20
`))

func TestCheckAllocatesNothing(t *testing.T) {
	raw := []byte(bench)
	if _, fault := Check(raw, false); !fault.OK() {
		t.Fatal(fault)
	}
	if n := testing.AllocsPerRun(100, func() { Check(raw, false) }); n != 0 {
		t.Errorf("%v allocations for a sound INVITE", n)
	}
}

func BenchmarkCheck(b *testing.B) {
	raw := []byte(bench)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for range b.N {
		Check(raw, false)
	}
}

// For comparison: what the parser then takes.
func BenchmarkParser(b *testing.B) {
	raw := []byte(bench)
	p := sipmsg.NewParser()
	b.ReportAllocs()
	for range b.N {
		if _, err := p.ParseSIP(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTidy(b *testing.B) {
	raw := []byte(request("Via: SIP/2.0/UDP 192.0.2.7:5060 ;branch=z9hG4bKa1"))
	b.ReportAllocs()
	for range b.N {
		Check(raw, false)
	}
}
