package door

import (
	"bytes"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/sip/syntax"
	"github.com/portero/portero/sip/transport"
)

// received is an INVITE as it came from the network.
type received struct {
	raw   []byte
	at    time.Time
	local netip.AddrPort

	connection uint64 // transport.Flow
}

// gate looks at everything before it is parsed: strangers, scanners and what is
// malformed end here. It runs on the transport's readers and must not block.
type gate struct {
	d      *Door
	limits syntax.Limits

	mu      sync.Mutex
	second  int64 // of the clock
	refused int   // strangers answered in it
}

func newGate(d *Door) *gate {
	return &gate{d: d, limits: syntax.Limits{
		Message: d.cfg.MaxMessage, Headers: d.cfg.MaxHeaders, Line: syntax.Defaults.Line}}
}

// Admit implements transport.Handler: strangers do not even connect.
func (g *gate) Admit(over string, _, remote netip.AddrPort) bool {
	if g.d.knowsFlow(transport.Flow{Transport: over, Remote: remote}) {
		return true
	}
	g.d.deps.Metrics.SIPDropped("stranger")
	return false
}

// Refused implements transport.Handler.
func (g *gate) Refused(reason string) { g.d.deps.Metrics.SIPDropped(reason) }

// Receive implements transport.Handler: one message on its way to its
// transaction, its dialog, a new call, or to nowhere.
func (g *gate) Receive(r transport.Received) {
	defer func() {
		if p := recover(); p != nil {
			g.d.deps.Metrics.Panicked()
			g.d.log.Error("a message failed and is dropped", zap.Stringer("source", r.Flow.Remote), zap.Any("panic", p), zap.Stack("stack"))
		}
	}()
	if transport.KeepAlive(r.Data) {
		return
	}
	if reason := g.drop(r); reason != "" {
		g.d.deps.Metrics.SIPDropped(reason)
		return
	}
	data, fault := g.limits.Check(r.Data, r.Flow.Transport == transport.TCP || r.Flow.Transport == transport.TLS)
	if !fault.OK() {
		g.refuse(r, fault)
		return
	}
	m, err := g.d.parser.ParseSIP(data)
	if err != nil { // sound, and the parser has not learnt it
		g.refuse(r, syntax.Fault{Status: 400, Header: "The message", Problem: "cannot be parsed: " + err.Error()})
		return
	}
	g.d.tx.Receive(m, r.Data, r.Flow, r.At)
}

// drop names why a message is not worth parsing, or returns "".
func (g *gate) drop(r transport.Received) string {
	if !g.d.knowsFlow(r.Flow) && !g.d.isItself(r.Flow.Remote) {
		refusable := g.d.cfg.Strangers == "refuse" && bytes.HasPrefix(r.Data, []byte("INVITE ")) && r.Flow.Transport == transport.UDP
		if !refusable || g.d.bench.Load().Drops(r.Data) || !g.mayRefuse(time.Now()) {
			return "stranger"
		}
		g.d.deps.Metrics.SIPDropped("stranger")
		return "" // the dispatcher answers 403
	}
	if g.d.bench.Load().Drops(r.Data) {
		return "scanner"
	}
	return ""
}

// refusals is how many strangers a second get an answer at most: addresses can be
// made up, and nobody shall be answered in their stead.
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
