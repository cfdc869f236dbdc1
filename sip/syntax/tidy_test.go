package syntax

import "testing"

// odd are legal messages that the parser (sipgo 1.7.2) would misread or write
// on broken, and what it gets instead.
var odd = []struct{ name, in, out string }{
	{"a blank before the parameters", request("From: <sip:alice@example.net> ;tag=a1"), request()},
	{"blanks around the equals sign", request("From: <sip:alice@example.net>; tag = a1"), request()},
	{"an address without brackets and a blank", request("From: sip:alice@example.net ;tag=a1"), request()},
	{"a tag in capitals", request("From: <sip:alice@example.net>;TAG=a1"), request()},
	{"a tag in a quoted parameter is none", request(`From: <sip:alice@example.net>;x=";tag=evil";tag=a1`), request()},
	{"a quoted parameter with blanks", request(`From: <sip:alice@example.net>;x="a b";tag=a1`), request()},
	{"a backslash in an unquoted name", request(`From: A\ <sip:alice@example.net>;tag=a1`), request("From: A/ <sip:alice@example.net>;tag=a1")},
	{"an escaped NUL in a name", request("From: \"A\\␀B\" <sip:alice@example.net>;tag=a1"), request(`From: "A  B" <sip:alice@example.net>;tag=a1`)},
	{"two blanks in CSeq", request("CSeq: 7  OPTIONS"), request()},
	{"a tab in CSeq", request("CSeq: 7\tOPTIONS"), request()},
	{"blanks in Via", request("Via: SIP / 2.0 / UDP  192.0.2.7 : 5060 ;branch = z9hG4bKa1"), request()},
	{"a blank behind the port of Via", request("Via: SIP/2.0/UDP 192.0.2.7:5060 ;branch=z9hG4bKa1"), request()},
	{"a quoted token in Via", request(`Via: SIP/2.0/UDP 192.0.2.7:5060;x="y";branch=z9hG4bKa1`), request("Via: SIP/2.0/UDP 192.0.2.7:5060;x=y;branch=z9hG4bKa1")},
	{"parameters of Via in capitals", request("Via: SIP/2.0/UDP 192.0.2.7:5060;RPORT;Branch=z9hG4bKa1"), request("Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKa1")},
	{"brackets around received", request("Via: SIP/2.0/UDP [::2];received=[::1];branch=z9hG4bKa1"), request("Via: SIP/2.0/UDP [::2];received=::1;branch=z9hG4bKa1")},
	{"an escaped quote in a Contact's name", invite(`Contact: "A \", B" <sip:alice@192.0.2.7>`), invite(`Contact: "A ', B" <sip:alice@192.0.2.7>`)},
	{"a list that is folded", invite("Record-Route: <sip:p1;lr>,\n  <sip:p2;lr>"), invite("Record-Route: <sip:p1;lr>\nRecord-Route: <sip:p2;lr>")},
	{"a list in a quoted parameter", invite(`Contact: <sip:alice@192.0.2.7>; methods="INVITE, ACK"`), invite(`Contact: <sip:alice@192.0.2.7>;methods="INVITE,ACK"`)},
	{"blanks in Content-Type", request("Content-Type: application / sdp"), request("Content-Type: application/sdp")},
	{"the version in small letters", request(":OPTIONS sip:bob@example.org sip/2.0"), request()},
	{"no space before an empty reason", response(":SIP/2.0 100"), response(":SIP/2.0 100 ")},
	{"empty lines before it", "\r\n\r\n" + request(), request()},
	{"octets behind it", request() + "\x00\x00", request()},
	{"no empty line", request()[:len(request())-2], request()},
	{"three colons", request(":OPTIONS sip:[2001:db8:::1] SIP/2.0"), request(":OPTIONS sip:[2001:db8::1] SIP/2.0")},
	{"a folded header that the parser does not know", request("Subject: one\n two\n\tthree"), request("Subject: one two three")},
}

func TestTidy(t *testing.T) {
	for _, c := range odd {
		out, fault := Check([]byte(c.in), false)
		if !fault.OK() || string(out) != c.out {
			t.Errorf("%s: %v\n%s\nwant:\n%s", c.name, fault, out, c.out)
		}
	}
}

// What is in plain spelling already is handed on as it is.
func TestTidyLeavesTheRestAlone(t *testing.T) {
	for _, raw := range []string{
		request(), invite(), response(), bench,
		request("Via: SIP/2.0/TLS [2001:db8::1]:5061;rport;branch=z9hG4bKx, SIP/2.0/UDP 192.0.2.9;received=192.0.2.8"),
		request(`From: "Müller, Jörg" <sips:+4930123456@example.net;user=phone>;tag=x;isup-oli=0`),
		request("From: \"M\xfcller\" <sip:a@b>;tag=1", "Subject: caf\xe9"), // Latin-1: wrong, harmless, and sent by many
		request("To: <sip:*21*555#@example.org>", "v: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKy"),
		invite(`Contact: <sip:alice@192.0.2.7;gr=urn:uuid:1;ob>;+sip.instance="<urn:uuid:2>";reg-id=1;expires=3600`),
	} {
		in := []byte(raw)
		out, fault := Check(in, false)
		if !fault.OK() || len(out) != len(in) || &out[0] != &in[0] {
			t.Errorf("%v; got\n%s\nof\n%s", fault, out, raw)
		}
	}
}
