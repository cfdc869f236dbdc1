package upstream

import (
	"maps"
	"slices"
	"time"
)

// TargetStatus is how a target fares, for the console.
type TargetStatus struct {
	Destination string         `json:"destination"`
	URI         string         `json:"uri"`       // as configured
	Priority    int            `json:"priority"`  //
	Weight      int            `json:"weight"`    //
	Calls       int            `json:"calls"`     // now
	MaxCalls    int            `json:"max_calls"` // 0: no bound
	Servers     []ServerStatus `json:"servers"`   // empty while the name has no address
}

// Available says whether a call would be sent there as a matter of course.
func (t TargetStatus) Available() bool {
	return slices.ContainsFunc(t.Servers, func(s ServerStatus) bool { return s.State == Up.String() }) && (t.MaxCalls == 0 || t.Calls < t.MaxCalls)
}

// ServerStatus is how one address of a target fares.
type ServerStatus struct {
	Address string    `json:"address"` // transport:address:port
	State   string    `json:"state"`   // up, refusing, failed, down
	Until   time.Time `json:"until,omitzero"`
	Watched bool      `json:"watched"` // asked by OPTIONS
	Calls   int       `json:"calls"`   // now, by all targets that lead there
}

// Status lists all targets, by destination and in the order of the file.
func (p *Pool) Status(now time.Time) []TargetStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []TargetStatus
	for _, name := range slices.Sorted(maps.Keys(p.destinations)) {
		for _, t := range p.destinations[name].targets {
			ts := TargetStatus{Destination: name, URI: t.URI, Priority: t.Priority, Weight: t.Weight, Calls: t.calls, MaxCalls: t.MaxCalls,
				Servers: []ServerStatus{}}
			for _, a := range t.addresses {
				s := p.servers[a.key()]
				state, until := s.state(now)
				if state == Up || !until.After(now) {
					until = time.Time{}
				}
				ts.Servers = append(ts.Servers, ServerStatus{a.String(), state.String(), until, s.watched, s.calls})
			}
			out = append(out, ts)
		}
	}
	return out
}
