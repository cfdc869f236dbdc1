package door

import (
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/sip/sdp"
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
// first, if they are of the peer's IP version, further ones for a place that is
// called while another goes on.
func (c *call) farPorts(l *leg) (*relay.Far, error) {
	first := !c.farTaken
	c.farTaken = true
	if f := c.session.Far(); first && f != nil && f.Suits(isIPv6(l.peer)) {
		return f, nil
	}
	return c.session.PrepareFar(isIPv6(l.peer))
}

// isIPv6 says whether a peer, host:port, has an IPv6 address: its media has one
// then, as far as can be known before it answers.
func isIPv6(peer string) bool {
	a, err := netip.ParseAddrPort(peer)
	return err == nil && !a.Addr().Unmap().Is4()
}

// describesIPv6 says whether media is wanted at an IPv6 address, by the offer or,
// without one, as the SIP comes from.
func describesIPv6(offer *sdp.Description, source netip.AddrPort) bool {
	if offer != nil {
		if m := anchored(offer); m != nil {
			if a, err := offer.RTP(m); err == nil {
				return !a.Addr().Unmap().Is4()
			}
		}
	}
	return source.IsValid() && !source.Addr().Unmap().Is4()
}

// hear has the caller hear a far leg.
func (c *call) hear(l *leg) {
	c.convert()
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

// silence ends a call that both sides have left without a word: no RTP from
// either for longer than media.timeout, and nobody on hold. A caller who is
// merely muted keeps the call as long as the far side sends.
func (c *call) silence() {
	if c.srs != nil {
		c.copiesSilent()
		return
	}
	if c.ending || c.session == nil {
		return
	}
	now := time.Now()
	if _, err := c.lostBrowser(now); err != nil {
		c.end("portero", "media timeout: "+err.Error())
		return
	}
	if c.session.TimedOut(now) && !c.held() && c.farSilent(now) {
		c.log.Warn("neither side sends media any more", zap.Duration("since", c.session.Idle(now)))
		c.end("portero", "media timeout")
		return
	}
	c.checkup = c.after(silenceEvery, c.silence)
}

const silenceEvery = 5 * time.Second

func (c *call) farSilent(now time.Time) bool {
	if c.talk != nil {
		return true // the door itself speaks, to nobody it seems
	}
	last := c.session.Stats().Far.Last
	if last.IsZero() {
		last = c.answeredAt
	}
	return now.Sub(last) > silenceFar
}

// silenceFar is how long the far side must have been silent too.
const silenceFar = 30 * time.Second

// held says whether either side put the call on hold or sends a fax (T.38 is no
// RTP), and so may be silent.
func (c *call) held() bool {
	for _, l := range []*leg{c.caller, c.far} {
		if l == nil || l.theirs == nil {
			continue
		}
		if m := anchored(l.theirs); m != nil && (m.Type != "audio" || l.theirs.Direction(m) != sdp.SendRecv) {
			return true
		}
	}
	return false
}
