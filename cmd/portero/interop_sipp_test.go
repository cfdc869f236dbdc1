package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sippCase is one behaviour, played by SIPp on one side or both.
type sippCase struct {
	uac, uas string   // scenarios of testdata/sipp; without uas Asterisk answers
	service  string   // the number called
	to       string   // where the caller sends, default the door
	ms       int      // how long the caller stays, default 300
	uacFlags []string // further flags
	uasFlags []string
}

func (c sippCase) String() string {
	name := c.uac
	if c.uas != "" {
		name += "," + c.uas
	}
	return name + "," + c.service
}

var sippCases = []sippCase{
	// Against SIPp: every step is looked at on both sides.
	{uac: "uac-basic", uas: "uas-basic", service: "900"},
	{uac: "uac-basic", uas: "uas-basic", service: "900", uacFlags: []string{"-t", "t1"}},
	{uac: "uac-far-bye", uas: "uas-far-bye", service: "900"},
	{uac: "uac-cancel", uas: "uas-ringing-cancelled", service: "900"},
	{uac: "uac-cancel", uas: "uas-cancel-200", service: "900"},
	{uac: "uac-486", uas: "uas-486", service: "900"},
	{uac: "uac-early-media", uas: "uas-early-media", service: "900"},
	// Reliable provisional responses: on both sides, and on each alone.
	{uac: "uac-prack", uas: "uas-prack", service: "900"},
	{uac: "uac-early-media", uas: "uas-prack", service: "900"},
	{uac: "uac-prack", uas: "uas-early-media", service: "900"},
	{uac: "uac-late-offer", uas: "uas-late-offer", service: "900"},
	{uac: "uac-hold", uas: "uas-hold", service: "900"},
	{uac: "uac-held", uas: "uas-holds", service: "900"},
	{uac: "uac-t38", uas: "uas-t38", service: "900"},
	{uac: "uac-info", uas: "uas-info", service: "900"},
	{uac: "uac-auth", uas: "uas-auth", service: "900", uasFlags: []string{"-m", "2"}},
	{uac: "uac-headers", uas: "uas-headers", service: "900"},
	{uac: "uac-multipart", uas: "uas-multipart", service: "900"},
	{uac: "uac-basic", uas: "uas-forked", service: "900", ms: 1000},
	// With its own retransmissions on, SIPp takes the ACK of a repeated 200 for a
	// repeated message and answers it with another 200, without end.
	{uac: "uac-basic", uas: "uas-retransmits", service: "900", ms: 1800, uasFlags: []string{"-nr"}},
	// A destination that refuses for want of capacity: the agents have the call.
	{uac: "uac-basic", uas: "uas-503", service: "900"},

	// Against Asterisk.
	{uac: "uac-basic", service: "600"},
	{uac: "uac-basic", service: "600", uacFlags: []string{"-t", "t1"}},
	{uac: "uac-basic", service: "602", ms: 200},
	{uac: "uac-far-bye", service: "601"},
	{uac: "uac-486", service: "603"},
	{uac: "uac-404", service: "604"},
	{uac: "uac-503", service: "605"},
	{uac: "uac-cancel", service: "606"},
	{uac: "uac-early-media-486", service: "607"},
	{uac: "uac-early-media", service: "608"},
	{uac: "uac-late-offer", service: "600"},
	{uac: "uac-hold", service: "600"},
	{uac: "uac-info", service: "600"},
	{uac: "uac-register", service: "701"},
	{uac: "uac-register", service: "701", uacFlags: []string{"-t", "t1"}},
	{uac: "uac-options", service: "600"},
	// A hundred calls, thirty a second.
	{uac: "uac-basic", service: "600", ms: 1000, uacFlags: []string{"-m", "100", "-r", "30"}},
}

func testSIPp(t *testing.T, b *bed) {
	b.open(t)
	// Meanwhile a call is held with Asterisk beyond the 60 s after which the door
	// would end it if its session refreshes (after 45 s) did not suit Asterisk.
	held := startSIPp(t, t.TempDir(), "uac-on-hold", callerHost+":5064", doorAddr, "-m", "1", "-s", "600", "-key", "caller", "+34600000002",
		"-d", "70000", "-timeout", "100s")
	for _, c := range sippCases {
		t.Run(c.String(), func(t *testing.T) { c.run(t) })
	}
	held.wait(t)
}

// testTimers keeps session timers (RFC 4028) that are short enough to wait for.
func testTimers(t *testing.T, b *bed) {
	b.openWith(t, strings.Replace(interopConfig, "expires: 90s", "expires: 6s, min_se: 2s", 1))
	for _, c := range []sippCase{
		{uac: "uac-timer-refreshes", uas: "uas-timer-refreshed", service: "900"},
		{uac: "uac-timer-refreshed", uas: "uas-timer-refreshes", service: "900"},
		{uac: "uac-far-bye", uas: "uas-timer-dies", service: "900"},
	} {
		t.Run(c.String(), func(t *testing.T) { c.run(t) })
	}
}

// testRefused has a stranger call a door that says so.
func testRefused(t *testing.T, b *bed) {
	b.openWith(t, strings.Replace(interopConfig, "  drain: 20s\n", "  drain: 20s\n  strangers: refuse\n", 1))
	startSIPp(t, t.TempDir(), "uac-refused", strangerHost+":5060", doorAddr, "-m", "1", "-s", "600", "-key", "caller", "+34600000001").wait(t)
}

func (c sippCase) run(t *testing.T) {
	dir := t.TempDir()
	ms := c.ms
	if ms == 0 {
		ms = 300
	}
	var uas *sipp
	if c.uas != "" {
		uas = startSIPp(t, dir, c.uas, answererAddr, append([]string{"-m", "1"}, c.uasFlags...)...)
	}
	to := c.to
	if to == "" {
		to = doorAddr
	}
	uac := startSIPp(t, dir, c.uac, callerHost+":5060", append([]string{to, "-m", "1", "-s", c.service,
		"-key", "caller", "+34600000001", "-d", fmt.Sprint(ms)}, c.uacFlags...)...)
	uac.wait(t)
	if uas != nil {
		uas.wait(t)
	}
}

// sipp is one running SIPp.
type sipp struct {
	name   string
	cmd    *exec.Cmd
	errors string
}

// startSIPp plays a scenario of testdata/sipp at an address; it ends by itself.
func startSIPp(t *testing.T, dir, scenario, addr string, args ...string) *sipp {
	t.Helper()
	file, err := filepath.Abs("../../testdata/sipp/" + scenario + ".xml")
	if err == nil {
		_, err = os.Stat(file) // also tells go test that the result hangs on the scenario
	}
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(addr, ":")
	s := &sipp{name: scenario, errors: filepath.Join(dir, scenario+".errors")}
	s.cmd = exec.Command("sipp", append([]string{"-sf", file, "-i", host, "-p", port, "-mi", host, "-nostdin",
		"-timeout", "25s", "-timeout_error", "-recv_timeout", "15000", "-trace_err", "-error_file", s.errors}, args...)...)
	s.cmd.Dir = dir
	out, err := os.Create(filepath.Join(dir, scenario+".out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("sipp: %v", err)
	}
	if host != callerHost && host != strangerHost { // an answerer: the call must not come before
		waitFor(t, "sipp to listen on "+addr, func() bool { return udpListens(addr) })
	}
	return s
}

// wait ends the test when the scenario did not go as it says.
func (s *sipp) wait(t *testing.T) {
	t.Helper()
	if err := s.cmd.Wait(); err != nil {
		said, _ := os.ReadFile(s.errors)
		if len(said) > 4000 {
			said = said[len(said)-4000:]
		}
		t.Errorf("sipp %s: %v\n%s", s.name, err, said)
	}
}
