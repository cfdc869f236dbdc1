package prompt

import (
	"fmt"
	"slices"

	"github.com/portero/portero/policy/rules"
)

// Call is what a call's language is chosen by.
type Call struct {
	Called      string // user part of the called address
	Trunk       string
	Destination string
}

// choices are a Config's, ready to be asked.
type choices struct {
	otherwise string
	all       []choice
}

type choice struct {
	Choice
	called *rules.Numbers // nil: any
}

func (c Config) compile(fault func(path, format string, args ...any)) choices {
	cs := choices{otherwise: c.Language}
	for i, entry := range c.Languages {
		at := fmt.Sprintf("languages[%d]", i)
		if len(entry.Called)+len(entry.Trunks)+len(entry.Destinations) == 0 {
			fault(at, "fits every call: give called, trunks or destinations, or set language instead")
		}
		one := choice{Choice: entry}
		if len(entry.Called) > 0 {
			one.called = rules.NewNumbers(entry.Called, func(j int, err error) {
				fault(fmt.Sprintf("%s.called[%d]", at, j), "is %q: %v", entry.Called[j], err)
			})
		}
		cs.all = append(cs.all, one)
	}
	return cs
}

// Language is the language that a call is spoken to in.
func (l *Library) Language(c Call) string {
	for _, one := range l.choices.all {
		if (one.called == nil || one.called.Has(c.Called)) &&
			(len(one.Trunks) == 0 || slices.Contains(one.Trunks, c.Trunk)) &&
			(len(one.Destinations) == 0 || slices.Contains(one.Destinations, c.Destination)) {
			return one.Language
		}
	}
	return l.choices.otherwise
}
