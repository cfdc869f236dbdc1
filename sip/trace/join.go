package trace

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// maxOpenParts bounds the captures of a Joined that cover the same time.
const maxOpenParts = 256

// Part is one capture of several that are read as one.
type Part struct {
	Name  string
	First time.Time // of its first packet
	Open  func() (io.ReadCloser, error)
}

// Joined reads several captures as one, by the times of their packets: the files
// of a capture that rotates, or what was captured at several places at once. A
// part is opened when its time has come and closed at its end.
type Joined struct {
	// Failed is told of a part that cannot be read to its end; the others are read
	// on. May be nil.
	Failed func(name string, err error)

	secrets func([]byte)
	parts   []Part // not yet opened, by their first packets
	open    []*openPart
	current *openPart // whose packet was returned last
	n       int
}

type openPart struct {
	name string
	f    io.Closer
	c    *Capture
	p    Packet // the next
}

// Join reads parts as one.
func Join(parts []Part) *Joined {
	j := &Joined{parts: slices.Clone(parts)}
	slices.SortStableFunc(j.parts, func(a, b Part) int { return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.Name, b.Name)) })
	return j
}

// Next implements Source. The packets are numbered through all parts.
func (j *Joined) Next() (Packet, error) {
	if j.current != nil {
		j.advance(j.current)
		j.current = nil
	}
	for {
		var least *openPart
		for _, o := range j.open {
			if least == nil || o.p.At.Before(least.p.At) {
				least = o
			}
		}
		if len(j.parts) > 0 && (least == nil || !j.parts[0].First.After(least.p.At)) {
			part := j.parts[0]
			j.parts = j.parts[1:]
			if len(j.open) >= maxOpenParts {
				j.failed(part.Name, fmt.Errorf("more than %d captures are of the same time; it is left out", maxOpenParts))
				continue
			}
			j.begin(part)
			continue
		}
		if least == nil {
			return Packet{}, io.EOF
		}
		j.current = least
		j.n++
		p := least.p
		p.Number = j.n
		return p, nil
	}
}

func (j *Joined) begin(part Part) {
	f, err := part.Open()
	if err != nil {
		j.failed(part.Name, err)
		return
	}
	c, err := OpenCapture(f)
	if err != nil {
		f.Close() //nolint:errcheck // only read
		j.failed(part.Name, err)
		return
	}
	c.Secrets = j.secrets
	o := &openPart{name: part.Name, f: f, c: c}
	j.open = append(j.open, o)
	j.advance(o)
}

// advance reads the next packet of a part, or closes it.
func (j *Joined) advance(o *openPart) {
	p, err := o.c.Next()
	if err == nil {
		o.p = p
		return
	}
	o.f.Close() //nolint:errcheck // only read
	j.open = slices.DeleteFunc(j.open, func(x *openPart) bool { return x == o })
	if err != io.EOF {
		j.failed(o.name, err)
	}
}

func (j *Joined) failed(name string, err error) {
	if j.Failed != nil {
		j.Failed(name, err)
	}
}

// Close closes what is open, when reading ended early.
func (j *Joined) Close() error {
	for _, o := range j.open {
		o.f.Close() //nolint:errcheck // only read
	}
	j.open, j.parts, j.current = nil, nil, nil
	return nil
}
