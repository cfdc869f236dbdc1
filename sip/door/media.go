package door

import (
	"net/netip"

	"go.uber.org/zap"

	"github.com/portero/portero/media/relay"
)

// mediaAddr is where this leg's peer sends its media.
func (l *leg) mediaAddr() netip.AddrPort {
	if l.far != nil {
		return l.far.Addr()
	}
	return l.c.session.Addr(relay.CallerSide)
}

func (l *leg) setRemote(rtp, rtcp netip.AddrPort) {
	if l.far != nil {
		l.far.SetRemote(rtp, rtcp)
		return
	}
	l.c.session.SetRemote(relay.CallerSide, rtp, rtcp)
}

// farPorts are the media ports for a new far leg: the session's own for the
// first, further ones for a place that is called while another goes on.
func (c *call) farPorts() (*relay.Far, error) {
	if !c.farTaken {
		if f := c.session.Far(); f != nil {
			c.farTaken = true
			return f, nil
		}
	}
	return c.session.PrepareFar()
}

// hear has the caller hear a far leg.
func (c *call) hear(l *leg) {
	if c.session.Far() == l.far {
		return
	}
	if err := c.session.Switch(l.far); err != nil {
		l.log.Error("media cannot be switched", zap.Error(err))
	}
}

// dropMedia gives back the ports of a far leg that is not in use.
func (c *call) dropMedia(l *leg) {
	if l.far == nil || c.session.Far() == l.far {
		return
	}
	if err := c.session.Drop(l.far); err != nil {
		l.log.Debug("ports were given back before", zap.Error(err))
	}
}
