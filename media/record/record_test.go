package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/portero/portero/media/codec"
)

// queue is a source that a test fills.
type queue struct {
	mu      sync.Mutex
	all     []timed
	dropped atomic.Uint64
}

type timed struct {
	b  []byte
	at time.Time
}

func (q *queue) put(b []byte, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all = append(q.all, timed{b, at})
}

func (q *queue) Next(buf []byte) ([]byte, time.Time, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.all) == 0 {
		return nil, time.Time{}, false
	}
	p := q.all[0]
	q.all = q.all[1:]
	return buf[:copy(buf, p.b)], p.at, true
}

func (q *queue) Dropped() uint64 { return q.dropped.Load() }

// rtp is a packet of 20 ms whose samples are all of one value.
func rtp(seq uint16, ts, ssrc uint32, value int16) []byte {
	pcm := make([]int16, 160)
	for i := range pcm {
		pcm[i] = value
	}
	b := binary.BigEndian.AppendUint16([]byte{0x80, 0}, seq)
	b = binary.BigEndian.AppendUint32(b, ts)
	b = binary.BigEndian.AppendUint32(b, ssrc)
	return codec.MuLaw.Encode(b, pcm)
}

func config(t *testing.T) Config {
	c := Defaults()
	c.Directory = filepath.Join(t.TempDir(), "recordings")
	c.MinFreeMB = 0
	return c
}

func recorder(t *testing.T, c Config) *Recorder {
	t.Helper()
	r, err := New(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// begin starts a recording that began a while ago.
func begin(t *testing.T, r *Recorder, ago time.Duration) (*Recording, [2]*queue, chan Result, time.Time) {
	t.Helper()
	q, done, start := [2]*queue{{}, {}}, make(chan Result, 1), time.Now().Add(-ago)
	rec, err := r.Begin(Call{ID: "abc123", CallID: "x/../../y@z", Start: start, Sources: [2]Source{q[0], q[1]},
		Media: func() (netip.AddrPort, netip.AddrPort) {
			return netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("198.51.100.1:16384")
		},
		Done: func(res Result) { done <- res }})
	if err != nil {
		t.Fatal(err)
	}
	return rec, q, done, start
}

func wait(t *testing.T, done chan Result) Result {
	t.Helper()
	select {
	case res := <-done:
		return res
	case <-time.After(2 * time.Minute):
		t.Fatal("the recording does not end")
		return Result{}
	}
}

func read(t *testing.T, path string) *codec.Audio {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	a, err := codec.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Both sides stand where they were in time: silence in gaps, by the packets'
// timestamps where those agree with the arrival, by the arrival where they do not.
func TestWAV(t *testing.T) {
	r := recorder(t, config(t))
	rec, q, done, start := begin(t, r, 3*time.Second)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	// The caller: from 100 ms on, 5 packets with jitter and out of order; then, after
	// a pause that its timestamps count, one more at 1 s; a new source at 1.5 s.
	q[0].put(rtp(10, 8000, 1, 8000), at(100))
	q[0].put(rtp(12, 8320, 1, 8000), at(141))
	q[0].put(rtp(11, 8160, 1, 8000), at(143))
	q[0].put(rtp(13, 8480, 1, 8000), at(190))
	q[0].put(rtp(14, 8640, 1, 8000), at(180))
	q[0].put(rtp(15, 8000+8*900, 1, 8000), at(1013))
	q[0].put(rtp(7000, 5, 2, 8000), at(1500))
	// The far side: its timestamps stand still over a pause of 1 s.
	q[1].put(rtp(1, 0, 9, -8000), at(500))
	q[1].put(rtp(2, 160, 9, -8000), at(1500))
	rec.End(at(2000))
	res := wait(t, done)
	if res.Err != nil || res.Length != 2*time.Second || res.Stopped != "" || res.Dropped != 0 {
		t.Fatalf("%+v", res)
	}
	info, err := os.Stat(res.File)
	if err != nil || info.Mode().Perm() != 0o600 || res.File != rec.Path() {
		t.Errorf("%v, %v", info, err)
	}
	a := read(t, res.File)
	if a.Rate != 8000 || len(a.Samples) != 2 || len(a.Samples[0]) != 16000 {
		t.Fatalf("%d Hz, %d channels, %d samples", a.Rate, len(a.Samples), len(a.Samples[0]))
	}
	spans := [2][][2]int{{{800, 1600}, {8000, 8160}, {12000, 12160}}, {{4000, 4160}, {12000, 12160}}}
	for side, wanted := range spans {
		for i, v := range a.Samples[side] {
			want := 0.0
			for _, s := range wanted {
				if i >= s[0] && i < s[1] {
					want = []float64{0.25, -0.25}[side]
				}
			}
			if math.Abs(float64(v)-want) > 0.01 {
				t.Fatalf("side %d, sample %d (%v ms) is %.3f, want %.2f", side, i, i/8, v, want)
			}
		}
	}
	if c := r.Counts(); c.Finished != 1 || c.Now != 0 || c.Bytes != 64000 {
		t.Errorf("%+v", c)
	}
}

// What the disk was too slow for is counted, and the file says so.
func TestDropsAreTold(t *testing.T) {
	r := recorder(t, config(t))
	rec, q, done, start := begin(t, r, time.Second)
	q[1].dropped.Store(17)
	q[0].put(rtp(1, 0, 1, 100), start)
	rec.End(start.Add(time.Second))
	res := wait(t, done)
	b, err := os.ReadFile(res.File)
	if err != nil || res.Dropped != 17 || r.Counts().Dropped != 17 || !bytes.Contains(b, []byte("17 packets are missing")) {
		t.Errorf("%+v, %v", res, err)
	}
	if !bytes.Contains(b, []byte("Call-ID x/../../y@z")) {
		t.Error("the file does not name its call")
	}
}

// Packets and signalling, in order of time, as datagrams that any reader takes;
// keys are left out unless they are asked for.
func TestPCAPNG(t *testing.T) {
	for _, keys := range []bool{false, true} {
		c := config(t)
		c.Format, c.Keys = PCAPNG, keys
		r := recorder(t, c)
		rec, q, done, start := begin(t, r, 2*time.Second)
		sip := []byte("INVITE sip:100@door SIP/2.0\r\n\r\n")
		rec.Payload(101, "telephone-event", 8000)
		rec.Message(true, netip.MustParseAddrPort("198.51.100.1:5060"), netip.MustParseAddrPort("192.0.2.1:5060"), sip, start.Add(-time.Second))
		rec.Message(true, netip.MustParseAddrPort("198.51.100.1:5060"), netip.MustParseAddrPort("192.0.2.1:5060"),
			[]byte("INFO sip:100@door SIP/2.0\r\nContent-Type: Application/DTMF-Relay\r\n\r\nSignal=5\r\n"), start.Add(40*time.Millisecond))
		q[1].put(rtp(1, 0, 9, 1), start.Add(20*time.Millisecond))
		q[0].put(rtp(1, 0, 1, 2), start.Add(10*time.Millisecond))
		key := rtp(2, 160, 1, 2)[:16]
		key[1] = 101
		q[0].put(key, start.Add(30*time.Millisecond))
		rec.End(start.Add(time.Second))
		res := wait(t, done)
		if res.Err != nil {
			t.Fatal(res.Err)
		}
		f, err := os.Open(res.File)
		if err != nil {
			t.Fatal(err)
		}
		ng, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for {
			b, ci, err := ng.ReadPacketData()
			if err != nil {
				break
			}
			p := gopacket.NewPacket(b, layers.LayerTypeIPv4, gopacket.Default)
			u, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
			if !ok || p.ErrorLayer() != nil {
				t.Fatalf("%v", p)
			}
			_ = u.SetNetworkLayerForChecksum(p.NetworkLayer())
			if err, bad := u.VerifyChecksum(); err != nil || !bad.Valid {
				t.Errorf("checksum %+v, %v", bad, err)
			}
			got = append(got, p.NetworkLayer().NetworkFlow().String()+" "+p.TransportLayer().TransportFlow().String())
			if len(got) == 1 && (!bytes.Equal(u.Payload, sip) || ci.Timestamp.Sub(start).Abs() > 1001*time.Millisecond) {
				t.Errorf("%q at %v", u.Payload, ci.Timestamp)
			}
		}
		_ = f.Close()
		want := []string{"192.0.2.1->198.51.100.1 5060->5060", "192.0.2.1->198.51.100.1 4000->16384", "198.51.100.1->192.0.2.1 16384->4000"}
		if keys {
			want = append(want, want[1], want[0])
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("keys %t: %q", keys, got)
		}
	}
}

// Names cannot leave the directory, and differ where calls do.
func TestName(t *testing.T) {
	at := time.Date(2026, 11, 26, 10, 30, 0, 0, time.UTC)
	for _, c := range []struct{ id, callID, want string }{
		{"abc", "a84b4c76e66710@pc33.example.com", "20261126T103000Z_abc_a84b4c76e66710-pc33.example.com.wav"},
		{"abc", "../../etc/passwd\x00;rm -rf $HOME", "20261126T103000Z_abc_-.-..-etc-passwd--rm--rf--HOME.wav"},
		{"abc", "", "20261126T103000Z_abc_0.wav"},
		{"a/b", "ñ" + strings.Repeat("x", 500), "20261126T103000Z_ab_-" + strings.Repeat("x", 47) + ".wav"},
	} {
		if got := name(at, c.id, c.callID, WAV); got != c.want || !ours.MatchString(got) || filepath.Base(got) != got {
			t.Errorf("%q: %s, want %s", c.callID, got, c.want)
		}
	}
}

// What a crash left is made whole at the next start, what is empty goes, what is
// not ours stays.
func TestLeftovers(t *testing.T) {
	for _, format := range []string{WAV, PCAPNG} {
		c := config(t)
		c.Format = format
		r := recorder(t, c)
		rec, q, done, start := begin(t, r, 3*time.Second)
		for i := range 50 {
			q[0].put(rtp(uint16(i), uint32(160*i), 1, 8000), start.Add(time.Duration(20*i)*time.Millisecond))
		}
		rec.End(start.Add(time.Second))
		whole := wait(t, done).File
		_ = r.Close()
		b, err := os.ReadFile(whole)
		if err != nil {
			t.Fatal(err)
		}
		cut := b[:len(b)*3/4+1]
		if format == WAV {
			cut = append(header(0), cut[wavHeader:]...)
		}
		for name, data := range map[string][]byte{whole + part: cut, filepath.Join(c.Directory, "20200101T000000Z_b_c."+format+part): b[:20], filepath.Join(c.Directory, "else.wav.part"): b} {
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_ = os.Remove(whole)
		r = recorder(t, c)
		var left []string
		all, _ := os.ReadDir(c.Directory)
		for _, e := range all {
			left = append(left, e.Name())
		}
		if got := strings.Join(left, " "); got != ".lock "+filepath.Base(whole)+" else.wav.part" {
			t.Errorf("%s: %s", format, got)
		}
		if format == WAV {
			if n := len(read(t, whole).Samples[0]); n < 5000 || n > 6500 {
				t.Errorf("%d samples are left", n)
			}
		}
		_ = r.Close()
	}
}

// Old files go, and only ours.
func TestRetention(t *testing.T) {
	c := config(t)
	c.Keep = 2 * time.Hour
	r := recorder(t, c)
	for name, age := range map[string]time.Duration{"20200101T000000Z_a_b.wav": 3 * time.Hour, "20200101T000000Z_a_c.wav": time.Hour, "mine.wav": 300 * time.Hour} {
		path := filepath.Join(c.Directory, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	r.sweep(time.Now())
	all, _ := filepath.Glob(filepath.Join(c.Directory, "*.wav"))
	if len(all) != 2 || r.Counts().Deleted != 1 || filepath.Base(all[0]) != "20200101T000000Z_a_c.wav" {
		t.Errorf("%q are left, %+v", all, r.Counts())
	}
}

// Without room recordings end, whole, and none begins, which is said once; with
// room again they do.
func TestDiskLimits(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	c := config(t)
	c.MaxMB = 1
	r, err := New(c, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	_, q, done, start := begin(t, r, 2*time.Second)
	q[0].put(rtp(1, 0, 1, 8000), start)
	big := filepath.Join(c.Directory, "20200101T000000Z_a_b.wav")
	if err := os.WriteFile(big, make([]byte, mib), 0o600); err != nil {
		t.Fatal(err)
	}
	r.sweep(time.Now())
	res := wait(t, done)
	if res.Err != nil || !strings.Contains(res.Stopped, "max_mb is 1") || len(read(t, res.File).Samples[0]) == 0 {
		t.Errorf("%+v", res)
	}
	for range 3 {
		r.look()
		if _, err := r.Begin(Call{Start: start}); !errors.Is(err, ErrRefused) {
			t.Errorf("begun: %v", err)
		}
	}
	if n := logs.FilterMessageSnippet("there is no room").Len(); n != 1 {
		t.Errorf("it is said %d times", n)
	}
	if err := os.Remove(big); err != nil {
		t.Fatal(err)
	}
	r.sweep(time.Now())
	rec, _, done, start := begin(t, r, time.Minute)
	rec.End(start.Add(time.Second))
	if res := wait(t, done); res.Err != nil || r.Counts().Refused != 3 || r.Counts().Full {
		t.Errorf("%+v, %+v", res, r.Counts())
	}
	c.MinFreeMB = 1 << 30
	r.cfg = c
	r.look()
	if !r.Counts().Full {
		t.Error("min_free_mb is not looked at")
	}
}

// The limits of length and number; a disk that fails costs the recording alone.
func TestLimits(t *testing.T) {
	c := config(t)
	c.MaxCalls = 1
	r := recorder(t, c)
	_, _, done, _ := begin(t, r, 2*time.Hour)
	if _, err := r.Begin(Call{ID: "d", Start: time.Now()}); !errors.Is(err, ErrRefused) {
		t.Errorf("a second one began: %v", err)
	}
	if res := wait(t, done); res.Stopped != "max_length" || res.Err != nil {
		t.Errorf("%+v", res)
	}
	if err := os.RemoveAll(c.Directory); err != nil {
		t.Fatal(err)
	}
	rec, _, done, start := begin(t, r, time.Second)
	rec.End(start.Add(time.Second))
	if res := wait(t, done); res.Err == nil || res.File != "" || r.Counts().Failed != 1 {
		t.Errorf("%+v", res)
	}
}

// One directory belongs to one door.
func TestOneDoorADirectory(t *testing.T) {
	c := config(t)
	recorder(t, c)
	if _, err := New(c, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "another door") {
		t.Errorf("%v", err)
	}
}

// A door that closes finishes what it records.
func TestClose(t *testing.T) {
	c := config(t)
	r := recorder(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { r.Run(ctx); close(ran) }()
	_, _, done, _ := begin(t, r, time.Second)
	cancel()
	<-ran
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if res := wait(t, done); res.Err != nil || res.File == "" {
		t.Errorf("%+v", res)
	}
	if _, err := r.Begin(Call{}); !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
}
