package scenario_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/portero/portero/sip/door/scenario"
)

// A fork to more branches than one call may have: the caller hears of the first
// 64, and any of all answers.
func TestManyBranches(t *testing.T) {
	var s strings.Builder
	s.WriteString("caller -> INVITE sdp\npbx <- INVITE\n")
	for i := range 70 {
		fmt.Fprintf(&s, "pbx~b%d -> 180\n", i)
		if i < 64 {
			fmt.Fprintf(&s, "caller <- 180 in b%d\n", i)
		}
	}
	s.WriteString("caller silent 20ms\npbx~b69 -> 200 sdp\ncaller <- 200 INVITE in last\npbx~b69 <- ACK\ncaller -> ACK\n" +
		"caller -> BYE\ncaller <- 200 BYE\npbx~b69 <- BYE\npbx~b69 -> 200\n")
	playText(t, s.String())
}

// More responses than may wait for one PRACK: the caller gets the first 9.
func TestManyProvisionals(t *testing.T) {
	var s strings.Builder
	s.WriteString("caller -> INVITE sdp\n Require: 100rel\npbx <- INVITE\n")
	for range 20 {
		s.WriteString("pbx -> 180\n")
	}
	for range 9 {
		s.WriteString("caller <- 180 rel\ncaller -> PRACK\ncaller <- 200 PRACK\n")
	}
	s.WriteString("caller silent 20ms\npbx -> 486\ncaller <- 486 INVITE\n")
	playText(t, s.String())
}

func playText(t *testing.T, text string) {
	t.Helper()
	t.Parallel()
	s, err := scenario.Parse(t.Name(), text)
	if err != nil {
		t.Fatal(err)
	}
	n := scenario.NewNetwork()
	d := open(t, n, "")
	if err := scenario.Run(s, n, d); err != nil {
		t.Error(err)
	}
	d.close(t)
}
