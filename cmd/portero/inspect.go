package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/policy/surge"
	"github.com/portero/portero/sip/identity/stir"
	"github.com/portero/portero/sip/identity/verifier"
	"github.com/portero/portero/sip/judge"
	"github.com/portero/portero/sip/trace"
)

type inspectCmd struct {
	JSON     bool     `help:"One JSON document a capture, a line each."`
	Config   string   `type:"path" placeholder:"FILE" help:"Configuration whose trunks, rules and judgement apply (YAML). Without it: no trunks, no rules, built-in judgement."`
	Captures []string `arg:"" name:"capture" help:"pcap or pcapng files, also gzip-compressed; - is standard input."`
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
func (c inspectCmd) Run(p printer) error {
	cfg := config.Defaults()
	if c.Config != "" {
		loaded, err := loadConfig(p, c.Config)
		if err != nil {
			return err
		}
		cfg = *loaded
	}
	var failed error
	for _, name := range c.Captures {
		// A bench a capture: what one file says must not hang on which others
		// were named with it.
		bench, err := newBench(&cfg)
		if err != nil {
			return err
		}
		if err := c.capture(p, &cfg, bench, name); err != nil {
			failed = errReported
			fmt.Fprintf(p.Err(), "inspect: %s: %v\n", name, err)
		}
	}
	return failed
}

// capture reads one file. The error says why it was not read to its end.
func (c inspectCmd) capture(p printer, cfg *config.Config, bench *judge.Bench, name string) error {
	in := io.Reader(os.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			var at *os.PathError
			if errors.As(err, &at) {
				err = at.Err // the name is said already
			}
			return err
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	warn := func(format string, args ...any) {
		fmt.Fprintf(p.Err(), "inspect: %s: warning: %s\n", name, fmt.Sprintf(format, args...))
	}
	o := trace.Options{
		Bench: bench,
		Meter: surge.New(cfg.Surge),
		Failed: func(id string, err error) {
			warn("call %s: %v; the call is told unjudged", plain(id), err)
		},
	}
	if len(cfg.Door.Trunks) > 0 {
		o.Trunk = func(a netip.Addr) (string, bool) {
			t, _ := cfg.Door.TrunkOf(a)
			return t.Name, t.TrustIdentity
		}
		o.CallerLabel = func(a netip.Addr) string {
			t, _ := cfg.Door.TrunkOf(a)
			return t.CallerLabel()
		}
	}
	identities, err := c.identities(cfg)
	if err != nil {
		return err
	}
	defer identities.Close()
	o.Identity = func(raw []byte, at time.Time, trusted bool) *stir.Result {
		r, wait := identities.AtOnce(raw, trusted)
		if wait {
			got := identities.Verify(context.Background(), raw, at, trusted)
			r = &got
		}
		return r
	}
	w := sheet(&table{out: p.Out(), capture: name})
	if c.JSON {
		w = &document{out: p.Out(), capture: name}
	}
	sum, err := trace.Read(in, o, w.call)
	cut := errors.Is(err, trace.ErrCut) && sum.Packets > 0
	if cut {
		warn("%v; what stands before was read", err)
		err = nil
	}
	unread := 0
	for link, n := range sum.Skipped {
		warn("%d packets have link type %d (%s), which is not read", n, link, link)
		unread += n
	}
	if err == nil && unread > 0 && unread == sum.Packets {
		err = errors.New("no packet has a link type that is read")
	}
	if err == nil || sum.Packets > 0 {
		if werr := w.end(sum); werr != nil {
			return fmt.Errorf("cannot write the result: %w", werr)
		}
	}
	return err
}

// identities verifies the signatures in a recording as the door would have, with
// the certificates of the configuration alone: nothing is fetched for a recording.
func (inspectCmd) identities(cfg *config.Config) (*verifier.Verifier, error) {
	only := cfg.Door.Identity
	only.FetchFrom = nil
	return verifier.New(only)
}

// sheet is a form in which calls are written.
type sheet interface {
	call(*trace.Call)
	end(trace.Summary) error // what writing failed on, if it did
}
