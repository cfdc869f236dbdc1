package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portero/portero/sip/hep"
)

// halves cuts key.pcap in two between its packets 60 and 61: what a capture that
// rotates leaves behind.
func halves(t *testing.T) (first, second []byte) {
	t.Helper()
	whole, err := os.ReadFile(filepath.Join(traces, "key.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	at := 24
	for range 60 {
		at += 16 + int(binary.LittleEndian.Uint32(whole[at+8:]))
	}
	return whole[:at], append(bytes.Clone(whole[:24]), whole[at:]...)
}

// rotated writes the halves into a directory, with something that is no capture.
// The names are not in the order of time.
func rotated(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	first, second := halves(t)
	if err := os.Mkdir(filepath.Join(dir, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"old/z.pcap": first, "a.pcap": second, "README.txt": []byte("not a capture")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestInspectDirectory(t *testing.T) {
	dir := rotated(t)
	out, errs, status := inspect(t, "--json", dir)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != exitOK || len(lines) != 2 || !strings.Contains(errs, "1 files are no captures") {
		t.Fatalf("status %d, %d lines, stderr %q", status, len(lines), errs)
	}
	for i, want := range []string{"old/z.pcap", "a.pcap"} {
		if v := decode(t, lines[i]); *v.Capture != filepath.Join(dir, want) {
			t.Errorf("capture %d is %s, want %s", i, *v.Capture, want)
		}
	}
	empty := t.TempDir()
	if _, errs, status := inspect(t, empty); status != exitFailed || !strings.Contains(errs, "no capture among 0 files") {
		t.Errorf("an empty directory: status %d, %q", status, errs)
	}
}

// TestInspectJoin: a call goes from one file to the next, and is the call of the
// whole file.
func TestInspectJoin(t *testing.T) {
	dir := rotated(t)
	whole, _, _ := inspect(t, "--json", filepath.Join(traces, "key.pcap"))
	for _, args := range [][]string{{dir}, {filepath.Join(dir, "a.pcap"), filepath.Join(dir, "old", "z.pcap")}} {
		out, errs, status := inspect(t, append([]string{"--json", "--join"}, args...)...)
		if status != exitOK {
			t.Fatalf("status %d, stderr %q", status, errs)
		}
		v := decode(t, out)
		if *v.Packets != 157 || *v.Capture != filepath.Join(dir, "old", "z.pcap")+" and 1 more" {
			t.Errorf("%s: %d packets", *v.Capture, *v.Packets)
		}
		_, got, _ := strings.Cut(out, `"calls":`)
		_, want, _ := strings.Cut(whole, `"calls":`)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	// One that cannot be read is told, and the others are read.
	out, errs, status := inspect(t, "--join", dir, filepath.Join(dir, "missing.pcap"))
	if status != exitFailed || !strings.Contains(errs, "missing.pcap: no such file") || !strings.Contains(out, "1 calls in 157 packets") {
		t.Errorf("status %d, stderr %q, stdout %q", status, errs, out)
	}
}

func TestInspectSourcesAreChecked(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"", "nothing to read"},
		{"--hep udp:127.0.0.1:0 x.pcap", "exclude each other"},
		{"--hep udp:127.0.0.1:0 --interface lo", "exclude each other"},
		{"--duration 3s x.pcap", "--duration"},
		{"--join --interface lo", "--join"},
		{"--join -", "--join"},
	} {
		if _, errs, status := inspect(t, strings.Fields(c.args)...); status != exitUsage || !strings.Contains(errs, c.says) {
			t.Errorf("inspect %s: status %d, %q", c.args, status, errs)
		}
	}
	for _, c := range []struct{ args, says string }{
		{"--hep sctp:127.0.0.1:9060", "udp:ADDRESS:PORT"},
		{"--interface no-such0", "no interface"},
		{"--keylog /nowhere/keys x.pcap", "--keylog: open /nowhere/keys"},
	} {
		if _, errs, status := inspect(t, strings.Fields(c.args)...); status != exitFailed || !strings.Contains(errs, c.says) {
			t.Errorf("inspect %s: status %d, %q", c.args, status, errs)
		}
	}
}

// TestInspectTransports reads what testdata/traces/make-transports.sh captured of
// other people's programs.
func TestInspectTransports(t *testing.T) {
	for _, c := range []struct {
		file, keys, transport string
		calls, messages       int
	}{
		{"tls13.pcapng", "", "tls", 2, 11},
		{"tls12.pcap", "tls12.keys", "tls", 2, 11},
		{"wss.pcapng", "", "wss", 1, 8},
		{"hep.pcap.zst", "", "udp", 2, 28},
	} {
		args := []string{"--json", "--no-judge", filepath.Join(traces, c.file)}
		if c.keys != "" {
			args = append(args, "--keylog", filepath.Join(traces, c.keys))
		}
		out, errs, status := inspect(t, args...)
		if status != exitOK || errs != "" {
			t.Fatalf("%s: status %d, stderr %q", c.file, status, errs)
		}
		v := decode(t, out)
		if len(v.Calls) != c.calls || !strings.Contains(out, fmt.Sprintf(`"messages":%d,"dialogs"`, c.messages)) {
			t.Errorf("%s: %d calls in %s", c.file, len(v.Calls), out)
		}
		if n := strings.Count(out, `"transport":"`+c.transport+`"`); n < c.calls {
			t.Errorf("%s: %s is told %d times in %s", c.file, c.transport, n, out)
		}
		for _, call := range v.Calls {
			if call.Outcome != "answered" || call.Responses["180"] == 0 {
				t.Errorf("%s: a call is %s", c.file, call.Outcome)
			}
		}
	}
	_, errs, status := inspect(t, filepath.Join(traces, "tls12.pcap"))
	if status != exitOK || !strings.Contains(errs, "1 TLS connections could not be read for want of their secrets: name a key log with inspect --keylog") {
		t.Errorf("without secrets: status %d, %q", status, errs)
	}
}

// watched is an output that can be looked at while it is written.
type watched struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// shows waits until a text has been written.
func (w *watched) shows(t *testing.T, text string) {
	t.Helper()
	for range 2000 {
		if strings.Contains(w.String(), text) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%q is not in %q", text, w.String())
}

func hasty(t *testing.T) {
	old := liveLinger
	liveLinger = 300 * time.Millisecond
	t.Cleanup(func() { liveLinger = old })
}

// TestInspectPipe: a call is told when it is over, while standard input is still
// open and silent.
func TestInspectPipe(t *testing.T) {
	hasty(t)
	whole, err := os.ReadFile(filepath.Join(traces, "busy-tcp6.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() //nolint:errcheck // of a test
	stdin := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = stdin }()
	var out, errs watched
	status := make(chan int)
	go func() { status <- run([]string{"inspect", "--json", "-"}, &out, &errs) }()
	if _, err := w.Write(whole); err != nil {
		t.Fatal(err)
	}
	out.shows(t, `"outcome":"busy"`)
	if strings.Contains(out.String(), "packets") {
		t.Errorf("the document is finished: %s", out.String())
	}
	w.Close() //nolint:errcheck // of a test
	if s := <-status; s != exitOK || errs.String() != "" {
		t.Errorf("status %d, stderr %q", s, errs.String())
	}
	if v := decode(t, out.String()); len(v.Calls) != 1 || *v.Capture != "-" {
		t.Errorf("got %s", out.String())
	}
}

// TestInspectHEP: what is mirrored is a call as any other; one that is open at
// the end is told then.
func TestInspectHEP(t *testing.T) {
	hasty(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	place := l.Addr().String()
	l.Close() //nolint:errcheck // only its port is wanted
	var out, errs watched
	status := make(chan int)
	go func() {
		status <- run([]string{"inspect", "--hep", "tcp:" + place, "--duration", "3s"}, &out, &errs)
	}()
	var c net.Conn
	for range 400 {
		if c, err = net.Dial("tcp", place); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err, errs.String())
	}
	defer c.Close() //nolint:errcheck // of a test
	a, b := netip.MustParseAddrPort("192.0.2.1:5060"), netip.MustParseAddrPort("192.0.2.2:5060")
	say := func(from, to netip.AddrPort, start, id string) {
		text := start + "\r\nCall-ID: " + id + "\r\nFrom: <sip:alice@h>;tag=1\r\nTo: <sip:bob@h>;tag=2\r\nCSeq: 1 INVITE\r\n\r\n"
		p := hep.Packet{Protocol: hep.SIP, Transport: hep.UDP, Source: from, Destination: to, At: time.Now(), Payload: []byte(text)}
		raw, err := p.Append(nil)
		if err == nil {
			_, err = c.Write(raw)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	say(a, b, "INVITE sip:bob@h SIP/2.0", "over")
	say(b, a, "SIP/2.0 603 Decline", "over")
	say(a, b, "INVITE sip:bob@h SIP/2.0", "open")
	out.shows(t, "declined 603")
	if strings.Contains(out.String(), "no_final") {
		t.Errorf("the open call is told: %s", out.String())
	}
	if s := <-status; s != exitOK || errs.String() != "" {
		t.Errorf("status %d, stderr %q", s, errs.String())
	}
	if !strings.Contains(out.String(), "no_final") || !strings.Contains(out.String(), "2 calls in 3 packets") {
		t.Errorf("got %s", out.String())
	}
}

// TestInspectInterface listens on the loopback, where it may.
func TestInspectInterface(t *testing.T) {
	hasty(t)
	var out, errs watched
	status := make(chan int)
	go func() {
		status <- run([]string{"inspect", "--no-judge", "--from", "portero-tap-*", "--interface", "lo", "--duration", "2s"}, &out, &errs)
	}()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // of a test
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 15 { // the listener may not be there yet
			for _, start := range []string{"INVITE sip:bob@h SIP/2.0", "SIP/2.0 486 Busy"} {
				text := fmt.Sprintf("%s\r\nCall-ID: tap-%d\r\nFrom: <sip:portero-tap-%d@h>;tag=1\r\nTo: <sip:bob@h>;tag=2\r\nCSeq: 1 INVITE\r\n\r\n", start, i, i)
				conn.WriteToUDPAddrPort([]byte(text), conn.LocalAddr().(*net.UDPAddr).AddrPort()) //nolint:errcheck // see below
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	s := <-status
	<-done
	if s == exitFailed && strings.Contains(errs.String(), "needs the capability CAP_NET_RAW") {
		return
	}
	if s != exitOK || strings.Count(out.String(), "busy 486") < 3 {
		t.Errorf("status %d, stderr %q, stdout %s", s, errs.String(), out.String())
	}
}
