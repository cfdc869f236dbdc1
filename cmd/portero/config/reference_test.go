package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/portero/portero/policy"
)

const reference = "../../../configs/portero.yaml"

// examples are the keys whose value in the reference is no default: what a
// site must or would write.
var examples = []string{"sip.listen", "sip.advertise", "sip.tls.certificates", "sip.tls.client_ca", "sip.tls.ca", "sip.tls.own", "sip.tls.names",
	"sip.websocket.trunk", "sip.websocket.origins", "sip.trunks", "sip.destinations", "sip.caller_id", "sip.outbound", "sip.hep.target", "sip.hep.password",
	"sip.identity.country_code", "sip.refusal.redress", "sip.refusal.card.x5u",
	"media.caller_address", "media.far_address", "media.caller_advertise", "media.far_advertise",
	"media.caller_address6", "media.far_address6", "media.caller_advertise6", "media.far_advertise6", "media.webrtc.listen",
	"prompts.languages", "prompts.interrupt", "recording.directory", "captures.directory", "lists", "allow", "relay", "rules", "callback.hours", "callback.time_zone", "webhook.secret", "webhook.secret_file", "store.json_lines"}

var commentedOut = regexp.MustCompile(`(?m)^( *)#([a-z0-9_]+:)`)

// references are the file as it is, and with its commented-out keys in force.
func references(t *testing.T) (asIs, complete []byte) {
	t.Helper()
	b, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	return b, commentedOut.ReplaceAll(b, []byte("$1$2"))
}

func TestReferenceIsRight(t *testing.T) {
	asIs, complete := references(t)
	for name, b := range map[string][]byte{"as it is": asIs, "with every key": complete} {
		c, err := Parse(reference, b)
		if err != nil {
			t.Fatalf("%s:\n%v", name, err)
		}
		if c.Mode != policy.Observe {
			t.Errorf("%s: the mode is %s; a door begins with observe", name, c.Mode)
		}
	}
}

// The reference has every key of every room, and tells of each what it is for.
func TestReferenceIsComplete(t *testing.T) {
	_, complete := references(t)
	var doc yaml.Node
	if err := yaml.Load(complete, &doc); err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	explained(doc.Content[0], "", told)
	for _, path := range paths(reflect.TypeFor[Config](), "") {
		said, there := told[path]
		switch {
		case !there:
			t.Errorf("%s is missing in %s", path, reference)
		case !said:
			t.Errorf("%s has no comment in %s", path, reference)
		}
	}
}

// explained collects the keys of a file and whether a comment stands with them
// at least once.
func explained(n *yaml.Node, path string, told map[string]bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			at := join(path, key.Value)
			if slices.Contains([]string{"sip.destinations", "lists"}, path) {
				at = path + ".*"
			}
			// The comment above the first key of a list's item belongs to the
			// item.
			told[at] = told[at] || key.HeadComment != "" || key.LineComment != "" || value.LineComment != "" || i == 0 && n.HeadComment != ""
			explained(value, at, told)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			explained(item, path+"[]", told)
		}
	}
}

// paths lists every key of a type.
func paths(t reflect.Type, path string) (all []string) {
	if isScalar(t) {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		for _, f := range fields(t) {
			all = append(all, join(path, f.key))
			all = append(all, paths(f.typ, join(path, f.key))...)
		}
	case reflect.Slice:
		all = paths(t.Elem(), path+"[]")
	case reflect.Map:
		all = paths(t.Elem(), path+".*")
	}
	return all
}

// What the reference shows as a default is the default.
func TestReferenceShowsDefaults(t *testing.T) {
	_, complete := references(t)
	c, err := Parse(reference, complete)
	if err != nil {
		t.Fatal(err)
	}
	d := Defaults()
	same(t, "", reflect.ValueOf(*c), reflect.ValueOf(d))
}

func same(t *testing.T, path string, got, want reflect.Value) {
	if slices.Contains(examples, path) {
		return
	}
	if got.Kind() == reflect.Struct && !isScalar(got.Type()) {
		for _, f := range fields(got.Type()) {
			same(t, join(path, f.key), got.FieldByIndex(f.index), want.FieldByIndex(f.index))
		}
		return
	}
	empty := (got.Kind() == reflect.Slice || got.Kind() == reflect.Map) && got.Len() == 0 && want.Len() == 0
	if !empty && !reflect.DeepEqual(got.Interface(), want.Interface()) {
		t.Errorf("%s is %v in %s, the default is %v", path, got, reference, want)
	}
}

// Every field of every room's Config has a key, in snake_case.
func TestKeys(t *testing.T) {
	form := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		switch {
		case isScalar(typ):
		case typ.Kind() == reflect.Struct:
			for i := range typ.NumField() {
				f := typ.Field(i)
				key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
				if f.IsExported() && key != "-" && options != "inline" && !form.MatchString(key) {
					t.Errorf("%s.%s has the key %q", typ, f.Name, key)
				}
				walk(f.Type)
			}
		case typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map:
			walk(typ.Elem())
		}
	}
	walk(reflect.TypeFor[Config]())
}

// The reference names every fact that a rule may ask about.
func TestReferenceNamesFacts(t *testing.T) {
	asIs, _ := references(t)
	facts := reflect.TypeFor[policy.Facts]()
	for i := range facts.NumField() {
		name := facts.Field(i).Tag.Get("expr")
		if !regexp.MustCompile(`(?m)^#   .*\b` + name + `\b`).Match(asIs) {
			t.Errorf("the fact %s is not named in %s", name, reference)
		}
	}
}
