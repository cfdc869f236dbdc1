package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/signature"
	"github.com/portero/portero/sip/trace"
)

type signaturesLearnCmd struct {
	from
	Name    string `required:"" placeholder:"NAME" help:"The signature's name: lower-case letters, digits and dashes."`
	Kind    string `default:"phone" placeholder:"KIND" help:"Its kind: scanner, load-tool, agent-platform, dialer, carrier, gateway, pbx, phone, library. Default: phone."`
	Call    string `placeholder:"ID" help:"The Call-ID of a call of that make. Default: the make that most calls have."`
	Capture string `arg:"" name:"capture" help:"Capture, as of inspect; - is standard input."`
}

// Help is shown below the flags.
func (signaturesLearnCmd) Help() string {
	return `The calls of one make are those whose first INVITE (without any, REGISTER, then OPTIONS) has its headers and tokens written alike, and says to be the same but for the version. What all of them have becomes a condition; numbers, addresses, tokens and whatever else is a call's own do not. The draft is written to standard output as YAML, with samples in which users, hosts and addresses are replaced, and a comment that says what the database knows of these calls already.

Put the draft into a file of your directory of signatures when you have looked at it.

Exit status: 0 when a draft was written; 1 when there is nothing to learn from; 2 when the command line is wrong.`
}

var signatureName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// Run drafts a signature.
func (c signaturesLearnCmd) Run(p printer) error {
	if !signatureName.MatchString(c.Name) {
		return fmt.Errorf("--name %s is no name of a signature; allowed: lower-case letters, digits and dashes, at most 64", plain(c.Name))
	}
	if !slices.Contains(policy.SignatureKinds, c.Kind) {
		return fmt.Errorf("--kind %s is no kind; allowed: %s", plain(c.Kind), strings.Join(policy.SignatureKinds, ", "))
	}
	s, err := c.load(p)
	if err != nil {
		return err
	}
	seen := map[string][]signature.Sighting{}
	known := map[string]bool{}
	_, err = eachMessage(c.Capture, func(piece trace.Piece) {
		method := ""
		fingerprint.Examine(piece.Data, func(m *fingerprint.Message) {
			if m.Status() == 0 && !m.Within() {
				method = string(m.Field(fingerprint.Method))
			}
		})
		// The first of each call: later hops of it come from others.
		if key := method + " " + piece.CallID; method != "" && !known[key] && len(seen[method]) < maxSightings {
			known[key] = true
			seen[method] = append(seen[method], signature.Sighting{CallID: piece.CallID,
				Message: slices.Clone(piece.Data), From: piece.Source.Addr(), At: piece.At})
		}
	}, p)
	if err != nil {
		return fmt.Errorf("%s: %w", plain(c.Capture), err)
	}
	d := signature.Draft{Name: c.Name, Kind: c.Kind, Source: "capture " + filepath.Base(c.Capture), CallID: c.Call}
	var from []signature.Sighting
	for _, method := range []string{"INVITE", "REGISTER", "OPTIONS"} {
		isThere := func(one signature.Sighting) bool { return c.Call == "" || one.CallID == c.Call }
		if slices.ContainsFunc(seen[method], isThere) {
			from = seen[method]
			break
		}
	}
	text, err := d.Write(s, from)
	if err != nil {
		return fmt.Errorf("%s: %w", plain(c.Capture), err)
	}
	_, err = p.Out().Write(text)
	return err
}

// maxSightings bounds the calls that are held to learn from.
const maxSightings = 10_000
