package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/portero/portero/media/codec"
)

// prompts is where Debian's asterisk-core-sounds-en-wav has its recordings: a
// professional announcer, a person all the same.
const prompts = "/usr/share/asterisk/sounds/en_US_f_Allison"

// speechLevel is what speech is brought to, dBFS RMS: that of a telephone line.
const speechLevel = -26

// voices makes what the callers say. Its methods keep the first mistake, so
// that the cast reads as a list; rehearse tells it.
type voices struct {
	ctx   context.Context
	dir   string
	made  map[string][]int16
	fault error
}

// rehearse makes all voices and tells which could not be made.
func rehearse(ctx context.Context, dir string) (*voices, error) {
	v := &voices{ctx: ctx, dir: dir, made: map[string][]int16{}}
	acts(v)
	return v, v.fault
}

// person is a recorded prompt.
func (v *voices) person(name string) []int16 {
	return v.once("person "+name, func() ([]int16, error) {
		return readSpeech(filepath.Join(prompts, name+".wav"))
	})
}

// espeak has espeak-ng (a formant synthesizer) say a text.
func (v *voices) espeak(text string) []int16 {
	return v.engine("espeak-ng", text, func(file string) []string { return []string{"-v", "en-gb", "-w", file, text} })
}

// flite has flite (a statistical synthesizer, with its voice slt) say a text.
func (v *voices) flite(text string) []int16 {
	return v.engine("flite", text, func(file string) []string { return []string{"-voice", "slt", "-t", text, "-o", file} })
}

func (v *voices) engine(program, text string, args func(file string) []string) []int16 {
	return v.once(program+" "+text, func() ([]int16, error) {
		file := filepath.Join(v.dir, fmt.Sprintf("%s-%d.wav", program, len(v.made)))
		if out, err := exec.CommandContext(v.ctx, program, args(file)...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", program, err, out)
		}
		return readSpeech(file)
	})
}

func (v *voices) once(key string, make func() ([]int16, error)) []int16 {
	if pcm, ok := v.made[key]; ok || v.fault != nil {
		return pcm
	}
	pcm, err := make()
	if err != nil {
		v.fault = fmt.Errorf("a voice could not be made (testdata/interop/setup demo installs them): %w", err)
		return nil
	}
	v.made[key] = pcm
	return pcm
}

// readSpeech reads a sound file as 8 kHz samples at the level of a line.
func readSpeech(file string) ([]int16, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	a, err := codec.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	pcm := a.PCM()
	var sum float64
	loud := 0
	for _, s := range pcm {
		if s > 200 || s < -200 { // pauses do not count
			sum += float64(s) * float64(s)
			loud++
		}
	}
	if loud == 0 {
		return nil, fmt.Errorf("%s is silent", file)
	}
	gain := math.Pow(10, speechLevel/20.0) * 32768 / math.Sqrt(sum/float64(loud))
	for i, s := range pcm {
		pcm[i] = int16(max(math.MinInt16, min(math.MaxInt16, math.Round(float64(s)*gain))))
	}
	return pcm, nil
}

// lineNoise is seven seconds of what a telephone line sounds like when nobody
// speaks: dull noise some 30 dB below speech, which swells and falls as a room
// does.
func lineNoise() []int16 {
	r := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	pcm := make([]int16, 7*codec.Rate)
	low, swell := 0.0, 1.0
	for i := range pcm {
		if i%codec.Rate == 0 {
			swell = 0.6 + 0.8*r.Float64()
		}
		low = 0.9*low + r.NormFloat64()
		pcm[i] = int16(22 * swell * low)
	}
	return pcm
}
