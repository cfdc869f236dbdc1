package trace

import "testing"

// A stream that a host sends to the port it comes from is one like any other, also
// when it is over before the capture is.
func TestStrayToItself(t *testing.T) {
	f := newFilm(t)
	f.rtp(aRTP, aRTP, 9, 0, 1, 50)
	f.wait(2 * strayLinger)
	f.rtp(bRTP, alice, 7, 0, 1, 50)
	if _, sum := f.read(); len(sum.Strays) != 2 {
		t.Errorf("%d streams: %+v", len(sum.Strays), sum.Strays)
	}
}
