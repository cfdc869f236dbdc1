package replay

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/sip/transport"
)

// usual is the head of a message as most stacks write it; see head.
func usual(cseq, toTag string) string {
	if toTag != "" {
		toTag = ";tag=" + toTag
	}
	return "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK5f1a2b3c4d5e6f70|Max-Forwards: 70|From: \"C\\\\xd\" <sip:alice@192.0.2.2>;tag=5f1a2b3c4d5e6f71|To: <sip:bob@192.0.2.2>" + toTag +
		"|Call-ID: 5f1a2b3c4d5e6f72|CSeq: " + cseq + "|Contact: <sip:alice@192.0.2.1:5060>|Supported: 100rel|X-Host: [2001:db8::1]\r\n  ]]> folded"
}

// The recorded calls that SIPp is held to, from either end.
func sippTapes(t testing.TB) map[string][]*Recording {
	begin := []string{"> INVITE|" + usual("7 INVITE", "") + "||sdp", "< 100|" + usual("7 INVITE", ""), "< 180|" + usual("7 INVITE", "b1"), "+100ms"}
	answered := append(append([]string{}, begin...), "< 200|"+usual("7 INVITE", "b1")+"||SDP", "> ACK|"+usual("7 ACK", "b1"))
	hangs := []string{"rtp 10", "+100ms", "> BYE|" + usual("8 BYE", "b1"), "< 200|" + usual("8 BYE", "b1")}
	tapes := map[string][]string{
		"basic":   append(append([]string{}, answered...), hangs...),
		"far-bye": append(append([]string{}, answered...), "rtp 10", "RTP 8", "+100ms", "< BYE|"+usual("1 BYE", ""), "> 200|"+usual("1 BYE", "")),
		"busy":    append(append([]string{}, begin...), "< 486|"+usual("7 INVITE", "b1"), "> ACK|"+usual("7 ACK", "b1")),
		"cancel": append(append([]string{}, begin...), "> CANCEL|"+usual("7 CANCEL", ""), "< 200|"+usual("7 CANCEL", "b1"),
			"< 487|"+usual("7 INVITE", "b1"), "> ACK|"+usual("7 ACK", "b1")),
		"auth": append([]string{"> INVITE|" + usual("7 INVITE", "") + "||sdp", "< 401|" + usual("7 INVITE", "c1") + "|WWW-Authenticate: Digest realm=\"old\", nonce=\"1\"",
			"> ACK|" + usual("7 ACK", "c1"), "> INVITE|" + usual("8 INVITE", "") + "|Authorization: Digest username=\"x\"||sdp",
			"< 200|" + usual("8 INVITE", "b1") + "||SDP", "> ACK|" + usual("8 ACK", "b1")}, "rtp 10", "> BYE|"+usual("9 BYE", "b1"), "< 200|"+usual("9 BYE", "b1")),
		"prack": append([]string{"> INVITE|" + usual("7 INVITE", "") + "||sdp", "< 183|" + usual("7 INVITE", "b1") + "|Require: 100rel|RSeq: 9||SDP",
			"> PRACK|" + usual("8 PRACK", "b1") + "|RAck: 9 7 INVITE", "< 200|" + usual("8 PRACK", "b1"), "+100ms",
			"< 200|" + usual("7 INVITE", "b1"), "> ACK|" + usual("7 ACK", "b1")}, "rtp 10", "> BYE|"+usual("9 BYE", "b1"), "< 200|"+usual("9 BYE", "b1")),
		"held": append(append([]string{}, answered...), "< INVITE|"+usual("1 INVITE", "b1")+"||SDP", "> 200|"+usual("1 INVITE", "b1")+"||sdp", "< ACK|"+usual("1 ACK", "b1"), "+100ms",
			"< BYE|"+usual("2 BYE", ""), "> 200|"+usual("2 BYE", "")),
		"info": append(append(append([]string{}, answered...), "+100ms", "> INFO|"+usual("8 INFO", "b1")+"|Content-Type: text/plain||a=[b]\\\n c", "< 200|"+usual("8 INFO", "b1")),
			"+100ms", "> BYE|"+usual("9 BYE", "b1"), "< 200|"+usual("9 BYE", "b1")),
		"no end": append(append([]string{}, answered...), "rtp 10"),
	}
	out := map[string][]*Recording{}
	for name, lines := range tapes {
		out[name] = newTape(t).say(lines...).load()
	}
	return out
}

// sipp runs SIPp and returns what it said when it failed.
func sipp(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if os.Getenv("PORTERO_INTEROP") == "" {
		t.Skip("exchanges with SIPp are not tested: set PORTERO_INTEROP=1 as `make test` does")
	}
	cmd := exec.Command("sipp", append([]string{"-nostdin", "-m", "1", "-timeout", "20s", "-timeout_error", "-recv_timeout", "10000", "-trace_err", "-error_file", "errors"}, args...)...)
	cmd.Dir = t.TempDir()
	out, err := os.Create(filepath.Join(cmd.Dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func well(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Wait(); err != nil {
		said, _ := os.ReadFile(filepath.Join(cmd.Dir, "errors"))
		out, _ := os.ReadFile(filepath.Join(cmd.Dir, "out"))
		t.Errorf("sipp: %v\n%s\n%s", err, said, out[max(0, len(out)-1500):])
	}
}

// A real SIPp takes the replayed calls for what its scenarios expect.
func TestReplayToSIPp(t *testing.T) {
	host := 60
	for _, c := range []struct {
		tape, uas string
		equal     bool
	}{
		{"far-bye", "uas-far-bye", true},
		{"cancel", "uas-ringing-cancelled", true},
		{"busy", "uas-486", true},
		{"auth", "uas-verify-auth", true},
		{"prack", "uas-prack", true},
		{"basic", "uas-prack", false},
		{"held", "uas-holds", false},
		{"basic", "uas-forked", true},
	} {
		host++
		at := netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("127.0.87.%d", host)), 5060)
		from := netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("127.0.87.%d", host+40)), 0)
		t.Run(c.tape+","+c.uas, func(t *testing.T) {
			t.Parallel()
			file, err := filepath.Abs("../../testdata/sipp/" + c.uas + ".xml")
			if err != nil {
				t.Fatal(err)
			}
			cmd := sipp(t, "-sf", file, "-i", at.Addr().String(), "-p", "5060", "-mi", at.Addr().String())
			listens(t, at)
			ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
			defer cancel()
			var res []Result
			err = Run(ctx, sippTapes(t)[c.tape], Options{Target: Target{Host: at.String()}, Addr: at, Transport: transport.UDP, Bind: from,
				Patience: 2 * time.Second, User: "701", Password: "interop"}, func(r Result) { res = append(res, r) })
			if err != nil {
				t.Fatal(err)
			}
			if len(res) != 1 || res[0].Equal != c.equal || res[0].Note != "" {
				t.Errorf("%+v", res)
			}
			well(t, cmd)
		})
	}
}

// listens waits until a UDP port is taken.
func listens(t *testing.T, at netip.AddrPort) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return
		}
		c.Close()
	}
	t.Fatalf("nobody listens on %s", at)
}

// A real SIPp places the exported calls, media and all.
func TestExportedScenarios(t *testing.T) {
	plans := map[string]func(*farCall){
		"basic": func(c *farCall) { c.reply(c.invite, "180 Ringing", ""); c.answer() },
		"far-bye": func(c *farCall) {
			c.answer()
			c.await("ACK")
			time.Sleep(300 * time.Millisecond)
			c.ask("BYE", "")
			c.await("200 BYE")
		},
		"busy": func(c *farCall) {
			c.reply(c.invite, "183 Progress", "")
			c.reply(c.invite, "486 Busy Here", "")
			c.await("ACK")
		},
		"cancel": func(c *farCall) {
			c.reply(c.invite, "180 Ringing", "")
			if m := c.await("CANCEL"); m != nil {
				c.reply(m, "200 OK", "")
				c.reply(c.invite, "487 Request Terminated", "")
				c.await("ACK")
			}
		},
		"auth": func(c *farCall) {
			again := c.challenge(c.invite, "401 Unauthorized", "WWW-Authenticate", "Authorization")
			if again == nil {
				c.t.Error("SIPp's credentials are not good")
				return
			}
			c.invite = again
			c.answer()
		},
		"prack": func(c *farCall) {
			c.reply(c.invite, "183 Progress", c.sdp("0"), "Require: 100rel", "RSeq: 55")
			if p := c.await("PRACK"); p != nil {
				if got := string(p.get("RAck")); got != "55 7 INVITE" {
					c.t.Errorf("RAck %q", got)
				}
				c.reply(p, "200 OK", "")
			}
			c.reply(c.invite, "200 OK", "")
		},
		"held": func(c *farCall) {
			c.answer()
			c.await("ACK")
			c.ask("INVITE", c.sdp("0"))
			if m := c.await("200 INVITE"); m != nil && !bytes.Contains(m.body, []byte("c=IN IP4 127.0.87.")) {
				c.t.Errorf("answered %s", m.body)
			}
			c.cseq--
			c.ask("ACK", "")
			c.ask("BYE", "")
			c.await("200 BYE")
		},
		"info": func(c *farCall) {
			c.answer()
			if m := c.await("INFO"); m != nil {
				if want := "a=[b]\\\r\n c"; strings.TrimRight(string(m.body), "\r\n") != want || string(m.get("X-Host")) != "[2001:db8::1] ]]> folded" {
					c.t.Errorf("INFO with %q, %q", m.body, m.get("X-Host"))
				}
				c.reply(m, "200 OK", "")
			}
		},
		"no end": func(c *farCall) { c.answer() },
	}
	host := 140
	for name, calls := range sippTapes(t) {
		plan := plans[name]
		host++
		near, far := fmt.Sprintf("127.0.87.%d", host), fmt.Sprintf("127.0.87.%d", host+40)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := ExportSIPp(calls[0], filepath.Join(dir, "uac.pcap"))
			if err != nil || len(s.Notes) > 0 {
				t.Fatalf("%v, %q", err, s.Notes)
			}
			if err := os.WriteFile(filepath.Join(dir, "uac.xml"), s.XML, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "uac.pcap"), s.Audio, 0o600); err != nil {
				t.Fatal(err)
			}
			f := newFar(t, far, plan)
			well(t, sipp(t, "-sf", filepath.Join(dir, "uac.xml"), "-i", near, "-p", "5060", "-mi", near, "-au", "ana", "-ap", "secret", f.local.String()))
			if t.Failed() {
				t.Logf("%s\nthe far side heard\n%s", s.XML, strings.Join(f.raw, "\n"))
			}
			f.stop()
			if heard := int(f.packets.Load()); s.Audio != nil && heard != 10 && len(calls[0].packets) == 10 {
				t.Errorf("%d of 10 packets came", heard)
			}
		})
	}
}

// What stands in public traces can be exported, and SIPp takes every scenario:
// it places the calls, and says only that it was answered otherwise.
func TestExportedTraces(t *testing.T) {
	dir := os.Getenv("PORTERO_TRACES")
	if dir == "" {
		t.Skip("public traces are not exported: set PORTERO_TRACES to their directory")
	}
	files, err := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	f := newFar(t, "127.0.87.50", func(c *farCall) { c.reply(c.invite, "699 Nobody", "") })
	n := 0
	for _, file := range files {
		r, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		calls, _, _ := Load(r, "", nil, DefaultHeld)
		r.Close()
		for i, c := range calls {
			if i == 2 { // the rest of a file is of the same make
				break
			}
			tmp := t.TempDir()
			s, err := ExportSIPp(c, filepath.Join(tmp, "uac.pcap"))
			if err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(file), c.CallID, err)
				continue
			}
			for name, b := range map[string][]byte{"uac.xml": s.XML, "uac.pcap": s.Audio} {
				if err := os.WriteFile(filepath.Join(tmp, name), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := sipp(t, "-sf", filepath.Join(tmp, "uac.xml"), "-i", "127.0.87.51", "-p", "5060", "-mi", "127.0.87.51", "-au", "ana", "-ap", "secret", f.local.String())
			cmd.Wait() //nolint:errcheck // the call fails, as it must
			said, _ := os.ReadFile(filepath.Join(cmd.Dir, "errors"))
			if !bytes.Contains(said, []byte("SIP/2.0 699")) {
				t.Errorf("%s: %s: sipp says %s", filepath.Base(file), c.CallID, said)
			}
			n++
		}
	}
	t.Logf("%d scenarios", n)
}

// A real SIPp answers the exported calls as they were answered: a replay of the
// recording finds the recorded flow, and the recorded audio.
func TestExportedAnswerers(t *testing.T) {
	host := 200
	for name, calls := range sippTapes(t) {
		host++
		near, far := fmt.Sprintf("127.0.87.%d", host), netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("127.0.87.%d", host+20)), 5060)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := ExportSIPpAnswerer(calls[0], filepath.Join(dir, "uas.pcap"))
			if err != nil || len(s.Notes) > 0 {
				t.Fatalf("%v, %q", err, s.Notes)
			}
			for file, b := range map[string][]byte{"uas.xml": s.XML, "uas.pcap": s.Audio} {
				if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := sipp(t, "-sf", filepath.Join(dir, "uas.xml"), "-i", far.Addr().String(), "-p", "5060", "-mi", far.Addr().String())
			listens(t, far)
			ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
			defer cancel()
			var res []Result
			err = Run(ctx, calls, Options{Target: Target{Host: far.String()}, Addr: far, Transport: transport.UDP,
				Bind: netip.AddrPortFrom(netip.MustParseAddr(near), 0), Patience: 2 * time.Second, User: "ana", Password: "secret"}, func(r Result) { res = append(res, r) })
			if err != nil || len(res) != 1 || !res[0].Equal || res[0].Flow.Received != res[0].Recorded.Received {
				t.Errorf("%v, %+v", err, res)
			}
			well(t, cmd)
			if t.Failed() {
				t.Logf("%s", s.XML)
			}
		})
	}
}
