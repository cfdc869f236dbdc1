package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/signature"
	"github.com/portero/portero/sip/trace"
)

type signaturesCmd struct {
	Check  signaturesCheckCmd  `cmd:"" help:"Hold every signature to its samples; count what each matches in captures."`
	Learn  signaturesLearnCmd  `cmd:"" help:"Draft a signature of the calls in a capture."`
	Prints signaturesPrintsCmd `cmd:"" help:"Show the prints of the messages in captures."`
}

// from says which signatures a command uses.
type from struct {
	Config     string   `type:"path" placeholder:"FILE" help:"Configuration whose judgement.signatures are used (YAML)."`
	Signatures []string `placeholder:"PATH" help:"Files and directories of signatures instead; \"builtin\" are those of the binary. Default: builtin."`
}

// load reads them; mistakes are said, one a line.
func (f from) load(p printer) (*signature.Set, error) {
	names := []string{signature.BuiltIn}
	switch {
	case len(f.Signatures) > 0 && f.Config != "":
		return nil, errors.New("--config and --signatures both say which signatures; give one of them")
	case len(f.Signatures) > 0:
		names = f.Signatures
	case f.Config != "":
		cfg, err := loadConfig(p, f.Config)
		if err != nil {
			return nil, err
		}
		names = cfg.Judge.Signatures
	}
	s, err := config.Signatures(names)
	var faults signature.Faults
	if errors.As(err, &faults) {
		fmt.Fprintln(p.Err(), faults)
		return nil, errReported
	}
	return s, err
}

type signaturesCheckCmd struct {
	from
	At       string   `placeholder:"YYYY-MM-DD" help:"The day for which it is told which have expired. Default: today."`
	Captures []string `arg:"" optional:"" name:"capture" help:"Captures to count matches in, as of inspect; - is standard input."`
}

// Help is shown below the flags.
func (signaturesCheckCmd) Help() string {
	return `Each signature must match its positive samples and none of its negative ones. Those that have expired, and so weigh nothing, are warned of on standard error.

With captures, a line for each signature that was found in one: its name and kind, in how many messages and calls, and how many of these are false: of a signature that weighs toward a machine, all (so give captures of people's calls); of the others, those whose User-Agent names a make that the proven stack cannot be.

Exit status: 0 when every sample held and every capture was read; 1 when not, or a file of signatures is wrong; 2 when the command line is wrong.`
}

// Run checks the samples, then counts.
func (c signaturesCheckCmd) Run(p printer) error {
	today := time.Now()
	if c.At != "" {
		t, err := time.Parse(time.DateOnly, c.At)
		if err != nil {
			return fmt.Errorf("--at %s is no day; allowed: a day, like 2026-11-30", plain(c.At))
		}
		today = t
	}
	s, err := c.load(p)
	if err != nil {
		return err
	}
	var failed error
	for _, f := range s.Check() {
		failed = errReported
		fmt.Fprintf(p.Err(), "%v\n", f)
	}
	for _, g := range s.Expired(today) {
		weighs := "it weighs nothing any more"
		if g.Unseen != "" {
			weighs = "look whether it still holds"
		}
		fmt.Fprintf(p.Err(), "signatures: warning: %s expired on %s; %s\n", g.Name, g.ValidTo.Format(time.DateOnly), weighs)
	}
	looked, unseen, positive, negative := 0, 0, 0, 0
	for _, g := range s.Signatures() {
		positive, negative = positive+len(g.Positive), negative+len(g.Negative)
		if g.Unseen != "" {
			unseen++
		} else {
			looked++
		}
	}
	if failed == nil {
		fmt.Fprintf(p.Out(), "%d signatures, and %d marks that are not looked for; %d positive and %d negative samples hold\n", looked, unseen, positive, negative)
	}
	for _, name := range c.Captures {
		tally := newTally(s)
		messages, err := eachMessage(name, tally.see, p)
		if err != nil {
			failed = errReported
			fmt.Fprintf(p.Err(), "signatures: %s: %v\n", plain(name), err)
			continue
		}
		fmt.Fprintf(p.Out(), "%s: %d messages\n", plain(name), messages)
		tally.write(p.Out())
	}
	return failed
}

// eachMessage hands every SIP message of a capture to see, and says how many
// there were.
func eachMessage(name string, see func(trace.Piece), p printer) (int, error) {
	in, err := openCapture(name)
	if err != nil {
		return 0, err
	}
	defer in.Close() //nolint:errcheck // only read
	n := 0
	o := trace.Options{Pieces: func(piece trace.Piece) {
		if !piece.RTP {
			n++
			see(piece)
		}
	}}
	_, err = readCapture(in, o, func(*trace.Call) {}, func(format string, args ...any) {
		fmt.Fprintf(p.Err(), "signatures: %s: warning: %s\n", plain(name), fmt.Sprintf(format, args...))
	})
	return n, err
}

// tally counts what signatures match.
type tally struct {
	set   *signature.Set
	found map[string]*count
}

type count struct {
	messages, wrong int
	calls           map[string]bool
}

func newTally(s *signature.Set) *tally { return &tally{set: s, found: map[string]*count{}} }

func (t *tally) see(p trace.Piece) {
	fingerprint.Examine(p.Data, func(m *fingerprint.Message) {
		r := t.set.Match(m, p.Source.Addr(), p.At)
		for _, name := range r.Names() {
			c := t.found[name]
			if c == nil {
				c = &count{calls: map[string]bool{}}
				t.found[name] = c
			}
			c.messages++
			c.calls[p.CallID] = true
			if r.Belied() {
				c.wrong++
			}
		}
	})
}

func (t *tally) write(w io.Writer) {
	for _, g := range t.set.Signatures() {
		c := t.found[g.Name]
		if c == nil {
			continue
		}
		wrong := c.wrong
		if g.LLR > 0 {
			wrong = c.messages
		}
		fmt.Fprintf(w, "  %-26s %-14s %6d messages %5d calls %5d false\n", g.Name, g.Kind, c.messages, len(c.calls), wrong)
	}
}
