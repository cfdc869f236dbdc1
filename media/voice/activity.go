package voice

import "math"

// The detector's hop and thresholds.
const (
	rate = 8000 // Hz
	hop  = 80   // samples: 10 ms

	onsetHops    = 4   // loud hops in a row that begin speech; fewer are a click
	hangoverHops = 20  // quiet hops in a row that end it (200 ms, as ITU-T P.56 bridges pauses)
	floorPart    = 50  // hops in one part of the window in which the floor is sought
	floorParts   = 4   // parts: the floor follows rising noise within 2.5 s
	floorBias    = 2.0 // dB from the least hop of noise to its mean
	overFloor    = 8.0 // dB above the floor that make a hop loud
	belowPeak    = 35. // dB below the loudest recent hops that are still loud
	peakDecay    = .02 // dB a hop by which that loudness is forgotten
	absoluteDB   = -60 // dBFS under which nothing is speech: idle lines are at −65 and less
	silenceDB    = -90 // dBFS, the lowest level told apart
)

// Activity detects speech in consecutive samples at 8 kHz by level, against a
// noise floor that it learns as it goes (least level of the last 2.5 s). It
// takes any frame length and does the same whatever the frames are. The zero
// value is ready.
type Activity struct {
	x1, y1 float64 // high-pass: DC and hum are no speech
	power  float64 // of the hop so far
	fill   int     // samples in the hop so far

	hops      int
	least     [floorParts + 1]float64 // least level of each part, the first is the current one's
	parts     int
	floor     float64 // dBFS
	peak      float64 // dBFS
	loud      bool    // the last hop
	run, idle int     // loud hops in a row; quiet hops in a row
	active    bool
	speech    int // hops of speech, inner pauses up to the hangover counted
	started   int // hop at which the latest speech began
	ended     int // hop after the latest loud one

	speechPower float64 // sum over loud hops of their power
	loudHops    int
	noiseDB     float64 // sum over quiet hops outside the hangover of their level
	quietHops   int
}

// Frame takes the next samples and says whether the caller speaks at their end.
// Pauses of less than 200 ms do not end speech.
func (a *Activity) Frame(pcm []int16) bool {
	for _, s := range pcm {
		a.sample(s)
	}
	return a.active
}

// sample takes one sample and says whether it completed a hop.
func (a *Activity) sample(s int16) bool {
	x := float64(s)
	a.y1 = x - a.x1 + 0.95*a.y1
	a.x1 = x
	a.power += a.y1 * a.y1
	if a.fill++; a.fill < hop {
		return false
	}
	a.endHop(a.power / (hop * 32768 * 32768))
	a.power, a.fill = 0, 0
	return true
}

func (a *Activity) endHop(power float64) {
	db := math.Max(silenceDB, 10*math.Log10(power+1e-12))
	a.follow(db)
	a.loud = db > math.Max(math.Max(a.floor+overFloor, a.peak-belowPeak), absoluteDB)
	a.hops++
	if a.loud {
		a.run++
		a.loudHops++
		a.speechPower += power
		if !a.active && a.run >= onsetHops {
			a.active = true
			a.started = a.hops - a.run
			a.speech += a.run
		} else if a.active {
			a.speech += a.idle + 1
		}
		if a.active {
			a.ended = a.hops
		}
		a.idle = 0
		return
	}
	a.run = 0
	a.idle++
	if a.idle > hangoverHops {
		a.active = false
		a.noiseDB += db
		a.quietHops++
	}
}

// follow updates the noise floor and the peak level.
func (a *Activity) follow(db float64) {
	if a.hops%floorPart == 0 {
		copy(a.least[1:], a.least[:])
		a.least[0] = db
		a.parts = min(a.parts+1, len(a.least))
	}
	a.least[0] = math.Min(a.least[0], db)
	low := a.least[0]
	for _, l := range a.least[1:a.parts] {
		low = math.Min(low, l)
	}
	a.floor = low + floorBias
	if a.hops == 0 {
		a.peak = silenceDB
	}
	a.peak = math.Max(db, a.peak-peakDecay)
}

// Active says whether the caller speaks, as Frame last returned it.
func (a *Activity) Active() bool { return a.active }

// Seconds is the length of audio taken, s.
func (a *Activity) Seconds() float64 { return float64(a.hops*hop+a.fill) / rate }

// SpeechSeconds is the time spoken so far, s: pauses of less than 200 ms are part of it.
func (a *Activity) SpeechSeconds() float64 { return float64(a.speech*hop) / rate }

// Started is when the latest speech began, s into the audio taken, to 10 ms; 0
// if there was none. It is known 40 ms later.
func (a *Activity) Started() float64 { return float64(a.started*hop) / rate }

// Ended is the end of the latest loud 10 ms of the latest speech, s into the
// audio taken; 0 if there was none. While Active, speech may still go on.
func (a *Activity) Ended() float64 { return float64(a.ended*hop) / rate }

// Floor is the noise floor now, dBFS of a full-scale square wave, at least −88.
func (a *Activity) Floor() float64 {
	if a.hops == 0 {
		return silenceDB + floorBias
	}
	return a.floor
}

// Level is the mean level of speech so far, dBFS of a full-scale square wave;
// −90 if there was none.
func (a *Activity) Level() float64 {
	if a.loudHops == 0 {
		return silenceDB
	}
	return math.Max(silenceDB, 10*math.Log10(a.speechPower/float64(a.loudHops)+1e-12))
}

// SNR is the mean level of speech over the level of its pauses, dB, 0 to 60;
// over the noise floor when there was no pause yet.
func (a *Activity) SNR() float64 {
	if a.loudHops == 0 {
		return 0
	}
	noise := a.Floor()
	if a.quietHops >= 10 {
		noise = a.noiseDB / float64(a.quietHops)
	}
	return math.Min(60, math.Max(0, a.Level()-noise))
}
