package dialogue

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/portero/portero/policy"
)

// step is an event and the actions it must give.
type step struct {
	event Event
	want  []Action
}

func on(e Event, want ...Action) step { return step{e, want} }

func wait(id int, d time.Duration) Wait { return Wait{ID: id, For: d} }

func play(id int, prompt string) Play { return Play{ID: id, Prompt: prompt} }

const limit = 8 * time.Second

var bots = policy.Decision{Action: policy.ToAutomation, Destination: "bots"}

func TestDialogues(t *testing.T) {
	screen := func() Machine { return NewScreen(limit) }
	offer := func() Machine { return NewOffer() }
	confirm := func() Machine { return NewConfirm(5 * time.Second) }

	screenStart := on(Started{}, play(1, "screen"), wait(3, limit))
	offerStart := on(Started{}, StorePromise{}, wait(1, storeLimit))
	promised := on(PromiseStored{StoredOK}, play(2, "callback_promise"), wait(3, promptLimit))
	notStored := on(PromiseStored{StoredFailed}, play(2, "callback_failed"), wait(3, promptLimit))
	confirmStart := on(Started{}, play(1, "callback_confirm"), wait(2, promptLimit))
	asked := on(PromptEnded{ID: 1}, wait(3, 5*time.Second))
	askedAgain := on(Timeout{3}, play(4, "callback_confirm"), wait(5, promptLimit))

	for _, tc := range []struct {
		name  string
		of    func() Machine
		steps []step
		over  bool
	}{
		{"screen: decided while listening", screen, []step{screenStart, on(PromptEnded{ID: 1}), on(Decided{bots}, Apply{bots}), on(Timeout{3})}, true},
		{"screen: decided while the prompt plays", screen, []step{screenStart, on(Decided{bots}, Apply{bots}), on(PromptEnded{ID: 1})}, true},
		{"screen: decided before the answer", screen, []step{on(Decided{bots}, Apply{bots}), on(Started{})}, true},
		{"screen: keys are not its business", screen, []step{screenStart, on(Digit{'1'}), on(Digit{'2'})}, false},
		{"screen: asks for the decision at the limit", screen, []step{screenStart, on(Timeout{3}, Decide{}, wait(4, decideGrace)), on(Decided{bots}, Apply{bots})}, true},
		{"screen: no decision comes", screen, []step{screenStart, on(Timeout{3}, Decide{}, wait(4, decideGrace)), on(Timeout{4}, PassToAgents{policy.ReasonAnalysisLate}), on(Decided{bots})}, true},
		{"screen: an old timer", screen, []step{screenStart, on(Timeout{2}), on(Timeout{3}, Decide{}, wait(4, decideGrace)), on(Timeout{3})}, false},
		{"screen: the prompt cannot be played", screen, []step{screenStart, on(PromptEnded{ID: 1, Failed: true}), on(Timeout{3}, Decide{}, wait(4, decideGrace))}, false},
		{"screen: hung up", screen, []step{screenStart, on(Gone{}), on(Decided{bots}), on(Timeout{3})}, true},
		{"screen: started twice", screen, []step{screenStart, on(Started{})}, false},

		{"offer: promised", offer, []step{offerStart, promised, on(Timeout{1}), on(PromptEnded{ID: 2}, Hangup{policy.ReasonPromised}), on(Timeout{3})}, true},
		{"offer: owed already", offer, []step{offerStart, on(PromiseStored{StoredExists}, play(2, "callback_exists"), wait(3, promptLimit)), on(PromptEnded{ID: 2}, Hangup{policy.ReasonPromiseExists})}, true},
		{"offer: the store is down", offer, []step{offerStart, notStored, on(PromptEnded{ID: 2}, PassToAgents{policy.ReasonStoreDown})}, true},
		{"offer: the store is down, so is the player", offer, []step{offerStart, notStored, on(PromptEnded{ID: 2, Failed: true}, PassToAgents{policy.ReasonStoreDown})}, true},
		{"offer: the store is down, the player stuck", offer, []step{offerStart, notStored, on(Timeout{3}, PassToAgents{policy.ReasonStoreDown})}, true},
		{"offer: not dialable", offer, []step{offerStart, on(PromiseStored{StoredRefused}, play(2, "callback_failed"), wait(3, promptLimit)), on(PromptEnded{ID: 2}, PassToAgents{policy.ReasonNotDialable})}, true},
		{"offer: the store is silent", offer, []step{offerStart, on(Timeout{1}, play(2, "callback_failed"), wait(3, promptLimit)), on(PromptEnded{ID: 2}, PassToAgents{policy.ReasonStoreDown})}, true},
		{"offer: stored too late, still talking", offer, []step{offerStart, on(Timeout{1}, play(2, "callback_failed"), wait(3, promptLimit)), on(PromiseStored{StoredOK}, WithdrawPromise{}), on(PromptEnded{ID: 2}, PassToAgents{policy.ReasonStoreDown})}, true},
		{"offer: stored too late, passed on", offer, []step{offerStart, on(Timeout{1}, play(2, "callback_failed"), wait(3, promptLimit)), on(PromptEnded{ID: 2}, PassToAgents{policy.ReasonStoreDown}), on(PromiseStored{StoredOK}, WithdrawPromise{})}, true},
		{"offer: found too late to be owed", offer, []step{offerStart, on(Timeout{1}, play(2, "callback_failed"), wait(3, promptLimit)), on(PromiseStored{StoredExists})}, false},
		{"offer: the promise cannot be said", offer, []step{offerStart, promised, on(PromptEnded{ID: 2, Failed: true}, WithdrawPromise{}, PassToAgents{policy.ReasonPromptFailed}), on(PromptEnded{ID: 2})}, true},
		{"offer: an older promise cannot be said", offer, []step{offerStart, on(PromiseStored{StoredExists}, play(2, "callback_exists"), wait(3, promptLimit)), on(PromptEnded{ID: 2, Failed: true}, PassToAgents{policy.ReasonPromptFailed})}, true},
		{"offer: the prompt never ends", offer, []step{offerStart, promised, on(Timeout{3}, Hangup{policy.ReasonPromised})}, true},
		{"offer: hung up while told", offer, []step{offerStart, promised, on(Gone{}), on(PromptEnded{ID: 2})}, true},
		{"offer: hung up before it was told", offer, []step{offerStart, on(Gone{}), on(PromiseStored{StoredOK}, WithdrawPromise{})}, true},
		{"offer: hung up before, owed already", offer, []step{offerStart, on(Gone{}), on(PromiseStored{StoredExists})}, true},
		{"offer: keys do nothing", offer, []step{offerStart, on(Digit{'1'}), promised, on(Digit{'1'})}, false},
		{"offer: stored twice", offer, []step{offerStart, promised, on(PromiseStored{StoredOK})}, false},

		{"confirm: pressed after the prompt", confirm, []step{confirmStart, asked, on(Digit{'1'}, play(4, "callback_thanks"), Join{}), on(Timeout{3})}, true},
		{"confirm: pressed during the prompt", confirm, []step{confirmStart, on(Digit{'1'}, play(3, "callback_thanks"), Join{}), on(PromptEnded{ID: 1})}, true},
		{"confirm: pressed at the second asking", confirm, []step{confirmStart, asked, askedAgain, on(PromptEnded{ID: 4}, wait(6, 5*time.Second)), on(Digit{'1'}, play(7, "callback_thanks"), Join{})}, true},
		{"confirm: another key", confirm, []step{confirmStart, on(Digit{'2'}, play(3, "goodbye"), wait(4, promptLimit)), on(Digit{'1'}), on(PromptEnded{ID: 3}, Hangup{policy.ReasonNotConfirmed})}, true},
		{"confirm: no key", confirm, []step{confirmStart, asked, askedAgain, on(PromptEnded{ID: 4}, wait(6, 5*time.Second)), on(Timeout{6}, play(7, "goodbye"), wait(8, promptLimit)), on(PromptEnded{ID: 7}, Hangup{policy.ReasonNotConfirmed})}, true},
		{"confirm: an old timer", confirm, []step{confirmStart, asked, on(Timeout{2}), askedAgain, on(Timeout{3})}, false},
		{"confirm: prompts are stuck", confirm, []step{confirmStart, on(Timeout{2}, play(3, "callback_confirm"), wait(4, promptLimit)), on(Timeout{4}, play(5, "goodbye"), wait(6, promptLimit)), on(Timeout{6}, Hangup{policy.ReasonNotConfirmed})}, true},
		{"confirm: hung up", confirm, []step{confirmStart, on(Gone{}), on(Digit{'1'})}, true},
		{"confirm: a key before the start", confirm, []step{on(Digit{'1'}), confirmStart}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := tc.of()
			for i, s := range tc.steps {
				got := m.Step(s.event)
				if len(got) != len(s.want) || len(got) > 0 && !reflect.DeepEqual(got, s.want) {
					t.Fatalf("step %d, %T%+v:\ngot  %s\nwant %s", i, s.event, s.event, show(got), show(s.want))
				}
			}
			if m.Over() != tc.over {
				t.Errorf("over %v, want %v", m.Over(), tc.over)
			}
		})
	}
}

func show(actions []Action) string {
	out := ""
	for _, a := range actions {
		out += fmt.Sprintf("%T%+v ", a, a)
	}
	return out
}

// Whatever happens in whatever order, a dialogue gives one last action at most,
// and none after it but a withdrawal; and a promise is never told before it is
// stored.
func TestAnyOrder(t *testing.T) {
	events := []Event{Started{}, PromptEnded{ID: 1}, PromptEnded{ID: 2}, PromptEnded{ID: 2, Failed: true}, Digit{'1'}, Digit{'5'}, Decided{bots},
		PromiseStored{StoredOK}, PromiseStored{StoredFailed}, Timeout{1}, Timeout{2}, Timeout{3}, Timeout{4}, Gone{}}
	for name, of := range map[string]func() Machine{
		"screen": func() Machine { return NewScreen(limit) }, "offer": func() Machine { return NewOffer() }, "confirm": func() Machine { return NewConfirm(limit) },
	} {
		const depth = 5
		n := 1
		for range depth {
			n *= len(events)
		}
		for order := range n {
			m := of()
			last, stored := 0, false
			for i, rest := 0, order; i < depth; i, rest = i+1, rest/len(events) {
				e := events[rest%len(events)]
				wasOver := m.Over()
				if p, ok := e.(PromiseStored); ok && p.Result == StoredOK {
					stored = true
				}
				for _, a := range m.Step(e) {
					switch a := a.(type) {
					case Apply, Join, PassToAgents, Hangup:
						last++
					case WithdrawPromise:
						continue
					case Play:
						if a.Prompt == PromptCallbackPromise && !stored {
							t.Fatalf("%s, order %d: promised before it was stored", name, order)
						}
					}
					if wasOver {
						t.Fatalf("%s, order %d: %T after the end", name, order, a)
					}
				}
			}
			if last > 1 || last == 1 && !m.Over() {
				t.Fatalf("%s, order %d: %d last actions, over %v", name, order, last, m.Over())
			}
		}
	}
}
