package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/portero/portero/cmd/demo/phone"
	"github.com/portero/portero/media/codec"
)

// caller is one call of the demo.
type caller struct {
	act     int    // the calls of one act are placed together
	who     string // as the audience is told
	number  string
	contact string // parameters of its Contact
	law     codec.Law
	noise   bool   // of a line is under what it says; else digital silence
	goes    string // the destination where the call must end
	because string // the reason that must send it there
	talk    func(context.Context, *phone.Line) error
}

// The destinations and reasons of configs/demo.yaml.
const (
	toAgents     = "agents"
	toAutomation = "automation"

	noRule      = "P300-no-rule"
	allowListed = "P110-allow-listed"
	declared    = "P200-declared-machines"
	sameMessage = "P200-same-message"
	machines    = "P200-machines"
)

// acts lists the callers by act. The second time of a message is an act of its
// own: it can only be known again when it was heard once.
func acts(v *voices) [][]caller {
	const (
		invoice = "Hello, I am calling on behalf of my client about the invoice of last month. The amount does not match what was agreed. " +
			"Could you please check the account, and tell me when it will be corrected? I can wait while you look for it."
		booking = "Good morning. I would like to book a table for four people on Friday evening, at eight o'clock if possible. " +
			"If that time is taken, half past eight is fine as well. Please tell me the name under which it is booked."
		device = "Hi, this is Robin. I speak through a device, so please bear with me. I am calling because my delivery did not come yesterday. " +
			"I waited at home the whole day. Can you find out where the parcel is?"
		errand = "Hello, this is an automated assistant. I am calling to confirm the appointment of tomorrow at ten."
	)
	all := []caller{
		{act: 1, who: "a person", number: "+34910000001", noise: true, goes: toAgents, because: noRule,
			talk: converse(v.person("demo-enterkeywords"), v.person("vm-nobodyavail"), v.person("privacy-unident"))},
		{act: 1, who: "another call of a person, A-law", number: "+34910000002", law: codec.ALaw, noise: true, goes: toAgents, because: noRule,
			talk: converse(v.person("ss-noservice"), v.person("tt-monkeysintro"), v.person("vm-intro"))},
		{act: 1, who: "an assistant, voice of espeak-ng", number: "+34910000003", goes: toAutomation, because: machines,
			talk: speak(v.espeak(invoice))},
		{act: 1, who: "an assistant, voice of flite, A-law", number: "+34910000004", law: codec.ALaw, goes: toAutomation, because: machines,
			talk: speak(v.flite(booking))},
		{act: 1, who: "a keypad dialer", number: "+34910000005", goes: toAutomation, because: machines,
			talk: dialKeys("140075140075140075")},
		{act: 1, who: "a message that a person recorded", number: "+34910000006", noise: true, goes: toAgents, because: noRule,
			talk: playAtOnce(v.person("demo-moreinfo"))},
		{act: 1, who: "an allow-listed caller with a synthetic voice", number: "+34910000007", goes: toAgents, because: allowListed,
			talk: speak(v.espeak(device))},
		{act: 1, who: "an assistant that says so (RFC 3840)", number: "+34910000008", contact: `;automata;actor="principal"`, goes: toAutomation, because: declared,
			talk: speak(v.flite(errand))},
		{act: 2, who: "the same message from another number", number: "+34910000009", noise: true, goes: toAutomation, because: sameMessage,
			talk: playAtOnce(v.person("demo-moreinfo"))},
	}
	var out [][]caller
	for _, c := range all {
		for len(out) < c.act {
			out = append(out, nil)
		}
		out[c.act-1] = append(out[c.act-1], c)
	}
	return out
}

// afterwards is how long a machine stays when it has said what it had to say: a
// call that is moved is seen to arrive.
const afterwards = 4 * time.Second

// converse talks as people do: hears the greeting out, answers after a moment
// that is never the same, and leaves room for what the other side says.
func converse(sentences ...[]int16) func(context.Context, *phone.Line) error {
	return func(ctx context.Context, l *phone.Line) error {
		limit := 5 * time.Second // the greeting
		for _, s := range sentences {
			if err := l.AwaitPause(ctx, 300*time.Millisecond, limit); err != nil {
				return err
			}
			if err := pause(ctx, time.Duration(250+rand.IntN(900))*time.Millisecond); err != nil {
				return err
			}
			if err := l.Say(ctx, s); err != nil {
				return err
			}
			limit = 1500 * time.Millisecond
		}
		return pause(ctx, time.Second)
	}
}

// speak hears the greeting out and then says all it has to say, a fixed delay
// after it, over digital silence.
func speak(pcm []int16) func(context.Context, *phone.Line) error {
	return func(ctx context.Context, l *phone.Line) error {
		if err := l.AwaitPause(ctx, 500*time.Millisecond, 5*time.Second); err != nil {
			return err
		}
		if err := l.Say(ctx, pcm); err != nil {
			return err
		}
		return pause(ctx, afterwards)
	}
}

// playAtOnce is a message: it begins when somebody answers, whoever that is.
func playAtOnce(pcm []int16) func(context.Context, *phone.Line) error {
	return func(ctx context.Context, l *phone.Line) error {
		if err := l.Say(ctx, pcm); err != nil {
			return err
		}
		return pause(ctx, afterwards)
	}
}

// dialKeys presses keys as a program does: all of one length, at one pace.
func dialKeys(digits string) func(context.Context, *phone.Line) error {
	return func(ctx context.Context, l *phone.Line) error {
		if err := l.AwaitPause(ctx, 500*time.Millisecond, 5*time.Second); err != nil {
			return err
		}
		if err := l.Press(ctx, digits, 100*time.Millisecond, 100*time.Millisecond); err != nil {
			return err
		}
		return pause(ctx, afterwards)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the demo ran out of time: %w", ctx.Err())
	}
}
