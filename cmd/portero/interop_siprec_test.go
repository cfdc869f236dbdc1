package main

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/webhook"
)

const siprecSecret = "interoperability"

// testSIPREC has SIPp send copies of a call in which a synthetic voice speaks. The
// door judges it, records it, and tells a real HTTP server what it finds.
func testSIPREC(t *testing.T, b *bed) {
	var mu sync.Mutex
	var events []webhook.Event
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var e webhook.Event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Errorf("an event: %v", err)
		}
		if want := "sha256=" + webhook.Sign([]byte(siprecSecret), r.Header.Get("X-Portero-Timestamp"), body); r.Header.Get("X-Portero-Signature") != want {
			t.Errorf("the signature is %s, want %s", r.Header.Get("X-Portero-Signature"), want)
		}
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}))
	defer receiver.Close()
	config := strings.Replace(interopConfig, "trust_identity: true}", "siprec: true, record: true}", 1)
	config = strings.Replace(config, "rules:\n", "rules:\n  - {name: heard, when: speech_seconds > 1, stages: [listening], action: automation, destination: automation}\n", 1)
	config += "recording: {directory: \"%[1]s/recordings\"}\nwebhook: {urls: [\"" + receiver.URL + "\"], secret: " + siprecSecret + "}\n"
	d := b.openWith(t, config)
	dir := t.TempDir()
	seconds := speechPCAP(t, dir)
	file := filepath.Join(dir, "copies.pcap")
	stop := capture(t, file, callerHost)
	startSIPp(t, dir, "uac-siprec", callerHost+":5060", doorAddr, "-m", "1", "-key", "caller", "+34600000001", "-d", "7000").wait(t)

	time.Sleep(300 * time.Millisecond)
	stop()
	ended := func() (e webhook.Event, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			if e.Kind == webhook.Ended {
				return e, true
			}
		}
		return e, false
	}
	waitFor(t, "the event of the end", func() bool { _, ok := ended(); return ok })
	last, _ := ended()
	kinds := map[webhook.Kind]int{}
	mu.Lock()
	defer mu.Unlock()
	for i, e := range events {
		kinds[e.Kind]++
		if e.From != "+34600000001" || e.To != "agent" || e.Session != "hVpd7YQgRW2nD22h7q60JQ==" || e.CallID == "" || i > 0 && e.Kind == webhook.Started {
			t.Errorf("event %d: %+v", i, e)
		}
		if e.Kind == webhook.Decision && e.Decision.Rule == "heard" && (e.Decision.Enforced || e.Decision.Stage != policy.Listening || e.Verdict == nil) {
			t.Errorf("the decision %+v", e.Decision)
		}
	}
	if kinds[webhook.Started] != 1 || kinds[webhook.Decision] < 2 || kinds[webhook.Verdict] < 2 || kinds[webhook.Ended] != 1 {
		t.Errorf("events: %v", kinds)
	}
	r := last.Record
	if r == nil || r.Copy == nil || r.Copy.Judged != "1" || len(r.Copy.Streams) != 2 || r.EndedBy != "caller" || len(r.Errors) > 0 ||
		r.CallerMedia.Packets < uint64(seconds*50*0.8) || len(r.Verdicts) < 2 || r.Verdicts[len(r.Verdicts)-1].PMachine <= r.Verdicts[0].PMachine {
		t.Fatalf("the record: %+v", r)
	}
	if len(r.Recordings) != 1 {
		t.Fatalf("recordings: %+v", r.Recordings)
	}
	f, err := os.Open(r.Recordings[0].File)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if a, err := codec.Read(f); err != nil || len(a.Samples) != 2 || float64(len(a.Samples[0]))/float64(a.Rate) < seconds {
		t.Errorf("the recording: %v", err)
	}
	compare(t, *r, inspectOne(t, d, file))
	if stored := d.record(t, r.CallID); stored.Copy == nil || stored.Direction != "copied" {
		t.Errorf("the stored record: %+v", stored)
	}
}

// speechPCAP makes speech.pcap in dir: a synthetic voice as RTP, which SIPp sends
// from its own ports. It returns how long it lasts, s.
func speechPCAP(t *testing.T, dir string) float64 {
	t.Helper()
	wav := filepath.Join(dir, "speech.wav")
	if out, err := exec.Command("espeak-ng", "-w", wav, "Hello. This is an automated message. Your account needs attention. Please call us back at any time of the day.").CombinedOutput(); err != nil {
		t.Fatalf("espeak-ng: %v\n%s", err, out)
	}
	pcm := readSound(t, wav)
	f, err := os.Create(filepath.Join(dir, "speech.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(2048, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	start, host := time.Now(), net.IPv4(127, 0, 0, 1)
	for i := 0; (i+1)*160 <= len(pcm); i++ {
		rtp := binary.BigEndian.AppendUint16([]byte{0x80, 0}, uint16(i))
		rtp = binary.BigEndian.AppendUint32(rtp, uint32(160*i))
		rtp = binary.BigEndian.AppendUint32(rtp, 0x5152)
		rtp = codec.MuLaw.Encode(rtp, pcm[i*160:(i+1)*160])
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: host, DstIP: host}
		udp := &layers.UDP{SrcPort: 6000, DstPort: 6000}
		if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		buf := gopacket.NewSerializeBuffer()
		err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
			&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}, ip, udp, gopacket.Payload(rtp))
		if err != nil {
			t.Fatal(err)
		}
		b := buf.Bytes()
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: start.Add(time.Duration(20*i) * time.Millisecond), CaptureLength: len(b), Length: len(b)}, b); err != nil {
			t.Fatal(err)
		}
	}
	return float64(len(pcm)) / codec.Rate
}
