package cases

import (
	"encoding/xml"
	"io"
	"strconv"
	"strings"
	"time"
)

// The elements of a JUnit report that build servers agree on.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string      `xml:"classname,attr"`
	Name    string      `xml:"name,attr"`
	File    string      `xml:"file,attr"`
	Time    string      `xml:"time,attr"`
	Failure *junitWords `xml:"failure,omitempty"`
	Error   *junitWords `xml:"error,omitempty"`
}

type junitWords struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes results as a JUnit report: a suite a file, what did not hold as a
// failure, what could not be tried as an error.
func JUnit(w io.Writer, results []*Result) error {
	all := junitSuites{Tests: len(results)}
	var suite *Suite
	var took time.Duration
	for _, r := range results {
		if r.Suite != suite {
			suite, took = r.Suite, 0
			all.Suites = append(all.Suites, junitSuite{Name: clean(suite.path)})
		}
		s := &all.Suites[len(all.Suites)-1]
		took += r.Took
		c := junitCase{Class: clean(suite.path), Name: clean(r.Case.Name), File: clean(suite.path), Time: seconds(r.Took)}
		words := &junitWords{}
		if len(r.Words) > 0 {
			words.Message = clean(r.Words[0])
			for _, line := range r.Words {
				words.Text += clean(line) + "\n"
			}
		}
		switch r.Status {
		case Differs:
			c.Failure = words
			words.Text = r.Place() + ": call " + clean(describe(r.Call)) + "\n" + words.Text
			s.Failures++
			all.Failures++
		case Broken:
			c.Error = words
			s.Errors++
			all.Errors++
		}
		s.Tests++
		s.Time = seconds(took)
		s.Cases = append(s.Cases, c)
	}
	var b strings.Builder
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
