package trace

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// TestSamples keeps the captures under testdata/traces those that are made
// here. They serve the tests of the commands that read captures.
func TestSamples(t *testing.T) {
	f := newFilm(t)
	s := newScript(f, "key@192.0.2.1")
	s.say("INVITE+sdp", "100", "180").wait(time.Second)
	s.say("200+sdp", "ACK")
	talk(f, aRTP, bRTP)
	s.say("!BYE", "200")
	key := f.buf.Bytes()

	f = newFilm(t)
	s = newScript(f, "busy@[2001:db8::1]")
	s.transport = "tcp"
	s.a, s.b = netip.MustParseAddrPort("[2001:db8::1]:40000"), netip.MustParseAddrPort("[2001:db8::2]:5060")
	s.aSDP = sdpOf(netip.MustParseAddrPort("[2001:db8::1]:4000"), "0 101")
	s.say("INVITE+sdp", "100", "486", "ACK")
	var ng bytes.Buffer
	w, err := pcapgo.NewNgWriterInterface(&ng, pcapgo.NgInterface{LinkType: layers.LinkTypeEthernet, TimestampResolution: 9}, pcapgo.NgWriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := packets(t, f.buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: p.At, CaptureLength: len(p.Data), Length: len(p.Data)}, p.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}

	for name, want := range map[string][]byte{
		"key.pcap":         key,
		"cut.pcap":         key[:len(key)/2],
		"busy-tcp6.pcapng": ng.Bytes(),
		"proxied.pcap":     proxied(t),
	} {
		path := filepath.Join("..", "..", "testdata", "traces", name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what this test makes (%v): run go test -run TestSamples -update", path, err)
		}
	}
}
