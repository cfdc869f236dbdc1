package scenario

import (
	"fmt"
	"strconv"
	"strings"
)

// What follows are the rules of session timers (RFC 4028) for every message that
// a door sends.

// sessionInterval is the number in a Session-Expires or Min-SE, -1 without one.
func sessionInterval(m *message, name string) int {
	v, _, _ := strings.Cut(m.get(name), ";")
	n, err := strconv.Atoi(strings.TrimSpace(v))
	if err != nil {
		return -1
	}
	return n
}

// names says whether a header's lists hold an option tag.
func names(m *message, header, option string) bool {
	for _, v := range m.all(header) {
		for _, o := range strings.Split(v, ",") {
			if strings.EqualFold(strings.TrimSpace(o), option) {
				return true
			}
		}
	}
	return false
}

// lintSessionRequest checks a request of the door's.
func (d *dialog) lintSessionRequest(m *message) error {
	refreshes := m.method() == "INVITE" || m.method() == "UPDATE"
	if !m.has("Session-Expires") {
		if refreshes && d.timed && parameter(m.get("To"), "tag") != "" {
			return fmt.Errorf("no Session-Expires in a session with a timer, which ends it (RFC 4028 section 7.4)")
		}
		return nil
	}
	at, least := sessionInterval(m, "Session-Expires"), sessionInterval(m, "Min-SE")
	switch refresher := parameter(m.get("Session-Expires"), "refresher"); {
	case !refreshes:
		return fmt.Errorf("a Session-Expires in a %s (RFC 4028 section 4)", m.method())
	case at <= 0:
		return fmt.Errorf("the Session-Expires is %q (RFC 4028 section 4)", m.get("Session-Expires"))
	case !names(m, "Supported", "timer"):
		return fmt.Errorf("a Session-Expires, and timer is not supported (RFC 4028 section 7.1)")
	case at < least:
		return fmt.Errorf("the Session-Expires %d is below the Min-SE %d (RFC 4028 section 7.1)", at, least)
	case refresher != "" && refresher != "uac" && refresher != "uas":
		return fmt.Errorf("the refresher is %q (RFC 4028 section 4)", refresher)
	}
	return nil
}

// lintSessionResponse checks a response of the door's to a request.
func lintSessionResponse(m, req *message) error {
	asked, at := sessionInterval(req, "Session-Expires"), sessionInterval(m, "Session-Expires")
	if m.code() == 422 {
		if least := sessionInterval(m, "Min-SE"); asked < 0 || least <= asked || !names(req, "Supported", "timer") {
			return fmt.Errorf("a 422 with Min-SE %q to Session-Expires %q (RFC 4028 section 9)", m.get("Min-SE"), req.get("Session-Expires"))
		}
		return nil
	}
	if !m.has("Session-Expires") {
		return nil
	}
	switch refresher := parameter(m.get("Session-Expires"), "refresher"); {
	case m.code()/100 != 2 || m.method() != "INVITE" && m.method() != "UPDATE":
		return fmt.Errorf("a Session-Expires in a %d to %s (RFC 4028 section 4)", m.code(), m.method())
	case at <= 0 || asked > 0 && at > asked:
		return fmt.Errorf("the Session-Expires is %q, %q was asked for (RFC 4028 section 9)", m.get("Session-Expires"), req.get("Session-Expires"))
	case at < sessionInterval(req, "Min-SE"):
		return fmt.Errorf("the Session-Expires %d is below the Min-SE %s (RFC 4028 section 9)", at, req.get("Min-SE"))
	case refresher != "uac" && refresher != "uas":
		return fmt.Errorf("the refresher in a 2xx is %q (RFC 4028 section 9)", refresher)
	case refresher == "uac" && !names(req, "Supported", "timer"):
		return fmt.Errorf("the refresher is uac, which does not know timers (RFC 4028 section 9, table 2)")
	case refresher == "uac" && !names(m, "Require", "timer"):
		return fmt.Errorf("the refresher is uac, and timer is not required (RFC 4028 section 9)")
	case parameter(req.get("Session-Expires"), "refresher") != "" && refresher != parameter(req.get("Session-Expires"), "refresher") && names(req, "Supported", "timer"):
		return fmt.Errorf("the refresher is %s, %q was asked for (RFC 4028 section 9, table 2)", refresher, req.get("Session-Expires"))
	}
	return nil
}

// noteTimer keeps whether the session has a timer, from a 2xx either way.
func (d *dialog) noteTimer(m *message) {
	if m.code()/100 == 2 && (m.method() == "INVITE" || m.method() == "UPDATE") {
		d.timed = m.has("Session-Expires")
	}
}
