package syntax

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// broken are captures with messages that no reader could take: scripts
// written as exercises, without Via or empty line, and one that flips bits.
var broken = []string{"fuzz", "daviddpurjc__", "mireepink__", "christianloo__", "simonk1__Pcap4OnlySIP", "zeek__", "seladb__sip_reqs"}

// What real senders sent, as far as captures of it are at hand, has no fault,
// and the parser takes it.
func TestTraces(t *testing.T) {
	root := os.Getenv("PORTERO_TRACES")
	if root == "" {
		t.Skip("PORTERO_TRACES is not set: no captures to read")
	}
	files, _ := filepath.Glob(filepath.Join(root, "pcaps", "*"))
	read := 0
	for _, name := range files {
		sick := false
		for _, b := range broken {
			sick = sick || strings.Contains(name, b)
		}
		datagrams(t, name, func(raw []byte) {
			line, _, _ := bytes.Cut(raw, []byte("\n"))
			if !bytes.Contains(line, []byte("SIP/2.0")) {
				return
			}
			read++
			m, fault := Check(raw, false)
			switch {
			case fault.OK():
				agree(t, m)
			case !sick:
				t.Errorf("%s: %v\n%s", filepath.Base(name), fault, raw)
			}
		})
	}
	if read == 0 {
		t.Fatalf("%s holds no SIP", root)
	}
	t.Logf("%d messages", read)
}

// datagrams gives the UDP payloads of a capture that are whole.
func datagrams(t *testing.T, name string, each func([]byte)) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var source gopacket.PacketDataSource
	var link gopacket.Decoder
	if ng, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions); err == nil {
		source, link = ng, ng.LinkType()
	} else {
		if _, err := f.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		r, err := pcapgo.NewReader(f)
		if err != nil {
			return // of another kind; package trace has a test for those
		}
		source, link = r, r.LinkType()
	}
	for {
		data, _, err := source.ReadPacketData()
		if err != nil {
			return
		}
		p := gopacket.NewPacket(data, link, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
		if u, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP); ok && int(u.Length) == len(u.Payload)+8 {
			each(u.Payload)
		}
	}
}
