//go:build linux && (amd64 || arm64)

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// Media: so many calls are set up and held, and both sides of each send G.711,
// 50 packets a second, all of which the peer has to relay. What it costs is
// counted only while all calls are up.

// The ports in the session descriptions, of callers and answerers.
const callerMedia, answererMedia = 6000, 6100

// setUpRate is how many calls a second are set up: whoever needs 8 ms for one
// manages that too.
const setUpRate = 50

// mediaResult is one load of one peer.
type mediaResult struct {
	Peer        string
	Calls       int
	PerPacket   float64 // CPU of the peer, microseconds a packet relayed
	PerCall     float64 // percent of a core a call
	Loss        float64 // percent
	P50, P99    float64 // one way, microseconds
	Memory      float64 // KiB (Pss) that each call added
	Descriptors float64 // that each call added
	Failed      int     // calls that did not come about, and had no media
	ToolCore    float64
	Grown       float64 // KiB (Pss) from the beginning of the counting to its end
}

func measureMedia(o options, peers []peer) error {
	run := os.Getpid() % 5000
	var all []mediaResult
	for i := range o.runs {
		for _, calls := range o.media {
			for _, p := range peers {
				if p.max != 0 && calls > p.max {
					continue
				}
				run++
				r, err := talkOnce(o, p, calls, run)
				if err != nil {
					return fmt.Errorf("%s, %d calls: %w", p.name, calls, err)
				}
				tell("run %d: %s, %d calls: %.2f us of CPU a packet, delay %.0f/%.0f us, %.3f %% lost, %.1f KiB and %.1f descriptors a call, grown by %.0f KiB, %d failed; the tool used %.0f %% of a core",
					i+1, r.Peer, r.Calls, r.PerPacket, r.P50, r.P99, r.Loss, r.Memory, r.Descriptors, r.Grown, r.Failed, 100*r.ToolCore)
				all = append(all, r)
			}
		}
	}
	if o.json != "" {
		f, err := os.OpenFile(o.json, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		for _, r := range all {
			if err := json.NewEncoder(f).Encode(r); err != nil {
				return err
			}
		}
	}
	printMedia(os.Stdout, o, peers, all)
	return nil
}

// talkOnce holds calls with media to one peer.
func talkOnce(o options, p peer, calls, run int) (mediaResult, error) {
	r := mediaResult{Peer: p.name, Calls: calls}
	var before, up, end, fds, upFDs int
	var used, own [2]time.Duration
	var at [2]time.Time
	var failed error
	note := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	read := func(f func(pid int) (int, error), to *int) {
		if p.pid == 0 {
			return
		}
		v, err := f(p.pid)
		note(err)
		*to = v
	}
	read(memory, &before)
	read(descriptors, &fds)
	full := false
	_, err := place(order{
		peer: p.addr, caller: o.caller, answerer: o.answerer, run: run, rate: setUpRate, calls: calls,
		hold: time.Duration(calls)*time.Second/setUpRate + 2*time.Second,
		full: func(l *load) {
			full = true
			s, err := newStreams(l)
			if err != nil {
				note(err)
				return
			}
			defer s.close()
			r.Failed = calls - s.calls
			done := make(chan error, 1)
			go func() {
				done <- s.run(o.length, func(begin bool) {
					i := 1
					if begin {
						i = 0
						read(memory, &up)
						read(descriptors, &upFDs)
					}
					at[i] = time.Now()
					if p.pid != 0 {
						v, err := cpu(p.pid)
						note(err)
						used[i] = v
					}
					v, err := cpu(os.Getpid())
					note(err)
					own[i] = v
				})
			}()
			for { // who looks whether the answerer is there finds it
				select {
				case err := <-done:
					note(err)
					read(memory, &end)
					r.Loss = 100 * (1 - float64(s.received[0]+s.received[1])/float64(s.sent[0]+s.sent[1]))
					d := s.delay(0.5, 0.99)
					r.P50, r.P99 = d[0], d[1]
					r.PerPacket = float64(used[1]-used[0]) / float64(time.Microsecond) / float64(max(s.received[0]+s.received[1], 1))
					return
				case <-time.After(10 * time.Millisecond):
					l.drain(16)
				}
			}
		},
	})
	if err == nil {
		err = failed
	}
	if err == nil && !full {
		err = fmt.Errorf("the calls were never all up")
	}
	if err != nil {
		return r, err
	}
	took := at[1].Sub(at[0])
	r.PerCall = 100 * float64(used[1]-used[0]) / float64(took) / float64(calls-r.Failed)
	r.ToolCore = float64(own[1]-own[0]) / float64(took)
	if p.pid != 0 {
		r.Memory, r.Descriptors = float64(up-before)/float64(calls), float64(upFDs-fds)/float64(calls)
		r.Grown = float64(end - up)
	}
	time.Sleep(settle)
	return r, nil
}

// printMedia writes the table: medians of the runs.
func printMedia(w io.Writer, o options, peers []peer, all []mediaResult) {
	fmt.Fprintf(w, "\nMedians of %d runs of %v; G.711, 20 ms, both ways. Delays one way, microseconds.\n\n", o.runs, o.length)
	fmt.Fprintln(w, "| peer | calls | CPU us/packet | % of a core a call | delay p50/p99 | lost % | KiB a call | descriptors a call | failed | tool, core % |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	for _, p := range peers {
		for _, calls := range o.media {
			var rs []mediaResult
			for _, r := range all {
				if r.Peer == p.name && r.Calls == calls {
					rs = append(rs, r)
				}
			}
			if len(rs) == 0 {
				continue
			}
			mid := func(f func(mediaResult) float64) float64 {
				var v []float64
				for _, r := range rs {
					v = append(v, f(r))
				}
				return median(v)
			}
			failed := 0
			for _, r := range rs {
				failed += r.Failed
			}
			own := "– | –"
			rest := "– | –"
			if p.pid != 0 {
				own = fmt.Sprintf("%.2f | %.3f", mid(func(r mediaResult) float64 { return r.PerPacket }), mid(func(r mediaResult) float64 { return r.PerCall }))
				rest = fmt.Sprintf("%.1f | %.1f", mid(func(r mediaResult) float64 { return r.Memory }), mid(func(r mediaResult) float64 { return r.Descriptors }))
			}
			fmt.Fprintf(w, "| %s | %d | %s | %.0f/%.0f | %.3f | %s | %d | %.0f |\n", p.name, calls, own,
				mid(func(r mediaResult) float64 { return r.P50 }), mid(func(r mediaResult) float64 { return r.P99 }),
				mid(func(r mediaResult) float64 { return r.Loss }), rest, failed, 100*mid(func(r mediaResult) float64 { return r.ToolCore }))
		}
	}
}
