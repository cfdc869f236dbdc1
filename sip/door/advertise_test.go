package door_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/portero/portero/sip/door"
)

// A door behind NAT tells both sides the address that it is known by, with its
// port, in Via and Contact over whatever transport, and takes what is sent to that
// address for its own.
func TestAdvertised(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	const told, toldTLS = "198.51.100.7:15060", "sip.example.com:15061"
	for _, far := range []string{"UDP", "TCP"} {
		t.Run("to "+far, func(t *testing.T) {
			certs := makeCA(t)
			p, at := pbx(t, far, pbxIP, nil)
			own, _ := certs.issue("door", "sip.example.com")
			plain, secure := listen(t, secureIP), listen(t, secureIP)
			openDoor(t, func(c *door.Config) {
				c.Listen = []string{"udp:" + plain, "tcp:" + plain, "tls:" + secure + " advertise " + toldTLS}
				c.Advertise = told
				c.TLS.Certificates = []door.Certificate{own}
				c.Destinations = map[string]door.Destination{"agents": {URI: fmt.Sprintf("sip:%s;transport=%s", at, strings.ToLower(far))}}
			})
			for _, near := range []struct{ transport, at, told string }{
				{"UDP", plain, told},
				{"TCP", plain, told + ";transport=tcp"},
				{"TLS", secure, toldTLS + ";transport=tls"},
			} {
				for _, farHangsUp := range []bool{false, true} {
					t.Run(fmt.Sprintf("from %s, the PBX hangs up %v", near.transport, farHangsUp), func(t *testing.T) {
						c := caller(t, near.transport, near.at, &tls.Config{RootCAs: certs.pool, ServerName: "sip.example.com"})
						id := "advertised" + near.transport + fmt.Sprint(farHangsUp)
						invite, ok := answered(c, p, id)
						if via := invite.header.Get("Via"); !strings.HasPrefix(via, "SIP/2.0/"+far+" "+told+";") {
							t.Errorf("the Via toward the PBX is %q", via)
						}
						want := "sip:+34600000001@" + told
						if far == "TCP" {
							want += ";transport=tcp"
						}
						if got := invite.contact(); got != want {
							t.Errorf("the PBX is told the Contact %q, want %q", got, want)
						}
						if got, want := ok.contact(), "sip:100@"+near.told; got != want {
							t.Errorf("the caller is told the Contact %q, want %q", got, want)
						}
						bye := hangUp(c, p, id, invite, ok, farHangsUp)
						via, want := bye.header.Get("Via"), "SIP/2.0/"+far+" "+told+";"
						if farHangsUp {
							want = "SIP/2.0/" + near.transport + " " + strings.Split(near.told, ";")[0] + ";"
						}
						if !strings.HasPrefix(via, want) {
							t.Errorf("the Via of the door's BYE is %q, want %q", via, want)
						}
					})
				}
			}
		})
	}
}
