package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// lookups are the questions that RFC 3263 asks of DNS. None returns an error
// for a name that has no such record, only when it is not known whether it has.
type lookups interface {
	naptr(ctx context.Context, name string) ([]naptr, time.Duration, error)
	srv(ctx context.Context, name string) ([]srv, time.Duration, error)
	addrs(ctx context.Context, name string) ([]netip.Addr, time.Duration, error)
	// hosts asks the hosts file.
	hosts(ctx context.Context, name string) []netip.Addr
	// names are the names that a host may mean, by the search list.
	names(host string) []string
}

type naptr struct {
	order, preference uint16
	flags, service    string
	replacement       string
}

type srv struct {
	priority, weight, port uint16
	target                 string
}

// locator does RFC 3263 section 4 for the transports that it is given.
type locator struct {
	ask        lookups
	transports []string
}

// hostsTTL is how long an answer of the hosts file is kept.
const hostsTTL = time.Minute

// Resolve implements Resolver.
func (l *locator) Resolve(ctx context.Context, scheme, host string, port int, transport string) ([]Address, time.Duration, error) {
	p := place{host: host, port: port, transport: transport, secure: scheme == "sips"}
	if own := l.ask.hosts(ctx, host); len(own) > 0 {
		var out []Address
		for _, a := range own {
			out = append(out, p.at(a, p.defaultTransport(), port))
		}
		return out, hostsTTL, nil
	}
	var err error
	for _, name := range l.ask.names(host) {
		found, ttl, e := l.locate(ctx, p, name)
		if len(found) > 0 {
			return found, ttl, nil
		}
		err = errors.Join(err, e)
	}
	if err == nil {
		err = fmt.Errorf("%q has no address", host)
	}
	return nil, 0, err
}

// locate finds the addresses of one name (RFC 3263 sections 4.1 and 4.2).
func (l *locator) locate(ctx context.Context, p place, name string) ([]Address, time.Duration, error) {
	if p.port != 0 {
		return l.hosts(ctx, p, name, p.defaultTransport())
	}
	services, ttl, err := l.services(ctx, p, name)
	if err != nil {
		return nil, 0, err
	}
	for _, s := range services {
		found, t, err := l.service(ctx, p, s)
		if err != nil {
			return nil, 0, err
		}
		if len(found) > 0 {
			return found, min(ttl, t), nil
		}
	}
	return l.hosts(ctx, p, name, p.defaultTransport())
}

// service is a name to ask for SRV records, and the transport they are for.
type service struct {
	transport, name string
}

// services lists what may be asked for, the best first: what NAPTR offers, or
// all that the door can do.
func (l *locator) services(ctx context.Context, p place, name string) ([]service, time.Duration, error) {
	if p.transport != "" {
		return []service{{p.transport, srvName(p.transport, name)}}, maxTTL, nil
	}
	records, ttl, err := l.ask.naptr(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	slices.SortStableFunc(records, func(a, b naptr) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.preference, b.preference))
	})
	var out []service
	for _, r := range records {
		t := map[string]string{"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS"}[strings.ToUpper(r.service)]
		if strings.EqualFold(r.flags, "s") && l.can(t, p.secure) {
			out = append(out, service{t, r.replacement})
		}
	}
	if len(out) > 0 {
		return out, ttl, nil
	}
	for _, t := range l.transports {
		if l.can(t, p.secure) {
			out = append(out, service{t, srvName(t, name)})
		}
	}
	return out, maxTTL, nil
}

func (l *locator) can(transport string, secure bool) bool {
	return slices.Contains(l.transports, transport) && (!secure || transport == "TLS")
}

func srvName(transport, name string) string {
	return map[string]string{"UDP": "_sip._udp.", "TCP": "_sip._tcp.", "TLS": "_sips._tcp."}[transport] + name
}

// service finds the servers of one SRV name and their addresses. A server that
// has none is left out; it is an error only if it is all there is.
func (l *locator) service(ctx context.Context, p place, s service) ([]Address, time.Duration, error) {
	records, ttl, err := l.ask.srv(ctx, s.name)
	if err != nil {
		return nil, 0, err
	}
	var out []Address
	var faults error
	for _, r := range records {
		if r.target == "." || r.target == "" { // RFC 2782: decidedly not available here
			continue
		}
		addrs, t, err := l.ask.addrs(ctx, r.target)
		if err != nil {
			faults = errors.Join(faults, err)
			continue
		}
		ttl = min(ttl, t)
		for _, a := range addrs {
			at := p.at(a, s.transport, int(r.port))
			at.priority, at.weight = r.priority, r.weight
			out = append(out, at)
		}
	}
	if len(out) == 0 {
		return nil, ttl, faults
	}
	if faults != nil { // ask for the missing ones soon
		ttl = min(ttl, resolveAgain)
	}
	return sorted(out), ttl, nil
}

// hosts finds the addresses of the name itself.
func (l *locator) hosts(ctx context.Context, p place, name, transport string) ([]Address, time.Duration, error) {
	addrs, ttl, err := l.ask.addrs(ctx, name)
	var out []Address
	for _, a := range addrs {
		out = append(out, p.at(a, transport, p.port))
	}
	return sorted(out), ttl, err
}

// sorted puts addresses in an order that does not depend on DNS, which turns
// them round with each answer, and leaves repeats out.
func sorted(out []Address) []Address {
	slices.SortFunc(out, func(a, b Address) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), a.AddrPort.Compare(b.AddrPort), cmp.Compare(a.weight, b.weight))
	})
	return slices.CompactFunc(out, func(a, b Address) bool { return a.key() == b.key() })
}
