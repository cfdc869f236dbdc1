package trace

import (
	"encoding/binary"
)

// Content types of records (RFC 8446 section 5.1).
const (
	recordCipherSpec  = 20
	recordAlert       = 21
	recordHandshake   = 22
	recordApplication = 23
	recordHeartbeat   = 24
)

// Handshake messages that matter (RFC 8446 section 4).
const (
	clientHello = 1
	serverHello = 2
	finished    = 20
	keyUpdate   = 24
)

const (
	maxRecordTLS  = 16<<10 + 2048
	maxSealed     = 64 << 10 // bytes that wait for keys
	maxUnreadable = 64       // records in a row that do not open, until a direction is given up
)

// tlsConn is what the two directions of a TLS connection share.
type tlsConn struct {
	version  uint16 // agreed on; 0 until the server has said
	suite    *suite
	etm      bool // RFC 7366
	client   [32]byte
	server   [32]byte
	greeted  bool // the client's random is known
	answered bool
	sealed   bool // it cannot be read
	counted  bool
	changes  int // counts what became known
}

func (c *tlsConn) state() int {
	if c == nil {
		return 0
	}
	return c.changes + 1
}

// tlsSide is one direction.
type tlsSide struct {
	isServer  bool
	encrypted bool // the records to come are
	lost      bool // bytes are missing
	failed    int  // records in a row that did not open
	opener    opener
	next      opener // TLS 1.3: what comes after the handshake, nil when it is there
	secret    []byte // TLS 1.3: of opener
	handshake handshakes
	plain     []byte // what came out and is not yet understood
}

// isHello says whether b begins with the record of a hello.
func isHello(b []byte) bool {
	return len(b) >= 6 && b[0] == recordHandshake && b[1] == 3 && b[2] <= 4 && (b[5] == clientHello || b[5] == serverHello)
}

// isRecord says whether b begins with the head of a record, and how long it is.
func isRecord(b []byte) (size int, ok bool) {
	if b[0] < recordCipherSpec || b[0] > recordHeartbeat || b[1] != 3 || b[2] > 4 {
		return 0, false
	}
	size = int(binary.BigEndian.Uint16(b[3:]))
	return size, size > 0 && size <= maxRecordTLS
}

// records reads the complete records at the head of b, and calls talk with what
// the application said in each; lost says that something is missing before it.
// It returns how many bytes it is done with, and false when nothing more can be
// read.
func (t *tlsSide) records(c *tlsConn, b []byte, keys *KeyLog, talk func(plain []byte, lost bool) bool) (used int, ok bool) {
	for {
		rest := b[used:]
		if len(rest) < 5 {
			return used, true
		}
		size, whole := isRecord(rest)
		if !whole {
			if !t.lost {
				return used, false
			}
			used++
			continue
		}
		if len(rest) < 5+size {
			// What looks like a record after a loss may be none.
			return used, true
		}
		head, body := rest[:5], rest[5:5+size]
		wait, ok := t.record(c, head, body, keys, talk)
		switch {
		case wait:
			return used, len(rest) < maxSealed
		case ok:
			used += 5 + size
		case t.lost:
			used++
		default:
			used += 5 + size
			if t.failed++; t.failed > maxUnreadable {
				return used, false
			}
		}
		if c.sealed {
			return used, false
		}
	}
}

// record reads one. wait is true when keys may still come to be known; ok is
// false when it does not open.
func (t *tlsSide) record(c *tlsConn, head, body []byte, keys *KeyLog, talk func([]byte, bool) bool) (wait, ok bool) {
	kind := head[0]
	switch {
	case kind == recordCipherSpec:
		switch {
		case !c.answered:
			// Either the next records are encrypted, or this means nothing and is
			// there for middleboxes (RFC 8446 appendix D.4): the server will say.
			return true, false
		case c.version < versionTLS13 && (!t.encrypted || len(body) > 1): // longer: of a renegotiation
			return t.arm(c, keys), true
		}
		return false, len(body) == 1
	case t.encrypted:
	case kind == recordHandshake:
		if t.lost && !isHello(append(head[:5:5], body[0])) {
			return false, true // its beginning may be missing, and nobody needs it
		}
		t.lost = false
		ok = t.handshake.take(body, func(kind byte, m []byte) bool { return t.hello(c, kind, m) })
		if c.greeted && !keys.growing() && keys.of(c.client) == nil {
			c.sealed = true
		}
		return false, ok
	case kind == recordAlert:
		return false, true
	case !c.answered:
		return true, false
	default:
		// TLS 1.3 has no other sign; before it, one is missing.
		t.lost = t.lost || c.version < versionTLS13
		if t.arm(c, keys) {
			return true, false
		}
		if c.sealed {
			return false, false
		}
	}
	plain, ok := t.open(head, body)
	if !ok {
		return false, false
	}
	lost := t.lost
	t.lost, t.failed = false, 0
	if c.version >= versionTLS13 {
		// The true type stands behind the content, before padding of zeros.
		n := len(plain)
		for n > 0 && plain[n-1] == 0 {
			n--
		}
		if n == 0 {
			return false, true
		}
		kind, plain = plain[n-1], plain[:n-1]
	}
	switch kind {
	case recordApplication:
		return false, talk(plain, lost)
	case recordHandshake:
		if lost {
			t.handshake = handshakes{}
		}
		t.handshake.take(plain, func(kind byte, m []byte) bool { return t.inside(c, kind, m) })
	}
	return false, true
}

// arm makes the keys of this direction. It returns true when they may still come.
func (t *tlsSide) arm(c *tlsConn, keys *KeyLog) (wait bool) {
	if c.suite == nil {
		c.sealed = true
		return false
	}
	if !c.greeted { // its hello may have been captured later
		return true
	}
	s := keys.of(c.client)
	growing := keys.growing()
	if c.version < versionTLS13 {
		if s == nil || s.master == nil {
			c.sealed = !growing
			return growing
		}
		t.opener = c.suite.opener12(c, s.master, t.isServer)
	} else {
		var first, then []byte
		if s != nil {
			first, then = s.clientHello, s.clientTalk
			if t.isServer {
				first, then = s.serverHello, s.serverTalk
			}
		}
		if then == nil || first == nil && !t.lost {
			c.sealed = !growing
			return growing
		}
		t.next = c.suite.opener13(then)
		t.secret = then
		if first != nil {
			t.opener = c.suite.opener13(first)
		} else {
			t.opener, t.next = t.next, nil
		}
	}
	if t.opener == nil {
		c.sealed = true
		return false
	}
	t.encrypted = true
	c.changes++
	return false
}

// maxMissing bounds the records that may be missing at once. Each possible
// number is tried: only the right one opens the record.
const maxMissing = 256

// open decrypts a record.
func (t *tlsSide) open(head, body []byte) ([]byte, bool) {
	tries := 1
	if t.lost || t.failed > 0 {
		tries = maxMissing
	}
	if plain, ok := t.opener.open(head, body, tries); ok {
		return plain, true
	}
	if t.next != nil && tries > 1 {
		// The end of the handshake was among what is missing.
		if plain, ok := t.next.open(head, body, tries); ok {
			t.opener, t.next = t.next, nil
			return plain, true
		}
	}
	return nil, false
}

// inside reads a handshake message that was encrypted.
func (t *tlsSide) inside(c *tlsConn, kind byte, m []byte) bool {
	switch {
	case c.version < versionTLS13:
		if kind == clientHello || kind == serverHello { // a renegotiation
			return t.hello(c, kind, m)
		}
	case kind == finished && t.next != nil:
		t.opener, t.next = t.next, nil
	case kind == keyUpdate && t.next == nil:
		t.secret = c.suite.update(t.secret)
		t.opener = c.suite.opener13(t.secret)
	}
	return true
}

// handshakes puts handshake messages together, which may be spread over records.
type handshakes struct {
	head []byte // of the message at hand, 4 bytes when whole
	body []byte // of it, if it is read
	skip int    // bytes of it still to come, if it is not
}

// take reads the content of a record and calls message with each hello, and
// with the kind alone of others.
func (h *handshakes) take(b []byte, message func(kind byte, m []byte) bool) bool {
	for len(b) > 0 {
		if h.skip > 0 {
			n := min(h.skip, len(b))
			h.skip, b = h.skip-n, b[n:]
			continue
		}
		if len(h.head) < 4 {
			n := min(4-len(h.head), len(b))
			h.head, b = append(h.head, b[:n]...), b[n:]
			if len(h.head) < 4 {
				return true
			}
			h.body = h.body[:0]
		}
		kind, size := h.head[0], int(h.head[1])<<16|int(h.head[2])<<8|int(h.head[3])
		if kind != clientHello && kind != serverHello {
			h.skip, h.head = size, h.head[:0]
			if !message(kind, nil) {
				return false
			}
			continue
		}
		if size > maxSealed {
			return false
		}
		n := min(size-len(h.body), len(b))
		h.body, b = append(h.body, b[:n]...), b[n:]
		if len(h.body) < size {
			return true
		}
		h.head = h.head[:0]
		if !message(kind, h.body) {
			return false
		}
	}
	return true
}

// retryRandom is the random of a server that asks for another hello (RFC 8446
// section 4.1.3).
const retryRandom = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

// hello reads a ClientHello or ServerHello (RFC 8446 section 4.1, RFC 5246
// section 7.4.1). It returns false for one that cannot be.
func (t *tlsSide) hello(c *tlsConn, kind byte, m []byte) bool {
	if m == nil { // another message
		return true
	}
	if len(m) < 35 || len(m) < 35+int(m[34]) {
		return false
	}
	random := [32]byte(m[2:34])
	if kind == clientHello {
		if c.client != random || !c.greeted {
			c.changes++
		}
		c.client, c.greeted = random, true
		return true
	}
	t.isServer = true
	if string(random[:]) == retryRandom {
		return true
	}
	c.server = random
	version := binary.BigEndian.Uint16(m)
	m = m[35+int(m[34]):]
	if len(m) < 3 {
		return false
	}
	suiteID := binary.BigEndian.Uint16(m)
	c.etm = false
	if m = m[3:]; len(m) > 2 {
		m = m[2:]
	}
	for len(m) >= 4 {
		id, size := binary.BigEndian.Uint16(m), int(binary.BigEndian.Uint16(m[2:]))
		if size > len(m)-4 {
			return false
		}
		v := m[4 : 4+size]
		m = m[4+size:]
		switch {
		case id == 43 && size == 2: // supported_versions
			version = binary.BigEndian.Uint16(v)
		case id == 22:
			c.etm = true
		}
	}
	c.version, c.suite, c.answered = version, suiteOf(suiteID), true
	c.changes++
	return true
}
