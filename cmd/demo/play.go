package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/portero/portero/cmd/demo/phone"
	"github.com/portero/portero/policy/store"
)

// Where everybody is; configs/demo.yaml says the same.
const (
	carrierAddr = "127.0.70.20:5060"
	doorAddr    = "127.0.70.50:5060"
	consoleAddr = "127.0.70.50:8080"
	pbxAddr     = "127.0.70.10:5060"
)

// result is what became of one caller.
type result struct {
	caller
	record store.Record
	places []string // where the PBX got the call, in order, by its own log
	wrong  string   // why this is not what the rules say; empty when it is
}

func openCarrier() (*phone.Phone, error) { return phone.Open(netip.MustParseAddrPort(carrierAddr)) }

// play places the calls of one act together and tells what became of each.
func play(ctx context.Context, carrier *phone.Phone, d *door, p pbx, act []caller) []result {
	out := make([]result, len(act))
	var wg sync.WaitGroup
	for i, c := range act {
		wg.Add(1)
		go func() {
			defer wg.Done()
			// Not all at the same moment: machines that share a clock are another story.
			if err := pause(ctx, time.Duration(i)*150*time.Millisecond); err != nil {
				out[i] = result{caller: c, wrong: err.Error()}
				return
			}
			out[i] = call(ctx, carrier, d, p, c)
		}()
	}
	wg.Wait()
	return out
}

// call places one call, from the INVITE to the record.
func call(ctx context.Context, carrier *phone.Phone, d *door, p pbx, c caller) result {
	r := result{caller: c}
	leg, err := carrier.Dial(ctx, phone.Invite{To: "sip:+34910001000@" + doorAddr, From: c.number, Contact: c.contact, Law: c.law})
	if err != nil {
		r.wrong = err.Error()
		return r
	}
	if c.noise {
		leg.Line().Background(lineNoise())
	}
	// A machine's caller may be hung up on by the automation when it is done.
	if err := c.talk(ctx, leg.Line()); err != nil && !errors.Is(err, net.ErrClosed) {
		r.wrong = err.Error()
	}
	if err := leg.Hangup(); err != nil && r.wrong == "" {
		r.wrong = err.Error()
	}
	if r.wrong != "" {
		return r
	}
	if r.record, err = d.record(ctx, leg.ID()); err != nil {
		r.wrong = err.Error()
		return r
	}
	if r.places, err = p.places(r.record.ID); err != nil {
		r.wrong = err.Error()
		return r
	}
	r.wrong = r.mistake()
	return r
}

// mistake says what the door did that its rules do not, by its record and by
// the PBX's log.
func (r result) mistake() string {
	var dests []string
	for _, f := range r.record.Far {
		if !f.AnsweredAt.IsZero() {
			dests = append(dests, f.Destination)
		}
	}
	switch n := len(r.record.Decisions); {
	case n == 0:
		return "the record has no decision"
	case len(dests) == 0:
		return "no far side answered"
	case strings.Join(dests, " ") != strings.Join(r.places, " "):
		return fmt.Sprintf("the record has it at %v, the PBX at %v", dests, r.places)
	case dests[len(dests)-1] != r.goes:
		return fmt.Sprintf("it should be at %s in the end", r.goes)
	case r.record.Decisions[n-1].Reason != r.because:
		return fmt.Sprintf("the reason should be %s", r.because)
	}
	return ""
}
