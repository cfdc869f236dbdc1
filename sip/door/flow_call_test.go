package door_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// flowURI is the URI of a Path.
func flowURI(path string) string {
	_, u, _ := strings.Cut(path, "<")
	u, _, _ = strings.Cut(u, ">")
	return u
}

// The PBX calls a phone that registered through the door by a connection of the
// phone's, along the Path of its registration: by that connection, whatever host
// its Contact names. Once the connection is gone the PBX is told so.
func TestCallToRegisteredPhone(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	for _, over := range []string{"WS", "WSS", "TLS", "TCP"} {
		t.Run(over, func(t *testing.T) {
			var p *element
			b := everything(t, func(*bedding) string {
				e, at := pbx(t, "UDP", pbxIP, nil)
				p = e
				return "sip:" + at.String()
			}, nil)
			phone := caller(t, over, b.at[over], b.client)
			aor := "<sip:100@pbx.example.com>"
			phone.write(phone.request("REGISTER", "sip:pbx.example.com", aor+";tag=r1", aor, "register", 1, "", "Supported: outbound, path"))
			register := p.expect("REGISTER")
			path := flowURI(register.header.Get("Path"))
			if host := path[strings.LastIndex(path, "@")+1:]; !strings.HasPrefix(host, b.at["UDP"]) || !strings.Contains(host, ";lr") {
				t.Fatalf("the Path is %q", register.header.Get("Path"))
			}
			p.write(p.answer(register, "200 OK", "r2", ""))
			phone.expect("200")

			for n, phoneHangsUp := range []bool{true, false} {
				id := fmt.Sprintf("tophone%d", n)
				from := "<sip:200@pbx.example.com>;tag=p1"
				p.write(p.request("INVITE", register.contact(), from, aor, id, 1, offer, "Route: <"+path+">"))
				invite := phone.expect("INVITE")
				if uri := strings.Fields(invite.start)[1]; uri != register.contact() {
					t.Errorf("the phone is called as %q, and registered as %q", uri, register.contact())
				}
				if via := invite.header.Get("Via"); !strings.HasPrefix(via, "SIP/2.0/"+over+" "+b.at[over]+";") {
					t.Errorf("the Via toward the phone is %q", via)
				}
				phone.write(phone.answer(invite, "180 Ringing", "c1", ""))
				p.expect("180")
				phone.write(phone.answer(invite, "200 OK", "c1", offer))
				ok := p.expect("200")
				p.write(p.request("ACK", ok.contact(), from, ok.header.Get("To"), id, 1, ""))
				phone.expect("ACK")
				if phoneHangsUp {
					phone.write(phone.request("BYE", invite.contact(), invite.header.Get("To")+";tag=c1", invite.header.Get("From"), invite.header.Get("Call-ID"), 7, ""))
					phone.expect("200")
					p.write(p.answer(p.expect("BYE"), "200 OK", "", ""))
					continue
				}
				p.write(p.request("BYE", ok.contact(), from, ok.header.Get("To"), id, 2, ""))
				p.expect("200")
				phone.write(phone.answer(phone.expect("BYE"), "200 OK", "", ""))
			}

			phone.leave()
			for n, end := 0, time.Now().Add(10*time.Second); ; n++ { // until the door has noticed
				id, from := fmt.Sprintf("gone%d", n), "<sip:200@pbx.example.com>;tag=p1"
				p.write(p.request("OPTIONS", register.contact(), from, aor, id, 1, "", "Route: <"+path+">"))
				m := p.final()
				if m.status() == 430 {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("who asks for a phone that is gone is told %q", m.start)
				}
			}
			p.write(p.request("INVITE", register.contact(), "<sip:200@pbx.example.com>;tag=p1", aor, "gone", 1, offer, "Route: <"+path+">"))
			p.expect("430")
		})
	}
}
