package trace

import "bytes"

// spoken understands what is spoken on a stream of bytes, in one direction: SIP,
// SIP in WebSocket frames, or HEP.
type spoken struct {
	kind   language
	secure bool // it comes out of TLS
	lost   bool // bytes are missing: look for the next beginning

	scanned int // bytes of the message at the head without the end of its header
	need    int // bytes of that message, 0 until its header is whole
	frames  frames7118
}

type language uint8

const (
	unknownTalk language = iota
	sipTalk
	webSocketTalk
	hepTalk
)

// maxUpgrade bounds the HTTP request and response that begin a WebSocket.
const maxUpgrade = 16 << 10

// lose says that bytes are missing before those to come.
func (t *spoken) lose() {
	t.lost, t.scanned, t.need = true, 0, 0
	t.frames.lose()
}

// take reads the complete messages at the head of b and delivers each as a copy
// of s. It returns how many bytes it is done with, and false when the stream
// turns out to be something else.
func (t *spoken) take(b []byte, s *segment, deliver func(*segment)) (used int, ok bool) {
	for {
		var n int
		switch t.kind {
		case unknownTalk:
			n, ok = t.recognise(b[used:])
			if t.kind != unknownTalk {
				used += n
				continue
			}
		case sipTalk:
			n, ok = t.sip(b[used:], s, deliver)
		case webSocketTalk:
			s.transport = "ws"
			if t.secure {
				s.transport = "wss"
			}
			if t.lost {
				at := findFrame(b[used:])
				if at < 0 {
					return used + max(0, len(b)-used-maxStartLine), true
				}
				used += at
				t.lost = false
			}
			n, ok = t.frames.take(b[used:], func(message []byte) {
				s.payload = message
				deliver(s)
			})
		case hepTalk:
			n, ok = t.hep(b[used:], s, deliver)
		}
		return used + n, ok
	}
}

// recognise looks at the beginning of a stream, or at what comes after a loss.
func (t *spoken) recognise(b []byte) (used int, ok bool) {
	rest := skipLineEnds(b)
	used = len(b) - len(rest)
	if len(rest) == 0 {
		return used, true
	}
	if _, _, ok := startLine(rest); ok {
		t.kind = sipTalk
		return used, true
	}
	switch {
	case isHEP(rest):
		t.kind = hepTalk
		return used, true
	case beginsFrame(b):
		t.kind = webSocketTalk
		return 0, true
	case isUpgrade(rest):
		end := headerEnd(rest)
		if end < 0 {
			return used, len(rest) < maxUpgrade
		}
		if !upgrades(rest[:end]) {
			return used, false
		}
		t.kind = webSocketTalk
		return used + end, true
	}
	if t.lost {
		if at := findStart(rest); at >= 0 {
			t.kind = sipTalk
			return used + at, true
		}
		if at := bytes.Index(rest, []byte("HEP3\x00")); at >= 0 {
			t.kind = hepTalk
			return used + at, true
		}
		// Keep the tail: a start line may be split between segments.
		return used + max(0, len(rest)-maxStartLine), true
	}
	// Less than a line may still become a start line.
	return used, len(rest) < 16 || len(rest) < maxStartLine && bytes.IndexByte(rest, '\n') < 0 && isToken(rest[0])
}

// sip hands out the complete messages at the head of b (RFC 3261 section 18.3:
// Content-Length frames them).
func (t *spoken) sip(b []byte, s *segment, deliver func(*segment)) (used int, ok bool) {
	s.transport = "tcp"
	if t.secure {
		s.transport = "tls"
	}
	for {
		rest := skipLineEnds(b[used:])
		used = len(b) - len(rest)
		if len(rest) == 0 {
			return used, true
		}
		if _, _, ok := startLine(rest); !ok {
			next := findStart(rest)
			if next < 0 {
				if len(rest) > maxStartLine {
					used = len(b) - maxStartLine
				}
				return used, true
			}
			used += next
			continue
		}
		t.lost = false
		size := t.size(rest)
		if size == 0 {
			if len(rest) > maxMessage { // no end in sight
				used++
				t.lose()
				continue
			}
			return used, true
		}
		s.payload = rest[:size]
		deliver(s)
		used += size
		t.scanned, t.need = 0, 0
	}
}

// size returns the length of the message at the head of b, or 0 while it is
// not there as a whole. What it has looked at it does not look at again: a
// message may come byte by byte.
func (t *spoken) size(b []byte) int {
	if t.need == 0 {
		from := max(0, t.scanned-2)
		end := headerEnd(b[from:])
		if end < 0 {
			t.scanned = len(b)
			return 0
		}
		// Without Content-Length there is no body on a stream.
		m, _ := parseMessage(b[:from+end])
		t.need = from + end + max(m.length, 0)
	}
	if len(b) < t.need {
		return 0
	}
	return t.need
}

// headerEnd returns where the body begins, or -1 while the empty line before
// it is not there.
func headerEnd(b []byte) int {
	i := bytes.Index(b, []byte("\n\r\n"))
	j := bytes.Index(b, []byte("\n\n"))
	switch {
	case i < 0 && j < 0:
		return -1
	case j < 0 || i >= 0 && i < j:
		return i + 3
	}
	return j + 2
}

// findStart returns the offset of the first SIP start line in b that stands at
// the start of a line, or -1.
func findStart(b []byte) int {
	for at := 0; at < len(b); {
		if _, _, ok := startLine(b[at:]); ok {
			return at
		}
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
	return -1
}

// isHEP says whether b begins as HEP version 3, which has its length and then
// the first chunk's vendor, which is nearly always the generic one.
func isHEP(b []byte) bool {
	return len(b) >= 8 && string(b[:4]) == "HEP3" && b[6] == 0
}

// hep hands out what the complete packets at the head of b mirror.
func (t *spoken) hep(b []byte, s *segment, deliver func(*segment)) (used int, ok bool) {
	for {
		rest := b[used:]
		if len(rest) < 6 {
			return used, true
		}
		if string(rest[:4]) != "HEP3" {
			at := bytes.Index(rest, []byte("HEP3"))
			if at < 0 {
				return len(b) - 3, true
			}
			used += at
			continue
		}
		t.lost = false
		size := int(rest[4])<<8 | int(rest[5])
		if size < 6 { // damaged: the next one, then
			used += 4
			continue
		}
		if len(rest) < size {
			return used, true
		}
		one := segment{at: s.at}
		if hepPacket(rest[:size], &one) {
			deliver(&one)
		}
		used += size
	}
}
