package syntax

import "strconv"

// Fault says what is wrong with a message. The zero Fault is a sound message's.
type Fault struct {
	Status  int    // what the sender is owed: 400, 413, 414, 416, 501, 505 or 513; 0 when it is owed nothing
	Header  string // where: a header field's name, "Request-Line" or "Status-Line"
	Problem string // what, so that "Header Problem" is a sentence
	// Drop forbids an answer: the message is a response, an ACK, or not SIP.
	Drop bool
	// Close says that nobody can know where the message ends: a stream must be
	// closed once the answer is out, the rest of a datagram be ignored.
	Close bool
}

// OK reports whether nothing is wrong.
func (f Fault) OK() bool { return f.Problem == "" }

// String is a sentence for logs, such as "CSeq names another method than the
// request line".
func (f Fault) String() string {
	if f.OK() {
		return ""
	}
	return f.Header + " " + f.Problem
}

// Reason is the reason phrase of the answer: the status's own and what is wrong.
func (f Fault) Reason() string {
	return Phrase(f.Status) + ": " + f.String()
}

// Phrase gives the reason phrase of the statuses of this package (RFC 3261
// section 21.4).
func Phrase(status int) string {
	switch status {
	case 400:
		return "Bad Request"
	case 413:
		return "Request Entity Too Large"
	case 414:
		return "Request-URI Too Long"
	case 416:
		return "Unsupported URI Scheme"
	case 501:
		return "Not Implemented"
	case 505:
		return "Version Not Supported"
	case 513:
		return "Message Too Large"
	}
	return "Status " + strconv.Itoa(status)
}
