// Package surge counts what arrives and how busy the agents are, and says how
// far a flood moves the prior.
//
// It keeps counts, never callers: who calls is nothing to it. It refuses to
// decide anything, and it keeps no clock: times are given to it.
package surge

import (
	"math"
	"sync"
	"time"

	"github.com/portero/portero/policy"
)

// Config of the counting.
type Config struct {
	// Agents is how many calls the human agents can hold at once, calls
	// waiting in their queue included in what is busy. 0 means not limited:
	// agents_free is then always 1000000 (policy.Unlimited). Default: 0.
	Agents int `yaml:"agents"`
	// Usual is the usual rate, calls a minute, until arrivals have been
	// counted for `learn`. 0 means not known: until then nothing counts as a
	// surge. Default: 0.
	Usual float64 `yaml:"usual"`
	// Learn is the half-life with which the usual rate follows what arrives.
	// A long one keeps a flood from becoming usual. 10m to 720h.
	// Default: 6h.
	Learn time.Duration `yaml:"learn"`
	// MinCalls is the least number of arrivals in a minute that can be a
	// surge: at a quiet door two calls after one is no flood. At least 1.
	// Default: 10.
	MinCalls int `yaml:"min_calls"`
	// MaxShift bounds what a surge may add to the prior log-odds of a machine,
	// 0 to 2 (2 multiplies the odds by 7.4). Default: 1.
	MaxShift float64 `yaml:"max_shift"`
}

// Defaults of Config.
func Defaults() Config {
	return Config{Learn: 6 * time.Hour, MinCalls: 10, MaxShift: 1}
}

// Shift is what a surge (arrivals over the usual rate) adds to the prior log-odds of a
// machine.
func (c Config) Shift(surge float64) float64 {
	if surge <= 1 {
		return 0
	}
	return min(gain*math.Log(surge), c.MaxShift)
}

// Check reports every mistake.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if c.Agents < 0 || c.Agents > 1e6 {
		fault("agents", "%d is not allowed; allowed is 0 (not limited) to 1000000", c.Agents)
	}
	if !(c.Usual >= 0 && c.Usual <= 1e6) {
		fault("usual", "%v is not allowed; allowed is 0 (not known) to 1000000 calls a minute", c.Usual)
	}
	if c.Learn < 10*time.Minute || c.Learn > 720*time.Hour {
		fault("learn", "%v is not allowed; allowed is 10m to 720h", c.Learn)
	}
	if c.MinCalls < 1 || c.MinCalls > 1e6 {
		fault("min_calls", "%d is not allowed; allowed is 1 to 1000000", c.MinCalls)
	}
	if !(c.MaxShift >= 0 && c.MaxShift <= 2) {
		fault("max_shift", "%v is not allowed; allowed is 0 to 2", c.MaxShift)
	}
}

const (
	// slots of the last minute, one a second: exact enough for a rate, and
	// bounded whatever arrives.
	slots = 60
	// learnt is the part of a half-life after which the usual rate is trusted:
	// with a sixth of it (1 h of 6 h), a minute weighs little.
	learnt = 6
	// swing bounds what one minute may say of the usual rate, so that a flood
	// teaches slowly: a minute counts as at most twice the usual.
	swing = 2
	// gain is the part of the logarithm of the surge that goes to the prior:
	// with half of it, four times the usual rate doubles the odds. Floods of
	// people exist (an outage, an advertisement), so it is less than 1.
	gain = 0.5
)

// Meter counts for one door. It is safe for concurrent use.
type Meter struct {
	mu     sync.Mutex
	config Config

	second  int64      // the newest slot, Unix seconds
	counts  [slots]int // arrivals by second modulo slots
	sum     int        // of counts
	minute  int64      // the minute being counted for the usual rate
	inside  int        // arrivals in it
	since   int64      // the first minute counted
	usual   float64    // calls a minute
	started bool

	busy  int
	calls int
}

// New is a Meter that has counted nothing.
func New(c Config) *Meter { return &Meter{config: c, usual: c.Usual} }

// Configure replaces the configuration and keeps the counts.
func (m *Meter) Configure(c Config) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.config = c
}

// Arrived counts a call that arrives and returns the load that it meets,
// itself included. The call counts as in the door until Left.
func (m *Meter) Arrived(at time.Time) policy.Load {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(at)
	m.counts[slot(m.second)]++
	m.sum++
	m.inside++
	m.calls++
	return m.load()
}

// Left says that a call has left the door.
func (m *Meter) Left() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = max(m.calls-1, 0)
}

// Agent says that a call has come to (+1) or gone from (-1) an agents'
// destination.
func (m *Meter) Agent(change int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy = max(m.busy+change, 0)
}

// Load is how busy everything is.
func (m *Meter) Load(at time.Time) policy.Load {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(at)
	return m.load()
}

// Free is the number of free agents.
func (m *Meter) Free() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.free()
}

func (m *Meter) free() int {
	if m.config.Agents == 0 {
		return policy.Unlimited
	}
	return max(m.config.Agents-m.busy, 0)
}

func (m *Meter) load() policy.Load {
	l := policy.Load{AgentsBusy: m.busy, AgentsFree: m.free(), CallsNow: m.calls, CallsMinute: m.sum, Surge: 1}
	// Below one call a minute a ratio says nothing.
	if usual := max(m.usual, 1); m.known() && m.sum >= m.config.MinCalls {
		l.Surge = float64(m.sum) / usual
	}
	l.Shift = m.config.Shift(l.Surge)
	return l
}

// known says whether the usual rate is worth comparing with.
func (m *Meter) known() bool {
	return m.config.Usual > 0 || m.minute-m.since >= int64(m.config.Learn/time.Minute)/learnt
}

// advance moves the window to a time. A time before the newest one counts as
// the newest: arrivals from several sockets may be a little out of order.
func (m *Meter) advance(at time.Time) {
	now := at.Unix()
	if !m.started {
		m.started = true
		m.second, m.minute, m.since = now, now/60, now/60
		return
	}
	if now <= m.second {
		return
	}
	if now-m.second >= slots {
		m.counts, m.sum = [slots]int{}, 0
		m.second = now
	}
	for m.second < now {
		m.second++
		m.sum -= m.counts[slot(m.second)]
		m.counts[slot(m.second)] = 0
	}
	m.learn(now / 60)
}

// slot of a second, also of one before 1970.
func slot(second int64) int64 { return (second%slots + slots) % slots }

// learn takes the minutes that are over into the usual rate: an exponentially
// weighted mean, which starts as a plain mean and gets slow with age.
func (m *Meter) learn(minute int64) {
	gone := minute - m.minute
	if gone <= 0 {
		return
	}
	if m.known() {
		m.inside = min(m.inside, int(math.Ceil(swing*max(m.usual, 1))))
	}
	age := float64(m.minute - m.since + 1)
	slow := 1 - math.Exp2(-1/m.config.Learn.Minutes())
	weight := slow
	if m.config.Usual == 0 {
		weight = max(slow, 1/age)
	}
	m.usual += weight * (float64(m.inside) - m.usual)
	// The empty minutes since then.
	m.usual *= math.Pow(1-slow, float64(gone-1))
	m.minute, m.inside = minute, 0
}
