package scenario

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The cast: every agent that a script may name, and its address.
var cast = map[string]netip.AddrPort{
	"caller":   netip.MustParseAddrPort("192.0.2.1:5060"),     // the carrier's trunk
	"pbx":      netip.MustParseAddrPort("198.51.100.10:5060"), // the destination agents
	"pbx2":     netip.MustParseAddrPort("198.51.100.11:5060"), // its second target, in scenarios that say so
	"bot":      netip.MustParseAddrPort("198.51.100.20:5060"), // the destination automation
	"stranger": netip.MustParseAddrPort("203.0.113.66:5060"),  // nobody the door knows
}

// DoorAddr is where a door listens in a scenario.
var DoorAddr = netip.MustParseAddrPort("198.51.100.1:5060")

// Address is that of an agent of the cast, for the door's configuration.
func Address(agent string) netip.AddrPort { return cast[agent] }

// A Door is what a scenario is played against.
type Door interface {
	// Calls is how many calls the door has.
	Calls() int
	// Records is a JSON list of the call records so far, the oldest first.
	Records() ([]byte, error)
	// Do carries out a line like `door move automation` without its first word.
	Do(words []string) error
}

// Run plays a script against a door that listens at DoorAddr of the network.
// The error says the line, what was expected and what came, and tells all
// messages of the scenario.
func Run(s *Script, n *Network, d Door) error {
	r := &runner{network: n, door: d, agents: map[string]*agent{}, began: time.Now()}
	defer r.close()
	for name, addr := range cast {
		pinged := slices.ContainsFunc(s.steps, func(s step) bool { return s.verb == pings && s.who.agent == name })
		a, err := newAgent(n, name, addr, DoorAddr, pinged)
		if err != nil {
			return err
		}
		r.agents[name] = a
	}
	for _, a := range r.agents {
		a.mu.Lock()
		a.others = map[netip.Addr]string{}
		for name, addr := range cast {
			if name != a.name {
				a.others[addr.Addr()] = name
			}
		}
		a.mu.Unlock()
	}
	err := r.play(s.steps)
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return fmt.Errorf("%s:%w\nthe messages:\n%s", s.File, err, r.ladder())
	}
	return nil
}

type runner struct {
	network *Network
	door    Door
	agents  map[string]*agent
	began   time.Time
}

func (r *runner) close() {
	for _, a := range r.agents {
		a.close()
	}
}

// failed is an error at a step.
func failed(s step, err error) error { return fmt.Errorf("%d: %s: %w", s.number, s.text, err) }

func (r *runner) play(steps []step) error {
	for _, s := range steps {
		if err := r.step(s); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) step(s step) error {
	a := r.agents[s.who.agent]
	if a == nil && s.verb <= pings {
		return failed(s, fmt.Errorf("there is no agent %s; the cast is caller, pbx, pbx2, bot, stranger", s.who.agent))
	}
	s, err := r.filled(s)
	if err != nil {
		return failed(s, err)
	}
	switch s.verb {
	case send:
		if s, err = r.signed(s); err == nil {
			err = a.send(s)
		}
	case expect:
		err = r.expect(a, s)
	case silent:
		err = r.silent(a, s)
	case pings:
		a.mu.Lock()
		a.pings = s.what.code
		a.mu.Unlock()
	case wait:
		time.Sleep(s.within)
	case record:
		err = r.record(s.words)
	case door:
		err = r.do(s.words)
	case unordered:
		return r.unordered(s)
	case perhaps:
		return r.perhaps(s)
	case either:
		return r.either(s)
	}
	if err != nil {
		return failed(s, err)
	}
	return nil
}

// do has the door do something. The word media(AGENT) stands for the address
// in the last session description that the agent got from the door.
func (r *runner) do(words []string) error {
	out := append([]string(nil), words...)
	for i, w := range out {
		name, ok := strings.CutPrefix(w, "media(")
		if !ok {
			continue
		}
		a := r.agents[strings.TrimSuffix(name, ")")]
		if a == nil {
			return fmt.Errorf("%s: there is no such agent", w)
		}
		a.mu.Lock()
		out[i] = a.media
		a.mu.Unlock()
		if out[i] == "" {
			return fmt.Errorf("%s: it got no session description yet", w)
		}
	}
	return r.door.Do(out)
}

var errNothing = errors.New("nothing came")

// expect waits for the message of a step, which must be the agent's next.
func (r *runner) expect(a *agent, s step) error {
	late := time.After(s.within)
	for {
		found, reason := a.take(s, false)
		if found || reason != nil {
			return reason
		}
		select {
		case <-a.arrived:
		case <-late:
			return fmt.Errorf("%w within %v", errNothing, s.within)
		}
	}
}

// silent checks that an agent gets nothing new for a while.
func (r *runner) silent(a *agent, s step) error {
	late := time.After(s.within)
	for {
		if err := a.left(); err != nil {
			return err
		}
		select {
		case <-a.arrived:
		case <-late:
			return nil
		}
	}
}

// left is an error when messages came that no step took.
func (a *agent) left() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.faults) > 0 {
		return a.faults[0]
	}
	if len(a.fresh) > 0 {
		return fmt.Errorf("%s got what no step expects:\n%s", a.name, indent(string(a.fresh[0].bytes())))
	}
	return nil
}

// unordered waits for several messages that may come in any order.
func (r *runner) unordered(s step) error {
	rest := append([]step(nil), s.inner...)
	for i := range rest {
		var err error
		if rest[i], err = r.filled(rest[i]); err != nil {
			return failed(rest[i], err)
		}
	}
	for end := time.Now().Add(expectWithin); len(rest) > 0; time.Sleep(time.Millisecond) {
		for i := 0; i < len(rest); i++ {
			a := r.agents[rest[i].who.agent]
			if a == nil {
				return failed(rest[i], fmt.Errorf("there is no agent %s", rest[i].who.agent))
			}
			if found, _ := a.take(rest[i], false); found {
				rest = append(rest[:i], rest[i+1:]...)
				i = -1 // what was behind it may be an earlier line's
			}
		}
		if len(rest) > 0 && time.Now().After(end) {
			return failed(rest[0], r.why(rest[0]))
		}
	}
	return nil
}

// why says what stands in the place of an expected message.
func (r *runner) why(s step) error {
	if _, reason := r.agents[s.who.agent].take(s, true); reason != nil {
		return reason
	}
	return errNothing
}

// perhaps plays a block if its first message comes soon.
func (r *runner) perhaps(s step) error {
	first := s.inner[0]
	a := r.agents[first.who.agent]
	if a == nil {
		return failed(first, fmt.Errorf("there is no agent %s", first.who.agent))
	}
	for end := time.Now().Add(perhapsWithin); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if found, _ := a.take(first, true); found {
			return r.play(s.inner)
		}
	}
	return nil
}

// either goes the way whose first message comes.
func (r *runner) either(s step) error {
	for end := time.Now().Add(expectWithin); ; time.Sleep(time.Millisecond) {
		for _, way := range s.choices {
			a := r.agents[way[0].who.agent]
			if a == nil {
				return failed(way[0], fmt.Errorf("there is no agent %s", way[0].who.agent))
			}
			if found, _ := a.take(way[0], true); found {
				return r.play(way)
			}
		}
		if time.Now().After(end) {
			return failed(s.choices[0][0], fmt.Errorf("nor any other way: %w", r.why(s.choices[0][0])))
		}
	}
}

// finish checks what holds at the end of every scenario: nobody got what the
// script does not say, every non-2xx was acknowledged, and the door has
// forgotten its calls.
func (r *runner) finish() error {
	var err error
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		if err = r.unfinished(); err == nil || r.settled(start) {
			break
		}
	}
	if err == nil {
		time.Sleep(20 * time.Millisecond) // for what should not come any more
	}
	for _, a := range r.agents {
		if e := a.left(); e != nil {
			return fmt.Errorf(" at the end: %w", e)
		}
	}
	if err != nil {
		return fmt.Errorf(" at the end: %w", err)
	}
	return nil
}

// settled says whether what is not there by now will not come: a call ends, and is
// recorded, once its analysis is done, and that yields to all other work.
func (r *runner) settled(start time.Time) bool {
	waited := time.Since(start)
	return waited > expectWithin && (r.door.Calls() == 0 || waited > settleWithin)
}

func (r *runner) unfinished() error {
	for _, a := range r.agents {
		a.mu.Lock()
		for _, d := range a.ids {
			for _, final := range d.finals {
				a.mu.Unlock()
				return fmt.Errorf("%s sent %s and got no ACK (RFC 3261 section 17.1.1.3)", a.name, final)
			}
		}
		a.mu.Unlock()
	}
	if n := r.door.Calls(); n > 0 {
		return fmt.Errorf("the door still has %d calls", n)
	}
	return nil
}
