package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/signature"
	"github.com/portero/portero/sip/trace"
)

// falsely counts in captures the messages that a signature matches and that are
// not of its make: where one weighs, those that do not name the make themselves,
// and else those whose User-Agent names one that the proven stack cannot be.
func falsely(t *testing.T, files []string) (wrong map[string]int, messages int) {
	t.Helper()
	wrong = map[string]int{}
	var out, errs bytes.Buffer
	for _, name := range files {
		all := newTally(signature.Default())
		n, err := eachMessage(name, func(p trace.Piece) {
			one := newTally(all.set)
			one.see(p)
			for _, g := range all.set.Signatures() {
				c := one.found[g.Name]
				if c == nil {
					continue
				}
				word, _, _ := strings.Cut(strings.ToLower(g.Maker), " ")
				if g.LLR > 0 && word != "a" && !bytes.Contains(bytes.ToLower(p.Data), []byte(word)) {
					c.wrong++
				}
				wrong[g.Name] += c.wrong
			}
		}, output{&out, &errs})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		messages += n
	}
	return wrong, messages
}

// On public captures no signature matches more messages of other makes than it
// says of itself.
func TestSignaturesOnTraces(t *testing.T) {
	root := os.Getenv("PORTERO_TRACES")
	if root == "" {
		t.Skip("PORTERO_TRACES is not set: no captures to read")
	}
	files, err := filepath.Glob(filepath.Join(root, "pcaps", "*"))
	if err != nil || len(files) == 0 {
		t.Skipf("%s holds no captures: %v", root, err)
	}
	wrong, messages := falsely(t, files)
	for _, g := range signature.Default().Signatures() {
		c := g.FalsePositives
		if c == nil {
			continue
		}
		if wrong[g.Name] > c.Matches || c.Captures > len(files) || c.Messages > messages {
			t.Errorf("%s: %d false of %d messages in %d captures; it says %+v", g.Name, wrong[g.Name], messages, len(files), *c)
		}
	}
}

// ownTraces are this project's own captures.
func ownTraces(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../testdata/traces/*.pcap*")
	more, err2 := filepath.Glob("../../testdata/traces/real/*.pcap*")
	if err := errors.Join(err, err2); err != nil || len(files) == 0 || len(more) == 0 {
		t.Fatalf("%d and %d captures: %v", len(files), len(more), err)
	}
	return append(files, more...)
}

// Real peers are known for what they are, also where they say that they are
// something else, and each has one print.
func TestSignaturesOfRealPeers(t *testing.T) {
	for _, c := range []struct {
		files, message, agent string // what the message begins with, and what its sender says
		stack, signature      string
		least, prints         int // messages, and prints up to the description's part
	}{
		{"real/b2b.pcap real/g722.pcap", "INVITE", "baresip", "baresip", "baresip", 2, 1},
		{"real/b2b.pcap", "INVITE", "interop-asterisk", "asterisk", "asterisk-pjsip", 1, 1},
		{"real/b2b.pcap", "SIP/2.0 200 OK INVITE", "interop-asterisk", "asterisk", "asterisk-pjsip", 1, 1},
		{"real/proxied.pcap real/forked.pcap", "INVITE", "", "sipp", "sipp", 7, 1},
		{"real/extensions.pcap", "OPTIONS", "", "sipp", "sipp", 5, 1},
		{"tls13.pcapng hep.pcap.zst", "INVITE", "", "sipp", "sipp", 5, 1},
		{"tls13.pcapng hep.pcap.zst wss.pcapng", "SIP/2.0 200 OK INVITE", "", "sipp", "sipp", 10, 1},
		{"wss.pcapng", "INVITE", "SIP.js", "sip-js", "sip-js", 1, 1},
	} {
		messages, prints := 0, map[string]bool{}
		for name := range strings.FieldsSeq(c.files) {
			var out, errs bytes.Buffer
			_, err := eachMessage(filepath.Join("../../testdata/traces", name), func(p trace.Piece) {
				fingerprint.Examine(p.Data, func(m *fingerprint.Message) {
					first := string(m.Field(fingerprint.Method))
					if m.Status() > 0 {
						first = fmt.Sprintf("SIP/2.0 %d %s %s", m.Status(), m.Field(fingerprint.Reason), first)
					}
					if m.Within() || first != c.message || !strings.HasPrefix(string(m.Field(fingerprint.UserAgent)), c.agent) {
						return
					}
					if c.agent == "" && len(m.Field(fingerprint.UserAgent)) > 0 {
						return
					}
					messages++
					id := m.Print().ID
					prints[id[:strings.LastIndexByte(id, '_')]] = true
					if r := signature.Default().Match(m, p.Source.Addr(), p.At); r.Stack != c.stack || r.Name() != c.signature {
						t.Errorf("%s: %s of %q is taken for %q, %v:\n%s", name, c.message, c.agent, r.Stack, r.Names(), p.Data)
					}
				})
			}, output{&out, &errs})
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, &errs)
			}
		}
		if messages < c.least || len(prints) != c.prints {
			t.Errorf("%s: %s of %q: %d messages with %d prints: %v", c.files, c.message, c.agent, messages, len(prints), prints)
		}
	}
}

// On this project's own captures none matches a message of another make.
func TestSignaturesOnOwnTraces(t *testing.T) {
	files := ownTraces(t)
	wrong, messages := falsely(t, files)
	for name, n := range wrong {
		// Most of the peers are SIPp, whose scenarios here do not name it.
		if n > 0 && name != "sipp" {
			t.Errorf("%s: %d of %d messages", name, n, messages)
		}
	}
	if messages < 10 {
		t.Errorf("%d messages", messages)
	}
}

const ownSignature = `
signatures:
  - name: mine
    maker: Mine
    kind: dialer
    llr: 1
    when: {user_agent: "Example Phone*"}
    source: us
    seen_on: 2026-11-01
    valid_to: 2026-11-02
    positive: ["INVITE sip:a@b SIP/2.0\nUser-Agent: Example Phone 2"]
    negative: ["INVITE sip:a@b SIP/2.0"]
`

// What the commands say, and their exit statuses.
func TestSignaturesCommands(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mine := write("mine.yaml", ownSignature)
	wrong := write("wrong.yaml", strings.ReplaceAll(strings.ReplaceAll(ownSignature, "name: mine", "name: wrong"), "Phone 2", "Telephone 2"))
	bad := write("bad.yaml", strings.ReplaceAll(ownSignature, "kind: dialer", "kind: dailer"))
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	trunk := write("portero.yaml", `
sip:
  trunks: [{name: a, addresses: [192.0.2.1]}]
  destinations: {agents: {uri: "sip:192.0.2.2"}}
media: {caller_address: 192.0.2.3}
judgement: {signatures: [builtin, `+mine+`]}
rules: [{name: r, when: 'signature == "mine" or "livekit" in signatures or signature_kind == "scanner"', action: agents}]
`)
	misspelt := write("misspelt.yaml", `
sip:
  trunks: [{name: a, addresses: [192.0.2.1]}]
  destinations: {agents: {uri: "sip:192.0.2.2"}}
media: {caller_address: 192.0.2.3}
rules:
  - {name: r, when: 'signature == "livekti"', action: agents}
  - {name: s, when: 'signature_kind == "skanner"', action: agents}
  - {name: t, when: '"mine" in signatures', action: agents}
`)
	notThere := write("notthere.yaml", `
sip:
  trunks: [{name: a, addresses: [192.0.2.1]}]
  destinations: {agents: {uri: "sip:192.0.2.2"}}
media: {caller_address: 192.0.2.3}
judgement: {signatures: [`+bad+`]}
`)
	proxied := filepath.Join("..", "..", "testdata", "traces", "proxied.pcap")
	for _, c := range []struct {
		args      []string
		status    int
		out, errs string // parts, a line each
	}{
		{[]string{"signatures", "check", "--at", "2026-12-01"}, 0, "negative samples hold", ""},
		{[]string{"signatures", "check", "--at", "2027-03-01"}, 0, "negative samples hold", "signatures: warning: vapi-addresses expired on 2027-02-18; it weighs nothing any more"},
		{[]string{"signatures", "check", "--at", "soon"}, 1, "", "--at soon is no day"},
		{[]string{"signatures", "check", "--at", "2026-11-01", "--signatures", mine}, 0, "1 signatures, and 0 marks that are not looked for; 1 positive and 1 negative samples hold", ""},
		{[]string{"signatures", "check", "--at", "2026-11-01", "--config", trunk}, 0, "samples hold", ""},
		{[]string{"signatures", "check", "--config", trunk, "--signatures", mine}, 1, "", "give one of them"},
		{[]string{"signatures", "check", "--at", "2026-11-01", "--signatures", mine, proxied}, 0, "proxied.pcap: \n  mine                       dialer", ""},
		{[]string{"signatures", "check", "--at", "2026-11-01", "--signatures", wrong}, 1, "", "wrong.yaml:11:16: wrong.positive[0]: does not match, and must"},
		{[]string{"signatures", "check", "--signatures", bad}, 1, "", `bad.yaml:5:11: signatures[0].kind: "dailer" is no kind; allowed: scanner, load-tool`},
		{[]string{"signatures", "check", "--signatures", empty}, 1, "", "there is no file *.yaml in this directory"},
		{[]string{"signatures", "check", "--signatures", filepath.Join(dir, "none")}, 1, "", "no such file"},
		{[]string{"signatures", "check", "--at", "2026-12-01", filepath.Join(dir, "none.pcap")}, 1, "samples hold", "none.pcap: no such file"},
		{[]string{"signatures", "prints", proxied}, 0, "proxied.pcap: \n p2_inv10s_\n\"Example Phone 1.0\"\n       p2 m=INVITE h=\nm=200:INVITE r=OK", ""},
		{[]string{"signatures", "prints", "--json", "--call", "nobody", proxied}, 0, "", ""},
		{[]string{"signatures", "learn", proxied, "--name", "my-phone"}, 0, "signatures:\n  - name: my-phone\n    maker: \"Example Phone\"\n      user_agent: \"Example Phone *\"\n    positive:", ""},
		{[]string{"signatures", "learn", proxied, "--name", "My Phone"}, 1, "", "--name My Phone is no name of a signature"},
		{[]string{"signatures", "learn", proxied, "--name", "a", "--kind", "b"}, 1, "", "--kind b is no kind; allowed: scanner"},
		{[]string{"signatures", "learn", proxied, "--name", "a", "--call", "nobody"}, 1, "", "there is no request outside a dialog"},
		{[]string{"signatures", "learn", "--name", "a"}, 2, "", ""},
		{[]string{"check", "--config", trunk}, 0, "note          signature mine expired on 2026-11-02 and weighs nothing", ""},
		{[]string{"check", "--config", misspelt}, 1, "", "misspelt.yaml:7:35: rules[0].when: signature is never \"livekti\"; is it livekit? it is one of: amazon-connect\nmisspelt.yaml:8:40: rules[1].when: signature_kind is never \"skanner\"; is it scanner? it is one of: scanner, load-tool\nrules[2].when: signatures is never \"mine\""},
		{[]string{"check", "--config", notThere}, 1, "", "judgement.signatures: " + bad + ":5:11: signatures[0].kind"},
	} {
		var out, errs bytes.Buffer
		status := run(c.args, &out, &errs)
		if status != c.status {
			t.Errorf("%q: status %d, want %d\n%s", c.args, status, c.status, &errs)
		}
		for part := range strings.SplitSeq(c.out, "\n") {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%q prints\n%s\nwithout %q", c.args, &out, part)
			}
		}
		for part := range strings.SplitSeq(c.errs, "\n") {
			if !strings.Contains(errs.String(), part) {
				t.Errorf("%q complains\n%s\nwithout %q", c.args, &errs, part)
			}
		}
		if c.status == 0 && c.errs == "" && errs.Len() > 0 {
			t.Errorf("%q complains\n%s", c.args, &errs)
		}
	}
}

// What is learnt from a capture is a signature whose samples hold and that finds
// the calls it was learnt from.
func TestSignaturesLearn(t *testing.T) {
	files := ownTraces(t)
	if root := os.Getenv("PORTERO_TRACES"); root != "" {
		more, _ := filepath.Glob(filepath.Join(root, "pcaps", "*"))
		files = append(files, more...)
	}
	learnt := 0
	for _, name := range files {
		var out, errs bytes.Buffer
		if status := run([]string{"signatures", "learn", name, "--name", "learnt"}, &out, &errs); status != 0 {
			if !strings.Contains(errs.String(), "to learn from") {
				t.Errorf("%s: %s", name, &errs)
			}
			continue
		}
		learnt++
		draft := filepath.Join(t.TempDir(), "draft.yaml")
		if err := os.WriteFile(draft, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		var found bytes.Buffer
		if status := run([]string{"signatures", "check", "--signatures", draft, name}, &found, &errs); status != 0 || !strings.Contains(found.String(), "  learnt ") {
			t.Errorf("%s: status %d\n%s\n%s", name, status, &found, &errs)
		}
	}
	if learnt < 3 {
		t.Errorf("%d of %d captures", learnt, len(files))
	}
}
