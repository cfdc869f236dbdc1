package scenario_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/sip/door/scenario"
)

// The places of TestNoOpenRelay.
var places = map[string]netip.AddrPort{
	"carrier":  netip.MustParseAddrPort("192.0.2.1:5060"),     // a trunk that +34 goes out by
	"second":   netip.MustParseAddrPort("192.0.2.129:5060"),   // a trunk that nothing goes out by
	"pbx":      netip.MustParseAddrPort("198.51.100.10:5060"), //
	"stranger": netip.MustParseAddrPort("203.0.113.66:5060"),  //
	"victim":   netip.MustParseAddrPort("203.0.113.99:5060"),  // what a toll thief or a flooder wants to reach
}

const relayConfig = `
sip:
  refer: handle
  strangers: refuse
  trunks:
    - {name: carrier, addresses: [192.0.2.1], uri: "sip:192.0.2.1"}
    - {name: second, addresses: [192.0.2.129]}
  outbound:
    - {prefix: "+34", trunk: carrier}
  destinations:
    agents: {uri: "sip:198.51.100.10:5060", redirects: follow}
    automation: {uri: "sip:machines@198.51.100.10:5060"}
`

// raw is a request as an attacker writes it; more are header lines.
func raw(method, uri string, more ...string) func(from netip.AddrPort, n int) string {
	return func(from netip.AddrPort, n int) string {
		head := []string{
			method + " " + uri + " SIP/2.0",
			fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bKrelay%d", from, n),
			"Max-Forwards: 70",
			fmt.Sprintf("From: <sip:mallory@%s>;tag=m%d", from.Addr(), n),
			"To: <" + uri + ">",
			fmt.Sprintf("Call-ID: relay%d@%s", n, from.Addr()),
			"CSeq: 1 " + method,
			fmt.Sprintf("Contact: <sip:mallory@%s>", from),
		}
		for _, h := range more { // in place of one of the above, or besides
			name, _, _ := strings.Cut(h, ":")
			replaced := false
			for i := range head {
				if i > 0 && strings.HasPrefix(head[i], name+":") && name != "Via" {
					head[i], replaced = h, true
				}
			}
			if !replaced {
				head = append(head, h)
			}
		}
		body := "v=0\r\no=- 1 1 IN IP4 " + from.Addr().String() + "\r\ns=-\r\nc=IN IP4 " + from.Addr().String() +
			"\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
		return strings.Join(head, "\r\n") + "\r\nContent-Type: application/sdp\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body
	}
}

// Nothing that a stranger, a trunk or the PBX writes makes the door send to a
// place that the configuration does not send it to: each attack may reach those
// places only that are named behind it.
func TestNoOpenRelay(t *testing.T) {
	for name, a := range map[string]struct {
		from    string
		message func(netip.AddrPort, int) string
		reaches string
	}{
		// Strangers reach nobody.
		"a stranger calls":                           {"stranger", raw("INVITE", "sip:100@198.51.100.1"), ""},
		"a stranger calls a trunk":                   {"stranger", raw("INVITE", "sip:+34600000001@192.0.2.1"), ""},
		"a stranger calls through":                   {"stranger", raw("INVITE", "sip:+900123@203.0.113.99"), ""},
		"a stranger sends a message":                 {"stranger", raw("MESSAGE", "sip:100@203.0.113.99"), ""},
		"a stranger registers":                       {"stranger", raw("REGISTER", "sip:198.51.100.1"), ""},
		"a stranger says it is the PBX":              {"stranger", raw("INVITE", "sip:+34600000001@192.0.2.1", "Via: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bKa"), ""},
		"a stranger has a dialog":                    {"stranger", raw("INVITE", "sip:+34600000001@192.0.2.1", "To: <sip:a@b>;tag=1", "Route: <sip:198.51.100.1;lr>"), ""},
		"a stranger has a Replaces":                  {"stranger", raw("INVITE", "sip:+34600000001@192.0.2.1", "Replaces: a@b;to-tag=1;from-tag=2"), ""},
		"a stranger transfers":                       {"stranger", raw("REFER", "sip:100@198.51.100.1", "Refer-To: <sip:+900123@203.0.113.99>"), ""},
		"a trunk calls a number at another host":     {"second", raw("INVITE", "sip:+900123@203.0.113.99"), "pbx"},
		"a trunk calls another trunk":                {"second", raw("INVITE", "sip:+34600000001@192.0.2.1"), "pbx"},
		"a trunk calls along a route":                {"second", raw("INVITE", "sip:+34600000001@198.51.100.1", "Route: <sip:192.0.2.1;lr>"), "pbx"},
		"a trunk calls along two routes":             {"second", raw("INVITE", "sip:+900123@198.51.100.1", "Route: <sip:198.51.100.1;lr>, <sip:203.0.113.99;lr>"), "pbx"},
		"a trunk calls with maddr":                   {"second", raw("INVITE", "sip:+900123@198.51.100.1;maddr=203.0.113.99"), "pbx"},
		"a trunk calls by tel URI":                   {"second", raw("INVITE", "tel:+900123"), "pbx"},
		"a trunk calls with the contract's headers":  {"second", raw("INVITE", "sip:100@198.51.100.1", "X-Portero-Action: forged", "X-Portero-Call-ID: forged", "X-Portero-Raw: forged"), "pbx"},
		"a trunk says who may be recorded in routes": {"second", raw("INVITE", "sip:100@198.51.100.1", "Record-Route: <sip:203.0.113.99;lr>"), "pbx"},
		"a trunk's Contact is somebody else":         {"second", raw("INVITE", "sip:100@198.51.100.1", "Contact: <sip:victim@203.0.113.99>"), "pbx"},
		"a trunk's Via is somebody else":             {"second", raw("INVITE", "sip:100@198.51.100.1", "Via: SIP/2.0/UDP 203.0.113.99:5060;branch=z9hG4bKvictim"), "pbx"},
		"a trunk sends a message to another trunk":   {"second", raw("MESSAGE", "sip:a@192.0.2.1"), "pbx"},
		"a trunk routes a message to another trunk":  {"second", raw("MESSAGE", "sip:a@192.0.2.1", "Route: <sip:192.0.2.1;lr>"), ""},
		"a trunk routes a message outside":           {"second", raw("MESSAGE", "sip:a@203.0.113.99", "Route: <sip:198.51.100.1;lr>, <sip:203.0.113.99;lr>"), ""},
		"a trunk routes a message with maddr":        {"second", raw("MESSAGE", "sip:a@b", "Route: <sip:198.51.100.1;lr>, <sip:198.51.100.10;lr;maddr=203.0.113.99>"), "pbx"},
		"a trunk has a dialog with another trunk":    {"second", raw("NOTIFY", "sip:a@192.0.2.1", "To: <sip:a@b>;tag=1", "Route: <sip:198.51.100.1;lr>"), "pbx"},
		"a trunk has a forged flow":                  {"second", raw("MESSAGE", "sip:a@192.0.2.1", "Route: <sip:AMAAAgETxA@198.51.100.1;lr>"), "pbx"},
		"a trunk publishes at another host":          {"second", raw("PUBLISH", "sip:a@203.0.113.99"), "pbx"},
		"a trunk registers a victim":                 {"second", raw("REGISTER", "sip:203.0.113.99", "Contact: <sip:v@203.0.113.99>"), "pbx"},
		"a trunk transfers out of any dialog":        {"second", raw("REFER", "sip:100@198.51.100.1", "Refer-To: <sip:+900123@203.0.113.99>"), "pbx"},
		"the PBX calls what no rule lets out":        {"pbx", raw("INVITE", "sip:+900123@192.0.2.1"), ""},
		"the PBX calls a trunk without a rule":       {"pbx", raw("INVITE", "sip:100@192.0.2.129"), ""},
		"the PBX calls a stranger":                   {"pbx", raw("INVITE", "sip:+34600000001@203.0.113.99"), "carrier"},
		"the PBX calls along a route":                {"pbx", raw("INVITE", "sip:+34600000001@203.0.113.99", "Route: <sip:203.0.113.99;lr>"), "carrier"},
		"the PBX calls with maddr":                   {"pbx", raw("INVITE", "sip:+34600000001@198.51.100.1;maddr=203.0.113.99"), "carrier"},
		"the PBX calls along a forged flow":          {"pbx", raw("INVITE", "sip:+900123@203.0.113.99", "Route: <sip:AMAAAgETxA@198.51.100.1;lr>"), ""},
		"the PBX calls with the contract's headers":  {"pbx", raw("INVITE", "sip:+34600000001@a", "X-Portero-Action: forged"), "carrier"},
		"the PBX calls with a user of two parts":     {"pbx", raw("INVITE", "sip:+900123%40x+34@192.0.2.1"), ""},
		"the PBX sends a message to a stranger":      {"pbx", raw("MESSAGE", "sip:a@203.0.113.99"), ""},
		"the PBX sends a message with maddr":         {"pbx", raw("MESSAGE", "sip:a@198.51.100.1;maddr=203.0.113.99"), ""},
		"the PBX sends a message to itself by us":    {"pbx", raw("MESSAGE", "sip:a@198.51.100.1"), ""},
		"the PBX sends a message by name":            {"pbx", raw("MESSAGE", "sip:a@victim.example"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := scenario.NewNetwork()
			d := open(t, n, relayConfig)
			defer d.close(t)
			got := map[string]chan string{}
			var from net.PacketConn
			for place, addr := range places {
				c, err := n.Listen(addr)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				ch := make(chan string, 64)
				got[place] = ch
				go func() {
					buf := make([]byte, 64<<10)
					for {
						k, _, err := c.ReadFrom(buf)
						if err != nil {
							return
						}
						ch <- string(buf[:k])
					}
				}()
				if place == a.from {
					from = c
				}
			}
			if _, err := from.WriteTo([]byte(a.message(places[a.from], 1)), net.UDPAddrFromAddrPort(scenario.DoorAddr)); err != nil {
				t.Fatal(err)
			}
			reached := false
			for wait := time.After(400 * time.Millisecond); ; {
				var place, m string
				select {
				case m = <-got["carrier"]:
					place = "carrier"
				case m = <-got["second"]:
					place = "second"
				case m = <-got["pbx"]:
					place = "pbx"
				case m = <-got["stranger"]:
					place = "stranger"
				case m = <-got["victim"]:
					place = "victim"
				case <-wait:
					if a.reaches != "" && !reached {
						t.Errorf("it does not reach %s, where it should go", a.reaches)
					}
					return
				}
				if strings.HasPrefix(m, "SIP/2.0 ") && place == a.from {
					continue
				}
				if place != a.reaches {
					t.Errorf("it reaches %s:\n%s", place, m)
				}
				if strings.Contains(m, "forged") {
					t.Errorf("a forged header passes:\n%s", m)
				}
				reached = true
			}
		})
	}
}
