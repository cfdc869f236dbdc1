package dialogue

import "time"

// Machine is one dialogue. It is not safe for concurrent use: the goroutine of
// its call steps it.
type Machine interface {
	// Step takes an event and returns what to do, in order. After the dialogue
	// is over every event returns nothing (but a late promise is withdrawn).
	Step(Event) []Action
	// Over says whether the dialogue has given its last action.
	Over() bool
}

// promptLimit is the longest time a prompt may take before it is held to be
// stuck: a caller must not hang in a dialogue because a player broke.
const promptLimit = 30 * time.Second

// script counts the IDs of plays and waits, so that late events are told apart.
type script struct {
	ids     int
	playing int // ID of the prompt waited for, 0 when none
	waiting int // ID of the timer waited for, 0 when none
	over    bool
}

func (s *script) Over() bool { return s.over }

// play starts a prompt, guarded by a timer.
func (s *script) play(prompt string) []Action {
	s.ids++
	s.playing = s.ids
	return []Action{Play{ID: s.playing, Prompt: prompt}, s.wait(promptLimit)}
}

// wait starts the timer.
func (s *script) wait(d time.Duration) Action {
	s.ids++
	s.waiting = s.ids
	return Wait{ID: s.waiting, For: d}
}

// ended says whether the prompt waited for has ended.
func (s *script) ended(e PromptEnded) bool {
	if s.playing == 0 || e.ID != s.playing {
		return false
	}
	s.playing = 0
	return true
}

// late says whether the timer waited for has run out.
func (s *script) late(e Timeout) bool {
	if s.waiting == 0 || e.ID != s.waiting {
		return false
	}
	s.waiting = 0
	return true
}

// end gives the last action.
func (s *script) end(last Action) []Action {
	s.over = true
	return []Action{last}
}
