package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/portero/portero/cmd/portero/contrast"
	"github.com/portero/portero/sip/trace"
)

type diffCmd struct {
	JSON     bool     `help:"One JSON document."`
	Brief    bool     `short:"q" help:"Only count: how many go where, and why."`
	All      bool     `short:"a" help:"Tell also the calls that are treated alike, but by another rule or verdict."`
	A        string   `arg:"" name:"a.yaml" help:"One configuration."`
	B        string   `arg:"" name:"b.yaml" help:"Another."`
	Captures []string `arg:"" name:"capture" help:"Captures, as portero inspect reads them; - is standard input."`
}

// Help is shown below the flags.
func (diffCmd) Help() string {
	return `Each call is judged as portero inspect judges it, before both configurations, trunks and all. Told are the calls that they treat differently: another action, another destination, another refusal. Why they do is said in words: rules that one of them does not have or has in another form or order, and evidence that weighs differently.

Exit status, as of diff(1): 0 when every call is treated alike; 1 when one is not; 2 when a configuration is wrong, a capture cannot be read or the command line is wrong.`
}

// Run compares call by call.
func (c diffCmd) Run(p printer) error {
	trouble := func(format string, args ...any) error {
		fmt.Fprintf(p.Err(), "diff: "+format+"\n", args...)
		return exitStatus(exitUsage)
	}
	var sides [2]contrast.Side
	var labs [2]*lab
	sides[0].Name, sides[1].Name = contrast.Names(c.A, c.B)
	for i, file := range []string{c.A, c.B} {
		l, err := openLab(p, file)
		if errors.Is(err, errReported) {
			return exitStatus(exitUsage)
		}
		if err != nil {
			return trouble("%v", err)
		}
		defer l.Close()
		labs[i], sides[i].Rules = l, l.cfg.Rules
	}
	var w contrastSheet = &contrastText{out: p.Out(), sides: sides, files: [2]string{c.A, c.B}, moves: map[[2]string]*move{}, brief: c.Brief}
	if c.JSON {
		w = &contrastJSON{out: p.Out(), sides: sides, files: [2]string{c.A, c.B}}
	}
	differs, unread := false, false
	for _, name := range c.Captures {
		err := compareCapture(p, labs, name, func(a, b *trace.Call) {
			x := contrast.Of(a, b, sides[0], sides[1])
			differs = differs || x.Treated
			w.call(name, x, x.Treated || c.All && (x.Ruled || x.Judged))
		})
		if err != nil {
			unread = true
			fmt.Fprintf(p.Err(), "diff: %s: %v\n", name, err)
		}
	}
	if err := w.end(); err != nil {
		return trouble("cannot write the result: %v", err)
	}
	switch {
	case unread:
		return exitStatus(exitUsage)
	case differs:
		return exitStatus(exitFailed)
	}
	return nil
}

// compareCapture has a capture read for both labs at one time, and tells each call as
// the two judged it. Whatever they judge, the calls come in the same order.
func compareCapture(p printer, labs [2]*lab, name string, each func(a, b *trace.Call)) error {
	file := name
	if name == "-" {
		var err error
		if file, err = spoolStdin(); err != nil {
			return err
		}
		defer os.Remove(file) //nolint:errcheck // a temporary one
	}
	var calls [2]chan *trace.Call
	var errs [2]error
	for i, l := range labs {
		calls[i] = make(chan *trace.Call, 64)
		go func() {
			defer close(calls[i])
			errs[i] = l.judgeFile(file, func(format string, args ...any) {
				if i == 0 { // the other side would say the same
					fmt.Fprintf(p.Err(), "diff: %s: warning: %s\n", name, fmt.Sprintf(format, args...))
				}
			}, func(c *trace.Call) { calls[i] <- c })
		}()
	}
	var parted error
	for {
		a, ok := <-calls[0]
		b, too := <-calls[1]
		switch {
		case !ok && !too:
			return errors.Join(parted, errs[0])
		case parted != nil: // the readings are taken to their ends
		case !ok || !too || a.CallID != b.CallID:
			parted = errors.New("the two readings part, so that calls cannot be compared; please report this")
		default:
			each(a, b)
		}
	}
}

// judgeFile reads a capture with a bench of its own.
func (l *lab) judgeFile(name string, warn func(format string, args ...any), each func(*trace.Call)) error {
	o, err := l.options()
	if err != nil {
		return err
	}
	in, err := openCapture(name)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	o.Failed = func(id string, err error) { warn("call %s: %v; it is unjudged", plain(id), err) }
	_, err = readCapture(in, o, each, warn)
	return err
}

// spoolStdin copies standard input, which is read twice, to a file.
func spoolStdin() (string, error) {
	f, err := os.CreateTemp("", "portero-*.pcap")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, os.Stdin)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
