package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"go.uber.org/zap"

	"github.com/portero/portero/cmd/portero/config"
)

const killedConfig = `
mode: observe
sip:
  listen: ["udp:127.0.82.1:5060"]
  trunks: [{name: carrier, addresses: [127.0.82.2]}]
  destinations:
    agents:
      targets:
        - {uri: "sip:127.0.82.11:5060", priority: 1}
        - {uri: "sip:127.0.82.12:5060", priority: 2}
  try_for: 4s
  drain: 0s
  cooldown: 1s
  health: {interval: 300ms, timeout: 2s}
media: {caller_address: 127.0.82.1, ports: {min: 52000, max: 55999}}
store: {path: "%s/portero.db"}
console: {listen: "127.0.82.1:8080", token: "only-for-this-test-0"}
`

// One of two PBXs is killed under load and comes back: no call is lost. It needs
// SIPp, which plays the carrier and both PBXs.
func TestPBXKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s")
	}
	if _, err := exec.LookPath("sipp"); err != nil {
		if os.Getenv("PORTERO_INTEROP") != "" {
			t.Fatal("there is no sipp here: testdata/interop/setup test installs it")
		}
		t.Skip("there is no sipp here; it is in the package sip-tester, which testdata/interop/setup test installs")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "portero.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, killedConfig, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, cfg, file, zap.NewNop()) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("the door: %v", err)
		}
	}()
	pbx := func(host string) *exec.Cmd {
		return playSIPp(t, dir, "-sn", "uas", "-i", host, "-p", "5060", "-aa", "-timeout", "90s")
	}
	first := pbx("127.0.82.11")
	second := pbx("127.0.82.12")
	defer func() { stop(second) }()
	waitFor(t, "the PBXs", func() bool { return udpListens("127.0.82.11:5060") && udpListens("127.0.82.12:5060") })
	waitFor(t, "the door", func() bool {
		return metric("available", `.*\.11:5060"`) == 1 && metric("available", `.*\.12:5060"`) == 1
	})

	carrier := playSIPp(t, dir, "-sn", "uac", "127.0.82.1:5060", "-i", "127.0.82.2", "-p", "5060", "-r", "20", "-m", "300", "-d", "100",
		"-timeout", "90s")
	answered := func(host string) float64 {
		return metric("attempts_total", `.*result="answered",target="sip:`+host+`:5060"`)
	}
	waitFor(t, "calls at the first PBX", func() bool { return answered("127.0.82.11") >= 10 })
	stop(first)
	waitFor(t, "the first PBX to be down", func() bool { return metric("servers", `.*state="down",target="sip:127.0.82.11:5060"`) == 1 })
	first = pbx("127.0.82.11")
	defer func() { stop(first) }()
	before := answered("127.0.82.11")
	waitFor(t, "the first PBX to be up", func() bool { return metric("available", `.*\.11:5060"`) == 1 })
	waitFor(t, "calls at the first PBX again", func() bool { return answered("127.0.82.11") > before })
	if err := carrier.Wait(); err != nil {
		t.Errorf("calls were lost: %v", err)
	}
	silent := metric("attempts_total", `.*result="silent",target="sip:127.0.82.11:5060"`)
	t.Logf("%v calls met a dead PBX; %v were answered by the first, %v by the second", silent, answered("127.0.82.11"), answered("127.0.82.12"))
	if silent == 0 || answered("127.0.82.11")+answered("127.0.82.12") != 300 {
		t.Error("not every call was answered, or none met the dead PBX")
	}
}

// playSIPp runs SIPp in the background.
func playSIPp(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sipp", append(args, "-nostdin")...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// stop ends a process as a power cut would.
func stop(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// metric is the value of the first portero_upstream_ metric of that name whose
// labels match, 0 if there is none.
func metric(name, labels string) float64 {
	res, err := http.Get("http://127.0.82.1:8080/metrics")
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`(?m)^portero_upstream_` + name + `\{` + labels + `\} (\S+)$`).FindSubmatch(b)
	if m == nil {
		return 0
	}
	v, _ := strconv.ParseFloat(string(m[1]), 64) // Prometheus writes numbers
	return v
}
