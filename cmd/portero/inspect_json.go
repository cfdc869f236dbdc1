package main

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/portero/portero/sip/trace"
)

// document writes a capture as one line of JSON: capture, calls, packets. The
// calls are written as they end, so a long capture needs no long memory; the
// number of packets is known last.
type document struct {
	out     io.Writer
	capture string
	begun   bool
	err     error
}

func (d *document) call(_ int, c *trace.Call) {
	if d.begin() {
		d.write(",")
	}
	d.value(c)
}

// end finishes the document.
func (d *document) end(sum trace.Summary) error {
	d.begin()
	d.write(`],"packets":`)
	d.value(sum.Packets)
	d.write("}\n")
	return d.err
}

// begin opens the document and says if it was open.
func (d *document) begin() bool {
	if d.begun {
		return true
	}
	d.begun = true
	d.write(`{"capture":`)
	d.value(d.capture)
	d.write(`,"calls":[`)
	return false
}

func (d *document) value(v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil && d.err == nil {
		d.err = err
	}
	d.write(string(bytes.TrimRight(b.Bytes(), "\n")))
}

func (d *document) write(s string) {
	if d.err == nil {
		_, d.err = io.WriteString(d.out, s)
	}
}
