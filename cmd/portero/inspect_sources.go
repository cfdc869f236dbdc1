package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/portero/portero/sip/trace"
	"github.com/portero/portero/sip/trace/tap"
)

// inspectSources are the flags that say what is read.
type inspectSources struct {
	Join      bool          `help:"Read all captures as one, by the times of their packets: the files of a capture that rotates (tcpdump -C, -G), or of several places at once. A call may go from one file to the next."`
	Keylog    string        `type:"path" placeholder:"FILE" help:"Secrets of TLS connections, as browsers, OpenSSL and phones write them for SSLKEYLOGFILE. Those that a pcapng file brings along need no flag."`
	Interface string        `placeholder:"IF" help:"Listen on an interface (any: all of them) instead of reading captures, until SIGINT. Needs CAP_NET_RAW. No call is touched."`
	HEP       string        `name:"hep" placeholder:"PLACE" help:"Listen for what a proxy or PBX mirrors by HEP, at udp:ADDRESS:PORT or tcp:ADDRESS:PORT, until SIGINT. No call is touched."`
	Duration  time.Duration `placeholder:"TIME" help:"End --interface or --hep after so long: 90s, 2h."`
	bar       *bar          // how far the reading is; nil: not shown
	Captures  []string      `arg:"" optional:"" name:"capture" help:"pcap, pcapng, snoop or ERF files, also compressed with gzip or zstd; directories of them; - is standard input."`
}

// check says what is wrong with the flags together.
func (c *inspectSources) check() error {
	kinds := 0
	for _, given := range []bool{len(c.Captures) > 0, c.Interface != "", c.HEP != ""} {
		if given {
			kinds++
		}
	}
	switch live := c.Interface != "" || c.HEP != ""; {
	case kinds == 0:
		return errors.New("nothing to read: name captures, --interface or --hep")
	case kinds > 1:
		return errors.New("captures, --interface and --hep exclude each other")
	case c.Duration < 0 || c.Duration > 0 && !live:
		return errors.New("--duration is how long --interface or --hep listens")
	case c.Join && live:
		return errors.New("--join is for captures")
	case c.Join && slices.Contains(c.Captures, "-"):
		return errors.New("--join cannot put standard input in the order of time")
	}
	return nil
}

// A source is one thing that is inspected.
type source struct {
	name string
	live bool // it happens now: calls are told as they end
	read func(o trace.Options, each func(*trace.Call), warn func(string, ...any)) (trace.Summary, error)
}

// Of calls that happen now: longer than the longest pause between two
// retransmissions of what ends one (T2, RFC 3261 section 17.1.2.2).
var liveLinger = 5 * time.Second // shorter in tests

// maxFiles bounds what is found in directories.
const maxFiles = 100_000

// sources lists what is to be read. note is told of files that are passed over.
func (c *inspectSources) sources(note func(format string, args ...any)) ([]source, error) {
	if c.Interface != "" || c.HEP != "" {
		return []source{c.listening()}, nil
	}
	if c.Join {
		return c.joined(note)
	}
	var out []source
	for _, name := range c.Captures {
		info, err := os.Stat(name)
		if name == "-" || err != nil || !info.IsDir() {
			out = append(out, c.file(name))
			continue
		}
		parts, err := captures(name, note)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			out = append(out, c.file(p.Name))
		}
	}
	return out, nil
}

// file reads one capture.
func (c *inspectSources) file(name string) source {
	return source{name: name, live: name == "-" && !regular(os.Stdin),
		read: func(o trace.Options, each func(*trace.Call), warn func(string, ...any)) (trace.Summary, error) {
			in, err := openCapture(name)
			if err != nil {
				return trace.Summary{}, err
			}
			defer in.Close() //nolint:errcheck // only read
			if name == "-" && !regular(os.Stdin) {
				p := newPipe(os.Stdin)
				defer p.end()
				return readCapture(p, o, each, warn)
			}
			c.bar.begin(sizeOf(name))
			return readCapture(c.bar.watch(in), o, each, warn)
		}}
}

func regular(f *os.File) bool {
	info, err := f.Stat()
	return err != nil || info.Mode().IsRegular()
}

// captures finds the captures in a directory and below, in the order of their
// first packets. Files that are none are counted in one note.
func captures(dir string, note func(string, ...any)) ([]trace.Part, error) {
	var found []trace.Part
	others := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return nil
		case len(found)+others >= maxFiles:
			return fmt.Errorf("%s holds more than %d files", dir, maxFiles)
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() { // where a link leads
			return nil
		}
		p, ok := part(path)
		if ok {
			found = append(found, p)
		} else {
			others++
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("inspect: %s: no capture among %d files", dir, others)
	}
	if others > 0 {
		note("%s: %d files are no captures and were passed over", dir, others)
	}
	slices.SortStableFunc(found, func(a, b trace.Part) int { return a.First.Compare(b.First) })
	return found, nil
}

// part looks at the head of a file. One that is surely a capture and cannot be
// read counts as one, so that its error is told.
func part(path string) (trace.Part, bool) {
	p := trace.Part{Name: path, Open: func() (io.ReadCloser, error) { return openCapture(path) }}
	f, err := p.Open()
	if err != nil {
		return p, true
	}
	defer f.Close() //nolint:errcheck // only read
	c, err := trace.OpenCapture(f)
	if err != nil {
		return p, errors.Is(err, trace.ErrCut)
	}
	if first, err := c.Next(); err == nil {
		p.First = first.At
	}
	return p, true
}

// joined reads all captures as one.
func (c *inspectSources) joined(note func(string, ...any)) ([]source, error) {
	var all []trace.Part
	for _, name := range c.Captures {
		info, err := os.Stat(name)
		if err != nil || !info.IsDir() {
			p, _ := part(name)
			all = append(all, p)
			continue
		}
		parts, err := captures(name, note)
		if err != nil {
			return nil, err
		}
		all = append(all, parts...)
	}
	slices.SortStableFunc(all, func(a, b trace.Part) int { return a.First.Compare(b.First) })
	name := all[0].Name
	if len(all) > 1 {
		name = fmt.Sprintf("%s and %d more", name, len(all)-1)
	}
	return []source{{name: name, read: func(o trace.Options, each func(*trace.Call), warn func(string, ...any)) (trace.Summary, error) {
		var size int64
		for _, part := range all {
			size += sizeOf(part.Name)
		}
		c.bar.begin(size)
		j := trace.Join(c.counted(all))
		defer j.Close() //nolint:errcheck // only read
		failed := 0
		j.Failed = func(name string, err error) {
			if !errors.Is(err, trace.ErrCut) {
				failed++
			}
			warn("%s: %v; the others are read on", name, err)
		}
		sum, err := readSource(func() (trace.Summary, error) { return trace.ReadFrom(j, o, each) }, warn)
		if err == nil && failed > 0 {
			err = fmt.Errorf("%d of %d captures could not be read", failed, len(all))
		}
		return sum, err
	}}}, nil
}

// counted counts what is read of the parts.
func (c *inspectSources) counted(all []trace.Part) []trace.Part {
	if c.bar == nil {
		return all
	}
	out := slices.Clone(all)
	for i, part := range all {
		out[i].Open = func() (io.ReadCloser, error) {
			in, err := part.Open()
			if err != nil {
				return nil, err
			}
			return c.bar.watch(in), nil
		}
	}
	return out
}

// listening reads what happens now, until SIGINT, SIGTERM or the duration's end.
func (c *inspectSources) listening() source {
	name := c.Interface
	if c.HEP != "" {
		name = c.HEP
	}
	return source{name: name, live: true, read: func(o trace.Options, each func(*trace.Call), warn func(string, ...any)) (trace.Summary, error) {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		if c.Duration > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, c.Duration)
			defer cancel()
		}
		if c.HEP != "" {
			l, err := tap.OpenCollector(ctx, c.HEP)
			if err != nil {
				return trace.Summary{}, err
			}
			defer l.Close() //nolint:errcheck // nothing more is wanted
			sum, err := trace.ReadFrom(l, o, each)
			if n := l.Refused(); n > 0 {
				warn("%d connections were one too many and were closed", n)
			}
			return sum, err
		}
		i, err := tap.OpenInterface(ctx, c.Interface)
		if err != nil {
			return trace.Summary{}, err
		}
		defer i.Close() //nolint:errcheck // nothing more is wanted
		sum, err := trace.ReadFrom(i, o, each)
		if n := i.Dropped(); n > 0 {
			warn("%d packets came faster than they were read and were dropped", n)
		}
		return sum, err
	}}
}
