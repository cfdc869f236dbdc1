package replay

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/sip/transport"
)

// refuser answers every INVITE of a stream with 486, and keeps what it heard.
type refuser struct {
	layer *transport.Layer
	mu    sync.Mutex
	heard []string
}

func (r *refuser) Admit(string, netip.AddrPort, netip.AddrPort) bool { return true }
func (r *refuser) Refused(string)                                    {}
func (r *refuser) Receive(in transport.Received) {
	m, err := parse(append([]byte(nil), in.Data...))
	if err != nil {
		return
	}
	r.mu.Lock()
	r.heard = append(r.heard, string(in.Data))
	r.mu.Unlock()
	if m.method() == "INVITE" {
		id := identity{tag: "busy", protocol: in.Flow.Transport, media: mediaPlace{port: func(int) uint16 { return 0 }}}
		r.layer.Reply(in.Flow, id.reply(m, nil, "486 Busy Here", in.Flow.Remote).bytes()) //nolint:errcheck // the caller would tell
	}
}

// Over TCP and TLS the call says so in Via and Contact, and nothing comes twice.
func TestStreams(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 87, 12)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	for _, c := range []struct {
		name   string
		roots  *x509.CertPool
		secure bool
		fails  string
	}{{"tcp", nil, false, ""}, {"tls", roots, true, ""}, {"a certificate of nobody", x509.NewCertPool(), true, "certificate"}} {
		t.Run(c.name, func(t *testing.T) {
			f := &refuser{}
			f.layer = transport.New(f, transport.DefaultLimits(), zap.NewNop())
			defer f.layer.Close()
			l, err := transport.ListenTCP(netip.MustParseAddrPort("127.0.87.12:0"))
			if err != nil {
				t.Fatal(err)
			}
			at := l.Addr().(*net.TCPAddr).AddrPort()
			o := Options{Target: Target{Host: at.String(), Secure: c.secure}, Addr: at, Transport: transport.TCP,
				Bind: netip.AddrPortFrom(netip.MustParseAddr("127.0.87.2"), 0)}
			if c.secure {
				o.Transport, o.ClientTLS = transport.TLS, &tls.Config{RootCAs: c.roots, ServerName: "127.0.87.12", MinVersion: tls.VersionTLS12}
				go f.layer.ServeTLS(l, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}) //nolint:errcheck // ends with the layer
			} else {
				go f.layer.ServeTCP(l) //nolint:errcheck // ends with the layer
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			var res []Result
			err = Run(ctx, loadFile(t, "busy-tcp6.pcapng"), o, func(r Result) { res = append(res, r) })
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || len(res) != 1 || !res[0].Equal {
				t.Fatalf("%v, %+v", err, res)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(f.heard) != 2 || !strings.HasPrefix(f.heard[1], "ACK ") || !strings.Contains(f.heard[0], "Via: SIP/2.0/"+o.Transport+" 127.0.87.2:") ||
				!strings.HasPrefix(f.heard[0], map[bool]string{false: "INVITE sip:", true: "INVITE sips:"}[c.secure]) || !strings.Contains(f.heard[0], "\r\nContent-Length: ") {
				t.Errorf("heard %q", f.heard)
			}
		})
	}
}
