package replay

import (
	"slices"
	"time"

	"github.com/portero/portero/sip/fingerprint"
)

// script is what the recorded caller did, sorted by what made it do so.
type script struct {
	attempts []attempt             // INVITEs outside the dialog, in order
	cancel   *cue                  // the CANCEL
	cues     []cue                 // requests inside the dialog, of the caller's own accord, BYE too
	acks     map[int]*message      // by CSeq number
	pracks   []*message            // in order
	replies  map[string][]*message // final responses to the far side's requests, by method, in order
	answered bool                  // an INVITE outside the dialog got a 2xx
	talk     time.Duration         // how long after the answer the recording goes on
	farBye   bool
}

// attempt is one INVITE outside the dialog.
type attempt struct {
	invite *message
	signed *message      // the same with credentials, after a challenge; nil: none was recorded
	pause  time.Duration // since the refusal of the attempt before
}

// cue is a request of the caller's own accord, and when.
type cue struct {
	*message
	after anchor
	pause time.Duration // since that
}

// anchor is what the time of a cue is counted from.
type anchor int

const (
	fromInvite anchor = iota // the INVITE that the dialog comes of
	fromRing                 // its first response of 101 to 199
	fromAnswer               // its 2xx
)

// script sorts the recorded steps.
func (r *Recording) script() script {
	s := script{acks: map[int]*message{}, replies: map[string][]*message{}}
	at := map[anchor]time.Duration{}
	refused := time.Duration(-1) // when the last attempt was
	challenged := map[string]bool{}
	for _, m := range r.steps {
		number, method := m.cseq()
		switch {
		case !m.caller && m.method() == "BYE":
			s.farBye = true
		case !m.caller && m.method() != "":
		case !m.caller && method == "INVITE" && s.isAttempt(number) && !s.answered:
			switch code := m.code(); {
			case code == 401 || code == 407:
				challenged["INVITE"] = true
			case code >= 300:
				refused = m.at
			case code >= 200:
				s.answered = true
				at[fromAnswer] = m.at
			case code > 100:
				if _, rang := at[fromRing]; !rang {
					at[fromRing] = m.at
				}
			}
		case !m.caller:
			if code := m.code(); code == 401 || code == 407 {
				challenged[method] = true
			}
		case m.code() >= 200:
			s.replies[method] = append(s.replies[method], m.message)
		case m.code() > 0:
		case m.method() == "ACK":
			s.acks[number] = m.message
		case m.method() == "PRACK":
			s.pracks = append(s.pracks, m.message)
		case m.method() == "CANCEL" && s.cancel == nil:
			s.cancel = &cue{m.message, fromInvite, m.at - at[fromInvite]}
		case m.method() == "CANCEL":
		case m.method() == "INVITE" && (len(s.attempts) == 0 || m.tag("To") == "" && !s.answered):
			if s.retry(m.message, challenged) && len(s.attempts) > 0 {
				s.attempts[len(s.attempts)-1].signed = m.message
			} else {
				a := attempt{invite: m.message}
				if refused >= 0 {
					a.pause = m.at - refused
				}
				s.attempts = append(s.attempts, a)
				delete(at, fromRing)
			}
			at[fromInvite] = m.at
		case s.retry(m.message, challenged): // the live challenge makes its own
		default:
			c := cue{m.message, fromInvite, m.at - at[fromInvite]}
			for _, a := range []anchor{fromRing, fromAnswer} {
				if t, ok := at[a]; ok {
					c.after, c.pause = a, m.at-t
				}
			}
			s.cues = append(s.cues, c)
		}
	}
	if s.answered {
		s.talk = r.end - at[fromAnswer]
	}
	return s
}

// isAttempt says whether a CSeq number is that of an INVITE outside the dialog.
func (s *script) isAttempt(number int) bool {
	return slices.ContainsFunc(s.attempts, func(a attempt) bool {
		n, _ := a.invite.cseq()
		if a.signed != nil && n != number {
			n, _ = a.signed.cseq()
		}
		return n == number
	})
}

// retry says whether a request is one that was challenged, with credentials.
func (s *script) retry(m *message, challenged map[string]bool) bool {
	method := m.method()
	if !challenged[method] || m.index("Authorization") < 0 && m.index("Proxy-Authorization") < 0 {
		return false
	}
	delete(challenged, method)
	return true
}

// sections is how many media sections the caller's descriptions have at most.
func (r *Recording) sections() int {
	n := 0
	for _, m := range r.steps {
		if d := describes(m.message); d != nil {
			n = max(n, len(d.Media))
		}
	}
	return n
}

// Fingerprint is that of the recorded INVITE.
func (r *Recording) Fingerprint() fingerprint.Print {
	for _, m := range r.steps {
		if m.caller && m.method() == "INVITE" {
			return fingerprint.Of(m.bytes())
		}
	}
	return fingerprint.Print{}
}
