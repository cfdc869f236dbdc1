package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/learn"
)

// fusionCmd learns how much each kind of evidence weighs.
type fusionCmd struct {
	Labels string   `required:"" type:"path" placeholder:"FILE" help:"CSV with the columns call_id and class: human, assistant or recording."`
	Base   string   `type:"path" placeholder:"FILE" help:"Weights to begin with. Default: the built-in ones."`
	Out    string   `type:"path" placeholder:"FILE" help:"Where the weights are written, for judgement.fusion. Default: nowhere."`
	Calls  []string `arg:"" name:"file" help:"Records of calls: the door's JSON lines, or what inspect --json wrote."`
}

// Help is shown below the flags.
func (fusionCmd) Help() string {
	return fmt.Sprintf(`The final evidence of each call that has a label is taken, and the weights are fitted to what called: by the cost of the ratios in bits (Cllr), people and machines weighing the same, with little trust in few calls. A family that fewer than ten people or ten machines have keeps its weight; caps are lowered to what so many calls can show; prior and thresholds stay. What the new weights are worth is measured on calls that they were not learnt from, split by caller. At least %d calls of people and %d of machines are needed.

Label calls by who they were, never by what Portero took them for.

Exit status: 0 when the weights were learnt; 1 when there is too little to learn from, or a file cannot be read; 2 when the command line is wrong.`, learn.MinCalls, learn.MinCalls)
}

// judgedCall is what is taken of a record of the door's (store.Record), or of a call
// of inspect (trace.Call).
type judgedCall struct {
	CallID   string           `json:"call_id"`
	From     string           `json:"from"`
	Verdicts []policy.Verdict `json:"verdicts"`

	FromUser string `json:"from_user"`
	Verdict  *struct {
		Evidence []policy.Evidence `json:"evidence"`
	} `json:"verdict"`

	Calls []judgedCall `json:"calls"` // of a document of inspect
}

// evidence is that of the final verdict; false when there was none.
func (j *judgedCall) evidence() ([]policy.Evidence, bool) {
	switch n := len(j.Verdicts); {
	case n > 0:
		return j.Verdicts[n-1].Evidence, true
	case j.Verdict != nil:
		return j.Verdict.Evidence, true
	}
	return nil, false
}

// Run learns and tells.
func (c *fusionCmd) Run(p printer) error {
	base, err := readFusion(c.Base)
	if err != nil {
		return err
	}
	labels, err := readLabels(c.Labels)
	if err != nil {
		return err
	}
	var calls []learn.Call
	found := map[string]bool{}
	for _, name := range c.Calls {
		err := readJudged(name, func(j judgedCall) {
			class, labelled := labels[j.CallID]
			evidence, judged := j.evidence()
			if !labelled || !judged || found[j.CallID] {
				return
			}
			found[j.CallID] = true
			group := cmp.Or(j.From, j.FromUser, j.CallID)
			calls = append(calls, learn.Call{Evidence: evidence, Machine: class != policy.Human, Group: group})
		})
		if err != nil {
			return fmt.Errorf("%s: %w", plain(name), err)
		}
	}
	r, err := learn.Fit(base, calls)
	if err != nil {
		return fmt.Errorf("of %d labelled calls %d were found with a verdict: %w", len(labels), len(calls), err)
	}
	r.Fusion.Note = fmt.Sprintf("learnt from %d calls of people and %d of machines; families with fewer than ten of either are as they were", r.People, r.Machines)
	tellFit(p.Out(), r, len(labels)-len(calls))
	if c.Out == "" {
		return nil
	}
	b, err := json.MarshalIndent(r.Fusion, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(c.Out, append(b, '\n'), 0o644)
}

// readLabels reads who called.
func readLabels(name string) (map[string]policy.Class, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	head, err := r.Read()
	if err != nil || len(head) != 2 || head[0] != "call_id" || head[1] != "class" {
		return nil, fmt.Errorf("%s: the first line must be call_id,class", plain(name))
	}
	labels := map[string]policy.Class{}
	for {
		row, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return labels, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", plain(name), err)
		}
		line, _ := r.FieldPos(1)
		switch class := policy.Class(row[1]); class {
		case policy.Human, policy.Assistant, policy.Recording:
			if old, ok := labels[row[0]]; ok && old != class {
				return nil, fmt.Errorf("%s:%d: call %s was %s before", plain(name), line, plain(row[0]), old)
			}
			labels[row[0]] = class
		default:
			return nil, fmt.Errorf("%s:%d: class %s; allowed are human, assistant and recording; leave out what you do not know", plain(name), line, plain(row[1]))
		}
	}
}

// readJudged reads records of either form, one after the other.
func readJudged(name string, each func(judgedCall)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReader(f))
	for {
		var j judgedCall
		switch err := d.Decode(&j); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("no record of a call in JSON: %w", err)
		}
		each(j)
		for _, one := range j.Calls {
			each(one)
		}
	}
}

// tellFit writes what was learnt as a table.
func tellFit(w io.Writer, r *learn.Result, missing int) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d calls of people, %d of machines", r.People, r.Machines)
	if missing > 0 {
		fmt.Fprintf(&b, "; %d labels without a judged call", missing)
	}
	b.WriteString("\n\n")
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "family\tpeople\tmachines\tweight\tmin\tmax\t")
	for _, f := range r.Families {
		if f.Kept != "" {
			fmt.Fprintf(t, "%s\t%d\t%d\t%.2f\t%.1f\t%.1f\tkept: %s\n", f.Name, f.People, f.Machines, f.Old.Weight, f.Old.Min, f.Old.Max, f.Kept)
			continue
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%.2f (was %.2f)\t%.1f\t%.1f\t\n", f.Name, f.People, f.Machines, f.New.Weight, f.Old.Weight, f.New.Min, f.New.Max)
	}
	t.Flush()
	tell := func(what string, m learn.Measure) {
		fmt.Fprintf(&b, "%s: Cllr %.3f, people taken for machines %.1f %%, machines found %.1f %%\n", what, m.Cllr, 100*m.Wrong, 100*m.Caught)
	}
	b.WriteByte('\n')
	tell("as it was", r.Before)
	tell("learnt, on calls left out", r.After)
	_, _ = w.Write(b.Bytes())
}
