package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The shipped FreeSWITCH files are XML with the elements that its parser looks
// for, every regular expression in them compiles, and nothing is conditioned on
// a header that the door does not set. FreeSWITCH itself is in no Debian release
// that the tests can install.
func TestFreeSWITCHFiles(t *testing.T) {
	files, err := filepath.Glob("../../configs/freeswitch/*.xml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	header := regexp.MustCompile(`sip_h_(X-Portero-[A-Za-z-]+)`)
	set := contractHeaders(t)
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		elements := map[string]int{}
		for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			e, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			elements[e.Name.Local]++
			attrs := map[string]string{}
			for _, a := range e.Attr {
				attrs[a.Name.Local] = a.Value
				for _, m := range header.FindAllStringSubmatch(a.Value, -1) {
					if !slices.Contains(set, m[1]) {
						t.Errorf("%s reads %s, which the door does not set", name, m[1])
					}
				}
			}
			if x, ok := attrs["expression"]; ok {
				if _, err := regexp.Compile(x); err != nil {
					t.Errorf("%s: expression %q: %v", name, x, err)
				}
			}
			want := map[string][]string{"extension": {"name"}, "condition": {"field", "expression"}, "action": {"application"}, "param": {"name", "value"},
				"context": {"name"}, "profile": {"name"}, "gateway": {"name"}}[e.Name.Local]
			for _, a := range want {
				if attrs[a] == "" {
					t.Errorf("%s: <%s> without %s", name, e.Name.Local, a)
				}
			}
		}
		if elements["extension"] == 0 && elements["param"] == 0 {
			t.Errorf("%s has neither an extension nor a parameter", name)
		}
	}
}

// contractHeaders are the X-Portero headers that the door writes into an INVITE
// for the PBX, by its own code.
func contractHeaders(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../sip/door/*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := regexp.MustCompile(`\bset\("(X-Portero-[A-Za-z-]+)"`)
	var names []string
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range set.FindAllStringSubmatch(string(b), -1) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) < 7 {
		t.Fatalf("the door's code sets %q only: this test looks for the wrong thing", names)
	}
	return names
}

// Whoever writes a dialplan finds every header explained, and read, in what is
// shipped for both PBXs, and in the README.
func TestDialplansKnowEveryHeader(t *testing.T) {
	for _, f := range []struct{ name, explained, read string }{
		{"../../README.md", "| `%s` |", ""},
		{"../../configs/freeswitch/dialplan_portero.xml", "      %s ", "${sip_h_%s}"},
		{"../../configs/asterisk/extensions_portero.conf", ";     %s ", "PJSIP_HEADER(read,%s)"},
	} {
		b, err := os.ReadFile(f.name)
		if err != nil {
			t.Fatal(err)
		}
		for _, header := range contractHeaders(t) {
			for _, want := range []string{f.explained, f.read} {
				if want = strings.ReplaceAll(want, "%s", header); !strings.Contains(string(b), want) {
					t.Errorf("%s does not hold %q", f.name, want)
				}
			}
		}
	}
}
