package policy

import "time"

// Class is what a caller was judged to be.
type Class string

// The four classes.
const (
	Human     Class = "human"
	Assistant Class = "assistant" // a live automated agent that talks or presses keys
	Recording Class = "recording" // a message that plays whatever is said to it
	Unknown   Class = "unknown"   // too little evidence either way
)

// Verdict is the class and probability that follow from the evidence and the
// prior at a moment.
type Verdict struct {
	At       time.Time  `json:"at"`
	Class    Class      `json:"class"`
	PMachine float64    `json:"p_machine"` // posterior probability of a machine, 0..1
	Evidence []Evidence `json:"evidence"`  // sorted by name
}
