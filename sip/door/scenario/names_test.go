package scenario_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/portero/portero/sip/upstream"
)

// names is the DNS of a scenario. Its answers may be kept for a second, the
// least that a door keeps them.
type names struct {
	mu sync.Mutex
	of map[string][]string
}

func (n *names) set(name string, addresses []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string][]string{}
	}
	n.of[name] = addresses
}

// Resolve implements upstream.Resolver.
func (n *names) Resolve(_ context.Context, _, host string, _ int, _ string) ([]upstream.Address, time.Duration, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []upstream.Address
	for _, a := range n.of[host] {
		at, err := netip.ParseAddrPort(a)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, upstream.Address{Transport: "UDP", AddrPort: at, Host: host})
	}
	if len(out) == 0 {
		return nil, 0, errors.New("SERVFAIL")
	}
	return out, time.Second, nil
}
