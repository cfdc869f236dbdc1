package transport

import (
	"net"
	"net/netip"
	"sync"
)

// comer is where connections come from: everywhere for the sum, or one peer.
type comer struct {
	web  bool // over WS or WSS
	peer netip.Addr
}

// admit asks the handler and the limits whether a peer may connect, and counts
// the connection in. It is counted out by leave, called once or more.
func (l *Layer) admit(transport string, c net.Conn) (leave func(), ok bool) {
	local, remote := addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
	if !l.handler.Admit(transport, local, remote) {
		return nil, false
	}
	all, perPeer := l.limits.Connections, l.limits.PerPeer
	sum := comer{web: IsWebSocket(transport)}
	if sum.web {
		all, perPeer = l.limits.WebSockets, l.limits.PerWebSocketPeer
	}
	one := comer{sum.web, site(remote.Addr())}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, false
	}
	if l.came[sum] >= all || l.came[one] >= perPeer {
		l.handler.Refused("too_many_connections")
		return nil, false
	}
	l.came[sum]++
	l.came[one]++
	l.wg.Add(1)
	return sync.OnceFunc(func() {
		l.mu.Lock()
		for _, k := range [...]comer{sum, one} {
			if l.came[k]--; l.came[k] <= 0 {
				delete(l.came, k)
			}
		}
		l.mu.Unlock()
		l.wg.Done()
	}), true
}

// site is whom an address belongs to, as far as limits go: a customer of IPv6
// has a /64 at least.
func site(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
