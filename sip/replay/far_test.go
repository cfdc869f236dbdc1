package replay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/portero/portero/sip/transport"
)

// far is a small far side that does to each call what its plan says, and sends
// back every RTP packet.
type far struct {
	t       testing.TB
	plan    func(f *farCall)
	sip     *net.UDPConn
	rtp     *net.UDPConn
	local   netip.AddrPort
	wg      sync.WaitGroup
	packets atomic.Int64 // of RTP that came
	stop    func()       // ends it, so that what its plans noted may be read

	mu    sync.Mutex
	calls map[string]*farCall
	ids   []string
	heard []string // start lines, in order
	raw   []string
}

// farCall is one call as the far side sees it. Its plan runs on a goroutine of
// its own and takes what the caller sends from in.
type farCall struct {
	*far
	id     identity
	invite *message
	from   netip.AddrPort
	in     chan *message
	cseq   int
	n      int // which call of the far side's it is
}

func newFar(t testing.TB, host string, plan func(*farCall)) *far {
	t.Helper()
	open := func() *net.UDPConn {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), 0)))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	f := &far{t: t, plan: plan, sip: open(), rtp: open(), calls: map[string]*farCall{}}
	f.local = f.sip.LocalAddr().(*net.UDPAddr).AddrPort()
	f.wg.Add(2)
	go f.listen()
	go f.echo()
	f.stop = sync.OnceFunc(func() {
		f.sip.Close()
		f.rtp.Close()
		f.mu.Lock()
		for _, c := range f.calls {
			close(c.in)
		}
		f.calls = map[string]*farCall{}
		f.mu.Unlock()
		f.wg.Wait()
	})
	t.Cleanup(f.stop)
	return f
}

func (f *far) echo() {
	defer f.wg.Done()
	buf := make([]byte, 2048)
	for {
		n, from, err := f.rtp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		f.packets.Add(1)
		f.rtp.WriteToUDPAddrPort(buf[:n], from)
	}
}

func (f *far) listen() {
	defer f.wg.Done()
	buf := make([]byte, 65536)
	for {
		n, from, err := f.sip.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		raw := string(buf[:n])
		m, err := parse([]byte(raw))
		if err != nil {
			f.t.Errorf("the far side got %q: %v", raw, err)
			continue
		}
		f.mu.Lock()
		f.heard = append(f.heard, string(m.start))
		f.raw = append(f.raw, raw)
		c := f.calls[m.callID()]
		if c == nil && m.method() == "INVITE" {
			c = &farCall{far: f, invite: m, from: from, in: make(chan *message, 64), cseq: 100, n: len(f.ids)}
			c.id = identity{protocol: transport.UDP, tag: "f" + fmt.Sprint(len(f.calls)), local: f.local,
				media: mediaPlace{port: func(int) uint16 { return 0 }}}
			f.calls[m.callID()] = c
			f.ids = append(f.ids, m.callID())
			f.wg.Add(1)
			go func() {
				defer f.wg.Done()
				f.plan(c)
				for m := range c.in { // whatever comes after the plan
					switch m.method() {
					case "BYE":
						c.reply(m, "200 OK", "")
					case "CANCEL":
						c.reply(m, "200 OK", "")
						c.reply(c.invite, "487 Request Terminated", "")
					}
				}
			}()
		} else if c != nil {
			c.in <- m
		}
		f.mu.Unlock()
	}
}

// sdp is the far side's description.
func (c *farCall) sdp(formats string) string {
	a := c.rtp.LocalAddr().(*net.UDPAddr).AddrPort()
	return fmt.Sprintf("v=0\r\no=far 1 1 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %[2]d RTP/AVP %[3]s\r\na=rtpmap:101 telephone-event/8000\r\n",
		a.Addr(), a.Port(), formats)
}

// reply answers a request; more headers stand in extra, each with its line end.
func (c *farCall) reply(req *message, status, body string, extra ...string) {
	m := c.id.reply(req, nil, status, c.from)
	for _, e := range extra {
		name, value, _ := strings.Cut(strings.TrimSpace(e), ": ")
		m.insert(m.beforeBody(), name, []byte(value))
	}
	if body != "" {
		m.insert(m.beforeBody(), "Content-Type", []byte("application/sdp"))
		m.body = []byte(body)
		m.length(true)
	}
	c.write(m)
}

func (c *farCall) write(m *message) {
	c.sip.WriteToUDPAddrPort(m.bytes(), c.from)
}

// answer sends a 200 with a description.
func (c *farCall) answer() { c.reply(c.invite, "200 OK", c.sdp("0 101")) }

// ask sends a request inside the dialog.
func (c *farCall) ask(method, body string) *message {
	c.cseq++
	contact := c.invite.get("Contact")
	from, till := uriOf(contact)
	target := string(contact[from:till])
	if len(contact) == 0 {
		target = "sip:" + c.from.String()
	}
	to := setParam(c.invite.get("To"), "tag", []byte(c.id.tag), true)
	raw := fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bKfar%d\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:%s>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		method, target, c.local, c.cseq, to, c.invite.get("From"), c.invite.callID(), c.cseq, method, c.local)
	m, err := parse([]byte(raw))
	if err != nil {
		c.t.Error(err)
		return nil
	}
	if body != "" {
		m.insert(m.beforeBody(), "Content-Type", []byte("application/sdp"))
		m.body = []byte(body)
		m.length(true)
	}
	c.write(m)
	return m
}

// await takes what the caller sends until a request of a method, or a final
// response to one ("200 UPDATE"), comes.
func (c *farCall) await(what string) *message {
	m, other := c.within(5*time.Second, what)
	if m == nil && other != nil {
		c.t.Errorf("the far side waited for %s in vain; it got %q", what, other)
	}
	return m
}

// within waits no longer than d; other is what came instead, nil when the far
// side was ended.
func (c *farCall) within(d time.Duration, what string) (m *message, other []string) {
	timeout := time.After(d)
	other = []string{}
	for {
		select {
		case m, ok := <-c.in:
			if !ok {
				return nil, nil
			}
			is := m.method()
			if is == "" {
				_, method := m.cseq()
				is = fmt.Sprint(m.code(), " ", method)
			}
			if is == what {
				return m, other
			}
			other = append(other, is)
		case <-timeout:
			return nil, other
		}
	}
}

// said is how often the far side heard a start line that begins so.
func (f *far) said(start string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, s := range f.heard {
		if strings.HasPrefix(s, start) {
			n++
		}
	}
	return n
}

// bytesOf is the first message whose start line begins so.
func (f *far) bytesOf(start string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.IndexFunc(f.raw, func(s string) bool { return strings.HasPrefix(s, start) }); i >= 0 {
		return f.raw[i]
	}
	return ""
}

// against replays recordings against a far side and returns the results.
func against(t testing.TB, f *far, calls []*Recording, change func(*Options)) []Result {
	t.Helper()
	o := Options{Target: Target{Host: f.local.String()}, Addr: f.local, Transport: transport.UDP, Speed: 4,
		Bind: netip.AddrPortFrom(netip.MustParseAddr("127.0.87.2"), 0), Patience: 300 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var out []Result
	if err := Run(ctx, calls, o, func(r Result) { out = append(out, r) }); err != nil {
		t.Fatal(err)
	}
	return out
}
