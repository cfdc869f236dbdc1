package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// inspectedCourse is what the JSON says of how a call went.
type inspectedCourse struct {
	FromHost     string   `json:"from_host"`
	ToHost       string   `json:"to_host"`
	TryingAt     *string  `json:"trying_at"`
	RingCode     *int     `json:"ring_code"`
	CancelAt     *string  `json:"cancel_at"`
	ByeAt        *string  `json:"bye_at"`
	ByeFrom      string   `json:"bye_from"`
	Setup        *float64 `json:"setup_s"`
	PDD          *float64 `json:"pdd_s"`
	Duration     *float64 `json:"duration_s"`
	MessageCount int      `json:"message_count"`
	Codecs       []string `json:"codecs"`
	Mapped       []string `json:"sdp_codecs"`
	Flags        []string `json:"flags"`
	Faxes        []any    `json:"t38_streams"`
	Links        []struct {
		CallID string   `json:"call_id"`
		Kind   string   `json:"kind"`
		Sure   string   `json:"sure"`
		Why    []string `json:"why"`
	} `json:"links"`
}

// inspectedBesides is what it says besides the calls.
type inspectedBesides struct {
	Messages *int `json:"messages"`
	Dialogs  *int `json:"dialogs"`
	Others   []struct {
		CallID       string         `json:"call_id"`
		Kind         string         `json:"kind"`
		FromUser     string         `json:"from_user"`
		FromHost     string         `json:"from_host"`
		ToUser       string         `json:"to_user"`
		ToHost       string         `json:"to_host"`
		Methods      map[string]int `json:"methods"`
		Responses    map[string]int `json:"responses"`
		FinalCode    *int           `json:"final_code"`
		FirstAt      string         `json:"first_at"`
		LastAt       string         `json:"last_at"`
		MessageCount int            `json:"message_count"`
		Flags        []string       `json:"flags"`
		Hops         []any          `json:"hops"`
	} `json:"other_transactions"`
	Streams []inspectedStream `json:"streams"`
	Faxes   []any             `json:"t38_streams"`
	Kinds   map[string]int    `json:"packet_kinds"`
}

// TestInspectWithoutCalls: a capture of registrations and of RTP alone is not
// passed over in silence.
func TestInspectWithoutCalls(t *testing.T) {
	name := filepath.Join(t.TempDir(), "none.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	send := func(src, dst, payload string) {
		from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
		b := gopacket.NewSerializeBuffer()
		err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true},
			&layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()},
			&layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}, gopacket.Payload(payload))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(b.Bytes()), Length: len(b.Bytes())}, b.Bytes()); err != nil {
			t.Fatal(err)
		}
		at = at.Add(20 * time.Millisecond)
	}
	for i := range 3 {
		rest := fmt.Sprintf("\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK%d\r\nFrom: <sip:alice@example.com>;tag=1\r\nTo: <sip:alice@example.com>\r\nCall-ID: r%d\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n", i, i)
		send("192.0.2.1:5060", "192.0.2.2:5060", "REGISTER sip:example.com SIP/2.0"+rest)
		send("192.0.2.2:5060", "192.0.2.1:5060", "SIP/2.0 200 OK"+rest)
	}
	for i := range 50 {
		send("192.0.2.1:4000", "192.0.2.2:6000", string([]byte{0x80, 18, 0, byte(i), 0, 0, byte(i * 160 >> 8), byte(i * 160), 0, 0, 0, 7})+strings.Repeat("x", 20))
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	out, errs, status := inspect(t, name)
	if status != exitOK || errs != "" {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	for _, want := range []string{
		"0 calls in 56 packets, 6 SIP messages; besides them 3 REGISTER; 1 RTP streams belong to no call",
		"192.0.2.1:4000 → 192.0.2.2:6000 0x00000007 G729: 50 packets, 0 lost, jitter 0.0 ms, 1.0 s",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	out, _, _ = inspect(t, "--json", name)
	v := decode(t, out)
	if len(v.Calls) != 0 || *v.Messages != 6 || *v.Dialogs != 3 || len(v.Others) != 3 || v.Others[2].Kind != "register" || v.Others[2].CallID != "r2" ||
		v.Others[2].Responses["200"] != 1 || *v.Others[2].FinalCode != 200 || len(v.Streams) != 1 || v.Streams[0].SSRC != "0x00000007" {
		t.Errorf("got %s", out)
	}
}
