package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/sip/trace"
)

type inspectCmd struct {
	found  int  // calls shown so far
	headed bool // the CSV form has its line of names
	studio *studio

	inspectFilter
	inspectKeep

	JSON    bool   `xor:"form" help:"One JSON document a capture, a line each."`
	CSV     bool   `xor:"form" help:"A line a call, for spreadsheets."`
	Config  string `type:"path" placeholder:"FILE" help:"Configuration whose trunks, rules and judgement apply (YAML). Without it: no trunks, no rules, built-in judgement."`
	NoJudge bool   `help:"Rebuild the calls and do not judge them: the voices are not listened to, which is most of the work."`

	inspectSources
}

// Help is shown below the flags.
func (inspectCmd) Help() string {
	return `Each call in the captures is rebuilt, INVITE to BYE with its RTP streams, and judged as a live call would have been.

The lines of a call: when, from, to, outcome; codec, packets, lost and jitter of the caller's audio; class and probability of a machine; the action. Below it its number and Call-ID, the rule that ordered the action, and the evidence with its log-likelihood ratio, machine over human.

--call shows one call: who sent what to whom as a ladder, as wide as the terminal (or COLUMNS), the figures of each stream, how the evidence leads from the prior to the verdict, with the time and the frame of each item, and the decisions. With --json it has the call's messages too. --html and --audio write files besides, of the calls that the filters let through; what was encrypted (SRTP) or is in a codec that is not decoded is told and not heard.

A page shows 10 minutes of a call, and holds what --html-calls and --html-mb allow; it has what the capture has, keys and passwords' digests too. WAV files end at 2 hours.

Signed callers' numbers are verified if the configuration says so, with the certificates that it names; none is fetched.

A capture that is cut off is read up to the cut, with a warning on standard error. The captures in a directory, and in those below it, are read in the order of their first packets, each for itself; with --join all are read as one.

What is happening now can be read as well: tcpdump -U -w - | portero inspect -, an interface, or what is mirrored by HEP. Calls are then told as they end, five seconds after their last message, and those still open at the end. SIGINT ends it.

SIP over TLS and secure WebSocket is read with --keylog, or with the secrets in a pcapng file.

Exit status: 0 when every capture was read, also when no call is let through by the filters; 1 when one could not be read (a line on standard error for each; the others are still read), when there is no such --call, when a file cannot be written, or the configuration is wrong; 2 when the command line is wrong.`
}

// Validate refuses what cannot be meant; kong asks it.
func (c *inspectCmd) Validate() error {
	return errors.Join(c.inspectFilter.check(), c.inspectKeep.check(), c.inspectSources.check())
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
	if c.studio, err = newStudio(&c.inspectKeep); err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	if c.studio != nil {
		defer c.studio.close() //nolint:errcheck // nothing is left to do
	}
	c.bar = newBar(p.Err())
	var failed error
	sources, err := c.sources(func(format string, args ...any) {
		fmt.Fprintf(p.Err(), "inspect: "+format+"\n", args...)
	})
	if err != nil {
		return err
	}
	keys, err := c.keys(sources, p)
	if err != nil {
		return err
	}
	if c.studio != nil && !slices.ContainsFunc(sources, func(s source) bool { return s.live }) {
		defer c.studio.tidyWhenKilled()()
	}
	for _, src := range sources {
		o, err := lab.options()
		if err != nil {
			return err
		}
		o.Keys = keys
		if err := c.capture(p, o, src); err != nil {
			failed = errReported
			fmt.Fprintf(p.Err(), "inspect: %s: %v\n", src.name, err)
		}
	}
	if c.studio != nil {
		if err := c.studio.finish(p.Err()); err != nil {
			return fmt.Errorf("inspect: %w", err)
		}
	}
	if failed == nil && c.Call != "" && c.found == 0 {
		failed = fmt.Errorf("inspect: no call %q; the table has each call's number and Call-ID", c.Call)
	}
	return failed
}

// capture reads one source. The error says why it was not read to its end.
func (c *inspectCmd) capture(p printer, o trace.Options, src source) error {
	name := src.name
	if src.live {
		o.AsTheyEnd, o.Linger = true, liveLinger
	}
	warn := func(format string, args ...any) {
		c.bar.clear()
		fmt.Fprintf(p.Err(), "inspect: %s: warning: %s\n", name, fmt.Sprintf(format, args...))
	}
	o.Messages = c.Call != "" || c.HTML != ""
	if c.studio != nil {
		o.Listen = c.studio.listen
	}
	if c.NoJudge {
		o.Bench = nil
	}
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
	if c.studio != nil {
		s.told = func(number int, call *trace.Call, shown bool) { c.studio.told(name, number, call, shown, warn) }
	}
	take := s.take
	if f, ok := p.Out().(*os.File); ok && c.bar != nil && windowColumns(f) > 0 { // both on one screen
		take = func(call *trace.Call) {
			c.bar.clear()
			s.take(call)
		}
	}
	sum, err := src.read(o, take, warn)
	c.bar.clear()
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
