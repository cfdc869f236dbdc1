package replay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portero/portero/sip/trace"
	"github.com/portero/portero/sip/transport"
)

// Every call of a set of public traces whose INVITE was captured is placed again
// with a far side that answers whatever comes, without an error, and with the
// recorded fingerprint.
func TestPublicTraces(t *testing.T) {
	dir := os.Getenv("PORTERO_TRACES")
	if dir == "" {
		t.Skip("public traces are not replayed: set PORTERO_TRACES to their directory")
	}
	files, err := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	f := newFar(t, "127.0.87.10", func(c *farCall) {
		c.reply(c.invite, "180 Ringing", "")
		c.answer()
	})
	calls, name := loadTraces(t, files)
	byID := map[string]string{}
	inside := map[string]bool{} // recordings that begin with a re-INVITE, which cannot be one now
	for i, c := range calls {
		byID[c.CallID] = name[i]
		inside[c.CallID] = c.steps[0].tag("To") != ""
	}
	placed, sent, of := 0, 0, 0
	res := against(t, f, calls, func(o *Options) { o.Speed, o.SpeedRTP, o.Rate, o.Concurrency = 40, true, 100, 100 })
	for _, r := range res {
		placed++
		sent += r.Flow.Sent
		of += r.Recorded.Sent
		if r.Note != "" || !r.SameFingerprint && !inside[r.CallID] || len(r.Flow.Responses) == 0 {
			t.Errorf("%s: %s -> %s: %+v", byID[r.CallID], r.From, r.To, r)
		}
	}
	t.Logf("%d of %d calls placed, %d of %d packets sent", placed, len(calls), sent, of)
	if placed != len(calls) {
		t.Error("some were not placed")
	}
}

// loadTraces loads every call of files, and says of each which file it is of.
func loadTraces(t *testing.T, files []string) (calls []*Recording, name []string) {
	for _, file := range files {
		if filepath.Base(file) == "ntop__fuzz-2006-06-26-2594.pcap" || filepath.Base(file) == "rickwporter__aaa.pcap" {
			continue // bits were flipped: some have no Call-ID that an answer could bear
		}
		r, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		some, _, err := Load(r, "", nil, DefaultHeld)
		r.Close()
		if err != nil && !errors.Is(err, trace.ErrCut) {
			t.Logf("%s: %v", filepath.Base(file), err)
		}
		for _, c := range some {
			calls = append(calls, c)
			name = append(name, filepath.Base(file))
		}
	}
	return calls, name
}

// A far side that does what the recorded one did makes the recorded flow of
// every call in public traces. What a busy machine delays beyond its patience is
// allowed for.
func TestPublicFlows(t *testing.T) {
	dir := os.Getenv("PORTERO_TRACES")
	if dir == "" {
		t.Skip("public traces are not replayed: set PORTERO_TRACES to their directory")
	}
	files, err := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	flows(t, files, 98)
}

// The same of this project's own captures, of real peers too.
func TestRecordedFarSides(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.pcap*", "real/*.pcap*"} {
		some, err := filepath.Glob(filepath.Join("..", "..", "testdata", "traces", pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, some...)
	}
	flows(t, files, 95)
}

// flows replays the first calls of each file against far sides that do what the
// recorded ones did; so many in a hundred have to be as recorded.
func flows(t *testing.T, files []string, percent int) {
	t.Helper()
	all, names := loadTraces(t, files)
	var calls []*Recording
	var of []string
	n := map[string]int{}
	for i, c := range all {
		if n[names[i]]++; n[names[i]] <= 3 && c.steps[0].tag("To") == "" { // the rest of a file is of the same make
			calls, of = append(calls, c), append(of, names[i])
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	equal, done := 0, 0
	const lanes = 28 // a lane is one call at a time, so that its far side knows which it is
	for lane := range lanes {
		var mine []*Recording
		var files []string
		for i := lane; i < len(calls); i += lanes {
			mine, files = append(mine, calls[i]), append(files, of[i])
		}
		f := newFar(t, "127.0.87.10", func(c *farCall) { c.act(mine[c.n]) })
		wg.Add(1)
		go func() {
			defer wg.Done()
			n := 0
			err := Run(ctx, mine, Options{Target: Target{Host: f.local.String()}, Addr: f.local, Transport: transport.UDP, Speed: 40, SpeedRTP: true,
				Bind: netip.MustParseAddrPort("127.0.87.2:0"), Patience: time.Second, Rate: 1000, Concurrency: 1, User: "ana", Password: "secret"},
				func(r Result) {
					mu.Lock()
					defer mu.Unlock()
					done++
					if r.Equal {
						equal++
					} else {
						t.Logf("%s: %s %+v %s", files[n], r.CallID, r.Differences, r.Note)
					}
					n++
				})
			if err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	t.Logf("%d of %d flows as recorded", equal, len(calls))
	if done != len(calls) || len(calls) == 0 || equal*100 < len(calls)*percent {
		t.Errorf("%d of %d calls were placed, %d as recorded", done, len(calls), equal)
	}
}

// act does what the far side of a recording did, as fast as it goes.
func (c *farCall) act(rec *Recording) {
	asked := map[string]*message{"INVITE": c.invite}
	at := c.rtp.LocalAddr().(*net.UDPAddr).AddrPort()
	place := mediaPlace{addr: at.Addr(), port: func(int) uint16 { return at.Port() }}
	for i, s := range rec.steps {
		_, about := s.cseq()
		body := place.describe(s.body, netip.Addr{})
		if describes(s.message) == nil {
			body = nil
		}
		switch {
		case i == 0 || s.caller && s.code() > 0:
		case s.caller:
			patience := 400 * time.Millisecond
			if s.method() == "CANCEL" {
				patience = 3 * time.Second
			}
			m, _ := c.within(patience, s.method())
			if m != nil { // an ACK of a 2xx that came twice, say, comes once
				asked[s.method()] = m
			}
		case s.code() > 0:
			var more []string
			for _, name := range []string{"Require", "RSeq", "WWW-Authenticate", "Proxy-Authenticate"} {
				if v := s.get(name); len(v) > 0 {
					more = append(more, name+": "+string(v))
				}
			}
			if req := asked[about]; req != nil {
				_, status, _ := strings.Cut(string(s.start), " ")
				c.reply(req, status, string(body), more...)
			}
		case s.method() == "ACK":
			c.cseq--
			c.ask("ACK", string(body))
		case s.method() != "CANCEL":
			c.ask(s.method(), string(body))
			for _, code := range []string{"200 ", "481 ", "488 ", "491 ", "603 "} {
				if m, _ := c.within(50*time.Millisecond, code+s.method()); m != nil {
					break
				}
			}
		}
	}
}
