package door

import (
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/sip/hep"
)

// A Homer sees each message, in and out, malformed ones included.
func TestMirror(t *testing.T) {
	homer, err := net.ListenPacket("udp4", "127.0.86.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer homer.Close()
	cfg := Defaults()
	cfg.Trunks = []Trunk{{Name: "carrier", Addresses: []string{"198.51.100.0/24"}}}
	cfg.Destinations = map[string]Destination{"agents": {URI: "sip:192.0.2.9"}}
	cfg.HEP.Target, cfg.HEP.ID = "udp:"+homer.LocalAddr().String(), 77
	d, err := New(cfg, Deps{Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	stop := d.mirroring()
	defer stop()
	wire := &fed{in: make(chan string, 2), closed: make(chan struct{})}
	serve, err := d.net.UDP(wire)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serve() }()
	wire.in <- invite + "i: 2\r\n\r\n"
	_ = homer.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 4096)
	for _, want := range []struct{ start, from string }{
		{"INVITE sip:100@192.0.2.1 ", "198.51.100.7:5060"}, {"SIP/2.0 400 Bad Request: Call-ID is there twice", "192.0.2.1:5060"},
	} {
		n, _, err := homer.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := hep.Decode(buf[:n])
		if err != nil || !strings.HasPrefix(string(p.Payload), want.start) || p.Source.String() != want.from || p.Agent != 77 || p.Transport != hep.UDP {
			t.Errorf("%v: %+v\n%s\nwant %s", err, p, p.Payload, want.start)
		}
	}
	d.net.Close()
	<-served
	for end := time.Now().Add(10 * time.Second); d.Mirrored().Sent < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", d.Mirrored())
		}
	}
}

// fed is a socket that receives what is put into it, from a trunk.
type fed struct {
	sent
	in     chan string
	closed chan struct{}
}

func (f *fed) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case s := <-f.in:
		return copy(b, s), &net.UDPAddr{IP: net.IPv4(198, 51, 100, 7), Port: 5060}, nil
	case <-f.closed:
		return 0, nil, net.ErrClosed
	}
}

func (f *fed) Close() error {
	close(f.closed)
	return nil
}
