package cases

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Text writes results for people: what did not hold and why, and at the end how
// many; with all, the cases that held too.
func Text(w io.Writer, results []*Result, all bool) error {
	var b strings.Builder
	n := map[Status]int{}
	for _, r := range results {
		n[r.Status]++
		name := clean(r.Case.Name)
		switch r.Status {
		case Held:
			if all {
				fmt.Fprintf(&b, "ok      %s: %s\n", r.Place(), name)
			}
		case Pinned:
			fmt.Fprintf(&b, "pinned  %s: %s\n", r.Place(), name)
			for _, d := range r.Differences {
				fmt.Fprintf(&b, "        %s: %s\n", d.Key, change(d))
			}
		case Differs:
			fmt.Fprintf(&b, "FAILED  %s: %s\n        call %s\n", r.Place(), name, clean(describe(r.Call)))
			for _, line := range r.Words {
				fmt.Fprintf(&b, "        %s\n", clean(line))
			}
		case Broken:
			fmt.Fprintf(&b, "BROKEN  %s: %s\n        %s\n", r.Place(), name, clean(strings.Join(r.Words, "; ")))
		}
	}
	fmt.Fprintf(&b, "%d cases: %d held", len(results), n[Held])
	for _, k := range []struct {
		s    Status
		word string
	}{{Pinned, "pinned"}, {Differs, "failed"}, {Broken, "could not be tried"}} {
		if n[k.s] > 0 {
			fmt.Fprintf(&b, ", %d %s", n[k.s], k.word)
		}
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func change(d Difference) string {
	if d.Want == "" {
		return clean(d.Got)
	}
	return clean(d.Want) + " → " + clean(d.Got)
}

// clean keeps what strangers wrote from steering a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, s)
}

// TAP writes results in the Test Anything Protocol, version 14, for harnesses.
func TAP(w io.Writer, results []*Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "TAP version 14\n1..%d\n", len(results))
	for i, r := range results {
		ok := "ok"
		if r.Err() != nil {
			ok = "not ok"
		}
		// A # begins a directive, a backslash escapes (TAP 14, Escaping).
		name := strings.NewReplacer(`\`, `\\`, "#", `\#`).Replace(clean(r.Case.Name))
		fmt.Fprintf(&b, "%s %d - %s\n", ok, i+1, name)
		if r.Err() == nil {
			continue
		}
		fmt.Fprintf(&b, "  ---\n  at: %q\n", clean(r.Place()))
		if r.Call != nil {
			fmt.Fprintf(&b, "  call: %q\n", clean(r.Call.CallID))
		}
		b.WriteString("  message:\n")
		for _, line := range r.Words {
			fmt.Fprintf(&b, "    - %q\n", clean(line))
		}
		b.WriteString("  ...\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
