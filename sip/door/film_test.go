package door

import (
	"testing"
	"time"
)

// A film is forgotten some time after its call, and never that of a later call with
// the same Call-ID.
func TestFilmsLeave(t *testing.T) {
	f := films{all: map[string]*film{}}
	now := time.Now()
	old, again := &film{}, &film{}
	f.all["a"] = old
	f.leave("a", old, now)
	if f.all["a"] != old {
		t.Error("the film is gone at once")
	}
	f.all["a"] = again
	f.all["b"] = old
	f.leave("b", old, now.Add(filmLinger+time.Second))
	if f.all["a"] != again || f.all["b"] != old || len(f.leaving) != 1 {
		t.Errorf("%+v", f.all)
	}
	f.leave("a", again, now.Add(2*filmLinger+3*time.Second))
	f.leave("c", old, now.Add(4*filmLinger))
	if len(f.all) != 0 || len(f.leaving) != 1 {
		t.Errorf("%d films are left, %d on their way", len(f.all), len(f.leaving))
	}
}
