package trace

import (
	"strings"
	"time"
)

// Exchange is what a capture shows of one Call-ID that is no call: a
// registration, a subscription, a question by OPTIONS. They are not judged.
type Exchange struct {
	CallID    string         `json:"call_id"`
	Kind      string         `json:"kind"` // register, options, subscribe, …: the method that began it; unknown when none can be told
	FromUser  string         `json:"from_user"`
	FromHost  string         `json:"from_host"`
	ToUser    string         `json:"to_user"`
	ToHost    string         `json:"to_host"`
	Methods   map[string]int `json:"methods"`
	Responses map[string]int `json:"responses"`
	FinalCode *int           `json:"final_code"` // the last final response that was no challenge, else the challenge
	FirstAt   Time           `json:"first_at"`
	LastAt    Time           `json:"last_at"`

	MessageCount int       `json:"message_count"`
	Flags        []string  `json:"flags"`
	Hops         []Hop     `json:"hops"`
	Messages     []Message `json:"messages,omitempty"` // if Options.Messages asks for them
}

// exchange follows a Call-ID until an INVITE makes it a call.
type exchange struct {
	kind    string
	firstAt time.Time
	lastAt  time.Time // of a message
	final   int
}

func (x *exchange) message(m *message, at time.Time) {
	if x.firstAt.IsZero() {
		x.firstAt = at
	}
	x.lastAt = later(x.lastAt, at)
	if method := m.transaction(); x.kind == "" && method != "" {
		x.kind = strings.ToLower(strings.Clone(method))
	}
	challenge := m.code == 401 || m.code == 407
	if m.code >= 200 && (!challenge || x.final == 0) {
		x.final = m.code
	}
}

// transaction is the method of the transaction that a message is of. A
// response's CSeq may hold anything, so only methods known to begin one count.
func (m *message) transaction() string {
	if m.code == 0 {
		return m.method
	}
	if initiating[m.cseqMethod] {
		return m.cseqMethod
	}
	return ""
}

var initiating = map[string]bool{
	"BYE": true, "CANCEL": true, "INFO": true, "MESSAGE": true, "NOTIFY": true, "OPTIONS": true, "PRACK": true,
	"PUBLISH": true, "REFER": true, "REGISTER": true, "SUBSCRIBE": true, "UPDATE": true,
}

// exchanged is what is told of a Call-ID that was no call.
func (c *call) exchanged() *Exchange {
	x := &Exchange{
		CallID: c.id, Kind: c.exchange.kind, FromUser: c.from.user, FromHost: c.from.host, ToUser: c.to.user, ToHost: c.to.host,
		Methods: c.methods.table(), Responses: c.responses.table(), FirstAt: Time{c.exchange.firstAt}, LastAt: Time{c.exchange.lastAt},
		MessageCount: c.count, Flags: c.flagNames(), Hops: c.way.hops, Messages: c.ladder.messages,
	}
	if x.Kind == "" {
		x.Kind = "unknown"
	}
	if c.exchange.final > 0 {
		x.FinalCode = &c.exchange.final
	}
	return x
}
