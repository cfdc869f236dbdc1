package door_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/portero/portero/sip/door"
)

// bedding is a door that listens over everything, and its certificates.
type bedding struct {
	*door.Door
	certs  *files
	client *tls.Config // of a caller
	server *tls.Config // of a PBX
	at     map[string]string
}

// everything opens a door with every listener, in front of a PBX's URI.
func everything(t *testing.T, uri func(*bedding) string, change func(*door.Config)) *bedding {
	t.Helper()
	plain, plain6 := listen(t, doorIP), listen(t, "::1")
	b := &bedding{certs: makeCA(t), at: map[string]string{"UDP": plain, "TCP": plain, "TLS": listen(t, doorIP), "WS": listen(t, doorIP), "WSS": listen(t, doorIP),
		"UDP6": plain6, "TCP6": plain6, "TLS6": listen(t, "::1")}}
	own, _ := b.certs.issue("door", "sip.example.com", doorIP, "::1")
	_, theirs := b.certs.issue("pbx", "pbx.example.com", pbxIP)
	b.client = &tls.Config{RootCAs: b.certs.pool, ServerName: "sip.example.com"}
	b.server = &tls.Config{Certificates: []tls.Certificate{theirs}}
	b.Door = openDoor(t, func(c *door.Config) {
		c.Listen = nil
		for over, at := range b.at {
			c.Listen = append(c.Listen, strings.ToLower(strings.TrimSuffix(over, "6"))+":"+at)
		}
		c.TLS.Certificates = []door.Certificate{own}
		c.TLS.CA = b.certs.path("ca.pem")
		c.Trunks = append(c.Trunks, door.Trunk{Name: "web"})
		c.WebSocket.Trunk, c.WebSocket.Path = "web", "/sip"
		c.Destinations = map[string]door.Destination{"agents": {URI: uri(b)}}
		if change != nil {
			change(c)
		}
	})
	return b
}

// A call from every transport and family to every transport and family: set up,
// acknowledged and hung up by either side, with addresses of the right transport
// in Via and Contact.
func TestCallOver(t *testing.T) {
	defer goleak.VerifyNone(t)
	n := 0
	for _, far := range []string{"UDP", "TCP", "TLS", "UDP6"} {
		t.Run("to "+far, func(t *testing.T) {
			over, ip := strings.TrimSuffix(far, "6"), pbxIP
			if far != over {
				ip = "::1"
			}
			var p *element
			b := everything(t, func(b *bedding) string {
				e, at := pbx(t, over, ip, b.server)
				p = e
				return fmt.Sprintf("sip:%s;transport=%s", at, strings.ToLower(over))
			}, func(c *door.Config) {
				if far != over {
					c.Trunks[0].Addresses = []string{callerIP}
				}
			})
			for _, near := range []string{"UDP", "TCP", "TLS", "WS", "WSS", "UDP6", "TCP6", "TLS6"} {
				if far == "UDP6" && strings.HasSuffix(near, "6") {
					continue // ::1 is the PBX
				}
				t.Run("from "+near, func(t *testing.T) {
					for _, farHangsUp := range []bool{false, true} {
						n++
						c := caller(t, strings.TrimSuffix(near, "6"), b.at[near], b.client)
						invite, ok := call(t, c, p, fmt.Sprintf("call%d", n), farHangsUp)
						if via := invite.header.Get("Via"); !strings.HasPrefix(via, "SIP/2.0/"+over+" "+b.at[far]+";") {
							t.Errorf("the Via toward the PBX is %q", via)
						}
						want := map[string]string{"UDP": "", "TCP": ";transport=tcp", "TLS": ";transport=tls", "WS": ";transport=ws", "WSS": ";transport=ws"}
						if got := ok.contact(); got != "sip:100@"+b.at[near]+want[strings.TrimSuffix(near, "6")] {
							t.Errorf("the caller is told the Contact %q", got)
						}
						if got := invite.contact(); got != "sip:+34600000001@"+b.at[far]+want[over] {
							t.Errorf("the PBX is told the Contact %q", got)
						}
					}
				})
			}
			for end := time.Now().Add(5 * time.Second); b.CallsNow() > 0; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d calls are left", b.CallsNow())
				}
			}
		})
	}
}
