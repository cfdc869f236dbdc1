package trace

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/portero/portero/policy"
)

// Call is what a capture shows of one call: all messages with one Call-ID, at
// every hop that was captured. Its JSON form is what `portero inspect --json`
// prints.
type Call struct {
	CallID    string         `json:"call_id"`
	FromUser  string         `json:"from_user"` // user part of the From URI, as written
	ToUser    string         `json:"to_user"`   // user part of the To URI
	FromHost  string         `json:"from_host"` // host of the From URI
	ToHost    string         `json:"to_host"`
	Methods   map[string]int `json:"methods"`   // requests seen, by method; a copy at a second hop counts again
	Responses map[string]int `json:"responses"` // responses seen, by status code
	FinalCode *int           `json:"final_code"`
	Outcome   Outcome        `json:"outcome"`

	InviteAt   *Time `json:"invite_at"`   // first initial INVITE
	RingingAt  *Time `json:"ringing_at"`  // first of 180 to 183
	AnsweredAt *Time `json:"answered_at"` // first 2xx to an initial INVITE
	EndedAt    *Time `json:"ended_at"`    // first BYE, else the final response that was no 2xx, else the first CANCEL

	TryingAt *Time    `json:"trying_at"` // first 100
	RingCode *int     `json:"ring_code"` // of the response at RingingAt
	CancelAt *Time    `json:"cancel_at"`
	ByeAt    *Time    `json:"bye_at"`     // first BYE
	ByeFrom  string   `json:"bye_from"`   // address that sent it; empty: none
	Setup    *float64 `json:"setup_s"`    // INVITE to 2xx
	PDD      *float64 `json:"pdd_s"`      // post-dial delay: INVITE to the first of 180 to 183
	Duration *float64 `json:"duration_s"` // 2xx to BYE

	MessageCount int      `json:"message_count"` // SIP messages, copies at other hops too
	Codecs       []string `json:"codecs"`        // in session descriptions, in order of their appearance
	Mapped       []string `json:"sdp_codecs"`    // those that a=rtpmap lines name: static payload types need none
	Flags        []string `json:"flags"`         // what happened in it; README.md has the list

	Streams []Stream `json:"streams"`
	Faxes   []Fax    `json:"t38_streams"` // T.38 over UDPTL

	Links           []Link    `json:"links"`                       // other calls that belong to it: a B2BUA's other leg, transfers
	Hops            []Hop     `json:"hops"`                        // its way, in the order in which they were seen
	Messages        []Message `json:"messages,omitempty"`          // if Options.Messages asks for them
	MessagesLeftOut int       `json:"messages_left_out,omitempty"` // beyond the 2,000 that are kept of a call

	// The three below are never null. A call that was not put before a judge (its
	// INVITE was not captured) has class unknown, and empty texts in the others.
	Fingerprint *Fingerprint `json:"fingerprint"`
	Verdict     *Verdict     `json:"verdict"`
	Decision    *Decision    `json:"decision"`  // the last one
	Decisions   []Decision   `json:"decisions"` // all, in the order of time

	heard int // index in Streams of the caller's audio, -1 when it was not captured
}

// CallerStream is the caller's audio: the longest of the streams that went
// where the caller was told to send. nil when there was none.
func (c *Call) CallerStream() *Stream {
	if c.heard < 0 {
		return c.longest(Caller) // encrypted, or on its way to elsewhere
	}
	return &c.Streams[c.heard]
}

// FarStream is the longest of the streams that the caller heard; nil when there was
// none.
func (c *Call) FarStream() *Stream { return c.longest(Far) }

func (c *Call) longest(side Side) *Stream {
	var best *Stream
	for i := range c.Streams {
		if s := &c.Streams[i]; s.Side == side && (best == nil || s.Packets > best.Packets) {
			best = s
		}
	}
	return best
}

// Outcome says how a call attempt went.
type Outcome string

// The outcomes.
const (
	Answered   Outcome = "answered"    // an initial INVITE got a 2xx
	Cancelled  Outcome = "cancelled"   // a CANCEL, or 487
	Busy       Outcome = "busy"        // 486, 600
	Declined   Outcome = "declined"    // 603
	AuthFailed Outcome = "auth_failed" // 401 or 407 and nothing after
	Redirected Outcome = "redirected"  // 3xx
	Failed     Outcome = "failed"      // any other final response
	NoFinal    Outcome = "no_final"    // no final response in the capture
)

// Stream is one RTP stream: a source, a destination and an SSRC.
type Stream struct {
	SSRC        SSRC           `json:"ssrc"`
	Source      netip.AddrPort `json:"source"`
	Destination netip.AddrPort `json:"destination"`
	PayloadType int            `json:"payload_type"` // the most frequent one that is neither events nor comfort noise
	Codec       string         `json:"codec"`        // its encoding name; empty when nothing says it
	Packets     int            `json:"packets"`
	Duplicates  int            `json:"duplicates"` // of them, same number twice, as far as the last 64 numbers tell
	Lost        int            `json:"lost"`       // by extended sequence number, at least 0 (RFC 3550 appendix A.3)
	Jitter      float64        `json:"jitter_ms"`  // mean of the running estimate (RFC 3550 section 6.4.1)
	FirstAt     Time           `json:"first_at"`
	Seconds     float64        `json:"seconds"` // first packet to last
	Digits      string         `json:"digits"`  // keys of RFC 4733 events
	Side        Side           `json:"side"`    // who speaks in it; "" where that does not show
	SRTP        bool           `json:"srtp"`    // encrypted: measured, not heard
}

// SSRC is written as 0x and eight digits, as Wireshark does.
type SSRC uint32

func (s SSRC) String() string { return fmt.Sprintf("0x%08x", uint32(s)) }

// MarshalText implements encoding.TextMarshaler.
func (s SSRC) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Time is written in RFC 3339, UTC, with all nine digits of the second.
type Time struct{ time.Time }

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) {
	return t.UTC().AppendFormat(nil, "2006-01-02T15:04:05.000000000Z"), nil
}

// MarshalJSON hides the method of time.Time.
func (t Time) MarshalJSON() ([]byte, error) {
	b, err := t.MarshalText()
	return []byte(strconv.Quote(string(b))), err
}

// Fingerprint says which stack made the INVITE.
type Fingerprint struct {
	ID        string `json:"id"`
	Text      string `json:"text,omitempty"` // the readable form (sip/fingerprint/README.md)
	Stack     string `json:"stack"`
	UserAgent string `json:"user_agent"`

	Signature     string `json:"signature,omitempty"`      // the first that it bears (sip/signature/README.md)
	SignatureKind string `json:"signature_kind,omitempty"` // its kind
}

// Verdict is what the caller was judged to be in the end.
type Verdict struct {
	Class    policy.Class `json:"class"`
	PMachine float64      `json:"p_machine"`
	Prior    float64      `json:"prior"` // probability of a machine before anything was known
	Evidence []Evidence   `json:"evidence"`
	Course   []Moment     `json:"course"` // how it came about: class and probability whenever they had changed
}

// Moment is the verdict at one time of the call.
type Moment struct {
	At       Time         `json:"at"`
	Class    policy.Class `json:"class"`
	PMachine float64      `json:"p_machine"`
}

// Evidence is one observed fact.
type Evidence struct {
	Name string  `json:"name"`
	LLR  float64 `json:"llr"`
	Says string  `json:"says"`
	// Effect is what the item adds to the log-odds once its family's weight and cap
	// are applied: the prior's log-odds and all effects make the verdict's.
	Effect float64 `json:"effect"`
	At     *Time   `json:"at"`    // when it came to this ratio; null: not known
	Frame  int     `json:"frame"` // the last packet of the call until then, counted from 1 in the capture; 0: not known
}

// Decision is what a rule ordered.
type Decision struct {
	At          *Time         `json:"at"` // null: there was none
	Stage       policy.Stage  `json:"stage"`
	Rule        string        `json:"rule"`
	Action      policy.Action `json:"action"`
	Destination string        `json:"destination"`
	Reason      string        `json:"reason"`
}
