package config

import (
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

// everything has a field of each kind that a configuration may have.
type everything struct {
	Text     string            `yaml:"text"`
	Flag     bool              `yaml:"flag"`
	Whole    int               `yaml:"whole"`
	Port     uint16            `yaml:"port"`
	Ratio    float64           `yaml:"ratio"`
	Wait     time.Duration     `yaml:"wait"`
	Address  netip.Addr        `yaml:"address"`
	Listen   netip.AddrPort    `yaml:"listen"`
	Network  netip.Prefix      `yaml:"network"`
	Link     url.URL           `yaml:"link"`
	Texts    []string          `yaml:"texts"`
	Names    map[string]string `yaml:"names"`
	Places   []somewhere       `yaml:"places"`
	Optional *somewhere        `yaml:"optional"`
	Inner    inner             `yaml:",inline"`
	Hidden   int
}

type inner struct {
	Deep somewhere `yaml:"deep"`
}

type somewhere struct {
	Name   string `yaml:"name"`
	Weight int    `yaml:"weight"`
}

func (s *somewhere) SetDefaults() { s.Weight = 7 }

func decode(t *testing.T, text string, v any) Faults {
	t.Helper()
	r := newReader("t", []byte(text))
	root, ok := r.parse()
	if ok && root != nil {
		r.value(place{node: root}, "", reflect.ValueOf(v).Elem())
	}
	return r.faults.sorted()
}

func TestDecode(t *testing.T) {
	v := everything{Texts: []string{"default"}, Names: map[string]string{"a": "default"}, Ratio: 2}
	if fs := decode(t, `
text: +49 30
flag: true
whole: -3
port: 5060
wait: 1m30s
address: 2001:db8::1
listen: "[::1]:5060"
network: 10.0.0.0/8
link: sip:100@pbx
texts: [0049, +49, true, 2001-01-01]
places:
  - name: a
  - {name: b, weight: 0}
optional: {weight: 1}
names: {}
deep:
`, &v); len(fs) > 0 {
		t.Fatal(fs)
	}
	want := everything{
		Text: "+49 30", Flag: true, Whole: -3, Port: 5060, Ratio: 2, Wait: 90 * time.Second,
		Address: netip.MustParseAddr("2001:db8::1"), Listen: netip.MustParseAddrPort("[::1]:5060"),
		Network: netip.MustParsePrefix("10.0.0.0/8"), Link: url.URL{Scheme: "sip", Opaque: "100@pbx"},
		Texts:  []string{"0049", "+49", "true", "2001-01-01"},
		Places: []somewhere{{"a", 7}, {"b", 0}}, Optional: &somewhere{"", 1}, Names: map[string]string{},
	}
	if !reflect.DeepEqual(v, want) {
		t.Errorf("got  %+v\nwant %+v", v, want)
	}
}

func TestDecodeFaults(t *testing.T) {
	for text, want := range map[string]string{
		"text: [a]":                   "1:7: text: a list stands here; allowed: a text",
		"text: {a: b}":                "1:7: text: a map of keys stands here; allowed: a text",
		"text:":                       `1:1: text: there is no value; allowed: a text, or no key at all for the default ""`,
		"whole: ~":                    "1:8: whole: there is no value; allowed: a whole number, or no key at all for the default 0",
		"flag: yes":                   `1:7: flag: "yes" is not right here; allowed: true, false`,
		"flag: 'true'":                `1:7: flag: "true" (in quotes) is a text; allowed: true, false`,
		"whole: 1.5":                  `1:8: whole: "1.5" is not right here; allowed: a whole number`,
		"whole: 0x10":                 `1:8: whole: "0x10" is not right here; allowed: a whole number`,
		"whole: 99999999999999999999": `1:8: whole: "99999999999999999999" is not right here; allowed: a whole number`,
		"port: 65536":                 `1:7: port: "65536" is not right here; allowed: a whole number from 0 to 65535`,
		"port: '5060'":                `1:7: port: "5060" (in quotes) is a text; allowed: a whole number from 0 to 65535`,
		"ratio: .nan":                 `1:8: ratio: ".nan" is not right here; allowed: a number, like 0.5`,
		"wait: 5":                     "1:7: wait: 5 has no unit; allowed: a duration with its unit, like 500ms, 20s, 5m or 24h",
		"wait: soon":                  `1:7: wait: "soon" is not a duration; allowed: a duration with its unit, like 500ms, 20s, 5m or 24h`,
		"address: 300.0.0.1":          `1:10: address: "300.0.0.1" is not an address of that form; allowed: an IP address, like 192.0.2.1 or 2001:db8::1`,
		"listen: 10.0.0.1":            `1:9: listen: "10.0.0.1" is not an address of that form; allowed: an IP address and port, like 192.0.2.1:5060 or [2001:db8::1]:5060`,
		"network: 10.0.0.1/8":         `1:10: network: 10.0.0.1/8 has bits set beyond its length; write 10.0.0.0/8; allowed: an IP address or network, like 192.0.2.1 or 192.0.2.0/24`,
		"network: pbx":                `1:10: network: "pbx" is not an address or a network; allowed: an IP address or network, like 192.0.2.1 or 192.0.2.0/24`,
		"link: pbx":                   `1:7: link: "pbx" is not a URL; allowed: a URL, like https://example.com/path`,
		"texts: a":                    `1:8: texts: "a" is not right here; allowed: a list (- item, or [item, item]), each a text`,
		"names: [a]":                  "1:8: names: a list stands here; allowed: a map of names, each with a text",
		"places:\n - 5":               `2:4: places[0]: "5" is not right here; allowed: the keys name, weight`,
		"places:\n - name: [x]":       "2:10: places[0].name: a list stands here; allowed: a text",
		"deep:\n  nmae: x":            `2:3: deep.nmae: unknown key "nmae", did you mean name?; allowed: name, weight`,
		"deep: {name: x, name: y}":    "1:17: deep.name: this key is there twice (first in line 1); allowed: once",
		"deep: {quux: x}":             `1:8: deep.quux: unknown key "quux"; allowed: name, weight`,
		"deep: {level: x}":            `1:8: deep.level: unknown key "level", which belongs to log.level; allowed: name, weight`,
		"Hidden: 1":                   `1:1: Hidden: unknown key "Hidden"`,
		"text: &a x":                  "1:7: text: an anchor (&a) is not allowed; allowed: the value itself",
		"text: !!str 5":               "1:7: text: a type tag (!!str) is not allowed; allowed: the value itself",
		"deep:\n  <<: {name: x}":      `2:3: deep.<<: unknown key "<<"; allowed: name, weight`,
		"? [a]\n: b":                  "1:3: a key must be a plain word",
		"- text":                      "1:1: a list stands here; allowed: the keys text,",
		"text: a: b":                  "1:8: not YAML: mapping values are not allowed in this context",
		"a: *b":                       "1:4: not YAML: unknown anchor 'b' referenced",
		"text: a\n---\ntext: b":       "2:1: a second YAML document starts here; allowed: one document a file (remove the ---)",
	} {
		var v everything
		fs := decode(t, text, &v)
		if len(fs) != 1 || !strings.HasPrefix(fs[0].Error(), "t:"+want) {
			t.Errorf("%q:\ngot  %v\nwant t:%s", text, fs, want)
		}
	}
}

// Every mistake is told, not only the first, and what is right is still taken.
func TestDecodeGoesOn(t *testing.T) {
	var v everything
	fs := decode(t, "whole: x\nport: 80\nplaces:\n - wieght: 1\n   name: [a]\n - weight: b\nflag: maybe\n", &v)
	var paths []string
	for _, f := range fs {
		paths = append(paths, f.Path)
	}
	if got := strings.Join(paths, " "); got != "whole places[0].wieght places[0].name places[1].weight flag" {
		t.Errorf("faults at %s", got)
	}
	if v.Port != 80 {
		t.Errorf("port is %d", v.Port)
	}
}

func TestAliasBomb(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'z'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [*" + p + strings.Repeat(",*"+p, 8) + "]\n"
	}
	var v everything
	began := time.Now()
	fs := decode(t, bomb+"texts: *y\n", &v)
	if len(fs) == 0 || !strings.Contains(fs.Error(), "texts: an alias (*y) is not allowed") {
		t.Errorf("taken: %v", fs)
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("took %v", d)
	}
}

func TestLimits(t *testing.T) {
	if _, err := Parse("t", make([]byte, MaxBytes+1)); err == nil || !strings.Contains(err.Error(), "larger than 1048576 bytes") {
		t.Errorf("a large file: %v", err)
	}
	deep := "texts: " + strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1)
	var v everything
	if fs := decode(t, deep, &v); len(fs) != 1 || !strings.Contains(fs[0].Message, "depth") {
		t.Errorf("a deep file: %v", fs)
	}
}

func TestLocate(t *testing.T) {
	r := newReader("t", []byte("deep:\n  name: x\nplaces:\n  - name: y\n"))
	root, _ := r.parse()
	var v everything
	r.value(place{node: root}, "", reflect.ValueOf(&v).Elem())
	for path, want := range map[string]string{
		"deep.name": "t:2:9: deep.name: m", "deep.weight": "t:1:1: deep.weight: m", "places[0].name": "t:4:11: places[0].name: m",
		"places[0].weight": "t:4:5: places[0].weight: m", "places": "t:3:1: places: m", "nowhere.at.all": "t:1:1: nowhere.at.all: m", "": "t:1:1: m",
	} {
		r.faults = nil
		r.checkFault("")(path, "m")
		if got := r.faults.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
