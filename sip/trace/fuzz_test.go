package trace

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/sip/judge"
)

var update = flag.Bool("update", false, "write the seeds of the fuzz targets")

// seedCaptures are small captures, each with something else in it.
func seedCaptures(t testing.TB) map[string][]byte {
	out := map[string][]byte{}
	f := newFilm(t)
	s := newScript(f, "a")
	s.say("INVITE+sdp", "180", "200+sdp", "ACK")
	f.rtp(aRTP, bRTP, 1, 0, 65534, 4)
	f.udp(aRTP, bRTP, string(append(rtpPacket(1, 101, 2, 9)[:12], 5, 0x8a, 1, 64)))
	s.say("!BYE<", "200<")
	out["udp-call"] = f.buf.Bytes()

	f = newFilm(t)
	s = newScript(f, "b")
	s.transport = "tcp"
	f.tcp(alice, bob, ^uint32(0), "S", "")
	s.say("INVITE+sdp")
	s.seqA += 7 // a gap
	s.say("CANCEL", "200", "487", "ACK")
	out["tcp-call-with-gap"] = f.buf.Bytes()

	f = newFilm(t)
	for i, part := range fragment4(t, alice, bob, sipText("frag", 700), 400) {
		if i != 1 {
			f.frame(append(make([]byte, 12), append([]byte{8, 0}, part...)...))
		}
	}
	f.wait(5*time.Second).rtp(aRTP, bRTP, 5, 8, 1, 1)
	out["fragments"] = f.buf.Bytes()

	out["classic"] = classic(binary.BigEndian, magicNano, 0)
	out["kuznetsov"] = classic(binary.LittleEndian, magicModified, 8)
	out["gzip"] = gzipped(t, string(classic(binary.LittleEndian, magicMicro, 0)))
	out["pcapng"] = ngFile(t)
	return out
}

// seedMessages are small SIP messages.
var seedMessages = map[string]string{
	"request":   crlf("INVITE sip:bob@example.com SIP/2.0\nv: x\nf: \"a \\\" b\" <sip:a:p@h>;tag=1\nt: tel:+1;tag=2\ni: c\nCSeq: 1 INVITE\nc: application/sdp\nl: 5\n\nv=0\n"),
	"response":  crlf("\n\nSIP/2.0 200 OK\nFrom: sip:a@h\n ;tag=1\nTo:\n\t<sip:b@h>\nCall-ID: c\nCSeq: 1\n INVITE\nContent-Length: 999\n\n"),
	"multipart": crlf("ACK sip:b SIP/2.0\nContent-Type: multipart/mixed\n\n--x\n\nv=0\no=-\n--x--"),
	"rubbish":   "BYE  SIP/2.0\n: :\n\n\n",
}

// TestSeeds keeps the committed seeds those that this file makes.
func TestSeeds(t *testing.T) {
	check := func(target, name, value string) {
		path := filepath.Join("testdata", "fuzz", target, name)
		want := "go test fuzz v1\n" + value + "\n"
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is not what seedCaptures and seedMessages make (%v): run go test -run TestSeeds -update", path, err)
		}
	}
	for name, b := range seedCaptures(t) {
		check("FuzzRead", name, "[]byte("+strconv.Quote(string(b))+")")
	}
	for name, m := range seedMessages {
		check("FuzzMessage", name, "[]byte("+strconv.Quote(m)+")")
	}
}

// FuzzRead reads anything as a capture, before a judge: it may refuse, but not
// break, hang or hold more than its limits.
func FuzzRead(f *testing.F) {
	set, err := rules.Compile(rules.Defaults(), nil)
	if err != nil {
		f.Fatal(err)
	}
	bench := &judge.Bench{Rules: set, Config: judge.Defaults()}
	f.Fuzz(func(t *testing.T, b []byte) {
		o := Options{Bench: bench, Failed: func(id string, err error) {
			if bytes.HasPrefix([]byte(err.Error()), []byte("the judge broke")) {
				t.Errorf("call %q: %v", id, err)
			}
		}}
		calls := 0
		sum, _ := Read(bytes.NewReader(b), o, func(c *Call) {
			calls++
			if c.Outcome == "" || c.Verdict == nil || c.Decision == nil {
				t.Errorf("incomplete call %+v", c)
			}
			for _, s := range c.Streams {
				if s.Packets < 1 || s.Lost < 0 || s.Seconds < 0 && s.Packets < 2 {
					t.Errorf("impossible stream %+v", s)
				}
			}
		})
		if calls > sum.Messages {
			t.Errorf("%d calls in %d messages", calls, sum.Messages)
		}
	})
}

// FuzzMessage views anything as a SIP message, whole and as a stream.
func FuzzMessage(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := parseMessage(b)
		if ok {
			if len(m.raw) > len(b) || len(m.body) > len(m.raw) || (m.method == "") == (m.code == 0) {
				t.Errorf("impossible view %+v", m)
			}
			again, ok := parseMessage(m.raw)
			if !ok || !bytes.Equal(again.raw, m.raw) || again.callID != m.callID || again.from != m.from {
				t.Errorf("the raw bytes of a view give another view: %+v and %+v", m, again)
			}
			m.description()
		}
		var flows tcpFlows
		for at := 0; at < len(b); at += 64 {
			s := segment{tcp: true, src: alice, dst: bob, at: start, seq: uint32(at), payload: b[at:min(at+64, len(b))]}
			flows.add(&s, func(s *segment) {
				if len(s.payload) > len(b) {
					t.Errorf("a message of %d bytes in %d", len(s.payload), len(b))
				}
			})
		}
	})
}

// BenchmarkRead reads a capture of 200 calls with 40,000 RTP packets, half of
// them the callers', without and with a judge.
func BenchmarkRead(b *testing.B) {
	f := newFilm(b)
	for i := range 200 {
		s := newScript(f, fmt.Sprint("call-", i))
		s.say("INVITE+sdp", "100", "180", "200+sdp", "ACK")
		f.rtp(aRTP, bRTP, uint32(i), 0, 1, 100)
		f.rtp(bRTP, aRTP, uint32(i), 0, 1, 100)
		s.say("!BYE", "200")
	}
	file := f.buf.Bytes()
	set, err := rules.Compile(rules.Defaults(), nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		bench *judge.Bench
	}{{"read", nil}, {"judged", &judge.Bench{Rules: set, Config: judge.Defaults()}}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				sum, err := Read(bytes.NewReader(file), Options{Bench: c.bench}, func(*Call) {})
				if err != nil || sum.Packets != f.count {
					b.Fatal(sum, err)
				}
			}
			b.ReportMetric(float64(f.count)*float64(b.N)/b.Elapsed().Seconds(), "packets/s")
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(f.count), "ns/packet")
		})
	}
}
