package door

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portero/portero/sip/upstream"
)

func good() Config {
	c := Defaults()
	c.Trunks = []Trunk{{Name: "carrier", Addresses: []string{"198.51.100.0/24"}}}
	c.Destinations = map[string]Destination{"agents": {URI: "sip:192.0.2.10"}, "bots": {URI: "sip:700@192.0.2.10:5070;transport=tcp"}}
	return c
}

func TestConfigFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"good", func(*Config) {}, ""},
		{"no listener", func(c *Config) { c.Listen = nil }, "listen: no listener; allowed: a list like udp:192.0.2.1:5060, tcp:192.0.2.1:5060"},
		{"transport", func(c *Config) { c.Listen = []string{"sctp:192.0.2.1:5060"} }, `listen[0]: listener "sctp:192.0.2.1:5060" is not transport:address:port with transport udp, tcp, tls, ws or wss`},
		{"zone", func(c *Config) { c.Listen = []string{"udp:[fe80::1%eth0]:5060"} }, `listen[0]: listener "udp:[fe80::1%eth0]:5060": link-local addresses have a zone, which means nothing to a peer; allowed: an address without one`},
		{"bare IPv6", func(c *Config) { c.Listen = []string{"udp:2001:db8::1:5060"} }, `listen[0]: listener "udp:2001:db8::1:5060": "2001:db8::1:5060" is not address:port; an address of IPv6 stands in brackets`},
		{"advertised nowhere", func(c *Config) { c.Listen = []string{"udp:192.0.2.1:5060 advertise"} }, `listen[0]: listener "udp:192.0.2.1:5060 advertise" is not transport:address:port, with or without " advertise host:port" behind`},
		{"advertised port", func(c *Config) { c.Listen = []string{"udp:192.0.2.1:5060 advertise [2001:db8::1]:0"} }, `listen[0]: listener "udp:192.0.2.1:5060 advertise [2001:db8::1]:0": "[2001:db8::1]:0" is not host or host:port`},
		{"trunk with a zone", func(c *Config) { c.Trunks[0].Addresses = []string{"fe80::1%eth0"} }, `trunks[0].addresses[0]: "fe80::1%eth0": link-local addresses have a zone, which means nothing to a peer; allowed: an address without one`},
		{"tls without a certificate", func(c *Config) { c.Listen = []string{"tls:192.0.2.1:5061"} }, `tls.certificates: there is none, and a listener over tls or wss needs one`},
		{"half a certificate", func(c *Config) { c.TLS.Certificates = []Certificate{{Cert: "a.pem"}} }, `tls.certificates[0]: a certificate needs both files; allowed: cert and key`},
		{"client certificates", func(c *Config) { c.TLS.ClientCertificates = "maybe" }, `tls.client_certificates: "maybe" is not known; allowed: none, request, require`},
		{"client certificates of anybody", func(c *Config) { c.TLS.ClientCertificates = "require" }, `tls.client_ca: client certificates are asked for, and nothing says which are good; allowed: a PEM file`},
		{"names", func(c *Config) { c.TLS.Names = map[string]string{"pbx": "pbx.example.com"} }, `tls.names: "pbx" is no IP address`},
		{"ws of nobody", func(c *Config) { c.Listen = []string{"ws:192.0.2.1:8080"} }, `websocket.trunk: there is none, and what comes over ws and wss must belong to a trunk`},
		{"ws of a strange trunk", func(c *Config) { c.WebSocket.Trunk = "web" }, `websocket.trunk: "web" is no trunk`},
		{"ws path", func(c *Config) { c.WebSocket.Path = "sip" }, `websocket.path: "sip" is no path of a URL; allowed: / and what may follow it`},
		{"origin", func(c *Config) { c.WebSocket.Origins = []string{"phone.example.com"} }, `websocket.origins[0]: "phone.example.com": an origin is like https://phone.example.com, without a path; * is every site`},
		{"keepalive", func(c *Config) { c.Keepalive = time.Second }, `keepalive: 1s is not a time between keep-alives; allowed: 15s and more, or 0s for none`},
		{"any address", func(c *Config) { c.Listen = []string{"udp:0.0.0.0:5060"} }, `listen[0]: listener "udp:0.0.0.0:5060": name the address; peers are told it, and 0.0.0.0 cannot be called`},
		{"trunk without address", func(c *Config) { c.Trunks[0].Addresses = nil }, `trunks[0].addresses: trunk "carrier" has no address and could never be used; allowed: IP addresses and networks`},
		{"trunk by name", func(c *Config) { c.Trunks[0].Addresses = []string{"sip.example.com"} }, `trunks[0].addresses[0]: "sip.example.com" is not an IP address or network; names are not taken here, as their addresses change`},
		{"trunk twice", func(c *Config) { c.Trunks = append(c.Trunks, c.Trunks[0]) }, `trunks[1].name: trunk "carrier" is there twice`},
		{"destination", func(c *Config) { c.Destinations["bots"] = Destination{URI: "tel:123"} }, `destinations.bots.uri: "tel:123" is not a SIP URI like sip:192.0.2.10:5060;transport=udp`},
		{"destination's transport", func(c *Config) { c.Destinations["bots"] = Destination{URI: "sip:a@b;transport=ws"} }, `destinations.bots.uri: "sip:a@b;transport=ws": transport "ws" is not known; allowed: udp, tcp, tls`},
		{"no target", func(c *Config) { c.Destinations["bots"] = Destination{} }, `destinations.bots.uri: no target; allowed: a SIP URI like sip:192.0.2.10:5060;transport=udp, or targets`},
		{"both forms", func(c *Config) {
			c.Destinations["bots"] = Destination{URI: "sip:a", Targets: []upstream.Target{{URI: "sip:b"}}}
		}, `destinations.bots.uri: stands beside targets; allowed: one of the two`},
		{"a target's faults", func(c *Config) {
			c.Destinations["bots"] = Destination{Targets: []upstream.Target{{URI: "b", Priority: -1, Weight: 70000, MaxCalls: -1}}}
		}, `destinations.bots.targets[0].uri: "b" is not a SIP URI like sip:192.0.2.10:5060;transport=udp` +
			`destinations.bots.targets[0].priority: -1 is not allowed; allowed: 0 to 65535` +
			`destinations.bots.targets[0].weight: 70000 is not allowed; allowed: 0 to 65535` +
			`destinations.bots.targets[0].max_calls: -1 is too small; allowed: 0 and more`},
		{"a target twice", func(c *Config) {
			c.Destinations["bots"] = Destination{Targets: []upstream.Target{{URI: "sip:b"}, {URI: "sip:b"}}}
		}, `destinations.bots.targets[1].uri: "sip:b" is there twice`},
		{"time for targets", func(c *Config) { c.Upstream.TryFor = 0 }, `try_for: 0s is not a time to wait; allowed: more than 0s`},
		{"health", func(c *Config) { c.Upstream.Health = upstream.Health{Timeout: -1, Rise: 0, Fall: 1} },
			`health.timeout: -1ns is not a time to wait; allowed: more than 0s` + `health.rise: 0 is too small; allowed: 1 and more`},
		{"name server", func(c *Config) { c.Upstream.DNS.Servers = []string{"192.0.2.53", "dns.example"} },
			`dns.servers[1]: "dns.example" is not the address of a name server like 192.0.2.53 or 192.0.2.53:53`},
		{"call rate", func(c *Config) { c.MaxCallRate = -1 }, `max_call_rate: -1 is too small; allowed: 0 and more`},
		{"proxy missing", func(c *Config) { c.Proxy = "people" }, `proxy: "people" is not a destination; allowed: agents, bots`},
		{"srtp", func(c *Config) {
			c.Trunks[0].SRTP = "maybe"
			c.Destinations["bots"] = Destination{URI: "sip:b", SRTP: "pass"}
		}, `trunks[0].srtp: "maybe" is not known; allowed: optional, required, off, pass` + `destinations.bots.srtp: "pass" is not known; allowed: optional, required, off`},
		{"srtp suites", func(c *Config) { c.SRTPSuites = []string{"NULL_HMAC_SHA1_80"} }, `srtp_suites[0]: "NULL_HMAC_SHA1_80" is not known; allowed: AEAD_AES_128_GCM, AEAD_AES_256_GCM, AES_256_CM_HMAC_SHA1_32, AES_256_CM_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32, AES_CM_128_HMAC_SHA1_80`},
		{"strangers", func(c *Config) { c.Strangers = "ban" }, `strangers: "ban" is not known; allowed: drop, refuse`},
		{"caller id", func(c *Config) { c.CallerID = "600" }, `caller_id: "600" is not a SIP URI with a user, like sip:+15550100@192.0.2.1`},
		{"calls", func(c *Config) { c.MaxCalls = 0 }, `max_calls: 0 is too small; allowed: 1 and more`},
		{"message", func(c *Config) { c.MaxMessage = 1 << 20 }, `max_message: 1048576 is more than a datagram holds; allowed: up to 65535`},
		{"time", func(c *Config) { c.RingTimeout = 0 }, `ring_timeout: 0s is not a time to wait; allowed: more than 0s`},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good()
			c.change(&cfg)
			got := ""
			cfg.Check(func(path, format string, args ...any) { got += path + ": " + fmt.Sprintf(format, args...) })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
