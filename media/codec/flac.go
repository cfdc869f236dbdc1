package codec

import (
	"errors"
	"fmt"
	"io"

	"github.com/mewkiz/flac"
)

// readFLAC reads a FLAC stream (RFC 9639). Metadata but for STREAMINFO is
// skipped unread. A damaged file is an error; so is one that ends before the
// number of samples that its STREAMINFO gives.
func readFLAC(r io.Reader) (a *Audio, err error) {
	// The decoder indexes by values out of the stream. A file from outside must
	// not end the process, whatever it holds.
	defer func() {
		if p := recover(); p != nil {
			a, err = nil, fmt.Errorf("flac: the stream is damaged: %v", p)
		}
	}()
	s, err := flac.New(r)
	if err != nil {
		return nil, fmt.Errorf("flac: reading the stream's header: %w", short(err))
	}
	rate, channels, bits := int(s.Info.SampleRate), int(s.Info.NChannels), int(s.Info.BitsPerSample)
	if err := checkShape(rate, channels); err != nil {
		return nil, fmt.Errorf("flac: %w", err)
	}
	if bits < 4 || bits > 32 { // RFC 9639 section 8.2
		return nil, fmt.Errorf("flac: %d bits a sample: 4 to 32 are allowed", bits)
	}
	if s.Info.NSamples > MaxFileSamples/uint64(channels) {
		return nil, fmt.Errorf("flac: %w", ErrTooLong)
	}
	a = &Audio{Rate: rate, Samples: make([][]float32, channels)}
	gain := 1 / float32(uint64(1)<<(bits-1))
	for n := 0; ; n++ {
		f, err := s.ParseNext()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("flac: frame %d: %w", n, err)
		}
		if len(f.Subframes) != channels || f.SampleRate != 0 && int(f.SampleRate) != rate ||
			f.BitsPerSample != 0 && int(f.BitsPerSample) != bits {
			return nil, fmt.Errorf("flac: frame %d has another rate, sample size or number of channels than the stream", n)
		}
		if (len(a.Samples[0])+int(f.BlockSize))*channels > MaxFileSamples {
			return nil, fmt.Errorf("flac: %w", ErrTooLong)
		}
		for c, sub := range f.Subframes {
			if len(sub.Samples) != int(f.BlockSize) {
				return nil, fmt.Errorf("flac: frame %d holds %d samples instead of %d", n, len(sub.Samples), f.BlockSize)
			}
			for _, v := range sub.Samples {
				a.Samples[c] = append(a.Samples[c], float32(v)*gain)
			}
		}
	}
	if got := uint64(len(a.Samples[0])); s.Info.NSamples != 0 && got < s.Info.NSamples {
		return nil, fmt.Errorf("flac: the stream claims %d samples, the file ends after %d of them", s.Info.NSamples, got)
	}
	return a, nil
}
