package door

import (
	"context"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/upstream"
)

// Ping implements upstream.Pinger: an OPTIONS of the door's own, outside any
// dialog (RFC 3261 section 11).
func (d *Door) Ping(ctx context.Context, a upstream.Address) (status int, err error) {
	hostport := a.AddrPort.String()
	h := d.hopFor(a.Transport, hostport)
	uri := sipmsg.Uri{Scheme: "sip", Host: bracket(a.AddrPort.Addr()), Port: int(a.AddrPort.Port())}
	if a.Transport != "UDP" {
		uri.UriParams.Add("transport", strings.ToLower(a.Transport))
	}
	us := h.contact("portero", a.Transport)
	req := sipmsg.NewRequest(sipmsg.OPTIONS, *uri.Clone())
	req.AppendHeader(h.via(a.Transport))
	hops := sipmsg.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	from := &sipmsg.FromHeader{Address: us}
	from.Params.Add("tag", token(12))
	req.AppendHeader(from)
	req.AppendHeader(&sipmsg.ToHeader{Address: uri})
	id := sipmsg.CallIDHeader(token(20) + "@portero")
	req.AppendHeader(&id)
	req.AppendHeader(&sipmsg.CSeqHeader{SeqNo: 1, MethodName: sipmsg.OPTIONS})
	req.AppendHeader(&sipmsg.ContactHeader{Address: us})
	req.AppendHeader(sipmsg.NewHeader("Accept", "application/sdp"))
	req.SetBody(nil)
	req.SetTransport(a.Transport)
	req.SetDestination(hostport)
	h.leave(req, a.Transport)
	p := &ping{status: make(chan int, 1), failed: make(chan error, 1)}
	tx, err := d.start(req, d.cfg.Upstream.Health.Timeout, p)
	if err != nil {
		return 0, err
	}
	select {
	case status := <-p.status:
		return status, nil
	case err := <-p.failed:
		return 0, err
	case <-ctx.Done():
		tx.Drop()
		return 0, errSilent
	}
}

// ping waits for what an OPTIONS comes to.
type ping struct {
	status chan int // the final response's
	failed chan error
}

// Response implements transaction.ClientUser.
func (p *ping) Response(res *sipmsg.Response) {
	if !res.IsProvisional() {
		p.status <- res.StatusCode // there is one final response to a request that is no INVITE
	}
}

// Failed implements transaction.ClientUser.
func (p *ping) Failed(err error) { p.failed <- err }
