package main

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy/store"
)

// personVoice is a recording of a person's voice, of Debian's
// asterisk-core-sounds-en-wav.
const personVoice = "/usr/share/asterisk/sounds/en_US_f_Allison/demo-congrats.wav"

// baresip is a phone at 127.0.60.20 that says personVoice, unless dir has a say.wav,
// and records both sides into dir, for so many seconds. account is the rest of its account's line, and
// modules what it needs besides.
func baresip(t *testing.T, dir, account string, modules []string, seconds string, args ...string) *exec.Cmd {
	t.Helper()
	voice := filepath.Join(dir, "say.wav")
	if _, err := os.Stat(voice); err != nil {
		voice = personVoice
	}
	config := `
sip_listen 127.0.60.20:5060
net_interface 127.0.60.20
audio_source aufile,` + voice + `
audio_player aufile
ausrc_format s16
auplay_format s16
rtp_ports 17000-17100
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module sndfile.so
snd_path ` + dir + "\n"
	for _, m := range append(modules, "account", "menu") { // an account names what was loaded before
		config += "module " + m + ".so\n"
	}
	for name, text := range map[string]string{"config": config, "accounts": account + "\n", "contacts": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	phone := exec.Command("baresip", append([]string{"-f", dir, "-p", dir, "-t", seconds}, args...)...)
	phone.Dir = dir
	return phone
}

// baresipSaid is what a phone printed, without what it says of its bit rate ten
// times a second.
func baresipSaid(said []byte) []byte {
	return regexp.MustCompile(`\[[0-9:]+\] audio=\S+ \(bit/s\)\s*`).ReplaceAll(said, nil)
}

// testBaresip has a foreign phone call Asterisk's echo through the door: it must
// hear what it said.
func testBaresip(t *testing.T, b *bed) {
	d := b.open(t)
	dir := t.TempDir()
	from := b.pbxLogSize(t)
	said, err := baresip(t, dir, "<sip:+34600000020@"+doorHost+">;regint=0", nil, "8", "-e", "/dial sip:600@"+doorHost).CombinedOutput()
	said = baresipSaid(said)
	if err != nil {
		t.Fatalf("baresip: %v\n%s", err, said)
	}
	for _, want := range []string{"Call established", "incoming rtp for 'audio' established"} {
		if !bytes.Contains(said, []byte(want)) {
			t.Errorf("baresip did not say %q:\n%s", want, said)
		}
	}
	line := b.pbxSaid(t, from, "from=+34600000020", "to=sip:600@")
	id := regexp.MustCompile(`\bid=(\S+)`).FindStringSubmatch(line)
	if id == nil {
		t.Fatalf("no X-Portero-Call-ID at Asterisk: %s", line)
	}
	r := d.record(t, id[1])
	if r.CallerMedia.Packets < 200 || r.FarMedia.Packets < 200 || r.CallerMedia.Lost > 5 {
		t.Errorf("media of the caller %+v, of the far side %+v", r.CallerMedia, r.FarMedia)
	}
	for side, m := range map[string]store.Media{"caller": r.CallerMedia, "far side": r.FarMedia} {
		if m.MOS < 4 || m.MOS > 4.5 || m.TripMS < 0 || m.TripMS > 500 {
			t.Errorf("over loopback the %s's media has a MOS of %.2f and a round trip of %.1f ms", side, m.MOS, m.TripMS)
		}
	}
	if !strings.Contains(strings.ToLower(r.Fingerprint.UserAgent), "baresip") {
		t.Errorf("the caller's User-Agent is recorded as %q", r.Fingerprint.UserAgent)
	}
	sent, heard := recorded(t, dir, "enc"), recorded(t, dir, "dec")
	if c := likeness(sent[:min(len(sent), 4*codec.Rate)], heard); c < 0.95 {
		t.Errorf("baresip heard %d samples with a likeness of %.2f to the %d it sent", len(heard), c, len(sent))
	}
}

// recorded reads what baresip's sndfile module wrote of one direction.
func recorded(t *testing.T, dir, direction string) []int16 {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*-"+direction+".wav"))
	if len(files) != 1 {
		t.Fatalf("%d recordings of direction %s", len(files), direction)
	}
	return readSound(t, files[0])
}

func readSound(t *testing.T, file string) []int16 {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := codec.Read(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return a.PCM()
}

// likeness is the highest normalised correlation of sent with a part of heard,
// 1 for the same audio, over delays up to 2 s.
func likeness(sent, heard []int16) float64 {
	best := 0.0
	for delay := 0; delay < 2*codec.Rate && delay+codec.Rate < len(heard); delay++ {
		var xy, xx, yy float64
		for i := 0; i < min(len(sent), len(heard)-delay); i += 3 { // every third sample says enough
			x, y := float64(sent[i]), float64(heard[i+delay])
			xy, xx, yy = xy+x*y, xx+x*x, yy+y*y
		}
		if xx > 0 && yy > 0 {
			best = max(best, xy/math.Sqrt(xx*yy))
		}
	}
	return best
}
