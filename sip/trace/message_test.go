package trace

import (
	"strings"
	"testing"
)

func TestStartLines(t *testing.T) {
	for _, c := range []struct {
		line   string
		method string
		code   int
		ok     bool
	}{
		{"INVITE sip:bob@example.com SIP/2.0\r\n", "INVITE", 0, true},
		{"INVITE sip:bob@example.com SIP/2.0\n", "INVITE", 0, true},
		{"INVITE  sip:bob@example.com  SIP/2.0  \r\n", "INVITE", 0, true},
		{"!interesting-Method0123456789_*+`.%indeed'~ sip:x SIP/2.0\r\n", "", 0, false}, // longer than any method is
		{"NOTIFY sip:b@x sip/2.0\r\n", "NOTIFY", 0, true},
		{"OPTIONS sip:b@x SIP/7.0\r\n", "OPTIONS", 0, true}, // RFC 4475 badvers: still SIP
		{"SIP/2.0 200 OK\r\n", "", 200, true},
		{"SIP/2.0 100\r\n\r\n", "", 100, true},
		{"SIP/2.0 2000 OK\r\n", "", 0, false},
		{"SIP/2.0 099 OK\r\n", "", 0, false},
		{"SIP/2.0 abc OK\r\n", "", 0, false},
		{"INVITE SIP/2.0\r\n\r\n", "", 0, false},
		{"INVITE sip:bob@example.com SIP/2.0", "", 0, false},
		{"GET /index.html HTTP/1.1\r\n", "", 0, false},
		{"hello, this is not SIP/2.0 at all\r\n", "", 0, false},
		{"", "", 0, false},
	} {
		method, code, ok := startLine([]byte(c.line))
		if c.line[:method] != c.method || code != c.code || ok != c.ok {
			t.Errorf("%q: %d %d %v, want %q %d %v", c.line, method, code, ok, c.method, c.code, c.ok)
		}
	}
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestMessageView(t *testing.T) {
	text := crlf("\n\nINVITE sip:bob@example.com SIP/2.0\n" +
		"v: SIP/2.0/UDP 192.0.2.1\n" +
		"f : \"Alice; <sip:not@this>\"\n\t<sip:+4912:secret@example.com;user=phone>;x=1;\n  TAG=a\n" +
		"t:tel:+49-30-1;tag=none\n" +
		"From: <sip:second@example.com>\n" +
		"I: one\n" +
		"CSEQ: 7 INVITE\n" +
		"c: application/sdp\n" +
		"l: 5\n\nv=0\nand what is not of the message")
	m, ok := parseMessage([]byte(text))
	if !ok {
		t.Fatal("not taken for SIP")
	}
	if m.method != "INVITE" || m.callID != "one" || m.cseq != "7" || m.cseqMethod != "INVITE" || m.bodyType != "application/sdp" {
		t.Errorf("view is %+v", m)
	}
	if m.from != (address{user: "+4912", host: m.from.host, tag: "a"}) {
		t.Errorf("from %+v", m.from)
	}
	// Without brackets the parameters are the header's, RFC 3261 section 20.
	if m.to != (address{user: "+49-30-1", host: m.to.host, tag: "none"}) {
		t.Errorf("to %+v", m.to)
	}
	if string(m.body) != "v=0\r\n" || !strings.HasPrefix(string(m.raw), "INVITE") || !strings.HasSuffix(string(m.raw), "v=0\r\n") {
		t.Errorf("raw is %q", m.raw)
	}
}

func TestMessageViewOfRubbish(t *testing.T) {
	for _, text := range []string{
		"BYE sip:x SIP/2.0\n",
		"BYE sip:x SIP/2.0\n\n",
		"BYE sip:x SIP/2.0\nContent-Length: 99999999999999999999\n\nbody",
		"BYE sip:x SIP/2.0\nContent-Length: -5\n\nbody",
		"BYE sip:x SIP/2.0\n: \n:\nno colon\nFrom\nTo: \nFrom: \"\\\nCSeq: INVITE\n\n",
		"BYE sip:x SIP/2.0\n folded start\n\n",
	} {
		m, ok := parseMessage([]byte(text))
		if !ok || m.method != "BYE" || m.callID != "" {
			t.Errorf("%q: %v %+v", text, ok, m)
		}
	}
}

func TestAddresses(t *testing.T) {
	for v, want := range map[string]address{
		`<sip:alice@example.com>;tag=1`:                    {"alice", "example.com", "1"},
		`sip:alice@example.com;tag=1`:                      {"alice", "example.com", "1"},
		`<sip:example.com>`:                                {"", "example.com", ""},
		`"a \" <sip:x@y>" <sips:real@z> ; Tag = q`:         {"real", "z", "q"},
		`Bob <tel:+1;phone-context=x>;tag=t`:               {"+1", "", "t"},
		`<urn:service:sos>`:                                {"", "", ""},
		`<sips:a:secret@[2001:db8::1]:5061;transport=tls>`: {"a", "2001:db8::1", ""},
		`sip:gw.example.com:5070;tag=z`:                    {"", "gw.example.com", "z"},
		`<sip:1;isub=2@gw>`:                                {"1;isub=2", "gw", ""},
	} {
		if got := parseAddress(v); got != want {
			t.Errorf("%s: %+v, want %+v", v, got, want)
		}
	}
}

func TestDescriptionOfMultipart(t *testing.T) {
	m := message{bodyType: "multipart/mixed;boundary=x", body: []byte(crlf("--x\nContent-Type: text/plain\n\nhello\n--x\nContent-Type: application/sdp\n\nv=0\ns=-\n--x--\n"))}
	if got := string(m.description()); got != "v=0\r\ns=-\r" {
		t.Errorf("got %q", got)
	}
	for _, m := range []message{
		{bodyType: "text/plain", body: []byte("v=0\r\n")},
		{bodyType: "multipart/mixed", body: []byte("--x\r\n\r\nhello")},
		{bodyType: "application/sdp", body: []byte("hello")},
		{},
	} {
		if got := m.description(); got != nil {
			t.Errorf("%+v: got %q", m, got)
		}
	}
}
