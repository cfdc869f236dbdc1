package door

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/netip"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/fingerprint"
)

// rawHeader carries the number under which the gate keeps an INVITE's bytes
// from the transport to the handler. It never leaves the door.
const rawHeader = "X-Portero-Raw"

// maxRaw bounds the INVITEs waiting for their handler; rawAge is how long one
// may wait (a retransmission never gets a handler).
const (
	maxRaw = 4096
	rawAge = 5 * time.Second
)

// received is an INVITE as it came from the network.
type received struct {
	raw   []byte
	at    time.Time
	local netip.AddrPort
}

// gate looks at everything before it is parsed: strangers and scanners end
// here, and the bytes of an INVITE are kept for its fingerprint, as a parsed
// message has lost the case, the compact forms and the white space.
//
// It runs on the transport's reader and must neither block nor return an error:
// sipgo ends a UDP listener whose filter fails.
type gate struct {
	d *Door

	mu      sync.Mutex
	raw     map[string]received
	second  int64 // of the clock
	refused int   // strangers answered in it
}

func newGate(d *Door) *gate { return &gate{d: d, raw: map[string]received{}} }

// filter is sipgo's transport read filter: one datagram, or one message of a
// framed stream. It returns nothing for what is to be dropped.
func (g *gate) filter(p sipmsg.TransportReadProps, data []byte) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			g.d.deps.Metrics.Panicked()
			g.d.log.Error("the gate failed on a message, which is dropped", zap.Any("panic", r), zap.Stack("stack"))
			out, err = nil, nil
		}
	}()
	peer := addrPort(p.RemoteAddr)
	if !g.d.knows(peer.Addr()) {
		g.d.deps.Metrics.SIPDropped("stranger")
		if g.d.cfg.Strangers == "refuse" && bytes.HasPrefix(data, []byte("INVITE ")) && p.Transport == "UDP" && !fingerprint.IsScanner(data) && g.mayRefuse(time.Now()) {
			return data, nil // the dispatcher answers 403
		}
		return nil, nil
	}
	if keepAlive(data) {
		return data, nil
	}
	if p.Transport != "UDP" && !g.d.listensAt(addrPort(p.LocalAddr)) {
		return data, nil // a connection we dialled: pieces of a stream, of a peer we chose
	}
	if reason := g.unreadable(data); reason != "" {
		g.d.deps.Metrics.SIPDropped(reason)
		return nil, nil
	}
	if fingerprint.IsScanner(data) {
		g.d.deps.Metrics.SIPDropped("scanner")
		return nil, nil
	}
	data = dropHeader(data, rawHeader)
	if !bytes.HasPrefix(data, []byte("INVITE ")) {
		return data, nil
	}
	id := g.keep(data, addrPort(p.LocalAddr))
	if id == "" {
		return data, nil
	}
	eol := bytes.Index(data, []byte("\r\n")) + 2
	out = make([]byte, 0, len(data)+len(rawHeader)+len(id)+4)
	out = append(out, data[:eol]...)
	out = append(out, rawHeader+": "+id+"\r\n"...)
	return append(out, data[eol:]...), nil
}

// refusals is how many strangers a second get an answer at most. sipgo remembers
// every address it hears of, and addresses can be made up.
const refusals = 5

func (g *gate) mayRefuse(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := now.Unix(); s != g.second {
		g.second, g.refused = s, 0
	}
	g.refused++
	return g.refused <= refusals
}

// unreadable names why a message is not worth parsing, or returns "".
func (g *gate) unreadable(data []byte) string {
	if len(data) > g.d.cfg.MaxMessage {
		return "too_large"
	}
	line, rest, ok := bytes.Cut(data, []byte("\r\n"))
	if !ok || !bytes.HasPrefix(line, []byte("SIP/2.0 ")) && !bytes.HasSuffix(line, []byte(" SIP/2.0")) {
		return "not_sip"
	}
	head, _, _ := bytes.Cut(rest, []byte("\r\n\r\n"))
	if bytes.Count(head, []byte("\r\n")) >= g.d.cfg.MaxHeaders {
		return "too_many_headers"
	}
	return ""
}

func keepAlive(data []byte) bool {
	return len(data) <= 4 && len(bytes.Trim(data, "\r\n")) == 0
}

func (g *gate) keep(data []byte, local netip.AddrPort) string {
	now := time.Now()
	var b [8]byte
	_, _ = rand.Read(b[:])
	id := hex.EncodeToString(b[:])
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.raw) >= maxRaw {
		for k, r := range g.raw {
			if now.Sub(r.at) > rawAge {
				delete(g.raw, k)
			}
		}
		if len(g.raw) >= maxRaw {
			return "" // judged without a fingerprint rather than not served
		}
	}
	g.raw[id] = received{raw: bytes.Clone(data), at: now, local: local}
	return id
}

// take hands out an INVITE's bytes, once.
func (g *gate) take(id string) (received, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, ok := g.raw[id]
	delete(g.raw, id)
	return r, ok
}

// sweep forgets INVITEs that no handler asked for.
func (g *gate) sweep(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, r := range g.raw {
		if now.Sub(r.at) > rawAge {
			delete(g.raw, k)
		}
	}
}

// dropHeader removes every line of a header from a message's head.
func dropHeader(data []byte, name string) []byte {
	if !bytes.Contains(data, []byte(name)) && !containsFold(data, name) {
		return data
	}
	head, body, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	if !ok {
		return data
	}
	out := make([]byte, 0, len(data))
	dropping := false
	for i, line := range bytes.Split(head, []byte("\r\n")) {
		folded := len(line) > 0 && (line[0] == ' ' || line[0] == '\t')
		if !folded {
			n, _, _ := bytes.Cut(line, []byte(":"))
			dropping = i > 0 && bytes.EqualFold(bytes.TrimSpace(n), []byte(name))
		}
		if dropping {
			continue
		}
		if i > 0 {
			out = append(out, "\r\n"...)
		}
		out = append(out, line...)
	}
	out = append(out, "\r\n\r\n"...)
	return append(out, body...)
}

func containsFold(data []byte, name string) bool {
	return bytes.Contains(bytes.ToLower(data), bytes.ToLower([]byte(name)))
}

func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	case *net.TCPAddr:
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
