package door_test

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/portero/portero/sip/door"
	"github.com/portero/portero/sip/upstream"
)

// What is called by a sips URI over TLS goes on over TLS, to a sips URI and with
// sips Contacts toward both sides, or gets 480 with a Warning: calls, and what is
// relayed. Called in the clear it goes on as it can.
func TestSIPS(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	for _, far := range []string{"TLS", "UDP", "TLS and UDP"} {
		t.Run("to "+far, func(t *testing.T) {
			var p *element
			b := everything(t, func(b *bedding) string {
				over := far[:3]
				e, at := pbx(t, over, pbxIP, b.server)
				p = e
				return fmt.Sprintf("sip:%s;transport=%s", at, strings.ToLower(over))
			}, func(c *door.Config) {
				if far == "TLS and UDP" { // the one in the clear first
					agents := c.Destinations["agents"]
					c.Destinations["agents"] = door.Destination{Targets: []upstream.Target{
						{URI: "sip:" + pbxIP + ":9;transport=udp", Priority: 1, Weight: 1}, {URI: agents.URI, Priority: 2, Weight: 1}}}
				}
			})
			for _, near := range []string{"TLS", "WSS", "UDP"} {
				t.Run("from "+near, func(t *testing.T) {
					c := caller(t, near, b.at[near], b.client)
					from, to, id := "<sip:+34600000001@"+c.sentBy+">;tag=c1", "<sips:100@portero>", "sips"+near
					c.write(c.request("INVITE", "sips:100@portero", from, to, id, 1, offer))
					if far == "UDP" && near != "UDP" {
						for _, m := range []msg{c.expect("480"), refused(c, "MESSAGE", id), refused(c, "REGISTER", id)} {
							if w := m.header.Get("Warning"); !strings.HasPrefix(w, "380 ") {
								t.Errorf("%s has the Warning %q", m.start, w)
							}
						}
						return
					}
					if far == "TLS and UDP" && near == "UDP" {
						return // nobody is at the first target
					}
					invite := p.expect("INVITE")
					p.write(p.answer(invite, "200 OK", "p1", offer))
					ok := c.expect("200")
					c.write(c.request("ACK", ok.contact(), from, ok.header.Get("To"), id, 1, ""))
					p.expect("ACK")
					want := map[string]string{"TLS": "sips:100@" + b.at["TLS"], "WSS": "sips:100@" + b.at["WSS"] + ";transport=ws", "UDP": "sip:100@" + b.at["UDP"]}
					if got := ok.contact(); got != want[near] {
						t.Errorf("the caller is told the Contact %q, not %q", got, want[near])
					}
					scheme := map[bool]string{true: "sip:", false: "sips:"}[near == "UDP"]
					if uri := strings.Fields(invite.start)[1]; !strings.HasPrefix(uri, scheme) || scheme == "sips:" && strings.Contains(uri, "transport") {
						t.Errorf("the PBX is called as %q", uri)
					}
					if !strings.HasPrefix(invite.contact(), scheme) || scheme == "sips:" && strings.Contains(invite.contact(), "transport") {
						t.Errorf("the PBX is told the Contact %q", invite.contact())
					}
					hangUp(c, p, id, invite, ok, near == "TLS")
				})
			}
		})
	}
}

// refused sends a request for a sips URI that is to get 480.
func refused(c *element, method, id string) msg {
	c.t.Helper()
	c.write(c.request(method, "sips:100@portero", "<sip:100@portero>;tag=r", "<sip:100@portero>", id+method, 1, ""))
	return c.expect("480")
}
