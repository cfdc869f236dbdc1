package signature

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/fingerprint/makertest"
)

// when is a day on which no built-in signature has expired.
var when = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// match is what the built-in database says of a message, and the message's claim.
func match(s *Set, raw []byte, from netip.Addr, at time.Time) (r Match, agent string) {
	fingerprint.Examine(raw, func(m *fingerprint.Message) {
		r, agent = s.Match(m, from, at), m.Print().UserAgent
	})
	return r, agent
}

// Every built-in signature matches its positive samples, and none of its
// negative ones; each that is looked for was counted on benign captures.
func TestBuiltIn(t *testing.T) {
	s, err := Load(Files()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Check() {
		t.Error(f)
	}
	for _, c := range s.claims {
		for _, stack := range slices.Concat(c.made, c.unmade) {
			if !slices.ContainsFunc(s.all, func(g *Signature) bool { return g.Stack == stack }) {
				t.Errorf("claim %s: no signature proves %s", c.name, stack)
			}
		}
	}
	positive, negative := 0, 0
	for _, g := range s.Signatures() {
		positive += len(g.Positive)
		negative += len(g.Negative)
		if g.Unseen == "" && g.FalsePositives == nil {
			t.Errorf("%s has no count of its false positives", g.Name)
		}
		if g.Unseen == "" && g.FalsePositives != nil && g.LLR > 0 && g.FalsePositives.Matches > 0 {
			t.Errorf("%s weighs %v, and matched others %d times", g.Name, g.LLR, g.FalsePositives.Matches)
		}
	}
	if len(s.Names()) < 40 || positive < 60 || negative < 60 {
		t.Errorf("%d signatures, %d positive and %d negative samples", len(s.Names()), positive, negative)
	}
}

// What the files under configs are is what the binary has.
func TestConfigsHaveThem(t *testing.T) {
	for _, f := range Files() {
		b, err := os.ReadFile(filepath.Join("..", "..", f.Name))
		if err != nil || !bytes.Equal(b, f.Data) {
			t.Errorf("%s is not the built-in file: %v", f.Name, err)
		}
	}
}

// Check finds samples that do not hold.
func TestCheckFindsWrongSamples(t *testing.T) {
	const head = "signatures:\n  - name: x\n    maker: X\n    kind: phone\n    stack: x\n    source: test\n    seen_on: 2026-01-01\n    valid_to: 2027-01-01\n    when: {session: X}\n"
	with, without := "INVITE sip:a@b SIP/2.0\n\n          o=a\n          s=X\n", "INVITE sip:a@b SIP/2.0\n\n          s=Y\n"
	for _, c := range []struct{ name, positive, negative, want string }{
		{"right", with, without, ""},
		{"exchanged", without, with, "mine.yaml:11:9: x.positive[0]: does not match, and must\nmine.yaml:16:9: x.negative[0]: matches, and must not"},
	} {
		text := head + "    positive:\n      - |\n          " + c.positive + "    negative:\n      - |\n          " + c.negative
		s, err := Load(File{Name: "mine.yaml", Data: []byte(text), Own: true})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if f := s.Check(); len(f) > 0 {
			got = f.Error()
		}
		if got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// The stack is what the tokens and the arithmetic prove, in every call of a make.
func TestStacks(t *testing.T) {
	for name, maker := range makertest.Makers {
		stack, _, _ := strings.Cut(name, " ")
		for i := range 300 {
			raw := makertest.Wire(maker(makertest.NewTokens(uint64(i))))
			r, _ := match(Default(), raw, netip.Addr{}, when)
			if r.Stack != stack {
				t.Fatalf("%s is taken for %q, by %v:\n%s", name, r.Stack, r.Names(), raw)
			}
		}
	}
}

// A User-Agent proves nothing.
func TestAgentsProveNothing(t *testing.T) {
	for _, agent := range []string{"FreeSWITCH-mod_sofia/1.10.9", "Asterisk PBX 20.5.0", "baresip v3", "sipsorcery_v6", "friendly-scanner", "LiveKit"} {
		r, _ := match(Default(), makertest.Wire("INVITE sip:a@b SIP/2.0\nFrom: <sip:c@d>;tag=1\nUser-Agent: "+agent+"\n\n"), netip.Addr{}, when)
		if r.Stack != "" {
			t.Errorf("%s proves %s", agent, r.Stack)
		}
	}
}

// What is told of a call: the signature, its kind, the evidence.
func TestMatch(t *testing.T) {
	of := func(name string) string { return makertest.Makers[name](makertest.NewTokens(2)) }
	insert := func(name, header string) string {
		return strings.Replace(of(name), "Contact:", header+"\nContact:", 1)
	}
	contact := func(name, uri string) string {
		return strings.Replace(of(name), "Contact: <sip:+34", "Contact: <"+uri+">, <sip:", 1)
	}
	for _, c := range []struct{ name, raw, from, first, want string }{
		{"a carrier's gateway over sofia-sip", of("sofia-sip"), "", "twilio carrier", "sig.carrier:0"},
		{"a PBX", of("asterisk"), "", "asterisk-pjsip pbx", "sig.pbx:0"},
		{"FreeSWITCH as it says", of("freeswitch"), "", "freeswitch pbx", "sig.pbx:0"},
		{"a telephone", of("linphone"), "", "linphone phone", "sig.phone:0"},
		{"a telephone with LiveKit's Allow", of("resiprocate"), "", "resiprocate library", "sig.library:0"},
		{"SIPp", of("sipp"), "", "sipp load-tool", "sig.load_tool:1"},
		{"a scanner", of("sipvicious"), "", "sipvicious scanner", "sig.scanner:5"},
		{"LiveKit", of("livekit"), "", "livekit agent-platform", "sig.agent_platform:3.5"},
		{"LiveKit from its own network", of("livekit"), "143.223.88.1", "livekit agent-platform", "sig.agent_platform:3.5"},
		{"somebody from that network", of("pjsip"), "::ffff:143.223.88.1", "livekit-cloud-addresses agent-platform", "sig.agent_platform:2 sig.phone:0"},
		{"a bare sipgo program", strings.Replace(of("sipgo"), "From: <", "From: \"sipgo\" <", 1), "", "sipgo-default dialer", "sig.dialer:1 sig.library:0"},
		{"sipgo", of("sipgo"), "", "sipgo library", "sig.library:0"},
		{"LiveKit's host", contact("pjsip", "sip:x@abc.sip.livekit.cloud"), "", "livekit-host agent-platform", "sig.agent_platform:2 sig.phone:0"},
		{"a host that only ends so", contact("pjsip", "sip:x@notsip.vapi.ai"), "", "microsip phone", "sig.phone:0"},
		{"jambonz's header, through a carrier's gateway", insert("sofia-sip", "X-Application-Sid: 1"), "", "jambonz agent-platform", "sig.agent_platform:2 sig.carrier:0"},
		{"another stack than claimed", strings.Replace(of("sipp"), "Subject:", "User-Agent: Grandstream GXP2170\nSubject:", 1), "", "sipp load-tool", "sig.load_tool:1 sig.stack_mismatch:0.5"},
		{"a claim of FreeSWITCH over PJSIP", strings.Replace(of("pjsip"), "MicroSIP", "FreeSWITCH MicroSIP", 1), "", "freeswitch-description pbx", "sig.pbx:0 sig.stack_mismatch:0.5"},
		{"nothing", "", "", " ", ""},
	} {
		from, _ := netip.ParseAddr(c.from)
		r, agent := match(Default(), makertest.Wire(c.raw), from, when)
		var got []string
		for _, e := range r.Evidence(agent) {
			got = append(got, fmt.Sprintf("%s:%v", e.Name, e.LLR))
			if e.Says == "" {
				t.Errorf("%s: %s says nothing", c.name, e.Name)
			}
		}
		if first := r.Name() + " " + r.Kind(); first != c.first || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s, %v of %v; want %s, %s", c.name, first, got, r.Names(), c.first, c.want)
		}
	}
}

// What carries people weighs nothing toward a machine, whatever matches.
func TestBenignByDefault(t *testing.T) {
	people := []string{"carrier", "gateway", "pbx", "phone", "library"}
	for _, g := range Default().Signatures() {
		if slices.Contains(people, g.Kind) && g.LLR > 0 {
			t.Errorf("%s, a %s, weighs %v", g.Name, g.Kind, g.LLR)
		}
		for i, one := range g.Positive {
			r, agent := match(Default(), one.Message, netip.Addr{}, when)
			for _, e := range r.Evidence(agent) {
				if slices.Contains(people, strings.TrimPrefix(e.Name, "sig.")) && e.LLR > 0 {
					t.Errorf("%s, sample %d: %s weighs %v", g.Name, i, e.Name, e.LLR)
				}
			}
		}
	}
	if len(kinds) != len(policy.SignatureKinds) {
		t.Errorf("%d kinds, policy has %d", len(kinds), len(policy.SignatureKinds))
	}
	for i, k := range kinds {
		if k.name != policy.SignatureKinds[i] {
			t.Errorf("kind %d is %s, policy has %s", i, k.name, policy.SignatureKinds[i])
		}
	}
}

// After its day a signature weighs nothing; one by addresses does not match.
func TestExpired(t *testing.T) {
	raw := makertest.Wire(makertest.Makers["livekit"](makertest.NewTokens(1)))
	later := time.Date(2028, 11, 21, 0, 0, 0, 0, time.UTC)
	if r, _ := match(Default(), raw, netip.Addr{}, later.Add(-time.Second)); r.Evidence("")[0].LLR != 3.5 {
		t.Error("it weighs nothing on its last day")
	}
	r, _ := match(Default(), raw, netip.Addr{}, later)
	if e := r.Evidence(""); r.Stack != "livekit" || r.Name() != "livekit" || e[0].LLR != 0 || !strings.Contains(e[0].Says, "expired on 2028-11-20") {
		t.Errorf("%s %s %v", r.Stack, r.Name(), e)
	}
	by := netip.MustParseAddr("143.223.88.1")
	for at, want := range map[time.Time]bool{when: true, time.Date(2027, 2, 19, 0, 0, 0, 0, time.UTC): false} {
		r, _ := match(Default(), makertest.Wire("INVITE sip:a@b SIP/2.0\n\n"), by, at)
		if got := slices.Contains(r.Names(), "livekit-cloud-addresses"); got != want {
			t.Errorf("on %s by its address: %v", at.Format(time.DateOnly), got)
		}
	}
	if n := len(Default().Expired(when)); n != 0 {
		t.Errorf("%d have expired", n)
	}
	if n := len(Default().Expired(later)); n != len(Default().Signatures()) {
		t.Errorf("%d have expired", n)
	}
}

// An operator's file adds to the built-in ones, replaces one of the same name,
// and takes one out.
func TestOwnFiles(t *testing.T) {
	own := File{Name: "own.yaml", Own: true, Data: []byte(`
signatures:
  - name: livekit
    maker: Our own LiveKit
    kind: pbx
    when: {from_tag: "SCL_*"}
    source: us
    seen_on: 2026-11-01
    valid_to: 2027-11-01
    positive: ["INVITE sip:a@b SIP/2.0\nFrom: <sip:a@b>;tag=SCL_1"]
    negative: ["INVITE sip:a@b SIP/2.0"]
  - {name: livekit-description, off: true}
claims:
  - {name: ours, user_agent: "*", stacks: [pjsip], source: us}
`)}
	if _, err := Load(append(Files(), own)...); err == nil || !strings.Contains(err.Error(), `own.yaml:14:30: claims[0].user_agent: "*" matches everything`) {
		t.Errorf("a claim of everybody: %v", err)
	}
	own.Data = bytes.Replace(own.Data, []byte(`"*", stacks`), []byte(`"our *", stacks`), 1)
	s, err := Load(append(Files(), own)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Check() {
		t.Error(f)
	}
	raw := makertest.Wire(strings.Replace(makertest.Makers["livekit"](makertest.NewTokens(1)), "Allow:", "User-Agent: our phone\nAllow:", 1))
	r, agent := match(s, raw, netip.Addr{}, when)
	var says []string
	for _, e := range r.Evidence(agent) {
		says = append(says, e.Name)
	}
	// The description's mark is out, livekit is a PBX, whose stack is not proven
	// any more.
	if r.Name() != "livekit" || r.Kind() != "pbx" || r.Stack != "" || strings.Join(says, " ") != "sig.pbx" {
		t.Errorf("%s %s %q %v", r.Name(), r.Kind(), r.Stack, says)
	}
}

// A file of mistakes, each with its place and what is allowed instead: the
// comments in testdata/bad say what each must give.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d bad files: %v", len(files), err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for line := range strings.Lines(string(b)) {
			if w, ok := strings.CutPrefix(line, "# "); ok {
				want = append(want, strings.TrimSpace(w))
			}
		}
		_, err = Load(append(Files(), File{Name: filepath.Base(name), Data: b, Own: true})...)
		var faults Faults
		if !errors.As(err, &faults) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, f := range faults {
			got = append(got, strings.TrimPrefix(f.Error(), filepath.Base(name)+":"))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s gives\n# %s\nwant\n# %s", name, strings.Join(got, "\n# "), strings.Join(want, "\n# "))
		}
	}
}

// Which datagrams end before they are parsed.
func TestDrops(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		want      bool
	}{
		{"SIPVicious", makertest.Makers["sipvicious"](makertest.NewTokens(1)), true},
		{"its From alone", "OPTIONS sip:h SIP/2.0\nf: \"sipvicious\" <sip:100@1.1.1.1>;tag=1\n\n", true},
		{"its contact alone", "OPTIONS sip:h SIP/2.0\nContact: sip:123@1.1.1.1\n\n", true},
		{"sipcli", "INVITE sip:h SIP/2.0\nuser-agent:SIPCLI/v1.8\n\n", true},
		{"VaxSIP", "INVITE sip:h SIP/2.0\nUser-Agent: VaxSIPUserAgent/3.1\n\n", true},
		{"pplsip", "INVITE sip:h SIP/2.0\nUser-Agent: pplsip\n\n", true},
		{"a renamed SIPVicious", "OPTIONS sip:100@h SIP/2.0\nFrom: \"PBX\"<sip:100@1.1.1.1>;tag=6163\nUser-Agent: PBX\n\n", true},
		{"SIPPTS", "OPTIONS sip:h SIP/2.0\nUser-Agent: SIPPTS/4.0\n\n", true},
		{"Nmap's version probe", "OPTIONS sip:nm SIP/2.0\nVia: SIP/2.0/TCP nm;branch=foo\nFrom: <sip:nm@nm>;tag=root\nTo: <sip:nm2@nm2>\nCall-ID: 50000\n\n", true},
		{"a datagram that ends in the line", "OPTIONS sip:h SIP/2.0\nUser-Agent : friendly-scanner", true},
		{"line ends before it", "\n\nOPTIONS sip:h SIP/2.0\nUser-Agent: friendly-scanner\n\n", true},
		{"Nero SIPPS, a telephone", "INVITE sip:h SIP/2.0\nUser-Agent: Nero SIPPS IP Phone Version 2.0.51.16\n\n", false},
		{"a subscriber of 1.1.1.100", "INVITE sip:h SIP/2.0\nFrom: <sip:100@1.1.1.100>;tag=1\n\n", false},
		{"a number that begins so", "INVITE sip:h SIP/2.0\nFrom: <sip:123@11.1.1.1>;tag=1\nContact: <sip:123@192.0.2.1>\n\n", false},
		{"sundayddr", "REGISTER sip:h SIP/2.0\nUser-Agent: sundayddr\n\n", true},
		{"a body that quotes one", "MESSAGE sip:h SIP/2.0\nUser-Agent: phone\n\nUser-Agent: friendly-scanner\n", false},
		{"a subject that quotes one", "INVITE sip:h SIP/2.0\nSubject: about friendly-scanner\nUser-Agent: phone\n\n", false},
		{"somebody of that name", "INVITE sip:sipvicious@h SIP/2.0\nFrom: <sip:sipvicious@h>;tag=1\n\n", false},
		{"a telephone", makertest.Makers["linphone"](makertest.NewTokens(1)), false},
		{"SIPp", makertest.Makers["sipp"](makertest.NewTokens(1)), false},
		{"nothing", "", false},
	} {
		raw := makertest.Wire(c.raw)
		if c.raw[:min(1, len(c.raw))] == "\n" {
			raw = []byte(strings.ReplaceAll(c.raw, "\n", "\r\n"))
		}
		if got := Default().Drops(raw); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if n := testing.AllocsPerRun(10, func() { Default().Drops(raw) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

// Matching allocates nothing, and finds nothing in whatever comes.
func TestMatchAllocatesNothing(t *testing.T) {
	s, raw := Default(), makertest.Wire(makertest.Makers["livekit"](makertest.NewTokens(1)))
	see := func(m *fingerprint.Message) { r := s.Match(m, netip.Addr{}, when); _ = r.Name() }
	if n := testing.AllocsPerRun(100, func() { fingerprint.Examine(raw, see) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"LiveKit", "livekit", true}, {"LiveKit", "LiveKit ", false}, {"", "", true}, {"", "x", false},
		{"Asterisk PBX *", "asterisk pbx 20", true}, {"Asterisk PBX *", "Asterisk PBX", false},
		{"*.vapi.ai", "a.VAPI.ai", true}, {"*.vapi.ai", "vapi.ai", false},
		{"FPBX-*(*)", "FPBX-16(20)", true}, {"FPBX-*(*)", "FPBX-16(20) x", false},
		{"a*b*c", "abc", true}, {"a*b*c", "acb", false}, {"a*b*c", "aXbYbZc", true}, {"ab*ba", "aba", false},
		{`a\*b`, "a*b", true}, {`a\*b`, "aXb", false}, {`a\\*`, `a\x`, true}, {"**x**", "axb", true},
	} {
		g := newGlob(c.pattern)
		if got := g.match([]byte(c.text)); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.text, got)
		}
		if got := g.matchLow([]byte(strings.ToLower(c.text)), fingerprint.Letters(strings.ToLower(c.text))); got != c.want {
			t.Errorf("%q on %q in lower case: %v", c.pattern, c.text, got)
		}
	}
	for _, text := range []string{"a*b", `a\b`, `\*`, "plain"} {
		if g := newGlob(pattern(text)); !g.match([]byte(text)) || g.open {
			t.Errorf("the pattern of %q is %q", text, pattern(text))
		}
	}
}

// No file, however broken, breaks the reading; what is read holds what it says.
func FuzzLoad(f *testing.F) {
	for _, file := range Files() {
		if len(file.Data) < 10_000 {
			f.Add(file.Data)
		}
	}
	bad, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, name := range bad {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("signatures:\n- name: x\n  maker: X\n  kind: phone\n  source: x\n  seen_on: 2026-01-01\n  valid_to: 2026-02-01\n  when: {any: [{session: a}, {not: {cseq: 1-2}, user_agent: [b*, \"\"]}], sender: 192.0.2.0/24, within: false}\n  positive: [{sender: 192.0.2.1, message: \"INVITE a SIP/2.0\"}]\n  negative: [\"SIP/2.0 200 OK\"]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Load(File{Name: "f", Data: b, Own: true})
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		s.Check()
		s.Drops(b)
		for _, g := range s.Signatures() {
			if !nameForm.MatchString(g.Name) || rank(g.Kind) >= len(kinds) || kinds[rank(g.Kind)].people && g.LLR > 0 {
				t.Errorf("taken: %q, a %q that weighs %v", g.Name, g.Kind, g.LLR)
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	s := Default()
	for _, name := range []string{"livekit", "asterisk", "freeswitch", "sofia-sip", "linphone"} {
		raw := makertest.Wire(makertest.Makers[name](makertest.NewTokens(1)))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				fingerprint.Examine(raw, func(m *fingerprint.Message) {
					p := m.Print()
					r := s.Match(m, netip.Addr{}, when)
					_ = r.Evidence(p.UserAgent)
				})
			}
		})
	}
}

func BenchmarkDrops(b *testing.B) {
	raw := makertest.Wire(makertest.Makers["livekit"](makertest.NewTokens(1)))
	b.ReportAllocs()
	for range b.N {
		Default().Drops(raw)
	}
}

// What the README shows as files of signatures are some.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("builtin/README.md")
	if err != nil {
		t.Fatal(err)
	}
	files := Files()
	for i, block := range strings.Split(string(b), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		files = append(files, File{Name: fmt.Sprintf("README.md[%d]", i), Data: []byte(text), Own: true})
	}
	s, err := Load(files...)
	if err != nil || len(files) != len(Files())+2 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, f := range s.Check() {
		t.Error(f)
	}
	for key := range fingerprint.Fields {
		if !bytes.Contains(b, []byte("`"+key+"`")) {
			t.Errorf("README.md does not tell of %s", key)
		}
	}
	for _, keys := range [][]string{conditionKeys, signatureKeys} {
		for _, key := range keys {
			if !bytes.Contains(b, []byte(key)) {
				t.Errorf("README.md does not tell of %s", key)
			}
		}
	}
}

// The first packet is one of the proven stack, or is said not to be.
func TestMedia(t *testing.T) {
	for _, c := range []struct {
		name      string
		sequence  uint16
		timestamp uint32
		belied    bool
	}{
		{"livekit", 0, 0, false},
		{"livekit", 50, 8000, false}, // the first ones were lost
		{"livekit", 31000, 0, true},
		{"livekit", 0, 2857749556, true},
		{"pjsip", 32767, 4000000000, false},
		{"pjsip", 40000, 0, true},
		{"baresip", 65535, 65535, false},
		{"baresip", 1, 2857749556, true},
		{"asterisk", 65535, 4000000000, false},
		{"sofia-sip", 40000, 1, false},
	} {
		r, _ := match(Default(), makertest.Wire(makertest.Makers[c.name](makertest.NewTokens(1))), netip.Addr{}, when)
		e := r.Media(c.sequence, c.timestamp)
		if (len(e) > 0) != c.belied || len(e) > 0 && (e[0].LLR != 0 || !strings.Contains(e[0].Says, c.name)) {
			t.Errorf("%s from %d and %d: %v", c.name, c.sequence, c.timestamp, e)
		}
	}
	var nothing Match
	if e := nothing.Media(1, 1); e != nil {
		t.Errorf("of no stack: %v", e)
	}
}
