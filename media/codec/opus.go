package codec

import (
	"errors"
	"fmt"

	"github.com/pion/opus"
)

// opusLongest is the longest Opus packet, 120 ms (RFC 6716 section 3.4), samples at Rate.
const opusLongest = 120 * Rate / 1000

// opusDecoder turns Opus (RFC 6716, RFC 7587) into mono samples at Rate, which
// the codec's own decoder resamples to, for the analysis.
type opusDecoder struct {
	d   opus.Decoder
	out [opusLongest]int16
}

func newOpus() (speech, error) {
	o := &opusDecoder{}
	if err := o.d.Init(Rate, 1); err != nil {
		return nil, fmt.Errorf("opus decoder: %w", err)
	}
	return o, nil
}

// errBroken is a panic of a decoder that is not ours.
var errBroken = errors.New("its decoder failed")

// decode implements speech. A packet that the library panics on is an error like
// any other, and the decoder begins anew.
func (o *opusDecoder) decode(dst []int16, payload []byte) (_ []int16, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("opus: %w: %v", errBroken, v)
		}
	}()
	n, err := o.d.DecodeToInt16(payload, o.out[:])
	if err != nil {
		return dst, fmt.Errorf("opus: %w", err)
	}
	return append(dst, o.out[:min(n, len(o.out))]...), nil
}
