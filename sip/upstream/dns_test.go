package upstream

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/zap"
)

// zone is a real name server with a zone file's records, over UDP and
// TCP. Queries for a name in broken are answered with that code, or not at all
// if it is negative.
type zone struct {
	mu      sync.Mutex
	records []dns.RR
	broken  map[string]int // "NAPTR pbx.example." or "pbx.example."
	cut     bool           // answers over UDP are truncated
	asked   []string
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	question := q.Question[0]
	name, kind := strings.ToLower(question.Name), dns.TypeToString[question.Qtype]
	z.asked = append(z.asked, kind+" "+name)
	m := new(dns.Msg)
	m.SetReply(q)
	for _, key := range []string{name, kind + " " + name} {
		if code, ok := z.broken[key]; ok {
			if code < 0 {
				return
			}
			m.Rcode = code
			_ = w.WriteMsg(m)
			return
		}
	}
	if _, udp := w.RemoteAddr().(interface{ AddrPort() netip.AddrPort }); udp && z.cut && w.RemoteAddr().Network() == "udp" {
		m.Truncated = true
		_ = w.WriteMsg(m)
		return
	}
	found := false
	for _, rr := range z.records {
		h := rr.Header()
		if h.Name != name {
			continue
		}
		found = true
		if c, ok := rr.(*dns.CNAME); ok { // a server that recurses follows it
			m.Answer = append(m.Answer, rr)
			name = c.Target
			continue
		}
		if h.Rrtype == question.Qtype {
			m.Answer = append(m.Answer, rr)
		}
	}
	if !found {
		m.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(m)
}

// serve opens the server at an address of loopback and returns it.
func (z *zone) serve(t *testing.T, text string) string {
	t.Helper()
	p := dns.NewZoneParser(strings.NewReader(text), ".", "test")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		z.records = append(z.records, rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	if z.broken == nil {
		z.broken = map[string]int{}
	}
	started := make(chan struct{}, 2)
	udp := &dns.Server{Addr: "127.0.82.53:0", Net: "udp", Handler: z, NotifyStartedFunc: func() { started <- struct{}{} }}
	go func() {
		if err := udp.ListenAndServe(); err != nil {
			t.Errorf("the name server: %v", err)
		}
	}()
	<-started
	addr := udp.PacketConn.LocalAddr().String()
	tcp := &dns.Server{Addr: addr, Net: "tcp", Handler: z, NotifyStartedFunc: func() { started <- struct{}{} }}
	go func() {
		if err := tcp.ListenAndServe(); err != nil {
			t.Errorf("the name server: %v", err)
		}
	}()
	<-started
	t.Cleanup(func() { _ = udp.Shutdown(); _ = tcp.Shutdown() })
	return addr
}

func (z *zone) questions() string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return strings.Join(z.asked, ", ")
}

func (z *zone) breaks(key string, code int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.broken[key] = code
}

const example = `
pbx.example.            300 IN NAPTR 20 10 "s" "SIP+D2U" "" _sip._udp.pbx.example.
pbx.example.            300 IN NAPTR 10 20 "s" "SIPS+D2T" "" _sips._tcp.pbx.example.
pbx.example.            300 IN NAPTR 10 30 "s" "SIP+D2T" "" _sip._tcp.pbx.example.
pbx.example.            300 IN NAPTR 5 5 "u" "E2U+sip" "!^.*$!sip:x@pbx.example!" .
_sip._udp.pbx.example.  300 IN SRV 10 60 5060 a.pbx.example.
_sip._tcp.pbx.example.  60 IN SRV 20 0 5062 b.pbx.example.
_sip._tcp.pbx.example.  60 IN SRV 10 60 5061 a.pbx.example.
_sips._tcp.pbx.example. 300 IN SRV 1 1 5071 a.pbx.example.
a.pbx.example.          30 IN A 192.0.2.1
b.pbx.example.          300 IN A 192.0.2.2
b.pbx.example.          300 IN A 192.0.2.3
b.pbx.example.          300 IN AAAA 2001:db8::2
pbx.example.            300 IN A 192.0.2.99
srv.example.            300 IN A 192.0.2.98
_sip._tcp.srv.example.  300 IN SRV 1 1 5080 a.pbx.example.
alias.example.          7 IN CNAME plain.example.
plain.example.          40 IN A 192.0.2.7
closed.example.         300 IN A 192.0.2.8
_sip._udp.closed.example. 300 IN SRV 0 0 0 .
half.example.           300 IN A 192.0.2.9
_sip._udp.half.example. 300 IN SRV 1 1 5060 gone.example.
_sip._udp.half.example. 300 IN SRV 2 1 5060 a.pbx.example.
other.example.          300 IN NAPTR 10 10 "s" "SIP+D2W" "" _sip._ws.other.example.
other.example.          300 IN A 192.0.2.6
`

// RFC 3263 section 4, question by question. Addresses are followed by
// (priority weight) when they come from SRV.
func TestLocate(t *testing.T) {
	udpTCP, all := []string{"UDP", "TCP"}, []string{"UDP", "TCP", "TLS"}
	for _, c := range []struct {
		name       string
		uri        string
		transports []string
		want       string
		ttl        int // s
		asked      string
	}{
		{"NAPTR: the best that the door can do", "sip:pbx.example", udpTCP,
			"tcp:192.0.2.1:5061(10 60) tcp:192.0.2.2:5062(20 0) tcp:192.0.2.3:5062(20 0)", 30,
			"NAPTR pbx.example., SRV _sip._tcp.pbx.example., A b.pbx.example., A a.pbx.example."},
		{"NAPTR: TLS when the door has it", "sip:pbx.example", all, "tls:192.0.2.1:5071(1 1)", 30, ""},
		{"NAPTR: UDP when it has nothing else", "sip:pbx.example", []string{"UDP"}, "udp:192.0.2.1:5060(10 60)", 30, ""},
		{"sips takes nothing but TLS", "sips:pbx.example", all, "tls:192.0.2.1:5071(1 1)", 30, ""},
		{"a transport: no NAPTR", "sip:pbx.example;transport=udp", udpTCP, "udp:192.0.2.1:5060(10 60)", 30,
			"SRV _sip._udp.pbx.example., A a.pbx.example."},
		{"a port: neither NAPTR nor SRV", "sip:pbx.example:5099", udpTCP, "udp:192.0.2.99:5099", 300, "A pbx.example."},
		{"a port and a transport", "sip:pbx.example:5099;transport=tcp", udpTCP, "tcp:192.0.2.99:5099", 300, "A pbx.example."},
		{"a port on sips", "sips:pbx.example:5099", all, "tls:192.0.2.99:5099", 300, "A pbx.example."},
		{"no NAPTR: SRV of each transport in turn", "sip:srv.example", udpTCP, "tcp:192.0.2.1:5080(1 1)", 30,
			"NAPTR srv.example., SRV _sip._udp.srv.example., SRV _sip._tcp.srv.example., A a.pbx.example."},
		{"neither NAPTR nor SRV", "sip:plain.example", udpTCP, "udp:192.0.2.7:5060", 40,
			"NAPTR plain.example., SRV _sip._udp.plain.example., SRV _sip._tcp.plain.example., A plain.example."},
		{"a transport without SRV", "sip:plain.example;transport=tcp", udpTCP, "tcp:192.0.2.7:5060", 40, ""},
		{"an alias: the shorter TTL", "sip:alias.example:5060", udpTCP, "udp:192.0.2.7:5060", 7, ""},
		{"SRV says there is no such service", "sip:closed.example;transport=udp", udpTCP, "udp:192.0.2.8:5060", 300, ""},
		{"SRV with a host that has no address", "sip:half.example;transport=udp", udpTCP, "udp:192.0.2.1:5060(2 1)", 30, ""},
		{"NAPTR for what the door cannot do", "sip:other.example", udpTCP, "udp:192.0.2.6:5060", 300, ""},
		{"no such name", "sip:nowhere.example", udpTCP, `"nowhere.example" has no address`, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := &zone{}
			deps := Deps{Log: zap.NewNop(), Transports: c.transports, IPv4: true}
			got, ttl := resolveBy(newDNS(DNS{Servers: []string{z.serve(t, example)}}, deps), c.uri, c.transports)
			if got != c.want || ttl != time.Duration(c.ttl)*time.Second {
				t.Errorf("%s, %v\nwant %s, %d s", got, ttl, c.want, c.ttl)
			}
			if asked := z.questions(); c.asked != "" && asked != c.asked {
				t.Errorf("asked %s\nwant  %s", asked, c.asked)
			}
		})
	}
}

func resolveBy(r Resolver, uri string, transports []string) (string, time.Duration) {
	p, err := parsePlace(uri, transports)
	if err != nil {
		return err.Error(), 0
	}
	found, ttl, err := r.Resolve(context.Background(), p.uri.Scheme, p.host, p.port, p.transport)
	if err != nil {
		return err.Error(), 0
	}
	var out []string
	for _, a := range found {
		s := a.String()
		if a.priority+a.weight > 0 {
			s += fmt.Sprintf("(%d %d)", a.priority, a.weight)
		}
		out = append(out, s)
	}
	return strings.Join(out, " "), ttl
}

// What goes wrong in DNS, and what is made of it.
func TestBrokenDNS(t *testing.T) {
	const silent = -1
	for _, c := range []struct {
		name   string
		uri    string
		broken map[string]int
		cut    bool
		ipv6   bool
		want   string
	}{
		{"SERVFAIL of SRV is no answer: an address record would be the wrong place", "sip:pbx.example;transport=udp",
			map[string]int{"SRV _sip._udp.pbx.example.": dns.RcodeServerFailure}, false, false, "SRV of _sip._udp.pbx.example.: 127.0.82.53:* says SERVFAIL"},
		{"silence is none either", "sip:plain.example:5060", map[string]int{"plain.example.": silent}, false, false, "A of plain.example.: *i/o timeout"},
		{"SERVFAIL of NAPTR neither", "sip:pbx.example", map[string]int{"NAPTR pbx.example.": dns.RcodeServerFailure}, false, false, "NAPTR of pbx.example.: * says SERVFAIL"},
		{"a server that knows no NAPTR", "sip:srv.example", map[string]int{"NAPTR srv.example.": dns.RcodeNotImplemented}, false, false, "tcp:192.0.2.1:5080(1 1)"},
		{"a server that refuses NAPTR", "sip:srv.example", map[string]int{"NAPTR srv.example.": dns.RcodeRefused}, false, false, "tcp:192.0.2.1:5080(1 1)"},
		{"one family fails", "sip:b.pbx.example:5060", map[string]int{"AAAA b.pbx.example.": dns.RcodeServerFailure}, false, true, "udp:192.0.2.2:5060 udp:192.0.2.3:5060"},
		{"both families", "sip:b.pbx.example:5060", nil, false, true, "udp:192.0.2.2:5060 udp:192.0.2.3:5060 udp:[2001:db8::2]:5060"},
		{"an answer that is cut is asked for by TCP", "sip:pbx.example;transport=udp", nil, true, false, "udp:192.0.2.1:5060(10 60)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			z := &zone{broken: c.broken, cut: c.cut}
			deps := Deps{Log: zap.NewNop(), Transports: []string{"UDP", "TCP"}, IPv4: true, IPv6: c.ipv6}
			got, _ := resolveBy(newDNS(DNS{Servers: []string{z.serve(t, example)}}, deps), c.uri, deps.Transports)
			if !like(c.want, got) {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
	t.Run("the second server answers for the first", func(t *testing.T) {
		t.Parallel()
		bad, good := &zone{broken: map[string]int{"plain.example.": dns.RcodeServerFailure}}, &zone{}
		deps := Deps{Log: zap.NewNop(), Transports: []string{"UDP"}, IPv4: true}
		r := newDNS(DNS{Servers: []string{bad.serve(t, example), good.serve(t, example)}}, deps)
		if got, _ := resolveBy(r, "sip:plain.example:5060", deps.Transports); got != "udp:192.0.2.7:5060" {
			t.Error(got)
		}
	})
	t.Run("the hosts file goes first", func(t *testing.T) {
		t.Parallel()
		z := &zone{}
		deps := Deps{Log: zap.NewNop(), Transports: []string{"UDP"}, IPv4: true}
		if got, _ := resolveBy(newDNS(DNS{Servers: []string{z.serve(t, "")}}, deps), "sip:localhost", deps.Transports); got != "udp:127.0.0.1:5060" || z.questions() != "" {
			t.Errorf("%s, asked %s", got, z.questions())
		}
	})
}

// like compares with a pattern in which * stands for anything.
func like(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	for _, part := range parts {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return s == "" || strings.HasSuffix(pattern, "*")
}

// The pool over a real name server: answers are kept for their TTL, and for as
// long as DNS fails.
func TestPoolAsksDNS(t *testing.T) {
	z := &zone{}
	addr := z.serve(t, "pbx.example. 1 IN A 192.0.2.1\n")
	cfg := Defaults()
	cfg.DNS.Servers = []string{addr}
	p, err := New(cfg, map[string][]Target{"agents": {{URI: "sip:pbx.example:5060"}}}, Deps{Log: zap.NewNop(), Transports: []string{"UDP"}, IPv4: true})
	if err != nil {
		t.Fatal(err)
	}
	p.Resolve(context.Background())
	is := func(want string) bool {
		a, err := p.Pick("agents", Options{}, time.Now())
		if err != nil {
			return false
		}
		a.Done()
		return a.Address.String() == want
	}
	if !is("udp:192.0.2.1:5060") {
		t.Fatalf("%+v", p.Status(time.Now()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { p.Run(ctx, &pinger{}); close(done) }()
	defer func() { cancel(); <-done }()

	z.mu.Lock()
	z.records[0].(*dns.A).A[len(z.records[0].(*dns.A).A)-1] = 2 // 192.0.2.2
	z.mu.Unlock()
	for end := time.Now().Add(10 * time.Second); !is("udp:192.0.2.2:5060"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the change is never seen: %+v", p.Status(time.Now()))
		}
	}
	if !p.Knows(netip.MustParseAddr("192.0.2.2")) {
		t.Error("the new address is a stranger's")
	}
	z.breaks("pbx.example.", dns.RcodeServerFailure)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		failed := p.names[0].failed
		p.mu.Unlock()
		if failed {
			break
		}
		if time.Now().After(end) {
			t.Fatal("DNS never failed")
		}
	}
	if !is("udp:192.0.2.2:5060") {
		t.Errorf("when DNS fails the call has nowhere to go: %+v", p.Status(time.Now()))
	}
}
