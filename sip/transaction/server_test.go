package transaction

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

func (b *bench) respond(tx *Server, status int) error {
	b.mu.Lock()
	var req *sipmsg.Request
	for i, s := range b.servers {
		if s == tx {
			req = b.requests[i].Req
		}
	}
	b.mu.Unlock()
	return tx.Respond(sipmsg.NewResponseFromRequest(req, status, "X", nil))
}

// take has a peer send a request and waits for its transaction.
func (b *bench) take(data string) *Server {
	b.t.Helper()
	n, _ := b.got()
	b.say(there, data)
	b.until("the request", func() bool { m, _ := b.got(); return m == n+1 })
	_, tx := b.got()
	return tx
}

// The server's machines: RFC 3261 figures 7 and 8, RFC 6026 section 7.1.
func TestServer(t *testing.T) {
	const branch = "z9hG4bKs"
	for _, c := range []struct {
		name   string
		method string
		steps  string // numbers: responses; again: the request; ack: the ACK
		sent   string // the statuses that went out, but for those of timer G
		users  int    // requests that the user saw
		lasts  bool   // it is still there a moment later
	}{
		{"INVITE: a repeat gets the last provisional", "INVITE", "100 again 180 again", "100 100 180 180", 1, true},
		{"INVITE: nothing was sent, nothing is repeated", "INVITE", "again 180", "180", 1, true},
		{"INVITE accepted: repeats are absorbed", "INVITE", "200 again again", "200", 1, true},
		{"INVITE accepted: its user repeats the 2xx", "INVITE", "200 200 200", "200 200 200", 1, true},
		{"INVITE accepted: the ACK is the user's", "INVITE", "200 ack ack", "200", 3, true},
		{"INVITE accepted: no refusal after it", "INVITE", "200 486", "200", 1, true},
		{"INVITE refused: the ACK is absorbed", "INVITE", "486 ack ack again", "486", 1, true},
		{"other: a repeat gets the response", "OPTIONS", "200 again again", "200 200 200", 1, true},
		{"other: no second response", "OPTIONS", "404 200 again", "404 404", 1, true},
		{"other: a provisional is repeated", "OPTIONS", "183 again 200", "183 183 200", 1, true},
		{"an ACK of nobody is the user's", "ACK", "", "", 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			tx := b.take(text(c.method, "192.0.2.9", branch))
			for step := range strings.FieldsSeq(c.steps) {
				switch step {
				case "again":
					b.say(there, text(c.method, "192.0.2.9", branch))
					b.settle()
				case "ack":
					b.say(there, text("ACK", "192.0.2.9", branch))
					b.settle()
				case "100", "180", "183", "200", "404", "486":
					n := int(step[0]-'0')*100 + int(step[1]-'0')*10 + int(step[2]-'0')
					if err := b.respond(tx, n); err != nil && !errors.Is(err, ErrEnded) {
						t.Fatal(err)
					}
				}
			}
			b.until("what the user sees", func() bool { n, _ := b.got(); return n >= c.users })
			if s, _ := b.Count(); (s == 1) != c.lasts {
				t.Errorf("%d transactions", s)
			}
			if strings.Contains(c.steps, "200") || strings.Contains(c.steps, "4") { // else it waits for its user
				b.gone()
			}
			var got []string
			for _, d := range b.wire.sent("SIP/2.0") {
				status := d.data[8:11]
				if status == "486" && len(got) > 0 && got[len(got)-1] == "486" {
					continue // timer G
				}
				got = append(got, status)
			}
			if strings.Join(got, " ") != c.sent {
				t.Errorf("sent %q, want %q", strings.Join(got, " "), c.sent)
			}
			if n, _ := b.got(); n != c.users {
				t.Errorf("the user saw %d requests, want %d", n, c.users)
			}
		})
	}
}

// A refusal is sent again until its ACK or timer H (RFC 3261 section 17.2.1).
func TestServerRefuses(t *testing.T) {
	b := newBench(t)
	tx := b.take(text("INVITE", "192.0.2.9", "z9hG4bKs"))
	if err := b.respond(tx, 486); err != nil {
		t.Fatal(err)
	}
	b.gone() // timer H
	// Timer G doubles up to T2: about 17 in 640 ms.
	if n := len(b.wire.sent("SIP/2.0 486")); n < 8 || n > 18 {
		t.Errorf("without an ACK it was sent %d times, want about 17", n)
	}

	tx = b.take(text("INVITE", "192.0.2.9", "z9hG4bKt"))
	before := len(b.wire.sent("SIP/2.0 486"))
	if err := b.respond(tx, 486); err != nil {
		t.Fatal(err)
	}
	b.say(there, text("ACK", "192.0.2.9", "z9hG4bKt"))
	b.until("confirmed", func() bool {
		tx.mu.Lock()
		defer tx.mu.Unlock()
		return tx.state == confirmed || tx.state == terminated
	})
	n := len(b.wire.sent("SIP/2.0 486")) - before
	b.gone() // timer I
	if m := len(b.wire.sent("SIP/2.0 486")) - before; m > n+1 {
		t.Errorf("it was sent %d times more after its ACK", m-n)
	}
}

// A CANCEL finds its INVITE, is answered 200 with the INVITE's tag, and its user
// hears of it once; after a final response it changes nothing (RFC 3261 section
// 9.2).
func TestServerCancel(t *testing.T) {
	for _, c := range []struct {
		name           string
		sentBy, branch string
		from           netip.AddrPort
		first          int // response before the CANCEL
		status         string
		heard          int
	}{
		{"while it rings", "192.0.2.9", "z9hG4bKs", there, 180, "200", 1},
		{"twice", "192.0.2.9", "z9hG4bKs", there, 180, "200", 1},
		{"after a refusal", "192.0.2.9", "z9hG4bKs", there, 486, "200", 0},
		{"after a 2xx", "192.0.2.9", "z9hG4bKs", there, 200, "200", 0},
		{"another port in sent-by", "192.0.2.9:1024", "z9hG4bKs", there, 180, "200", 1},
		{"another host in sent-by", "10.0.0.9:5060", "z9hG4bKs", there, 180, "200", 1},
		{"another branch", "192.0.2.9", "z9hG4bKx", there, 180, "481", 0},
		{"another host, from elsewhere", "192.0.2.10", "z9hG4bKs", netip.MustParseAddrPort("192.0.2.10:5060"), 180, "481", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			tx := b.take(text("INVITE", "192.0.2.9", "z9hG4bKs"))
			tx.SetTag("ours")
			heard := make(chan struct{}, 9)
			tx.OnCancel(func(*sipmsg.Request) { heard <- struct{}{} })
			if err := b.respond(tx, c.first); err != nil {
				t.Fatal(err)
			}
			n := 1
			if c.name == "twice" {
				n = 2
			}
			for range n {
				b.say(c.from, text("CANCEL", c.sentBy, c.branch))
			}
			answers := func() (out []string) {
				for _, d := range b.wire.sent("SIP/2.0") {
					if strings.Contains(d.data, "CSeq: 1 CANCEL") {
						out = append(out, d.data)
					}
				}
				return out
			}
			b.until("the answer to CANCEL", func() bool { return len(answers()) >= n })
			if got := answers()[0]; got[8:11] != c.status || c.status == "200" && !strings.Contains(got, ";tag=ours") {
				t.Errorf("answered\n%s", got)
			}
			b.until("OnCancel", func() bool { return len(heard) >= c.heard })
			if len(heard) != c.heard {
				t.Errorf("the user heard of it %d times, want %d", len(heard), c.heard)
			}
			if users, _ := b.got(); users != 1 {
				t.Errorf("the user got %d requests", users)
			}
		})
	}
}

// A CANCEL that came before its INVITE's user was ready is told at once when it is.
func TestServerCancelEarly(t *testing.T) {
	b := newBench(t)
	tx := b.take(text("INVITE", "192.0.2.9", "z9hG4bKs"))
	b.say(there, text("CANCEL", "192.0.2.9", "z9hG4bKs"))
	b.until("the answer", func() bool { return len(b.wire.sent("SIP/2.0 200")) > 0 })
	n := 0
	b.until("the CANCEL to be known", func() bool { tx.mu.Lock(); defer tx.mu.Unlock(); return tx.cancel != nil })
	tx.OnCancel(func(*sipmsg.Request) { n++ })
	if n != 1 {
		t.Errorf("told %d times", n)
	}
	if err := b.respond(tx, 487); err != nil {
		t.Fatal(err)
	}
}

// The ACK of a refusal whose sent-by has changed on its way still ends it.
func TestServerRenamedACK(t *testing.T) {
	b := newBench(t)
	tx := b.take(text("INVITE", "192.0.2.9", "z9hG4bKs"))
	if err := b.respond(tx, 486); err != nil {
		t.Fatal(err)
	}
	b.say(there, text("ACK", "10.0.0.9:1024", "z9hG4bKs"))
	b.until("confirmed", func() bool { tx.mu.Lock(); defer tx.mu.Unlock(); return tx.state >= confirmed })
	if n, _ := b.got(); n != 1 {
		t.Errorf("the user got %d requests", n)
	}
}

// Without the magic cookie, transactions are told by what RFC 2543 has: Call-ID,
// From tag, CSeq, Request-URI and the Via (RFC 3261 section 17.2.3).
func TestServerRFC2543(t *testing.T) {
	b := newBench(t)
	b.take(text("INVITE", "192.0.2.9", "1"))
	b.say(there, text("INVITE", "192.0.2.9", "1")) // a repeat
	other := strings.Replace(text("INVITE", "192.0.2.9", "1"), "Call-ID: c1", "Call-ID: c2", 1)
	tx := b.take(other)
	if n, _ := b.got(); n != 2 {
		t.Fatalf("the user got %d requests, want 2", n)
	}
	if err := b.respond(tx, 486); err != nil {
		t.Fatal(err)
	}
	b.say(there, strings.Replace(strings.Replace(text("ACK", "192.0.2.9", "1"), "Call-ID: c1", "Call-ID: c2", 1), "To: <sip:a@x>", "To: <sip:a@x>;tag=z", 1))
	b.until("confirmed", func() bool { tx.mu.Lock(); defer tx.mu.Unlock(); return tx.state >= confirmed })
}

// A request that nobody answers is forgotten after timer F (RFC 4320 section 4.1).
func TestServerForgets(t *testing.T) {
	b := newBench(t)
	b.take(text("OPTIONS", "192.0.2.9", "z9hG4bKs"))
	b.gone()
}

// Where responses go: RFC 3261 section 18.2.2, RFC 3581 section 4.
func TestReplyTo(t *testing.T) {
	from := netip.MustParseAddrPort("192.0.2.9:40000")
	for _, c := range []struct{ name, sentBy, params, to, has string }{
		{"sent-by's port", "192.0.2.9:5070", "", "192.0.2.9:5070", "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKs\r\n"},
		{"no port", "192.0.2.9", "", "192.0.2.9:5060", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKs\r\n"},
		{"another host", "10.0.0.9:5070", "", "192.0.2.9:5070", ";received=192.0.2.9"},
		{"a name", "pbx.example.com", "", "192.0.2.9:5060", ";received=192.0.2.9"},
		{"rport", "192.0.2.9:5070", ";rport", "192.0.2.9:40000", ";rport=40000;received=192.0.2.9"},
		{"rport with a value of its own", "192.0.2.9:5070", ";rport=9", "192.0.2.9:40000", ";rport=9"},
		{"received of its own", "10.0.0.9:5070", ";received=203.0.113.66", "192.0.2.9:5070", ";received=192.0.2.9"},
		{"maddr that is known", "192.0.2.9:5070", ";maddr=192.0.2.77", "192.0.2.77:5070", ";maddr=192.0.2.77"},
		{"maddr of a stranger", "192.0.2.9:5070", ";maddr=203.0.113.66", "192.0.2.9:5070", ";maddr=203.0.113.66"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.Maddr(func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.77") })
			b.serve = func(in Incoming, tx *Server) {
				_ = tx.Respond(sipmsg.NewResponseFromRequest(in.Req, 200, "OK", nil))
			}
			b.say(from, strings.Replace(text("OPTIONS", c.sentBy, "z9hG4bKs"), "branch=z9hG4bKs", "branch=z9hG4bKs"+c.params, 1))
			b.until("the response", func() bool { return len(b.wire.sent("SIP/2.0")) > 0 })
			got := b.wire.sent("SIP/2.0")[0]
			if got.peer.String() != c.to || !strings.Contains(got.data, c.has) {
				t.Errorf("sent to %s, want %s, with %s:\n%s", got.peer, c.to, c.has, got.data)
			}
		})
	}
}
