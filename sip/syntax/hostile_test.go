package syntax

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// What test suites like PROTOS c07-sip send: each field broken in each way that
// has broken a parser somewhere. Every row gets 400 as a request and nothing as
// an ACK or a response.
func TestMalformed(t *testing.T) {
	long := strings.Repeat("A", 9000)
	for field, values := range map[string][]string{
		"Via": {
			"", "SIP", "SIP/2.0", "SIP/2.0/UDP", "SIP/2.0/UDP ", "/2.0/UDP h", "SIP//UDP h", "SIP/2.0/ h", "SIP/3.0/UDP h", "HTTP/2.0/UDP h",
			"SIP/2.0/UDP ;branch=z9hG4bKa", "SIP/2.0/UDP h:;branch=z9hG4bKa", "SIP/2.0/UDP h:0", "SIP/2.0/UDP h:65536", "SIP/2.0/UDP h:-1",
			"SIP/2.0/UDP h:99999999999999999999", "SIP/2.0/UDP h:5060:5060", "SIP/2.0/UDP h:%s%s%n", "SIP/2.0/UDP 2001:db8::1", "SIP/2.0/UDP [::1",
			"SIP/2.0/UDP [::g]", "SIP/2.0/UDP [1::2::3]", "SIP/2.0/UDP []", "SIP/2.0/UDP ..", "SIP/2.0/UDP h;", "SIP/2.0/UDP h;;branch=z9hG4bKa",
			"SIP/2.0/UDP h;branch", "SIP/2.0/UDP h;branch=", "SIP/2.0/UDP h;branch=z9hG4bKa;branch=z9hG4bKb", "SIP/2.0/UDP h,", "SIP/2.0/UDP h,,",
			`SIP/2.0/UDP h;x="a,b"`, `SIP/2.0/UDP h;x="a`, "SIP/2.0/UDP h h", "SIP/2.0/UDP h\x01", "SIP/2.0/UDP h;branch=z9hG4bK", long,
			"SIP/2.0/UDP \xc0\xaf", "SIP/2.0/UDP h;branch=<a>",
		},
		"From": {
			"", " ", "<>", "<sip:>", "sip:", "<sip:a@>", "<sip:@b>", "<sip:a@b", "sip:a@b>;tag=1", "<<sip:a@b>>;tag=1", `"a <sip:a@b>;tag=1`, `"a\" <sip:a@b>;tag=1`,
			`a" <sip:a@b>;tag=1`, `"a" sip:a@b;tag=1`, "<sip:a@b>;tag=", "<sip:a@b>;tag", "<sip:a@b>;tag=1;tag=2", "<sip:a@b>;;tag=1", "<sip:a@b>;tag=1;",
			"<sip:a@b>tag=1", "<sip:a@b>, <sip:c@d>;tag=1", "<sip:a@b>;tag=a=b", "<sip:%s%n%x@b>;tag=1", "<sip:a%@b>;tag=1", "<sip:a%4@b>;tag=1", "<sip:a@b@c>;tag=1",
			"<sip:a b@c>;tag=1", "<sip:a@b:c>;tag=1", "<sip:a@b;>;tag=1", "<sip:\xff\xfe@b>;tag=1", "< sip:a@b >;tag=1", "*", "<a@b>;tag=1", "<:a@b>;tag=1",
			"<sip:a@b?>;tag=\x7f", `<sip:a@b>;tag="1"`, "<sip:a@b>", "<sip:a@[1:2:3]>;tag=1", "<sip:a@[1:2:3:4:5:6:7:8:9]>;tag=1", "<sip:a@[::1.2.3]>;tag=1",
			"<sip:a@[::1.2.3.256]>;tag=1", "<tel:>;tag=1", "<tel:+1 555>;tag=1", long,
		},
		"To":      {"", "<", `"`, `"\`, "<sip:a@b", "<sip:a@b>;tag=", "sip:a@b?Route=x", "sip:a@b,sip:c@d", "<sip:a@b:>"},
		"Call-ID": {"", " ", "a b", "a\tb", "\xc3\xa4@b", long},
		"CSeq": {
			"", "1", "OPTIONS", "1OPTIONS", "-1 OPTIONS", "+1 OPTIONS", "1.0 OPTIONS", "0x1 OPTIONS", "2147483648 OPTIONS", "4294967296 OPTIONS",
			"99999999999999999999999999 OPTIONS", "1 OPTIONS x", "1 OPT\xc3\xa4", "1 INVITE", "1 options", "%d OPTIONS", "1 ",
		},
		"Max-Forwards":   {"", "-1", "256", "70 70", "70,70", "seventy", "0x46", "99999999999999999999", "%n"},
		"Content-Length": {"", "-1", "+0", "0x0", "0 0", "0,0", "99999999999999999999", "4294967296", "1e3", "%n", "1"},
		"Contact":        {"", ",", "<sip:a@b>,", ",<sip:a@b>", "<sip:a@b>,,<sip:c@d>", "*", "sip:a@b?x=y", "<sip:a@b>;q", "<sip:a@b>;q=;x", `"a`, "<sip:a@b>;x=\"y", "<sip:a@b> x"},
		"Route":          {"", "sip:a", "<sip:a>,", "<sip:a", "<>", "<sip:a b>"},
		"Record-Route":   {"sip:a;lr", "<sip:a;lr>;;x"},
		"Content-Type":   {"", "/", "application", "application/", "/sdp", "application/sdp;", "application/sdp;=x", "application/sdp, text/plain", "a b/c"},
		"Refer-To":       {"", "<sip:a@b", "<sip:a@b>,<sip:c@d>", "sip:a@b?Replaces=x"},
	} {
		for _, v := range values {
			if field == "Contact" && v == "<sip:a@b>;q" {
				continue // a parameter without a value is legal everywhere
			}
			t.Run(fmt.Sprintf("%s/%.40q", field, v), func(t *testing.T) {
				line := field + ": " + v
				fault := faultOf(request(line))
				if want := statusOf(v); fault.Status != want || fault.Drop || fault.Close != (field == "Content-Length" && v != "1") {
					t.Errorf("a request: %+v, want %d", fault, want)
				}
				line = strings.ReplaceAll(line, "OPTIONS", "ACK")
				if fault := faultOf(request(":ACK sip:bob@example.org SIP/2.0", "CSeq: 7 ACK", line)); !fault.Drop || fault.Status != 0 {
					t.Errorf("an ACK: %+v", fault)
				}
				if field == "From" && v == "<sip:a@b>" || field == "CSeq" && strings.HasPrefix(v, "1 ") && len(v) > 2 || field == "Contact" && v == "*" {
					return // a response may
				}
				if fault := faultOf(response(line)); !fault.Drop || fault.Status != 0 {
					t.Errorf("a response: %+v", fault)
				}
			})
		}
	}
}

func statusOf(v string) int {
	if len(v) > 8192 {
		return 513
	}
	return 400
}

func faultOf(raw string) Fault {
	_, fault := Check([]byte(raw), false)
	return fault
}

// The message as a whole: what ends a header where it must not, what is there
// twice or not at all, sizes, things that are no SIP.
func TestMalformedWhole(t *testing.T) {
	head, body, _ := strings.Cut(request(), "\r\n\r\n")
	_ = body
	for _, c := range []struct {
		name string
		raw  string
		want answer
	}{
		{"nothing", "", drop},
		{"noise", "\x80\x00\x12\x34 RTP is not SIP", drop},
		{"another protocol", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", drop},
		{"a request line without a version", string(wire("OPTIONS sip:bob@example.org\n")) + head, drop},
		{"a version of nothing", request(":OPTIONS sip:bob@example.org SIP/"), refused},
		{"a version with letters", request(":OPTIONS sip:bob@example.org SIP/2.x"), refused},
		{"an old version", request(":OPTIONS sip:bob@example.org SIP/1.0"), answer{status: 505}},
		{"a long version", request(":OPTIONS sip:bob@example.org SIP/2.0000000000000000000000000000001"), answer{status: 505}},
		{"an empty address", request(":OPTIONS  SIP/2.0"), refused},
		{"an address without a scheme", request(":OPTIONS bob@example.org SIP/2.0"), refused},
		{"a method with separators", request(":OPT(IONS sip:bob@example.org SIP/2.0"), drop},
		{"format strings for a method", request(":%s%n sip:bob@example.org SIP/2.0", "CSeq: 7 %s%n"), answer{status: 501}},
		{"a method in small letters", request(":options sip:bob@example.org SIP/2.0", "CSeq: 7 options"), answer{status: 501}},
		{"an unknown method", request(":PING sip:bob@example.org SIP/2.0", "CSeq: 7 PING"), accept},
		{"a Request-URI of 9000 bytes", request(":OPTIONS sip:" + strings.Repeat("b", 9000) + "@example.org SIP/2.0"), answer{status: 414}},
		{"format strings in the Request-URI", request(":OPTIONS sip:%s%s%s%n@example.org SIP/2.0"), refused},
		{"a NUL in the Request-URI", request(":OPTIONS sip:bob␀@example.org SIP/2.0"), refused},
		{"a status of two digits", response(":SIP/2.0 99 OK"), drop},
		{"a status of 700", response(":SIP/2.0 700 OK"), drop},
		{"a negative status", response(":SIP/2.0 -200 OK"), drop},
		{"a response of another version", response(":SIP/7.0 200 OK"), drop},
		{"a NUL in the reason", response(":SIP/2.0 200 O␀K"), drop},

		{"a line feed alone ends a header", request("Subject: a␊X-Injected: b"), refused},
		{"a carriage return alone ends a header", request("Subject: a␍X-Injected: b"), refused},
		{"a carriage return in a name", request("From: \"A␍X-Injected: b\" <sip:a@b>;tag=1"), refused},
		{"an escaped carriage return in a name", request("From: \"A\\␍X-Injected: b\" <sip:a@b>;tag=1"), refused},
		{"line feeds alone", strings.ReplaceAll(request(), "\r\n", "\n"), refused},
		{"a NUL in a header nobody reads", request("X-Custom: a␀b"), refused},
		{"a control character there", request("X-Custom: a\x1b[2Jb"), refused},
		{"a header name with a blank", request("X Custom: a"), refused},
		{"a header without a name", request(": a"), drop}, // build takes it for the first line
		{"a header without a colon", request("Nonsense"), refused},
		{"a first header that is folded", request(":OPTIONS sip:bob@example.org SIP/2.0\n X: y"), refused},
		{"a header name of other letters", request("X-Größe: 1"), refused},
		{"folding that hides a header", request("Subject: a\n Via: SIP/2.0/UDP evil"), accept},

		{"From twice, once compact", request("f: <sip:a@b>;tag=2"), refused},
		{"To twice", request("t: <sip:a@b>"), refused},
		{"Call-ID twice", request("i: c2"), refused},
		{"Content-Length twice, equal", request("l: 0"), answer{status: 400, close: true}},
		{"Content-Type twice", request("Content-Type: a/b\nc: a/b"), refused},
		{"no Via", request("-Via"), refused},
		{"no From", request("-From"), refused},
		{"no To", request("-To"), refused},
		{"no Call-ID", request("-Call-ID"), refused},
		{"no CSeq", request("-CSeq"), refused},
		{"a response without CSeq", response("-CSeq"), drop},
		{"cut off in the head", head[:len(head)-4], refused},
		{"cut off behind the first line", "OPTIONS sip:bob@example.org SIP/2.0\r\n", refused},
		{"cut off in the first line", "OPTIONS sip:bob@example.org SIP/2.0", refused},

		{"129 header fields", request(strings.Repeat("X-A: b\n", 122) + "X-A: b"), answer{status: 513}},
		{"128 header fields", request(strings.Repeat("X-A: b\n", 120) + "X-A: b"), accept},
		{"40000 bytes", request("Content-Length: 40000", "\n"+strings.Repeat("b", 40000)), answer{status: 513}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, fault := Check([]byte(c.raw), false)
			if got := (answer{fault.Status, fault.Drop, fault.Close}); got != c.want {
				t.Fatalf("got %+v (%v), want %+v\n%s", got, fault, c.want, c.raw)
			}
			if res, ok := Response([]byte(c.raw), netip.MustParseAddrPort("192.0.2.66:5070"), 400, fault.Reason()); ok {
				answerIsSound(t, res)
			}
		})
	}
}

// A stream has nothing but Content-Length to tell where a message ends.
func TestStream(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		want      answer
	}{
		{"a body as long as it says", request("Content-Length: 3", "\nabc"), accept},
		{"a body that is not whole", request("Content-Length: 4", "\nabc"), answer{status: 400, close: true}},
		{"no length and a body", request("-Content-Length", "\nabc"), answer{status: 400, close: true}},
		{"no length and no body", request("-Content-Length"), accept},
		{"negative", request("Content-Length: -3", "\nabc"), answer{status: 400, close: true}},
		{"twice", request("Content-Length: 3\nContent-Length: 0", "\nabc"), answer{status: 400, close: true}},
		{"no empty line", request()[:len(request())-2], answer{status: 400}},
	} {
		_, fault := Check([]byte(c.raw), true)
		if got := (answer{fault.Status, fault.Drop, fault.Close}); got != c.want {
			t.Errorf("%s: got %+v (%v), want %+v", c.name, got, fault, c.want)
		}
	}
}

func TestLimits(t *testing.T) {
	l := Limits{Message: 1000, Body: 10, Headers: 9, Line: 100}
	for _, c := range []struct {
		name, raw string
		status    int
	}{
		{"within", invite("Content-Length: 10", "\n0123456789"), 0},
		{"body", invite("Content-Length: 11", "\n0123456789a"), 413},
		{"line", invite("X: " + strings.Repeat("a", 98)), 513},
		{"headers", invite("A: b", "C: d"), 513},
		{"address", invite(":INVITE sip:" + strings.Repeat("a", 97) + " SIP/2.0"), 414},
		{"message", invite("Content-Length: 10", "\n0123456789") + strings.Repeat(" ", 1000), 513},
	} {
		if _, fault := l.Check([]byte(c.raw), false); fault.Status != c.status {
			t.Errorf("%s: %+v, want %d", c.name, fault, c.status)
		}
	}
}
