package scenario_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/door"
)

// counts are the metrics of a door under attack.
type counts struct {
	door.NoMetrics
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
}

func (c *counts) get(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[what]
}

// reaches waits until something was counted so often.
func (c *counts) reaches(t *testing.T, what string, least int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); c.get(what) < least; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s was counted %d times, want %d", what, c.get(what), least)
		}
	}
}

func (c *counts) SIPDropped(reason string) { c.add(reason) }
func (c *counts) SIPRefused(code string)   { c.add(code) }
func (c *counts) Panicked()                { c.add("panic") }

// besieged is a door on loopback: its trunk is 127.0.86.0/25, its PBX
// 127.0.86.125, and who comes from the rest of the network is a stranger.
type besieged struct {
	*testDoor
	*counts
	addr string
}

func besiege(t *testing.T, config string) *besieged {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.86.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &besieged{counts: &counts{}, addr: ln.Addr().String()}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	config = "sip:\n  listen: [\"udp:" + b.addr + "\", \"tcp:" + b.addr + "\"]\n" +
		"  trunks: [{name: carrier, addresses: [127.0.86.0/25]}]\n" +
		"  destinations: {agents: {uri: \"sip:127.0.86.125:5098\"}, automation: {uri: \"sip:127.0.86.125:5099\"}}\n" + config
	b.testDoor = open(t, nil, config, func(d *door.Deps) { d.PacketConn, d.Metrics = nil, b.counts })
	t.Cleanup(func() {
		b.close(t)
		if n := b.get("panic"); n > 0 {
			t.Errorf("%d panics", n)
		}
	})
	return b
}

// udp is a socket at an address of the network, connected to the door.
func (b *besieged) udp(t *testing.T, from string) net.Conn {
	t.Helper()
	local, err := net.ResolveUDPAddr("udp4", from)
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&net.Dialer{LocalAddr: local}).Dial("udp4", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (b *besieged) tcp(t *testing.T) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 86, 7)}}).Dial("tcp4", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	return c
}

// ask is a request of a client that wants its answer where it sent from.
func (b *besieged) ask(method, id string, lines ...string) string {
	length := "Content-Length: 0\r\n"
	for _, l := range lines {
		if strings.HasPrefix(l, "Content-Length") || strings.HasPrefix(l, "l:") {
			length = ""
		}
	}
	return method + " sip:" + b.addr + " SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.86.7:9;rport;branch=z9hG4bK" + id + "\r\n" +
		"From: <sip:a@127.0.86.7>;tag=" + id + "\r\nTo: <sip:127.0.86.1>\r\nCall-ID: " + id + "\r\nCSeq: 1 " + method + "\r\n" +
		length + strings.Join(append(lines, "", ""), "\r\n")
}

// answer is the first line of what comes next.
func answer(t *testing.T, c net.Conn) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 65536)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	line, _, _ := strings.Cut(string(buf[:n]), "\r\n")
	return line
}

// Thousands of sources, real and made up, strangers and in the trunk's network,
// leave nothing behind: no memory, no goroutine, no transaction.
func TestFloodOfSources(t *testing.T) {
	b := besiege(t, "  strangers: refuse\n  limits: {source: {rate: 1000000}, caller: {rate: 1}}\n")
	flood := func(sources int) {
		for i := range sources {
			host := 2 + i%120
			stranger := i%3 == 0
			if stranger {
				host += 128
			}
			c := b.udp(t, fmt.Sprintf("127.0.86.%d:0", host))
			for _, m := range []string{
				"\x80\x00\xffgarbage",
				b.ask("OPTIONS", fmt.Sprint("f", i)),
				b.ask("OPTIONS", fmt.Sprint("s", i), "User-Agent: friendly-scanner"),
				b.ask("INVITE", fmt.Sprint("m", i), "Call-ID: twice"),
			} {
				_, _ = c.Write([]byte(m)) // an ICMP error of the one before may come back
			}
			_ = c.Close()
			if i%50 == 0 {
				time.Sleep(time.Millisecond) // the reader is to see most of it
			}
		}
		time.Sleep(70 * timers.T1) // transactions end
	}
	heap := func() (bytes int64, goroutines int) {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc), runtime.NumGoroutine()
	}
	flood(500) // what is made once is made now
	bytes, goroutines := heap()
	flood(6000)
	after, left := heap()
	if grown := after - bytes; grown > 1<<20 {
		t.Errorf("6000 sources left %d bytes", grown)
	}
	if left > goroutines+5 {
		t.Errorf("%d goroutines are left", left-goroutines)
	}
	for _, what := range []string{"stranger", "scanner", "malformed", string(policy.ReasonMalformed)} {
		if b.get(what) < 100 {
			t.Errorf("%s was counted %d times", what, b.get(what))
		}
	}
	c := b.udp(t, "127.0.86.9:0")
	defer c.Close()
	_, _ = c.Write([]byte(b.ask("OPTIONS", "last")))
	if got := answer(t, c); got != "SIP/2.0 200 OK" {
		t.Errorf("after the flood: %q", got)
	}
}

// Clients that say nothing, or a byte now and then, hold up nobody; there are
// only so many of one address.
func TestSlowAndSilentClients(t *testing.T) {
	b := besiege(t, "")
	for range 100 {
		b.tcp(t) // silent
	}
	slow := b.tcp(t)
	go func() {
		for _, c := range []byte(b.ask("OPTIONS", "slow")) {
			if _, err := slow.Write([]byte{c}); err != nil {
				return
			}
		}
	}()
	quick := b.tcp(t)
	for i := range 3 {
		if _, err := quick.Write([]byte(b.ask("OPTIONS", fmt.Sprint("quick", i)))); err != nil {
			t.Fatal(err)
		}
		if got := answer(t, quick); got != "SIP/2.0 200 OK" {
			t.Errorf("a quick client: %q", got)
		}
	}
	if got := answer(t, slow); got != "SIP/2.0 200 OK" {
		t.Errorf("the slow one: %q", got)
	}
	for range 300 { // the limit of one address is 256
		b.tcp(t)
	}
	b.reaches(t, "too_many_connections", 40)
	u := b.udp(t, "127.0.86.7:0")
	defer u.Close()
	if _, err := u.Write([]byte(b.ask("OPTIONS", "udp"))); err != nil {
		t.Fatal(err)
	}
	if got := answer(t, u); got != "SIP/2.0 200 OK" {
		t.Errorf("meanwhile by UDP: %q", got)
	}
}

// What is too large, or ends where nobody knows, is answered and, on a stream,
// the last thing that is read (RFC 4475 sections 3.1.2.3 and 3.3.9).
func TestOversizedAndUnframed(t *testing.T) {
	b := besiege(t, "")
	large := b.ask("MESSAGE", "large", "X-Large: "+strings.Repeat("x", 40000))
	u := b.udp(t, "127.0.86.7:0")
	defer u.Close()
	if _, err := u.Write([]byte(large)); err != nil {
		t.Fatal(err)
	}
	if got := answer(t, u); !strings.HasPrefix(got, "SIP/2.0 513 Message Too Large: ") {
		t.Errorf("40 kB by UDP: %q", got)
	}
	for name, c := range map[string]struct{ sent, want string }{
		"a length of a megabyte": {b.ask("MESSAGE", "mb", "Content-Length: 1000000"), "SIP/2.0 513 Message Too Large: "},
		"a head without an end":  {large[:len(large)-2], "SIP/2.0 513 Message Too Large: "},
		"a negative length":      {b.ask("MESSAGE", "neg", "Content-Length: -5") + b.ask("OPTIONS", "smuggled"), "SIP/2.0 400 Bad Request: Content-Length is not a number"},
		"two lengths":            {b.ask("MESSAGE", "two", "Content-Length: 0", "l: 200") + b.ask("OPTIONS", "smuggled"), "SIP/2.0 400 Bad Request: Content-Length is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			s := b.tcp(t)
			if _, err := s.Write([]byte(c.sent)); err != nil {
				t.Fatal(err)
			}
			all := new(strings.Builder)
			for r := bufio.NewReader(s); ; {
				line, err := r.ReadString('\n')
				if err != nil {
					var ne net.Error
					if ok := asNetError(err, &ne); ok && ne.Timeout() {
						t.Fatalf("the connection stays open; got %q", all)
					}
					break
				}
				all.WriteString(line)
			}
			if got := all.String(); !strings.HasPrefix(got, c.want) || strings.Count(got, "SIP/2.0 ") != 1 || strings.Contains(got, "smuggled") {
				t.Errorf("got %q, want %q and nothing more", got, c.want)
			}
		})
	}
}

func asNetError(err error, to *net.Error) bool {
	ne, ok := err.(net.Error)
	*to = ne
	return ok
}

// Responses that nobody waits for, and ACKs, are never answered.
func TestStrays(t *testing.T) {
	b := besiege(t, "")
	u := b.udp(t, "127.0.86.7:0")
	defer u.Close()
	for what, m := range map[string]string{
		"stray_response": strings.Replace(b.ask("INVITE", "stray"), "INVITE sip:"+b.addr+" SIP/2.0", "SIP/2.0 200 OK", 1),
		"stray_ack":      b.ask("ACK", "stray"),
		"malformed":      b.ask("ACK", "stray", "CSeq: 2 ACK"),
	} {
		if _, err := u.Write([]byte(m)); err != nil {
			t.Fatal(err)
		}
		b.reaches(t, what, 1)
	}
	if _, err := u.Write([]byte(b.ask("BYE", "stray"))); err != nil {
		t.Fatal(err)
	}
	if got := answer(t, u); got != "SIP/2.0 481 Call/Transaction Does Not Exist" {
		t.Errorf("BYE: %q", got)
	}
}

// Nothing that a caller writes into a name, a header or a folded line becomes a
// header of its own at the PBX.
func TestHeaderInjection(t *testing.T) {
	b := besiege(t, "")
	pbx, err := net.ListenPacket("udp4", "127.0.86.125:5098")
	if err != nil {
		t.Fatal(err)
	}
	defer pbx.Close()
	u := b.udp(t, "127.0.86.7:0")
	defer u.Close()
	const sdp = "v=0\r\no=- 1 1 IN IP4 127.0.86.7\r\ns=-\r\nc=IN IP4 127.0.86.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
	build := func(id, from, extra string) string {
		m := b.ask("INVITE", id, "Contact: <sip:a@127.0.86.7>", "Content-Type: application/sdp", extra, fmt.Sprintf("Content-Length: %d", len(sdp))) + sdp
		return strings.Replace(m, "From: <sip:a@127.0.86.7>", "From: "+from+"<sip:a@127.0.86.7>", 1)
	}
	for i, c := range []struct{ from, extra string }{
		{"\"A\rX-Injected: 1\" ", ""}, {"\"A\nX-Injected: 1\" ", ""}, {"\"A\\\r\nX-Injected: 1\" ", ""}, {"A\rX-Injected: 1 ", ""},
		{"", "X-Custom: a\rX-Injected: 1"}, {"", "X-Custom: a\nX-Injected: 1"}, {"", "X-Custom: a\x00b"}, {"", "Subject: a\r\n\rX-Injected: 1"},
	} {
		if _, err := u.Write([]byte(build(fmt.Sprint("bad", i), c.from, c.extra))); err != nil {
			t.Fatal(err)
		}
		if got := answer(t, u); !strings.HasPrefix(got, "SIP/2.0 400 ") {
			t.Errorf("%q %q: %q", c.from, c.extra, got)
		}
	}
	good := build("good", `"A \"; tag=evil\\ <sip:x@y>" `, "X-Custom: one\r\n X-Injected: 1\r\n\tVia: SIP/2.0/UDP evil")
	if _, err := u.Write([]byte(good)); err != nil {
		t.Fatal(err)
	}
	_ = pbx.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 65536)
	for {
		n, _, err := pbx.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(buf[:n], []byte("INVITE ")) {
			continue // a look whether it is there
		}
		head, _, _ := strings.Cut(string(buf[:n]), "\r\n\r\n")
		for _, line := range strings.Split(head, "\r\n")[1:] {
			name, _, _ := strings.Cut(line, ":")
			if strings.EqualFold(name, "X-Injected") || strings.EqualFold(name, "Via") && strings.Contains(line, "evil") || strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("the PBX got %q of\n%s", line, head)
			}
		}
		if !strings.Contains(head, "X-Custom: one X-Injected: 1 Via: SIP/2.0/UDP evil") || strings.Contains(head, "tag=a1;") {
			t.Errorf("the PBX got\n%s", head)
		}
		break
	}
	if _, err := u.Write([]byte(b.ask("CANCEL", "good"))); err != nil {
		t.Fatal(err)
	}
}

// The messages of RFC 4475 and RFC 5118, where they are at hand, against a door
// that runs: none ends it, none makes it send what is malformed.
func TestTortureAtTheDoor(t *testing.T) {
	root := os.Getenv("PORTERO_TRACES")
	if root == "" {
		t.Skip("PORTERO_TRACES is not set: the messages of RFC 4475 and RFC 5118 are not here")
	}
	files, err := filepath.Glob(filepath.Join(root, "torture", "*.dat"))
	if err != nil || len(files) == 0 {
		t.Skipf("%s holds no torture messages", root)
	}
	b := besiege(t, "")
	u := b.udp(t, "127.0.86.7:0")
	defer u.Close()
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(raw); err != nil {
			t.Fatal(err)
		}
		s := b.tcp(t)
		_, _ = s.Write(raw)
	}
	for { // answers come in any order, until that of the last
		if _, err := u.Write([]byte(b.ask("OPTIONS", "alive"))); err != nil {
			t.Fatal(err)
		}
		if answer(t, u) == "SIP/2.0 200 OK" {
			break
		}
	}
}

// A caller of RFC 2543 has neither a branch nor a tag (RFC 4475 section 3.4.1):
// its call goes through, its CANCEL finds it.
func TestRFC2543Caller(t *testing.T) {
	b := besiege(t, "")
	pbx, err := net.ListenPacket("udp4", "127.0.86.125:5098")
	if err != nil {
		t.Fatal(err)
	}
	defer pbx.Close()
	u := b.udp(t, "127.0.86.7:0")
	defer u.Close()
	ask := func(method string) string {
		m := b.ask(method, "old", "Contact: <sip:a@127.0.86.7>")
		return strings.NewReplacer(";branch=z9hG4bKold", "", ";tag=old", "").Replace(m)
	}
	if _, err := u.Write([]byte(ask("INVITE"))); err != nil {
		t.Fatal(err)
	}
	if got := answer(t, u); !strings.HasPrefix(got, "SIP/2.0 100 ") {
		t.Fatalf("the INVITE got %q", got)
	}
	_ = pbx.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 65536)
	for {
		n, _, err := pbx.ReadFrom(buf)
		if err != nil {
			t.Fatal("the PBX got no INVITE: ", err)
		}
		if bytes.HasPrefix(buf[:n], []byte("INVITE ")) {
			break
		}
	}
	if _, err := u.Write([]byte(ask("CANCEL"))); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{answer(t, u): true}
	got[answer(t, u)] = true
	if !got["SIP/2.0 200 OK"] || !got["SIP/2.0 487 Request Terminated"] {
		t.Errorf("the CANCEL got %v", got)
	}
	if _, err := u.Write([]byte(ask("ACK"))); err != nil {
		t.Fatal(err)
	}
}
