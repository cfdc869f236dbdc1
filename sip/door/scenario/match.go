package scenario

import (
	"fmt"
	"path"
	"strings"
)

// match says how a message differs from what a step expects, nil for not at
// all.
func (a *agent) match(m *arrival, s step) error {
	w := s.what
	got := m.start
	if m.code() > 0 {
		got += " (" + m.method() + ")"
	}
	switch {
	case w.code != m.code(), w.method != "" && w.method != m.method():
		return fmt.Errorf("got %s", got)
	case a.calls[s.who.call] != nil && a.calls[s.who.call] != m.dialog:
		return fmt.Errorf("got %s of another call", got)
	case a.calls[s.who.call] == nil && m.dialog.bound:
		return fmt.Errorf("got %s of a call the script has named already", got)
	case w.uri != "" && !glob(w.uri, m.uri()):
		return fmt.Errorf("the Request-URI is %s, not %s", m.uri(), w.uri)
	case w.reason != "" && !glob(w.reason, reasonOf(m.start)):
		return fmt.Errorf("the reason is %q, not %q", reasonOf(m.start), w.reason)
	}
	if tag := parameter(m.get("To"), "tag"); s.who.fork != "" && m.code() == 0 && tag != m.dialog.ownTag(s.who.fork) {
		return fmt.Errorf("got %s to the branch with tag %s, not %s", got, tag, m.dialog.ownTag(s.who.fork))
	}
	switch rel := reliable(m.message); {
	case w.rel && !rel:
		return fmt.Errorf("got %s, which is not reliable", got)
	case w.noRel && rel:
		return fmt.Errorf("got %s, which is reliable", got)
	case w.in != "" && !m.dialog.named(w.in, m.peerTag()):
		return fmt.Errorf("got %s in another early dialog than %s (tag %s)", got, w.in, m.peerTag())
	}
	for _, f := range w.fields {
		if err := f.check(m.message); err != nil {
			return err
		}
	}
	switch body := strings.Join(w.body, "\r\n"); {
	case w.sdp != nil:
		return w.sdp.matches(m.body)
	case w.noSDP && strings.HasPrefix(m.body, "v=0"):
		return fmt.Errorf("there is a session description")
	case len(w.body) > 0 && !glob(body, strings.TrimSuffix(m.body, "\r\n")):
		return fmt.Errorf("the body is not\n%s", indent(body))
	}
	return nil
}

// check says how a header differs from what is expected of it.
func (f field) check(m *message) error {
	values := m.all(f.name)
	if f.absent {
		if len(values) > 0 {
			return fmt.Errorf("%s: %s is there", f.name, values[0])
		}
		return nil
	}
	for _, v := range values {
		if glob(f.value, v) {
			return nil
		}
	}
	if len(values) == 0 {
		return fmt.Errorf("%s is not there", f.name)
	}
	return fmt.Errorf("%s is %q, not %q", f.name, strings.Join(values, ", "), f.value)
}

// glob matches with * for any characters, slashes too.
func glob(pattern, s string) bool {
	escape := strings.NewReplacer("/", "\x00", "[", `\[`, "?", `\?`, `\`, `\\`)
	ok, err := path.Match(escape.Replace(pattern), strings.ReplaceAll(s, "/", "\x00"))
	return ok && err == nil
}

func reasonOf(start string) string {
	f := strings.SplitN(start, " ", 3)
	if len(f) < 3 {
		return ""
	}
	return f[2]
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.ReplaceAll(strings.TrimRight(s, "\r\n"), "\r\n", "\n"), "\n", "\n    ")
}
