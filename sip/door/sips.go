package door

import (
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/transport"
)

// What is called by a sips URI goes by TLS all the way or not at all (RFC 5630).
// That holds for what came by TLS: who calls one in the clear has the way broken
// already, and is served like anybody else. Emergency calls go as they can.

// isSIPS says whether a request that came over a transport must go by TLS.
func isSIPS(req *sipmsg.Request, over string) bool {
	return sipsURI(&req.Recipient) && transport.Secure(over)
}

func sipsURI(u *sipmsg.Uri) bool { return strings.EqualFold(u.Scheme, "sips") }

// isSIPS says whether the leg's Contact must be a sips URI (RFC 3261 sections
// 8.1.1.8 and 12.1.1).
func (l *leg) isSIPS() bool {
	return transport.Secure(l.transport) &&
		(l.uas && l.invite != nil && sipsURI(&l.invite.Recipient) || sipsURI(&l.target) || len(l.routes) > 0 && sipsURI(&l.routes[0]))
}

// makeSIPS makes a URI of the door's a sips URI, whose transport is TLS unsaid
// (RFC 5630 section 3.1.3).
func makeSIPS(u *sipmsg.Uri, over string) {
	u.Scheme = "sips"
	if over == transport.TLS {
		u.UriParams.Remove("transport")
	}
}

// sipsNotAllowed says why a sips request goes no further (RFC 5630 section 6.1).
func sipsNotAllowed() sipmsg.Header {
	return sipmsg.NewHeader("Warning", `380 portero "SIPS Not Allowed"`)
}

// refuseInsecure refuses a sips call that could only go on in the clear (RFC 5630
// section 5.3).
func (c *call) refuseInsecure(dest string) {
	c.log.Warn("a call to a sips URI is refused: it would go on without TLS; give the destination or trunk a URI with transport=tls", zap.String("destination", dest))
	c.came("failed: no TLS")
	c.refuse(480, "Temporarily Unavailable", sipsNotAllowed())
}
