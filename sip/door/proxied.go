package door

import (
	"errors"
	"hash/fnv"
	"slices"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/transaction"
	"github.com/portero/portero/sip/upstream"
)

// proxied picks the target that something of a destination that takes no call's
// place goes to. All of one Call-ID go to the same as long as it is well: a
// registration is refreshed where it was made.
func (d *Door) proxied(dest, callID string, secure bool, tried ...upstream.Address) (*upstream.Attempt, error) {
	at, err := d.pickFor(d.upstream, dest, callID, secure, tried...)
	if err == nil {
		at.Done()
	}
	return at, err
}

// pickFor does so from any book, and takes a place.
func (d *Door) pickFor(p *upstream.Pool, dest, callID string, secure bool, tried ...upstream.Address) (*upstream.Attempt, error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(callID))
	sum := h.Sum32()
	return p.Pick(dest, upstream.Options{Tried: tried, BeyondCaps: true, Secure: secure,
		Random: func(n int) int { return int(sum % uint32(n)) }}, time.Now())
}

// lives notes that the target answered.
func (p *passed) lives(res *sipmsg.Response) {
	if p.at != nil && !res.IsProvisional() && res.StatusCode != 408 {
		p.at.Answered(time.Now())
	}
}

// failed notes that the target did not answer; true: another was asked. Not
// after a time-out: whoever sent the request has given it up as well.
func (p *passed) failed(err error) bool {
	if p.at == nil {
		return false
	}
	if errors.Is(err, transaction.ErrTransport) {
		return p.elsewhere(upstream.Unsent, 0)
	}
	p.at.Failed(upstream.Silent, 0, time.Now())
	return false
}

// elsewhere sends the request to the next target (RFC 3263 section 4.3).
func (p *passed) elsewhere(f upstream.Failure, retryAfter time.Duration) bool {
	if p.at == nil {
		return false
	}
	p.at.Failed(f, retryAfter, time.Now())
	p.tried = append(slices.Clone(p.tried), p.at.Address)
	before := p.at
	ours := p.req.Recipient.Host == before.URI.Host && p.req.Recipient.Port == before.URI.Port
	at, err := p.d.proxied(p.d.cfg.Proxy, callIDOf(p.req), isSIPS(p.req, p.to.transport), p.tried...)
	if err != nil {
		p.at = nil // the failure is noted, and the sender's to know
		return false
	}
	if ours {
		p.req.Recipient.Host, p.req.Recipient.Port = at.URI.Host, at.URI.Port
	}
	p.at = at
	p.log.Warn("another target is asked", zap.Stringer("failed", before.Address), zap.Stringer("why", f), zap.Stringer("next", at.Address))
	p.send(flow{transport: at.Address.Transport, addr: at.Address.AddrPort})
	return true
}
