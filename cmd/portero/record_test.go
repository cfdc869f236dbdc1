package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/cmd/demo/phone"
	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/media/record"
	"github.com/portero/portero/policy/store"
)

// recordConfig is a door on loopback whose calls are kept.
const recordConfig = `
mode: enforce
sip:
  listen: ["udp:127.0.86.10:5060"]
  trunks: [{name: carrier, addresses: [127.0.86.20], trust_identity: true}]
  destinations:
    agents: {uri: "sip:agents@127.0.86.30:5060"}
    automation: {uri: "sip:automation@127.0.86.30:5060"}
media: {caller_address: 127.0.86.10, far_address: 127.0.86.10, ports: {min: 24000, max: 24098}}
rules:
  - {name: two, when: 'digits == "42"', stages: [listening], action: automation, destination: automation}
captures: {directory: "%[1]s/captures", media: true, keys: true}
store: {path: "%[1]s/portero.db"}
console: {listen: "127.0.86.10:8080"}
`

// servedDoor serves a configuration in this process until the function it returns is
// called.
func servedDoor(t *testing.T, file string) (stop func()) {
	t.Helper()
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, cfg, file, zap.NewNop()) }()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, _, status := portero("healthcheck", "--console", "127.0.86.10:8080"); status == exitOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the door does not open")
		}
	}
	return func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the door ended with: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("the door does not close")
		}
	}
}

// TestRecord: live calls, written as captures, are what they were: the same call, the
// same fingerprint, evidence and decision.
func TestRecord(t *testing.T) {
	aloneAt(t, "127.0.86.10:4999")
	dir := t.TempDir()
	file := filepath.Join(dir, "portero.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, recordConfig, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := servedDoor(t, file)
	pbx, err := phone.Open(netip.MustParseAddrPort("127.0.86.30:5060"))
	if err != nil {
		t.Fatal(err)
	}
	defer pbx.Close() //nolint:errcheck // says nothing
	pbx.OnCall(func(in *phone.Incoming) {
		in.Ring()
		_, _ = in.Answer(context.Background()) // the caller notices
	})
	p, err := phone.Open(netip.MustParseAddrPort("127.0.86.20:5060"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close() //nolint:errcheck // says nothing
	voice, err := prompt.New(prompt.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	words, err := voice.Get("en", prompt.CallbackPromise)
	if err != nil {
		t.Fatal(err)
	}
	speaks := dial(t, p, phone.Invite{To: "sip:100@127.0.86.10", From: "+34600000001"})
	presses := dial(t, p, phone.Invite{To: "sip:200@127.0.86.10", From: "+34600000002"})
	if err := presses.Line().Press(t.Context(), "42", 100*time.Millisecond, 100*time.Millisecond); err != nil {
		t.Error(err)
	}
	if err := speaks.Line().Say(t.Context(), words[:min(len(words), 3*8000)]); err != nil {
		t.Error(err)
	}
	// A call that goes on is there already, as far as it has come.
	going := filepath.Join(dir, "going.pcapng")
	waitFor(t, "the call's packets", func() bool {
		_, _, status := portero("record", "--config", file, "-o", going, speaks.ID())
		return status == exitOK
	})
	hangUp(t, speaks)
	hangUp(t, presses)
	live := map[string]store.Record{}
	waitFor(t, "the records", func() bool {
		cfg, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []*phone.Call{speaks, presses} {
			if r, err := storedCall(cfg, c.ID()); err == nil {
				live[c.ID()] = r
			}
		}
		return len(live) == 2
	})
	stop()

	for _, c := range []*phone.Call{speaks, presses} {
		r := live[c.ID()]
		for name, by := range map[string]string{"call.pcapng": r.ID, "call.pcap": c.ID()} {
			at := filepath.Join(dir, name)
			out, errs, status := portero("record", "--config", file, "--output", at, by)
			if status != exitOK || errs != "" || !strings.HasPrefix(out, at+": ") || strings.Contains(out, "alone") {
				t.Fatalf("status %d, stderr %q, stdout %q", status, errs, out)
			}
			if info, err := os.Stat(at); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			out, errs, status = inspect(t, "--json", "--config", file, at)
			var doc struct {
				Calls []inspectedCall `json:"calls"`
			}
			if err := json.Unmarshal([]byte(out), &doc); status != exitOK || errs != "" || err != nil || len(doc.Calls) != 1 || doc.Calls[0].CallID != c.ID() {
				t.Fatalf("status %d, stderr %q, %v, %s", status, errs, err, out)
			}
			compare(t, r, doc.Calls[0])
		}
	}
	if last := live[presses.ID()].Decisions; len(last) != 2 || last[1].Rule != "two" || !last[1].Enforced {
		t.Errorf("the call that pressed 42 was not moved: %+v", last)
	}
	if e := live[speaks.ID()].Verdicts; len(e[len(e)-1].Evidence) == 0 {
		t.Error("the call that spoke has no evidence: nothing was compared")
	}

	out, errs, status := portero("record", "--list", "--json", "--config", file)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != exitOK || errs != "" || len(lines) != 2 {
		t.Fatalf("status %d, stderr %q, stdout\n%s", status, errs, out)
	}
	var newest keptCall
	if err := json.Unmarshal([]byte(lines[0]), &newest); err != nil || newest.CallID != presses.ID() || newest.From != "+34600000002" || newest.To != "200" || newest.Outcome != store.Answered || newest.SIP < 7 || newest.RTP < 20 || newest.Action != "automation" {
		t.Errorf("%v, %+v", err, newest)
	}
	if out, _, status = portero("record", "--list", "--config", file); status != exitOK || !strings.HasPrefix(out, "TIME ") || !strings.Contains(out, presses.ID()) {
		t.Errorf("status %d, stdout\n%s", status, out)
	}
	out, _, status = portero("record", "--config", file, "-o", "-", speaks.ID())
	if status != exitOK || len(out) < 10000 || binary.LittleEndian.Uint32([]byte(out)) != 0x0A0D0D0A {
		t.Errorf("to standard output: status %d, %d bytes", status, len(out))
	}
}

// TestRecordRefused: whoever gets no capture is told why, and what would make one.
func TestRecordRefused(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	base := strings.Replace(inspectConfig, "media:", "store: {path: "+filepath.Join(dir, "portero.db")+"}\nmedia:", 1)
	off, on := write("off.yaml", base), write("on.yaml", base+"captures: {directory: "+filepath.Join(dir, "captures")+"}\n")
	taped := write("taped.yaml", base+"recording: {directory: "+dir+", format: pcapng}\n")
	s, err := store.Open(store.Config{Path: filepath.Join(dir, "portero.db"), RetentionDays: 30, Queue: 16}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "20261126T120000Z_recorded_1.pcapng")
	s.Put(store.Record{ID: "known", CallID: "known@a", InviteAt: store.At(time.Now()), From: "+34\x1b[2J"})
	s.Put(store.Record{ID: "recorded", CallID: "recorded@a", InviteAt: store.At(time.Now().Add(time.Second)), Recordings: []store.Recording{{File: file}}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// A recording as the door writes it.
	spool, err := record.NewSpool(record.Captures{Directory: filepath.Join(dir, "other"), Keep: time.Hour, MaxMB: 8}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort("192.0.2.1:5060")
	spool.Keep("recorded").Message(true, at, at, "recorded@a", []byte("OPTIONS sip:x SIP/2.0\r\nCall-ID: recorded@a\r\n\r\n"), time.Now())
	if err := spool.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := record.Find(filepath.Join(dir, "other"), "recorded")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.WritePCAPNG(&b); err != nil {
		t.Fatal(err)
	}
	write(filepath.Base(file), b.String())

	to := filepath.Join(dir, "out.pcap")
	for _, c := range []struct {
		name   string
		args   []string
		status int
		out    string
		err    string
	}{
		{"a recording serves", []string{"--config", on, "-o", to, "recorded@a"}, exitOK, "1 packets, signalling alone", ""},
		{"nothing is kept", []string{"--config", off, "-o", to, "known"}, exitFailed, "", "set captures.directory"},
		{"it was not kept", []string{"--config", on, "-o", to, "known@a"}, exitFailed, "", "it came before captures.directory was set, by no trunk, or too long ago (captures.keep is 24h0m0s, max_mb 256)"},
		{"it was not recorded", []string{"--config", taped, "-o", to, "known@a"}, exitFailed, "", "it was not recorded, and captures.directory is not set"},
		{"it is not known", []string{"--config", on, "-o", to, "x\x1b[2J"}, exitFailed, "", "no packet of call x[2J is kept: the door does not know that call"},
		{"the list has recordings", []string{"--config", off, "--list"}, exitOK, "0 and a recording", ""},
		{"which call", []string{"--config", on}, exitUsage, "", "which call?"},
		{"where to", []string{"--config", on, "known"}, exitUsage, "", "where to?"},
		{"list and call", []string{"--config", on, "--list", "known"}, exitUsage, "", "--list takes no call"},
		{"json of a call", []string{"--config", on, "--json", "-o", to, "known"}, exitUsage, "", "--json goes with --list"},
		{"no configuration", []string{"--config", filepath.Join(dir, "gone.yaml"), "--list"}, exitFailed, "", "gone.yaml"},
		{"no place", []string{"--config", on, "-o", filepath.Join(dir, "gone", "out"), "recorded"}, exitFailed, "", "no such file or directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, status := portero(append([]string{"record"}, c.args...)...)
			if status != c.status || !strings.Contains(out, c.out) || !strings.Contains(errs, c.err) || c.err == "" && errs != "" || strings.Contains(out+errs, "\x1b") {
				t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
			}
		})
	}
	if err := os.Remove(filepath.Join(dir, "portero.db")); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := portero("record", "--config", on, "--list"); status != exitOK || out != "no packets of any call are kept\n" {
		t.Errorf("before any call: status %d, stdout %q, stderr %q", status, out, errs)
	}
}
