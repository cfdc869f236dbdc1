// Command conformance keeps tables of behaviours honest: every test that a
// table names must exist, must have run, and must have passed.
//
//	go test -v ./... | tee LOG
//	conformance TABLE.md... LOG
//
// The tables are those of Markdown files whose last column is headed "test".
// Its cells link a test's name, as go test prints it, to the folder of the test's
// package: [`TestScenarios/far-busy`](door/scenario). A row without a test is a
// fault too. What else is wrong is said on standard error, and the exit status is 1.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: conformance TABLE.md... LOG")
		os.Exit(2)
	}
	last := len(os.Args) - 1
	status := 0
	for _, table := range os.Args[1:last] {
		n, err := check(table, os.Args[last])
		if err != nil {
			fmt.Fprintf(os.Stderr, "conformance: %s is not what the tests show:\n%v\n", table, err)
			status = 1
			continue
		}
		fmt.Printf("conformance: the %d tests of %s have passed\n", n, table)
	}
	os.Exit(status)
}

// check compares a table with a log and returns how many tests it names.
func check(table, log string) (int, error) {
	doc, err := os.Open(table)
	if err != nil {
		return 0, err
	}
	defer doc.Close()
	rows, err := readTable(doc)
	if err != nil {
		return 0, err
	}
	out, err := os.Open(log)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	ran, err := readLog(out)
	if err != nil {
		return 0, err
	}
	return compare(rows, ran, filepath.ToSlash(filepath.Dir(table)))
}

// row is one behaviour and the tests that show it.
type row struct {
	line      int
	behaviour string
	tests     []test
}

// test is a test by its name and its package's folder. In a table the folder is
// relative to the table's; in a log it is a package path.
type test struct{ name, folder string }

var link = regexp.MustCompile("\\[`([^`]+)`\\]\\(([^)]+)\\)")

// readTable finds the rows of all tables whose last column is headed "test".
func readTable(r io.Reader) ([]row, error) {
	var rows []row
	var faults []error
	in := false
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		cells := strings.Split(strings.Trim(strings.TrimSpace(lines.Text()), "|"), "|")
		if !strings.HasPrefix(strings.TrimSpace(lines.Text()), "|") {
			in = false
			continue
		}
		last := strings.TrimSpace(cells[len(cells)-1])
		switch {
		case last == "test":
			in = true
		case !in || strings.Trim(last, "-: ") == "":
		default:
			t := row{line: n, behaviour: strings.TrimSpace(cells[0])}
			for _, m := range link.FindAllStringSubmatch(last, -1) {
				t.tests = append(t.tests, test{m[1], m[2]})
			}
			if len(t.tests) == 0 || link.ReplaceAllString(strings.ReplaceAll(last, ",", ""), "") != strings.Repeat(" ", len(t.tests)-1) {
				faults = append(faults, fmt.Errorf("line %d: %q: the last cell is not a list of [`TestName`](folder of its package)", n, t.behaviour))
			}
			rows = append(rows, t)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		faults = append(faults, errors.New("there is no table with a last column \"test\""))
	}
	return rows, errors.Join(faults...)
}

// What go test -v prints of a test that ended, and of a package. A package's
// lines come together, its own last.
var (
	ended   = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+) \(`)
	closing = regexp.MustCompile(`^(ok|FAIL|---)\s+(\S+)\s+(\(cached\)|\d+\.\d+s)`)
)

// readLog finds out what became of each test.
func readLog(r io.Reader) (map[test]string, error) {
	ran, ofPackage := map[test]string{}, map[string]string{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := ended.FindStringSubmatch(lines.Text()); m != nil {
			ofPackage[m[2]] = m[1]
		} else if m := closing.FindStringSubmatch(lines.Text()); m != nil {
			for name, result := range ofPackage {
				ran[test{name, m[2]}] = result
			}
			clear(ofPackage)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(ran) == 0 {
		return nil, errors.New("the log holds no test that ended: is it the output of go test -v?")
	}
	return ran, nil
}

// compare says which tests of rows did not pass. dir is the table's folder.
func compare(rows []row, ran map[test]string, dir string) (int, error) {
	var faults []error
	seen := map[test]bool{}
	for _, r := range rows {
		for _, t := range r.tests {
			seen[t] = true
			folder := path.Join(dir, t.folder)
			found := ""
			for have, result := range ran {
				if have.name == t.name && (have.folder == folder || strings.HasSuffix(have.folder, "/"+folder)) {
					found = result
				}
			}
			switch found {
			case "PASS":
			case "":
				faults = append(faults, fmt.Errorf("line %d: %q: there is no test %s in %s, or it did not run", r.line, r.behaviour, t.name, folder))
			case "SKIP":
				faults = append(faults, fmt.Errorf("line %d: %q: %s in %s was skipped", r.line, r.behaviour, t.name, folder))
			default:
				faults = append(faults, fmt.Errorf("line %d: %q: %s in %s failed", r.line, r.behaviour, t.name, folder))
			}
		}
	}
	return len(seen), errors.Join(faults...)
}
