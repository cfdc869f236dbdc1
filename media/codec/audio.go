package codec

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/zaf/g711"
)

// Limits of an audio file. They bound memory whatever the file claims.
const (
	MinFileRate    = 8000    // lowest sampling rate read, Hz
	MaxFileRate    = 192000  // highest sampling rate read, Hz
	MaxChannels    = 8       // most channels read
	MaxFileSamples = 1 << 27 // most samples read, all channels together: 4.6 h of mono at 8 kHz
)

// ErrTooLong says that a file holds more than MaxFileSamples.
var ErrTooLong = errors.New("more samples than are read from one file (134217728, all channels together): cut it into shorter files")

// Audio is a decoded audio file.
type Audio struct {
	Rate    int         // sampling rate, Hz
	Samples [][]float32 // by channel, full scale ±1, all of one length
}

// Read decodes a WAV or FLAC file; which of the two is found by its first four
// bytes. Memory is taken as samples arrive, never by a length that the file claims.
func Read(r io.Reader) (*Audio, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	magic, err := b.Peek(4)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("only %d bytes: not a WAV or FLAC file", len(magic))
		}
		return nil, fmt.Errorf("reading the file's first bytes: %w", err)
	}
	switch {
	case string(magic) == "fLaC" || string(magic[:3]) == "ID3":
		return readFLAC(b)
	case string(magic) == "RIFF":
		return readWAV(b)
	case string(magic) == "RIFX" || string(magic) == "RF64" || string(magic) == "BW64":
		return nil, fmt.Errorf("a %s file: only RIFF WAV is read, convert it first", magic)
	}
	return nil, fmt.Errorf("starts with %q: neither WAV (RIFF) nor FLAC (fLaC)", magic)
}

// Seconds is the length of the audio, s.
func (a *Audio) Seconds() float64 {
	if len(a.Samples) == 0 || a.Rate == 0 {
		return 0
	}
	return float64(len(a.Samples[0])) / float64(a.Rate)
}

// Mono is the mean of all channels. With one channel it is that channel, not a copy.
func (a *Audio) Mono() []float32 {
	switch len(a.Samples) {
	case 0:
		return nil
	case 1:
		return a.Samples[0]
	}
	out := make([]float32, len(a.Samples[0]))
	g := 1 / float32(len(a.Samples))
	for _, c := range a.Samples {
		for i, v := range c {
			out[i] += g * v
		}
	}
	return out
}

// PCM is the audio as the analysis takes it: mono, 8 kHz, 16 bit.
func (a *Audio) PCM() []int16 {
	x := Resample(a.Mono(), a.Rate, Rate)
	out := make([]int16, len(x))
	for i, v := range x {
		out[i] = toInt16(v)
	}
	return out
}

// Companded is pcm after one way through a G.711 line of the given law: encoded
// and decoded again. NoLaw leaves it as it is. It works in place and returns pcm.
func Companded(pcm []int16, law Law) []int16 {
	switch law {
	case MuLaw:
		for i, v := range pcm {
			pcm[i] = g711.DecodeUlawFrame(g711.EncodeUlawFrame(v))
		}
	case ALaw:
		for i, v := range pcm {
			pcm[i] = g711.DecodeAlawFrame(g711.EncodeAlawFrame(v))
		}
	}
	return pcm
}

// toInt16 rounds and clips a sample of full scale ±1.
func toInt16(v float32) int16 {
	f := math.Round(float64(v) * 32768)
	switch {
	case f > math.MaxInt16:
		return math.MaxInt16
	case f < math.MinInt16:
		return math.MinInt16
	case f != f:
		return 0
	}
	return int16(f)
}

// checkShape refuses what no telephone recording is.
func checkShape(rate, channels int) error {
	if rate < MinFileRate || rate > MaxFileRate {
		return fmt.Errorf("sampling rate %d Hz: %d to %d Hz are read", rate, MinFileRate, MaxFileRate)
	}
	if channels < 1 || channels > MaxChannels {
		return fmt.Errorf("%d channels: 1 to %d are read", channels, MaxChannels)
	}
	return nil
}
