package signature

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/portero/portero/policy"
)

// File is one file of signatures.
type File struct {
	Name string
	Data []byte
	// Own says that it is the operator's: its signatures and claims go before the
	// built-in ones, and replace those of the same name.
	Own bool
}

// addressesFor is how long a signature by addresses may be believed.
const addressesFor = 90 * 24 * time.Hour

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// Load compiles a database out of files. The error, if any, is Faults.
func Load(files ...File) (*Set, error) {
	var faults Faults
	var all []*Signature
	s := &Set{}
	var own, builtIn []claim
	stacks := map[string]bool{} // that signatures prove, also those that are replaced
	taken := map[bool]map[string]place{true: {}, false: {}}
	for _, f := range files {
		r := &reader{name: f.Name}
		signatures, claims := r.file(f.Data)
		for _, g := range signatures {
			if first, twice := taken[f.Own][g.Name]; twice {
				r.fault(&yaml.Node{Line: g.at.line, Column: g.at.column}, "", "%q is also the name of a signature in %s:%d; allowed: each name once", g.Name, first.file, first.line)
			} else if g.Name != "" {
				taken[f.Own][g.Name] = g.at
			}
		}
		faults = append(faults, r.faults.sorted()...)
		if f.Own {
			own = append(own, claims...)
		} else {
			builtIn = append(builtIn, claims...)
		}
		for _, g := range signatures {
			stacks[g.Stack] = true
			i := slices.IndexFunc(all, func(o *Signature) bool { return o.Name == g.Name })
			switch {
			case i < 0:
				all = append(all, g)
			case f.Own:
				all[i] = g
			}
		}
	}
	s.claims = append(slices.Clone(own), builtIn...)
	for _, g := range all {
		if g.Off && taken[false][g.Name] == (place{}) {
			faults = append(faults, Fault{File: g.at.file, Line: g.at.line, Column: g.at.column,
				Message: fmt.Sprintf("there is no built-in signature %q to take out", g.Name)})
		}
	}
	for _, c := range own {
		for _, stack := range append(slices.Clone(c.made), c.unmade...) {
			if !stacks[stack] && len(faults) == 0 {
				faults = append(faults, Fault{File: c.at.file, Line: c.at.line, Column: c.at.column,
					Message: fmt.Sprintf("no signature proves the stack %q; allowed: a stack that one proves", stack)})
			}
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	for _, g := range all {
		switch {
		case g.Off:
		case g.Unseen != "":
			s.unseen = append(s.unseen, g)
		default:
			g.compile()
			s.all = append(s.all, g)
			if g.Drop {
				s.gate.add(g.when) // read has told what cannot be
			}
		}
	}
	slices.SortStableFunc(s.all, func(a, b *Signature) int {
		return 4*(rank(a.Kind)-rank(b.Kind)) + 2*sign(b.LLR-a.LLR) + sign(float64(b.strength)-float64(a.strength))
	})
	return s, nil
}

func sign(x float64) int {
	switch {
	case x < 0:
		return -1
	case x > 0:
		return 1
	}
	return 0
}

// compile prepares what matching asks for.
func (s *Signature) compile() {
	s.need, s.strength, s.leaves = s.when.need(), s.when.strength(), s.when.leaves()
	s.one = []string{s.Name}
	k := kinds[rank(s.Kind)]
	says := s.Says
	if says == "" {
		says = fmt.Sprintf(k.says, s.Maker)
	}
	s.evidence[0] = policy.Evidence{Name: k.evidence, LLR: s.LLR, Says: says}
	s.evidence[1] = policy.Evidence{Name: k.evidence,
		Says: says + " (known by a signature that expired on " + s.ValidTo.Format(time.DateOnly) + ", so that it weighs nothing)"}
}

// file reads one file.
func (r *reader) file(b []byte) (signatures []*Signature, claims []claim) {
	root := r.parse(b)
	if root == nil {
		return nil, nil
	}
	r.entries(root, "", []string{"signatures", "claims"}, func(key, value *yaml.Node, path string) {
		r.items(value, path, func(n *yaml.Node, path string) {
			if key.Value == "claims" {
				claims = append(claims, r.claim(n, path))
			} else if g := r.signature(n, path); g != nil {
				signatures = append(signatures, g)
			}
		})
	})
	return signatures, claims
}

var signatureKeys = []string{"name", "maker", "kind", "stack", "rtp", "llr", "says", "when", "unseen", "drop", "off", "source", "seen_on", "valid_to", "false_positives", "positive", "negative"}

// signature reads one; nil if it is none.
func (r *reader) signature(n *yaml.Node, path string) *Signature {
	g := &Signature{at: r.at(n)}
	at := map[string]*yaml.Node{} // also what cannot be read, which is said once
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			at[n.Content[i].Value] = n.Content[i+1]
		}
	}
	ok := r.entries(n, path, signatureKeys, func(key, v *yaml.Node, path string) {
		switch key.Value {
		case "name":
			if g.Name, _ = r.scalar(v, path); !nameForm.MatchString(g.Name) {
				r.fault(v, path, "%q is no name; allowed: lower-case letters, digits and dashes, at most 64", short(g.Name))
			}
		case "maker":
			g.Maker = r.line(v, path)
		case "kind":
			if g.Kind, _ = r.scalar(v, path); !slices.Contains(policy.SignatureKinds, g.Kind) {
				r.fault(v, path, "%q is no kind; allowed: %s", short(g.Kind), strings.Join(policy.SignatureKinds, ", "))
			}
		case "stack":
			if g.Stack, _ = r.scalar(v, path); !nameForm.MatchString(g.Stack) {
				r.fault(v, path, "%q is no name of a stack; allowed: lower-case letters, digits and dashes, at most 64", short(g.Stack))
			}
		case "rtp":
			g.Media = r.media(v, path)
		case "llr":
			f, err := strconv.ParseFloat(v.Value, 64)
			if v.Kind != yaml.ScalarNode || err != nil || !(f >= -1 && f <= 5) {
				r.fault(v, path, "%s; allowed: a number from -1 to 5", written(v))
			} else {
				g.LLR = f
			}
		case "says":
			g.Says = r.line(v, path)
		case "when":
			g.when = r.group(v, path)
		case "unseen":
			g.Unseen = r.line(v, path)
		case "drop":
			g.Drop = r.boolean(v, path)
		case "off":
			g.Off = r.boolean(v, path)
		case "source":
			g.Source = r.line(v, path)
		case "seen_on":
			g.SeenOn = r.date(v, path)
		case "valid_to":
			g.ValidTo = r.date(v, path)
		case "false_positives":
			g.FalsePositives = r.count(v, path)
		case "positive":
			g.Positive = r.samples(v, path)
		case "negative":
			g.Negative = r.samples(v, path)
		}
	})
	if !ok {
		return nil
	}
	r.whole(n, path, g, at)
	return g
}

// whole checks that what belongs together is there.
func (r *reader) whole(n *yaml.Node, path string, g *Signature, at map[string]*yaml.Node) {
	missing := func(keys ...string) {
		for _, k := range keys {
			if at[k] == nil {
				r.fault(n, path, "%s has no %s; it must have one", named(g), k)
			}
		}
	}
	if g.Off {
		missing("name")
		for _, k := range signatureKeys {
			if at[k] != nil && k != "name" && k != "off" {
				r.fault(at[k], join(path, k), "a signature that is off has nothing but its name; remove this")
			}
		}
		return
	}
	missing("name", "maker", "kind", "source", "seen_on", "valid_to")
	switch {
	case at["when"] != nil && at["unseen"] != nil:
		r.fault(at["unseen"], join(path, "unseen"), "a signature has conditions (when) or says why there are none (unseen), not both")
	case at["unseen"] != nil:
		for _, k := range []string{"stack", "rtp", "llr", "drop", "false_positives", "positive", "negative"} {
			if at[k] != nil {
				r.fault(at[k], join(path, k), "a signature that is not looked for has no %s; remove it", k)
			}
		}
	case at["when"] == nil:
		r.fault(n, path, "%s has no conditions (when), and does not say why (unseen)", named(g))
	default:
		missing("positive", "negative")
	}
	if at["seen_on"] != nil && at["valid_to"] != nil && !g.SeenOn.IsZero() && !g.ValidTo.IsZero() {
		switch {
		case g.ValidTo.Before(g.SeenOn):
			r.fault(at["valid_to"], join(path, "valid_to"), "%s is before seen_on", g.ValidTo.Format(time.DateOnly))
		case g.dated() && g.ValidTo.Sub(g.SeenOn) > addressesFor:
			r.fault(at["valid_to"], join(path, "valid_to"), "addresses change hands: a signature with a sender is believed for 90 days; allowed: at most %s", g.SeenOn.Add(addressesFor).Format(time.DateOnly))
		}
		g.expires = g.ValidTo.AddDate(0, 0, 1)
	}
	if i := rank(g.Kind); i < len(kinds) && kinds[i].people && g.LLR > 0 {
		r.fault(at["llr"], join(path, "llr"), "people call through a %s as well: its mark says nothing of the caller; allowed: 0 and less", g.Kind)
	}
	if at["when"] == nil || len(g.when) == 0 {
		return
	}
	if g.Stack != "" && g.when.strength() == claims {
		r.fault(at["stack"], join(path, "stack"), "these conditions ask only what the sender says it is, which proves no stack; add one over its tokens, headers or description, or remove this")
	}
	if g.Media != nil && g.Stack == "" {
		r.fault(at["rtp"], join(path, "rtp"), "says how a stack sends its media, and there is no stack; add it, or remove this")
	}
	if g.Drop && !(&gate{}).add(g.when) {
		r.fault(at["drop"], join(path, "drop"), "messages are dropped before they are parsed, by one condition over user_agent, from or contact; allowed: such a one (or any of such), or no drop")
	}
	if g.Drop && g.Kind != "scanner" {
		r.fault(at["drop"], join(path, "drop"), "only what a scanner sends is dropped; allowed: kind scanner, or no drop")
	}
}

func named(g *Signature) string {
	if g.Name == "" {
		return "the signature"
	}
	return g.Name
}

// line takes a text of one line that is not empty.
func (r *reader) line(n *yaml.Node, path string) string {
	s, ok := r.scalar(n, path)
	if ok && (strings.TrimSpace(s) == "" || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) || len(s) > 400) {
		r.fault(n, path, "%q is not right here; allowed: a line of text, at most 400 bytes", short(s))
	}
	return s
}

func (r *reader) date(n *yaml.Node, path string) time.Time {
	t, err := time.Parse(time.DateOnly, n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		r.fault(n, path, "%s; allowed: a day, like 2026-11-30", written(n))
	}
	return t
}

// media reads where RTP counts from; what is not given may be anything.
func (r *reader) media(n *yaml.Node, path string) *Media {
	m := &Media{Sequence: [2]uint16{0, 1<<16 - 1}, Timestamp: [2]uint32{0, 1<<32 - 1}}
	r.entries(n, path, []string{"sequence", "timestamp"}, func(key, v *yaml.Node, path string) {
		if key.Value == "sequence" {
			lo, hi := r.span(v, path, 1<<16-1)
			m.Sequence = [2]uint16{uint16(lo), uint16(hi)}
		} else {
			lo, hi := r.span(v, path, 1<<32-1)
			m.Timestamp = [2]uint32{uint32(lo), uint32(hi)}
		}
	})
	return m
}

func (r *reader) count(n *yaml.Node, path string) *Count {
	c := &Count{}
	r.entries(n, path, []string{"captures", "messages", "matches"}, func(key, v *yaml.Node, path string) {
		x, err := strconv.ParseUint(v.Value, 10, 31)
		if v.Kind != yaml.ScalarNode || err != nil {
			r.fault(v, path, "%s; allowed: a whole number", written(v))
		}
		switch key.Value {
		case "captures":
			c.Captures = int(x)
		case "messages":
			c.Messages = int(x)
		case "matches":
			c.Matches = int(x)
		}
	})
	return c
}

// claim reads one.
func (r *reader) claim(n *yaml.Node, path string) claim {
	c := claim{at: r.at(n)}
	keys := map[string]bool{}
	stacks := func(v *yaml.Node, path string) (out []string) {
		for _, one := range r.texts(v, path) {
			out = append(out, one.Value)
		}
		return out
	}
	ok := r.entries(n, path, []string{"name", "user_agent", "stacks", "not_stacks", "source"}, func(key, v *yaml.Node, path string) {
		keys[key.Value] = true
		switch key.Value {
		case "name":
			if c.name, _ = r.scalar(v, path); !nameForm.MatchString(c.name) {
				r.fault(v, path, "%q is no name; allowed: lower-case letters, digits and dashes, at most 64", short(c.name))
			}
		case "user_agent":
			c.agents = r.globs(v, path)
		case "stacks":
			c.made = stacks(v, path)
		case "not_stacks":
			c.unmade = stacks(v, path)
		case "source":
			r.line(v, path)
		}
	})
	if !ok {
		return c
	}
	for _, k := range []string{"name", "user_agent", "source"} {
		if !keys[k] {
			r.fault(n, path, "the claim has no %s; it must have one", k)
		}
	}
	if keys["stacks"] == keys["not_stacks"] {
		r.fault(n, path, "the claim must have stacks (it may be built on these) or not_stacks (it may not), one of them")
	}
	return c
}
