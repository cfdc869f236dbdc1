package sound

// distance tells by how steeply the voice falls whether there is a room between the
// mouth, or a loudspeaker, and the microphone: a room goes on for a while.
type distance struct {
	past  [fallHops]float64 // levels of the last hops, dBFS
	at    int
	floor float64
	falls [fallBins]int // of 60 ms, from 20 dB over the floor and more: by steps of fallStep
	n     int
}

const (
	fallHops  = 3
	fallBins  = 25
	fallStep  = 2.0  // dB
	overFloor = 20.0 // dB that a fall begins over the floor
	floorRise = 0.05 // dB a hop by which the floor forgets
	leastFall = -70.0
)

func (d *distance) hear(db float64) {
	db = max(db, leastFall)
	if d.floor = min(d.floor+floorRise, db); d.n == 0 && d.floor == floorRise {
		d.floor = db
	}
	was := d.past[d.at]
	d.past[d.at] = db
	if d.at++; d.at == fallHops {
		d.at = 0
	}
	if was == 0 || was < d.floor+overFloor {
		return
	}
	d.n++
	d.falls[min(max(0, int((was-db)/fallStep)), fallBins-1)]++
}

// steepest is the fall that one in ten exceeds, dB in 60 ms; 0 while too little of the
// voice was heard over the noise.
func (d *distance) steepest() float64 {
	if d.n < leastFalls {
		return 0
	}
	left := d.n / 10
	for i := fallBins - 1; i >= 0; i-- {
		if left -= d.falls[i]; left < 0 {
			return fallStep * (float64(i) + 0.5)
		}
	}
	return 0
}

const (
	leastFalls = 5 * hopsASec
	// roomFall is what a voice from across a room falls by at most: one in a hundred
	// of the people in the corpus is under it, and nine in ten of what a room of half a
	// second sends back as loud as it came. A telephone held to a loudspeaker is not.
	roomFall = 8.0
)

// far says whether the voice comes from across a room.
func (d *distance) far() bool { s := d.steepest(); return s > 0 && s <= roomFall }
