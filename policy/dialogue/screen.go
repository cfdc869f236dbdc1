package dialogue

import (
	"time"

	"github.com/portero/portero/policy"
)

// Screen asks the caller why they are calling, listens, and applies what the
// policy decides. The policy may decide while the prompt still plays.
//
//	state      event        → actions, state
//	idle       Started      → Play screen, Wait limit; listening
//	idle       Decided      → Apply; over
//	listening  Decided      → Apply; over
//	listening  PromptEnded  → (the timer goes on); listening
//	listening  Timeout      → Decide, Wait grace; deciding
//	deciding   Decided      → Apply; over
//	deciding   Timeout      → PassToAgents P410-analysis-late; over
//	any        Gone         → ; over
//
// Keys pressed are heard by the analysis, not here.
type Screen struct {
	script
	limit time.Duration
	state screenState
}

type screenState byte

const (
	screenIdle screenState = iota
	screenListening
	screenDeciding
)

// decideGrace is how long a decision may be in the making before the call is
// passed on.
const decideGrace = time.Second

// NewScreen is a screening that asks for a decision limit after the answer, if
// there was none before.
func NewScreen(limit time.Duration) *Screen { return &Screen{limit: limit} }

// Step takes an event.
func (s *Screen) Step(e Event) []Action {
	if s.over {
		return nil
	}
	if _, gone := e.(Gone); gone {
		s.over = true
		return nil
	}
	switch s.state {
	case screenIdle:
		switch e := e.(type) {
		case Started:
			s.state = screenListening
			play := s.play(PromptScreen)[0] // the limit below guards the prompt too
			return []Action{play, s.wait(s.limit)}
		case Decided:
			return s.end(Apply(e))
		}
	case screenListening:
		switch e := e.(type) {
		case Decided:
			return s.end(Apply(e))
		case Timeout:
			if s.late(e) {
				s.state = screenDeciding
				return []Action{Decide{}, s.wait(decideGrace)}
			}
		}
	case screenDeciding:
		switch e := e.(type) {
		case Decided:
			return s.end(Apply(e))
		case Timeout:
			if s.late(e) {
				return s.end(PassToAgents{Reason: policy.ReasonAnalysisLate})
			}
		}
	}
	return nil
}
