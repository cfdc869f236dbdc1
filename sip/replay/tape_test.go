package replay

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tape is a recording in the making: what the caller at 192.0.2.1 and the far
// side at 192.0.2.2 said to each other.
type tape struct {
	t    testing.TB
	buf  bytes.Buffer
	film *Film
	now  time.Time
}

var (
	tapeCaller = netip.MustParseAddrPort("192.0.2.1:5060")
	tapeFar    = netip.MustParseAddrPort("192.0.2.2:5060")
)

func newTape(t testing.TB) *tape {
	k := &tape{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	f, err := NewFilm(&k.buf)
	if err != nil {
		t.Fatal(err)
	}
	k.film = f
	return k
}

// say writes messages: "> ..." of the caller's, "< ..." of the far side's: a
// start line, or only method or status, then after | headers and after || a
// body. "+300ms" waits, "rtp 10" is so many packets of the caller's.
func (k *tape) say(lines ...string) *tape {
	for _, l := range lines {
		var n int
		switch {
		case l[0] == '+':
			d, err := time.ParseDuration(l[1:])
			if err != nil {
				k.t.Fatal(err)
			}
			k.now = k.now.Add(d)
			continue
		case strings.HasPrefix(strings.ToLower(l), "rtp"):
			fmt.Sscan(l[3:], &n)
			from, to := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.2:6000")
			if l[0] == 'R' {
				from, to = to, from
			}
			for i := range n {
				k.film.Wire(k.now, from, to, tapePacket(i))
				k.now = k.now.Add(20 * time.Millisecond)
			}
			continue
		}
		head, body, _ := strings.Cut(l[2:], "||")
		f := strings.Split(head, "|")
		switch body {
		case "sdp", "SDP":
			host, port := "192.0.2.1", 4000
			if body == "SDP" {
				host, port = "192.0.2.2", 6000
			}
			f = append(f, "Content-Type: application/sdp")
			body = fmt.Sprintf("v=0\r\no=- 7 7 IN IP4 %[1]s\r\ns=tape\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %[2]d RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n", host, port)
		}
		if f[0][0] >= '1' && f[0][0] <= '6' {
			f[0] = "SIP/2.0 " + f[0] + " Said"
		} else if !strings.Contains(f[0], " ") {
			f[0] += " sip:bob@192.0.2.2 SIP/2.0"
		}
		m := strings.Join(f, "\r\n") + fmt.Sprintf("\r\ncontent-LENGTH:  %d\r\n\r\n%s", len(body), body)
		src, dst := tapeCaller, tapeFar
		if l[0] == '<' {
			src, dst = dst, src
		}
		k.film.Wire(k.now, src, dst, []byte(m))
		k.now = k.now.Add(5 * time.Millisecond)
	}
	return k
}

func tapePacket(i int) []byte {
	b := make([]byte, 12+160)
	b[0], b[1], b[3], b[11] = 0x80, 0, byte(i), 9
	b[6], b[7] = byte(i*160>>8), byte(i*160)
	for j := range 160 {
		b[12+j] = byte(i + j)
	}
	return b
}

// head is what most messages of a tape begin with after the start line.
func head(cseq string, toTag string) string {
	if toTag != "" {
		toTag = ";tag=" + toTag
	}
	return "v:  SIP/2.0/UDP 192.0.2.1:5060 ;rport;branch=z9hG4bK5f1a2b3c|FROM: \"Al, ice\" <sip:alice@192.0.2.2>;tag=as3c5d7e9f|t:<sip:bob@192.0.2.2>" + toTag +
		"|Call-ID: 5f1a2b3c4d5e6f70@192.0.2.1|cSeQ: " + cseq + "|m: <sip:alice@192.0.2.1:5060>|X-Odd:\tkept \r\n  folded"
}

// load reads the tape back.
func (k *tape) load() []*Recording {
	k.t.Helper()
	if err := k.film.Err(); err != nil {
		k.t.Fatal(err)
	}
	calls, without, err := Load(bytes.NewReader(k.buf.Bytes()), "", nil, DefaultHeld)
	if err != nil || without > 0 {
		k.t.Fatalf("%v, %d calls without an INVITE", err, without)
	}
	return calls
}

// basic is an answered call that the caller ends.
func basic(t testing.TB) []*Recording {
	return newTape(t).say(
		"> INVITE|"+head("7 INVITE", "")+"||sdp", "< 100|"+head("7 INVITE", ""), "< 180|"+head("7 INVITE", "b1"), "+400ms",
		"< 200|"+head("7 INVITE", "b1")+"||SDP", "> ACK|"+head("7 ACK", "b1"), "rtp 10", "+200ms",
		"> BYE|"+head("8 BYE", "b1"), "< 200|"+head("8 BYE", "b1")).load()
}

func loadFile(t testing.TB, name string) []*Recording {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "traces", name))
	if err != nil {
		t.Fatal(err)
	}
	calls, _, err := Load(bytes.NewReader(b), "", nil, DefaultHeld)
	if err != nil {
		t.Fatal(err)
	}
	return calls
}
