package signature

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/portero/portero/sip/fingerprint"
)

// conditionKeys are all that a group may have.
var conditionKeys = append(append(slices.Sorted(maps.Keys(fingerprint.Fields)), slices.Sorted(maps.Keys(fingerprint.Relations))...),
	"cseq", "status", "within", "header", "sender", "any", "not")

// group reads conditions that must all hold.
func (r *reader) group(n *yaml.Node, path string) group {
	var g group
	ok := r.entries(n, path, conditionKeys, func(key, v *yaml.Node, path string) {
		if c, ok := r.condition(key.Value, v, path); ok {
			g = append(g, c)
		}
	})
	slices.SortStableFunc(g, func(a, b condition) int { return int(a.what) - int(b.what) })
	if ok && len(n.Content) == 0 {
		r.fault(n, path, "there are no conditions; every message would match")
	}
	return g
}

// condition reads the one under a key.
func (r *reader) condition(key string, v *yaml.Node, path string) (condition, bool) {
	before := len(r.faults)
	var c condition
	if f, ok := fingerprint.Fields[key]; ok {
		c = condition{what: text, field: f, globs: r.globs(v, path)}
		return c, len(r.faults) == before
	}
	if a, ok := fingerprint.Relations[key]; ok {
		c = condition{what: relation, holds: a, want: r.boolean(v, path)}
		return c, len(r.faults) == before
	}
	switch key {
	case "within":
		c = condition{what: dialog, want: r.boolean(v, path)}
	case "cseq":
		c = condition{what: cseq}
		c.lo, c.hi = r.span(v, path, 1<<32-1)
	case "status":
		c = condition{what: status}
		c.lo, c.hi = r.span(v, path, 699)
	case "header":
		c = condition{what: extension}
		for _, one := range r.texts(v, path) {
			if !strings.HasPrefix(strings.ToLower(one.Value), "x-") {
				r.fault(one, path, "%q is no extension header; allowed: names that begin with X-", short(one.Value))
			}
			c.names = append(c.names, one.Value)
		}
	case "sender":
		c = condition{what: source}
		for _, one := range r.texts(v, path) {
			c.sources = append(c.sources, r.network(one, path))
		}
	case "any":
		c = condition{what: anyOf}
		r.items(v, path, func(n *yaml.Node, path string) {
			one := r.group(n, path)
			c.groups, c.needs = append(c.groups, one), append(c.needs, one.need())
		})
		if v.Kind == yaml.SequenceNode && len(v.Content) < 2 {
			r.fault(v, path, "any needs two groups of conditions or more")
		}
	case "not":
		c = condition{what: not, groups: []group{r.group(v, path)}}
	}
	return c, len(r.faults) == before
}

// globs reads patterns.
func (r *reader) globs(n *yaml.Node, path string) (out []glob) {
	for _, one := range r.texts(n, path) {
		if strings.Trim(one.Value, "*") == "" && one.Value != "" {
			r.fault(one, path, "%q matches everything; allowed: a text, with * for any text", short(one.Value))
			continue
		}
		out = append(out, newGlob(one.Value))
	}
	return out
}

// span reads a number, or two with a dash between.
func (r *reader) span(n *yaml.Node, path string, most uint64) (lo, hi uint64) {
	a, b, two := strings.Cut(n.Value, "-")
	if !two {
		b = a
	}
	lo, errA := strconv.ParseUint(a, 10, 64)
	hi, errB := strconv.ParseUint(b, 10, 64)
	if n.Kind != yaml.ScalarNode || errA != nil || errB != nil || lo > hi || hi > most {
		r.fault(n, path, "%s; allowed: a number up to %d, or a span of them like 20-23", written(n), most)
	}
	return lo, hi
}

// network reads an address or a network.
func (r *reader) network(n *yaml.Node, path string) netip.Prefix {
	if a, err := netip.ParseAddr(n.Value); err == nil {
		return netip.PrefixFrom(a, a.BitLen())
	}
	p, err := netip.ParsePrefix(n.Value)
	switch {
	case err != nil:
		r.fault(n, path, "%q is no address or network; allowed: an IP address or network, like 192.0.2.1 or 192.0.2.0/24", short(n.Value))
	case p != p.Masked():
		r.fault(n, path, "%s has bits set beyond its length; write %s", p, p.Masked())
	}
	return p
}
