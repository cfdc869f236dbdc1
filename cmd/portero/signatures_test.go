package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// On this project's own captures none matches a message of another make.
func TestSignaturesOnOwnTraces(t *testing.T) {
	files, err := filepath.Glob("../../testdata/traces/*.pcap*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	wrong, messages := falsely(t, files)
	for name, n := range wrong {
		if n > 0 {
			t.Errorf("%s: %d of %d messages", name, n, messages)
		}
	}
	if messages < 10 {
		t.Errorf("%d messages", messages)
	}
}
