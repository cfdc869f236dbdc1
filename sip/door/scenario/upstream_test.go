package scenario_test

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/portero/portero/sip/door/scenario"
)

// The whole way of RFC 3263 with real name server and real TCP: SRV says TCP and
// two servers, the first of which nobody serves; the call is at the second before
// the caller can hear it.
func TestTargetByNameOverTCP(t *testing.T) {
	pbx, err := net.Listen("tcp", "127.0.82.12:0")
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- answerBusy(pbx) }()
	nobody, err := net.Listen("tcp", "127.0.82.11:0") // a port that is surely free
	if err != nil {
		t.Fatal(err)
	}
	port := func(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	server := nameServer(t, fmt.Sprintf(`
_sip._tcp.pbx.example. 60 IN SRV 10 0 %d first.pbx.example.
_sip._tcp.pbx.example. 60 IN SRV 20 0 %d second.pbx.example.
first.pbx.example.     60 IN A 127.0.82.11
second.pbx.example.    60 IN A 127.0.82.12
`, port(nobody), port(pbx)))

	s, err := scenario.Parse("by-name", fmt.Sprintf(`config
sip:
  listen: ["udp:198.51.100.1:5060", "tcp:127.0.82.1:0"]
  dns: {servers: ["%s"]}
  destinations:
    agents: {uri: "sip:pbx.example"}
end
caller -> INVITE sdp
caller <- 486 INVITE
record far.length = 2
record far[0].peer = tcp:127.0.82.11:*
record far[1].peer = tcp:127.0.82.12:*
record far[1].uri = sip:100@pbx.example
record far[1].code = 486
`, server))
	if err != nil {
		t.Fatal(err)
	}
	n := scenario.NewNetwork()
	d := open(t, n, s.Config)
	if err := scenario.Run(s, n, d); err != nil {
		t.Error(err)
	}
	d.close(t)
	_ = pbx.Close()
	if err := <-answered; err != nil {
		t.Errorf("the PBX: %v", err)
	}
}

// nameServer serves a zone on loopback until the test ends.
func nameServer(t *testing.T, zone string) string {
	t.Helper()
	var records []dns.RR
	p := dns.NewZoneParser(strings.NewReader(zone), ".", "test")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		records = append(records, rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", "127.0.82.53:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		for _, rr := range records {
			if rr.Header().Name == q.Question[0].Name && rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		_ = w.WriteMsg(m)
	})}
	started := make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	go func() { _ = s.ActivateAndServe() }() // ends with Shutdown
	<-started
	t.Cleanup(func() { _ = s.Shutdown() })
	return conn.LocalAddr().String()
}

// answerBusy answers each INVITE of one connection with 486, and anything else
// that wants an answer with 200 (RFC 3261 section 18.3: the stream is framed by
// Content-Length).
func answerBusy(l net.Listener) error {
	c, err := l.Accept()
	if err != nil {
		return fmt.Errorf("nobody connected: %w", err)
	}
	defer c.Close()
	for r := bufio.NewReader(c); ; {
		tp := textproto.NewReader(r)
		first, err := tp.ReadLine()
		if err != nil {
			return nil // the door has closed
		}
		if first == "" {
			continue // a keep-alive
		}
		head, err := tp.ReadMIMEHeader()
		if err != nil {
			return fmt.Errorf("after %q: %w", first, err)
		}
		length := 0
		if _, err := fmt.Sscan(head.Get("Content-Length"), &length); err != nil {
			return fmt.Errorf("%q has no Content-Length: %w", first, err)
		}
		if _, err := r.Discard(length); err != nil {
			return err
		}
		status := "200 OK"
		switch method, _, _ := strings.Cut(first, " "); method {
		case "ACK":
			continue
		case "INVITE":
			status = "486 Busy Here"
		}
		fmt.Fprintf(c, "SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s;tag=busy\r\nCall-ID: %s\r\nCSeq: %s\r\nContent-Length: 0\r\n\r\n",
			status, head.Get("Via"), head.Get("From"), head.Get("To"), head.Get("Call-ID"), head.Get("CSeq"))
	}
}
