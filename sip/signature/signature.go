package signature

import (
	"slices"
	"time"

	"github.com/portero/portero/policy"
)

// Signature is one make of stack, and how to know it.
type Signature struct {
	// Name is what rules, records and reports call it: lower-case letters, digits
	// and dashes. A signature of an operator's file replaces the built-in one of
	// the same name.
	Name string
	// Maker is the make in words, as people say it.
	Maker string
	// Kind is one of policy.SignatureKinds.
	Kind string
	// Stack is the stack that a match proves; "" if it proves none. What the
	// sender only claims (its User-Agent) proves nothing.
	Stack string
	// Media is where the first RTP packet of that stack counts from; nil is not
	// known, or anywhere.
	Media *Media
	// LLR is ln(P(match|machine)/P(match|human)), -1 to 5; not above 0 for the
	// kinds that carry people.
	LLR float64
	// Says is the sentence of the evidence; "" is one made of Maker and Kind.
	Says string
	// Source is where the marks were found.
	Source string
	// SeenOn is the day when they were seen last, ValidTo the last day on which
	// they are believed.
	SeenOn, ValidTo time.Time
	// Unseen says of a mark that is known and that the database does not look for
	// what it is, and why not; such a signature has no conditions.
	Unseen string
	// Drop says that messages that match are dropped before they are parsed.
	Drop bool
	// Off takes the built-in signature of that name out.
	Off bool
	// FalsePositives are what was counted on benign captures.
	FalsePositives *Count
	// Positive are messages that must match, Negative ones that must not.
	Positive, Negative []Sample

	at       place // in its file
	when     group
	need     uint64 // fields that a message must have to match
	strength strength
	leaves   int // conditions, those that must all hold
	one      []string
	evidence [2]policy.Evidence // while it is valid, and later
	expires  time.Time          // the first moment at which it is not believed
}

// Count is what a signature matched on captures of a benign kind.
type Count struct {
	Captures, Messages int // looked at
	Matches            int // of other makes than the signature's
}

// Media is where a stack's RTP counts from: the sequence number and timestamp of
// the first packet that it makes, from the first number of each to the second.
type Media struct {
	Sequence  [2]uint16
	Timestamp [2]uint32
}

// Sample is a message, and where it came from if that matters.
type Sample struct {
	Source  string // IP address; "" is not known
	Message []byte // with CRLF

	at place
}

// strength is how much a kind of mark proves; the most of a signature's counts.
type strength uint8

const (
	claims      strength = iota // what the sender says it is
	description                 // SDP, which a B2BUA may pass on from another
	headers                     // what the signalling is written like
	arithmetic                  // tokens and numbers, that only the stack itself makes
)

// weights of kinds: those before people may weigh something.
var kinds = []struct {
	name, evidence string
	people         bool // people call through it as well
	says           string
}{
	{"scanner", "sig.scanner", false, "the signalling is that of %s, a scanning tool"},
	{"load-tool", "sig.load_tool", false, "the signalling is that of %s, a load generator"},
	{"agent-platform", "sig.agent_platform", false, "the call bears marks of %s, a platform for automated agents"},
	{"dialer", "sig.dialer", false, "the signalling is that of %s, a program that calls by itself"},
	{"carrier", "sig.carrier", true, "the signalling is that of %s, a carrier; that says nothing of the caller behind it"},
	{"gateway", "sig.gateway", true, "the signalling is that of %s, a gateway; that says nothing of the caller behind it"},
	{"pbx", "sig.pbx", true, "the signalling is that of %s, a PBX; that says nothing of the caller behind it"},
	{"phone", "sig.phone", true, "the signalling is that of %s, a telephone"},
	{"library", "sig.library", true, "the signalling is that of %s, a library that anything may be built on"},
}

// rank is the place of a kind among kinds; the first is told before the others.
func rank(kind string) int {
	for i, k := range kinds {
		if k.name == kind {
			return i
		}
	}
	return len(kinds)
}

// expired says whether the marks are still believed at a time.
func (s *Signature) expired(at time.Time) bool { return !at.Before(s.expires) }

// dated says that the signature goes by addresses, which change hands: it does
// not match at all once it has expired.
func (s *Signature) dated() bool { return s.when.sources() }

// Set is a database. It is safe for concurrent use.
type Set struct {
	all    []*Signature // that are looked for, in the order in which they are told
	unseen []*Signature
	claims []claim
	gate   gate
}

// Signatures are all, sorted by name; those that are not looked for too.
func (s *Set) Signatures() []*Signature {
	out := append(slices.Clone(s.all), s.unseen...)
	slices.SortFunc(out, func(a, b *Signature) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

// Names are those that a match may have, sorted.
func (s *Set) Names() []string {
	out := make([]string, 0, len(s.all))
	for _, g := range s.all {
		out = append(out, g.Name)
	}
	slices.Sort(out)
	return out
}

// Expired are the signatures that are not believed any more at a time.
func (s *Set) Expired(at time.Time) (out []*Signature) {
	for _, g := range s.Signatures() {
		if g.expired(at) {
			out = append(out, g)
		}
	}
	return out
}
