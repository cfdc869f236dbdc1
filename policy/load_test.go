package policy

import "testing"

func TestLoadPut(t *testing.T) {
	for _, tc := range []struct {
		name  string
		load  Load
		free  int
		surge float64
	}{
		{"nothing known", Load{}, Unlimited, 1},
		{"all busy", Load{AgentsBusy: 3, CallsNow: 4}, 0, 1},
		{"a flood", Load{AgentsBusy: 3, AgentsFree: 1, CallsNow: 4, CallsMinute: 90, Surge: 9}, 1, 9},
	} {
		var f Facts
		tc.load.Put(&f)
		if f.AgentsFree != tc.free || f.Surge != tc.surge || f.AgentsBusy != tc.load.AgentsBusy || f.CallsNow != tc.load.CallsNow || f.CallsMinute != tc.load.CallsMinute {
			t.Errorf("%s: facts %+v", tc.name, f)
		}
	}
}
