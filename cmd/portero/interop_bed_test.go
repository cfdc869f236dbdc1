package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/identity/stir/stirtest"
)

// Where everybody is during the interoperability tests. The network is theirs
// alone, so that a demo may run beside them.
const (
	pbxAddr      = "127.0.60.10:5060" // Asterisk
	doorHost     = "127.0.60.50"      // Portero, to both sides
	doorAddr     = doorHost + ":5060"
	consoleAddr  = doorHost + ":8080"
	callerHost   = "127.0.60.21"      // SIPp as the carrier; a trunk
	answererAddr = "127.0.60.31:5060" // SIPp as the far side
	customerAddr = "127.0.60.40:5060" // SIPp as the customer of a callback
	strangerHost = "127.0.60.99"      // no trunk
)

// interopConfig is the door's configuration; %s is its folder. A number with 9 goes to
// SIPp, what else no rule moves to Asterisk.
const interopConfig = `
mode: enforce
sip:
  listen: ["udp:` + doorAddr + `", "tcp:` + doorAddr + `"]
  trunks:
    - {name: carrier, addresses: [127.0.60.20/30], trust_identity: true}
  destinations:
    agents: {uri: "sip:` + pbxAddr + `"}
    automation: {uri: "sip:automation@` + pbxAddr + `"}
    answerer: {uri: "sip:` + answererAddr + `"}
    queue: {uri: "sip:agents@` + pbxAddr + `"}
  drain: 20s
  session_timers: {expires: 90s}
  identity: {verify: true, anchors: ["%[1]s/anchor.pem"], certificates: {"` + signerURL + `": "%[1]s/signer.pem"}}
media:
  caller_address: ` + doorHost + `
  far_address: ` + doorHost + `
lists:
  allowed: ["+34600000111"]
allow: [allowed]
rules:
  - name: declared
    when: automata
    stages: [arrival]
    action: automation
    destination: automation
  - name: digits
    when: digits == "42"
    stages: [listening]
    action: automation
    destination: automation
  - name: screened
    when: to == "611"
    stages: [arrival]
    action: screen
  - name: promise
    when: to == "950"
    stages: [arrival]
    action: callback
  - name: answerer
    when: to startsWith "9"
    stages: [arrival]
    action: agents
    destination: answerer
callback:
  enabled: true
  destination: queue
  pace: 0s
store: {path: "%[1]s/portero.db", json_lines: "%[1]s/calls.jsonl"}
captures: {directory: "%[1]s/captures", media: true, keys: true}
console: {listen: "` + consoleAddr + `"}
log: {level: info, format: json}
`

// bed is what the tests lie on: the binary and a real Asterisk.
type bed struct {
	binary string
	pbxLog string
}

// makeBed builds the door with the race detector and starts Asterisk.
func makeBed(t *testing.T) *bed {
	t.Helper()
	if os.Getenv("PORTERO_INTEROP") == "" {
		t.Skip("interoperability with Asterisk, SIPp and baresip is not tested: set PORTERO_INTEROP=1 as `make test` does")
	}
	alone(t)
	b := &bed{binary: filepath.Join(t.TempDir(), "portero")}
	if out, err := exec.Command("go", "build", "-race", "-o", b.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build -race: %v\n%s", err, out)
	}
	up := exec.Command("../../testdata/interop/asterisk-up", pbxAddr)
	up.Env = append(os.Environ(), "PORTERO_ASTERISK_TRUNK="+doorHost, "PORTERO_ASTERISK_OUT="+customerAddr, "PORTERO_ASTERISK_RTP=19000-19999")
	// Asterisk keeps what it inherits: a pipe here would never end.
	said, err := os.Create(filepath.Join(t.TempDir(), "asterisk-up"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	up.Stdout, up.Stderr = said, said
	t.Cleanup(func() {
		if out, err := exec.Command("../../testdata/interop/asterisk-down", pbxAddr).CombinedOutput(); err != nil {
			t.Errorf("asterisk-down: %v\n%s", err, out)
		}
	})
	err = up.Run()
	out, _ := os.ReadFile(said.Name())
	if err != nil {
		t.Fatalf("asterisk-up: %v\n%s", err, out)
	}
	lines := strings.Fields(string(out))
	b.pbxLog = lines[len(lines)-1]
	return b
}

// alone waits until no other run of these tests on this machine holds their
// addresses.
func alone(t *testing.T) { aloneAt(t, doorHost+":1") }

// aloneAt waits likewise, by an address that nobody else listens at.
func aloneAt(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(time.Second) {
		l, err := net.Listen("tcp", address)
		if err == nil {
			t.Cleanup(func() { l.Close() })
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("another run of these tests has not ended within 10 minutes: %v", err)
		}
	}
}

// pbxSaid waits for a line of the dialplan in Asterisk's log, after offset from,
// with all these parts, and returns it.
func (b *bed) pbxSaid(t *testing.T, from int, parts ...string) string {
	t.Helper()
	var lines []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		log, err := os.ReadFile(b.pbxLog)
		if err != nil {
			t.Fatal(err)
		}
		lines = nil
		for _, line := range strings.Split(string(log[from:]), "\n") {
			if _, line, ok := strings.Cut(line, "Ext. s: "); ok {
				lines = append(lines, line)
				if holds(line, parts) {
					return line
				}
			}
			if _, digits, ok := strings.Cut(line, "portero-digits "); ok {
				lines = append(lines, digits)
				if holds(digits, parts) {
					return digits
				}
			}
		}
	}
	t.Fatalf("Asterisk was not called with %q; it was called with\n%s", parts, strings.Join(lines, "\n"))
	return ""
}

// hangUpAll has Asterisk end its calls.
func (b *bed) hangUpAll(t *testing.T) {
	t.Helper()
	cmd := exec.Command("../../testdata/interop/asterisk-cli", pbxAddr, "channel", "request", "hangup", "all")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("asterisk-cli: %v\n%s", err, out)
	}
}

func (b *bed) pbxLogSize(t *testing.T) int {
	t.Helper()
	info, err := os.Stat(b.pbxLog)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Size())
}

func holds(line string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(line, p) {
			return false
		}
	}
	return true
}

// openDoor is a running `portero serve`.
type openDoor struct {
	bed    *bed
	dir    string
	config string
	cmd    *exec.Cmd
	exited chan error
	signer *stirtest.Signer // of callers' numbers

	errorsWanted bool // the test made the door log errors
}

// open starts the door, and at the end of the test closes it and looks for what
// must not have happened: a data race, a panic, an exit status.
func (b *bed) open(t *testing.T) *openDoor {
	t.Helper()
	return b.openWith(t, interopConfig)
}

func (b *bed) openWith(t *testing.T, config string) *openDoor {
	t.Helper()
	d := &openDoor{bed: b, dir: t.TempDir(), exited: make(chan error, 1)}
	d.config = filepath.Join(d.dir, "portero.yaml")
	d.signing(t)
	d.configure(t, config)
	log, err := os.Create(filepath.Join(d.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	d.cmd = exec.Command(b.binary, "serve", "--config", d.config)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.exited <- d.cmd.Wait() }()
	t.Cleanup(func() {
		d.terminate()
		select {
		case err := <-d.exited:
			if err != nil {
				t.Errorf("portero serve: %v", err)
			}
		case <-time.After(25 * time.Second):
			d.cmd.Process.Kill()
			t.Errorf("portero serve did not end after SIGTERM")
		}
		log.Close()
		said := d.log()
		if t.Failed() {
			t.Logf("the door's log ends\n%s", said[max(0, len(said)-6000):])
		}
		for _, bad := range []string{"DATA RACE", "panic", `"level":"error"`} {
			if bad == `"level":"error"` && d.errorsWanted {
				continue
			}
			if i := strings.Index(said, bad); i >= 0 {
				t.Errorf("the door's log holds %s:\n%s", bad, said[max(0, i-500):min(len(said), i+4000)])
			}
		}
	})
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if r, err := http.Get("http://" + consoleAddr + "/healthz"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return d
			}
		}
		select {
		case err := <-d.exited:
			d.exited <- err
			t.Fatalf("portero serve ended at once: %v\n%s", err, d.log())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("portero serve is not well after 15 s:\n%s", d.log())
		}
	}
}

func (d *openDoor) configure(t *testing.T, config string) {
	t.Helper()
	if err := os.WriteFile(d.config, fmt.Appendf(nil, config, d.dir), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reload puts other rules into the configuration, in place of all of them, and
// waits until the door has said what it made of it.
func (d *openDoor) reload(t *testing.T, rules, said string) {
	t.Helper()
	head, rest, _ := strings.Cut(interopConfig, "rules:\n")
	_, tail, _ := strings.Cut(rest, "callback:\n")
	d.configure(t, head+rules+"callback:\n"+tail)
	from := len(d.log())
	d.cmd.Process.Signal(syscall.SIGHUP)
	d.awaitLog(t, from, said)
}

func (d *openDoor) terminate() { d.cmd.Process.Signal(syscall.SIGTERM) }

func (d *openDoor) log() string {
	b, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	return string(b)
}

// awaitLog waits for a text in the log that was not in its first from bytes.
func (d *openDoor) awaitLog(t *testing.T, from int, text string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if said := d.log(); strings.Contains(said[from:], text) {
			return
		}
	}
	t.Fatalf("the door did not log %q:\n%s", text, d.log()[from:])
}

// portero runs another subcommand with the door's configuration.
func (d *openDoor) portero(t *testing.T, args ...string) string {
	t.Helper()
	var out, said bytes.Buffer
	cmd := exec.Command(d.bed.binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("portero %s: %v\n%s%s", strings.Join(args, " "), err, &out, &said)
	}
	return out.String()
}

// record waits for the record of an ended call, by the Call-ID of its caller.
func (d *openDoor) record(t *testing.T, callID string) store.Record {
	t.Helper()
	var r store.Record
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err := getJSON("http://"+consoleAddr+"/api/calls/"+callID, &r); err == nil {
			return r
		}
	}
	t.Fatalf("there is no record of the call %s", callID)
	return r
}

func getJSON(url string, v any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return json.NewDecoder(res.Body).Decode(v)
}
