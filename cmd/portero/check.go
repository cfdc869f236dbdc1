package main

import (
	"errors"
	"fmt"

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
	_, err = fmt.Fprint(p.Out(), cfg.Summary())
	return err
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
