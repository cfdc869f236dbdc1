package scenario

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// An agent is one user agent of a scenario.
type agent struct {
	builder
	conn   net.PacketConn
	door   netip.AddrPort
	others map[netip.Addr]string // media addresses that must not be shown to it

	arrived chan struct{}
	done    chan struct{}

	mu       sync.Mutex
	received int                // messages
	calls    map[string]*dialog // by the label in the script
	ids      map[string]*dialog // by Call-ID
	seen     map[string]bool    // messages, to know repeats
	fresh    []*arrival         // what no step has taken yet, in order
	repeats  []*arrival
	trying   []*arrival // 100s, which a script need not mention
	acks     []*arrival // ACKs of non-2xx, the same
	faults   []error    // broken rules
	media    string     // address in the last session description that came
	pings    int        // the status of the answer to OPTIONS of the door, or ignored; 0: the script mentions them
}

// An arrival is a message that an agent received.
type arrival struct {
	*message
	dialog *dialog
}

// newAgent takes its address. If it is pinged, pings are lost until the script
// says what becomes of them.
func newAgent(n *Network, name string, addr, door netip.AddrPort, pinged bool) (*agent, error) {
	c, err := n.Listen(addr)
	if err != nil {
		return nil, err
	}
	a := &agent{builder: builder{name: name, addr: addr}, conn: c, door: door, arrived: make(chan struct{}, 1), done: make(chan struct{}),
		calls: map[string]*dialog{}, ids: map[string]*dialog{}, seen: map[string]bool{}}
	if pinged {
		a.pings = ignored
	}
	go a.listen()
	return a, nil
}

func (a *agent) close() {
	a.conn.Close()
	<-a.done
}

func (a *agent) listen() {
	defer close(a.done)
	buf := make([]byte, 64<<10)
	for {
		n, _, err := a.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		a.mu.Lock()
		if err := a.receive(buf[:n]); err != nil {
			a.faults = append(a.faults, fmt.Errorf("%s received what breaks a rule: %w\n%s", a.name, err, indent(string(buf[:n]))))
		}
		a.mu.Unlock()
		select {
		case a.arrived <- struct{}{}:
		default:
		}
	}
}

// receive sorts one datagram into what is new, what is a repeat, and what needs
// no mention.
func (a *agent) receive(data []byte) error {
	m, err := parse(data)
	if err == nil {
		err = lint(m)
	}
	if err == nil {
		err = lintMedia(m, a.others)
	}
	if err != nil {
		return err
	}
	a.received++
	m.number = a.received
	if at := mediaAddress(m.body); at != "" {
		a.media = at
	}
	if m.code() > 0 {
		return a.receiveResponse(m)
	}
	return a.receiveRequest(m)
}

func (a *agent) receiveResponse(m *message) error {
	d := a.ids[m.get("Call-ID")]
	if d == nil {
		return fmt.Errorf("a response in a call that is not here: Call-ID %s", m.get("Call-ID"))
	}
	if err := d.lintResponse(m); err != nil {
		return err
	}
	if m.code() == 100 {
		a.trying = append(a.trying, &arrival{m, d})
		return nil
	}
	key := fmt.Sprint(m.code(), m.all("Via")[0], m.get("CSeq"), m.get("To"), m.get("RSeq"))
	if m.method() == "INVITE" && m.code() >= 300 {
		a.write(ack(d.branches[parameter(m.all("Via")[0], "branch")], m).bytes())
	}
	if a.seen[key] && (m.code() >= 200 || reliable(m)) { // a provisional response may well come twice
		a.repeats = append(a.repeats, &arrival{m, d})
		return nil
	}
	a.seen[key] = true
	if err := d.lintOrigin(m); err != nil {
		return err
	}
	if err := d.lintReliable(m); err != nil {
		return err
	}
	d.noteTimer(m)
	d.learn(m)
	a.fresh = append(a.fresh, &arrival{m, d})
	return nil
}

func (a *agent) receiveRequest(m *message) error {
	branch := parameter(m.all("Via")[0], "branch")
	if m.method() == "OPTIONS" && a.pings != 0 && parameter(m.get("To"), "tag") == "" {
		return a.pong(m)
	}
	key := fmt.Sprint(m.method(), branch, m.get("CSeq"))
	d := a.ids[m.get("Call-ID")]
	if m.method() == "ACK" {
		if d != nil && d.finals[branch] != "" {
			a.acks = append(a.acks, &arrival{m, d})
			delete(d.finals, branch)
			return lintCancel(m, d.branches[branch])
		}
		key = fmt.Sprint("ACK", m.get("Call-ID"), m.get("To"), m.get("CSeq")) // of a 2xx: by the dialog
	}
	if a.seen[key] {
		a.repeats = append(a.repeats, &arrival{m, d})
		return nil
	}
	a.seen[key] = true
	if d == nil {
		d = newDialog(m.get("Call-ID"))
		d.tag = a.unique("t")
		d.self, d.peer = untagged(m.get("To")), untagged(m.get("From"))
		a.ids[d.id] = d
	} else if err := d.lintInDialog(m); err != nil {
		return err
	}
	if err := d.lintSessionRequest(m); err != nil {
		return err
	}
	if err := d.lintOrigin(m); err != nil {
		return err
	}
	switch m.method() {
	case "CANCEL":
		if invite := d.branches[branch]; invite == nil {
			return fmt.Errorf("a CANCEL with branch %s, which no INVITE had (section 9.1)", branch)
		} else if err := lintCancel(m, invite); err != nil {
			return err
		}
	case "ACK":
		if invite := d.got["INVITE"]; invite != nil && invite.seq() != m.seq() {
			return fmt.Errorf("the CSeq of the ACK is %d, the INVITE's %d (section 13.2.2.4)", m.seq(), invite.seq())
		}
		if err := lintAnswer(d.made, m.body); err != nil {
			return err
		}
	case "PRACK":
		if err := d.lintPrack(m); err != nil {
			return err
		}
		fallthrough
	default:
		d.branches[branch] = m
		d.peerSeq[parameter(m.get("To"), "tag")] = m.seq()
	}
	d.learn(m)
	a.fresh = append(a.fresh, &arrival{m, d})
	return nil
}

// ignored stands for the status of an answer that is not given.
const ignored = -1

// pong answers an OPTIONS that the script does not mention.
func (a *agent) pong(m *message) error {
	if a.pings == ignored {
		return nil
	}
	d := newDialog(m.get("Call-ID"))
	d.tag = a.unique("t")
	d.self, d.peer = untagged(m.get("To")), untagged(m.get("From"))
	d.got["OPTIONS"] = m
	res, err := a.response(d, "", what{code: a.pings, method: "OPTIONS"})
	if err == nil {
		a.write(res.bytes())
	}
	return err
}

func (a *agent) write(b []byte) {
	_, _ = a.conn.WriteTo(b, netUDP(a.door)) // the network in memory loses nothing
}

// send sends the message of a step.
func (a *agent) send(s step) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.calls[s.who.call]
	if d == nil {
		if s.what.code > 0 {
			return fmt.Errorf("%s has taken no request in this call yet", s.who.agent)
		}
		d = newDialog(a.unique("c") + "@" + a.addr.Addr().String())
		d.bound = true
		a.calls[s.who.call] = d
	}
	m, err := a.message(d, s)
	if err != nil {
		return err
	}
	if !s.what.again {
		d.noteSent(m, s.who.fork)
		a.ids[d.id] = d
	}
	a.write(m.bytes())
	return nil
}

// message makes the message of a step, or finds it for again.
func (a *agent) message(d *dialog, s step) (*message, error) {
	w := s.what
	switch {
	case w.again && w.code > 0:
		if m := d.answers[answerKey(w.code, w.method, s.who.fork)]; m != nil {
			return m, nil
		}
		return nil, fmt.Errorf("no %d was sent that could be sent again", w.code)
	case w.again:
		if m := d.sent[w.method]; m != nil {
			return m, nil
		}
		return nil, fmt.Errorf("no %s was sent that could be sent again", w.method)
	case w.code > 0:
		return a.response(d, s.who.fork, w)
	}
	return a.request(d, s.who.fork, w), nil
}

// take looks whether what a step expects is there, and takes it. It gives
// found false with a reason when something else stands first, and found false
// without one when nothing has come yet.
func (a *agent) take(s step, keep bool) (found bool, reason error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.faults) > 0 {
		return false, a.faults[0]
	}
	queue, ordered := &a.fresh, true
	switch w := s.what; {
	case w.again:
		queue, ordered = &a.repeats, false
	case w.code == 100:
		queue, ordered = &a.trying, false
	case w.method == "ACK" && len(a.acks) > 0:
		queue, ordered = &a.acks, false
	}
	for i, m := range *queue {
		err := a.match(m, s)
		if err == nil {
			if !keep {
				*queue = slices.Delete(*queue, i, i+1)
				a.taken(m, s)
			}
			return true, nil
		}
		if ordered {
			return false, fmt.Errorf("%w\n%s", err, indent(string(m.bytes())))
		}
	}
	return false, nil
}

// taken notes a message that a step took.
func (a *agent) taken(m *arrival, s step) {
	d := m.dialog
	d.bound = true
	a.calls[s.who.call] = d
	if s.what.in != "" {
		d.names[s.what.in] = m.peerTag()
	}
	if m.code() == 0 {
		d.got[m.method()] = m.message
		if m.method() != "ACK" && !s.what.again {
			d.open = append(d.open, m.message)
		}
	}
}
