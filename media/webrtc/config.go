package webrtc

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Config is the webrtc part of the media section.
type Config struct {
	// Listen are the UDP sockets for the media of browsers, as address:port with a
	// local IP address (that of IPv6 in brackets). All browsers share them. They are
	// told that address, or, behind a one-to-one NAT, those after " advertise ":
	// "10.0.0.5:3478 advertise 203.0.113.5". Default: none, and a browser's offer is
	// passed on as it is, which few PBXs can take.
	Listen []string `yaml:"listen"`
}

// maxListen bounds the sockets, each of which is a candidate in every answer.
const maxListen = 16

// Enabled says whether browsers are served.
func (c Config) Enabled() bool { return len(c.Listen) > 0 }

// Check reports every mistake, each with its path below the section.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if len(c.Listen) > maxListen {
		fault("listen", "has %d sockets; allowed: %d at most", len(c.Listen), maxListen)
	}
	seen := map[netip.AddrPort]bool{}
	for i, s := range c.Listen {
		at := fmt.Sprintf("listen[%d]", i)
		l, err := parseListen(s)
		if err != nil {
			fault(at, "%v", err)
			continue
		}
		if l.addr.Port() == 0 {
			fault(at, "%q has port 0, which no firewall can know; allowed: 1 to 65535", s)
		}
		if seen[l.addr] {
			fault(at, "%s is there twice", l.addr)
		}
		seen[l.addr] = true
	}
}

// listen is one parsed socket.
type listen struct {
	addr netip.AddrPort
	told []netip.Addr // to browsers; the port is the same
}

func parseListen(s string) (listen, error) {
	f := strings.Fields(s)
	if len(f) == 0 || len(f) > 1 && (len(f) == 2 || f[1] != "advertise") {
		return listen{}, fmt.Errorf("%q is not address:port, with or without \" advertise ADDRESS\" behind", s)
	}
	a, err := netip.ParseAddrPort(f[0])
	if err != nil {
		return listen{}, fmt.Errorf("%q is not address:port; an address of IPv6 stands in brackets", f[0])
	}
	l := listen{addr: netip.AddrPortFrom(a.Addr().Unmap(), a.Port())}
	if a.Addr().Zone() != "" {
		return listen{}, fmt.Errorf("%q: an address with a zone means nothing to a browser; allowed: one without", f[0])
	}
	if len(f) == 1 {
		if a.Addr().IsUnspecified() {
			return listen{}, fmt.Errorf("%q: no browser can send to %s; allowed: the address itself, or \" advertise ADDRESS\" behind", s, a.Addr())
		}
		l.told = []netip.Addr{l.addr.Addr()}
		return l, nil
	}
	for _, v := range f[2:] {
		t, err := netip.ParseAddr(v)
		switch {
		case err != nil || t.Zone() != "":
			return listen{}, fmt.Errorf("%q: %q is no IP address", s, v)
		case t.IsUnspecified() || t.IsMulticast():
			return listen{}, fmt.Errorf("%q: no browser can send to %s", s, t)
		case t.Is4() != l.addr.Addr().Is4():
			return listen{}, fmt.Errorf("%q: %s is not of the same IP version as %s", s, t, l.addr.Addr())
		case slices.Contains(l.told, t):
			return listen{}, fmt.Errorf("%q: %s is there twice", s, t)
		}
		l.told = append(l.told, t)
	}
	return l, nil
}
