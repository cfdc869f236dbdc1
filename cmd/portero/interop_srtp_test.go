package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy/store"
)

// Numbers that Asterisk knows (pjsip.conf): it wants RTP/SAVP of the first, and takes
// SRTP at best effort of the second. All others are plain to it.
const (
	savpNumber       = "+34600000030"
	bestEffortNumber = "+34600000031"
)

// srtpConfig has SRTP asked of the carrier and of Asterisk, and moves or asks callers
// by whom they call.
func srtpConfig(trunk, agents string) string {
	head, rest, _ := strings.Cut(interopConfig, "rules:\n")
	_, tail, _ := strings.Cut(rest, "callback:\n")
	head = strings.NewReplacer(
		"trust_identity: true}", `trust_identity: true, srtp: `+trunk+`, uri: "sip:127.0.60.20:5060"}`,
		`agents: {uri: "sip:`+pbxAddr+`"}`, `agents: {uri: "sip:`+pbxAddr+`", srtp: `+agents+`}`,
		"  drain: 20s", "  outbound: [{prefix: \"+3460000004\", trunk: carrier}]\n  drain: 20s",
	).Replace(head)
	return head + `rules:
  - {name: ask, when: to == "951", stages: [arrival], action: screen}
  - {name: later, when: to == "600" and from == "+34600000033" and heard_seconds >= 1, stages: [listening], action: automation, destination: automation}
callback:
` + tail
}

// testSRTP has baresip, whose SRTP is libre's, and Asterisk, whose SRTP is libsrtp's, on
// the two sides of the door: what comes back from Asterisk's echo is what was said.
func testSRTP(t *testing.T, b *bed) {
	const sha80 = "AES_CM_128_HMAC_SHA1_80"
	voice := readSound(t, personVoice)
	for _, c := range []struct {
		name, trunk, agents string
		number, account     string
		caller, far         string // the suites of the record
	}{
		{"caller", "optional", "off", "+34600000020", ";mediaenc=srtp-mand", sha80, ""},
		{"caller, at best effort", "optional", "off", "+34600000020", ";mediaenc=srtp", sha80, ""},
		{"Asterisk", "off", "required", savpNumber, "", "", sha80},
		{"both", "required", "required", savpNumber, ";mediaenc=srtp-mand", sha80, sha80},
		{"both, at best effort", "optional", "optional", bestEffortNumber, ";mediaenc=srtp", sha80, sha80},
		{"passed", "pass", "off", savpNumber, ";mediaenc=srtp-mand", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := b.openWith(t, srtpConfig(c.trunk, c.agents))
			dir := t.TempDir()
			from := b.pbxLogSize(t)
			said, err := baresip(t, dir, "<sip:"+c.number+"@"+doorHost+">;regint=0"+c.account, []string{"srtp"}, "6", "-e", "/dial sip:600@"+doorHost).CombinedOutput()
			said = baresipSaid(said)
			if err != nil || !bytes.Contains(said, []byte("Call established")) {
				t.Fatalf("baresip: %v\n%s", err, said)
			}
			line := b.pbxSaid(t, from, "from="+c.number, "to=sip:600@")
			r := d.record(t, regexp.MustCompile(`\bid=(\S+)`).FindStringSubmatch(line)[1])
			encrypted(t, r, c.caller, c.far)
			if l := somewhere(voice[:3*codec.Rate], recorded(t, dir, "dec")); l < 0.95 {
				t.Errorf("the echo has a likeness of %.2f to what was said", l)
			}
		})
	}
	t.Run("moved", func(t *testing.T) {
		d := b.openWith(t, srtpConfig("required", "off"))
		dir := t.TempDir()
		from := b.pbxLogSize(t)
		said, err := baresip(t, dir, "<sip:+34600000033@"+doorHost+">;regint=0;mediaenc=srtp-mand", []string{"srtp"}, "14", "-e", "/dial sip:600@"+doorHost).CombinedOutput()
		if err != nil {
			t.Fatalf("baresip: %v\n%s", err, baresipSaid(said))
		}
		line := b.pbxSaid(t, from, "from=+34600000033", "to=sip:automation@")
		r := d.record(t, regexp.MustCompile(`\bid=(\S+)`).FindStringSubmatch(line)[1])
		encrypted(t, r, sha80, "")
		if l := somewhere(readSound(t, greeting), recorded(t, dir, "dec")); l < 0.9 {
			t.Errorf("what was heard has a likeness of %.2f to the greeting of the new place", l)
		}
	})
	t.Run("asked", func(t *testing.T) {
		b.openWith(t, srtpConfig("required", "off"))
		dir := t.TempDir()
		var quiet bytes.Buffer // who speaks interrupts the prompt
		if err := codec.WriteWAV(&quiet, codec.Rate, make([]int16, 10*codec.Rate)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "say.wav"), quiet.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		said, err := baresip(t, dir, "<sip:+34600000034@"+doorHost+">;regint=0;mediaenc=srtp-mand", []string{"srtp"}, "6", "-e", "/dial sip:951@"+doorHost).CombinedOutput()
		if err != nil || !bytes.Contains(said, []byte("Call established")) {
			t.Fatalf("baresip: %v\n%s", err, baresipSaid(said))
		}
		prompt := readSound(t, "../../media/prompt/sounds/en/screen.wav")
		if l := somewhere(prompt[:min(len(prompt), 3*codec.Rate)], recorded(t, dir, "dec")); l < 0.9 {
			t.Errorf("what was heard has a likeness of %.2f to the prompt", l)
		}
	})
	t.Run("Asterisk calls", func(t *testing.T) {
		d := b.openWith(t, srtpConfig("required", "required"))
		dir := t.TempDir()
		phone := baresip(t, dir, "<sip:+34600000040@127.0.60.20>;regint=0;answermode=auto;mediaenc=srtp-mand", []string{"srtp"}, "10")
		var said bytes.Buffer
		phone.Stdout, phone.Stderr = &said, &said
		if err := phone.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "baresip to listen", func() bool { return udpListens("127.0.60.20:5060") })
		call := exec.Command("../../testdata/interop/asterisk-cli", pbxAddr, "channel originate PJSIP/secure/sip:+34600000040@"+doorAddr+" application Echo")
		if out, err := call.CombinedOutput(); err != nil {
			t.Fatalf("asterisk-cli: %v\n%s", err, out)
		}
		if err := phone.Wait(); err != nil || !strings.Contains(said.String(), "Call established") {
			t.Fatalf("baresip: %v\n%s", err, baresipSaid(said.Bytes()))
		}
		encrypted(t, d.onlyRecord(t), sha80, sha80)
		if l := somewhere(voice[:3*codec.Rate], recorded(t, dir, "dec")); l < 0.95 {
			t.Errorf("the echo has a likeness of %.2f to what was said", l)
		}
	})
}

// somewhere is likeness, however late it was said.
func somewhere(sent, heard []int16) float64 {
	best := 0.0
	for at := 0; at < len(heard); at += codec.Rate {
		best = max(best, likeness(sent, heard[at:]))
	}
	return best
}

// greeting is what Asterisk's automation says first.
const greeting = "/usr/share/asterisk/sounds/en_US_f_Allison/hello-world.wav"

// encrypted looks at a record's suites, and that no packet was taken for a forgery.
func encrypted(t *testing.T, r store.Record, caller, far string) {
	t.Helper()
	if r.CallerMedia.SRTP != caller || r.FarMedia.SRTP != far {
		t.Errorf("encrypted with %q and %q, not %q and %q", r.CallerMedia.SRTP, r.FarMedia.SRTP, caller, far)
	}
	if r.CallerMedia.Packets < 150 || r.FarMedia.Packets < 100 || r.CallerMedia.Replayed+r.FarMedia.Replayed > 0 {
		t.Errorf("media of the caller %+v, of the far side %+v", r.CallerMedia, r.FarMedia)
	}
	// Who answers speaks at once, and may be ahead of the key in its answer.
	if r.CallerMedia.Forged > 5 || r.FarMedia.Forged > 5 {
		t.Errorf("forged are %d packets of the caller and %d of the far side", r.CallerMedia.Forged, r.FarMedia.Forged)
	}
}

// onlyRecord waits for the record of the only call that the door has had.
func (d *openDoor) onlyRecord(t *testing.T) store.Record {
	t.Helper()
	var all []store.Record
	for deadline := time.Now().Add(10 * time.Second); len(all) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("there is no record")
		}
		res, err := http.Get("http://" + consoleAddr + "/api/calls")
		if err != nil {
			continue
		}
		_ = json.NewDecoder(res.Body).Decode(&all)
		res.Body.Close()
	}
	return all[0]
}
