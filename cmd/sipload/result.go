//go:build linux && (amd64 || arm64)

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// result is one load's figures. Times are microseconds.
type result struct {
	Peer   string         `json:"peer"`
	Rate   int            `json:"rate"`
	Calls  int            `json:"calls"`
	Failed int            `json:"failed"`
	Why    map[string]int `json:"why,omitempty"`

	CPU       float64 `json:"cpu_ms_a_call"` // of the peer
	Invite    spread  `json:"invite_us"`     // caller to answerer
	Ring      spread  `json:"ring_us"`       // 180, answerer to caller
	Answer    spread  `json:"answer_us"`     // INVITE sent to 200 received
	Resent    int     `json:"resent"`        // by the tool, for want of an answer
	Repeated  int     `json:"repeated"`      // what came twice from the peer
	Reordered int     `json:"reordered"`     // 180 after 200, BYE before ACK
	ToolCore  float64 `json:"tool_core"`     // share of a core that the tool used
}

// spread is the middle and the slowest hundredth.
type spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

func spreadOf(ns []int64) spread {
	if len(ns) == 0 {
		return spread{}
	}
	slices.Sort(ns)
	us := func(i int) float64 { return float64(ns[i]) / float64(time.Microsecond) }
	return spread{us(len(ns) / 2), us(len(ns) * 99 / 100)}
}

func (l *load) result() result {
	r := result{Calls: l.calls, Resent: l.resent, Repeated: l.repeated, Reordered: l.reordered, Why: l.failures()}
	for _, n := range r.Why {
		r.Failed += n
	}
	var invite, ring, answer []int64
	for i := range l.state {
		c := &l.state[i]
		if c.arrived != 0 {
			invite = append(invite, c.arrived-c.sent)
		}
		if c.rang != 0 {
			ring = append(ring, c.rang-c.ringSent)
		}
		if c.answered != 0 {
			answer = append(answer, c.answered-c.sent)
		}
	}
	r.Invite, r.Ring, r.Answer = spreadOf(invite), spreadOf(ring), spreadOf(answer)
	return r
}

func (r result) String() string {
	s := fmt.Sprintf("%s at %d/s: %.3f ms of CPU a call, INVITE %.0f/%.0f us, 180 %.0f/%.0f us, answer %.0f/%.0f us, %d of %d failed, %d resent, %d repeated, %d out of order; the tool used %.0f %% of a core",
		r.Peer, r.Rate, r.CPU, r.Invite.P50, r.Invite.P99, r.Ring.P50, r.Ring.P99, r.Answer.P50, r.Answer.P99,
		r.Failed, r.Calls, r.Resent, r.Repeated, r.Reordered, 100*r.ToolCore)
	for _, why := range slices.Sorted(maps.Keys(r.Why)) {
		s += fmt.Sprintf("; %d: %s", r.Why[why], why)
	}
	return s
}

func median[T int | float64](v []T) T {
	slices.Sort(v)
	return v[len(v)/2]
}

// middle has each figure's median over runs of one peer at one rate; of what
// went wrong it has the sum.
func middle(rs []result) result {
	m := rs[0]
	m.Failed, m.Calls, m.Resent, m.Repeated, m.Reordered = 0, 0, 0, 0, 0
	pick := func(f func(result) float64) float64 {
		var v []float64
		for _, r := range rs {
			v = append(v, f(r))
		}
		return median(v)
	}
	for _, r := range rs {
		m.Failed, m.Calls = m.Failed+r.Failed, m.Calls+r.Calls
		m.Resent, m.Repeated, m.Reordered = m.Resent+r.Resent, m.Repeated+r.Repeated, m.Reordered+r.Reordered
	}
	m.CPU = pick(func(r result) float64 { return r.CPU })
	m.ToolCore = pick(func(r result) float64 { return r.ToolCore })
	for _, s := range []struct {
		to *spread
		of func(result) spread
	}{
		{&m.Invite, func(r result) spread { return r.Invite }},
		{&m.Ring, func(r result) spread { return r.Ring }},
		{&m.Answer, func(r result) spread { return r.Answer }},
	} {
		s.to.P50 = pick(func(r result) float64 { return s.of(r).P50 })
		s.to.P99 = pick(func(r result) float64 { return s.of(r).P99 })
	}
	return m
}

// printLoads writes the table of loads: a line for each peer at each rate.
func printLoads(w io.Writer, o options, peers []peer, all []result) {
	fmt.Fprintf(w, "\nMedians of %d runs of %v; failures and what follows them are sums. Delays in microseconds, p50/p99.\n\n", o.runs, o.length)
	fmt.Fprintln(w, "| peer | calls/s | CPU ms/call | INVITE one way | 180 one way | answer | failed | resent | repeated | out of order | tool, core % |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|")
	for _, p := range peers {
		for _, rate := range o.rates {
			var rs []result
			for _, r := range all {
				if r.Peer == p.name && r.Rate == rate {
					rs = append(rs, r)
				}
			}
			if len(rs) == 0 {
				continue
			}
			m := middle(rs)
			cpu := "–"
			if p.pid != 0 {
				cpu = fmt.Sprintf("%.3f", m.CPU)
			}
			fmt.Fprintf(w, "| %s | %d | %s | %.0f/%.0f | %.0f/%.0f | %.0f/%.0f | %d of %d | %d | %d | %d | %.0f |\n",
				m.Peer, m.Rate, cpu, m.Invite.P50, m.Invite.P99, m.Ring.P50, m.Ring.P99, m.Answer.P50, m.Answer.P99,
				m.Failed, m.Calls, m.Resent, m.Repeated, m.Reordered, 100*m.ToolCore)
		}
	}
}

// printPeers writes what does not hang on a rate.
func printPeers(w io.Writer, o options, peers []peer, held map[string]heldResult, overall map[string]float64) {
	if len(overall) == 0 {
		return
	}
	heads := []string{"peer", "CPU ms/call from the first load to the last, pauses included"}
	if o.held > 0 {
		heads = append(heads, fmt.Sprintf("KiB (Pss) that each of %d held calls added", o.held), "MiB (Pss) with all of them", "failed of these")
	}
	fmt.Fprintf(w, "\n| %s |\n|%s\n", strings.Join(heads, " | "), strings.Repeat("---|", len(heads)))
	for _, p := range peers {
		cpu, ok := overall[p.name]
		if !ok {
			continue
		}
		fmt.Fprintf(w, "| %s | %.3f |", p.name, cpu)
		if h, ok := held[p.name]; ok {
			fmt.Fprintf(w, " %.1f | %.0f | %d |", h.perCall, h.total, h.failed)
		}
		fmt.Fprintln(w)
	}
}
