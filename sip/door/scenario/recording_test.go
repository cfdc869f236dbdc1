package scenario_test

import (
	"math"
	"os"
	"testing"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/door/scenario"
	"github.com/portero/portero/sip/judge"
	"github.com/portero/portero/sip/trace"
)

const recordedCall = `
caller -> INVITE sip:100@portero sdp(pcmu dtmf)
pbx <- INVITE
pbx -> 180
caller <- 180 INVITE
pbx -> 200 sdp(pcmu dtmf)
caller <- 200 INVITE
pbx <- ACK
caller -> ACK
door recording 1
door rtp media(caller) 2s
door rtp media(pbx) 1s
wait 2500ms
pbx -> BYE
pbx <- 200 BYE
caller <- BYE
caller -> 200
record recordings.length = 1
`

// recordedAs plays a call whose both sides speak, and returns its record.
func recordedAs(t *testing.T, format string) store.Record {
	t.Helper()
	s, err := scenario.Parse("recording", "config\nrecording: {directory: given, announce: none, format: "+format+"}\n"+
		"sip:\n  trunks: [{name: carrier, addresses: [192.0.2.1], record: true}]\nend\n"+recordedCall)
	if err != nil {
		t.Fatal(err)
	}
	n := scenario.NewNetwork()
	d := open(t, n, s.Config)
	err = scenario.Run(s, n, d)
	d.close(t)
	if err != nil {
		t.Fatal(err)
	}
	return d.records[0]
}

// What the caller said is in the left channel, what was said to the caller in the
// right one.
func TestRecordedWAV(t *testing.T) {
	t.Parallel()
	r := recordedAs(t, "wav")
	f, err := os.Open(r.Recordings[0].File)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := codec.Read(f)
	if err != nil || len(a.Samples) != 2 {
		t.Fatalf("%v, %d channels", err, len(a.Samples))
	}
	var loud [2]float64 // s
	for side, s := range a.Samples {
		for _, v := range s {
			if v != 0 {
				loud[side] += 1. / float64(a.Rate)
			}
		}
	}
	// 2 s and 1 s; under load the talkers may end
	// before their time.
	if length := float64(len(a.Samples[0])) / float64(a.Rate); loud[0] < 0.7 || loud[0] > 2.2 || loud[1] < 0.3 || loud[1] > 1.1 || loud[0] <= loud[1] || math.Abs(length-r.Recordings[0].Seconds) > 0.1 {
		t.Errorf("the caller speaks for %.2f s, the far side for %.2f s, of %.2f s; the record says %+v", loud[0], loud[1], length, r.Recordings[0])
	}
}

// A capture of a call is read as the call that it was, and judged as it was.
func TestRecordedPCAPNG(t *testing.T) {
	t.Parallel()
	r := recordedAs(t, "pcapng")
	f, err := os.Open(r.Recordings[0].File)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	set, err := rules.Compile(rules.Defaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var calls []*trace.Call
	if _, err := trace.Read(f, trace.Options{Bench: &judge.Bench{Rules: set, Config: judge.Defaults()}}, func(c *trace.Call) { calls = append(calls, c) }); err != nil {
		t.Fatal(err)
	}
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	c := calls[0]
	if c.CallID != r.CallID || c.Outcome != trace.Answered || c.EndedAt == nil || c.Methods["BYE"] != 1 || len(c.Streams) < 2 ||
		c.CallerStream() == nil || c.CallerStream().Packets < 20 {
		t.Errorf("%+v", c)
	}
	live := r.Verdicts[len(r.Verdicts)-1]
	if c.Verdict.Class != live.Class || math.Abs(c.Verdict.PMachine-live.PMachine) > 0.01 || c.Fingerprint.ID != r.Fingerprint.ID || len(c.Verdict.Evidence) != len(live.Evidence) {
		t.Errorf("judged %+v from the capture, live %+v", c.Verdict, live)
	}
}
