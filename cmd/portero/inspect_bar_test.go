package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

func TestBar(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	b := &bar{out: &out, width: 60, now: func() time.Time { return now }}
	b.begin(10_000_000)
	in := b.watch(io.NopCloser(strings.NewReader(strings.Repeat("x", 10_000_000))))
	p := make([]byte, 2_500_000)
	for range 2 {
		if _, err := io.ReadFull(in, p); err != nil {
			t.Fatal(err)
		}
		now = now.Add(600 * time.Millisecond)
	}
	if out.Len() > 0 {
		t.Errorf("drawn before a second has gone by: %q", out.String())
	}
	if _, err := io.ReadFull(in, p); err != nil {
		t.Fatal(err)
	}
	if want := "\r[################......]  75 % of 10 MB, 6.25 MB/s, 0s left\x1b[K"; out.String() != want {
		t.Errorf("drawn %q, want %q", out.String(), want)
	}
	out.Reset()
	if _, err := io.ReadFull(in, p); err != nil || out.Len() > 0 { // too soon after
		t.Errorf("%v, drawn %q", err, out.String())
	}
	b.clear()
	b.clear()
	if out.String() != "\r\x1b[K" {
		t.Errorf("cleared by %q", out.String())
	}

	var none *bar // standard error is a file
	none.begin(5)
	none.clear()
	if r := io.NopCloser(strings.NewReader("abc")); none.watch(r) != r || newBar(&out) != nil {
		t.Error("a bar where there is no terminal")
	}
}
