package codec

// G.722 at 64 kbit/s (ITU-T G.722 sections 3, 4 and 6, mode 1). The codec splits
// 16 kHz audio into two bands of 8 kHz samples each; a byte holds one sample of
// both, six bits of the lower and two of the upper. The lower band is what a
// telephone line carries, so that only it is decoded, and only it is spoken: the
// split is the resampling. The RTP clock is 8000 Hz, one unit a byte (RFC 3551
// section 4.5.2: an old mistake that stays).

// PayloadG722 is G.722's static payload type (RFC 3551 section 6).
const PayloadG722 = 9

// Table 15/G.722: the inverse quantizers of six and of four bits, and the
// quantizer's decision levels, in units of the scale factor.
var (
	g722Levels6 = [64]int32{
		-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
		-7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
		24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
		4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
	}
	g722Levels4 = [16]int32{
		0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
	}
	g722Decisions = [30]int32{
		0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714,
		786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
	}
	// g722Steps is how the logarithm of the scale factor moves, by the code's
	// upper four bits (WL and RL42 of table 16/G.722).
	g722Steps = [16]int32{-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60}
	// g722Powers is 2048·2^(i/32) (ILB of table 17/G.722).
	g722Powers = [32]int32{
		2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
		2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
	}
)

// g722Quiet are the upper two bits of a byte whose upper band is silent: the
// smallest step of its quantizer, whose scale factor then falls to nothing.
const g722Quiet = 3 << 6

// band is the lower band's adaptive predictor and quantizer, the same in the
// decoder and the encoder (sections 3.5 and 3.6). Names are the Recommendation's.
type band struct {
	scale int32    // DETL, the quantizer's scale factor; 0 before the first sample
	log   int32    // NBL, its logarithm
	s, sz int32    // the prediction, and its part from the zeros
	a     [2]int32 // poles
	b     [6]int32 // zeros
	r     [2]int32 // the last reconstructed samples
	p     [2]int32 // the last partly reconstructed ones
	d     [6]int32 // the last differences
}

// G722Decoder turns G.722 into samples at Rate, of the lower band. The zero value
// is at the beginning of a stream.
type G722Decoder struct{ band }

// Decode appends the samples of a payload to dst, one a byte, and returns it. It
// allocates only when dst is too short.
func (g *G722Decoder) Decode(dst []int16, payload []byte) []int16 {
	for _, c := range payload {
		dst = append(dst, g.Sample(c))
	}
	return dst
}

// Sample is the sample of the next byte.
func (g *G722Decoder) Sample(c byte) int16 {
	g.begin()
	code := c & 0x3F
	y := g.s + g.scale*g722Levels6[code]>>15
	g.adapt(code)
	return int16(min(max(y, -16384), 16383) << 1)
}

// G722Encoder turns samples at Rate into G.722 with a silent upper band. The zero
// value is at the beginning of a stream.
type G722Encoder struct{ band }

// Encode appends the bytes of pcm to dst, one a sample, and returns it. It
// allocates only when dst is too short.
func (g *G722Encoder) Encode(dst []byte, pcm []int16) []byte {
	for _, v := range pcm {
		dst = append(dst, g.Byte(v))
	}
	return dst
}

// Byte is the byte of the next sample.
func (g *G722Encoder) Byte(v int16) byte {
	g.begin()
	e := limit(int32(v)>>1 - g.s) // the band has 15 bits
	m := e
	if e < 0 {
		m = -(e + 1)
	}
	i := 1
	for i < 30 && m >= g722Decisions[i]*g.scale>>12 {
		i++
	}
	// Codes of rising magnitude: 61, 60, …, 32 when positive; 63, 62, 31, …, 4 when not.
	code := byte(62 - i)
	if e < 0 {
		if code = byte(34 - i); i <= 2 {
			code = byte(64 - i)
		}
	}
	g.adapt(code)
	return g722Quiet | code
}

func (g *band) begin() {
	if g.scale == 0 {
		g.scale = 32
	}
}

// adapt takes a code into the quantizer's scale and the predictor.
func (g *band) adapt(code byte) {
	code >>= 2 // what the predictor sees may be cut to four bits on the way (section 1.3)
	d := g.scale * g722Levels4[code] >> 15

	g.log = min(max(g.log*127>>7+g722Steps[code], 0), 18432)
	if shift := 8 - g.log>>11; shift >= 0 {
		g.scale = g722Powers[g.log>>6&31] >> shift << 2
	} else {
		g.scale = g722Powers[g.log>>6&31] << -shift << 2
	}

	p := limit(g.sz + d)
	r := limit(g.s + d)
	same := func(x int32) bool { return x>>31 == p>>31 }

	// The second pole, then the first within its reach (UPPOL2, UPPOL1).
	w := limit(g.a[0] << 2)
	if same(g.p[0]) {
		w = min(-w, 32767)
	}
	a2 := w>>7 - 128
	if same(g.p[1]) {
		a2 = w>>7 + 128
	}
	a2 = min(max(a2+g.a[1]*32512>>15, -12288), 12288)
	a1 := g.a[0] * 32640 >> 15
	if same(g.p[0]) {
		a1 += 192
	} else {
		a1 -= 192
	}
	reach := 15360 - a2
	a1 = min(max(a1, -reach), reach)

	// The zeros (UPZERO) and, in the same pass, what they predict (FILTEZ).
	step := int32(128)
	if d == 0 {
		step = 0
	}
	sz, before := int32(0), d
	for i, old := range g.d {
		b := g.b[i] * 32640 >> 15
		if old>>31 == d>>31 {
			b += step
		} else {
			b -= step
		}
		g.b[i], g.d[i] = b, before
		sz += b * limit(2*before) >> 15
		before = old
	}
	g.a = [2]int32{a1, a2}
	g.r[0], g.r[1] = r, g.r[0]
	g.p[0], g.p[1] = p, g.p[0]
	sp := a1*limit(2*g.r[0])>>15 + a2*limit(2*g.r[1])>>15
	g.sz = limit(sz)
	g.s = limit(limit(sp) + g.sz)
}

// limit is saturation to 16 bits.
func limit(x int32) int32 { return min(max(x, -32768), 32767) }
