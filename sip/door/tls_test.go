package door_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/portero/portero/sip/door"
)

// secureIP is where the doors of these tests are.
const secureIP = "127.0.91.1"

// secured is a door and where it listens.
type secured struct {
	*door.Door
	plain    string // UDP and TCP
	tls, wss string
}

// secure opens a door over UDP, TCP, TLS and WSS in front of a PBX's URI.
func secure(t *testing.T, uri string, change func(*door.Config)) secured {
	t.Helper()
	s := secured{plain: listen(t, secureIP), tls: listen(t, secureIP), wss: listen(t, secureIP)}
	s.Door = openDoor(t, func(c *door.Config) {
		c.Listen = []string{"udp:" + s.plain, "tcp:" + s.plain, "tls:" + s.tls, "wss:" + s.wss}
		c.Trunks = append(c.Trunks, door.Trunk{Name: "web"})
		c.WebSocket.Trunk, c.WebSocket.Path = "web", "/sip"
		c.Destinations = map[string]door.Destination{"agents": {URI: uri}}
		change(c)
	})
	return s
}

// handshake connects to the door over TLS or WSS and says which certificate it shows,
// and whether the connection was taken: whoever is not sees that only as it is
// closed, after a handshake of TLS 1.3. Over TLS a keep-alive is answered.
func (s secured) handshake(t *testing.T, over string, cfg *tls.Config) (shown string, err error) {
	t.Helper()
	nd := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(callerIP)}}
	raw, err := nd.Dial("tcp", map[string]string{"TLS": s.tls, "WSS": s.wss}[over])
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, cfg)
	if err := c.Handshake(); err != nil {
		return "", err
	}
	shown = c.ConnectionState().PeerCertificates[0].Subject.CommonName
	ask, want := "\r\n\r\n", "\r\n"
	if over == "WSS" {
		ask, want = "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1"
	}
	if _, err := io.WriteString(c, ask); err != nil {
		return shown, err
	}
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil {
		return shown, err
	}
	if string(b) != want {
		t.Errorf("%q is answered with %q", ask, b)
	}
	return shown, nil
}

// Of several certificates the one for the name that is asked for is shown, over
// tls and wss; who asks for none of them, or for no name, is shown the first.
func TestTLSServerName(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	certs := makeCA(t)
	first, _ := certs.issue("first", "sip.example.com")
	second, _ := certs.issue("second", "sip.example.net", "phone.example.net")
	wild, _ := certs.issue("wild", "*.example.org")
	d := secure(t, "sip:"+pbxIP, func(c *door.Config) { c.TLS.Certificates = []door.Certificate{first, second, wild} })
	for _, over := range []string{"TLS", "WSS"} {
		for _, c := range []struct{ name, want string }{
			{"sip.example.com", "first"}, {"sip.example.net", "second"}, {"phone.example.net", "second"}, {"pbx.example.org", "wild"},
			{"elsewhere.example", "first"}, {"", "first"},
		} {
			// The name that nobody has a certificate for is not the client's check here.
			got, err := d.handshake(t, over, &tls.Config{ServerName: c.name, InsecureSkipVerify: true}) //nolint:gosec // the test reads what is shown
			if err != nil || got != c.want {
				t.Errorf("over %s who asks for %q is shown %q, %v; want %q", over, c.name, got, err, c.want)
			}
		}
	}
}

// Client certificates: not asked for, good if shown, required. Browsers, over
// wss, are never asked.
func TestTLSClientCertificates(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	certs, strangers := makeCA(t), makeCA(t)
	own, _ := certs.issue("door", "sip.example.com")
	_, good := certs.issue("carrier", "carrier.example.com")
	_, wrong := strangers.issue("carrier", "carrier.example.com")
	for _, c := range []struct {
		mode                 string
		without, good, wrong bool
	}{
		{"none", true, true, true},
		{"request", true, true, false},
		{"require", false, true, false},
	} {
		t.Run(c.mode, func(t *testing.T) {
			d := secure(t, "sip:"+pbxIP, func(cfg *door.Config) {
				cfg.TLS.Certificates, cfg.TLS.ClientCertificates = []door.Certificate{own}, c.mode
				if c.mode != "none" {
					cfg.TLS.ClientCA = certs.path("ca.pem")
				}
			})
			for _, shown := range []struct {
				name string
				cert *tls.Certificate
				want bool
			}{{"none", &tls.Certificate{}, c.without}, {"a good one", &good, c.good}, {"another authority's", &wrong, c.wrong}} {
				for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
					client := &tls.Config{RootCAs: certs.pool, ServerName: "sip.example.com", MinVersion: version, MaxVersion: version,
						GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown.cert, nil }}
					if _, err := d.handshake(t, "TLS", client); (err == nil) != shown.want {
						t.Errorf("%s: who shows %s is taken: %v (%v), want %v", tls.VersionName(version), shown.name, err == nil, err, shown.want)
					}
					if _, err := d.handshake(t, "WSS", client); err != nil {
						t.Errorf("%s over wss: who shows %s is not taken: %v", tls.VersionName(version), shown.name, err)
					}
				}
			}
		})
	}
}

// A PBX over TLS is called only if its certificate is for its name, and is shown
// the door's own certificate if it asks for one. A caller whose PBX is not who it
// should be gets a refusal, and nothing goes to it in the clear.
func TestTLSToPBX(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	certs, strangers := makeCA(t), makeCA(t)
	server, _ := certs.issue("door", "sip.example.com")
	own, _ := certs.issue("own", "door.example.com")
	_, named := certs.issue("named", "pbx.example.com")
	_, addressed := certs.issue("addressed", pbxIP)
	_, false_ := strangers.issue("pbx", "pbx.example.com", pbxIP)
	for _, c := range []struct {
		name  string
		cert  tls.Certificate
		names map[string]string
		own   door.Certificate
		taken bool
	}{
		{"the certificate is for the address", addressed, nil, own, true},
		{"it is for the name that is configured", named, map[string]string{pbxIP: "pbx.example.com"}, own, true},
		{"it is for another name", named, map[string]string{pbxIP: "pbx.example.net"}, own, false},
		{"it is for a name, and the address is all that is known", named, nil, own, false},
		{"it is of an authority that nobody knows", false_, nil, own, false},
		{"the door has no certificate to show", addressed, nil, door.Certificate{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := make(chan string, 8)
			p, at := pbx(t, "TLS", pbxIP, &tls.Config{Certificates: []tls.Certificate{c.cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: certs.pool,
				VerifyConnection: func(s tls.ConnectionState) error {
					seen <- s.PeerCertificates[0].Subject.CommonName
					return nil
				}})
			d := secure(t, fmt.Sprintf("sip:%s;transport=tls", at), func(cfg *door.Config) {
				cfg.TLS = door.TLS{Certificates: []door.Certificate{server}, ClientCertificates: "none", CA: certs.path("ca.pem"), Own: c.own, Names: c.names}
			})
			caller := caller(t, "UDP", d.plain, nil)
			if c.taken {
				call(t, caller, p, "tlspbx", false)
				if got := <-seen; got != "own" {
					t.Errorf("the PBX is shown the certificate of %q", got)
				}
				return
			}
			from := "<sip:+34600000001@" + caller.sentBy + ">;tag=c1"
			caller.write(caller.request("INVITE", "sip:100@portero", from, "<sip:100@portero>", "tlspbx", 1, offer))
			m := caller.expect("503")
			caller.write(caller.request("ACK", "sip:100@portero", from, m.header.Get("To"), "tlspbx", 1, ""))
			select {
			case m := <-p.in:
				t.Errorf("the PBX got %q", m.start)
			default:
			}
		})
	}
}

// Certificates that are put in place while the door runs are shown to who connects
// from then on; who is connected goes on, with its call. Files that cannot be used
// change nothing.
func TestTLSReload(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	certs := makeCA(t)
	_, theirs := certs.issue("pbx", pbxIP)
	before, _ := certs.issue("before", "sip.example.com")
	p, at := pbx(t, "TLS", pbxIP, &tls.Config{Certificates: []tls.Certificate{theirs}})
	files := door.TLS{Certificates: []door.Certificate{before}, ClientCertificates: "none", CA: certs.path("ca.pem")}
	d := secure(t, fmt.Sprintf("sip:%s;transport=tls", at), func(cfg *door.Config) { cfg.TLS = files })
	// A client with a session to resume must be shown the new certificate too.
	client := &tls.Config{RootCAs: certs.pool, ServerName: "sip.example.com", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	c := caller(t, "TLS", d.tls, client)
	invite, ok := answered(c, p, "reload")
	shows := func(when, want string) {
		t.Helper()
		for _, over := range []string{"TLS", "WSS"} {
			if got, err := d.handshake(t, over, client); err != nil || got != want {
				t.Errorf("%s %s shows %q, %v; want %q", when, over, got, err, want)
			}
		}
	}
	shows("before the reload", "before")

	bad := files
	bad.Certificates = []door.Certificate{{Cert: certs.path("nowhere.pem"), Key: before.Key}}
	if err := d.ReloadTLS(bad); err == nil || !strings.Contains(err.Error(), "nowhere.pem") {
		t.Errorf("files that are not there are reported as %v", err)
	}
	shows("after a reload that failed", "before")

	after, _ := certs.issue("after", "sip.example.com")
	files.Certificates = []door.Certificate{after}
	if err := d.ReloadTLS(files); err != nil {
		t.Fatal(err)
	}
	shows("after the reload", "after")
	if n := d.CallsNow(); n != 1 {
		t.Errorf("%d calls stand after the reload", n)
	}
	hangUp(c, p, "reload", invite, ok, true)
	c = caller(t, "TLS", d.tls, client)
	call(t, c, p, "reloaded", false)
}

// A large INVITE goes to the PBX by TCP if the PBX takes it; what follows in its
// dialog is small and goes where the PBX's Contact says, by UDP, as do other calls.
// To a PBX that does not take TCP it goes by UDP in one datagram. A CANCEL and the
// ACK of a refusal go the way of their INVITE.
func TestLargeInvite(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	identity := "Identity: " + strings.Repeat("x", 1400) + ";info=<https://certificates.example.com/c>;alg=ES256;ppt=shaken"
	for _, takes := range []bool{true, false} {
		t.Run(fmt.Sprintf("TCP %v", takes), func(t *testing.T) {
			var p *element
			var at netip.AddrPort
			if p, at = pbx(t, "UDP", pbxIP, nil); takes {
				ln, err := net.Listen("tcp", at.String())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { ln.Close() })
				go func() {
					c, err := ln.Accept()
					if err == nil {
						p.stream(c) // the same element: its Contact is that of UDP
					}
				}()
			}
			certs := makeCA(t)
			own, _ := certs.issue("door", "sip.example.com")
			d := secure(t, "sip:"+at.String(), func(cfg *door.Config) { cfg.TLS.Certificates = []door.Certificate{own} })
			c := caller(t, "UDP", d.plain, nil)
			invite, ok := answered(c, p, "large", identity)
			over := map[bool]string{true: "TCP", false: "UDP"}[takes]
			if via := invite.header.Get("Via"); !strings.HasPrefix(via, "SIP/2.0/"+over+" "+d.plain+";") {
				t.Errorf("the Via of the large INVITE is %q", via)
			}
			if got := invite.header.Get("Identity"); len(got) < 1400 {
				t.Errorf("the PBX got the Identity %q", got)
			}
			hangUp(c, p, "large", invite, ok, false)
			invite, _ = call(t, c, p, "small", true)
			if via := invite.header.Get("Via"); !strings.HasPrefix(via, "SIP/2.0/UDP ") {
				t.Errorf("the Via of the next INVITE is %q", via)
			}
			// One that is given up: the CANCEL has the INVITE's Via, and goes its way.
			from, to := "<sip:+34600000001@"+c.sentBy+">;tag=c1", "<sip:100@portero>"
			c.write(c.request("INVITE", "sip:100@portero", from, to, "given-up", 1, offer, identity))
			invite = p.expect("INVITE")
			p.write(p.answer(invite, "180 Ringing", "p1", ""))
			c.expect("180")
			c.write(strings.Replace(c.request("CANCEL", "sip:100@portero", from, to, "given-up", 1, ""), "given-upCANCEL", "given-upINVITE", 1))
			c.expect("200")
			c.expect("487")
			cancel := p.expect("CANCEL")
			if got, want := cancel.header.Get("Via"), invite.header.Get("Via"); got != want || !strings.HasPrefix(got, "SIP/2.0/"+over+" ") {
				t.Errorf("the Via of the CANCEL is %q, of its INVITE %q", got, want)
			}
			p.write(p.answer(cancel, "200 OK", "p1", ""))
			p.write(p.answer(invite, "487 Request Terminated", "p1", ""))
			if via := p.expect("ACK").header.Get("Via"); via != invite.header.Get("Via") {
				t.Errorf("the Via of the ACK is %q", via)
			}
		})
	}
}
