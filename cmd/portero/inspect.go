package main

import (
	"encoding/csv"
	"fmt"

	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/sip/trace"
)

type inspectCmd struct {
	found  int  // calls shown so far
	headed bool // the CSV form has its line of names

	inspectFilter

	JSON     bool     `xor:"form" help:"One JSON document a capture, a line each."`
	CSV      bool     `xor:"form" help:"A line a call, for spreadsheets."`
	Config   string   `type:"path" placeholder:"FILE" help:"Configuration whose trunks, rules and judgement apply (YAML). Without it: no trunks, no rules, built-in judgement."`
	Captures []string `arg:"" name:"capture" help:"pcap, pcapng or snoop files, also compressed with gzip or zstd; - is standard input."`
}

// Help is shown below the flags.
func (inspectCmd) Help() string {
	return `Each call in the captures is rebuilt, INVITE to BYE with its RTP streams, and judged as a live call would have been.

The lines of a call: when, from, to, outcome; codec, packets, lost and jitter of the caller's audio; class and probability of a machine; the action. Below it the rule that ordered the action, and the evidence with its log-likelihood ratio, machine over human.

Signed callers' numbers are verified if the configuration says so, with the certificates that it names; none is fetched.

A capture that is cut off is read up to the cut, with a warning on standard error.

Exit status: 0 when every capture was read; 1 when one could not be read (a line on standard error for each; the others are still read) or the configuration is wrong; 2 when the command line is wrong.`
}

// Run inspects the captures one after the other.
func (c *inspectCmd) Run(p printer) error {
	cfg := config.Defaults()
	if c.Config != "" {
		loaded, err := loadConfig(p, c.Config)
		if err != nil {
			return err
		}
		cfg = *loaded
	}
	lab, err := newLab(&cfg)
	if err != nil {
		return err
	}
	defer lab.Close()
	var failed error
	for _, name := range c.Captures {
		o, err := lab.options()
		if err != nil {
			return err
		}
		if err := c.capture(p, o, name); err != nil {
			failed = errReported
			fmt.Fprintf(p.Err(), "inspect: %s: %v\n", name, err)
		}
	}
	if failed == nil && c.Call != "" && c.found == 0 {
		failed = fmt.Errorf("inspect: no call %q; the table has each call's number and Call-ID", c.Call)
	}
	return failed
}

// capture reads one file. The error says why it was not read to its end.
func (c *inspectCmd) capture(p printer, o trace.Options, name string) error {
	in, err := openCapture(name)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	warn := func(format string, args ...any) {
		fmt.Fprintf(p.Err(), "inspect: %s: warning: %s\n", name, fmt.Sprintf(format, args...))
	}
	o.Messages = c.Call != ""
	o.Failed = func(id string, err error) {
		warn("call %s: %v; the call is told unjudged", plain(id), err)
	}
	w := sheet(&table{out: p.Out(), capture: name})
	switch {
	case c.JSON:
		d := &document{out: p.Out(), capture: name}
		o.Others, w = d.other, d
	case c.Call != "" && !c.CSV:
		w = &portrait{out: p.Out(), width: columnsOf(p.Out())}
	case c.CSV:
		w = &lines{out: csv.NewWriter(p.Out()), capture: name, headed: &c.headed}
	}
	s := &sieve{sheet: w, filter: &c.inspectFilter}
	sum, err := readCapture(in, o, s.take, warn)
	c.found += s.shown
	if err == nil || sum.Packets > 0 {
		if werr := s.end(sum); werr != nil {
			return fmt.Errorf("cannot write the result: %w", werr)
		}
	}
	return err
}

// sheet is a form in which calls are written.
type sheet interface {
	call(number int, c *trace.Call) // its number in the capture, from 1
	end(trace.Summary) error        // what writing failed on, if it did
}
