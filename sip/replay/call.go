package replay

import (
	"context"
	"net/netip"
	"time"

	"github.com/portero/portero/sip/auth"
	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/transport"
)

// Times of RFC 3261 section 17, and our own.
const (
	t1       = 500 * time.Millisecond
	t2       = 4 * time.Second
	patience = 64 * t1 // Timers B, F and H
	// ending is how long a call that is being ended from outside may take.
	ending = 3 * time.Second
	// linger is how long a call that is over answers what comes late.
	linger = patience
)

// inbound is a message of the far side's.
type inbound struct {
	flow transport.Flow
	*message
}

// call is one recorded call being placed. Its goroutine alone touches it; the
// run's readers put what comes into inbox.
type call struct {
	run    *runner
	rec    *Recording
	script script
	id     identity
	inbox  chan inbound
	timers timers
	media  *media

	began    time.Time // the first INVITE
	flow     Flow
	note     string // why it ended otherwise than by the flow
	attempt  int
	invite   *request // outside the dialog, in progress or answered
	early    *dialog  // of the newest response of 101 to 199 with a tag
	dialog   *dialog  // of the 2xx
	rang     bool
	hangUp   bool // the CANCEL's moment has come
	number   int  // last CSeq used
	auth     *auth.Client
	learnt   bool // a challenge was answered
	requests []*request
	pracked  map[string]bool
	cracked  int // PRACKs sent
	served   map[string]*served
	replied  map[string]int   // replies taken from the recording, by method
	own      *sdp.Description // sent last
	playing  bool             // the packets from playAt on go out
	next     int              // of the recorded packets
	playFrom time.Time        // when the packet of recorded time playAt goes out
	playAt   time.Duration
	over     bool

	firstBranch     string // of the first INVITE, chosen beforehand; "" once it is used
	sameFingerprint bool   // as the recorded INVITE
}

// served is a request of the far side's that was answered.
type served struct {
	flow  transport.Flow
	to    netip.AddrPort
	raw   []byte
	again *timer // of a 2xx to an INVITE, until its ACK
}

// place runs the call until it is over, then tells and lingers.
func (c *call) place(ctx context.Context, told func()) {
	defer c.media.close()
	c.began = time.Now()
	c.startAttempt(0)
	stop := ctx.Done()
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	reported := false
	for {
		if c.over && !reported {
			reported = true
			c.playing = false
			c.flow.Received, c.flow.Lost = c.media.heard()
			told()
			stop = c.run.closing
			c.timers.at(time.Now().Add(linger), func() { stop = closed })
		}
		wait := time.Hour
		if at, ok := c.timers.next(); ok {
			wait = max(time.Until(at), 0)
		}
		clock.Reset(wait)
		select {
		case m := <-c.inbox:
			c.receive(&m)
		case <-clock.C:
			c.timers.run(time.Now())
		case <-stop:
			if reported {
				return
			}
			stop = nil
			c.abort()
		}
	}
}

// closed is a channel that is.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (c *call) since() time.Duration { return time.Since(c.began) }

// after does something after a pause of the recording's, as the speed has it.
func (c *call) after(pause time.Duration, do func()) *timer {
	return c.timers.at(time.Now().Add(c.run.scaled(pause)), func() {
		if !c.over {
			do()
		}
	})
}

func (c *call) finish(ended string) {
	if ended != "" {
		c.flow.end(ended, c.since())
	}
	c.over = true
	for _, r := range c.requests {
		r.again.stop()
		r.giveUp.stop()
	}
}

// abort ends the call from outside: BYE, or CANCEL.
func (c *call) abort() {
	c.note = "ended before its time"
	c.timers.at(time.Now().Add(ending), func() { c.finish("") })
	switch {
	case c.dialog != nil:
		c.bye(nil)
	case c.invite != nil && c.invite.final == 0:
		c.cancel()
	default:
		c.finish("")
	}
}

// startAttempt sends an INVITE outside the dialog.
func (c *call) startAttempt(n int) {
	c.attempt, c.rang, c.early = n, false, nil
	a := c.script.attempts[n]
	if d := describes(a.invite); d != nil {
		c.own = d
	}
	c.invite = c.send("INVITE", a.invite, nil, c.final)
	c.ringLong(c.invite)
	if n > 0 {
		return
	}
	if c.script.cancel != nil {
		c.after(c.script.cancel.pause, c.cancel)
	}
	c.cue(fromInvite)
}

// ringLong gives up an INVITE that has had no final response for much longer
// than the recorded one; one that had none is given up where its recording ends.
func (c *call) ringLong(r *request) {
	recorded := c.rec.Flow()
	final, had := recorded.final()
	wait := c.run.scaled(time.Duration(final.At)) + patience
	if !had {
		wait = c.run.scaled(c.rec.end) + c.run.options.Patience
	}
	c.timers.at(time.Now().Add(wait), func() {
		switch {
		case c.over || r.final != 0 || c.hangUp:
		case !had && !r.heard:
			c.finish("")
		case had:
			c.note = "no final response for " + Seconds(c.since()).String()
			c.cancel()
		default:
			c.cancel()
		}
	})
}

// cue schedules the requests whose time is counted from an event that was now.
func (c *call) cue(a anchor) {
	for _, q := range c.script.cues {
		if q.after == a {
			c.after(q.pause, func() { c.perform(q.message) })
		}
	}
}

// perform sends a request of the recorded caller's own accord.
func (c *call) perform(m *message) {
	if m.method() == "BYE" {
		c.bye(m)
		return
	}
	d := c.dialog
	if d == nil {
		d = c.early
	}
	if d == nil {
		return // there is nobody to send it to yet; the flows part elsewhere
	}
	if m.method() == "INVITE" && (c.dialog == nil || c.reinviting()) {
		return
	}
	if d := describes(m); d != nil {
		c.own = d
	}
	c.send(m.method(), m, d, func(res *inbound) {
		if res == nil || res.code() >= 300 {
			return
		}
		if m.method() == "INVITE" || m.method() == "UPDATE" {
			c.learn(res)
		}
	})
}
