package main

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// watch notes what a page must not do.
const watch = `
window.wrong = [];
addEventListener('error', e => wrong.push('error ' + e.message), true);
addEventListener('securitypolicyviolation', e => wrong.push('policy ' + e.violatedDirective + ' ' + e.blockedURI));
window.pwn = window.p = () => wrong.push('a script of a stranger ran');
for (const name of ['alert', 'confirm', 'prompt']) window[name] = () => wrong.push(name);
`

// TestInspectPage opens the page of inspect in a real browser, from a file: the
// calls, the ladder, the pictures and the sound are there and work, with the keyboard
// too; it asks nobody for anything; and what strangers wrote in their headers is text.
func TestInspectPage(t *testing.T) {
	if os.Getenv("PORTERO_INTEROP") == "" {
		t.Skip("the page of inspect is not opened in Chromium: set PORTERO_INTEROP=1 as `make test` does")
	}
	dir := t.TempDir()
	calm := filepath.Join(traces, "proxied.pcap")
	whole, err := os.ReadFile(calm)
	if err != nil {
		t.Fatal(err)
	}
	evil := filepath.Join(dir, "evil.pcap") // of the same length, so that the packets stay whole
	for _, swap := range [][2]string{{"Example Phone 1.0", "<script>pwn()</s>"}, {"proxied@192.0.2.1", `"><svg onload=p()`}, {"Max-Forwards: 70", "<img src=x:z>:70"}} {
		if len(swap[0]) != len(swap[1]) || !bytes.Contains(whole, []byte(swap[0])) {
			t.Fatalf("%q", swap)
		}
		whole = bytes.ReplaceAll(whole, []byte(swap[0]), []byte(swap[1]))
	}
	if err := os.WriteFile(evil, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	html := filepath.Join(dir, "page.html")
	if _, errs, status := inspect(t, "--html", html, filepath.Join(traces, "busy-tcp6.pcapng"), calm, evil); status != exitOK || !strings.Contains(errs, "page.html has ") {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	c := startChromium(t, filepath.Join("..", "..", "media", "prompt", "sounds", "en", "goodbye.wav"))
	p := c.open(t, (&url.URL{Scheme: "file", Path: html}).String(), watch)
	p.await("the index", `document.querySelectorAll('.row').length === 3`)
	p.await("the first call", `document.querySelector('main h2')?.textContent === 'alice → bob'`)
	p.eval(nil, `location.hash = 'call-2'`)
	p.await("the second call", `document.querySelector('main h2').textContent === '+34911234567 → 900123'`)
	p.await("the sound", `document.querySelector('audio').readyState > 0`)
	var got struct {
		Rungs, Again, Waves, Pictures, Marks, Falls int
		Sound, Picture                              float64
		Label                                       string
	}
	p.eval(&got, `({Rungs: document.querySelectorAll('svg.ladder .rung').length, Again: document.querySelectorAll('.rung.again').length,
		Waves: document.querySelectorAll('svg.wave path').length, Pictures: document.querySelectorAll('img.spectrogram').length,
		Marks: document.querySelectorAll('.mark').length, Falls: document.querySelectorAll('.waterfall th[scope]').length,
		Sound: document.querySelector('audio').duration, Picture: document.querySelector('img.spectrogram').naturalWidth,
		Label: document.querySelector('.rung.media').textContent})`)
	if got.Rungs != 23 || got.Again != 1 || got.Waves != 2 || got.Pictures != 2 || got.Marks < 4 || got.Falls < 3 ||
		got.Sound < 7.5 || got.Sound > 7.9 || got.Picture != 900 || !strings.Contains(got.Label, "RTP PCMU × 382") {
		t.Errorf("the call has %+v", got)
	}
	// A mark leads into the sound, an arrow to its message, and the sound plays.
	p.eval(nil, `document.querySelector('.keys .mark').click()`)
	p.await("the key's moment", `Math.abs(document.querySelector('audio').currentTime - 7.05) < 0.3 && !document.querySelector('.cursor').hidden`)
	p.eval(nil, `document.querySelector('.rung[data-message="1"]').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}))`)
	p.await("the INVITE", `document.querySelector('details[open] pre').textContent.startsWith('INVITE sip:900123@example.com SIP/2.0\nVia: ')`)
	p.eval(nil, `(async () => { const a = document.querySelector('audio'); a.muted = true; a.currentTime = 1; await a.play(); })()`)
	p.await("the sound to go on", `document.querySelector('audio').currentTime > 1.1`)
	// The keyboard and the filter.
	press := func(key string) {
		p.eval(nil, `document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: '`+key+`', bubbles: true, cancelable: true}))`)
	}
	p.eval(nil, `document.activeElement.blur()`)
	press("j")
	p.await("the third call", `location.hash === '#call-3' && document.querySelector('main dd:nth-of-type(2)').textContent.includes('onload=p()')`)
	press("/")
	p.await("the filter", `document.activeElement.id === 'find'`)
	p.eval(nil, `(() => { const f = document.getElementById('find'); f.value = 'BUSY'; f.dispatchEvent(new Event('input')); })()`)
	p.await("one row", `document.querySelectorAll('.row:not([hidden])').length === 1 && document.getElementById('count').textContent === '1 of 3 calls'`)
	press("Escape")
	p.await("all rows", `document.querySelectorAll('.row:not([hidden])').length === 3`)
	// Dark and light.
	var light, dark string
	p.eval(nil, `document.getElementById('theme').click()`)
	p.eval(&light, `getComputedStyle(document.body).backgroundColor`)
	p.eval(nil, `document.getElementById('theme').click()`)
	p.eval(&dark, `getComputedStyle(document.body).backgroundColor`)
	if light == dark {
		t.Errorf("light and dark are both %s", light)
	}
	var wrong []string
	p.eval(&wrong, `wrong.concat(performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:')),
		Array.from(document.scripts).slice(1).map(s => 'a script more'), Array.from(document.querySelectorAll('main svg:not(.wave):not(.ladder)')).map(s => 'a drawing more'))`)
	c.mu.Lock()
	wrong = append(wrong, c.console...)
	c.mu.Unlock()
	if len(wrong) > 0 {
		t.Errorf("the page does what it should not: %q", wrong)
	}
}
