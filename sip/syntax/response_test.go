package syntax

import (
	"net/netip"
	"strings"
	"testing"
)

func TestResponse(t *testing.T) {
	source := netip.MustParseAddrPort("198.51.100.9:40001")
	raw := request("Via: SIP/2.0/UDP 192.0.2.7;rport;branch=z9hG4bKa1, SIP/2.0/UDP 192.0.2.8\nVia: SIP/2.0/TCP 192.0.2.9",
		"Subject: not told back", "CSeq: 7\n INVITE")
	res, ok := Response([]byte(raw), source, 400, "Bad\r\nRequest: x")
	if !ok {
		t.Fatal("no answer")
	}
	head, tag, found := strings.Cut(string(res), "To: <sip:bob@example.org>;tag=e")
	tag, rest, _ := strings.Cut(tag, "\r\n")
	if !found || len(tag) < 8 {
		t.Fatalf("no tag made for To:\n%s", res)
	}
	want := string(wire("SIP/2.0 400 Bad  Request: x\n"+
		"Via: SIP/2.0/UDP 192.0.2.7;rport=40001;branch=z9hG4bKa1;received=198.51.100.9, SIP/2.0/UDP 192.0.2.8\n"+
		"Via: SIP/2.0/TCP 192.0.2.9\nFrom: <sip:alice@example.net>;tag=a1\n")) + "|" +
		string(wire("Call-ID: c1@192.0.2.7\nCSeq: 7 INVITE\nContent-Length: 0\n\n"))
	if got := head + "|" + rest; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	again, _ := Response([]byte(raw), source, 400, "Bad\r\nRequest: x")
	if string(again) != string(res) {
		t.Error("a resent request got another To tag")
	}
	if _, fault := Check(res, false); !fault.OK() {
		t.Errorf("the answer has a fault: %v", fault)
	}
}

// What must never be answered, and what cannot.
func TestNoResponse(t *testing.T) {
	for name, raw := range map[string]string{
		"a response":      response(),
		"an ACK":          request(":ACK sip:bob@example.org SIP/2.0", "CSeq: 7 ACK"),
		"a broken ACK":    request(":ACK  <sip:bob@example.org> SIP/2.0", "CSeq: x"),
		"no Via":          request("-Via"),
		"a Via with NUL":  request("Via: SIP/2.0/UDP h␀"),
		"no SIP":          "GET / HTTP/1.1\r\nVia: SIP/2.0/UDP h\r\n\r\n",
		"nothing":         "",
		"nothing but Via": request(strings.Repeat("Via: SIP/2.0/UDP "+strings.Repeat("h", 200)+"\n", 40) + "X: y"),
	} {
		if res, ok := Response([]byte(raw), netip.AddrPort{}, 400, "Bad Request"); ok {
			t.Errorf("%s is answered:\n%s", name, res)
		}
	}
}

// An answer is hardly larger than what it answers: nobody gains by a made-up source.
func TestResponseAmplifiesNothing(t *testing.T) {
	for _, m := range rfc4475 {
		if res, ok := Response([]byte(m.raw), netip.MustParseAddrPort("192.0.2.1:5060"), 400, Fault{Status: 400, Header: "CSeq", Problem: "is not a number and a method"}.Reason()); ok && len(res) > len(m.raw)+150 {
			t.Errorf("%s: %d bytes are answered with %d", m.section, len(m.raw), len(res))
		}
	}
}
