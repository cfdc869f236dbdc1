package door

import (
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
	"github.com/google/go-cmp/cmp"
)

func request(method sipmsg.RequestMethod, contentType, body string) *sipmsg.Request {
	var u sipmsg.Uri
	_ = sipmsg.ParseUri("sip:100@192.0.2.1", &u)
	req := sipmsg.NewRequest(method, u)
	if contentType != "" {
		setBody(req, contentType, []byte(body))
	}
	return req
}

func TestBody(t *testing.T) {
	multi := "--b1\r\nContent-Type: application/isup\r\n\r\n\x01\x00\xff\r\n--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\no=x\r\n\r\n--b1--\r\n"
	for _, c := range []struct{ name, contentType, in, sdp, out string }{
		{"alone", "application/sdp", "v=0\r\n", "v=0\r\n", "NEW"},
		{"odd parameters", "application/sdp;;x", "v=0\r\n", "v=0\r\n", "NEW"},
		{"case", "Application/SDP", "v=0\r\n", "v=0\r\n", "NEW"},
		{"not a description", "application/dtmf-relay", "Signal=1\r\n", "", ""},
		{"beside ISUP", `multipart/mixed;boundary="b1"`, multi, "v=0\r\no=x\r\n", strings.Replace(multi, "v=0\r\no=x\r\n", "NEW", 1)},
		{"a multipart without", "multipart/mixed;boundary=b1", "--b1\r\nContent-Type: text/plain\r\n\r\nx\r\n--b1--\r\n", "", ""},
		{"a multipart cut off", "multipart/mixed;boundary=b1", "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0", "", ""},
		{"no boundary", "multipart/mixed", multi, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bodyOf(request(sipmsg.INVITE, c.contentType, c.in))
			if string(b.sdp()) != c.sdp {
				t.Fatalf("description %q, want %q", b.sdp(), c.sdp)
			}
			if c.sdp != "" {
				if diff := cmp.Diff(c.out, string(b.with([]byte("NEW")))); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestPassHeaders(t *testing.T) {
	in := "INVITE sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\nRecord-Route: <sip:198.51.100.7;lr>\r\n" +
		"From: <sip:a@b>;tag=1\r\nTo: <sip:100@192.0.2.1>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:a@198.51.100.7>\r\nMax-Forwards: 70\r\n" +
		"P-Asserted-Identity: \"A, B\" <sip:+34600000001@b>, <tel:+34600000001>\r\nDiversion: <sip:x@y>;reason=unconditional\r\n" +
		"History-Info: <sip:x@y>;index=1, <sip:z@y>;index=1.1\r\nIdentity: eyJ.eyJ.sig;info=<https://c.example/a.pem>;alg=ES256\r\n" +
		"Privacy: id\r\nUser-to-User: 56a3;encoding=hex\r\nx-Custom:  keep  this \r\nX-Portero-Verdict: human\r\nx-portero-rule: forged\r\n" +
		"Supported: 100rel, timer, histinfo\r\nk: replaces\r\nAllow: INVITE, PRACK, BYE\r\nSession-Expires: 1800\r\nProxy-Authorization: Digest x\r\n\r\n"
	msg, err := sipmsg.NewParser().ParseSIP([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	out := request(sipmsg.INVITE, "", "")
	passHeaders(msg.(*sipmsg.Request), out)
	var got []string
	for _, h := range out.Headers() {
		got = append(got, h.String())
	}
	want := []string{
		`P-Asserted-Identity: "A, B" <sip:+34600000001@b>, <tel:+34600000001>`,
		`Diversion: <sip:x@y>;reason=unconditional`,
		`History-Info: <sip:x@y>;index=1, <sip:z@y>;index=1.1`,
		`Identity: eyJ.eyJ.sig;info=<https://c.example/a.pem>;alg=ES256`,
		`Privacy: id`,
		`User-to-User: 56a3;encoding=hex`,
		`x-Custom: keep  this`,
		`Allow: INVITE, BYE`,
		`Proxy-Authorization: Digest x`,
		`Supported: histinfo, replaces`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnsupported(t *testing.T) {
	d := &Door{cfg: Config{ReliableProvisional: "off"}}
	for in, want := range map[string]string{"": "", "100rel": "100rel", "histinfo": "", "privacy, Timer": "timer", "foo,bar": "foo, bar"} {
		req := request(sipmsg.INVITE, "", "")
		if in != "" {
			req.AppendHeader(sipmsg.NewHeader("Require", in))
		}
		if got := joined(d.unsupported(req)); got != want {
			t.Errorf("Require: %s: unsupported %q, want %q", in, got, want)
		}
	}
}
