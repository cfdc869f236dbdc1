package view

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/sip/trace"
)

// tone is a sound of some seconds in which the caller whistles all the time and the
// far side says nothing.
func tone(seconds int) *Sound {
	s := &Sound{Start: start.Add(2 * time.Second), Keys: []Key{{trace.Caller, '5', start.Add(3 * time.Second)}, {trace.Caller, '<', start.Add(3500 * time.Millisecond)}}}
	for i := range s.PCM {
		s.PCM[i] = make([]int16, seconds*codec.Rate)
	}
	for i := range s.PCM[0] {
		s.PCM[0][i] = int16(10000 * math.Sin(2*math.Pi*1000*float64(i)/codec.Rate))
	}
	return s
}

// write makes a page of some calls.
func write(t *testing.T, limits Limits, each func(*Page) error) string {
	t.Helper()
	var spool, out bytes.Buffer
	p := NewPage(&spool, limits)
	if err := each(p); err != nil {
		t.Fatal(err)
	}
	if err := p.Finish(&out, func() (io.Reader, error) { return &spool, nil }); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// All that is known of a call stands in the page.
func TestPage(t *testing.T) {
	html := write(t, Defaults(), func(p *Page) error { return p.Call("a.pcap", 7, sample(), tone(8)) })
	for _, want := range []string{
		`href="#call-1"`, `<template id="t1">`, "2026-03-01 12:00:00", "sample@192.0.2.1", "Example Phone 1.0",
		`<audio controls preload="metadata" src="data:audio/wav;base64,UklGR`, `src="data:image/png;base64,iVBOR`, `<svg class="wave" viewBox="0 0 899 200"`,
		"no RTP of this side is in the capture", "caller presses 5", "3.50 s: caller presses &lt;",
		`<g class="rung message again"`, `<g class="rung message onward"`, `<g class="rung message refused"`, `<g class="rung media"`, `<g class="rung decided"`,
		"4.00 s: line.digital_silence &#43;0.40", "at 4.0 s, frame 120", "alone it would weigh &#43;5.00", "verdict: assistant",
		"listening: rule machines says automation to bots (P200-machines)", "20 (5.0 %)", "T.38 × 40", "<dd>reinvite, multi_hop</dd>", "SRTP PT 96", "10 messages, 1 of them sent again",
		"From: &lt;sip:alice@example.com&gt;",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	for _, never := range []string{"http:", "https:", "ZgotmplZ", "<no value>", "%!"} {
		if i := strings.Index(html, never); i >= 0 {
			t.Errorf("%q is in the page: %s", never, html[max(0, i-80):min(len(html), i+80)])
		}
	}
}

// What strangers wrote is text: no element, attribute or script of theirs.
func TestPageHostile(t *testing.T) {
	mild := write(t, Defaults(), func(p *Page) error { return p.Call("a.pcap", 1, sample(), tone(8)) })
	evil := write(t, Defaults(), func(p *Page) error { return p.Call("<script>a.pcap", 1, hostile(), tone(8)) })
	tags := regexp.MustCompile(`<[a-zA-Z/!][^\s>]*`)
	count := func(s string) string {
		n := map[string]int{}
		for _, tag := range tags.FindAllString(s, -1) {
			if tag != "<small" && tag != "</small" && tag != "<em" && tag != "</em" {
				n[tag]++
			}
		}
		delete(n, "<span") // a call of an unknown stack has other facts
		delete(n, "</span")
		return fmt.Sprint(n["<script"], n["</script"], n["<img"], n["<template"], n["</template"], n["<style"], n["</style"], n["</textarea"], n["<pre"])
	}
	if a, b := count(mild), count(evil); a != b || !strings.HasPrefix(a, "1 1 1 1 1 1 1 0 ") {
		t.Errorf("elements %s, of the hostile call %s", a, b)
	}
	for _, never := range []string{" onerror=alert(2)>", "\x00", "\x07", "\x1b", "\u202e"} {
		if i := strings.Index(evil, never); i >= 0 {
			t.Errorf("a stranger's text came through as it was: %q", evil[max(0, i-100):i+20])
		}
	}
}

// A page of many calls is bounded, and says what it leaves out.
func TestPageLimits(t *testing.T) {
	limits := Limits{Calls: 3, Rows: 5, Audio: 40_000, Raw: 200}
	html := write(t, limits, func(p *Page) error {
		for i := range 10 {
			if p.Room() != (i < 3) {
				t.Errorf("call %d: room %v", i, p.Room())
			}
			if err := p.Call("a.pcap", i+1, sample(), tone(2)); err != nil {
				return err
			}
		}
		return nil
	})
	for what, want := range map[string]int{"<template ": 3, `class="row"`: 5, "<audio ": 1, "<img class=\"spectrogram\"": 3, "Its text is left out": 3 * 8,
		"the sound is left out: the page has the 0 MB": 2, "3 of 10 calls are shown in full": 1, "5 calls are not in this list": 1, "Of 2 calls the sound is left out": 1} {
		if got := strings.Count(html, what); got != want {
			t.Errorf("%d of %q, want %d", got, what, want)
		}
	}
	if empty := write(t, Defaults(), func(*Page) error { return nil }); !strings.Contains(empty, "There is no call.") {
		t.Error("an empty page does not say so")
	}
}

// Why a side is not heard is said in words.
func TestMissing(t *testing.T) {
	c := sample()
	for _, tc := range []struct {
		change func(*trace.Stream)
		want   string
	}{
		{func(*trace.Stream) {}, ""},
		{func(s *trace.Stream) { s.Codec = "opus" }, ""},
		{func(s *trace.Stream) { s.Codec = "G729" }, "its codec, G729, is not decoded"},
		{func(s *trace.Stream) { s.SRTP = true }, "it is encrypted (SRTP)"},
	} {
		c.Streams = sample().Streams[:1]
		c.Streams[0].Side = trace.Far
		tc.change(&c.Streams[0])
		if got := Missing(c, trace.Far); got != tc.want {
			t.Errorf("%+v: %q", c.Streams[0], got)
		}
	}
	c.Streams = nil
	if got := Missing(c, trace.Far); got != "no RTP of this side is in the capture" {
		t.Errorf("%q", got)
	}
}

func BenchmarkCall(b *testing.B) {
	s := tone(60)
	for b.Loop() {
		p := NewPage(io.Discard, Defaults())
		if err := p.Call("a.pcap", 1, sample(), s); err != nil {
			b.Fatal(err)
		}
	}
}
