package scenario_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/srtp/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v4"

	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/media/record"
	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/media/webrtc"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/callback"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/policy/surge"
	"github.com/portero/portero/sip/door"
	"github.com/portero/portero/sip/door/scenario"
	"github.com/portero/portero/sip/judge"
	"github.com/portero/portero/sip/transaction"
	"github.com/portero/portero/sip/upstream"
)

const scenarios = "../../../testdata/scenarios"

// timers let a transaction time out (64*T1) in 1.6 s.
var timers = transaction.Timers{T1: 25 * time.Millisecond, T2: 100 * time.Millisecond, T4: 100 * time.Millisecond, D: 200 * time.Millisecond}

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil { // they wait most of the time
		panic(err)
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// Each file in testdata/scenarios is played against a door of its own.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob(scenarios + "/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in %s: %v", scenarios, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			s, err := scenario.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			n := scenario.NewNetwork()
			t.Parallel()
			d := open(t, n, s.Config)
			err = scenario.Run(s, n, d)
			d.close(t)
			switch {
			case err != nil && s.Pending != "":
				t.Skipf("pending: %s: %v", s.Pending, err)
			case err != nil:
				t.Error(err)
			case s.Pending != "":
				t.Errorf("%s passes now: take its pending line out", file)
			}
		})
	}
}

// settings is what a scenario's config block may set: the keys are those of
// the configuration file.
type settings struct {
	Mode  policy.Mode  `yaml:"mode"`
	Door  door.Config  `yaml:"sip"`
	Rules rules.Config `yaml:",inline"`
	Judge judge.Config `yaml:"judgement"`
	Surge surge.Config `yaml:"surge"`

	Callback callback.Config `yaml:"callback"`
	Prompts  prompt.Config   `yaml:"prompts"`
	// Recording is on if its directory is anything; the files are in one of the
	// test's own.
	Recording record.Config `yaml:"recording"`
	// Captures are kept if their directory is anything; the files are in one of the
	// test's own.
	Captures record.Captures `yaml:"captures"`
	// Broken breaks a part of the door: prompts (there is no library, and
	// whoever plays one panics) or store (promises cannot be written).
	Broken string `yaml:"broken"`
	// WebRTC is where browsers are served: sockets, port 0 for any.
	WebRTC webrtc.Config `yaml:"webrtc"`
	// FarAddress is where media is toward the PBX, if not where it is outside.
	FarAddress string `yaml:"far_address"`
	// Names are what DNS says of names in target URIs: addresses with ports.
	Names map[string][]string `yaml:"names"`
}

func defaults() settings {
	s := settings{Mode: policy.Observe, Door: door.Defaults(), Rules: rules.Defaults(), Judge: judge.Defaults(), Surge: surge.Defaults(),
		Callback: callback.Defaults(), Recording: record.Defaults(), Captures: record.DefaultCaptures(), Prompts: prompt.Defaults()}
	s.Door.Listen = []string{"udp:" + scenario.DoorAddr.String()}
	s.Door.Trunks = []door.Trunk{{Name: "carrier", Addresses: []string{scenario.Address("caller").Addr().String()}}}
	s.Door.Destinations = map[string]door.Destination{
		"agents":     {URI: "sip:" + scenario.Address("pbx").String()},
		"automation": {URI: "sip:machines@" + scenario.Address("bot").String()},
	}
	s.Door.Drain = time.Second
	s.Door.Upstream.Health.Interval = 0 // scenarios that want OPTIONS say so
	return s
}

// testDoor is a door with its surroundings.
type testDoor struct {
	*door.Door
	net      *scenario.Network
	names    *names
	stop     context.CancelFunc
	served   chan error
	relay    *relay.Relay
	browsers *webrtc.Mux
	store    *store.Store // of promises, if there are callbacks
	dialed   chan callback.Result
	cipher   *srtp.Context // of what the caller says; nil: plain
	voice    *prompt.Library
	phones   map[string]net.PacketConn // by address
	tapes    *record.Recorder          // nil: none
	spool    *record.Spool             // nil: none
	kept     string                    // its directory
	signer   *signer                   // of callers' numbers, if they are verified

	talking sync.WaitGroup
	quiet   chan struct{} // closed when nobody talks any more

	mu      sync.Mutex
	records []store.Record
}

// open starts a door; change may give it other surroundings.
func open(t *testing.T, n *scenario.Network, config string, change ...func(*door.Deps)) *testDoor {
	t.Helper()
	s := defaults()
	if config != "" {
		if err := yaml.Load([]byte(config), &s, yaml.WithKnownFields()); err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("the config block: %v", err)
		}
	}
	d := &testDoor{net: n, names: &names{of: s.Names}, served: make(chan error, 1), quiet: make(chan struct{}), dialed: make(chan callback.Result, 8),
		phones: map[string]net.PacketConn{}}
	destinations := map[string]bool{}
	for name := range s.Door.Destinations {
		destinations[name] = true
	}
	set, err := rules.Compile(s.Rules, destinations)
	if err != nil {
		t.Fatalf("the config block: %v", err)
	}
	prompts, err := prompt.New(s.Prompts)
	if err != nil {
		t.Fatal(err)
	}
	media := relay.Defaults()
	media.CallerAddress, media.FarAddress = "127.0.0.1", s.FarAddress
	media.Ports = relay.Ports{Min: 21000, Max: 25999}
	log := zap.NewNop()
	if os.Getenv("PORTERO_SCENARIO_LOG") != "" {
		log, _ = zap.NewDevelopment()
	}
	if d.relay, err = relay.New(media, log); err != nil {
		t.Fatal(err)
	}
	if s.Broken == "prompts" {
		prompts = nil
	}
	d.voice = prompts
	if s.Captures.Directory != "" {
		s.Captures.Directory = t.TempDir()
		d.kept = s.Captures.Directory
		if d.spool, err = record.NewSpool(s.Captures, log); err != nil {
			t.Fatal(err)
		}
	}
	if s.Recording.Directory != "" {
		s.Recording.Directory = t.TempDir()
		s.Recording.MinFreeMB = 0
		if d.tapes, err = record.New(s.Recording, log); err != nil {
			t.Fatal(err)
		}
	}
	verifies := d.verifier(t, s.Door.Identity)
	s.Door.Identity.Verify = false // its files are not in the script
	deps := door.Deps{
		Log: log, Relay: d.relay, Prompts: prompts, Surge: surge.New(s.Surge), Queue: d.queue(t, s),
		Bench:   &judge.Bench{Rules: set, Config: s.Judge, Mode: s.Mode},
		Records: d.keep, Verifier: verifies, Recorder: d.tapes, Spool: d.spool, Resolver: d.resolver(s),
		Timers: timers,
		PacketConn: func(a netip.AddrPort) (net.PacketConn, error) {
			return n.Listen(a)
		},
	}
	if s.WebRTC.Enabled() {
		if d.browsers, err = webrtc.New(s.WebRTC, log); err != nil {
			t.Fatal(err)
		}
		deps.WebRTC = d.browsers
	}
	for _, f := range change {
		f(&deps)
	}
	if d.Door, err = door.New(s.Door, deps); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, d.stop = context.WithCancel(context.Background())
	go func() { d.served <- d.Serve(ctx) }()
	for !d.Serving() {
		time.Sleep(time.Millisecond)
	}
	return d
}

// resolver is the scenario's own DNS, if it says names; else the configured one.
func (d *testDoor) resolver(s settings) upstream.Resolver {
	if s.Names == nil {
		return nil
	}
	return d.names
}

// queue is where promises go, on a real disk; nil without callbacks.
func (d *testDoor) queue(t *testing.T, s settings) *callback.Queue {
	t.Helper()
	if !s.Callback.Enabled {
		return nil
	}
	cfg := store.Defaults()
	cfg.Path = filepath.Join(t.TempDir(), "portero.db")
	var err error
	if d.store, err = store.Open(cfg, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	if s.Broken == "store" {
		if err := d.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	q, err := callback.NewQueue(s.Callback, d.store.Promises)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func (d *testDoor) close(t *testing.T) {
	t.Helper()
	if d.store != nil {
		defer func() { _ = d.store.Close() }() // a broken one is closed already
	}
	close(d.quiet)
	d.talking.Wait()
	for _, c := range d.phones {
		_ = c.Close()
	}
	d.stop()
	select {
	case err := <-d.served:
		if err != nil {
			t.Errorf("the door ended with: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the door does not close")
	}
	if err := d.relay.Close(); err != nil {
		t.Error(err)
	}
	if d.browsers != nil {
		if n := d.browsers.Browsers(); n != 0 {
			t.Errorf("%d browsers are left", n)
		}
		if err := d.browsers.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(d.tapes.Close(), d.spool.Close()); err != nil {
		t.Error(err)
	}
	for _, s := range d.Upstream() {
		if s.Calls != 0 {
			t.Errorf("%d calls are left in the books of target %s", s.Calls, s.URI)
		}
	}
}

func (d *testDoor) keep(r store.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records = append(d.records, r)
}

// Calls implements scenario.Door.
func (d *testDoor) Calls() int { return d.CallsNow() }

// Records implements scenario.Door.
func (d *testDoor) Records() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return json.Marshal(d.records)
}

// Do implements scenario.Door:
//
//	door rtp ADDRESS DURATION    the caller begins to talk: µ-law to that address
//	door encrypts SUITE KEY      what the caller sends from now on is SRTP with that key
//	door heard ADDRESS           RTP comes to that address, within 3 s
//	door drain                   the door takes no new calls and closes
//	door speak FROM ADDRESS      the caller at FROM says something to that address,
//	                             after a second of a quiet room
//	door flood FROM ADDRESS      the caller at FROM sends a minute of audio at once
//	door says ADDRESS LANGUAGE PROMPT [20ms] [cut]
//	                             that prompt comes to that address, within 30 s, in
//	                             packets so long; to its end, or until it is
//	                             interrupted
//	door recording N             N recordings are under way, within 30 s
//	door press ADDRESS KEY       a key (RFC 4733, payload type 101) to that address
//	door tones ADDRESS KEY CODEC the same as tones in audio, pcmu, pcma or g722
//	door owes NUMBER             a promise to that number is on disk, within 10 s
//	door dial NUMBER PLACE       the door calls NUMBER back, to join it to PLACE
//	door dialed OUTCOME          that dial ended so, within 5 s
//	door cut AGENT               nothing can be sent to AGENT any more
//	door mend AGENT              it can again
//	door name NAME ADDRESS…      DNS says so of NAME from now on; without addresses
//	                             it fails
//	door target AGENT STATE      the target at that agent is up, refusing, failed
//	                             or down, within 5 s
func (d *testDoor) Do(words []string) error {
	switch {
	case len(words) == 3 && words[0] == "rtp":
		to, err := netip.ParseAddrPort(words[1])
		if err != nil {
			return fmt.Errorf("door rtp: %w", err)
		}
		lasting, err := time.ParseDuration(words[2])
		if err != nil {
			return fmt.Errorf("door rtp: %w", err)
		}
		return d.talk(to, lasting)
	case len(words) == 3 && words[0] == "encrypts":
		return d.encrypts(words[1], words[2])
	case len(words) == 2 && words[0] == "heard":
		return heard(words[1])
	case len(words) == 3 && words[0] == "speak":
		return d.speak(words[1], words[2])
	case len(words) == 3 && words[0] == "types":
		return d.types(words[1], words[2])
	case len(words) == 3 && words[0] == "flood":
		return d.flood(words[1], words[2])
	case len(words) >= 4 && words[0] == "says":
		return d.says(words[1], words[2], words[3], words[4:])
	case len(words) == 2 && words[0] == "recording":
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			now := strconv.Itoa(d.tapes.Counts().Now)
			if now == words[1] {
				return nil
			} else if time.Now().After(end) {
				return fmt.Errorf("%s are", now)
			}
		}
	case len(words) == 1 && words[0] == "drain":
		d.stop()
		return nil
	case len(words) == 3 && words[0] == "press":
		return d.press(words[1], words[2])
	case len(words) == 4 && words[0] == "tones":
		return d.tones(words[1], words[2], words[3])
	case len(words) == 2 && words[0] == "owes":
		return d.owes(words[1])
	case len(words) == 3 && words[0] == "dial":
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			d.dialed <- d.Dial(ctx, store.Promise{ID: 7, Number: words[1], Destination: words[2]})
		}()
		return nil
	case len(words) == 2 && (words[0] == "cut" || words[0] == "mend"):
		d.net.Cut(scenario.Address(words[1]), words[0] == "cut")
		return nil
	case len(words) >= 2 && words[0] == "name":
		d.names.set(words[1], words[2:])
		return nil
	case len(words) == 3 && words[0] == "target":
		return d.target("udp:"+scenario.Address(words[1]).String(), words[2])
	case len(words) == 2 && words[0] == "dialed":
		select {
		case r := <-d.dialed:
			if string(r.Outcome) != words[1] {
				return fmt.Errorf("the dial came to %s (%s)", r.Outcome, r.Detail)
			}
			return nil
		case <-time.After(30 * time.Second):
			return errors.New("the dial does not end")
		}
	}
	return fmt.Errorf("door %s is not known; there are: rtp, encrypts, heard, recording, speak, flood, says, drain, press, tones, owes, dial, dialed, cut, mend, name, target", strings.Join(words, " "))
}

// target waits until an address fares as a script says.
func (d *testDoor) target(address, want string) error {
	state := "no target's"
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		for _, t := range d.Upstream() {
			for _, s := range t.Servers {
				if s.Address == address {
					state = s.State
				}
			}
		}
		if state == want {
			return nil
		}
	}
	return fmt.Errorf("%s is %s", address, state)
}

func (d *testDoor) owes(number string) error {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		p, err := d.store.Latest(context.Background(), number)
		if err == nil && p.State != store.StateOpen {
			err = fmt.Errorf("it is %s", p.State)
		}
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// heard waits for a packet of RTP at an address.
func heard(address string) error {
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	var b [1500]byte
	n, _, err := c.ReadFrom(b[:])
	if err == nil && (n < 12 || b[0] != 0x80) {
		err = fmt.Errorf("no RTP: % x", b[:n])
	}
	return err
}

// talk sends 20 ms of µ-law noise a packet, at its pace, while the script goes on.
func (d *testDoor) talk(to netip.AddrPort, lasting time.Duration) error {
	noise := bytes.Repeat([]byte{0x7a, 0xfb, 0x6e, 0xf0}, 40)
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.phones[c.LocalAddr().String()] = c
	d.send(c, net.UDPAddrFromAddrPort(to), bytes.Repeat(noise, int(lasting/(20*time.Millisecond))))
	return nil
}

// send sends RTP (RFC 3550 section 5.1) of µ-law, 20 ms a packet, while the script
// goes on.
func (d *testDoor) send(c net.PacketConn, to net.Addr, codewords []byte) {
	d.talking.Add(1)
	go func() {
		defer d.talking.Done()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := range len(codewords) / 160 {
			seq, ts := 4000+i, 90000+160*i
			p := []byte{0x80, 0, byte(seq >> 8), byte(seq), byte(ts >> 24), byte(ts >> 16), byte(ts >> 8), byte(ts), 1, 2, 3, 4}
			_, _ = c.WriteTo(d.sealed(append(p, codewords[160*i:160*i+160]...)), to) // the port may be closed already: so is the call
			select {
			case <-tick.C:
			case <-d.quiet:
				return
			}
		}
	}()
}

// press sends one key as a telephone event of 100 ms with its end three times
// (RFC 4733 section 2.5.1), and µ-law before it, so that its source is known.
func (d *testDoor) press(address, key string) error {
	c, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	at := strings.Index("0123456789*#", key)
	if len(key) != 1 || at < 0 {
		return fmt.Errorf("door press: %q is no key", key)
	}
	seq := uint16(7000)
	send := func(pt byte, payload ...byte) {
		p := []byte{0x80, pt, byte(seq >> 8), byte(seq), 0, 0, byte(seq >> 8), 0, 9, 9, 9, 9}
		_, _ = c.Write(d.sealed(append(p, payload...)))
		seq++
		time.Sleep(5 * time.Millisecond)
	}
	for range 5 {
		send(0, bytes.Repeat([]byte{0x7a, 0xfb}, 80)...)
	}
	ts := seq
	event := func(end byte, duration uint16) {
		p := []byte{0x80, 101, byte(seq >> 8), byte(seq), 0, 0, byte(ts >> 8), 0, 9, 9, 9, 9, byte(at), end | 10, byte(duration >> 8), byte(duration)}
		_, _ = c.Write(d.sealed(p))
		seq++
		time.Sleep(5 * time.Millisecond)
	}
	for i := uint16(1); i <= 5; i++ {
		event(0, 160*i)
	}
	for range 3 {
		event(0x80, 800)
	}
	return nil
}
