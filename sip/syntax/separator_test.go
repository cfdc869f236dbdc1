package syntax

import "testing"

func TestSeparator(t *testing.T) {
	for _, c := range []struct {
		value, separators string
		want              int
	}{
		{"", ",", 0},
		{"a", ",", 1},
		{"a,b", ",", 1},
		{`"a,b",c`, ",", 5},
		{`"a\",b",c`, ",", 7},
		{`<sip:a;b,c>;d`, ",;", 11},
		{`<sip:a>,b;c`, ";", 9},
		{`"a,b`, ",", 4},
		{`<a,b`, ",", 4},
		{`"a\`, ",", 3},
	} {
		if got := Separator(c.value, c.separators); got != c.want {
			t.Errorf("the separator of %q is at %d, not %d", c.value, got, c.want)
		}
	}
}
