package cases

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/portero/portero/cmd/portero/config"
)

// Update writes what is now into the case files of results that differ, or whose
// cases expect nothing yet, and calls those Pinned. Only the values that differ are
// replaced and what is missing is added, so that comments, order and layout stay.
func Update(results []*Result) error {
	bySuite := map[*Suite][]*Result{}
	var order []*Suite
	for _, r := range results {
		if r.Call == nil || len(r.Differences) == 0 {
			continue
		}
		if bySuite[r.Suite] == nil {
			order = append(order, r.Suite)
		}
		bySuite[r.Suite] = append(bySuite[r.Suite], r)
	}
	var failed error
	for _, s := range order {
		if err := s.pin(bySuite[s]); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s is left as it is: %w", s.path, err))
			continue
		}
		for _, r := range bySuite[s] {
			r.Status = Pinned
		}
	}
	return failed
}

// edit replaces source[from:to].
type edit struct {
	from, to int
	text     string
}

func (s *Suite) pin(results []*Result) error {
	e := &editor{file: s.file, source: s.file.Source()}
	for _, r := range results {
		if err := e.pin(fmt.Sprintf("cases[%d]", r.index), r.Differences); err != nil {
			return fmt.Errorf("case %q: %w", r.Case.Name, err)
		}
	}
	b := e.apply()
	// Whatever layout the file has: what is written must say what was meant.
	again := &Suite{path: s.path}
	again.file = config.Read(s.path, b, again)
	if err := again.file.Err(); err != nil {
		return fmt.Errorf("it is laid out in a way that cannot be updated: %w", err)
	}
	for _, r := range results {
		if left := again.Cases[r.index].Expect.differences(r.Call); len(left) > 0 {
			return fmt.Errorf("case %q: it is laid out in a way that cannot be updated; write down by hand: %s: %s", r.Case.Name, left[0].Key, left[0].Got)
		}
	}
	return replace(s.path, b)
}

// replace writes a file anew, whole or not at all.
func replace(path string, b []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// editor collects the edits of one file, by the places of its nodes.
type editor struct {
	file   *config.File
	source []byte
	edits  []edit
}

// pin makes a case expect what is.
func (e *editor) pin(at string, all []Difference) error {
	var expect, evidence []Difference // to be added
	for _, d := range all {
		path := at + ".expect." + d.Key
		if n := e.file.Node(path); n != nil {
			from := e.offset(n)
			to, err := e.end(n)
			if err != nil {
				return err
			}
			e.edits = append(e.edits, edit{from, to, scalar(d)})
			continue
		}
		if strings.HasPrefix(d.Key, "evidence.") {
			evidence = append(evidence, d)
		} else {
			expect = append(expect, d)
		}
	}
	var lines []string
	for _, d := range expect {
		lines = append(lines, d.Key+": "+scalar(d))
	}
	under := func(head string, ds []Difference) []string {
		out := []string{head}
		for _, d := range ds {
			out = append(out, "  "+strings.TrimPrefix(d.Key, "evidence.")+": "+scalar(d))
		}
		return out
	}
	switch {
	case len(evidence) == 0:
	case full(e.file.Node(at + ".expect.evidence")):
		if err := e.add(e.file.Node(at+".expect.evidence"), under("", evidence)[1:], 2); err != nil {
			return err
		}
	default:
		lines = append(lines, under("evidence:", evidence)...)
	}
	if len(lines) == 0 {
		return nil
	}
	if n := e.file.Node(at + ".expect"); full(n) {
		return e.add(n, lines, 0)
	} else if n != nil {
		return errors.New("expect is there and empty; take the key away, or write something below it")
	}
	block := []string{"expect:"}
	for _, l := range lines {
		block = append(block, "  "+l)
	}
	return e.add(e.file.Node(at), block, 0)
}

// full says whether a node is a mapping with something in it.
func full(n *yaml.Node) bool { return n != nil && n.Kind == yaml.MappingNode && len(n.Content) > 0 }

// add puts lines behind the last entry of a mapping; cut is how far they are
// indented too much.
func (e *editor) add(n *yaml.Node, lines []string, cut int) error {
	if n.Style&yaml.FlowStyle != 0 {
		return errors.New("it is written in braces; write it over several lines, so that more can be added")
	}
	to, err := e.end(n.Content[len(n.Content)-1])
	if err != nil {
		return err
	}
	if i := bytes.IndexByte(e.source[to:], '\n'); i >= 0 {
		to += i
	} else {
		to = len(e.source)
	}
	indent := strings.Repeat(" ", n.Content[0].Column-1)
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("\n" + indent + l[min(cut, len(l)):])
	}
	e.edits = append(e.edits, edit{to, to, b.String()})
	return nil
}

// apply makes the edits, the last place first. Of those at one place the first
// stays before the second.
func (e *editor) apply() []byte {
	slices.SortStableFunc(e.edits, func(a, b edit) int { return a.from - b.from })
	b := slices.Clone(e.source)
	for _, x := range slices.Backward(e.edits) {
		b = slices.Replace(b, x.from, x.to, []byte(x.text)...)
	}
	return b
}

// offset is where a node begins, bytes.
func (e *editor) offset(n *yaml.Node) int {
	at := 0
	for range n.Line - 1 {
		at += bytes.IndexByte(e.source[at:], '\n') + 1
	}
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(e.source[at:])
		at += size
	}
	return at
}

// end is where a node ends, bytes.
func (e *editor) end(n *yaml.Node) (int, error) {
	from := e.offset(n)
	rest := e.source[from:]
	switch {
	case n.Kind != yaml.ScalarNode:
		if len(n.Content) > 0 {
			var err error
			if from, err = e.end(n.Content[len(n.Content)-1]); err != nil {
				return 0, err
			}
		}
		if n.Style&yaml.FlowStyle == 0 {
			return from, nil
		}
		if i := bytes.IndexAny(e.source[from:], "]}"); i >= 0 {
			return from + i + 1, nil
		}
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		if m := quotedText.Find(rest); m != nil {
			return from + len(m), nil
		}
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && bytes.HasPrefix(rest, []byte(n.Value)):
		return from + len(n.Value), nil
	}
	return 0, fmt.Errorf("line %d is written over several lines; write its value in one", n.Line)
}

var quotedText = regexp.MustCompile(`^(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\n]|'')*')`)

// scalar is how a value is written: as it is where YAML takes it for a plain text or
// a number, else in quotes.
func scalar(d Difference) string {
	if d.Key == "decisions" {
		return d.Got
	}
	if plainText.MatchString(d.Got) && !notText.MatchString(d.Got) {
		return d.Got
	}
	return strconv.Quote(d.Got)
}

var (
	plainText = regexp.MustCompile(`^[A-Za-z0-9_.+-][A-Za-z0-9_.+/-]*$`)
	notText   = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|null|-|\.\.\.|---)$`)
)
