package fingerprint

import "bytes"

// Field is a part of a message that a signature may look at.
type Field uint8

// The fields, as far as they are the sender's own: of a response nothing that it
// repeats of the request, and no Call-ID inside a dialog. Those that end in Shape are described as in the print (see
// README.md); the others are as they stand in the message.
const (
	Method        Field = iota // of a response, the method in its CSeq
	Reason                     // of a response
	UserAgent                  // User-Agent, of a response Server
	Allow                      // as written, order and blanks included
	Supported                  // the same
	Subject                    //
	Diversion                  //
	HeaderOrder                // names as spelled, commas between, as h= of the print
	CallID                     //
	Branch                     // after the magic cookie
	FromTag                    //
	ToTag                      //
	From                       // the whole header
	FromDisplay                // without quotes
	FromUser                   //
	FromHost                   //
	Contact                    // the whole header
	ContactUser                //
	ContactHost                //
	ViaHost                    // sent-by of the last Via
	Session                    // s= of the session description
	Origin                     // user name in its o=
	Tool                       // its a=tool
	Codecs                     // payload types of its first m=audio
	Events                     // fmtp of its telephone-event
	Lines                      // order of its lines, as sdp= of the print
	BranchShape                //
	FromTagShape               //
	ToTagShape                 //
	CallIDShape                //
	CSeqClass                  // as cseq= of the print
	OriginNumbers              // the two numbers of o=, as sdp= of the print
	Text                       // the whole print
	numFields
)

// Fields are the names of all fields, as signatures write them.
var Fields = map[string]Field{
	"method": Method, "reason": Reason, "user_agent": UserAgent, "allow": Allow, "supported": Supported,
	"subject": Subject, "diversion": Diversion, "header_order": HeaderOrder, "call_id": CallID, "branch": Branch,
	"from_tag": FromTag, "to_tag": ToTag, "from": From, "from_display": FromDisplay, "from_user": FromUser,
	"from_host": FromHost, "contact": Contact, "contact_user": ContactUser, "contact_host": ContactHost,
	"via_host": ViaHost, "session": Session, "origin": Origin, "tool": Tool, "codecs": Codecs, "events": Events,
	"lines": Lines, "branch_shape": BranchShape, "from_tag_shape": FromTagShape, "to_tag_shape": ToTagShape,
	"call_id_shape": CallIDShape, "cseq_class": CSeqClass, "origin_numbers": OriginNumbers, "print": Text,
}

// Field gives a part of the message; empty is not there. The bytes are not to
// be changed.
func (m *Message) Field(f Field) []byte {
	switch f {
	case Method:
		return m.method
	case Reason:
		return m.reason
	case UserAgent:
		return m.agent
	case Allow:
		return m.allow
	case Supported:
		return m.support
	case Subject:
		return m.subject
	case Diversion:
		return m.diversion
	case HeaderOrder:
		return m.order[:m.norder]
	case CallID:
		return m.callID
	case Branch:
		rest, ok := bytes.CutPrefix(m.branch, cookie)
		if !ok {
			return nil
		}
		return rest
	case FromTag:
		return m.fromTag
	case ToTag:
		return m.toTag
	case From:
		return m.fromRaw
	case FromDisplay:
		return m.from.Display
	case FromUser:
		return m.fromUser
	case FromHost:
		return m.fromHost
	case Contact:
		return m.contacts
	case ContactUser:
		return m.contactUser
	case ContactHost:
		return m.contactHost
	case ViaHost:
		return m.viaHost
	case Session:
		return m.sdp.session
	case Origin:
		return m.sdp.origin
	case Tool:
		return m.sdp.tool
	case Codecs:
		return m.sdp.codecs
	case Events:
		return m.sdp.events
	case Lines:
		return m.sdp.text
	case BranchShape:
		return m.shapes[0].of(m.text)
	case FromTagShape:
		return m.shapes[1].of(m.text)
	case ToTagShape:
		return m.shapes[2].of(m.text)
	case CallIDShape:
		return m.shapes[3].of(m.text)
	case CSeqClass:
		return []byte(m.cseqClass())
	case OriginNumbers:
		if len(m.sdp.text) == 0 {
			return nil
		}
		return m.sdp.versions(nil)
	case Text:
		return m.text
	}
	return nil
}

// present has a bit for every field that is not empty.
func (m *Message) present() (have uint64) {
	for f := range numFields {
		switch f {
		case CSeqClass, Text:
			have |= 1 << f
		case OriginNumbers:
			if len(m.sdp.text) > 0 {
				have |= 1 << f
			}
		default:
			if len(m.Field(f)) > 0 {
				have |= 1 << f
			}
		}
	}
	return have
}

// Has is a bit for every field that is not empty: 1<<Session, and so on.
func (m *Message) Has() uint64 { return m.have }

// Agent is the User-Agent, of a response the Server, in lower case, at most 128
// bytes of it.
func (m *Message) Agent() []byte { return m.low[:m.nlow] }

// Letters has a bit for each character of a text that is in lower case: a text that
// is part of another has no bit that the other has not.
func Letters(low string) (set uint64) {
	for i := range len(low) {
		set |= 1 << (low[i] & 63)
	}
	return set
}

// AgentLetters are those of Agent.
func (m *Message) AgentLetters() uint64 { return m.letters }

// Status is a response's code, 0 of a request.
func (m *Message) Status() int { return m.status }

// Within says that a request stands inside a dialog (its To has a tag).
func (m *Message) Within() bool { return m.within }

// CSeq is its number.
func (m *Message) CSeq() uint64 { return m.cseq }

// HasHeader says whether there is an extension header (X-...) of that name.
func (m *Message) HasHeader(name string) bool {
	for _, h := range m.extensions[:m.nextension] {
		if foldEqual(h, name) {
			return true
		}
	}
	return false
}

// Extensions are the names of the extension headers (X-...), as spelled.
func (m *Message) Extensions() [][]byte { return m.extensions[:m.nextension] }

// Arithmetic is a relation between values of one message that only one kind of
// stack makes.
type Arithmetic uint8

// The relations.
const (
	// SofiaIDs: the first CSeq follows from the clock in the Call-ID, as sofia-sip
	// makes them (nta.c, su_uniqueid.c).
	SofiaIDs Arithmetic = iota
	// SofiaTokens: branch and From tag are both of sofia-sip's form and alphabet;
	// others make that with a chance of 1e-8.
	SofiaTokens
	// DecimalIDs: branch and From tag are both decimal numbers.
	DecimalIDs
)

// Relations are their names, as signatures write them.
var Relations = map[string]Arithmetic{"sofia_ids": SofiaIDs, "sofia_tokens": SofiaTokens, "decimal_ids": DecimalIDs}

// Holds says whether a relation is there.
func (m *Message) Holds(a Arithmetic) bool {
	switch a {
	case SofiaIDs:
		return m.sofiaIDs
	case SofiaTokens:
		return m.sofiaTokens
	case DecimalIDs:
		return m.decimalIDs
	}
	return false
}
