package scenario

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Script is one scenario.
type Script struct {
	File   string // where it was read from
	Config string // the text of its config block
	// Pending says why a door is known not to do what the script says; empty
	// for nearly all. Such a script is played, and must fail.
	Pending string
	steps   []step
}

// A step is one line of a script, or one block.
type step struct {
	number int    // of its line
	text   string // the line
	verb   verb

	who     party
	what    what
	words   []string      // of wait, record and door
	within  time.Duration // how long an expectation waits, or silence lasts
	inner   []step        // of unordered and perhaps
	choices [][]step      // of either
}

type verb int

const (
	send verb = iota
	expect
	silent
	pings
	wait
	record
	door
	unordered
	perhaps
	either
)

// A party is who acts: an agent, which of its calls, and which branch of a
// forked call.
type party struct{ agent, call, fork string }

// what is the message that a step sends or expects.
type what struct {
	method string // of the request, or of the one that is answered ("" any)
	code   int    // 0 for a request
	uri    string // Request-URI
	reason string
	sdp    *description
	noSDP  bool
	again  bool   // the same message once more
	rel    bool   // a response with 100rel (RFC 3262)
	noRel  bool   // one without
	in     string // the early dialog, by the script's name for it
	fields []field
	body   []string
}

// A field is a header line: to be set or removed, or to be there or not.
type field struct {
	name, value string
	absent      bool
}

// The times that a script need not name.
const (
	expectWithin  = 10 * time.Second
	settleWithin  = 40 * time.Second
	silentFor     = 200 * time.Millisecond
	perhapsWithin = 400 * time.Millisecond
)

var methods = []string{"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "UPDATE", "PRACK", "MESSAGE",
	"SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH"}

var (
	fieldForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*)\s*:(?:\s+|$)(.*)$`)
	dropForm  = regexp.MustCompile(`^-([A-Za-z][A-Za-z0-9-]*)$`)
	partyForm = regexp.MustCompile(`^([a-z][a-z0-9]*)(?:/([a-z0-9]+))?(?:~([a-z0-9]+))?$`)
)

// Read reads a script from a file.
func Read(file string) (*Script, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	return Parse(file, string(b))
}

// Parse reads a script. Its error says file and line.
func Parse(file, text string) (*Script, error) {
	p := parser{lines: strings.Split(text, "\n")}
	s := &Script{File: file}
	s.Pending = p.pending()
	var err error
	if s.Config, err = p.config(); err == nil {
		s.steps, _, err = p.steps()
	}
	if err != nil {
		return nil, fmt.Errorf("%s:%d: %w", file, p.number, err)
	}
	if len(s.steps) == 0 {
		return nil, fmt.Errorf("%s: no step: a scenario needs at least one line like caller -> INVITE", file)
	}
	return s, nil
}

type parser struct {
	lines  []string
	number int // lines read so far
	blocks int // open blocks
}

// next is the next line that says something.
func (p *parser) next() (string, bool) {
	for p.number < len(p.lines) {
		l := strings.TrimSpace(p.lines[p.number])
		p.number++
		if l != "" && l[0] != '#' {
			return l, true
		}
	}
	return "", false
}

// pending reads the line that may stand before everything else.
func (p *parser) pending() string {
	l, _ := p.next()
	if why, ok := strings.CutPrefix(l, "pending "); ok {
		return strings.TrimSpace(why)
	}
	p.number = 0
	return ""
}

// config reads the block that may stand next.
func (p *parser) config() (string, error) {
	l, ok := p.next()
	if !ok || l != "config" {
		p.number = max(p.number-1, 0)
		return "", nil
	}
	from := p.number
	for ; p.number < len(p.lines); p.number++ {
		if p.lines[p.number] == "end" {
			p.number++
			return strings.Join(p.lines[from:p.number-1], "\n") + "\n", nil
		}
	}
	return "", fmt.Errorf("the config block has no end line")
}

// steps reads to the end of the block or file; ended is the word that did.
func (p *parser) steps() (steps []step, ended string, err error) {
	for {
		l, ok := p.next()
		switch {
		case !ok && p.blocks > 0:
			return nil, "", fmt.Errorf("the block has no end line")
		case !ok:
			return steps, "", nil
		case (l == "end" || l == "or") && p.blocks > 0:
			return steps, l, nil
		}
		if more, err := p.continuation(steps, l); more || err != nil {
			if err != nil {
				return nil, "", err
			}
			continue
		}
		s, err := p.step(l)
		if err != nil {
			return nil, "", err
		}
		steps = append(steps, s)
	}
}

// continuation takes the header and body lines below a message.
func (p *parser) continuation(steps []step, l string) (bool, error) {
	f := field{}
	switch m := fieldForm.FindStringSubmatch(l); {
	case m != nil:
		f.name, f.value = m[1], m[2]
	case dropForm.MatchString(l):
		f.name, f.absent = l[1:], true
	case l[0] != '|':
		return false, nil
	}
	if len(steps) == 0 || steps[len(steps)-1].verb > expect {
		return true, fmt.Errorf("%q belongs to a message, and there is none above", l)
	}
	w := &steps[len(steps)-1].what
	if f.name == "" {
		w.body = append(w.body, strings.TrimPrefix(strings.TrimPrefix(l, "|"), " "))
	} else {
		w.fields = append(w.fields, f)
	}
	return true, nil
}

// step reads one step that begins with line l.
func (p *parser) step(l string) (step, error) {
	s := step{number: p.number, text: l, within: expectWithin}
	words, err := split(l)
	if err != nil {
		return s, err
	}
	switch words[0] {
	case "unordered", "perhaps", "either":
		return p.block(s, words)
	case "wait":
		s.verb = wait
		if len(words) != 2 {
			return s, fmt.Errorf("wait takes one duration")
		}
		s.within, err = time.ParseDuration(words[1])
		return s, err
	case "record":
		s.verb, s.words = record, words[1:]
		if len(words) < 4 || words[2] != "=" {
			return s, fmt.Errorf("record PATH = VALUE is wanted, like record outcome = answered")
		}
		return s, nil
	case "door":
		s.verb, s.words = door, words[1:]
		return s, nil
	}
	m := partyForm.FindStringSubmatch(words[0])
	if m == nil || len(words) < 2 {
		return s, fmt.Errorf("%q is no step; steps are AGENT -> MESSAGE, AGENT <- MESSAGE, AGENT silent, AGENT pings, wait, record, door, unordered, perhaps, either", l)
	}
	s.who = party{m[1], m[2], m[3]}
	switch words[1] {
	case "silent":
		s.verb, s.within = silent, silentFor
		if len(words) > 2 {
			s.within, err = time.ParseDuration(words[2])
		}
		return s, err
	case "pings":
		s.verb = pings
		if len(words) == 3 && words[2] == "ignored" {
			s.what.code = ignored
			return s, nil
		}
		if len(words) == 3 {
			s.what.code, err = strconv.Atoi(words[2])
		}
		if err != nil || s.what.code < 200 || s.what.code > 699 {
			return s, fmt.Errorf("pings takes the status of the answer, 200 to 699, or ignored")
		}
		return s, nil
	case "->":
		s.verb = send
	case "<-":
		s.verb = expect
	default:
		return s, fmt.Errorf("after %s stands ->, <-, silent or pings, not %q", words[0], words[1])
	}
	return s, s.message(words[2:])
}

// block reads unordered, perhaps and either.
func (p *parser) block(s step, words []string) (step, error) {
	if len(words) > 1 {
		return s, fmt.Errorf("%s stands alone on its line", words[0])
	}
	p.blocks++
	defer func() { p.blocks-- }()
	for {
		inner, ended, err := p.steps()
		if err != nil {
			return s, err
		}
		if len(inner) == 0 || inner[0].verb != expect {
			return s, fmt.Errorf("the block %s begins with an expectation (AGENT <- MESSAGE)", words[0])
		}
		switch {
		case words[0] != "either" && ended == "or":
			return s, fmt.Errorf("or belongs to either")
		case words[0] == "perhaps":
			s.verb, s.inner = perhaps, inner
			return s, nil
		case words[0] == "unordered":
			for _, i := range inner {
				if i.verb != expect {
					return s, fmt.Errorf("%q: in unordered stand expectations only", i.text)
				}
			}
			s.verb, s.inner = unordered, inner
			return s, nil
		}
		s.verb, s.choices = either, append(s.choices, inner)
		if ended == "end" {
			return s, nil
		}
	}
}

// message reads what follows the arrow: INVITE sip:x@y …, or 200 INVITE ….
func (s *step) message(words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("after the arrow stands a method or a status")
	}
	w := &s.what
	if code, err := strconv.Atoi(words[0]); err == nil {
		if code < 100 || code > 699 {
			return fmt.Errorf("%d is no status; allowed: 100 to 699", code)
		}
		w.code = code
	} else if slices.Contains(methods, words[0]) || words[0] == strings.ToUpper(words[0]) && s.verb == send {
		w.method = words[0]
	} else {
		return fmt.Errorf("%q is neither a status nor one of %s", words[0], strings.Join(methods, ", "))
	}
	for i := 1; i < len(words); i++ {
		switch word := words[i]; {
		case word == "again":
			w.again = true
		case word == "nosdp":
			w.noSDP = true
		case word == "rel" && w.code > 100:
			w.rel = true
		case word == "norel" && w.code > 100 && s.verb == expect:
			w.noRel = true
		case word == "in" && i+1 < len(words):
			i++
			w.in = words[i]
		case word == "sdp":
			w.sdp = &description{}
		case strings.HasPrefix(word, "sdp("):
			d, err := parseDescription(strings.Fields(strings.TrimSuffix(word[4:], ")")))
			if err != nil {
				return err
			}
			w.sdp = d
		case word == "within" && i+1 < len(words) && s.verb == expect:
			i++
			d, err := time.ParseDuration(words[i])
			if err != nil {
				return err
			}
			s.within = d
		case word[0] == '"':
			w.reason = strings.Trim(word, `"`)
		case w.code > 0 && slices.Contains(methods, word):
			w.method = word
		case w.code == 0 && w.uri == "" && (strings.Contains(word, ":") || strings.HasPrefix(word, "$")):
			w.uri = word
		default:
			return fmt.Errorf("%q is not understood here; allowed: again, rel, norel, in NAME, sdp, sdp(…), nosdp, within DURATION, \"reason\", a Request-URI after a method, a method after a status", word)
		}
	}
	return nil
}

// split takes a line apart at blanks outside of quotes and parentheses, and
// drops a comment.
func split(l string) (words []string, err error) {
	var word strings.Builder
	quoted, depth := false, 0
	flush := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for _, c := range l {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ' ' && depth == 0:
			flush()
			continue
		case c == '#' && word.Len() == 0:
			return words, nil
		}
		word.WriteRune(c)
	}
	flush()
	if quoted || depth != 0 {
		return nil, fmt.Errorf("a quote or parenthesis is not closed")
	}
	return words, nil
}
