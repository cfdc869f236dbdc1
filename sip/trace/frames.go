package trace

import "time"

// frames knows which packet of the capture was the call's last up to each second
// after the INVITE. The judge's ticks are at whole seconds, so that is all that can
// be told of when a piece of evidence came.
type frames struct {
	start time.Time
	last  []int // by second; 0 where none came
}

// maxSeconds is as long as the judge listens.
const maxSeconds = 2 * 60 * 60

// second is the first whole second after the INVITE that is not before a moment.
func (f *frames) second(at time.Time) int {
	return int((max(at.Sub(f.start), 0) + time.Second - 1) / time.Second)
}

// saw notes a packet of a judged call by its number in the capture.
func (w *witness) saw(at time.Time, frame int) {
	if w == nil || w.judged == nil {
		return
	}
	f := &w.frames
	k := f.second(at)
	if k > maxSeconds {
		return
	}
	for len(f.last) <= k {
		f.last = append(f.last, 0)
	}
	f.last[k] = frame
}

// until is the number of the last packet that came up to a moment; 0: none.
func (f *frames) until(at time.Time) int {
	if at.IsZero() {
		return 0
	}
	for k := min(f.second(at), len(f.last)-1); k >= 0; k-- {
		if f.last[k] > 0 {
			return f.last[k]
		}
	}
	return 0
}
