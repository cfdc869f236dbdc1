package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portero/portero/cmd/demo/phone"
	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
)

// lawfulHost is a baresip that speaks µ-law, nothing else, and says back what it
// hears.
const lawfulHost = "127.0.60.32"

// codecsConfig has calls to 860 go there, and those that press 43.
var codecsConfig = strings.NewReplacer(
	"    queue:", `    lawful: {uri: "sip:echo@`+lawfulHost+`:5060"}`+"\n    queue:",
	"rules:\n", `rules:
  - {name: lawful, when: 'to == "860"', stages: [arrival], action: agents, destination: lawful}
  - {name: moved, when: 'digits == "43"', stages: [listening], action: automation, destination: lawful}
`).Replace(interopConfig)

// testCodecs has foreign phones speak other codecs than G.711, with Asterisk, and
// with each other where the door converts.
func testCodecs(t *testing.T, b *bed) {
	d := b.openWith(t, codecsConfig)
	for _, c := range []struct {
		codec, module, account string
		least                  float64
		heard                  bool
	}{
		{"G722", "g722", "G722/16000/1", 0.95, true},
		{"opus", "opus", "opus/48000/2", 0.9, true},
		{"GSM", "gsm", "gsm/8000/1", 0.8, false},
	} {
		t.Run(c.codec, func(t *testing.T) {
			from := b.pbxLogSize(t)
			sent, heard := callFrom(t, "600", c.module, c.account)
			returned(t, sent[codec.Rate:5*codec.Rate], heard, c.least)
			line := b.pbxSaid(t, from, "from=+34600000020", "to=sip:600@")
			id := regexp.MustCompile(`\bid=(\S+)`).FindStringSubmatch(line)
			if id == nil {
				t.Fatalf("no X-Portero-Call-ID at Asterisk: %s", line)
			}
			r := d.record(t, id[1])
			if !strings.EqualFold(r.CallerMedia.Codec, c.codec) || !strings.EqualFold(r.FarMedia.Codec, c.codec) {
				t.Errorf("codec %s of the caller, %s of the far side", r.CallerMedia.Codec, r.FarMedia.Codec)
			}
			voice, unheard := false, false
			for _, e := range r.Verdicts[len(r.Verdicts)-1].Evidence {
				voice = voice || strings.HasPrefix(e.Name, "voice.")
				unheard = unheard || e.Name == "line.unheard"
			}
			if voice != c.heard || unheard == c.heard {
				t.Errorf("heard: %t, said to be unheard: %t; evidence %+v", voice, unheard, r.Verdicts[len(r.Verdicts)-1].Evidence)
			}
		})
	}
	lawful(t)
	p := openPhone(t)
	echo := func(t *testing.T, c *phone.Call) {
		t.Helper()
		voice := readSound(t, personVoice)[codec.Rate : 4*codec.Rate]
		if err := c.Line().Say(t.Context(), voice); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		heard := c.Line().Hearing()
		returned(t, voice, heard, 0.98)
	}
	t.Run("A-law to µ-law", func(t *testing.T) {
		c := dial(t, p, phone.Invite{To: number("860"), From: "+34600000061", Law: codec.ALaw})
		echo(t, c)
		if err := c.Reinvite(t.Context(), "sendonly"); err != nil {
			t.Errorf("hold: %v", err)
		}
		if err := c.Reinvite(t.Context(), "sendrecv"); err != nil {
			t.Errorf("resume: %v", err)
		}
		echo(t, c)
		hangUp(t, c)
		r := d.record(t, c.ID())
		if r.Outcome != store.Answered || len(r.Far) != 1 || r.CallerMedia.Codec != "PCMA" || r.FarMedia.Codec != "PCMU" {
			t.Errorf("outcome %s, far legs %+v, codecs %s and %s", r.Outcome, r.Far, r.CallerMedia.Codec, r.FarMedia.Codec)
		}
	})
	t.Run("A-law, moved to µ-law", func(t *testing.T) {
		from := b.pbxLogSize(t)
		c := dial(t, p, phone.Invite{To: number("600"), From: "+34600000062", Law: codec.ALaw})
		b.pbxSaid(t, from, "from=+34600000062", "to=sip:600@")
		time.Sleep(500 * time.Millisecond)
		at := len(d.log())
		if err := c.Line().Press(t.Context(), "43", 100*time.Millisecond, 100*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		d.awaitLog(t, at, "the call was moved")
		echo(t, c)
		hangUp(t, c)
		r := d.record(t, c.ID())
		if r.Action() != policy.ToAutomation || len(r.Far) != 2 || r.CallerMedia.Codec != "PCMA" || r.FarMedia.Codec != "PCMU" {
			t.Errorf("%s, far legs %+v, codecs %s and %s", r.Action(), r.Far, r.CallerMedia.Codec, r.FarMedia.Codec)
		}
	})
	t.Run("G.722 to µ-law", func(t *testing.T) {
		sent, heard := callFrom(t, "860", "g722", "G722/16000/1")
		returned(t, sent[3*codec.Rate:6*codec.Rate], heard, 0.95)
	})
}

// returned checks that what was said came back: a third of its pieces of 0.4 s at
// least. On a busy machine the buffers of a phone slip, and what lies over a slip
// is like nothing; but audio in a codec that it is not never is like what was said.
func returned(t *testing.T, said, heard []int16, least float64) {
	t.Helper()
	heard = heard[max(0, len(heard)-len(said)-4*codec.Rate):]
	const piece = 2 * codec.Rate / 5
	var found []string
	good, all := 0, 0
	for one := range slices.Chunk(said, piece) {
		best := 0.0
		for from := 0; from+piece < len(heard); from += 2 * codec.Rate { // likeness looks so far
			best = max(best, likeness(one, heard[from:]))
		}
		if all++; best >= least {
			good++
		}
		found = append(found, fmt.Sprintf("%.3f", best))
	}
	if 3*good < all {
		t.Errorf("the pieces said came back with likenesses of %s; %.2f is enough", strings.Join(found, ", "), least)
	}
}

// callFrom has baresip, with one codec, say a voice to a number for 8 s, and gives
// what it said and heard.
func callFrom(t *testing.T, to, module, codecs string) (sent, heard []int16) {
	t.Helper()
	voice := filepath.Join(t.TempDir(), "voice.wav") // at the codec's own rate: baresip's source resamples nothing
	var rate, channels int
	if _, err := fmt.Sscanf(codecs[strings.Index(codecs, "/"):], "/%d/%d", &rate, &channels); err != nil {
		t.Fatal(err)
	}
	writeVoice(t, voice, rate, channels)
	dir := softphone(t, "127.0.60.20", "<sip:+34600000020@"+doorHost+">;regint=0;audio_codecs="+codecs, `
audio_source aufile,`+voice+`
audio_player aufile
ausrc_format s16
auplay_format s16
module `+module+`.so
module aufile.so
module sndfile.so
snd_path .
`)
	cmd := exec.Command("baresip", "-f", dir, "-p", dir, "-t", "8", "-e", "/dial sip:"+to+"@"+doorHost)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(said), "Call established") {
		t.Fatalf("baresip: %v\n%s", err, said)
	}
	sent, heard = recorded(t, dir, "enc"), recorded(t, dir, "dec")
	if len(sent) < 5*codec.Rate || len(heard) < 5*codec.Rate {
		t.Fatalf("baresip said %d samples and heard %d", len(sent), len(heard))
	}
	return sent, heard
}

// writeVoice writes the person's voice at another sampling rate, the same in all
// channels.
func writeVoice(t *testing.T, file string, rate, channels int) {
	t.Helper()
	said := readSound(t, personVoice)[:10*codec.Rate]
	x := make([]float32, len(said))
	for i, v := range said {
		x[i] = float32(v)
	}
	var pcm []int16
	for _, v := range codec.Resample(x, codec.Rate, rate) {
		for range channels {
			pcm = append(pcm, int16(max(-32768, min(32767, v))))
		}
	}
	var b bytes.Buffer
	if err := codec.WriteWAV(&b, rate, pcm); err != nil {
		t.Fatal(err)
	}
	head := b.Bytes() // of one channel: the fields of the format chunk that know of more
	head[22], head[32] = byte(channels), byte(2*channels)
	binary.LittleEndian.PutUint32(head[28:], uint32(2*channels*rate))
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lawful runs the phone at lawfulHost until the test ends.
func lawful(t *testing.T) {
	t.Helper()
	dir := softphone(t, lawfulHost, "<sip:echo@"+lawfulHost+">;regint=0;audio_codecs=PCMU/8000/1", `
audio_source aubridge,back
audio_player aubridge,back
module g711.so
module aubridge.so
module echo.so
`)
	cmd := exec.Command("baresip", "-f", dir, "-p", dir)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	waitFor(t, "baresip to listen", func() bool { return udpListens(lawfulHost + ":5060") })
}

// softphone writes the configuration of a baresip.
func softphone(t *testing.T, host, account, config string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{
		"config":   "sip_listen " + host + ":5060\nnet_interface " + host + "\nrtp_ports 17000-17100\nmodule_path /usr/lib/baresip/modules\n" + config + "module account.so\nmodule menu.so\n",
		"accounts": account + "\n",
		"contacts": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
