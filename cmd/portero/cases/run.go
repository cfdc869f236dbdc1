package cases

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/portero/portero/sip/trace"
)

// Reading is one reading of a capture, as the door of a configuration would have
// seen its calls.
type Reading struct {
	Config  string   // the configuration's file
	After   []string // captures whose calls were heard before
	Capture string
	Given   Given
}

// Reader reads a capture and tells each call. The error says why it could not.
type Reader func(r Reading, each func(*trace.Call)) error

// Status is how a case ended.
type Status int

// The ways in which a case ends.
const (
	Held    Status = iota // everything is as expected
	Differs               // something is not
	Broken                // it could not be tried
	Pinned                // it differed, and the case file now says what is
)

// Result is how one case ended.
type Result struct {
	Suite       *Suite
	Case        *Case
	Status      Status
	Call        *trace.Call // nil if there was none
	Differences []Difference
	Words       []string      // what differs, or why the case could not be tried
	Took        time.Duration // of the reading; 0 if another case has had it read
	index       int           // in its suite
}

// Options say how cases are tried.
type Options struct {
	Config string         // overrides the case files' own
	Run    *regexp.Regexp // names of the cases that are tried; nil: all
	Jobs   int            // readings at one time, at least 1
	Read   Reader
	// Rules are the names of a configuration's rules, for saying that an expected one
	// is not there; nil: they are not known.
	Rules func(config string) []string
}

// pass is one reading and the cases that look at it.
type pass struct {
	reading Reading
	cases   []*trial
	seen    []string // the first calls, for saying what there was
	calls   int
	err     error
}

// trial is a case with the calls that fit.
type trial struct {
	result *Result
	fit    int
	call   *trace.Call
}

// Run tries the cases of the suites. Each capture is read once for all cases that
// are given the same; the results are in the order of the files.
func Run(suites []*Suite, o Options) []*Result {
	var results []*Result
	var order []*pass
	passes := map[string]*pass{}
	for _, s := range suites {
		for i := range s.Cases {
			c := &s.Cases[i]
			if o.Run != nil && !o.Run.MatchString(c.Name) {
				continue
			}
			r := &Result{Suite: s, Case: c, index: i}
			results = append(results, r)
			reading := s.reading(c, o.Config)
			if reading.Config == "" {
				r.Status, r.Words = Broken, []string{"it names no configuration; give --config, or config in the case file"}
				continue
			}
			key, err := json.Marshal(reading)
			if err != nil {
				panic(err) // texts and numbers
			}
			p := passes[string(key)]
			if p == nil {
				p = &pass{reading: reading}
				passes[string(key)] = p
				order = append(order, p)
			}
			p.cases = append(p.cases, &trial{result: r})
		}
	}
	var wg sync.WaitGroup
	free := make(chan struct{}, max(1, o.Jobs))
	for _, p := range order {
		free <- struct{}{}
		wg.Go(func() {
			p.run(o)
			<-free
		})
	}
	wg.Wait()
	return results
}

func (s *Suite) reading(c *Case, config string) Reading {
	r := Reading{Config: config, Capture: s.beside(c.Capture), Given: c.Given.over(s.Given)}
	if r.Config == "" {
		r.Config = s.ConfigPath()
	}
	for _, name := range c.After {
		r.After = append(r.After, s.beside(name))
	}
	return r
}

func (p *pass) run(o Options) {
	began := time.Now()
	p.err = o.Read(p.reading, p.call)
	p.cases[0].result.Took = time.Since(began)
	var rules []string
	if o.Rules != nil {
		rules = o.Rules(p.reading.Config)
	}
	for _, t := range p.cases {
		t.judge(p, rules)
	}
}

// maxSeen is how many calls are named where none fits.
const maxSeen = 8

func (p *pass) call(c *trace.Call) {
	p.calls++
	if len(p.seen) < maxSeen {
		p.seen = append(p.seen, describe(c))
	}
	for _, t := range p.cases {
		if !t.result.Case.fits(c) {
			continue
		}
		t.fit++
		if t.fit == max(1, t.result.Case.Nth) {
			t.call = c
		}
	}
}

func describe(c *trace.Call) string {
	return fmt.Sprintf("%s (%s → %s)", cmp.Or(c.CallID, "without Call-ID"), cmp.Or(c.FromUser, "-"), cmp.Or(c.ToUser, "-"))
}

func (k *Case) fits(c *trace.Call) bool {
	return (k.Call == "" || k.Call == c.CallID) && (k.From == "" || k.From == c.FromUser) && (k.To == "" || k.To == c.ToUser)
}

// judge compares once the reading is over.
func (t *trial) judge(p *pass, rules []string) {
	r := t.result
	broken := func(err error) { r.Status, r.Words = Broken, []string{err.Error()} }
	switch {
	case p.err != nil:
		broken(p.err)
	case p.calls == 0:
		broken(fmt.Errorf("%s holds no call", r.Case.Capture))
	case t.call == nil && t.fit > 0:
		broken(fmt.Errorf("nth is %d, and %d calls fit", r.Case.Nth, t.fit))
	case t.call == nil:
		broken(fmt.Errorf("none of the %d calls of %s fits; there are: %s", p.calls, r.Case.Capture, p.listed()))
	case t.fit > 1 && r.Case.Nth == 0:
		broken(fmt.Errorf("%d calls fit; say which by call, from, to or nth; there are: %s", t.fit, p.listed()))
	case r.Case.Expect.empty():
		r.Call = t.call
		r.Differences = now(t.call)
		broken(errNothing)
	default:
		r.Call = t.call
		if r.Differences = r.Case.Expect.differences(t.call); len(r.Differences) > 0 {
			r.Status = Differs
			r.Words = explain(&r.Case.Expect, t.call, r.Differences, rules)
		}
	}
}

func (p *pass) listed() string {
	s := strings.Join(p.seen, ", ")
	if p.calls > len(p.seen) {
		s += ", …"
	}
	return s
}

// Err is why the case did not hold, in one line; nil if it held.
func (r *Result) Err() error {
	if r.Status == Held || r.Status == Pinned {
		return nil
	}
	return errors.New(strings.Join(r.Words, "; "))
}

// Place is where the case stands, as file:line.
func (r *Result) Place() string {
	return fmt.Sprintf("%s:%d", r.Suite.path, r.Suite.file.Line(fmt.Sprintf("cases[%d].name", r.index)))
}
