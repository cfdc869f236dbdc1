package door_test

import (
	"fmt"
	"slices"
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

// Behind a reverse proxy on the door's machine every phone has its address, and a
// port that one phone came by is another's later. The first's token leads to the
// first alone, and what is left of its call is not the second's to hear.
func TestFlowOfReusedPort(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	for _, over := range []string{"WS", "WSS", "TLS", "TCP"} {
		t.Run(over, func(t *testing.T) {
			var p *element
			b := everything(t, func(*bedding) string {
				e, at := pbx(t, "UDP", pbxIP, nil)
				p = e
				return "sip:" + at.String()
			}, nil)
			register := func(phone *element, user string) (contact, path string) {
				aor := "<sip:" + user + "@pbx.example.com>"
				phone.write(phone.request("REGISTER", "sip:pbx.example.com", aor+";tag=r1", aor, "register"+user, 1, "", "Supported: path"))
				m := p.expect("REGISTER")
				p.write(p.answer(m, "200 OK", "r2", ""))
				phone.expect("200")
				return m.contact(), flowURI(m.header.Get("Path"))
			}
			first := caller(t, over, b.at[over], b.client)
			contact, path := register(first, "100")
			web := strings.HasPrefix(over, "WS") // others may listen where their Contact says
			var invite msg
			if web {
				invite, _ = answered(first, p, "standing")
			}
			first.leave()
			var second *element
			var path2 string
			for end := time.Now().Add(10 * time.Second); ; {
				second = callerFrom(t, over, b.at[over], b.client, first.port)
				if _, path2 = register(second, "200"); path2 != path {
					break
				}
				if time.Now().After(end) {
					t.Fatal("the second phone has the token of the first")
				}
			}
			p.write(p.request("INVITE", contact, "<sip:200@pbx.example.com>;tag=p1", "<sip:100@pbx.example.com>", "first", 1, offer, "Route: <"+path+">"))
			if m := p.final(); m.status() != 430 {
				t.Errorf("who calls the first phone is told %q", m.start)
			}
			if web {
				p.write(p.request("BYE", invite.contact(), invite.header.Get("To")+";tag=p1", invite.header.Get("From"), invite.header.Get("Call-ID"), 7, ""))
				p.expect("200")
			}
			p.write(p.request("OPTIONS", contact, "<sip:200@pbx.example.com>;tag=p2", "<sip:200@pbx.example.com>", "second", 1, "", "Route: <"+path2+">"))
			m := second.expect("OPTIONS") // and nothing before it
			second.write(second.answer(m, "200 OK", "o1", ""))
			p.expect("200")
		})
	}
}

// Where the two sides of a dialog that the door proxies have different sockets, it
// stands in the route twice, so that either side finds in it what it can reach, and
// takes both entries out of what comes by them.
func TestRecordRouteOfBothSides(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	for _, near := range []string{"WS", "WSS", "TLS", "TCP", "UDP"} {
		t.Run(near, func(t *testing.T) {
			var p *element
			b := everything(t, func(*bedding) string {
				e, at := pbx(t, "UDP", pbxIP, nil)
				p = e
				return "sip:" + at.String()
			}, nil)
			phone := caller(t, near, b.at[near], b.client)
			from, to := "<sip:100@pbx.example.com>;tag=s1", "<sip:200@pbx.example.com>"
			event := "Event: presence"
			phone.write(phone.request("SUBSCRIBE", "sip:200@pbx.example.com", from, to, "both", 1, "", event))
			m := p.expect("SUBSCRIBE")
			routes := m.header.Values("Record-Route")
			want := []string{b.at["UDP"], b.at[near]}
			if near == "UDP" {
				want = want[:1]
			}
			if len(routes) != len(want) {
				t.Fatalf("the PBX is told the routes %q", routes)
			}
			for i, r := range routes {
				if uri := flowURI(r); !strings.Contains(uri, "@"+want[i]+";") || !strings.Contains(uri, ";lr") {
					t.Errorf("route %d is %q, not by %s", i, uri, want[i])
				}
			}
			p.write(p.answer(m, "200 OK", "s2", ""))
			phone.expect("200")

			toward := "Route: " + strings.Join(routes, ", ")
			p.write(p.request("NOTIFY", m.contact(), to+";tag=s2", from, "both", 1, "", event, "Subscription-State: active", toward))
			notify := phone.expect("NOTIFY")
			if r := notify.header.Get("Route"); r != "" {
				t.Errorf("the phone gets the Route %q", r)
			}
			phone.write(phone.answer(notify, "200 OK", "", ""))
			p.expect("200")

			slices.Reverse(routes)
			back := "Route: " + strings.Join(routes, ", ")
			phone.write(phone.request("SUBSCRIBE", "sip:a@"+p.sentBy, from, to+";tag=s2", "both", 2, "", event, back))
			m = p.expect("SUBSCRIBE")
			if r := m.header.Get("Route"); r != "" {
				t.Errorf("the PBX gets the Route %q", r)
			}
			p.write(p.answer(m, "200 OK", "", ""))
			phone.expect("200")
		})
	}
}
