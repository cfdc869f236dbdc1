package sound

import "math"

// Kind is what a caller's audio is, as rules see it (the fact `sound`).
type Kind string

// The kinds. Text, Fax and Modem stay once they are known; the others are those of
// the last seconds.
const (
	None  Kind = ""               // speech, silence, noise
	Text  Kind = "text_telephone" // a person who types, or a relay service
	Fax   Kind = "fax"
	Modem Kind = "modem"
	Tones Kind = "tones" // ringing, busy, information tones, a steady tone
	Music Kind = "music"
)

// Observer listens to one stream. The zero value is ready. It is not safe for
// concurrent use.
type Observer struct {
	samples [kept]float32 // the newest hop is the last
	fill    int           // samples in it that are not yet heard
	energy  float64       // of these
	hops    int

	now      transformed
	spectrum [size / 2]float32
	frame    frame

	tones    tones
	music    music
	channels [len(lines)]channel
	keys     keys
	distance distance

	loud    int // hops that are heard
	toned   int // of these, of a tone
	musical int // and of music
}

// kept are the samples that are at hand: those of the window, and what was sent
// before it was known that somebody sends.
const kept = (leastBand + 1) * hop

// quiet is the level under which nothing is listened to, dBFS of a full-scale
// square wave: idle lines are at −65 and less.
const quiet = -58.0

// Frame takes the next samples.
func (o *Observer) Frame(pcm []int16) {
	const old = kept - hop
	for _, s := range pcm {
		v := float32(s)
		o.samples[old+o.fill] = v
		o.energy += float64(v * v)
		if o.fill++; o.fill == hop {
			o.endHop(10 * math.Log10(o.energy/(hop*32768*32768)+1e-12))
			copy(o.samples[:old], o.samples[hop:])
			o.fill, o.energy = 0, 0
		}
	}
}

// longestGap bounds the work that a gap asks for: after so much silence nothing goes
// on that went on before.
const longestGap = 10 * rate

// silence takes the place of samples that never came.
var silence [hop]int16

// Gap takes the place of samples that never came, lost or not sent.
func (o *Observer) Gap(samples int) {
	for samples = min(samples, longestGap); samples > 0; samples -= hop {
		o.Frame(silence[:min(hop, samples)])
	}
}

// Key takes a key that the caller pressed: there are text telephones that write
// with them.
func (o *Observer) Key(key byte) { o.keys.press(key) }

func (o *Observer) endHop(db float64) {
	f := &o.frame
	f.db, f.peaks = db, 0
	if db > quiet {
		o.now.power((*[size]float32)(o.samples[kept-size:]), &o.spectrum)
		f.look(&o.spectrum)
	}
	phase := 0.0
	if f.peaks > 0 && o.tones.wants(f) {
		phase = o.now.phase(f.at[0])
	}
	o.hops++
	if f.peaks > 0 {
		o.loud++
	}
	o.distance.hear(db)
	o.toned += o.tones.hear(f, o.hops, phase)
	o.musical += o.music.hear(f)
	for i := range o.channels {
		c := &o.channels[i]
		c.hear(&lines[i], f, &o.samples)
		if c.sends() && !o.tones.open {
			o.tones.modem = "data by two tones, " + lines[i].name
		}
	}
}

// Kind is what the audio is.
func (o *Observer) Kind() Kind {
	switch {
	case o.writes() || o.keys.writes() || o.call() == callText:
		return Text
	case o.tones.fax || o.flags():
		return Fax
	case o.tones.modem != "" || o.call() == callData:
		return Modem
	case o.tones.lately(o.hops):
		return Tones
	case o.music.now:
		return Music
	case o.mostly(o.toned):
		return Tones
	case o.mostly(o.musical):
		return Music
	}
	return None
}

// writes says whether text comes by one of the lines.
func (o *Observer) writes() bool {
	for i := range o.channels {
		if o.channels[i].writes(&lines[i]) {
			return true
		}
	}
	return false
}

// flags says whether a fax sends its frames.
func (o *Observer) flags() bool {
	for i := range o.channels {
		if o.channels[i].flags.seen() {
			return true
		}
	}
	return o.call() == callFax
}

// call is the function that a modem calls for (ITU-T V.8 CI), 0 for none.
func (o *Observer) call() byte {
	for i := range o.channels {
		if c := o.channels[i].call; c != 0 {
			return c
		}
	}
	return 0
}

// Distant says that a voice comes from across a room: of a person who speaks freely,
// or of a loudspeaker. It tells nothing of which.
func (o *Observer) Distant() bool { return o.Kind() == None && !o.Speechless() && o.distance.far() }

// Characters is how many characters of a text telephone were heard.
func (o *Observer) Characters() int {
	n := o.keys.codes
	for i := range o.channels {
		n = max(n, o.channels[i].characters())
	}
	return n
}

// leastHops is how much of it there must be, for anything to follow.
const leastHops = 2 * hopsASec

// leastForeign is the part of what is heard from which on it is no voice that is
// heard, but something else with perhaps a voice in it.
const leastForeign = 0.5

// Speechless says that what is heard is not a voice for the most part: whatever
// listens for how people speak would judge something else.
func (o *Observer) Speechless() bool {
	switch o.Kind() {
	case Text, Fax, Modem:
		return true
	}
	return o.mostly(max(o.toned, o.musical))
}

func (o *Observer) mostly(hops int) bool {
	return hops >= leastHops && float64(hops) >= leastForeign*float64(o.loud)
}
