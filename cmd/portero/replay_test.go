package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/cmd/demo/phone"
	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/sip/replay"
)

const replayDoor = `
mode: observe
sip:
  listen: ["udp:127.0.87.20:5060", "tcp:127.0.87.20:5060"]
  trunks:
    - {name: carrier, addresses: [127.0.87.0/28]}
  destinations:
    agents: {uri: "sip:127.0.87.30:5060"}
media: {caller_address: 127.0.87.20, far_address: 127.0.87.20}
store: {path: "%[1]s/portero.db", json_lines: "%[1]s/calls.jsonl"}
console: {listen: "127.0.87.20:8080"}
log: {level: error}
`

// openReplayDoor opens a door on 127.0.87.20 and behind it a phone that answers.
func openReplayDoor(t *testing.T, answers func(*phone.Incoming)) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "portero.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, replayDoor, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	far, err := phone.Open(netip.MustParseAddrPort("127.0.87.30:5060"))
	if err != nil {
		t.Fatal(err)
	}
	far.OnCall(answers)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, cfg, file, zap.NewNop()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("the door: %v", err)
		}
		far.Close()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if (healthcheckCmd{Console: "127.0.87.20:8080", Timeout: time.Second}).Run() == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the door does not open")
		}
	}
}

// placed is the JSON of one call, no key more.
type placed struct {
	Loop            int                 `json:"loop"`
	From            string              `json:"from"`
	To              string              `json:"to"`
	CallID          string              `json:"call_id"`
	Now             string              `json:"now"`
	Equal           bool                `json:"equal"`
	Differences     []replay.Difference `json:"differences"`
	Timing          string              `json:"timing"`
	Fingerprint     string              `json:"fingerprint"`
	SameFingerprint bool                `json:"same_fingerprint"`
	Note            string              `json:"note"`
	Recorded        placedFlow          `json:"recorded"`
	Flow            placedFlow          `json:"flow"`
}

type placedFlow struct {
	Responses []struct {
		Code int     `json:"code"`
		At   float64 `json:"at"`
	} `json:"responses"`
	Ended    string   `json:"ended"`
	EndedAt  float64  `json:"ended_at"`
	Requests []string `json:"requests"`
	Codec    string   `json:"codec"`
	Sent     int      `json:"rtp_sent"`
	Received int      `json:"rtp_received"`
	Lost     int      `json:"rtp_lost"`
}

func replayOne(t *testing.T, args ...string) (res placed, errs string, status int) {
	t.Helper()
	var out, said bytes.Buffer
	status = run(append([]string{"replay", "--json"}, args...), &out, &said)
	d := json.NewDecoder(&out)
	d.DisallowUnknownFields()
	if err := d.Decode(&res); err != nil {
		t.Fatalf("%v; status %d, %s", err, status, &said)
	}
	return res, said.String(), status
}

// baresipCall is a capture of a call as baresip makes it: the recorded caller at
// 192.0.2.1 talks for 2 s and hangs up.
func baresipCall(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "call.pcap")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	film, err := replay.NewFilm(file)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	caller, far := netip.MustParseAddrPort("192.0.2.1:5060"), netip.MustParseAddrPort("192.0.2.2:5060")
	say := func(src, dst netip.AddrPort, start, cseq, tag, more, body string) {
		m := fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK17b6b7b5c6a1d2e3;rport\r\nContact: <sip:alice@192.0.2.1:5060>\r\nMax-Forwards: 70\r\n"+
			"To: <sip:bob@192.0.2.2>%s\r\nFrom: <sip:alice@192.0.2.2>;tag=9d8c7b6a5f4e3d2c\r\nCall-ID: 1a2b3c4d5e6f7081\r\nCSeq: %s\r\nUser-Agent: baresip v1.0.0 (x86_64/linux)\r\n%sContent-Length: %d\r\n\r\n%s",
			start, tag, cseq, more, len(body), body)
		film.Wire(now, src, dst, []byte(m))
		now = now.Add(10 * time.Millisecond)
	}
	sdp := func(a netip.AddrPort) string {
		return fmt.Sprintf("v=0\r\no=- 3981 7713 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\na=tool:baresip 1.0.0\r\nm=audio %[2]d RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n", a.Addr(), a.Port())
	}
	media, farMedia := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.2:6000")
	with := "Content-Type: application/sdp\r\nAllow: INVITE,ACK,BYE,CANCEL,OPTIONS,NOTIFY,INFO,UPDATE\r\n"
	say(caller, far, "INVITE sip:bob@192.0.2.2 SIP/2.0", "3801 INVITE", "", with, sdp(media))
	say(far, caller, "SIP/2.0 180 Ringing", "3801 INVITE", ";tag=b1", "", "")
	now = now.Add(500 * time.Millisecond)
	say(far, caller, "SIP/2.0 200 OK", "3801 INVITE", ";tag=b1", with, sdp(farMedia))
	say(caller, far, "ACK sip:bob@192.0.2.2 SIP/2.0", "3801 ACK", ";tag=b1", "", "")
	for i := range 100 {
		b := make([]byte, 172)
		b[0], b[2], b[3], b[11] = 0x80, 0x31, byte(i), 7
		ts := 4711 + 160*i
		b[4], b[5], b[6], b[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
		for j := range 160 {
			b[12+j] = byte(0xc0 + (i*7+j*j)%0x3f)
		}
		film.Wire(now, media, farMedia, b)
		now = now.Add(20 * time.Millisecond)
	}
	say(caller, far, "BYE sip:bob@192.0.2.2 SIP/2.0", "3802 BYE", ";tag=b1", "", "")
	say(far, caller, "SIP/2.0 200 OK", "3802 BYE", ";tag=b1", "", "")
	if err := film.Err(); err != nil {
		t.Fatal(err)
	}
	return name
}

// A recorded call goes through the real door as it once went, and is judged there
// as its recording is: same fingerprint, same class.
func TestReplayThroughDoor(t *testing.T) {
	openReplayDoor(t, func(in *phone.Incoming) {
		if strings.Contains(in.Header("X-Portero-Action"), "agents") {
			in.Ring()
		}
		if in.Request.Recipient.User == "busy" {
			in.Refuse(486, "Busy Here")
			return
		}
		in.Answer(context.Background()) //nolint:errcheck // the caller's end tells
	})
	key := baresipCall(t)
	live := filepath.Join(t.TempDir(), "live.pcap")
	res, errs, status := replayOne(t, "--to", "sip:127.0.87.20", "--bind", "127.0.87.2", "--write", live, key)
	if status != exitOK || !res.Equal || !res.SameFingerprint || !strings.Contains(errs, "1 calls placed, 1 as recorded") {
		t.Fatalf("status %d, %+v\n%s", status, res, errs)
	}
	recorded, _, _ := inspect(t, "--json", key)
	again, _, _ := inspect(t, "--json", live)
	type judged struct {
		Calls []struct {
			CallID      string `json:"call_id"`
			Fingerprint struct {
				ID string `json:"id"`
			} `json:"fingerprint"`
			Verdict struct {
				Class    string `json:"class"`
				Evidence []struct {
					Name string `json:"name"`
				} `json:"evidence"`
			} `json:"verdict"`
			Streams []struct {
				SSRC, Digits string
				Packets      int
			} `json:"streams"`
		} `json:"calls"`
	}
	var a, b judged
	if err := json.Unmarshal([]byte(recorded), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(again), &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Calls) != 1 || b.Calls[0].CallID != res.Now {
		t.Fatalf("the capture of the replay holds %+v", b)
	}
	was, is := a.Calls[0], b.Calls[0]
	if is.Fingerprint != was.Fingerprint || is.Verdict.Class != was.Verdict.Class || !slices.Contains(is.Streams, was.Streams[0]) {
		t.Errorf("recorded %+v\nreplayed %+v", was, is)
	}
	var record struct {
		Fingerprint struct {
			ID string `json:"id"`
		} `json:"fingerprint"`
		Verdicts []struct {
			Class string `json:"class"`
		} `json:"verdicts"`
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := getJSON("http://127.0.87.20:8080/api/calls/"+res.Now, &record)
		if err == nil && len(record.Verdicts) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no record of the call: %v", err)
		}
	}
	if last := record.Verdicts[len(record.Verdicts)-1]; record.Fingerprint.ID != was.Fingerprint.ID || last.Class != was.Verdict.Class {
		t.Errorf("the door's record %+v, the recording %+v", record, was)
	}

	// Over TCP, and somebody else called: busy.
	res, _, status = replayOne(t, "--to", "sip:busy@127.0.87.20;transport=tcp", "--bind", "127.0.87.3", key)
	if want := "recorded: 180, 200 after 0.5 s; now: 180, 486 after 0."; status != exitFailed || !res.SameFingerprint || res.Note != "" ||
		len(res.Differences) != 1 || !strings.HasPrefix(res.Differences[0].Says, want) {
		t.Errorf("status %d, %+v", status, res)
	}
	var out, said bytes.Buffer
	status = run([]string{"replay", "--to", "sip:busy@127.0.87.20", "--bind", "127.0.87.2", key}, &out, &said)
	if want := "recorded: 180, 200 after 0.5 s; now: 180, 486 after 0."; status != exitFailed || !strings.Contains(out.String(), want) || !strings.HasPrefix(out.String(), "DIFFERS  alice -> bob\n") {
		t.Errorf("status %d, %s%s", status, &out, &said)
	}
}

func TestReplayUsage(t *testing.T) {
	key := filepath.Join(traces, "key.pcap")
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{key}, exitUsage, "--to"},
		{[]string{"--to", "127.0.87.9", key}, exitUsage, "not a SIP URI"},
		{[]string{"--to", "sip:127.0.87.9:99999", key}, exitUsage, "neither a host nor a host with a port"},
		{[]string{"--to", "sip:a b@127.0.87.9", key}, exitUsage, "cannot stand here"},
		{[]string{"--to", "sip:127.0.87.9;transport=ws", key}, exitUsage, "udp, tcp or tls"},
		{[]string{"--to", "sips:127.0.87.9", "--transport", "tcp", key}, exitUsage, "TLS only"},
		{[]string{"--to", "sip:127.0.87.9", "--speed", "0", key}, exitUsage, "--speed"},
		{[]string{"--to", "sip:127.0.87.9", "--bind", "nowhere", key}, exitUsage, "--bind"},
		{[]string{"--to", "sip:127.0.87.9", "--loop", "1001", key}, exitUsage, "1001 calls would be placed, --max-calls allows 1000"},
		{[]string{"--to", "sip:127.0.87.9", "--call", "nobody", key}, exitFailed, "no call nobody"},
		{[]string{"--to", "sip:127.0.87.9", "missing.pcap"}, exitFailed, "no such file"},
		{[]string{"--to", "sip:127.0.87.9", "--bind", "[::1]", key}, exitFailed, "one is IPv4, the other IPv6"},
	} {
		var out, errs bytes.Buffer
		if status := run(append([]string{"replay"}, c.args...), &out, &errs); status != c.status || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%q: status %d, %s", c.args, status, &errs)
		}
	}
}

func TestExportSIPp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var out, errs bytes.Buffer
	if status := run([]string{"export", "sipp", filepath.Join(traces, "key.pcap"), "--side", "both", "-o", dir}, &out, &errs); status != exitOK {
		t.Fatalf("status %d, %s", status, &errs)
	}
	b, err := os.ReadFile(filepath.Join(dir, "uac.xml"))
	if err != nil || !bytes.Contains(b, []byte("INVITE sip:bob@[remote_ip]:[remote_port] SIP/2.0")) || !bytes.Contains(b, []byte("uac.pcap")) {
		t.Errorf("%v\n%s", err, b)
	}
	if b, err = os.ReadFile(filepath.Join(dir, "uas.xml")); err != nil || !bytes.Contains(b, []byte("<recv request=\"INVITE\"")) {
		t.Errorf("%v\n%s", err, b)
	}
	if st, err := os.Stat(filepath.Join(dir, "uac.pcap")); err != nil || st.Size() < 150*200 {
		t.Errorf("%v %v", st, err)
	}
	// What went over TLS is exported with its secrets, and not without.
	tls := []string{"export", "sipp", filepath.Join(traces, "tls12.pcap"), "--call", "1-18564@192.0.2.1", "-o", filepath.Join(dir, "tls")}
	if status := run(tls, &out, &errs); status != exitFailed || !strings.Contains(errs.String(), "no call 1-18564@192.0.2.1") {
		t.Errorf("without secrets: status %d, %s", status, &errs)
	}
	errs.Reset()
	if status := run(append(tls, "--keylog", filepath.Join(traces, "tls12.keys")), &out, &errs); status != exitOK {
		t.Errorf("with secrets: status %d, %s", status, &errs)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{filepath.Join(traces, "key.pcap"), "--call", "nobody", "-o", dir}, "no call nobody"},
		{[]string{"missing.pcap", "-o", dir}, "no such file"},
	} {
		errs.Reset()
		if status := run(append([]string{"export", "sipp"}, c.args...), &out, &errs); status != exitFailed || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%q: status %d, %s", c.args, status, &errs)
		}
	}
}
