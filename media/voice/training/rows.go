package training

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/portero/portero/media/voice"
)

// Clip is one labelled recording.
type Clip struct {
	Path      string
	Synthetic bool
	Kind      string  // of speech or synthesis, for the report
	Source    string  // where it comes from: the group of its recording conditions
	Speaker   string  // who speaks, or the synthesizer
	Language  string  // spoken, if known
	Weight    float64 // in training, beside what Weights gives; 0 is 1
	PCM       []int16 // mono, 8 kHz
}

// Row is what a listener has of a clip at a moment.
type Row struct {
	Clip    int       // index of the clip
	Copy    int       // 0 is the clean line, others are augmented
	Stage   int       // 0 to 3: after 2, 4, 8, 16 s of speech; 4: at the clip's end
	Seconds float64   // speech heard, s
	X       []float64 // features
}

// stages are the seconds of speech after which rows are taken, beside the end.
var stages = [...]float64{2, 4, 8, 16}

// AtEnd is the stage of rows taken at a clip's end.
const AtEnd = len(stages)

// Prepare gives what a model learns from: the clips and the calls that can be
// joined of them, and rows of both. Of calls, which are heard over two lines, only
// the moments late in them are taken: the clips have the early ones.
func Prepare(clips []Clip, noises Noises, o Options) ([]Clip, []Row) {
	rows := Rows(clips, noises, o.Copies, o.Seed)
	calls := Calls(clips, o.Seed)
	for _, r := range Rows(calls, noises, min(2, o.Copies), o.Seed) {
		if r.Stage >= AtEnd-1 {
			r.Clip += len(clips)
			rows = append(rows, r)
		}
	}
	return append(clips[:len(clips):len(clips)], calls...), rows
}

// Rows listens to every clip over the clean line and over copies-1 augmented
// ones. Moments at which the listener abstains give no row. The rows are in the
// clips' order whatever the number of processors.
func Rows(clips []Clip, noises Noises, copies int, seed uint64) []Row {
	byClip := make([][]Row, len(clips))
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				byClip[i] = clipRows(&clips[i], i, noises, copies, seed)
			}
		})
	}
	for i := range clips {
		next <- i
	}
	close(next)
	wg.Wait()
	var rows []Row
	for _, r := range byClip {
		rows = append(rows, r...)
	}
	return rows
}

func clipRows(c *Clip, index int, noises Noises, copies int, seed uint64) []Row {
	var rows []Row
	for n := range copies {
		var pcm []int16
		if n == 0 {
			pcm = CleanLine(c.PCM)
		} else {
			// Seeded by the clip's name, so that one clip more changes no other's rows.
			h := fnv.New64a()
			h.Write([]byte(c.Path))
			pcm = Line(c.PCM, noises, rand.New(rand.NewPCG(seed+uint64(n), h.Sum64())))
		}
		for _, r := range Moments(pcm) {
			r.Clip, r.Copy = index, n
			rows = append(rows, r)
		}
	}
	return rows
}

// Moments listens to pcm and gives a row for each stage at which the listener
// does not abstain for want of speech or for noise.
func Moments(pcm []int16) []Row {
	var rows []Row
	l := voice.NewListener(blank)
	take := func(stage int) {
		if l.Abstains() != "" {
			return
		}
		rows = append(rows, Row{
			Stage:   stage,
			Seconds: l.Activity().SpeechSeconds(),
			X:       append([]float64(nil), l.Features()...),
		})
	}
	stage := 0
	for len(pcm) > 0 {
		n := min(160, len(pcm))
		l.Frame(pcm[:n])
		pcm = pcm[n:]
		for stage < len(stages) && l.Activity().SpeechSeconds() >= stages[stage] {
			take(stage)
			stage++
		}
	}
	take(AtEnd)
	return rows
}

// blank is a model that is never asked: a listener without one abstains.
var blank = &voice.Model{}

// Weights gives every row its weight: a source's speaker or synthesizer counts
// as the square root of its clips, a clip's rows share its weight, in a source
// that holds both classes these are brought closer to the same weight, and among
// rows with about as much speech both classes weigh the same. The last two
// matter: else a model learns the recording conditions of a source that has more
// of one class, and which class had the longer clips. All weights together are
// the number of rows.
func Weights(clips []Clip, rows []Row) []float64 {
	type group struct {
		source, speaker string
		synthetic       bool
	}
	of := func(c *Clip) group { return group{c.Source, c.Speaker, c.Synthetic} }
	perClip := make([]float64, len(clips))
	for _, r := range rows {
		perClip[r.Clip]++
	}
	size := map[group]float64{}
	for i := range clips {
		if perClip[i] > 0 {
			size[of(&clips[i])]++
		}
	}
	w := make([]float64, len(rows))
	bySource := map[string]*[2]float64{}
	for i, r := range rows {
		c := &clips[r.Clip]
		w[i] = 1 / perClip[r.Clip] / sqrt(size[of(c)])
		if c.Weight > 0 {
			w[i] *= c.Weight
		}
		s := bySource[c.Source]
		if s == nil {
			s = new([2]float64)
			bySource[c.Source] = s
		}
		s[label(c)] += w[i]
	}
	var sum [len(spans) + 1][2]float64
	all := 0.0
	for i, r := range rows {
		c := &clips[r.Clip]
		if s := bySource[c.Source]; s[0] > 0 && s[1] > 0 {
			w[i] *= sqrt(math.Max(1./4, math.Min(4, s[1-label(c)]/s[label(c)])))
		}
		sum[span(r.Seconds)][label(c)] += w[i]
	}
	for i, r := range rows {
		s := sum[span(r.Seconds)]
		w[i] *= (s[0] + s[1]) / 2 / s[label(&clips[r.Clip])]
		all += w[i]
	}
	for i := range w {
		w[i] *= float64(len(rows)) / all
	}
	return w
}

// spans part rows by their seconds of speech.
var spans = [...]float64{2.5, 3.5, 5, 7, 10, 18}

func span(seconds float64) int {
	for i, s := range spans {
		if seconds < s {
			return i
		}
	}
	return len(spans)
}

func label(c *Clip) int {
	if c.Synthetic {
		return 1
	}
	return 0
}
