package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"strings"

	"github.com/portero/portero/policy"
)

// screen prints what the audience sees.
type screen struct {
	out    io.Writer
	colour bool
	calls  int
	wrong  int
}

// newScreen prints in colour on a terminal, unless NO_COLOR says not to.
func newScreen(f *os.File) *screen {
	info, err := f.Stat()
	return &screen{out: f, colour: err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""}
}

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s *screen) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *screen) title(pbx string) {
	if pbx == "" {
		pbx = "a small answering PBX"
	} else {
		pbx = strings.ToUpper(pbx[:1]) + pbx[1:]
	}
	fmt.Fprintf(s.out, "%s\ncarrier %s  →  Portero %s  →  %s %s\n\n", s.paint(bold, "Portero: who is at the door?"), carrierAddr, doorAddr, pbx, pbxAddr)
}

// call prints one call: verdict, decisions, where it went, and the evidence,
// strongest first.
func (s *screen) call(r result) {
	s.calls++
	fmt.Fprintf(s.out, "%d. %s  %s\n", s.calls, s.paint(bold, r.who), s.paint(dim, r.number))
	if n := len(r.record.Verdicts); n > 0 {
		v := r.record.Verdicts[n-1]
		fmt.Fprintf(s.out, "   verdict   %s, %.0f %% machine\n", s.paint(classColour(v.Class), string(v.Class)), 100*v.PMachine)
		evidence := append([]policy.Evidence(nil), v.Evidence...)
		sort.SliceStable(evidence, func(i, j int) bool { return math.Abs(evidence[i].LLR) > math.Abs(evidence[j].LLR) })
		for i, e := range evidence {
			label := "         "
			if i == 0 {
				label = "evidence "
			}
			fmt.Fprintf(s.out, "   %s %+5.1f  %s  %s\n", label, e.LLR, e.Says, s.paint(dim, e.Name))
		}
	}
	if n := len(r.record.Decisions); n > 0 {
		d := r.record.Decisions[n-1]
		fmt.Fprintf(s.out, "   decision  %s, by %s at %s (%s)\n", d.Action, d.Rule, d.Stage, d.Reason)
	}
	went := strings.Join(r.places, " → ")
	if went == "" {
		went = "nowhere"
	}
	if r.wrong == "" {
		fmt.Fprintf(s.out, "   went to   %s  %s\n\n", went, s.paint(green, "as the rules say"))
		return
	}
	s.wrong++
	fmt.Fprintf(s.out, "   went to   %s  %s\n\n", went, s.paint(red, "WRONG: "+r.wrong))
}

func classColour(c policy.Class) string {
	switch c {
	case policy.Human:
		return green
	case policy.Assistant, policy.Recording:
		return yellow
	}
	return dim
}

func (s *screen) end(well bool) {
	if well {
		fmt.Fprintf(s.out, "%s\n", s.paint(green, fmt.Sprintf("All %d calls went where the rules of configs/demo.yaml say.", s.calls)))
		return
	}
	fmt.Fprintf(s.out, "%s\n", s.paint(red, fmt.Sprintf("%d of %d calls did not go where the rules of configs/demo.yaml say.", s.wrong, s.calls)))
}
