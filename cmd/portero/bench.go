package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/media/turns"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/campaign"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/sip/judge"
)

// newBench is the judge that a configuration describes, for live calls and for
// recorded ones. It has heard no campaign yet: who replaces a bench under way
// hands the old one's Campaigns on. A configuration without destinations (the
// defaults) leaves those that rules name unchecked.
func newBench(c *config.Config) (*judge.Bench, error) {
	var known map[string]bool
	if len(c.Door.Destinations) > 0 {
		known = map[string]bool{}
		for _, name := range c.Door.DestinationNames() {
			known[name] = true
		}
	}
	set, err := rules.Compile(c.Rules, known)
	if err != nil {
		return nil, fmt.Errorf("the rules: %w", err)
	}
	fusion, err := readFusion(c.Judge.Fusion)
	if err != nil {
		return nil, err
	}
	weights, err := readTurns(c.Judge.Turns)
	if err != nil {
		return nil, err
	}
	model, err := readModel(c.Judge.Model)
	if err != nil {
		return nil, err
	}
	signatures, err := config.Signatures(c.Judge.Signatures)
	if err != nil {
		return nil, fmt.Errorf("the signatures: %w", err)
	}
	return &judge.Bench{
		Signatures: signatures,
		Rules:      set, Fusion: fusion, Turns: weights, Voice: model, Campaigns: campaign.New(c.Campaign), Config: c.Judge, Mode: c.Mode,
		Early: slices.Contains(c.Prompts.Early, prompt.EarlyScreen),
	}, nil
}

// readTurns reads a file of weights of turns; an empty name is the built-in one.
func readTurns(name string) (*turns.Weights, error) {
	if name == "" {
		return turns.DefaultWeights(), nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	w, err := turns.ParseWeights(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return w, nil
}

// readFusion reads a fusion file; an empty name is the built-in one.
func readFusion(name string) (*policy.Fusion, error) {
	if name == "" {
		return policy.DefaultFusion(), nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f, err := policy.ParseFusion(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}
