package scenario

import (
	"fmt"
	"regexp"
	"strings"
)

// wordForm are the words in header values that stand for what only the run of a
// scenario shows.
var wordForm = regexp.MustCompile(`\$(replaces|replaced|cseq|path|contact|uri)\(([a-z]+)(?:/([a-z0-9]+))?(?:,([A-Z]+))?\)`)

// filled is a step with such words replaced:
//
//	$replaces(AGENT)       the agent's dialog as it writes it into Replaces: to-tag is the door's
//	$replaced(AGENT)       the same as the agent gets it: to-tag is its own
//	$cseq(AGENT,METHOD)    the number of the last request of that method that the agent took
//	$path(AGENT)           the Path of the last REGISTER that the agent took
//	$contact(AGENT)        its Contact
//	$uri(AGENT)            the URI in that; as a Request-URI too
//
// In a Refer-To they are escaped.
func (r *runner) filled(s step) (step, error) {
	var err error
	fields := append([]field(nil), s.what.fields...)
	for i, f := range fields {
		fields[i].value = wordForm.ReplaceAllStringFunc(f.value, func(w string) string {
			v, e := r.word(wordForm.FindStringSubmatch(w))
			if e != nil {
				err = fmt.Errorf("%s: %w", w, e)
			}
			if same(f.name, "Refer-To") {
				v = escaper.Replace(v)
			}
			return v
		})
	}
	s.what.fields = fields
	s.what.uri = wordForm.ReplaceAllStringFunc(s.what.uri, func(w string) string {
		v, e := r.word(wordForm.FindStringSubmatch(w))
		if e != nil {
			err = fmt.Errorf("%s: %w", w, e)
		}
		return v
	})
	return s, err
}

var escaper = strings.NewReplacer("@", "%40", ";", "%3B", "=", "%3D")

func (r *runner) word(m []string) (string, error) {
	a := r.agents[m[2]]
	if a == nil {
		return "", fmt.Errorf("there is no agent %s", m[2])
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.calls[m[3]]
	if d == nil {
		return "", fmt.Errorf("%s has no such call yet", m[2])
	}
	switch m[1] {
	case "replaces":
		return d.id + ";to-tag=" + d.peerTag + ";from-tag=" + d.tag, nil
	case "replaced":
		return d.id + ";to-tag=" + d.tag + ";from-tag=" + d.peerTag, nil
	}
	if m[1] != "cseq" {
		m[4] = "REGISTER"
	}
	req := d.got[m[4]]
	if req == nil {
		return "", fmt.Errorf("it took no %s in this call", m[4])
	}
	switch m[1] {
	case "path":
		return req.get("Path"), nil
	case "contact":
		return req.get("Contact"), nil
	case "uri":
		return address(req.get("Contact")), nil
	}
	return fmt.Sprint(req.seq()), nil
}
