package relay

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Side is one of the two peers of a call.
type Side byte

// The sides.
const (
	CallerSide Side = iota // who called; for a callback, who is called
	FarSide                // the PBX, at any moment at most one
)

func (s Side) String() string {
	if s == FarSide {
		return "far"
	}
	return "caller"
}

// ErrClosed says that the relay or the session was closed.
var ErrClosed = errors.New("media relay closed")

// Relay owns the ports of all calls. Its methods are safe for concurrent use.
type Relay struct {
	cfg   Config
	log   *zap.Logger
	cname string
	ports []*ports // of each local address

	places [2][2]place                                                                  // by side and IP version; one and the same if the addresses are
	rtcp   func(callID string, local, remote netip.AddrPort, data []byte, at time.Time) // see MirrorRTCP; may be nil

	sockets sockets

	mu       sync.Mutex
	sessions map[*Session]struct{}
	closed   bool
}

// New checks cfg and returns a relay that holds no port yet.
func New(cfg Config, log *zap.Logger) (*Relay, error) {
	var faults []error
	cfg.Check(func(path, format string, args ...any) {
		faults = append(faults, fmt.Errorf("media: %s %s", path, fmt.Sprintf(format, args...)))
	})
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	r := &Relay{cfg: cfg, log: log, cname: newCNAME(), sessions: map[*Session]struct{}{}, sockets: newLoops()}
	byAddress := map[netip.Addr]*ports{}
	for side := range r.places {
		for version, facing := range []func(Side) (bind, advertise netip.Addr, err error){cfg.facing, cfg.facing6} {
			bind, advertise, err := facing(Side(side))
			if err != nil {
				return nil, fmt.Errorf("media: %s address: %w", Side(side), err)
			}
			if !bind.IsValid() {
				r.places[side][version] = r.places[side][0]
				continue
			}
			if byAddress[bind] == nil {
				byAddress[bind] = newPorts(bind, cfg.Ports, 0, r.sockets)
				r.ports = append(r.ports, byAddress[bind])
			}
			r.places[side][version] = place{byAddress[bind], advertise}
		}
	}
	for _, p := range r.ports {
		p.most = mostOpen() / len(r.ports)
	}
	return r, nil
}

// MirrorRTCP has f see the RTCP that peers send, as it comes and where it is
// from. f runs on the packet loops: it must not block, and must copy what it
// keeps. It is set before the first Open.
func (r *Relay) MirrorRTCP(f func(callID string, local, remote netip.AddrPort, data []byte, at time.Time)) {
	r.rtcp = f
}

// Options are what a session is opened with.
type Options struct {
	// TapHeard copies what the caller is sent to a tap too: the far side's packets
	// and Portero's own voice, when they are sent. Its ring is half the caller's:
	// only when there is speech is looked for.
	TapHeard bool
	// Clock is the RTP clock of the caller's stream, Hz; 0 means 8000. It matters
	// only where one stream is continued by another.
	Clock int
	// Outbound swaps the addresses: the PBX calls and the far side is a trunk.
	Outbound bool
	// IPv6 gives the caller the IPv6 address of his side, FarIPv6 the far side that of
	// its own, where there are two.
	IPv6, FarIPv6 bool
	// Alone opens no far side: the session listens to the caller and has nobody to
	// relay to, unless one is prepared later.
	Alone bool
	// Carrier and FarCarrier bring a side's packets instead of ports of the relay's
	// own. The session closes them; when Open fails, whoever made them does.
	Carrier, FarCarrier Carrier
}

// Open takes ports for both sides of a call and starts to relay between them. The
// error wraps ErrNoPorts when the range is used up.
func (r *Relay) Open(callID string, o Options) (*Session, error) {
	if o.Clock == 0 {
		o.Clock = 8000
	}
	if o.Clock < 0 {
		return nil, fmt.Errorf("opening media of call %s: clock %d Hz", callID, o.Clock)
	}
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return nil, fmt.Errorf("opening media of call %s: %w", callID, ErrClosed)
	}
	s := &Session{relay: r, callID: callID, log: r.log.WithLazy(zap.String("call_id", callID)), start: time.Now()}
	s.tap = newTap(r.cfg.TapBytes, s.start)
	near, away := CallerSide, FarSide
	if o.Outbound {
		near, away = away, near
	}
	s.away = away
	caller, err := r.endpoint(s, near, o.IPv6, o.Carrier)
	if err != nil {
		return nil, fmt.Errorf("opening media of call %s: caller's side: %w", callID, err)
	}
	s.caller.Store(caller)
	s.out = outbound{to: caller, clock: int64(o.Clock)}
	if o.TapHeard {
		s.out.tap = newTap(r.cfg.TapBytes/2, s.start)
	}
	s.fars = map[*Far]struct{}{}
	var f *Far
	if !o.Alone {
		fe, err := r.endpoint(s, away, o.FarIPv6, o.FarCarrier)
		if err != nil {
			caller.close()
			return nil, fmt.Errorf("opening media of call %s: far side: %w", callID, err)
		}
		f = &Far{endpoint: fe, s: s}
		s.fars[f] = struct{}{}
		s.far.Store(f)
		s.out.active = f
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		caller.close()
		if f != nil {
			f.endpoint.close()
		}
		return nil, fmt.Errorf("opening media of call %s: %w", callID, ErrClosed)
	}
	r.sessions[s] = struct{}{}
	caller.read(s.fromCaller, s.reportFromCaller)
	if f != nil {
		f.run()
	}
	return s, nil
}

func (r *Relay) endpoint(s *Session, side Side, ipv6 bool, c Carrier) (*endpoint, error) {
	if c != nil {
		return newCarried(s, side, c), nil
	}
	p := r.place(side, ipv6)
	got, err := p.ports.take(time.Now())
	if err != nil {
		return nil, err
	}
	return newEndpoint(s, side, p.advertise, got, p.ports), nil
}

func (r *Relay) place(side Side, ipv6 bool) place {
	if ipv6 {
		return r.places[side][1]
	}
	return r.places[side][0]
}

// Load is how much of the relay is in use.
type Load struct {
	Sessions int // open calls
	Pairs    int // pairs of ports held by calls
	Kept     int // pairs kept open for calls to come
	Limit    int // pairs in the range, both sides together
}

// Load is taken at the moment of the call.
func (r *Relay) Load() Load {
	r.mu.Lock()
	l := Load{Sessions: len(r.sessions)}
	r.mu.Unlock()
	for _, p := range r.ports {
		used, kept := p.load()
		l.Pairs += used
		l.Kept += kept
		l.Limit += p.pairs
	}
	return l
}

// Close closes all sessions and waits until nothing is read any more.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	open := make([]*Session, 0, len(r.sessions))
	for s := range r.sessions {
		open = append(open, s)
	}
	r.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
	for _, p := range r.ports {
		p.close()
	}
	r.sockets.close()
	return nil
}

func (r *Relay) forget(s *Session) {
	r.mu.Lock()
	delete(r.sessions, s)
	r.mu.Unlock()
}
