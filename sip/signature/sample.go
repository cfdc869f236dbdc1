package signature

import (
	"fmt"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/portero/portero/sip/fingerprint"
)

// samples reads a list of messages: each a text, or a map of message and
// sender.
func (r *reader) samples(n *yaml.Node, path string) (out []Sample) {
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		r.fault(n, path, "there is no sample; allowed: one message or more")
	}
	r.items(n, path, func(n *yaml.Node, path string) {
		s := Sample{at: r.at(n)}
		text := n
		if n.Kind == yaml.MappingNode {
			text = nil
			r.entries(n, path, []string{"message", "sender"}, func(key, v *yaml.Node, path string) {
				switch key.Value {
				case "message":
					text = v
				case "sender":
					a, err := netip.ParseAddr(v.Value)
					if v.Kind != yaml.ScalarNode || err != nil {
						r.fault(v, path, "%s; allowed: an IP address", written(v))
					} else {
						s.Source = a.String()
					}
				}
			})
			if text == nil {
				r.fault(n, path, "the sample has no message")
				return
			}
		}
		value, ok := r.scalar(text, path)
		if !ok {
			return
		}
		if !startsSIP(value) {
			first, _, _ := strings.Cut(value, "\n")
			r.fault(text, path, "%q begins no SIP message; allowed: a request or response, as it was sent", short(first))
			return
		}
		s.Message = wire(value)
		out = append(out, s)
	})
	return out
}

// startsSIP says whether a text begins with a request line or a status line.
func startsSIP(text string) bool {
	line, _, _ := strings.Cut(text, "\n")
	line = strings.TrimRight(line, "\r ")
	return strings.HasPrefix(line, "SIP/2.0 ") || strings.HasSuffix(line, " SIP/2.0")
}

// wire makes a message of a text: lines end in CRLF, and an empty one stands
// after the headers.
func wire(text string) []byte {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if !strings.Contains(text, "\n\n") {
		text = strings.TrimSuffix(text, "\n") + "\n\n"
	}
	return []byte(strings.ReplaceAll(text, "\n", "\r\n"))
}

// Check holds every signature to its samples: a positive one must match it, and
// prove its stack unless a stronger mark is there; a negative one must not match.
// Each error is a Fault at the sample.
func (s *Set) Check() (faults Faults) {
	for _, g := range s.all {
		tell := func(one Sample, list string, i int, format string, args ...any) {
			faults = append(faults, Fault{File: one.at.file, Line: one.at.line, Column: one.at.column,
				Path: fmt.Sprintf("%s.%s[%d]", g.Name, list, i), Message: fmt.Sprintf(format, args...)})
		}
		for i, one := range g.Positive {
			matches, r := s.try(g, one)
			switch {
			case !matches:
				tell(one, "positive", i, "does not match, and must")
			case g.Stack != "" && r.Stack == "":
				tell(one, "positive", i, "proves no stack, and must prove %s", g.Stack)
			case g.Drop && !s.Drops(one.Message):
				tell(one, "positive", i, "is not dropped, and must be")
			}
		}
		for i, one := range g.Negative {
			if matches, _ := s.try(g, one); matches {
				tell(one, "negative", i, "matches, and must not")
			}
		}
	}
	return faults
}

// try says whether a sample matches one signature, and what it matches in all.
func (s *Set) try(g *Signature, one Sample) (matches bool, r Match) {
	from, _ := netip.ParseAddr(one.Source)
	fingerprint.Examine(one.Message, func(m *fingerprint.Message) {
		matches = g.need&^m.Has() == 0 && g.when.match(m, from)
		r = s.Match(m, from, g.SeenOn)
	})
	return matches, r
}
