package door

import (
	"context"
	"time"

	"github.com/portero/portero/sip/hep"
	"github.com/portero/portero/sip/transport"
)

// mirrored makes the mirror to Homer, if there is to be one, and has it see what
// passes.
func (d *Door) mirrored() error {
	m, err := hep.New(d.cfg.HEP, d.log)
	if err != nil {
		return err
	}
	d.mirror = m
	captures := d.deps.Recorder != nil && d.deps.Recorder.Packets() || d.deps.Spool != nil
	if m == nil && !captures {
		return nil
	}
	d.net.Mirror(func(in bool, f transport.Flow, data []byte, at time.Time) {
		if m != nil {
			m.SIP(in, f.Local, f.Remote, f.Transport, data, at)
		}
		if captures {
			d.films.message(in, f, data, at)
		}
	})
	if m == nil {
		return nil
	}
	if d.cfg.HEP.RTCP && d.deps.Relay != nil {
		d.deps.Relay.MirrorRTCP(m.RTCP)
	}
	return nil
}

// mirroring runs the mirror until the function that it returns is called.
func (d *Door) mirroring() func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.mirror.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// Mirrored are the figures of the mirror to Homer.
func (d *Door) Mirrored() hep.Counts { return d.mirror.Counts() }
