package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// What follows are the rules of offer and answer (RFC 3264) for every session
// description that a door sends.

// described says whether a body is a session description.
func described(body string) bool { return strings.HasPrefix(body, "v=0") }

// lintOrigin checks the o= line against that of the description before: the
// same session, the same version for the same description, else the next
// (RFC 3264 section 8).
func (d *dialog) lintOrigin(m *message) error {
	body := m.body
	if !described(body) {
		return nil
	}
	o := strings.Fields(line(body, "o="))
	if len(o) != 6 {
		return fmt.Errorf("the origin is o=%s (RFC 8866 section 5.2)", strings.Join(o, " "))
	}
	version, err := strconv.ParseUint(o[2], 10, 64)
	if err != nil {
		return fmt.Errorf("the version of o=%s is no number (RFC 8866 section 5.2)", strings.Join(o, " "))
	}
	rest := strings.Replace(body, "o="+line(body, "o="), "", 1)
	own := parameter(m.get("From"), "tag")
	if m.code() == 0 {
		own = parameter(m.get("To"), "tag")
	}
	key := own + " " + m.peerTag()
	last, ok := d.origins[key]
	if !ok { // a branch begins with what the INVITE said
		last = d.origins[" "+m.peerTag()]
	}
	d.origins[key] = origin{o[1], version, rest}
	switch {
	case last.rest == "":
	case o[1] != last.id:
		return fmt.Errorf("the session id is %s, it was %s (RFC 3264 section 8)", o[1], last.id)
	case rest == last.rest && version != last.version:
		return fmt.Errorf("the version is %d, and the description is that of version %d (RFC 3264 section 8)", version, last.version)
	case rest != last.rest && version != last.version+1:
		return fmt.Errorf("the version is %d, another description had version %d (RFC 3264 section 8)", version, last.version)
	}
	return nil
}

// origin is the last description that came: its o= line and the rest.
type origin struct {
	id      string
	version uint64
	rest    string
}

// lintAnswer checks an answer against the offer (RFC 3264 section 6).
func lintAnswer(offer, answer string) error {
	if !described(offer) || !described(answer) {
		return nil
	}
	o, a := sections(offer), sections(answer)
	if len(o) != len(a) {
		return fmt.Errorf("the answer has %d media lines, the offer %d (RFC 3264 section 6)", len(a), len(o))
	}
	for i := range o {
		of, af := strings.Fields(o[i][0]), strings.Fields(a[i][0])
		if len(of) < 4 || len(af) < 4 {
			return fmt.Errorf("media line %d of the answer is m=%s (RFC 8866 section 5.14)", i+1, a[i][0])
		}
		want, got := mediaDirection(o[i]), mediaDirection(a[i])
		switch {
		case of[0] != af[0] || !strings.EqualFold(of[2], af[2]):
			return fmt.Errorf("media line %d of the answer is m=%s, of the offer m=%s (RFC 3264 section 6)", i+1, a[i][0], o[i][0])
		case of[1] == "0" && af[1] != "0":
			return fmt.Errorf("media line %d is m=%s, it was not offered (RFC 3264 section 6)", i+1, a[i][0])
		case af[1] == "0":
		case !slices.ContainsFunc(af[3:], func(f string) bool { return slices.Contains(of[3:], f) }):
			return fmt.Errorf("media line %d is m=%s, the formats offered were %s (RFC 3264 section 6.1)", i+1, a[i][0], strings.Join(of[3:], " "))
		case want == "sendonly" && got != "recvonly" && got != "inactive",
			want == "recvonly" && got != "sendonly" && got != "inactive",
			want == "inactive" && got != "inactive":
			return fmt.Errorf("media line %d is answered %s, the offer was %s (RFC 3264 section 6.1)", i+1, got, want)
		}
	}
	return nil
}

// sections are the media sections of a description: what stands behind m=, then
// the other lines.
func sections(body string) (out [][]string) {
	for _, l := range strings.Split(body, "\r\n") {
		if m, ok := strings.CutPrefix(l, "m="); ok {
			out = append(out, []string{m})
		} else if len(out) > 0 {
			out[len(out)-1] = append(out[len(out)-1], l)
		}
	}
	return out
}

func mediaDirection(section []string) string {
	for _, l := range section[1:] {
		if a, ok := strings.CutPrefix(l, "a="); ok && slices.Contains(directions, a) {
			return a
		}
	}
	return "sendrecv"
}
