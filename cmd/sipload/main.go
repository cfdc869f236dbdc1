//go:build linux && (amd64 || arm64)

// Command sipload measures what a SIP peer adds to a call: CPU time, delay,
// memory, and what it loses, repeats or puts out of order. It is caller and
// answerer in one process, over UDP, with a clock of microseconds; the calls are
// INVITE, 180, 200, ACK, BYE, 200, without media.
//
//	sipload [flags] NAME=ADDR:PORT[,pid=N][,max=RATE]...
//
// Each peer must hand a call to a user that begins with 9 on to the answerer,
// with its Request-URI's user unchanged. pid is the root of its process tree;
// max the highest rate it is put to. The rates are played to all peers in turn,
// and this several times, so that whatever else the machine does meets all alike;
// the table shows medians. With -media the calls are held and both sides send
// G.711 in packets of 20 ms (media.go). "direct" is caller and answerer without anybody
// between: what the tool and the kernel cost.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// settle is what a peer is given to finish with its calls before its CPU time is
// read: records are written behind.
const settle = time.Second

type options struct {
	caller, answerer netip.AddrPort
	rates            []int
	runs             int
	length           time.Duration // of one load
	held             int
	json             string
	media            []int // calls with media at once; instead of the rates
}

// peer is who is measured; pid 0 is nobody's.
type peer struct {
	name string
	addr netip.AddrPort
	pid  int
	max  int
}

func main() {
	debug.SetGCPercent(400)
	runtime.LockOSThread()
	o, peers, err := parse(os.Args[1:])
	if err == flag.ErrHelp {
		os.Exit(2)
	}
	switch {
	case err != nil:
	case len(o.media) > 0:
		err = measureMedia(o, peers)
	default:
		err = measure(o, peers)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sipload:", err)
		os.Exit(1)
	}
}

func parse(args []string) (o options, peers []peer, err error) {
	f := flag.NewFlagSet("sipload", flag.ContinueOnError)
	caller := f.String("caller", "127.0.87.20:5060", "address of the caller")
	answerer := f.String("answerer", "127.0.87.30:5060", "address of the answerer")
	rates := f.String("rates", "100,300,1000,2000", "calls a second, one after another")
	f.IntVar(&o.runs, "runs", 3, "how often each rate is played to each peer")
	f.DurationVar(&o.length, "length", 10*time.Second, "how long one load is")
	f.IntVar(&o.held, "held", 1000, "calls held at once for the memory of a call; 0 leaves it out")
	f.StringVar(&o.json, "json", "", "append every single load to this file, as JSON lines")
	media := f.String("media", "", "measure media instead: so many calls at once, one after another, such as 50,200,500")
	if err := f.Parse(args); err != nil {
		return o, nil, flag.ErrHelp
	}
	for _, s := range strings.FieldsFunc(*media, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 2000 {
			return o, nil, fmt.Errorf("media %q: allowed are 1 to 2000 calls", s)
		}
		o.media = append(o.media, n)
	}
	if o.caller, err = netip.ParseAddrPort(*caller); err != nil {
		return o, nil, err
	}
	if o.answerer, err = netip.ParseAddrPort(*answerer); err != nil {
		return o, nil, err
	}
	for _, s := range strings.Split(*rates, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 20000 {
			return o, nil, fmt.Errorf("rate %q: allowed are 1 to 20000 calls a second", s)
		}
		o.rates = append(o.rates, n)
	}
	longest := time.Minute
	if len(o.media) > 0 {
		longest = 2 * time.Hour
	}
	if o.runs < 1 || o.length < time.Second || o.length > longest || o.held < 0 || o.held > 10000 {
		return o, nil, fmt.Errorf("allowed are 1 run and more, a length of 1s to 1m (with media 2h), 0 to 10000 calls held")
	}
	for _, s := range f.Args() {
		p, err := parsePeer(s)
		if err != nil {
			return o, nil, fmt.Errorf("peer %q: %w", s, err)
		}
		peers = append(peers, p)
	}
	peers = append(peers, peer{name: "direct", addr: o.answerer})
	for _, a := range append([]peer{{addr: o.caller}, {addr: o.answerer}}, peers...) {
		if !a.addr.Addr().IsLoopback() || !a.addr.Addr().Is4() {
			return o, nil, fmt.Errorf("%s: only IPv4 loopback addresses: this is a load, and a peer elsewhere would be flooded", a.addr)
		}
	}
	return o, peers, nil
}

func parsePeer(s string) (p peer, err error) {
	name, rest, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return p, fmt.Errorf("it is not NAME=ADDR:PORT[,pid=N][,max=RATE]")
	}
	addr, rest, _ := strings.Cut(rest, ",")
	p.name = name
	if p.addr, err = netip.ParseAddrPort(addr); err != nil {
		return p, err
	}
	for _, kv := range strings.FieldsFunc(rest, func(r rune) bool { return r == ',' }) {
		k, v, _ := strings.Cut(kv, "=")
		n, err := strconv.Atoi(v)
		switch {
		case err != nil || n < 1:
			return p, fmt.Errorf("%q is not a positive number", kv)
		case k == "pid":
			p.pid = n
		case k == "max":
			p.max = n
		default:
			return p, fmt.Errorf("%q is not known; allowed: pid, max", k)
		}
	}
	return p, nil
}

// measure plays everything and prints the tables.
func measure(o options, peers []peer) error {
	var log *json.Encoder
	if o.json != "" {
		f, err := os.OpenFile(o.json, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		log = json.NewEncoder(f)
	}
	run := os.Getpid() % 5000 // replies to an earlier process's calls are not ours
	next := func() int { run++; return run }

	held := map[string]heldResult{}
	if o.held > 0 { // first, while nobody's memory is full of calls that are over
		for _, p := range peers {
			if p.pid == 0 {
				continue
			}
			h, err := hold(o, p, next())
			if err != nil {
				return fmt.Errorf("%s, %d calls held: %w", p.name, o.held, err)
			}
			held[p.name] = h
			tell("%s holds %d calls: %.1f KiB each, %d failed", p.name, o.held, h.perCall, h.failed)
		}
	}
	before := map[string]time.Duration{}
	calls := map[string]int{}
	for _, p := range peers {
		if p.pid == 0 {
			continue
		}
		var err error
		if before[p.name], err = cpu(p.pid); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	var all []result
	for i := range o.runs {
		for _, rate := range o.rates {
			for _, p := range peers {
				if p.max != 0 && rate > p.max {
					continue
				}
				r, err := loadOnce(o, p, rate, next())
				if err != nil {
					return fmt.Errorf("%s at %d/s: %w", p.name, rate, err)
				}
				tell("run %d: %s", i+1, r)
				calls[p.name] += r.Calls
				all = append(all, r)
				if log != nil {
					if err := log.Encode(r); err != nil {
						return err
					}
				}
			}
		}
	}
	overall := map[string]float64{}
	for _, p := range peers {
		if p.pid == 0 {
			continue
		}
		after, err := cpu(p.pid)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		overall[p.name] = float64(after-before[p.name]) / float64(time.Millisecond) / float64(calls[p.name])
	}
	printLoads(os.Stdout, o, peers, all)
	printPeers(os.Stdout, o, peers, held, overall)
	return nil
}

// tell says how far the measuring is, on standard error.
func tell(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// loadOnce plays one rate to one peer.
func loadOnce(o options, p peer, rate, run int) (result, error) {
	n := int(float64(rate) * o.length.Seconds())
	begin := time.Now()
	own, err := cpu(os.Getpid())
	if err != nil {
		return result{}, err
	}
	var before time.Duration
	if p.pid != 0 {
		if before, err = cpu(p.pid); err != nil {
			return result{}, err
		}
	}
	l, err := place(order{peer: p.addr, caller: o.caller, answerer: o.answerer, run: run, rate: rate, calls: n})
	if err != nil {
		return result{}, err
	}
	took := time.Since(begin)
	r := l.result()
	r.Peer, r.Rate = p.name, rate
	if after, err := cpu(os.Getpid()); err == nil {
		r.ToolCore = float64(after-own) / float64(took)
	}
	time.Sleep(settle)
	if p.pid != 0 {
		after, err := cpu(p.pid)
		if err != nil {
			return result{}, err
		}
		r.CPU = float64(after-before) / float64(time.Millisecond) / float64(max(r.Calls-r.Failed, 1))
	}
	return r, nil
}

type heldResult struct {
	perCall float64 // KiB that each call added
	total   float64 // MiB of the peer with all of them
	failed  int
}

// hold sets calls up, and reads the peer's memory while all are up. Twice as many
// have come and gone before: what a peer then keeps for the next ones is not what
// a call costs.
func hold(o options, p peer, run int) (heldResult, error) {
	const rate = 100
	if _, err := place(order{peer: p.addr, caller: o.caller, answerer: o.answerer, run: run + 5000, rate: 2 * rate, calls: 2 * o.held}); err != nil {
		return heldResult{}, err
	}
	time.Sleep(settle)
	before, err := memory(p.pid)
	if err != nil {
		return heldResult{}, err
	}
	var up int
	var upErr error
	l, err := place(order{
		peer: p.addr, caller: o.caller, answerer: o.answerer, run: run, rate: rate, calls: o.held,
		hold: time.Duration(o.held)*time.Second/rate + 2*time.Second,
		full: func(*load) { up, upErr = memory(p.pid) },
	})
	if err != nil {
		return heldResult{}, err
	}
	if upErr != nil {
		return heldResult{}, upErr
	}
	if up == 0 {
		return heldResult{}, fmt.Errorf("the calls were never all up: %v", l.failures())
	}
	return heldResult{perCall: float64(up-before) / float64(o.held), total: float64(up) / 1024, failed: l.result().Failed}, nil
}
