package prompt

import "math"

// Tones are as loud as speech: −12 dB below a full-scale sine, −9 dBm0.
const toneLevel = 8000.0

// beep is 200 ms of 1 kHz.
func beep() []int16 { return tone(Rate/5, 1000) }

// ringback is one period of the European ringing tone: 1 s of 425 Hz, 4 s of
// silence (ITU-T E.180 supplement 2).
func ringback() []int16 { return append(tone(Rate, 425), make([]int16, 4*Rate)...) }

// tone is n samples of f Hz that rise and fall within 10 ms, so that they do not click.
func tone(n int, f float64) []int16 {
	const edge = Rate / 100
	out := make([]int16, n)
	for i := range out {
		level := toneLevel * math.Min(1, math.Min(float64(i), float64(n-1-i))/edge)
		out[i] = int16(math.Round(level * math.Sin(2*math.Pi*f*float64(i)/Rate)))
	}
	return out
}
