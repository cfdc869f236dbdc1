package main

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/portero/portero/sip/trace"
)

// document writes a capture as one line of JSON: the calls as they end, so that
// a long capture needs no long memory, and then what is known last.
type document struct {
	others  []*trace.Exchange
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

// other takes a Call-ID that was no call.
func (d *document) other(x *trace.Exchange) {
	if len(d.others) < maxOthers {
		d.others = append(d.others, x)
	}
}

// end finishes the document.
func (d *document) end(sum trace.Summary) error {
	d.begin()
	d.write(`],"packets":`)
	d.value(sum.Packets)
	d.write(`,"messages":`)
	d.value(sum.Messages)
	d.write(`,"dialogs":`)
	d.value(sum.Dialogs)
	d.write(`,"other_transactions":[`)
	for i, x := range d.others {
		if i > 0 {
			d.write(",")
		}
		d.value(x)
	}
	d.write(`],"streams":`) // of no call
	if sum.Strays == nil {
		sum.Strays = []trace.Stream{}
	}
	d.value(sum.Strays)
	d.write(`,"t38_streams":`)
	d.value(sum.Faxes)
	d.write(`,"packet_kinds":`)
	if sum.Kinds == nil {
		sum.Kinds = map[string]int{}
	}
	d.value(sum.Kinds)
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
