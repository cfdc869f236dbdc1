package replay

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portero/portero/sip/sdp"
)

// Flow is what a call went through, as its caller saw it, recorded or live.
type Flow struct {
	// Responses are those to INVITEs outside the dialog, without 100, and without
	// repetitions.
	Responses []Response `json:"responses"`
	// Ended says who ended the call: caller (BYE), far (BYE), cancelled (CANCEL),
	// refused (a final response that is no 2xx), or nothing when that is not known.
	Ended   string  `json:"ended"`
	EndedAt Seconds `json:"ended_at"` // since the INVITE; 0 when not known
	// Requests are the far side's inside the dialog, without ACK, CANCEL, PRACK and BYE.
	Requests []string `json:"requests"`
	// Codec is the first of the answer, without telephone events and comfort noise.
	Codec    string `json:"codec"`
	Sent     int    `json:"rtp_sent"`
	Received int    `json:"rtp_received"`
	Lost     int    `json:"rtp_lost"` // of those that the far side sent
}

// Response is one response.
type Response struct {
	Code int     `json:"code"`
	At   Seconds `json:"at"` // since the INVITE
}

// Seconds is a span of time, in JSON a number of seconds with milliseconds.
type Seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(math.Round(time.Duration(s).Seconds()*1000) / 1000)
}

// String is for people: 3.1 s.
func (s Seconds) String() string {
	return strconv.FormatFloat(time.Duration(s).Seconds(), 'f', 1, 64) + " s"
}

// respond notes a response to an INVITE outside the dialog.
func (f *Flow) respond(code int, at time.Duration) {
	if code <= 100 {
		return
	}
	if n := len(f.Responses); n > 0 && f.Responses[n-1].Code == code && code < 200 {
		return
	}
	f.Responses = append(f.Responses, Response{code, Seconds(at)})
}

func (f *Flow) end(who string, at time.Duration) {
	if f.Ended == "" {
		f.Ended, f.EndedAt = who, Seconds(at)
	}
}

// final is the last response of 200 or more, and when it came.
func (f *Flow) final() (Response, bool) {
	for i := len(f.Responses) - 1; i >= 0; i-- {
		if f.Responses[i].Code >= 200 {
			return f.Responses[i], true
		}
	}
	return Response{}, false
}

// String tells the signalling: "180, 200 after 3.1 s".
func (f *Flow) String() string {
	if len(f.Responses) == 0 {
		return "no response"
	}
	var codes []string
	for _, r := range f.Responses {
		codes = append(codes, strconv.Itoa(r.Code))
	}
	last := f.Responses[len(f.Responses)-1]
	if final, ok := f.final(); ok {
		last = final
	}
	return strings.Join(codes, ", ") + " after " + last.At.String()
}

// Flow is what the recorded call went through.
func (r *Recording) Flow() Flow {
	f := Flow{Responses: []Response{}, Requests: []string{}, Sent: len(r.packets), Received: r.heard.received, Lost: r.heard.lost}
	s := r.script()
	answered, refused := false, Response{}
	seen := map[int]bool{}
	for _, m := range r.steps {
		number, method := m.cseq()
		over := m.method() == "BYE" || m.method() == "CANCEL"
		if over && !answered && refused.Code > 0 {
			f.end("refused", time.Duration(refused.At))
		}
		switch {
		case m.caller && m.method() == "INVITE" && !answered && s.isAttempt(number):
			refused = Response{} // it tries again
		case m.caller && m.method() == "BYE":
			f.end("caller", m.at)
		case m.caller && m.method() == "CANCEL":
			f.end("cancelled", m.at)
		case m.caller:
		case m.method() == "BYE":
			f.end("far", m.at)
		case m.method() != "":
			f.request(m.method())
		case method == "INVITE" && s.isAttempt(number) && !answered:
			code := m.code()
			// One final response an INVITE: others are those of its branches, or the
			// same with another timestamp.
			if code >= 200 && seen[number] {
				continue
			}
			seen[number] = seen[number] || code >= 200
			f.respond(code, m.at)
			answered = code >= 200 && code < 300
			if code >= 300 {
				refused = Response{code, Seconds(m.at)}
			}
			f.codec(describes(m.message))
		}
	}
	if f.Ended == "" && !answered && refused.Code > 0 {
		f.end("refused", time.Duration(refused.At))
	}
	return f
}

// request notes a request of the far side's.
func (f *Flow) request(method string) {
	switch method {
	case "ACK", "CANCEL", "PRACK", "BYE":
	default:
		if len(f.Requests) < 256 {
			f.Requests = append(f.Requests, method)
		}
	}
}

// codec notes what an answer says is spoken.
func (f *Flow) codec(d *sdp.Description) {
	if d == nil {
		return
	}
	m := d.Audio()
	if m == nil || m.Port == 0 {
		return
	}
	for _, c := range m.Codecs() {
		if !strings.EqualFold(c.Name, "telephone-event") && !strings.EqualFold(c.Name, "CN") {
			f.Codec = c.Name
			if c.Name == "" {
				f.Codec = "payload type " + strconv.Itoa(int(c.PT))
			}
			return
		}
	}
}

// Difference is one place where two flows part.
type Difference struct {
	Kind string `json:"kind"` // responses, ended, requests, codec
	Says string `json:"says"` // "recorded: 180, 200 after 3.1 s; now: 486 after 0.2 s"
}

// Compare says where the flow of a call now parts from the recorded one. When
// things happened, and how many packets came, is no difference: see Timing.
func Compare(recorded, now Flow) []Difference {
	var out []Difference
	differ := func(kind, a, b string) {
		out = append(out, Difference{kind, fmt.Sprintf("recorded: %s; now: %s", a, b)})
	}
	code := func(r Response) int { return r.Code }
	got := now.Responses
	if _, had := recorded.final(); !had && now.Ended == "cancelled" && len(got) > 0 && got[len(got)-1].Code == 487 {
		got = got[:len(got)-1] // of a call that is given up where its recording ends
	}
	if !slices.EqualFunc(recorded.Responses, got, func(a, b Response) bool { return code(a) == code(b) }) {
		differ("responses", recorded.String(), now.String())
		return out // all else follows from it
	}
	// A capture that ends before the call does says nothing of its end.
	if recorded.Ended != "" && recorded.Ended != now.Ended {
		differ("ended", recorded.ending(), now.ending())
	}
	if !slices.Equal(recorded.Requests, now.Requests) {
		differ("requests", recorded.asked(), now.asked())
	}
	if !strings.EqualFold(recorded.Codec, now.Codec) {
		differ("codec", orNone(recorded.Codec), orNone(now.Codec))
	}
	return out
}

func (f *Flow) ending() string {
	says := map[string]string{"caller": "the caller hung up", "far": "the far side hung up", "cancelled": "cancelled by the caller",
		"refused": "refused", "": "not over"}[f.Ended]
	if f.Ended != "" {
		says += " after " + f.EndedAt.String()
	}
	return says
}

func (f *Flow) asked() string {
	if len(f.Requests) == 0 {
		return "no request of the far side"
	}
	return "the far side sent " + strings.Join(f.Requests, ", ")
}

func orNone(s string) string {
	if s == "" {
		return "no codec"
	}
	return s
}

// Timing says how much earlier or later the same final response came, from
// half a second on; "" when there is nothing to say.
func Timing(recorded, now Flow) string {
	a, okA := recorded.final()
	b, okB := now.final()
	if !okA || !okB || a.Code != b.Code {
		return ""
	}
	d := time.Duration(b.At - a.At)
	switch {
	case d.Abs() < 500*time.Millisecond:
		return ""
	case d < 0:
		return fmt.Sprintf("%d came %s earlier", a.Code, Seconds(-d))
	}
	return fmt.Sprintf("%d came %s later", a.Code, Seconds(d))
}
