package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"sync"

	"github.com/portero/portero/cmd/portero/cases"
	"github.com/portero/portero/sip/trace"
)

type testCmd struct {
	Config string         `type:"path" placeholder:"FILE" help:"Configuration that the cases are tried against. Without it: the one that each case file names."`
	Only   *regexp.Regexp `name:"run" placeholder:"PATTERN" help:"Try only the cases whose names match this regular expression."`
	JUnit  string         `name:"junit" type:"path" placeholder:"FILE" help:"Write a JUnit report to FILE."`
	TAP    bool           `name:"tap" help:"Print TAP (Test Anything Protocol 14) in place of the text."`
	Update bool           `help:"Write what is now into the case files: values that differ are replaced, cases that expect nothing get all that there is. Comments, order and layout stay."`
	Jobs   int            `default:"0" help:"Captures read at one time. Default: as many as there are cores."`
	All    bool           `short:"a" help:"List the cases that hold, too."`
	Cases  []string       `arg:"" name:"cases" help:"Case files, or directories of them (.yaml, .yml)."`
}

// Help is shown below the flags.
func (testCmd) Help() string {
	return `A case says of one recorded call what the configuration should make of it; configs/cases has examples. The call is judged as portero inspect judges it. What the capture does not show (the day, the load, numbers on lists) is given by the case.

Exit status: 0 when every case holds (or was pinned by --update); 1 when one does not or could not be tried; 2 when nothing was tried: the command line, a case file or a configuration is wrong, or no case matches.`
}

// exitStatus ends a command that has said why with a status of its own.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Run tries the cases.
func (c testCmd) Run(p printer) error {
	files, err := cases.Find(c.Cases)
	if err != nil {
		fmt.Fprintf(p.Err(), "test: %v\n", err)
		return exitStatus(exitUsage)
	}
	var suites []*cases.Suite
	wrong := false
	for _, file := range files {
		s, err := cases.Load(file)
		if err != nil {
			fmt.Fprintln(p.Err(), err)
			wrong = true
			continue
		}
		suites = append(suites, s)
	}
	if wrong {
		return exitStatus(exitUsage)
	}
	b := &labs{open: map[string]*lab{}, warn: func(format string, args ...any) {
		fmt.Fprintf(p.Err(), "test: warning: "+format+"\n", args...)
	}}
	defer b.close()
	if !b.good(p, suites, c.Config) {
		return exitStatus(exitUsage)
	}
	jobs := c.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	results := cases.Run(suites, cases.Options{Config: c.Config, Run: c.Only, Jobs: jobs, Read: b.read, Rules: b.rules})
	if len(results) == 0 {
		fmt.Fprintf(p.Err(), "test: no case has a name that matches %q\n", c.Only)
		return exitStatus(exitUsage)
	}
	var failed error
	if c.Update {
		failed = cases.Update(results)
	}
	write := func(w io.Writer) error { return cases.Text(w, results, c.All) }
	if c.TAP {
		write = func(w io.Writer) error { return cases.TAP(w, results) }
	}
	failed = errors.Join(failed, write(p.Out()))
	if c.JUnit != "" {
		failed = errors.Join(failed, writeFile(c.JUnit, func(w io.Writer) error { return cases.JUnit(w, results) }))
	}
	for _, r := range results {
		if r.Err() != nil && failed == nil {
			failed = errReported
		}
	}
	return failed
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// labs are those of the configurations that cases are about.
type labs struct {
	mu   sync.Mutex
	open map[string]*lab
	warn func(format string, args ...any)
}

// good opens the lab of every configuration, and says what is wrong with one.
func (b *labs) good(p printer, suites []*cases.Suite, file string) bool {
	files := []string{file}
	if file == "" {
		files = nil
		for _, s := range suites {
			if at := s.ConfigPath(); at != "" {
				files = append(files, at)
			}
		}
	}
	ok := true
	for _, at := range files {
		if b.open[at] != nil {
			continue
		}
		l, err := openLab(p, at)
		if err != nil {
			if !errors.Is(err, errReported) {
				fmt.Fprintf(p.Err(), "test: %s: %v\n", at, err)
			}
			ok = false
			continue
		}
		b.open[at] = l
	}
	return ok
}

// openLab is the lab of a configuration's file.
func openLab(p printer, file string) (*lab, error) {
	cfg, err := loadConfig(p, file)
	if err != nil {
		return nil, err
	}
	return newLab(cfg)
}

func (b *labs) close() {
	for _, l := range b.open {
		l.Close()
	}
}

// rules are the names of a configuration's rules.
func (b *labs) rules(file string) []string {
	names := []string{}
	for _, r := range b.open[file].cfg.Rules.Rules {
		names = append(names, r.Name)
	}
	return names
}

// read is a cases.Reader.
func (b *labs) read(r cases.Reading, each func(*trace.Call)) error {
	l := b.open[r.Config]
	cfg, err := withLists(l.cfg, r.Given.Lists)
	if err != nil {
		return err
	}
	bench, err := newBench(cfg)
	if err != nil {
		return err
	}
	alter, err := given(cfg, r.Given)
	if err != nil {
		return err
	}
	for _, name := range r.After {
		if err := b.one(name, l.before(bench), func(*trace.Call) {}); err != nil {
			return err
		}
	}
	o := l.before(bench)
	o.Given = alter
	return b.one(r.Capture, o, each)
}

func (b *labs) one(name string, o trace.Options, each func(*trace.Call)) error {
	in, err := openCapture(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer in.Close() //nolint:errcheck // only read
	warn := func(format string, args ...any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.warn("%s: %s", name, fmt.Sprintf(format, args...))
	}
	o.Failed = func(id string, err error) { warn("call %s: %v; it is unjudged", plain(id), err) }
	if _, err := readCapture(in, o, each, warn); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
