package voice

import (
	"fmt"
	"math"

	"github.com/portero/portero/policy"
)

// Below these the Listener abstains.
const (
	minSpeech = 1.5  // s of speech
	minSNR    = 15.0 // dB
	// Speech mixed with steady noise at a known ratio measures 2 dB more: hops that
	// the noise made loud enough are counted, quieter ones of speech are not.
	biasSNR = 2.0 // dB

	// Of 1,280 clips of speech, human and synthetic, none had a timbre that
	// varied less than 2.5, or a median log flux under 0.4: less is a tone, keys,
	// an instrument or a hiss, of which the model knows nothing.
	minTimbre  = 2.4
	minLogFlux = -1.5
)

// Score is what a Listener makes of the speech so far.
type Score struct {
	LLR           float64 // ln(P(speech|machine)/P(speech|human)), 0 when abstaining
	Uncertainty   float64 // standard deviation of the LLR: how far that of another stretch of this voice as long lies off; 0 when abstaining
	PSynthetic    float64 // 1/(1+e^-LLR): the probability at even odds
	SpeechSeconds float64 // speech heard, s
	Seconds       float64 // audio heard, s
	Abstained     string  // why there is no score; empty when there is one
	Says          string  // the score as a supervisor would say it
}

// Listener hears one caller. It takes consecutive samples at 8 kHz in frames of
// any length, allocates nothing per frame, and needs about 40 KB. It is not safe
// for use by several goroutines at once.
type Listener struct {
	model    *Model
	activity Activity
	analyser analyser
	stats    statistics

	ring  [window]float32 // the last samples
	at    int             // where the next one goes
	taken int             // samples, up to window

	recent   [maxMemory]spectrum // of the last hops
	n        int                 // hops analysed
	wasLoud  bool                // the hop before the last
	refSum   float64             // power in the filters, over loud hops
	refCount float64
	lastF0   [2]float32 // F0 of the hop before the centre, and of that before it; 0 unless voiced in a row
	segment  int        // start of the latest speech whose pause and length are counted
	lastEnd  int
	wasOn    bool
	feats    []float64
	tap      func(hop int, v []float32)
	tapped   [inputs]float32
}

const (
	maxMemory = 64 // hops of spectra kept; more than the longest lag
	centre    = 2  // hops from the newest spectrum to the one that is counted
)

// NewListener makes a Listener that judges by m. With nil it only detects speech.
func NewListener(m *Model) *Listener {
	return &Listener{model: m, feats: make([]float64, 0, len(featureNames))}
}

// Frame takes the next samples.
func (l *Listener) Frame(pcm []int16) {
	for _, s := range pcm {
		l.ring[l.at] = float32(s) / 32768
		if l.at++; l.at == window {
			l.at = 0
		}
		if l.taken < window {
			l.taken++
		}
		if l.activity.sample(s) {
			l.endHop()
		}
	}
}

// Activity is the detector that the Listener runs; others may read it.
func (l *Listener) Activity() *Activity { return &l.activity }

func (l *Listener) endHop() {
	l.countPauses()
	loud := l.wasLoud // the window's middle is 16 ms ago: the hop before this
	l.wasLoud = l.activity.loud
	if l.taken < window {
		return
	}
	s := &l.recent[l.n%maxMemory]
	l.n++
	s.loud = loud
	ref := 0.0
	if l.refCount > 0 {
		ref = l.refSum / l.refCount
	}
	power := l.analyser.analyse(&l.ring, l.at, ref, s)
	if loud {
		l.refSum += power
		l.refCount++
	}
	if l.n > 2*centre {
		l.count()
	}
}

// back is the spectrum of n hops before the newest.
func (l *Listener) back(n int) *spectrum { return &l.recent[(l.n-1-n+maxMemory)%maxMemory] }

// count adds the spectrum in the middle of the last five to the statistics.
func (l *Listener) count() {
	s := l.back(centre)
	if !s.loud {
		l.lastF0 = [2]float32{}
		return
	}
	if l.tap != nil {
		s.vector(&l.tapped)
		l.tap(l.n, l.tapped[:])
	}
	st := &l.stats
	p2, p1, n1, n2 := l.back(centre+2), l.back(centre+1), l.back(centre-1), l.back(centre-2)
	var flux float32
	for k := range s.c {
		st.static[k].add(s.c[k])
		st.delta[k].add((2*(n2.c[k]-p2.c[k]) + n1.c[k] - p1.c[k]) / 10)
		st.accel[k].add((n2.c[k] - 2*s.c[k] + p2.c[k]) / 4)
		if k > 0 {
			flux += (s.c[k] - p1.c[k]) * (s.c[k] - p1.c[k])
		}
	}
	for k := range st.withLoud {
		st.withLoud[k].add(s.c[0], s.c[k+1])
	}
	for k := range st.together {
		st.together[k].add(n1.c[k]-p1.c[k], n1.c[k+1]-p1.c[k+1])
	}
	st.flux.add(float32(math.Sqrt(float64(flux))))
	st.logFlux.add(float32(4 * math.Log(float64(flux)+1e-6)))
	st.harmonic.add(s.harmonic)
	st.flatness.add(s.flatness)
	st.centroid.add(s.centroid)
	st.crest.add(min(s.crest, 30))
	st.skew.add(s.skew)
	st.level.add(s.c[0])
	st.harmonics.add(12 * s.harmonic)
	st.motion.add(l, s)
	l.countPitch(s)
	for i, lag := range lags {
		if l.n <= centre+lag {
			break
		}
		if o := l.back(centre + lag); o.loud {
			st.loudMemory[i].add(s.c[0], o.c[0])
			st.timbreMemory[i].add(s.c[1], o.c[1])
		}
	}
}

func (l *Listener) countPitch(s *spectrum) {
	if s.f0 == 0 {
		l.lastF0 = [2]float32{}
		return
	}
	st := &l.stats
	f := float32(math.Log(float64(s.f0)))
	st.pitch.add(f)
	// A jump of more than a fifth of an octave in 10 ms is the tracker's, not the voice's.
	if p := l.lastF0[0]; p != 0 && math.Abs(float64(f-p)) < 0.15 {
		st.pitchStep.add(100 * (f - p))
		st.step.add(logOf(100 * (f - p)))
		if pp := l.lastF0[1]; pp != 0 && math.Abs(float64(p-pp)) < 0.15 {
			st.pitchBend.add(100 * (f - 2*p + pp))
			st.bend.add(logOf(100 * (f - 2*p + pp)))
		}
	}
	l.lastF0[1], l.lastF0[0] = l.lastF0[0], f
}

// logOf is four times the natural log of a magnitude, from 0.01 on.
func logOf(v float32) float32 {
	return float32(4 * math.Log(math.Max(0.01, math.Abs(float64(v)))))
}

// countPauses adds to the rhythm: the lengths of speech and of the pauses in it.
func (l *Listener) countPauses() {
	a := &l.activity
	switch {
	case a.active && !l.wasOn:
		if l.lastEnd > 0 {
			l.stats.gaps.add(min(3, float32(a.started-l.lastEnd)*hop/rate))
		}
		l.segment = a.started
	case !a.active && l.wasOn:
		l.stats.turns.add(min(10, float32(a.ended-l.segment)*hop/rate))
		l.lastEnd = a.ended
	}
	l.wasOn = a.active
}

// Features are what the model judges by, in the order of FeatureNames. The
// slice is the Listener's and valid until its next use.
func (l *Listener) Features() []float64 {
	l.feats = l.stats.features(l.feats, &l.activity)
	return l.feats
}

// FeatureNames are the names of Features.
func FeatureNames() []string { return featureNames }

// Abstains says why nothing can be said of what was heard so far, whatever the
// model; empty if something can.
func (l *Listener) Abstains() string {
	switch a := &l.activity; {
	case a.SpeechSeconds() < minSpeech:
		return fmt.Sprintf("%.1f s of speech, at least %.1f s are needed", a.SpeechSeconds(), minSpeech)
	case a.SNR()-biasSNR < minSNR:
		return fmt.Sprintf("speech only %.0f dB above the noise, at least %.0f dB are needed", math.Max(0, a.SNR()-biasSNR), minSNR)
	case l.stats.timbre() < minTimbre || l.stats.logFlux.quantile(.5) < minLogFlux:
		return "tones or noise, nothing that varies as a voice does"
	case l.model == nil:
		return "no model"
	}
	return ""
}

// strange says that the features x are unlike speech that the model knows.
func (l *Listener) strange(x []float64) string {
	if l.model.Strangeness(x) > l.model.Strange {
		return "unlike any speech that the model has learnt from"
	}
	return ""
}

// Score judges the speech so far.
func (l *Listener) Score() Score {
	s := Score{
		SpeechSeconds: l.activity.SpeechSeconds(),
		Seconds:       l.activity.Seconds(),
		PSynthetic:    0.5,
	}
	if s.Abstained = l.Abstains(); s.Abstained == "" {
		s.Abstained = l.strange(l.Features())
	}
	if s.Abstained != "" {
		s.Says = "the voice is not judged: " + s.Abstained
		return s
	}
	s.LLR = l.model.LLR(l.feats, s.SpeechSeconds)
	s.Uncertainty = l.model.Cal.Spread(s.SpeechSeconds)
	s.PSynthetic = 1 / (1 + math.Exp(-s.LLR))
	s.Says = says(s.LLR, s.Uncertainty, s.SpeechSeconds)
	s.Says += ": " + because(l.reasons(l.feats))
	return s
}

func says(llr, spread, seconds float64) string {
	what := ""
	switch times := math.Exp(math.Abs(llr)); {
	case math.Abs(llr) < 0.3:
		what = "could as well be a person's as a machine's"
	case llr > 0:
		what = fmt.Sprintf("is %.1f times likelier from a synthesizer than from a person", times)
	default:
		what = fmt.Sprintf("is %.1f times likelier from a person than from a synthesizer", times)
	}
	return fmt.Sprintf("the sound of the voice %s (%.0f s of speech; give or take a factor of %.1f)", what, seconds, math.Exp(spread))
}

// Evidence is the score as evidence "voice.synthetic"; none while the Listener abstains.
func (l *Listener) Evidence() []policy.Evidence {
	s := l.Score()
	if s.Abstained != "" {
		return nil
	}
	return []policy.Evidence{{Name: "voice.synthetic", LLR: s.LLR, Says: s.Says}}
}

// inputs is how many numbers describe a window to a network.
const inputs = ceps + 6 + combBands + rippleBands + 4

// Tap has f called for every window of speech with its hop and what a network
// is given of it.
func (l *Listener) Tap(f func(hop int, v []float32)) { l.tap = f }

func (s *spectrum) vector(v *[inputs]float32) {
	n := copy(v[:], s.c[:])
	f := float32(0)
	if s.f0 > 0 {
		f = float32(math.Log(float64(s.f0) / 150))
	}
	n += copy(v[n:], []float32{f, s.harmonic, s.flatness, s.centroid, min(s.crest, 30), min(s.skew, 5)})
	n += copy(v[n:], s.comb[:])
	n += copy(v[n:], s.ripple[:])
	copy(v[n:], []float32{s.slant, s.gain, s.peaky, s.lean})
}
