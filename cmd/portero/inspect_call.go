package main

import (
	"io"
	"os"
	"strconv"

	"github.com/portero/portero/sip/trace"
	"github.com/portero/portero/sip/trace/view"
)

// portrait writes calls in full, for a terminal.
type portrait struct {
	out   io.Writer
	width int
	err   error
}

func (t *portrait) call(number int, c *trace.Call) {
	if t.err == nil {
		t.err = view.Text(t.out, c, number, t.width)
	}
}

func (t *portrait) end(trace.Summary) error { return t.err }

// columnsOf is how wide a terminal is: what COLUMNS says, else what it says itself;
// 120 for what is none.
func columnsOf(out io.Writer) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if f, ok := out.(*os.File); ok {
		if n := windowColumns(f); n > 0 {
			return n
		}
	}
	return 120
}
