package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/portero/portero/sip/trace"
)

// maxKeyLog bounds a key log, bytes.
const maxKeyLog = 256 << 20

// keys opens the key log that is named, if one is.
func (c *inspectSources) keys(sources []source, p printer) (*trace.KeyLog, error) {
	if c.Keylog == "" {
		return nil, nil
	}
	live := slices.ContainsFunc(sources, func(s source) bool { return s.live })
	k, err := openKeyLog(c.Keylog, live, func(format string, args ...any) {
		fmt.Fprintf(p.Err(), "inspect: warning: "+format+"\n", args...)
	})
	if err != nil {
		return nil, fmt.Errorf("inspect: --keylog: %w", err)
	}
	return k, nil
}

// openKeyLog reads a key log. When what it opens is happening now, the log grows
// meanwhile, and is read on as secrets are missed; the file is then open for as
// long as the command runs.
func openKeyLog(name string, live bool, warn func(format string, args ...any)) (*trace.KeyLog, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyLog+1))
	if err != nil || len(b) > maxKeyLog {
		f.Close() //nolint:errcheck // only read
		return nil, errors.Join(err, fmt.Errorf("%s: a key log of at most %d bytes is read", name, maxKeyLog))
	}
	k := &trace.KeyLog{}
	if err := k.Add(b); err != nil && !live {
		warn("%s: %v; the line is passed over", name, err)
	}
	if !live {
		return k, f.Close()
	}
	// Its last line may have been half written: it is read once more.
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		f.Close() //nolint:errcheck // only read
		return nil, err
	}
	buf := make([]byte, 1<<20)
	k.More = func() []byte {
		n, _ := f.Read(buf)
		return buf[:n]
	}
	return k, nil
}
