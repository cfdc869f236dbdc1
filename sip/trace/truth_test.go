package trace

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The public traces and what tshark says of them are not part of the project:
// PORTERO_TRACES names the directory that holds pcaps/ and truth/.

type truthFile struct {
	File    string        `json:"file"`
	Packets int           `json:"packets"`
	First   float64       `json:"first_packet_epoch"`
	Calls   []truthCall   `json:"calls"`
	Streams []truthStream `json:"rtp_streams_full"`
	Default []truthStream `json:"rtp_streams"`
	Guessed []truthStream `json:"rtp_streams_heuristic_only"`
	Others  []truthOther  `json:"other_transactions"`
	Dialogs int           `json:"dialogs"`
	SIP     int           `json:"sip_messages"`
}

type truthCall struct {
	CallID    string         `json:"call_id"`
	FromUser  string         `json:"from_user"`
	ToUser    string         `json:"to_user"`
	Methods   map[string]int `json:"methods"`
	Responses map[string]int `json:"responses"`
	Invite    *float64       `json:"invite_t"`
	Ring      *float64       `json:"ring_t"`
	Answer    *float64       `json:"answer_t"`
	End       *float64       `json:"end_t"`
	FinalCode *string        `json:"final_code"`
	Outcome   Outcome        `json:"outcome"`

	FromHost string   `json:"from_host"`
	ToHost   string   `json:"to_host"`
	Messages int      `json:"messages"`
	Flags    []string `json:"flags"`
	Codecs   []string `json:"sdp_codecs"`
	Legs     []string `json:"legs"`
	Trying   *float64 `json:"trying_t"`
	RingCode *string  `json:"ring_code"`
	Cancel   *float64 `json:"cancel_t"`
	Bye      *float64 `json:"bye_t"`
	ByeFrom  *string  `json:"bye_from"`
	Setup    *float64 `json:"setup_s"`
	PDD      *float64 `json:"pdd_s"`
	Duration *float64 `json:"duration_s"`
}

type truthOther struct {
	CallID    string         `json:"call_id"`
	Kind      string         `json:"kind"`
	FromUser  string         `json:"from_user"`
	ToUser    string         `json:"to_user"`
	Messages  int            `json:"messages"`
	Methods   map[string]int `json:"methods"`
	Responses map[string]int `json:"responses"`
	Flags     []string       `json:"flags"`
}

type truthStream struct {
	Src, Dst     string
	Sport, Dport int
	SSRC         string
	Payload      string
	Packets      int
	Lost         int
	Jitter       float64 `json:"mean_jitter_ms"`
}

// tally counts agreement per field.
type tally struct {
	right, all map[string]int
	order      []string
}

func (y *tally) note(field string, ok bool) bool {
	if y.all == nil {
		y.right, y.all = map[string]int{}, map[string]int{}
	}
	if y.all[field] == 0 {
		y.order = append(y.order, field)
	}
	y.all[field]++
	if ok {
		y.right[field]++
	}
	return ok
}

func (y *tally) share(field string) float64 {
	if y.all[field] == 0 {
		return 0
	}
	return float64(y.right[field]) / float64(y.all[field])
}

func (y *tally) String() string {
	var b strings.Builder
	for _, f := range y.order {
		fmt.Fprintf(&b, "%-20s %4d of %4d  %5.1f %%\n", f, y.right[f], y.all[f], 100*y.share(f))
	}
	return b.String()
}

func TestTruth(t *testing.T) {
	dir := os.Getenv("PORTERO_TRACES")
	if dir == "" {
		t.Skip("PORTERO_TRACES is not set: no traces to compare with")
	}
	files, err := filepath.Glob(filepath.Join(dir, "truth", "*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("PORTERO_TRACES=%s holds no truth/*.json", dir)
	}
	var y tally
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var want truthFile
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		compareFile(t, &y, filepath.Join(dir, "pcaps"), want)
	}
	t.Logf("agreement with tshark, %d files:\n%s", len(files), &y)
	for _, field := range y.order {
		least := 0.99
		if strings.HasPrefix(field, "stream") {
			least = 0.98
		}
		if y.share(field) < least {
			t.Errorf("%s: %.3f agree, at least %.3f expected", field, y.share(field), least)
		}
	}
}

func compareFile(t *testing.T, y *tally, dir string, want truthFile) {
	// A bit-flipped copy: where it and tshark part means nothing.
	if strings.Contains(want.File, "fuzz") {
		return
	}
	f, err := os.Open(filepath.Join(dir, want.File))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	got := map[string]*Call{}
	var streams []Stream
	others := map[string]*Exchange{}
	sum, err := Read(f, Options{Others: func(x *Exchange) { others[x.CallID] = x }}, func(c *Call) {
		if got[c.CallID] != nil {
			t.Logf("%s: call %s is told twice", want.File, c.CallID)
		}
		got[c.CallID] = c
		streams = append(streams, c.Streams...)
	})
	if err != nil && !errors.Is(err, ErrCut) {
		t.Errorf("%s: %v", want.File, err)
	}
	if !y.note("packets", sum.Packets == want.Packets) {
		t.Logf("%s: %d packets, tshark %d (%v)", want.File, sum.Packets, want.Packets, err)
	}
	if !y.note("dialogs", sum.Dialogs == want.Dialogs) {
		t.Logf("%s: %d dialogs, tshark %d", want.File, sum.Dialogs, want.Dialogs)
	}
	if !y.note("SIP messages", sum.Messages == want.SIP) {
		t.Logf("%s: %d SIP messages, tshark %d", want.File, sum.Messages, want.SIP)
	}
	for _, w := range want.Others {
		g := others[w.CallID]
		if !y.note("others", g != nil) {
			t.Logf("%s: %s %q is missing", want.File, w.Kind, w.CallID)
			continue
		}
		delete(others, w.CallID)
		ok := g.Kind == w.Kind && maps.Equal(g.Methods, w.Methods) && maps.Equal(g.Responses, w.Responses) && sameUser(g.FromUser, w.FromUser) && sameUser(g.ToUser, w.ToUser) && g.MessageCount == w.Messages
		if !y.note("others alike", ok) {
			t.Logf("%s: %+v, tshark %+v", want.File, g, w)
		}
	}
	for id := range others {
		y.note("others", false)
		t.Logf("%s: exchange %q is not tshark's", want.File, id)
	}
	off := func(field string, w truthCall, g any, x any) {
		t.Logf("%s %q: %s is %v, tshark %v", want.File, w.CallID, field, g, x)
	}
	for _, w := range want.Calls {
		g := got[w.CallID]
		if !y.note("calls", g != nil) {
			off("call", w, "missing", w.Methods)
			continue
		}
		delete(got, w.CallID)
		if !y.note("methods", maps.Equal(g.Methods, w.Methods)) {
			off("methods", w, g.Methods, w.Methods)
		}
		if !y.note("responses", maps.Equal(g.Responses, w.Responses)) {
			off("responses", w, g.Responses, w.Responses)
		}
		gotCode, wantCode := "none", "none"
		if g.FinalCode != nil {
			gotCode = strconv.Itoa(*g.FinalCode)
		}
		if w.FinalCode != nil {
			wantCode = *w.FinalCode
		}
		if !y.note("final_code", gotCode == wantCode) {
			off("final_code", w, gotCode, wantCode)
		}
		if !y.note("outcome", g.Outcome == w.Outcome) {
			off("outcome", w, g.Outcome, w.Outcome)
		}
		// The set has From and To of the first message of a Call-ID, which is not
		// the call's where a REGISTER shares it, and no users of one character.
		if w.Methods["REGISTER"] == 0 {
			if !y.note("from_user", sameUser(g.FromUser, w.FromUser)) {
				off("from_user", w, g.FromUser, w.FromUser)
			}
			if !y.note("to_user", sameUser(g.ToUser, w.ToUser)) {
				off("to_user", w, g.ToUser, w.ToUser)
			}
		}
		for _, m := range []struct {
			name string
			got  *Time
			want *float64
		}{{"invite_at", g.InviteAt, w.Invite}, {"ringing_at", g.RingingAt, w.Ring}, {"answered_at", g.AnsweredAt, w.Answer}, {"ended_at", g.EndedAt, w.End},
			{"trying_at", g.TryingAt, w.Trying}, {"bye_at", g.ByeAt, w.Bye}, {"cancel_at", g.CancelAt, w.Cancel}} {
			if !y.note("times", sameTime(m.got, m.want, want.First)) {
				x := "none"
				if m.want != nil {
					x = epoch(want.First + *m.want).String()
				}
				off(m.name, w, m.got, x)
			}
		}
		compareCourse(y, w, g, off)
	}
	for id, g := range got {
		y.note("calls", false)
		t.Logf("%s: call %q is not tshark's: %v %v", want.File, id, g.Methods, g.Responses)
	}
	compareStreams(t, y, want, append(streams, sum.Strays...))
}

func epoch(s float64) time.Time { return time.UnixMicro(int64(math.Round(s * 1e6))).UTC() }

func sameTime(got *Time, want *float64, first float64) bool {
	if got == nil || want == nil {
		return got == nil && want == nil
	}
	return got.Sub(epoch(first+*want)).Abs() <= 2*time.Microsecond
}

func compareStreams(t *testing.T, y *tally, want truthFile, got []Stream) {
	key := func(src, dst, ssrc string) string { return src + ">" + dst + "/" + ssrc }
	have := map[string]Stream{}
	for _, s := range got {
		k := key(s.Source.String(), s.Destination.String(), s.SSRC.String())
		if _, twice := have[k]; twice {
			t.Logf("%s: stream %s is told twice", want.File, k)
		}
		have[k] = s
	}
	announced := map[string]bool{}
	for _, w := range want.Default {
		announced[truthKey(w)] = true
	}
	guessed := map[string]bool{}
	for _, w := range want.Guessed {
		guessed[truthKey(w)] = true
	}
	for _, w := range want.Streams {
		k := truthKey(w)
		g, ok := have[k]
		delete(have, k)
		// What the heuristic alone finds and has few packets may be anything.
		if guessed[k] && w.Packets < 10 && !ok {
			continue
		}
		if !y.note("streams", ok) {
			t.Logf("%s: stream %s is missing: %s, %d packets", want.File, k, w.Payload, w.Packets)
			continue
		}
		if !y.note("stream packets", g.Packets == w.Packets) {
			t.Logf("%s: stream %s: %d packets, tshark %d", want.File, k, g.Packets, w.Packets)
		}
		// Negative: copies of packets that tshark lets make up for missing ones.
		if w.Lost >= 0 && !y.note("stream lost", g.Lost == w.Lost || g.Lost-g.Duplicates == w.Lost) {
			t.Logf("%s: stream %s: %d lost, tshark %d", want.File, k, g.Lost, w.Lost)
		}
		// tshark has no clock for dynamic payload types of streams that its
		// heuristic found, so there is nothing to compare. And it errs where
		// packets have a marker (it counts them in the mean's weight without adding
		// their jitter, so all of video is off), and where telephone events or
		// keep-alives lie between (their timestamps do not pace the stream).
		if g.PayloadType >= 96 && (!announced[k] || w.Jitter == 0) || strings.Contains(w.Payload, ",") || video[strings.ToUpper(g.Codec)] {
			continue
		}
		off := math.Abs(g.Jitter - w.Jitter)
		if !y.note("stream jitter", off <= 1 || off <= 0.1*w.Jitter) {
			t.Logf("%s: stream %s: jitter %.3f ms, tshark %.3f (%s, PT %d %s)", want.File, k, g.Jitter, w.Jitter, w.Payload, g.PayloadType, g.Codec)
		}
	}
	for k, s := range have {
		if s.Packets < 10 {
			continue
		}
		y.note("streams", false)
		t.Logf("%s: stream %s is not tshark's: %d packets", want.File, k, s.Packets)
	}
}

var video = map[string]bool{"H261": true, "H263": true, "H263-1998": true, "H264": true, "H265": true, "VP8": true, "VP9": true, "AV1": true}

func truthKey(w truthStream) string {
	return net.JoinHostPort(w.Src, strconv.Itoa(w.Sport)) + ">" + net.JoinHostPort(w.Dst, strconv.Itoa(w.Dport)) + "/" + w.SSRC
}

// compareCourse compares what is told of how the call went.
func compareCourse(y *tally, w truthCall, g *Call, off func(field string, w truthCall, g, x any)) {
	if !y.note("messages", g.MessageCount == w.Messages) {
		off("messages", w, g.MessageCount, w.Messages)
	}
	for _, s := range []struct {
		name string
		got  *float64
		want *float64
	}{{"setup_s", g.Setup, w.Setup}, {"pdd_s", g.PDD, w.PDD}, {"duration_s", g.Duration, w.Duration}} {
		ok := (s.got == nil) == (s.want == nil) && (s.got == nil || math.Abs(*s.got-*s.want) < 5e-6)
		if !y.note("intervals", ok) {
			off(s.name, w, show(s.got), show(s.want))
		}
	}
	code := ""
	if g.RingCode != nil {
		code = strconv.Itoa(*g.RingCode)
	}
	if !y.note("ring_code", code == show(w.RingCode)) {
		off("ring_code", w, code, show(w.RingCode))
	}
	if !y.note("bye_from", g.ByeFrom == show(w.ByeFrom)) {
		off("bye_from", w, g.ByeFrom, show(w.ByeFrom))
	}
	ours := map[string]bool{"ice": true, "srtp": true, "siprec": true, "no_call_id": true, "no_invite": true, "forked_answers": true}
	for _, f := range flagNames {
		if ours[f] { // of this project's own making
			continue
		}
		g, x := slices.Contains(g.Flags, f), slices.Contains(w.Flags, f)
		if !y.note("flag "+f, g == x) {
			off("flag "+f, w, g, x)
		}
	}
	for _, f := range w.Flags {
		if !slices.Contains(flagNames[:], f) {
			off("flag", w, "unknown", f)
		}
	}
	fold := func(l []string) []string {
		out := []string{}
		for _, s := range l {
			out = append(out, strings.ToLower(s))
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	if !y.note("sdp_codecs", slices.Equal(fold(g.Mapped), fold(w.Codecs))) {
		off("sdp_codecs", w, g.Mapped, w.Codecs)
	}
	if !y.note("hosts", g.FromHost == w.FromHost && g.ToHost == w.ToHost) {
		off("hosts", w, g.FromHost+" "+g.ToHost, w.FromHost+" "+w.ToHost)
	}
}

// sameUser: the set has no users of one character.
func sameUser(got, want string) bool { return got == want || len(got) == 1 && want == "" }

func show[T any](p *T) string {
	if p == nil {
		return ""
	}
	return fmt.Sprint(*p)
}
