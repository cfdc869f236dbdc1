package syntax

// header is a header field whose grammar matters before parsing.
type header uint8

const (
	other header = iota
	hVia
	hFrom
	hTo
	hCallID
	hCSeq
	hMaxForwards
	hContact
	hRoute
	hRecordRoute
	hContentLength
	hContentType
	hReferTo
	hReferredBy
	hReplaces
	hRAck
	hRSeq
	hEvent
	hExpires
	hSessionExpires
	hMinSE
	headers // their number
)

// names are as told to the sender.
var names = [headers]string{
	hVia: "Via", hFrom: "From", hTo: "To", hCallID: "Call-ID", hCSeq: "CSeq", hMaxForwards: "Max-Forwards",
	hContact: "Contact", hRoute: "Route", hRecordRoute: "Record-Route", hContentLength: "Content-Length",
	hContentType: "Content-Type", hReferTo: "Refer-To", hReferredBy: "Referred-By", hReplaces: "Replaces",
	hRAck: "RAck", hRSeq: "RSeq", hEvent: "Event", hExpires: "Expires", hSessionExpires: "Session-Expires", hMinSE: "Min-SE",
}

// once are the headers that a message may have but once, be the copies equal or
// not: two readers might take different ones. Contact is counted by itself.
const once = 1<<hFrom | 1<<hTo | 1<<hCallID | 1<<hCSeq | 1<<hMaxForwards | 1<<hContentLength | 1<<hContentType |
	1<<hReferTo | 1<<hReferredBy | 1<<hReplaces | 1<<hRAck | 1<<hRSeq | 1<<hEvent | 1<<hExpires | 1<<hSessionExpires | 1<<hMinSE

// headerOf recognises a header's name, in any case or its compact form (RFC
// 3261 section 7.3.3 and the IANA registry).
func headerOf(name []byte) header {
	is := func(s string, h header) header {
		if fold(name, s) {
			return h
		}
		return other
	}
	switch len(name) {
	case 1:
		switch name[0] | 0x20 {
		case 'v':
			return hVia
		case 'f':
			return hFrom
		case 't':
			return hTo
		case 'i':
			return hCallID
		case 'm':
			return hContact
		case 'l':
			return hContentLength
		case 'c':
			return hContentType
		case 'r':
			return hReferTo
		case 'b':
			return hReferredBy
		case 'o':
			return hEvent
		case 'x':
			return hSessionExpires
		}
	case 2:
		return is("to", hTo)
	case 3:
		return is("via", hVia)
	case 4:
		switch name[0] | 0x20 {
		case 'f':
			return is("from", hFrom)
		case 'c':
			return is("cseq", hCSeq)
		case 'r':
			if h := is("rack", hRAck); h != other {
				return h
			}
			return is("rseq", hRSeq)
		}
	case 5:
		if name[0]|0x20 == 'r' {
			return is("route", hRoute)
		}
		return is("event", hEvent)
	case 6:
		return is("min-se", hMinSE)
	case 7:
		switch name[1] | 0x20 {
		case 'a':
			return is("call-id", hCallID)
		case 'o':
			return is("contact", hContact)
		case 'x':
			return is("expires", hExpires)
		}
	case 8:
		if name[2]|0x20 == 'f' {
			return is("refer-to", hReferTo)
		}
		return is("replaces", hReplaces)
	case 11:
		return is("referred-by", hReferredBy)
	case 12:
		switch name[0] | 0x20 {
		case 'm':
			return is("max-forwards", hMaxForwards)
		case 'c':
			return is("content-type", hContentType)
		case 'r':
			return is("record-route", hRecordRoute)
		}
	case 14:
		return is("content-length", hContentLength)
	case 15:
		return is("session-expires", hSessionExpires)
	}
	return other
}

// known recognises the methods of the IANA registry. Methods are
// case-sensitive (RFC 3261 section 7.1).
func known(method []byte) bool {
	switch string(method) {
	case "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "UPDATE", "INFO", "REFER", "MESSAGE",
		"SUBSCRIBE", "NOTIFY", "PUBLISH":
		return true
	}
	return false
}
