//go:build !linux

package tap

import (
	"context"
	"errors"
	"io"

	"github.com/portero/portero/sip/trace"
)

// Interface is there on Linux only.
type Interface struct{}

// OpenInterface fails on systems that are not Linux.
func OpenInterface(context.Context, string) (*Interface, error) {
	return nil, errors.New("listening on an interface works on Linux only; elsewhere: tcpdump -i IF -U -w - | portero inspect -")
}

// Next implements trace.Source.
func (*Interface) Next() (trace.Packet, error) { return trace.Packet{}, io.EOF }

// Dropped implements the counter of Linux.
func (*Interface) Dropped() uint64 { return 0 }

// Close implements io.Closer.
func (*Interface) Close() error { return nil }
