package door_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/portero/portero/media/webrtc"
	"github.com/portero/portero/sip/door"
)

// The PBX calls a browser along the Path of its registration: the browser is
// offered ICE lite and DTLS-SRTP, with either role in the handshake, and what it
// answers is plain audio toward the PBX.
func TestCallToRegisteredBrowser(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	browsers, err := webrtc.New(webrtc.Config{Listen: []string{doorIP + ":0"}}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = browsers.Close() })
	p, at := pbx(t, "UDP", pbxIP, nil)
	ws := listen(t, doorIP)
	openDoor(t, func(c *door.Config) {
		c.Listen = []string{"udp:" + listen(t, doorIP), "ws:" + ws}
		c.Trunks = append(c.Trunks, door.Trunk{Name: "web"})
		c.WebSocket.Trunk, c.WebSocket.Path = "web", "/sip"
		c.Destinations = map[string]door.Destination{"agents": {URI: "sip:" + at.String()}}
	}, func(d *door.Deps) { d.WebRTC = browsers })

	phone := caller(t, "WS", ws, nil)
	aor := "<sip:100@pbx.example.com>"
	phone.write(phone.request("REGISTER", "sip:pbx.example.com", aor+";tag=r1", aor, "register", 1, "", "Supported: path"))
	register := p.expect("REGISTER")
	p.write(p.answer(register, "200 OK", "r2", ""))
	phone.expect("200")

	from := "<sip:200@pbx.example.com>;tag=p1"
	p.write(p.request("INVITE", register.contact(), from, aor, "tobrowser", 1, offer, "Route: <"+flowURI(register.header.Get("Path"))+">"))
	invite := phone.expect("INVITE")
	for _, want := range []string{"a=ice-lite\r\n", "a=group:BUNDLE 0\r\n", " UDP/TLS/RTP/SAVPF 0", "a=setup:actpass\r\n", "a=fingerprint:sha-256 ",
		"a=ice-ufrag:", "a=candidate:", "a=rtcp-mux\r\n", "a=sendrecv\r\n"} {
		if !strings.Contains(invite.body, want) {
			t.Errorf("the browser's offer has no %q:\n%s", want, invite.body)
		}
	}
	phone.write(phone.answer(invite, "200 OK", "c1", strings.Join([]string{"v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
		"m=audio 9 UDP/TLS/RTP/SAVPF 0", "c=IN IP4 0.0.0.0", "a=mid:0", "a=rtcp-mux", "a=ice-ufrag:abcd", "a=ice-pwd:0123456789abcdefghijklmn",
		"a=fingerprint:sha-256 0A" + strings.Repeat(":0A", 31), "a=setup:active", "a=rtpmap:0 PCMU/8000", "a=sendrecv", ""}, "\r\n")))
	ok := p.expect("200")
	if !strings.Contains(ok.body, " RTP/AVP 0\r\n") || strings.Contains(ok.body, "fingerprint") || strings.Contains(ok.body, "ice-") {
		t.Errorf("the PBX's answer is\n%s", ok.body)
	}
	p.write(p.request("ACK", ok.contact(), from, ok.header.Get("To"), "tobrowser", 1, ""))
	phone.expect("ACK")
	p.write(p.request("BYE", ok.contact(), from, ok.header.Get("To"), "tobrowser", 2, ""))
	p.expect("200")
	phone.write(phone.answer(phone.expect("BYE"), "200 OK", "", ""))
}
