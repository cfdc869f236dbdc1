package judge

import (
	"fmt"

	"github.com/portero/portero/policy"
)

// maxLate is the part of the caller's packets that the analysis may miss, being
// late, before what it heard is not believed: less is like loss on the way, which
// the observers bear.
const maxLate = 0.01

// abstains says whether the verdict is that of the signalling alone, because too
// much of the caller was not heard.
func (c *Call) abstains() bool {
	return float64(c.missed) > maxLate*float64(c.missed+c.ear.packets)
}

// lateness says so in the verdict.
func (c *Call) lateness(abstains bool) policy.Evidence {
	says := fmt.Sprintf("the analysis was late: %d of the caller's packets were not heard", c.missed)
	if abstains {
		says += ", and what was heard is not judged"
	}
	return policy.Evidence{Name: "analysis.late", Says: says}
}
