package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/portero/portero/cmd/demo/phone"
)

// pbx is what is behind the door.
type pbx interface {
	// places tells where a call was taken, in order, by the PBX's own log; id is
	// the X-Portero-Call-ID.
	places(id string) ([]string, error)
	Close() error
}

func openPBX(ctx context.Context, name string) (pbx, error) {
	switch name {
	case "":
		return openOwnPBX(ctx)
	case "asterisk":
		return openAsterisk(ctx)
	}
	return nil, fmt.Errorf("PBX %q is not known; allowed: asterisk, or none for the demo's own", name)
}

// ownPBX answers in this process: people and machines by the user part that is
// called, each with a greeting.
type ownPBX struct {
	phone    *phone.Phone
	greeting []int16 // of the agents
	menu     []int16 // of the automation

	mu    sync.Mutex
	taken map[string][]string // places by X-Portero-Call-ID
}

func openOwnPBX(ctx context.Context) (*ownPBX, error) {
	p := &ownPBX{taken: map[string][]string{}}
	var err error
	if p.greeting, err = readSpeech(filepath.Join(prompts, "queue-thankyou.wav")); err != nil {
		return nil, err
	}
	if p.menu, err = readSpeech(filepath.Join(prompts, "dir-welcome.wav")); err != nil {
		return nil, err
	}
	if p.phone, err = phone.Open(netip.MustParseAddrPort(pbxAddr)); err != nil {
		return nil, err
	}
	p.phone.OnCall(func(in *phone.Incoming) { p.take(ctx, in) })
	return p, nil
}

// take answers one call and keeps it until it is over.
func (p *ownPBX) take(ctx context.Context, in *phone.Incoming) {
	place, says := in.Request.Recipient.User, p.greeting
	switch place {
	case toAgents:
		in.Ring()
		if pause(ctx, 800*time.Millisecond) != nil {
			return
		}
	case toAutomation:
		says = p.menu
	default:
		in.Refuse(404, "Not Found")
		return
	}
	id := in.Header("X-Portero-Call-ID")
	p.mu.Lock()
	p.taken[id] = append(p.taken[id], place)
	p.mu.Unlock()
	c, err := in.Answer(ctx)
	if err != nil {
		return // the caller was quicker
	}
	if place == toAgents {
		c.Line().Background(lineNoise())
	}
	if pause(ctx, 500*time.Millisecond) != nil {
		return
	}
	// How long it is listened to is the caller's affair.
	_ = c.Line().Say(ctx, says)
	select {
	case <-c.Done():
	case <-ctx.Done():
	}
}

func (p *ownPBX) places(id string) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken[id], nil
}

func (p *ownPBX) Close() error { return p.phone.Close() }
