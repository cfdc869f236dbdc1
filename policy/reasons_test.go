package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// Every code in the source stands in the table once, in the order of numbers.
func TestReasonsTableIsComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]bool{}
	last := ""
	for _, r := range Reasons {
		if table[r.Code] {
			t.Errorf("%s stands twice in the table", r.Code)
		}
		if r.Code[:4] <= last {
			t.Errorf("%s stands after %s", r.Code, last)
		}
		if r.Says == "" {
			t.Errorf("%s says nothing", r.Code)
		}
		if !ReservedReason(r.Code) {
			t.Errorf("%s does not have the form of a code", r.Code)
		}
		table[r.Code], last = true, r.Code[:4]
	}
	ast.Inspect(file, func(n ast.Node) bool {
		vs, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(vs.Names[0].Name, "Reason") || len(vs.Values) != 1 {
			return true
		}
		lit, ok := vs.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		if code, _ := strconv.Unquote(lit.Value); !table[code] {
			t.Errorf("%s (%s) is missing in the table", vs.Names[0].Name, code)
		}
		return true
	})
}

func TestReservedReason(t *testing.T) {
	for code, want := range map[string]bool{"P200-x": true, "P999": true, "P20-x": false, "spam": false, "xP100-a": false, "P1000": false} {
		if got := ReservedReason(code); got != want {
			t.Errorf("%s: %v, want %v", code, got, want)
		}
	}
}
