package policy

// Unlimited is the number of free agents where no capacity is known.
const Unlimited = 1_000_000

// Load is how busy the door and the agents were at the moment of an arrival.
// The zero value says that nothing is known: no shift, and agents enough.
type Load struct {
	AgentsBusy  int     // calls now at agents' destinations
	AgentsFree  int     // capacity minus busy, never below 0
	CallsNow    int     // calls in the door
	CallsMinute int     // arrivals in the last 60 s
	Surge       float64 // arrivals now over the usual rate, 1 = usual; 0 = not known, read as 1
	Shift       float64 // what the surge adds to the prior log-odds of a machine, bounded by policy/surge
}

// Put writes the load into the facts that rules ask about.
func (l Load) Put(f *Facts) {
	f.AgentsBusy, f.AgentsFree = l.AgentsBusy, l.AgentsFree
	f.CallsNow, f.CallsMinute = l.CallsNow, l.CallsMinute
	f.Surge = l.Surge
	if f.Surge == 0 {
		f.Surge = 1
	}
	if l == (Load{}) {
		f.AgentsFree = Unlimited
	}
}
