package door

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/callback"
	"github.com/portero/portero/policy/dialogue"
)

// talk is a built-in dialogue that has the caller: the machine decides, the
// call does what it says.
type talk struct {
	m      dialogue.Machine
	player *prompt.Player
	prompt string    // that player says
	since  time.Time // it says it
	timer  *time.Timer
}

// promiseLimit bounds the wait for the store.
const promiseLimit = 3 * time.Second

// startTalk takes the caller into a dialogue, answering the call first if need
// be and letting go of wherever it was.
func (c *call) startTalk(m dialogue.Machine) {
	if c.answeredAt.IsZero() {
		if !c.talkEarly(m) {
			c.answerOwn(m)
		}
		return
	}
	if _, ok := c.talking(); !ok {
		c.speechless()
		return
	}
	c.alone()
	c.beginTalk(m)
}

// speechless: the caller speaks no codec that prompts can be said in. A call
// that is somewhere stays there.
func (c *call) speechless() {
	const why = "the caller speaks no codec that prompts can be said in"
	if c.far != nil || c.next != nil {
		c.came("failed: " + why)
		c.log.Warn("a dialogue cannot be held; the call stays where it is", zap.String("why", why))
		return
	}
	c.failOpen(policy.ReasonPromptFailed, why)
}

// alone lets go of every far leg.
func (c *call) alone() {
	c.stopTaping()
	if c.next != nil {
		c.letGo(c.next)
		c.next = nil
	}
	if c.far != nil {
		c.letGo(c.far)
		c.far = nil
	}
}

// answerOwn answers the caller on the door's behalf.
func (c *call) answerOwn(m dialogue.Machine) {
	in := c.caller.in
	if in == nil {
		return
	}
	offer := c.callerOffer()
	late := offer == nil
	if _, ok := common(offer); !late && !ok || c.requiresPrecondition() {
		c.speechless()
		return
	}
	c.alone()
	c.ownDialog()
	c.caller.theirs = offer
	res := c.caller.reply(in, 200, "OK")
	res.AppendHeader(sipmsg.NewHeader("Allow", allow))
	if late {
		setBody(res, sdpType, c.caller.ownOffer(spoken, true))
	} else {
		answer, _, _ := c.caller.ownAnswer(offer)
		setBody(res, sdpType, answer)
	}
	c.confirm(nil)
	c.answered()
	c.caller.accept(in, res, late, func(ack *sipmsg.Request) {
		if !late {
			return
		}
		theirs, err := c.caller.read(bodyOf(ack))
		if err != nil || theirs == nil {
			c.log.Warn("the caller's ACK has no readable answer", zap.Error(err))
			c.end("portero", "no answer in the ACK")
			return
		}
		c.caller.settleMedia(theirs)
		c.agreed()
		c.beginTalk(m)
	}, func() {
		c.log.Warn("the caller never acknowledged the answer")
		c.caller.sendBye()
		c.end("portero", "no ACK")
	})
	c.agreed()
	if !late {
		c.beginTalk(m)
	}
}

func (c *call) beginTalk(m dialogue.Machine) {
	if c.ending {
		return
	}
	c.stopTalk()
	c.talk = &talk{m: m}
	c.unhold()
	if h := c.hearing; h != nil {
		_, enough := c.d.deps.Prompts.Interrupt("")
		h.tell(func() { h.barge = barge{enough: enough} })
		h.talking.Store(true)
	}
	c.step(dialogue.Started{})
}

// stopTalk ends a dialogue and whatever is being played.
func (c *call) stopTalk() {
	t := c.talk
	if t == nil {
		return
	}
	c.talk = nil
	t.m.Step(dialogue.Gone{})
	t.hush()
	if t.timer != nil {
		t.timer.Stop()
	}
	if h := c.hearing; h != nil {
		h.talking.Store(false)
	}
}

func (t *talk) hush() {
	if t.player != nil {
		t.player.Stop()
		t.player = nil
	}
}

// step gives the dialogue an event and does what it says.
func (c *call) step(e dialogue.Event) {
	t := c.talk
	if t == nil {
		return
	}
	for _, a := range t.m.Step(e) {
		c.perform(t, a)
	}
}

// perform does one thing a dialogue asks for.
func (c *call) perform(t *talk, a dialogue.Action) {
	switch a := a.(type) {
	case dialogue.Play:
		c.play(t, a)
	case dialogue.Wait:
		if t.timer != nil {
			t.timer.Stop()
		}
		t.timer = c.after(a.For, func() {
			if c.talk == t {
				c.step(dialogue.Timeout{ID: a.ID})
			}
		})
	case dialogue.StorePromise:
		c.storePromise(t)
	case dialogue.WithdrawPromise:
		c.withdraw()
	case dialogue.Decide:
		// The judge decides at its next tick; the machine waits for it.
	case dialogue.Apply:
		c.overTo(func() { c.act(a.Decision) })
	case dialogue.PassToAgents:
		c.overTo(func() { c.failOpen(a.Reason, "the dialogue passed the call on") })
	case dialogue.Join:
		c.came("confirmed")
		dest := c.agents()
		if c.promise != nil {
			dest = c.promise.destination
		}
		c.goTo(dest)
	case dialogue.Hangup:
		c.came(a.Reason)
		if c.ringingCaller() { // told in early media
			c.refuse(480, "Temporarily Unavailable")
			return
		}
		c.end("portero", a.Reason)
	}
}

// overTo ends the dialogue and goes on elsewhere. The caller hears ringing until
// somebody answers.
func (c *call) overTo(f func()) {
	c.stopTalk()
	f()
}

// play says a prompt to the caller.
func (c *call) play(t *talk, a dialogue.Play) {
	t.hush()
	p, err := c.say(prompt.Options{Trail: -1}, a.Prompt)
	if err != nil {
		c.log.Error("a prompt cannot be played", zap.String("prompt", a.Prompt), zap.Error(err))
		c.post(func() {
			if c.talk == t {
				c.step(dialogue.PromptEnded{ID: a.ID, Failed: true})
			}
		})
		return
	}
	t.player, t.prompt, t.since = p, a.Prompt, time.Now()
	c.d.spawn(func() {
		<-p.Done()
		err := p.Err()
		if errors.Is(err, prompt.ErrStopped) {
			return
		}
		failed := err != nil && !errors.Is(err, prompt.ErrCut)
		c.post(func() {
			if c.talk == t && t.player == p {
				c.step(dialogue.PromptEnded{ID: a.ID, Failed: failed})
			}
		})
	})
}

// say plays prompts in the caller's own codec.
func (c *call) say(o prompt.Options, names ...string) (*prompt.Player, error) {
	v, ok := c.talking()
	if !ok {
		return nil, errors.New("the caller speaks no codec that prompts can be said in")
	}
	law := codec.MuLaw
	if strings.EqualFold(v.audio.Name, "PCMA") {
		law = codec.ALaw
	}
	var clips [][]int16
	for _, n := range names {
		pcm, err := c.d.deps.Prompts.Get(c.language(), n)
		if err != nil {
			return nil, err
		}
		clips = append(clips, pcm)
	}
	sp, err := c.session.Play(v.audio.PT)
	if err != nil {
		return nil, fmt.Errorf("no voice toward the caller: %w", err)
	}
	o.Packet = prompt.Packet(v.ptime)
	return prompt.Play(speaking(sp, v.audio), law, o, clips...), nil
}

// language is what the caller is spoken to in.
func (c *call) language() string {
	about := prompt.Call{Called: c.rec.To, Trunk: c.trunk.Name, Destination: c.plan.Destination}
	if c.promise != nil {
		about.Destination = c.promise.destination
	}
	if about.Destination == "" {
		about.Destination = c.agents()
	}
	return c.d.deps.Prompts.Language(about)
}

// ringback lets a caller who was answered already hear that it rings again.
func (c *call) ringback() {
	c.hushRing()
	p, err := c.say(prompt.Options{Loop: true}, prompt.Ringback)
	if err != nil {
		c.log.Info("no ringing tone", zap.Error(err))
		return
	}
	c.ringing = p
}

func (c *call) hushRing() {
	if c.ringing != nil {
		c.ringing.Stop()
		c.ringing = nil
	}
}

// digit is a key the caller pressed. The dialogue has it first: it may have
// something else to say at once.
func (c *call) digit(key byte) {
	t := c.talk
	if t == nil {
		return
	}
	p := t.player
	c.step(dialogue.Digit{Key: key})
	if c.talk == t && t.player == p {
		c.interrupt(t, prompt.KeysInterrupt)
	}
}

// spoke: the caller has been speaking since a moment, for as long as it takes to
// interrupt a prompt. Who spoke before the prompt did interrupts nothing.
func (c *call) spoke(since time.Time) {
	if t := c.talk; t != nil && since.After(t.since) {
		c.interrupt(t, prompt.SpeechInterrupt)
	}
}

// interrupt ends the prompt that is being said, if it may be by this.
func (c *call) interrupt(t *talk, by prompt.Interrupt) {
	if t.player == nil {
		return
	}
	if may, _ := c.d.deps.Prompts.Interrupt(t.prompt); may == by || may == prompt.SpeechInterrupt {
		c.log.Info("the caller interrupts a prompt", zap.String("prompt", t.prompt), zap.String("by", string(by)))
		t.player.Cut()
	}
}

// infoDigit takes a key from an INFO (application/dtmf-relay, application/dtmf).
func (c *call) infoDigit(req *sipmsg.Request) {
	if c.talk == nil {
		return
	}
	ct := ""
	if h := req.ContentType(); h != nil {
		ct = strings.ToLower(h.Value())
	}
	body := bytes.TrimSpace(req.Body())
	switch {
	case strings.HasPrefix(ct, "application/dtmf-relay"):
		for _, line := range bytes.Split(body, []byte("\n")) {
			name, v, ok := bytes.Cut(line, []byte("="))
			if v = bytes.TrimSpace(v); ok && bytes.EqualFold(bytes.TrimSpace(name), []byte("Signal")) && len(v) == 1 {
				c.digit(v[0])
			}
		}
	case strings.HasPrefix(ct, "application/dtmf") && len(body) == 1:
		c.digit(body[0])
	}
}

// storePromise has the promise written to disk; only then may it be said.
func (c *call) storePromise(t *talk) {
	q := c.d.deps.Queue
	if q == nil {
		c.post(func() { c.promised(t, dialogue.StoredFailed) })
		return
	}
	number, callID := c.rec.From, c.rec.CallID
	if n, err := q.Dialable(number); err == nil { // before it is stored: the dialer may be quick
		c.d.onTheLine(n, 1)
		c.promisedTo = append(c.promisedTo, n)
	}
	c.d.spawn(func() {
		ctx, cancel := context.WithTimeout(context.Background(), promiseLimit)
		defer cancel()
		p, existed, err := q.Offer(ctx, number, callID, time.Now())
		var refusal *callback.Refusal
		result := dialogue.StoredOK
		switch {
		case errors.As(err, &refusal):
			c.log.Info("no callback for this caller", zap.Error(err))
			result = dialogue.StoredRefused
		case err != nil:
			c.log.Error("a promise could not be stored", zap.Error(err))
			result = dialogue.StoredFailed
		case existed:
			result = dialogue.StoredExists
		}
		if err == nil {
			c.log.Info("callback promised", zap.Int64("promise", p.ID), zap.Bool("owed_before", existed))
		}
		c.post(func() {
			if result == dialogue.StoredOK {
				c.promisedID = p.ID
			}
			c.promised(t, result)
		})
	})
}

func (c *call) promised(t *talk, r dialogue.Stored) {
	switch r {
	case dialogue.StoredOK:
		c.came(policy.ReasonPromised)
	case dialogue.StoredExists:
		c.came(policy.ReasonPromiseExists)
	}
	if c.talk == t {
		c.step(dialogue.PromiseStored{Result: r})
		return
	}
	for _, a := range t.m.Step(dialogue.PromiseStored{Result: r}) {
		if _, ok := a.(dialogue.WithdrawPromise); ok {
			c.withdraw()
		}
	}
}

// withdraw takes back a promise that the caller never heard.
func (c *call) withdraw() {
	id, back := c.promisedID, c.d.deps.Withdraw
	if id == 0 || back == nil {
		return
	}
	c.promisedID = 0
	c.d.spawn(func() {
		ctx, cancel := context.WithTimeout(context.Background(), promiseLimit)
		defer cancel()
		if err := back(ctx, id, time.Now()); err != nil {
			c.log.Error("a promise that was not made could not be taken back", zap.Int64("promise", id), zap.Error(err))
		}
	})
}
