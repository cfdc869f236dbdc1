package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/trace"
)

type signaturesPrintsCmd struct {
	from
	JSON     bool     `help:"One JSON document a print, a line each."`
	Call     string   `placeholder:"ID" help:"Only messages of this Call-ID."`
	Captures []string `arg:"" name:"capture" help:"Captures, as of inspect; - is standard input."`
}

// Help is shown below the flags.
func (signaturesPrintsCmd) Help() string {
	return `A line for each print: in how many messages it was seen, its short form, the stack that is proven, the signatures, and what the sender says it is; below it the readable form (sip/fingerprint/README.md). Requests inside dialogs are left out, as they say less; so are all responses but 18x and 200.`
}

// seenPrint is a print and who bore it.
type seenPrint struct {
	Messages   int      `json:"messages"`
	ID         string   `json:"id"`
	Text       string   `json:"text"`
	Stack      string   `json:"stack"`
	Signatures []string `json:"signatures"`
	UserAgent  string   `json:"user_agent"`
}

// Run shows the prints of each capture, the commonest first.
func (c signaturesPrintsCmd) Run(p printer) error {
	s, err := c.load(p)
	if err != nil {
		return err
	}
	var failed error
	for _, name := range c.Captures {
		prints := map[string]*seenPrint{}
		_, err := eachMessage(name, func(piece trace.Piece) {
			if c.Call != "" && piece.CallID != c.Call {
				return
			}
			fingerprint.Examine(piece.Data, func(m *fingerprint.Message) {
				if code := m.Status(); m.Within() || code > 0 && code != 200 && (code < 180 || code > 189) {
					return
				}
				print := m.Print()
				key := print.Text + "\n" + print.UserAgent
				if prints[key] == nil {
					r := s.Match(m, piece.Source.Addr(), piece.At)
					prints[key] = &seenPrint{ID: print.ID, Text: print.Text, Stack: r.Stack, Signatures: append([]string{}, r.Names()...), UserAgent: print.UserAgent}
				}
				prints[key].Messages++
			})
		}, p)
		if err != nil {
			failed = errReported
			fmt.Fprintf(p.Err(), "signatures: %s: %v\n", plain(name), err)
			continue
		}
		sorted := slices.SortedFunc(maps.Values(prints), func(a, b *seenPrint) int {
			return cmp.Or(b.Messages-a.Messages, strings.Compare(a.Text, b.Text), strings.Compare(a.UserAgent, b.UserAgent))
		})
		if !c.JSON {
			fmt.Fprintf(p.Out(), "%s: %d prints\n", plain(name), len(sorted))
		}
		for _, one := range sorted {
			if c.JSON {
				b, err := json.Marshal(one)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.Out(), "%s\n", b)
				continue
			}
			says := one.UserAgent
			if says != "" {
				says = fmt.Sprintf(" %q", says)
			}
			fmt.Fprintf(p.Out(), "%6d %s %s [%s]%s\n       %s\n", one.Messages, one.ID, cmp.Or(one.Stack, "-"), strings.Join(one.Signatures, " "), says, one.Text)
		}
	}
	return failed
}
