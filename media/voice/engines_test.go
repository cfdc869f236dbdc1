package voice_test

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/voice/training"
)

// sentence is in no training data.
const sentence = "The second delivery of the week has been delayed by heavy snow on the mountain road. We will ring you again as soon as the driver has left the depot, probably late in the evening."

// engine is a voice of a Debian package and the least ratio that its sentence gets.
type engine struct {
	name    string
	command []string // FILE is where it writes
	least   float64
}

var engines = []engine{
	{"espeak-ng en", []string{"espeak-ng", "-v", "en", "-w", "FILE", sentence}, 1.5},
	{"espeak-ng en-us, slow and high", []string{"espeak-ng", "-v", "en-us", "-s", "130", "-p", "70", "-w", "FILE", sentence}, 1.5},
	{"espeak-ng en+f2", []string{"espeak-ng", "-v", "en+f2", "-w", "FILE", sentence}, 1.5},
	{"flite slt", []string{"flite", "-voice", "slt", "-t", sentence, "-o", "FILE"}, 1.5},
	{"flite rms", []string{"flite", "-voice", "rms", "-t", sentence, "-o", "FILE"}, 1.5},
	{"flite awb", []string{"flite", "-voice", "awb", "-t", sentence, "-o", "FILE"}, 1.5},
	{"flite kal", []string{"flite", "-voice", "kal", "-t", sentence, "-o", "FILE"}, 0.5},
	{"festival slt, HMM", []string{"sh", "-c", `echo "$1" | text2wave -eval "(voice_cmu_us_slt_arctic_hts)" -o "$0"`, "FILE", sentence}, 1},
}

func (e *engine) say(t *testing.T) []int16 {
	t.Helper()
	if e.command[0] != "sh" {
		if _, err := exec.LookPath(e.command[0]); err != nil {
			t.Skipf("%s is not installed: testdata/interop/setup test installs it", e.command[0])
		}
	} else if _, err := exec.LookPath("text2wave"); err != nil {
		t.Skip("text2wave is not installed: testdata/interop/setup test installs it")
	}
	file := filepath.Join(t.TempDir(), "said.wav")
	args := make([]string, len(e.command))
	for i, a := range e.command {
		args[i] = strings.ReplaceAll(a, "FILE", file)
	}
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", e.name, err, out)
	}
	return readWAV(t, file)
}

func readWAV(t *testing.T, file string) []int16 {
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

// The classic engines are recognised, and what a line does to them moves their
// scores little.
func TestEngines(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			line := training.CleanLine(e.say(t))
			base := hear(line)
			if base.Abstained != "" || base.LLR < e.least {
				t.Fatalf("LLR %+.2f, at least %+.1f expected: %s", base.LLR, e.least, base.Says)
			}
			t.Logf("LLR %+.2f ±%.2f", base.LLR, base.Uncertainty)
			moved := func(db, offset float64, law codec.Law, lead int) []int16 {
				out := make([]int16, lead, lead+len(line))
				for _, v := range line {
					v := math.Round(float64(v)*math.Pow(10, db/20) + offset)
					out = append(out, int16(math.Max(-32768, math.Min(32767, v))))
				}
				return codec.Companded(out, law)
			}
			for _, c := range []struct {
				name string
				pcm  []int16
				most float64
			}{
				{"12 dB louder", moved(12, 0, codec.MuLaw, 0), 1},
				{"12 dB quieter", moved(-12, 0, codec.MuLaw, 0), 1},
				{"an offset", moved(0, 400, codec.MuLaw, 0), 1},
				{"A-law", moved(0, 0, codec.ALaw, 0), 1},
				{"half a hop later", moved(0, 0, codec.MuLaw, 37), .7},
				{"3 s of silence first", moved(0, 0, codec.MuLaw, 24000), .7},
			} {
				if s := hear(c.pcm); s.Abstained != "" || math.Abs(s.LLR-base.LLR) > c.most {
					t.Errorf("%s: LLR %+.2f instead of %+.2f (%s)", c.name, s.LLR, base.LLR, s.Abstained)
				}
			}
		})
	}
}

// Professional announcers must not be moved by the score alone.
func TestAnnouncers(t *testing.T) {
	files, err := filepath.Glob("/usr/share/asterisk/sounds/en_US_f_Allison/*.wav")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("asterisk-core-sounds-en-wav is not installed: testdata/interop/setup test installs it")
	}
	var judged, moved, sum float64
	for i := 0; i < len(files); i += 3 {
		s := hear(training.CleanLine(readWAV(t, files[i])))
		if s.Abstained != "" {
			continue
		}
		judged++
		sum += s.LLR
		if s.LLR >= training.MovesAt {
			moved++
			t.Logf("%s: %s", files[i], s.Says)
		}
	}
	if judged < 30 || moved > judged/100 || sum > 0 {
		t.Errorf("%v announcements judged, %v of them moved, mean LLR %+.2f: at most 1 %% may be moved, and the mean must be under 0", judged, moved, sum/judged)
	}
	t.Logf("%v announcements, mean LLR %+.2f", judged, sum/judged)
}
