package door

import (
	"testing"
	"time"
)

// Calls at these times, in s, are taken or not.
func TestRate(t *testing.T) {
	type try struct {
		at   float64
		take bool
	}
	for _, c := range []struct {
		name      string
		perSecond float64
		tries     []try
	}{
		{"no bound", 0, []try{{0, true}, {0, true}, {0, true}}},
		{"as many at once as a second has", 2, []try{{0, true}, {0, true}, {0, false}, {0.4, false}, {0.5, true}, {0.5, false}}},
		{"a refused call costs nothing", 1, []try{{0, true}, {0.3, false}, {0.6, false}, {0.9, false}, {1.1, true}}},
		{"a pause saves up no more than a second has", 2, []try{{0, true}, {60, true}, {60, true}, {60, false}}},
		{"a clock that goes back", 1, []try{{10, true}, {9, false}, {9.5, false}, {10, true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rate{perSecond: c.perSecond}
			for i, try := range c.tries {
				if got := r.take(time.Unix(1000, 0).Add(time.Duration(try.at * float64(time.Second)))); got != try.take {
					t.Errorf("call %d at %v s: %v", i, try.at, got)
				}
			}
		})
	}
}
