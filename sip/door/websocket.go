package door

import (
	"fmt"
	"strings"

	"github.com/portero/portero/sip/transport"
)

// WebSocket is how SIP over WebSocket (RFC 7118) is taken. Its callers come from
// anywhere, so that no address says who they are: all of them belong to one trunk,
// and are answered by the connection that they made and never elsewhere.
type WebSocket struct {
	// Trunk is the trunk that everything over ws and wss belongs to; it needs no
	// addresses. Default: none; ws and wss listeners need it.
	Trunk string `yaml:"trunk"`
	// Path is the path of the WebSocket's URL. Default: /.
	Path string `yaml:"path"`
	// Origins are the web sites whose pages may connect, like
	// https://phone.example.com; "*" is every site. Clients that are no browsers
	// name none, and may. Default: none.
	Origins []string `yaml:"origins"`
	// MaxConnections is how many WebSockets may be open. Default: 2048.
	MaxConnections int `yaml:"max_connections"`
	// MaxConnectionsPerPeer is how many of them may come from one address (from one
	// /64 of IPv6). Default: 64.
	MaxConnectionsPerPeer int `yaml:"max_connections_per_peer"`
}

func (c WebSocket) check(door Config, fault func(path, format string, args ...any)) {
	if c.Trunk == "" && door.listens(transport.WS, transport.WSS) {
		fault("websocket.trunk", "there is none, and what comes over ws and wss must belong to a trunk")
	}
	if _, ok := door.trunkNamed(c.Trunk); !ok && c.Trunk != "" {
		fault("websocket.trunk", "%q is no trunk", c.Trunk)
	}
	if !strings.HasPrefix(c.Path, "/") || strings.ContainsAny(c.Path, "?# ") {
		fault("websocket.path", "%q is no path of a URL; allowed: / and what may follow it", c.Path)
	}
	for i, o := range c.Origins {
		if err := transport.CheckOrigin(o); err != nil {
			fault(fmt.Sprintf("websocket.origins[%d]", i), "%q: %v", o, err)
		}
	}
	for path, n := range map[string]int{"max_connections": c.MaxConnections, "max_connections_per_peer": c.MaxConnectionsPerPeer} {
		if n < 1 {
			fault("websocket."+path, "%d is too small; allowed: 1 and more", n)
		}
	}
}

func (c Config) trunkNamed(name string) (Trunk, bool) {
	for _, t := range c.Trunks {
		if t.Name == name {
			return t, true
		}
	}
	return Trunk{}, false
}

// trunkBy returns the trunk that a message belongs to by the way it came: that of
// the WebSockets, else that of its address.
func (d *Door) trunkBy(f transport.Flow) (Trunk, bool) {
	if transport.IsWebSocket(f.Transport) {
		return d.cfg.trunkNamed(d.cfg.WebSocket.Trunk)
	}
	return d.trunkOf(f.Remote.Addr())
}

// knowsFlow says whether the configuration names whoever is at the other end.
func (d *Door) knowsFlow(f transport.Flow) bool {
	return transport.IsWebSocket(f.Transport) || d.knows(f.Remote.Addr())
}
