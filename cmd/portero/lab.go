package main

import (
	"context"
	"errors"
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

// A lab judges recorded calls as the door of a configuration would have judged
// them: its trunks, its rules, its judgement. It is safe for concurrent use.
type lab struct {
	cfg        *config.Config
	identities *verifier.Verifier
}

// newLab is the lab of a configuration. Signatures are verified as the door would
// have, with the certificates of the configuration alone: nothing is fetched for a
// recording.
func newLab(cfg *config.Config) (*lab, error) {
	only := cfg.Door.Identity
	only.FetchFrom = nil
	identities, err := verifier.New(only)
	if err != nil {
		return nil, err
	}
	return &lab{cfg: cfg, identities: identities}, nil
}

// Close ends what verifies signatures.
func (l *lab) Close() { l.identities.Close() }

// options are those of reading one capture, with a bench of its own: what one file
// says must not hang on which others were read before it.
func (l *lab) options() (trace.Options, error) {
	bench, err := newBench(l.cfg)
	if err != nil {
		return trace.Options{}, err
	}
	return l.before(bench), nil
}

// before are the options of reading a capture whose calls come before a bench.
func (l *lab) before(bench *judge.Bench) trace.Options {
	o := trace.Options{Bench: bench, Meter: surge.New(l.cfg.Surge), Identity: l.identity}
	if len(l.cfg.Door.Trunks) > 0 {
		o.Trunk = func(a netip.Addr) (string, bool) {
			t, _ := l.cfg.Door.TrunkOf(a)
			return t.Name, t.TrustIdentity
		}
		o.CallerLabel = func(a netip.Addr) string {
			t, _ := l.cfg.Door.TrunkOf(a)
			return t.CallerLabel()
		}
	}
	return o
}

func (l *lab) identity(raw []byte, at time.Time, trusted bool) *stir.Result {
	r, wait := l.identities.AtOnce(raw, trusted)
	if wait {
		got := l.identities.Verify(context.Background(), raw, at, trusted)
		r = &got
	}
	return r
}

// openCapture opens a capture by its name; - is standard input. The error does not
// say the name.
func openCapture(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	f, err := os.Open(name)
	var at *os.PathError
	if errors.As(err, &at) {
		return nil, at.Err
	}
	return f, err
}

// readCapture reads a capture as trace.Read does, and takes one that was cut off
// for whole: warn is told of the cut, and of packets that are not read. Where
// nothing can be read, that is the error.
func readCapture(in io.Reader, o trace.Options, each func(*trace.Call), warn func(format string, args ...any)) (trace.Summary, error) {
	return readSource(func() (trace.Summary, error) { return trace.Read(in, o, each) }, warn)
}

// readSource does what readCapture does for another way of reading.
func readSource(read func() (trace.Summary, error), warn func(format string, args ...any)) (trace.Summary, error) {
	sum, err := read()
	if errors.Is(err, trace.ErrCut) && sum.Packets > 0 {
		warn("%v; what stands before was read", err)
		err = nil
	}
	if sum.Sealed > 0 {
		warn("%d TLS connections could not be read for want of their secrets: name a key log with inspect --keylog, or put it into the capture (editcap --inject-secrets tls,FILE)", sum.Sealed)
	}
	unread := 0
	for link, n := range sum.Skipped {
		warn("%d packets have link type %d (%s), which is not read", n, link, link)
		unread += n
	}
	if err == nil && unread > 0 && unread == sum.Packets {
		err = errors.New("no packet has a link type that is read")
	}
	return sum, err
}
