package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/portero/portero/cmd/portero/config"
)

type checkCmd struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
}

// Run prints every mistake of the configuration on standard error, one a line,
// or else what the configuration will do.
func (c checkCmd) Run(p printer) error {
	cfg, err := loadConfig(p, c.Config)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(p.Out(), cfg.Summary()); err != nil {
		return err
	}
	known, err := config.Signatures(cfg.Judge.Signatures)
	if err != nil {
		return err
	}
	for _, g := range known.Expired(time.Now()) {
		if g.Unseen == "" {
			fmt.Fprintf(p.Out(), "note          signature %s expired on %s and weighs nothing\n", g.Name, g.ValidTo.Format(time.DateOnly))
		}
	}
	return nil
}

// loadConfig reads a configuration and says its mistakes, one a line.
func loadConfig(p printer, file string) (*config.Config, error) {
	cfg, err := config.Load(file)
	var faults config.Faults
	if errors.As(err, &faults) {
		fmt.Fprintln(p.Err(), faults)
		return nil, errReported
	}
	return cfg, err
}
