package signature

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portero/portero/sip/fingerprint"
)

// Sighting is one call of a capture: its first request outside a dialog.
type Sighting struct {
	CallID  string
	Message []byte
	From    netip.Addr
	At      time.Time
}

// Draft says of what a signature is to be written.
type Draft struct {
	Name   string // of the signature
	Kind   string // one of policy.SignatureKinds
	Source string // where the calls were seen
	CallID string // of the call that is meant; "" takes the make that most calls have
}

// learnt is a condition of a draft: a key, and one text or several.
type learnt struct{ key, value string }

// Write drafts a signature of the calls of one make among the sightings: those
// that write their headers and tokens alike and say that they are the same. What
// all of them have, and is no call's own, becomes a condition. The samples are
// rewritten, so that no number, name or address of the capture is in them. The
// draft is YAML that Load takes and whose samples Check holds.
func (d Draft) Write(s *Set, seen []Sighting) ([]byte, error) {
	mine, others, err := d.choose(seen)
	if err != nil {
		return nil, err
	}
	conditions := learn(mine)
	if len(conditions) == 0 {
		return nil, errors.New("nothing of these calls is the same in all of them and more than a call's own")
	}
	g, err := compiled(conditions)
	if err != nil {
		return nil, fmt.Errorf("the draft is no signature: %w", err)
	}
	var b bytes.Buffer
	last, agent, known := mine[0].At, "", map[string]int{}
	for _, one := range mine {
		if one.At.After(last) {
			last = one.At
		}
		fingerprint.Examine(one.Message, func(m *fingerprint.Message) {
			agent = string(m.Field(fingerprint.UserAgent))
			r := s.Match(m, one.From, one.At)
			for _, name := range r.Names() {
				known[name]++
			}
		})
	}
	same := 0
	var negative [][]byte
	for _, one := range others {
		if matches, _ := (&Set{}).try(g, Sample{Message: one.Message}); matches {
			same++
		} else if len(negative) < 2 {
			if text := anonymous(one.Message); startsSIP(string(text)) {
				negative = append(negative, text)
			}
		}
	}
	fmt.Fprintf(&b, "# A draft, of %s: look at every condition, and take out what\n# is this site's and not the make's. Set kind, and llr if the mark says something of the caller.\n", counted(len(mine), "call"))
	if same > 0 {
		fmt.Fprintf(&b, "# The conditions also match %s that differ in other things.\n", counted(same, "call"))
	}
	for _, name := range sortedBy(known) {
		fmt.Fprintf(&b, "# Known already: %s matches %d of them.\n", name, known[name])
	}
	maker := strings.TrimSpace(untilDigit(printableOnly(agent)))
	maker = strings.TrimRight(maker, " /-_v(")
	fmt.Fprintf(&b, "signatures:\n  - name: %s\n    maker: %s\n    kind: %s\n", d.Name, quoted(cmp.Or(cut(maker), d.Name)), d.Kind)
	b.WriteString("    when:\n")
	for _, c := range conditions {
		fmt.Fprintf(&b, "      %s: %s\n", c.key, c.value)
	}
	fmt.Fprintf(&b, "    source: %s\n    seen_on: %s\n    valid_to: %s\n", quoted(cmp.Or(cut(printableOnly(d.Source)), "a capture")),
		last.UTC().Format(time.DateOnly), last.UTC().AddDate(1, 0, 0).Format(time.DateOnly))
	b.WriteString("    positive:\n")
	samples := 0
	for _, one := range mine {
		if samples == 2 {
			break
		}
		if text := anonymous(one.Message); startsSIP(string(text)) {
			writeSample(&b, text)
			samples++
		}
	}
	if samples == 0 {
		return nil, errors.New("no message of these calls begins as a SIP message does")
	}
	if len(negative) == 0 {
		negative = [][]byte{[]byte(anybody)} // all of it examples
	}
	b.WriteString("    negative:\n")
	for _, text := range negative {
		writeSample(&b, text)
	}
	return b.Bytes(), d.holds(b.Bytes())
}

// anybody is a caller of no known make (RFC 3261 section 24.2).
const anybody = "INVITE sip:bob@biloxi.example SIP/2.0\r\nVia: SIP/2.0/TCP client.atlanta.example:5060;branch=z9hG4bK74bf9\r\n" +
	"Max-Forwards: 70\r\nFrom: Alice <sip:alice@atlanta.example>;tag=9fxced76sl\r\nTo: Bob <sip:bob@biloxi.example>\r\n" +
	"Call-ID: 3848276298220188511@atlanta.example\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@client.atlanta.example;transport=tcp>\r\nContent-Length: 0\r\n\r\n"

// holds says why a draft is not what it should be.
func (d Draft) holds(text []byte) error {
	set, err := Load(File{Name: d.Name, Data: text, Own: true})
	if err != nil {
		return fmt.Errorf("the draft is no signature: %w", err)
	}
	if f := set.Check(); len(f) > 0 {
		return fmt.Errorf("the draft does not hold its samples: %w", f)
	}
	return nil
}

// choose parts the calls that are meant from the others.
func (d Draft) choose(seen []Sighting) (mine, others []Sighting, err error) {
	count := map[string]int{}
	first, wanted := "", ""
	for _, one := range seen {
		k := look(one.Message)
		count[k]++
		if first == "" || count[k] > count[first] {
			first = k
		}
		if one.CallID == d.CallID {
			wanted = k
		}
	}
	switch {
	case len(seen) == 0:
		return nil, nil, errors.New("there is no request outside a dialog to learn from")
	case d.CallID != "" && wanted == "":
		return nil, nil, fmt.Errorf("there is no request outside a dialog with the Call-ID %q", d.CallID)
	case d.CallID != "":
		first = wanted
	}
	for _, one := range seen {
		if look(one.Message) == first {
			mine = append(mine, one)
		} else {
			others = append(others, one)
		}
	}
	return mine, others, nil
}

// look is what calls of one make have alike: the headers' and tokens' parts of
// the print, and what the sender says it is up to its version.
func look(message []byte) (k string) {
	fingerprint.Examine(message, func(m *fingerprint.Message) {
		id := m.Print().ID
		k = id[:strings.LastIndexByte(id, '_')] + " " + untilDigit(string(m.Field(fingerprint.UserAgent)))
	})
	return k
}

// learn finds what all messages have and is no call's own, the strongest first.
func learn(calls []Sighting) (out []learnt) {
	add := func(key, value string) { out = append(out, learnt{key, value}) }
	all := func(f fingerprint.Field) (string, bool) { return common(calls, f) }
	if holds(calls, fingerprint.SofiaIDs) {
		add("sofia_ids", "true")
	} else if holds(calls, fingerprint.SofiaTokens) {
		add("sofia_tokens", "true")
	}
	for _, f := range []struct {
		key   string
		field fingerprint.Field
	}{{"branch_shape", fingerprint.BranchShape}, {"from_tag_shape", fingerprint.FromTagShape}, {"call_id_shape", fingerprint.CallIDShape}} {
		if v, ok := all(f.field); ok && v != "none" {
			add(f.key, quoted(pattern(v)))
		}
	}
	if v, ok := all(fingerprint.UserAgent); ok {
		add("user_agent", quoted(version(v)))
	} else if v := prefix(calls, fingerprint.UserAgent); len(v) >= 4 {
		add("user_agent", quoted(pattern(v)+"*"))
	}
	for _, f := range []struct {
		key   string
		field fingerprint.Field
	}{{"header_order", fingerprint.HeaderOrder}, {"allow", fingerprint.Allow}, {"supported", fingerprint.Supported}} {
		if v, ok := all(f.field); ok {
			add(f.key, quoted(pattern(v)))
		}
	}
	if name := extensionOf(calls); name != "" {
		add("header", quoted(name))
	}
	if v, ok := all(fingerprint.Session); ok && !ownWord(v) {
		add("session", quoted(version(v)))
	}
	if v, ok := all(fingerprint.Origin); ok && !ownWord(v) && !isUser(calls, v) {
		add("origin", quoted(version(v)))
	}
	if v, ok := all(fingerprint.Tool); ok {
		add("tool", quoted(version(v)))
	}
	return out
}

// compiled makes conditions of a draft.
func compiled(conditions []learnt) (*Signature, error) {
	var b strings.Builder
	b.WriteString("signatures: [{name: draft, maker: draft, kind: phone, source: draft, seen_on: 2026-01-01, valid_to: 2026-01-01, positive: [\"A SIP/2.0\"], negative: [\"A SIP/2.0\"], when: {")
	for _, c := range conditions {
		fmt.Fprintf(&b, "%s: %s, ", c.key, c.value)
	}
	b.WriteString("}}]\n")
	s, err := Load(File{Name: "draft", Data: []byte(b.String()), Own: true})
	if err != nil {
		return nil, err
	}
	return s.all[0], nil
}

// common is a field's value if all calls have the same, and one.
func common(calls []Sighting, f fingerprint.Field) (string, bool) {
	value := ""
	for i, one := range calls {
		v := fieldOf(one, f)
		if v == "" || i > 0 && v != value || printableOnly(v) != v {
			return "", false
		}
		value = v
	}
	return value, true
}

// prefix is what all values of a field begin with.
func prefix(calls []Sighting, f fingerprint.Field) string {
	p := fieldOf(calls[0], f)
	for _, one := range calls[1:] {
		v := fieldOf(one, f)
		n := 0
		for n < len(p) && n < len(v) && p[n] == v[n] {
			n++
		}
		p = p[:n]
	}
	if printableOnly(p) != p {
		return ""
	}
	return untilDigit(p)
}

func fieldOf(one Sighting, f fingerprint.Field) (v string) {
	fingerprint.Examine(one.Message, func(m *fingerprint.Message) { v = string(m.Field(f)) })
	return v
}

func holds(calls []Sighting, a fingerprint.Arithmetic) bool {
	for _, one := range calls {
		ok := false
		fingerprint.Examine(one.Message, func(m *fingerprint.Message) { ok = m.Holds(a) })
		if !ok {
			return false
		}
	}
	return true
}

// extensionOf is an extension header that all calls have, or "".
func extensionOf(calls []Sighting) string {
	count := map[string]int{}
	var names []string
	for _, one := range calls {
		fingerprint.Examine(one.Message, func(m *fingerprint.Message) {
			for _, h := range m.Extensions() {
				name := string(h)
				if count[name] == 0 {
					names = append(names, name)
				}
				count[name]++
			}
		})
	}
	for _, name := range names {
		if count[name] >= len(calls) && printableOnly(name) == name {
			return name
		}
	}
	return ""
}

// isUser says whether a word is the user of a call's addresses.
func isUser(calls []Sighting, word string) bool {
	return slices.ContainsFunc(calls, func(one Sighting) bool {
		return fieldOf(one, fingerprint.FromUser) == word || fieldOf(one, fingerprint.ContactUser) == word
	})
}

// ownWord says whether a word looks like one call's own: a number, or nothing.
func ownWord(w string) bool {
	digits := 0
	for _, c := range []byte(w) {
		if '0' <= c && c <= '9' {
			digits++
		}
	}
	return digits > 4 || strings.Trim(w, "- ") == ""
}

// version makes a pattern of a word that names a version: what stands before the
// first digit, with anything behind it.
func version(w string) string {
	if p := untilDigit(w); p != w && len(strings.Trim(p, " /-_v(")) >= 3 {
		return pattern(p) + "*"
	}
	return pattern(w)
}

// untilDigit is what stands before the first digit that follows a blank, slash,
// dash, bracket or "v".
func untilDigit(w string) string {
	for i := 1; i < len(w); i++ {
		if w[i] >= '0' && w[i] <= '9' && strings.IndexByte(" /-_v(.", w[i-1]) >= 0 {
			return w[:i]
		}
	}
	return w
}

// printableOnly takes what is no printable ASCII out.
func printableOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return -1
		}
		return r
	}, s)
}

// quoted is printable ASCII as a double-quoted YAML scalar.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// cut keeps a line to what a signature takes.
func cut(s string) string { return strings.TrimSpace(s[:min(len(s), 200)]) }

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func sortedBy(m map[string]int) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(m[b]-m[a], strings.Compare(a, b)) })
	return names
}

// writeSample writes a message as an item of a list.
func writeSample(b *bytes.Buffer, message []byte) {
	text := strings.TrimRight(strings.ReplaceAll(string(message), "\r\n", "\n"), "\n")
	b.WriteString("      - |\n")
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			b.WriteString("        " + line)
		}
		b.WriteByte('\n')
	}
}
