package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var traces = filepath.Join("..", "..", "testdata", "traces")

func inspect(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(append([]string{"inspect"}, args...), &out, &errs)
	return out.String(), errs.String(), status
}

// inspected is the JSON of a capture, no key more and none less.
type inspected struct {
	inspectedBesides

	Capture *string `json:"capture"`
	Packets *int    `json:"packets"`
	Calls   []struct {
		inspectedCourse

		CallID     *string           `json:"call_id"`
		FromUser   *string           `json:"from_user"`
		ToUser     *string           `json:"to_user"`
		Methods    map[string]int    `json:"methods"`
		Responses  map[string]int    `json:"responses"`
		FinalCode  *int              `json:"final_code"`
		Outcome    string            `json:"outcome"`
		InviteAt   *string           `json:"invite_at"`
		RingingAt  *string           `json:"ringing_at"`
		AnsweredAt *string           `json:"answered_at"`
		EndedAt    *string           `json:"ended_at"`
		Streams    []inspectedStream `json:"streams"`
		Hops       []struct {
			Source      string `json:"source"`
			Destination string `json:"destination"`
			Transport   string `json:"transport"`
			Messages    int    `json:"messages"`
			Repeats     int    `json:"repeats"`
			FirstAt     string `json:"first_at"`
		} `json:"hops"`
		Fingerprint *struct {
			ID        string `json:"id"`
			Stack     string `json:"stack"`
			Text      string `json:"text"`
			Signature string `json:"signature"`
			Kind      string `json:"signature_kind"`
			UserAgent string `json:"user_agent"`
		} `json:"fingerprint"`
		Verdict *struct {
			Class    string  `json:"class"`
			PMachine float64 `json:"p_machine"`
			Evidence []struct {
				Name string  `json:"name"`
				LLR  float64 `json:"llr"`
				Says string  `json:"says"`

				Effect float64 `json:"effect"`
				At     *string `json:"at"`
				Frame  int     `json:"frame"`
			} `json:"evidence"`
			Prior  float64 `json:"prior"`
			Course []struct {
				At       string  `json:"at"`
				Class    string  `json:"class"`
				PMachine float64 `json:"p_machine"`
			} `json:"course"`
		} `json:"verdict"`
		Decision  *inspectedDecision  `json:"decision"`
		Decisions []inspectedDecision `json:"decisions"`
	} `json:"calls"`
}

type inspectedStream struct {
	SSRC        string  `json:"ssrc"`
	Source      string  `json:"source"`
	Destination string  `json:"destination"`
	PayloadType int     `json:"payload_type"`
	Codec       string  `json:"codec"`
	Packets     int     `json:"packets"`
	Duplicates  int     `json:"duplicates"`
	Lost        int     `json:"lost"`
	JitterMs    float64 `json:"jitter_ms"`
	FirstAt     string  `json:"first_at"`
	Seconds     float64 `json:"seconds"`
	Digits      string  `json:"digits"`
	Side        string  `json:"side"`
	SRTP        bool    `json:"srtp"`
}

type inspectedDecision struct {
	At          *string `json:"at"`
	Stage       string  `json:"stage"`
	Rule        string  `json:"rule"`
	Action      string  `json:"action"`
	Destination string  `json:"destination"`
	Reason      string  `json:"reason"`
}

func decode(t *testing.T, line string) inspected {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	d.DisallowUnknownFields()
	var v inspected
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	if v.Capture == nil || v.Packets == nil || v.Calls == nil {
		t.Fatalf("capture, packets or calls are missing in %s", line)
	}
	return v
}

func TestInspectJSON(t *testing.T) {
	key, busy := filepath.Join(traces, "key.pcap"), filepath.Join(traces, "busy-tcp6.pcapng")
	out, errs, status := inspect(t, "--json", key, busy)
	lines := strings.SplitAfter(strings.TrimRight(out, "\n"), "\n")
	if status != exitOK || errs != "" || len(lines) != 2 {
		t.Fatalf("status %d, %d lines, stderr %q", status, len(lines), errs)
	}
	v := decode(t, lines[0])
	if *v.Capture != key || *v.Packets != 157 || len(v.Calls) != 1 {
		t.Fatalf("%s: %d packets, %d calls", *v.Capture, *v.Packets, len(v.Calls))
	}
	c := v.Calls[0]
	if *c.CallID != "key@192.0.2.1" || *c.FromUser != "alice" || c.Outcome != "answered" || *c.FinalCode != 200 ||
		*c.InviteAt != "2026-03-01T12:00:00.123456789Z" || *c.AnsweredAt != "2026-03-01T12:00:01.153456789Z" || c.Methods["BYE"] != 1 || c.Responses["200"] != 2 {
		t.Errorf("call is %s", lines[0])
	}
	if len(c.Streams) != 1 || c.Streams[0].SSRC != "0x00000009" || c.Streams[0].Source != "192.0.2.1:4000" || c.Streams[0].Digits != "5" || c.Streams[0].Codec != "PCMU" {
		t.Errorf("streams are %+v", c.Streams)
	}
	if c.Fingerprint.ID == "" || c.Verdict.Class == "" || c.Decision.Stage != "arrival" || c.Decision.Action != "agents" || c.Decision.Reason == "" {
		t.Errorf("judged %+v %+v %+v", c.Fingerprint, c.Verdict, c.Decision)
	}
	b := decode(t, lines[1]).Calls[0]
	if b.Outcome != "busy" || *b.FinalCode != 486 || b.AnsweredAt != nil || b.RingingAt != nil || b.EndedAt == nil || b.Streams == nil {
		t.Errorf("call is %s", lines[1])
	}
}

const inspectConfig = `
media: {caller_address: 192.0.2.10}
sip:
  trunks:
    - {name: carrier, addresses: [192.0.2.0/24]}
  destinations:
    agents: {uri: "sip:203.0.113.1"}
    bots: {uri: "sip:203.0.113.2"}
rules:
  - name: fives
    when: trunk == "carrier" && digits startsWith "5"
    action: automation
    destination: bots
`

func TestInspectByConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "portero.yaml")
	if err := os.WriteFile(file, []byte(inspectConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(traces, "key.pcap")
	out, errs, status := inspect(t, "--json", "--config", file, key)
	if status != exitOK || errs != "" {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	if d := decode(t, out).Calls[0].Decision; d.Stage != "listening" || d.Rule != "fives" || d.Action != "automation" || d.Destination != "bots" {
		t.Errorf("decision %+v", d)
	}
	out, _, status = inspect(t, "--config", file, key)
	if want := "listening: rule fives says automation to bots (P200-fives)"; status != exitOK || !strings.Contains(out, want) {
		t.Errorf("%q is not in\n%s", want, out)
	}

	// A wrong configuration is told by its faults, before any capture is read.
	if err := os.WriteFile(file, []byte(strings.Replace(inspectConfig, "digits", "digit", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, status = inspect(t, "--config", file, key)
	if status != exitFailed || out != "" || !strings.Contains(errs, file+":") {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
	}
}

func TestInspectTable(t *testing.T) {
	out, errs, status := inspect(t, filepath.Join(traces, "key.pcap"), filepath.Join(traces, "busy-tcp6.pcapng"))
	if status != exitOK || errs != "" {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	for _, want := range []string{
		"key.pcap\nTIME (UTC)",
		"03-01 12:00:00.123 alice           bob             answered       PCMU        150     0 ",
		"busy 486",
		"arrival: rule default says agents (P300-no-rule)",
		"1 calls in 157 packets, 7 SIP messages\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	for _, line := range strings.Split(out, "\n") {
		if utf8.RuneCountInString(line) > 120 {
			t.Errorf("wider than 120 columns: %s", line)
		}
	}
}

// TestInspectUnreadable: every file that cannot be read has its line, and the
// others are read.
func TestInspectUnreadable(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole, err := os.ReadFile(filepath.Join(traces, "key.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	link := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(link[20:], 195) // IEEE 802.15.4
	damaged := bytes.Clone(whole)
	second := int(binary.LittleEndian.Uint32(whole[24+8:])) // where the second record begins, less what comes before
	binary.LittleEndian.PutUint32(damaged[24+16+second+8:], 1<<30)
	missing := filepath.Join(dir, "missing.pcap")
	for _, c := range []struct {
		file, says string
		status     int
		calls      string // what standard output holds
	}{
		{missing, "no such file or directory", exitFailed, ""},
		{write("empty.pcap", nil), "the file is empty", exitFailed, ""},
		{write("text.pcap", []byte("not a capture")), "not a capture", exitFailed, ""},
		{write("header.pcap", whole[:12]), "file header", exitFailed, ""},
		{write("link.pcap", link), "no packet has a link type that is read", exitFailed, "0 calls in 157 packets"},
		{write("damaged.pcap", damaged), "packet 2, byte 452: the record says it holds 1073741824 bytes", exitFailed, "1 calls in 1 packets"},
		{filepath.Join(traces, "cut.pcap"), "warning: packet 78, byte 18059: the file is cut off", exitOK, "1 calls in 77 packets"},
	} {
		t.Run(filepath.Base(c.file), func(t *testing.T) {
			out, errs, status := inspect(t, c.file, filepath.Join(traces, "busy-tcp6.pcapng"))
			if status != c.status || !strings.Contains(errs, "inspect: "+c.file+": ") || !strings.Contains(errs, c.says) {
				t.Errorf("status %d, stderr %q; want %d and %q", status, errs, c.status, c.says)
			}
			if !strings.Contains(out, c.calls) || !strings.Contains(out, "busy 486") {
				t.Errorf("stdout is %q", out)
			}
		})
	}
	if _, errs, status := inspect(t); status != exitUsage || errs == "" {
		t.Errorf("without a capture: status %d, stderr %q", status, errs)
	}
}

// TestInspectHostile: what strangers wrote must not steer the terminal.
func TestInspectHostile(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join(traces, "key.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "esc.pcap")
	if err := os.WriteFile(file, bytes.ReplaceAll(whole, []byte("sip:alice@"), []byte("sip:\x1b[2J\xff@")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, status := inspect(t, file)
	if status != exitOK || strings.ContainsRune(out, 0x1b) || !utf8.ValidString(out) {
		t.Errorf("status %d, stdout %q", status, out)
	}
	out, _, _ = inspect(t, "--json", file)
	if c := decode(t, out).Calls; len(c) != 1 || !utf8.ValidString(out) {
		t.Errorf("JSON is %q", out)
	}
}
