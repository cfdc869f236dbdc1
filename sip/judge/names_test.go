package judge

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/portero/portero/policy"
)

// The table of evidence names is what the observers' source says, and every
// family has a weight.
func TestEvidenceNames(t *testing.T) {
	families := policy.DefaultFusion().Families
	form := regexp.MustCompile(`^(` + strings.Join(slices.Sorted(maps.Keys(families)), "|") + `)\.[a-z_]+$`)
	said := map[string]string{}
	for _, dir := range []string{"media/voice", "media/line", "media/turns", "media/acoustic", "media/sound", "sip/fingerprint", "sip/signature", "sip/identity/stir", "sip/judge", "policy/campaign"} {
		files, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no source in %s: %v", dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if s, _ := strconv.Unquote(lit.Value); form.MatchString(s) {
						said[s] = name
					}
				}
				return true
			})
		}
	}
	last := ""
	for _, e := range policy.EvidenceNames {
		if e.Name <= last {
			t.Errorf("%s stands after %s in policy.EvidenceNames", e.Name, last)
		}
		last = e.Name
		if said[e.Name] == "" {
			t.Errorf("no observer says %s: remove it from policy.EvidenceNames", e.Name)
		}
		if _, ok := families[policy.FamilyOf(e.Name)]; !ok {
			t.Errorf("the family of %s has no weight in policy/fusion.json", e.Name)
		}
		delete(said, e.Name)
	}
	for name, file := range said {
		t.Errorf("%s is said in %s: add it to policy.EvidenceNames", name, file)
	}
}
