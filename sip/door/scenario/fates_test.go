package scenario_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portero/portero/sip/door/scenario"
)

// A fate is what becomes of a call: what the PBX does with it is in the number
// called, what the caller does is in callAt.
type fate struct {
	name string
	want []int // final statuses of the caller's INVITE; several where a race decides
}

var fates = []fate{
	{"answered", []int{200}},
	{"pbx-hangs-up", []int{200}},
	{"early-media", []int{200}},
	{"hold", []int{200}},
	{"forked", []int{200}},
	{"no-ack", []int{200}},
	{"pbx-dies", []int{200}},
	{"busy", []int{486}},
	{"unavailable", []int{503}},
	{"moved", []int{302}},
	{"silent", []int{408}},
	{"rings-for-ever", []int{408}},
	{"bad-offer", []int{488}},
	{"cancel-at-100", []int{487}},
	{"cancel-at-180", []int{487}},
	{"cancel-crosses-200", []int{487}},
	{"cancel-after-200", []int{200}},
	{"early-bye", []int{487}},
}

const leakSDP = "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=%s\r\n"

// text is a SIP message as its lines.
type text string

func (m text) header(name string) string {
	for _, line := range strings.Split(string(m), "\r\n")[1:] {
		if line == "" {
			break
		}
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimSpace(n), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (m text) first() string { s, _, _ := strings.Cut(string(m), "\r\n"); return s }

func (m text) status() (code int) {
	_, _ = fmt.Sscanf(string(m), "SIP/2.0 %d", &code)
	return code
}

// method is the request's, or that of a response's request.
func (m text) method() string {
	if m.status() == 0 {
		s, _, _ := strings.Cut(string(m), " ")
		return s
	}
	_, s, _ := strings.Cut(m.header("CSeq"), " ")
	return s
}

// contact is the URI in the Contact.
func (m text) contact() string {
	_, s, _ := strings.Cut(m.header("Contact"), "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}

// reply answers a request; rest are more headers, with the body if there is one.
func (m text) reply(status, tag, rest string) string {
	to := m.header("To")
	if !strings.Contains(to, "tag=") && tag != "" {
		to += ";tag=" + tag
	}
	if !strings.Contains(rest, "\r\n\r\n") {
		rest += "Content-Length: 0\r\n\r\n"
	}
	return fmt.Sprintf("SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n%s",
		status, m.header("Via"), m.header("From"), to, m.header("Call-ID"), m.header("CSeq"), rest)
}

func withSDP(addr, direction string) string {
	body := fmt.Sprintf(leakSDP, addr, addr, direction)
	return fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// station is one end of all calls: an address, and what it does with messages.
type station struct {
	network *scenario.Network
	name    string
	take    func(text)

	mu   sync.Mutex
	conn net.PacketConn // nil while it is away
	done chan struct{}
}

func (s *station) open() error {
	c, err := s.network.Listen(scenario.Address(s.name))
	if err != nil {
		return err
	}
	done := make(chan struct{})
	s.mu.Lock()
	s.conn, s.done = c, done
	s.mu.Unlock()
	go func() {
		defer close(done)
		buf := make([]byte, 8192)
		for {
			n, _, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			s.take(text(buf[:n]))
		}
	}()
	return nil
}

// close is the end of it, or, for a PBX, a crash.
func (s *station) close() {
	s.mu.Lock()
	c, done := s.conn, s.done
	s.conn = nil
	s.mu.Unlock()
	if c != nil {
		_ = c.Close()
		<-done
	}
}

func (s *station) send(m string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		_, _ = s.conn.WriteTo([]byte(m), net.UDPAddrFromAddrPort(scenario.DoorAddr))
	}
}

// pbx answers calls as the number called says.
type pbx struct {
	station
	calls sync.Map // Call-ID to *pbxCall
}

type pbxCall struct {
	fate   string
	invite text
	dead   bool
	byeing bool
}

const pbxContact = "Contact: <sip:%s@198.51.100.10:5060>\r\n"

func (p *pbx) receive(m text) {
	switch method := m.method(); {
	case m.status() != 0:
		if method == "BYE" {
			p.calls.Delete(m.header("Call-ID"))
		}
	case method == "INVITE":
		p.invited(m)
	default:
		v, ok := p.calls.Load(m.header("Call-ID"))
		if !ok {
			if method != "ACK" { // of a call from before the crash, or a question
				p.send(m.reply("200 OK", "p", ""))
			}
			return
		}
		p.asked(v.(*pbxCall), method, m)
	}
}

func (p *pbx) invited(m text) {
	id := m.header("Call-ID")
	user, _, _ := strings.Cut(strings.TrimPrefix(m.first(), "INVITE sip:"), "@")
	contact := fmt.Sprintf(pbxContact, user)
	ok := contact + withSDP("198.51.100.10", "sendrecv")
	if v, known := p.calls.Load(id); known && strings.Contains(m.header("To"), "tag=") {
		if !v.(*pbxCall).dead {
			p.send(m.reply("200 OK", "", contact+withSDP("198.51.100.10", "recvonly")))
		}
		return
	}
	c := &pbxCall{fate: user[:strings.LastIndexByte(user, '-')], invite: m}
	if _, again := p.calls.LoadOrStore(id, c); again {
		return // a copy: the answers are on their way
	}
	switch c.fate {
	case "busy":
		p.send(m.reply("486 Busy Here", "p", ""))
	case "unavailable":
		p.send(m.reply("503 Service Unavailable", "p", ""))
	case "moved":
		p.send(m.reply("302 Moved Temporarily", "p", "Contact: <sip:other@198.51.100.10>\r\n"))
	case "silent":
	case "cancel-at-100":
		p.send(m.reply("100 Trying", "", ""))
	case "rings-for-ever", "cancel-at-180", "cancel-crosses-200", "early-bye":
		p.send(m.reply("180 Ringing", "p", contact))
	case "early-media":
		p.send(m.reply("183 Session Progress", "p", ok))
		p.send(m.reply("200 OK", "p", ok))
	case "forked":
		p.send(m.reply("180 Ringing", "q", contact))
		p.send(m.reply("200 OK", "p", ok))
		p.send(m.reply("200 OK", "q", ok))
	default:
		p.send(m.reply("180 Ringing", "p", contact))
		p.send(m.reply("200 OK", "p", ok))
	}
}

func (p *pbx) asked(c *pbxCall, method string, m text) {
	switch {
	case c.dead:
	case method == "CANCEL":
		p.send(m.reply("200 OK", "p", ""))
		if c.fate == "cancel-crosses-200" {
			p.send(c.invite.reply("200 OK", "p", fmt.Sprintf(pbxContact, "x")+withSDP("198.51.100.10", "sendrecv")))
		} else {
			p.send(c.invite.reply("487 Request Terminated", "p", ""))
		}
	case method == "BYE":
		p.send(m.reply("200 OK", "p", ""))
		if c.fate != "forked" { // its two dialogs end one after the other
			p.calls.Delete(m.header("Call-ID"))
		}
	case method == "ACK" && c.fate == "pbx-dies":
		c.dead = true
	case method == "ACK" && c.fate == "pbx-hangs-up" && !c.byeing:
		c.byeing = true
		from := c.invite.header("To") + ";tag=p"
		p.send(fmt.Sprintf("BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bKbye%s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n",
			c.invite.contact(), c.invite.header("Call-ID"), from, c.invite.header("From"), c.invite.header("Call-ID")))
	}
}

// caller places calls and ends them as their fate says.
type caller struct {
	station
	calls sync.Map // Call-ID to *callerCall
}

type callerCall struct {
	fate     fate
	number   int
	final    atomic.Int32 // status of the INVITE
	ended    chan struct{}
	over     sync.Once
	cancel   bool
	answered bool
	target   string
	to       string
}

func (c *callerCall) end() { c.over.Do(func() { close(c.ended) }) }

func (c *callerCall) id() string { return fmt.Sprintf("leak-%d", c.number) }

// request makes one of the call's requests.
func (c *callerCall) request(method, branch string, cseq int, rest string) string {
	target, to := c.target, c.to
	first := fmt.Sprintf("sip:%s-%d@portero", c.fate.name, c.number)
	if target == "" {
		target = first
	}
	if to == "" {
		to = "<" + first + ">"
	}
	if rest == "" {
		rest = "Content-Length: 0\r\n\r\n"
	}
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK%s-%d;rport\r\nMax-Forwards: 70\r\nFrom: <sip:+3460%07d@192.0.2.1>;tag=c%d\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:caller@192.0.2.1:5060>\r\n%s",
		method, target, branch, c.number, c.number, c.number, to, c.id(), cseq, method, rest)
}

// place begins a call.
func (c *caller) place(number int, f fate) *callerCall {
	k := &callerCall{fate: f, number: number, ended: make(chan struct{})}
	c.calls.Store(k.id(), k)
	body := withSDP("192.0.2.1", "sendrecv")
	if f.name == "bad-offer" {
		body = "Content-Type: application/sdp\r\nContent-Length: 12\r\n\r\nv=0\r\nm=not\r\n"
	}
	c.send(k.request("INVITE", "i", 1, body))
	return k
}

func (c *caller) receive(m text) {
	v, ok := c.calls.Load(m.header("Call-ID"))
	if !ok {
		if m.status() == 0 && m.method() != "ACK" {
			c.send(m.reply("481 No Such Call", "c", ""))
		}
		return
	}
	k := v.(*callerCall)
	switch {
	case m.method() == "BYE" && m.status() == 0:
		c.send(m.reply("200 OK", "", ""))
		k.end()
	case m.status() == 0:
		c.send(m.reply("200 OK", "", ""))
	case m.method() == "INVITE" && strings.HasPrefix(m.header("CSeq"), "1 "):
		c.answered(k, m)
	case m.method() == "INVITE" && m.status() >= 200: // the hold
		branch := "h"
		if m.status() < 300 {
			branch = "ha"
		}
		c.send(k.request("ACK", branch, 2, ""))
		c.send(k.request("BYE", "b", 3, ""))
	case m.method() == "BYE" && k.fate.name != "early-bye":
		k.end()
	}
}

// answered takes a response to the first INVITE.
func (c *caller) answered(k *callerCall, m text) {
	code := m.status()
	cancel := func() {
		if !k.cancel {
			k.cancel = true
			c.send(k.request("CANCEL", "i", 1, ""))
		}
	}
	switch {
	case code == 100:
		if k.fate.name == "cancel-at-100" {
			cancel()
		}
	case code < 200:
		switch k.fate.name {
		case "cancel-at-180", "cancel-crosses-200":
			cancel()
		case "early-bye":
			if !k.cancel {
				k.cancel = true
				k.target, k.to = m.contact(), m.header("To")
				bye := k.request("BYE", "b", 2, "")
				k.target, k.to = "", ""
				c.send(bye)
			}
		}
	case code >= 300:
		k.final.Store(int32(code))
		k.to = m.header("To")
		c.send(k.request("ACK", "i", 1, ""))
		k.end()
	case k.fate.name == "no-ack":
		k.final.Store(int32(code)) // the door gives up and says BYE
	default:
		if k.answered { // a repeat
			c.send(k.request("ACK", "a", 1, ""))
			return
		}
		if k.fate.name == "cancel-after-200" {
			cancel()
		}
		k.final.Store(int32(code))
		k.answered, k.target, k.to = true, m.contact(), m.header("To")
		c.send(k.request("ACK", "a", 1, ""))
		switch k.fate.name {
		case "pbx-hangs-up":
		case "hold":
			c.send(k.request("INVITE", "h", 2, withSDP("192.0.2.1", "sendonly")))
		default:
			bye := k.request("BYE", "b", 2, "")
			time.AfterFunc(time.Duration(k.number%20)*time.Millisecond, func() { c.send(bye) })
		}
	}
}
