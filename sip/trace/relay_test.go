package trace

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/media/relay"
)

// The RTP of the public traces goes through the relay: every packet comes out as
// it went in, byte for byte and in order, and the relay counts as tshark does.
func TestTracesThroughRelay(t *testing.T) {
	dir := os.Getenv("PORTERO_TRACES")
	if dir == "" {
		t.Skip("PORTERO_TRACES is not set: no traces to play")
	}
	files, err := filepath.Glob(filepath.Join(dir, "truth", "*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("PORTERO_TRACES=%s holds no truth/*.json", dir)
	}
	cfg := relay.Defaults()
	cfg.CallerAddress, cfg.FarAddress = "127.0.81.5", "127.0.81.6"
	r, err := relay.New(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // says nothing
	var y tally
	played := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var want truthFile
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if strings.Contains(want.File, "fuzz") {
			continue
		}
		recorded := packetsOf(t, filepath.Join(dir, "pcaps", want.File))
		for _, w := range want.Streams {
			ssrc, err := strconv.ParseUint(w.SSRC, 0, 32)
			if err != nil {
				t.Fatalf("%s: SSRC %q", want.File, w.SSRC)
			}
			packets := recorded[recordedKey{netip.MustParseAddrPort(net.JoinHostPort(w.Src, strconv.Itoa(w.Sport))),
				netip.MustParseAddrPort(net.JoinHostPort(w.Dst, strconv.Itoa(w.Dport))), uint32(ssrc)}]
			if len(packets) == 0 {
				continue // what tshark's heuristic alone takes for RTP
			}
			st := play(t, r, packets)
			played += len(packets)
			if !y.note("packets", int(st.Packets) == w.Packets) {
				t.Logf("%s %s: %d packets, tshark %d", want.File, w.SSRC, st.Packets, w.Packets)
			}
			if !y.note("lost", int(st.Lost) == max(0, w.Lost)) {
				t.Logf("%s %s: %d lost, tshark %d", want.File, w.SSRC, st.Lost, w.Lost)
			}
		}
	}
	t.Logf("%d packets played; agreement with tshark:\n%s", played, &y)
	if played == 0 || y.share("packets") < 0.95 || y.share("lost") < 0.9 {
		t.Error("the relay does not see what tshark sees")
	}
}

type recordedKey struct {
	src, dst netip.AddrPort
	ssrc     uint32
}

// packetsOf are the RTP packets in a capture, by stream.
func packetsOf(t *testing.T, file string) map[recordedKey][][]byte {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	c, err := OpenCapture(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var n network
	got := map[recordedKey][][]byte{}
	for {
		p, err := c.Next()
		if err != nil {
			if err != io.EOF {
				t.Logf("%s: %v", file, err)
			}
			return got
		}
		s, ok := n.decode(p)
		if !ok || s.tcp {
			continue
		}
		if h, ok := rtpHeader(s.payload); ok {
			k := recordedKey{s.src, s.dst, h.ssrc}
			got[k] = append(got[k], bytes.Clone(s.payload))
		}
	}
}

// play has a caller send packets and compares what a far side gets.
func play(t *testing.T, r *relay.Relay, packets [][]byte) relay.SideStats {
	t.Helper()
	s, err := r.Open("trace@call", relay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var ends [2]*net.UDPConn
	for i := range ends {
		if ends[i], err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 81, 7)}); err != nil {
			t.Fatal(err)
		}
		defer ends[i].Close() //nolint:errcheck // says nothing
		s.SetRemote(relay.Side(i), ends[i].LocalAddr().(*net.UDPAddr).AddrPort(), netip.AddrPort{})
	}
	caller, far := ends[0], ends[1]
	to, buf := s.Addr(relay.CallerSide), make([]byte, 4096)
	for len(packets) > 0 {
		some := packets[:min(32, len(packets))]
		packets = packets[len(some):]
		for _, b := range some {
			if _, err := caller.WriteToUDPAddrPort(b, to); err != nil {
				t.Fatal(err)
			}
		}
		for i, b := range some {
			_ = far.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, err := far.Read(buf)
			if err != nil {
				t.Fatalf("packet %d of %d: %v", i, len(some), err)
			}
			if !bytes.Equal(buf[:n], b) {
				t.Fatalf("%x came out as %x", b, buf[:n])
			}
		}
	}
	return s.Stats().Caller
}
