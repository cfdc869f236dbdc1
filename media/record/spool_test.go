package record

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

var (
	doorAt   = netip.MustParseAddrPort("192.0.2.10:5060")
	callerAt = netip.MustParseAddrPort("192.0.2.20:5060")
)

func openSpool(t *testing.T, change func(*Captures)) (*Spool, string) {
	t.Helper()
	cfg := DefaultCaptures()
	cfg.Directory = t.TempDir()
	if change != nil {
		change(&cfg)
	}
	s, err := NewSpool(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, cfg.Directory
}

// packetsIn are the payloads of a call's packets, in order of time.
func packetsIn(c *Capture) []string {
	var out []string
	for _, k := range c.packets {
		n := int(k.block[20]) | int(k.block[21])<<8
		out = append(out, string(k.block[28+28:28+n]))
	}
	return out
}

// Calls that were kept beside each other are taken out one by one, by the door's id
// and by Call-ID, signalling and voices in order of time.
func TestSpoolFinds(t *testing.T) {
	s, dir := openSpool(t, nil)
	at := time.Now()
	media := func() (netip.AddrPort, netip.AddrPort) { return callerAt, doorAt }
	for i, call := range []string{"a", "b"} {
		k := s.Keep("id" + call)
		k.Message(true, doorAt, callerAt, call+"@x y", []byte("INVITE "+call), at)
		k.Message(false, doorAt, callerAt, call+"@x y", []byte("200 "+call), at.Add(3*time.Millisecond))
		k.Voices([2]Source{&heap{packets: [][]byte{[]byte("says " + call)}, at: at.Add(2 * time.Millisecond)}, &heap{packets: [][]byte{[]byte("hears " + call)}, at: at.Add(time.Duration(4+i) * time.Millisecond)}}, media)
		k.End()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"idb", "b@x y"} {
		c, err := Find(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		if got := packetsIn(c); fmt.Sprint(got) != "[INVITE b says b 200 b hears b]" || fmt.Sprint(c.IDs) != "[idb]" {
			t.Errorf("%s: %q of %q", name, got, c.IDs)
		}
	}
	for _, name := range []string{"", "c@x", "id", "a@x"} {
		if _, err := Find(dir, name); !errors.Is(err, ErrNotKept) {
			t.Errorf("%q: %v", name, err)
		}
	}
	listed, err := List(dir)
	if err != nil || len(listed) != 2 || listed[0].ID != "ida" || listed[0].CallID != "a@x?y" || listed[1].SIP != 2 || listed[1].RTP != 2 || !listed[0].First.Equal(at) {
		t.Errorf("%v, %+v", err, listed)
	}
	if _, err := Find(filepath.Join(dir, "absent"), "a"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// heap is a Source of packets that came at one time.
type heap struct {
	packets [][]byte
	at      time.Time
	dropped uint64
}

func (l *heap) Next(buf []byte) ([]byte, time.Time, bool) {
	if len(l.packets) == 0 {
		return nil, time.Time{}, false
	}
	p := l.packets[0]
	l.packets = l.packets[1:]
	return buf[:copy(buf, p)], l.at, true
}

func (l *heap) Dropped() uint64 { return l.dropped }

// Keys are left out unless they are wanted.
func TestSpoolKeys(t *testing.T) {
	for keys, want := range map[bool]string{false: "[INVITE \x80\x00voice]", true: "[INVITE INFO sip:x SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5 \x80\x00voice \x80\x65key]"} {
		s, dir := openSpool(t, func(c *Captures) { c.Keys = keys })
		k, at := s.Keep("id"), time.Now()
		k.Message(true, doorAt, callerAt, "a", []byte("INVITE"), at)
		k.Message(true, doorAt, callerAt, "a", []byte("INFO sip:x SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5"), at)
		k.Payload(101, "telephone-event", 8000)
		k.Payload(0, "PCMU", 8000)
		k.Voices([2]Source{&heap{packets: [][]byte{[]byte("\x80\x00voice"), []byte("\x80\x65key")}, at: at.Add(1)}, &heap{}}, func() (netip.AddrPort, netip.AddrPort) { return callerAt, doorAt })
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		c, err := Find(dir, "id")
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(packetsIn(c)); got != want {
			t.Errorf("with keys %v: %q, want %q", keys, got, want)
		}
	}
}

// The files never hold more than they may, and the newest calls are there.
func TestSpoolRing(t *testing.T) {
	cfg := DefaultCaptures()
	cfg.Directory, cfg.MaxMB = t.TempDir(), 8
	s, err := newSpool(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	dir := cfg.Directory
	foreign := filepath.Join(dir, "mine.pcapng")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("x", 60000)
	at := time.Now()
	for i := range 400 { // 24 MB
		s.Keep(fmt.Sprintf("id%d", i)).Message(true, doorAt, callerAt, fmt.Sprint("call", i), []byte(body), at.Add(time.Duration(i)*time.Millisecond))
		if i%20 == 19 {
			s.take(at)
		}
	}
	s.finish()
	if err := s.held.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := spooled(dir)
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, f := range files {
		total += f.size
	}
	// One batch may go over a file's end.
	if total > 8*mib+maxWaiting/4 || total < 4*mib || len(files) < 4 {
		t.Errorf("%d files hold %d bytes", len(files), total)
	}
	if _, err := Find(dir, "call399"); err != nil {
		t.Errorf("the newest call: %v", err)
	}
	if _, err := Find(dir, "call0"); !errors.Is(err, ErrNotKept) {
		t.Errorf("the oldest call: %v", err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("another's file: %v", err)
	}
}

// What is older than keep goes as the door opens; what a crash cut off is read up to
// there, and nobody else may use the directory meanwhile.
func TestSpoolReopened(t *testing.T) {
	s, dir := openSpool(t, nil)
	s.Keep("id1").Message(true, doorAt, callerAt, "one", []byte("INVITE"), time.Now())
	s.Keep("id2").Message(true, doorAt, callerAt, "two", []byte("INVITE"), time.Now())
	cfg := s.cfg
	if _, err := NewSpool(cfg, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "give each door its own") {
		t.Errorf("a second door: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := spooled(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if err := os.Truncate(files[0].path, files[0].size-5); err != nil {
		t.Fatal(err)
	}
	again, err := NewSpool(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	again.Keep("id3").Message(true, doorAt, callerAt, "three", []byte("INVITE"), time.Now())
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	for call, want := range map[string]error{"one": nil, "two": ErrNotKept, "three": nil} {
		if _, err := Find(dir, call); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", call, err, want)
		}
	}
	old := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(files[0].path, old, old); err != nil {
		t.Fatal(err)
	}
	again, err = NewSpool(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	for call, want := range map[string]error{"one": ErrNotKept, "three": nil} {
		if _, err := Find(dir, call); !errors.Is(err, want) {
			t.Errorf("a day later, %s: %v, want %v", call, err, want)
		}
	}
}

// Nothing is kept longer than it may be, also where no more calls come.
func TestSpoolKeep(t *testing.T) {
	cfg := DefaultCaptures()
	cfg.Directory = t.TempDir()
	s, err := newSpool(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	s.Keep("id").Message(true, doorAt, callerAt, "call", []byte("INVITE"), at)
	s.take(at)
	for h := time.Hour; h <= 24*time.Hour; h += time.Hour {
		s.take(at.Add(h))
		_, err := Find(cfg.Directory, "call")
		if h <= 20*time.Hour && err != nil || h == 24*time.Hour && !errors.Is(err, ErrNotKept) {
			t.Errorf("after %v: %v", h, err)
		}
	}
	if err := s.held.Close(); err != nil {
		t.Fatal(err)
	}
}

// What is too much for the disk is dropped and counted, and nobody waits.
func TestSpoolOverflow(t *testing.T) {
	s, _ := openSpool(t, nil)
	body := make([]byte, 1<<20)
	for range 50 { // within a quarter of a second
		s.Keep("id").Message(true, doorAt, callerAt, "a", body, time.Now())
	}
	s.Keep("late").Voices([2]Source{&heap{dropped: 3}, &heap{dropped: 4}}, func() (a, b netip.AddrPort) { return a, b })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Keep("closed").Message(true, doorAt, callerAt, "a", []byte("x"), time.Now())
	if n := s.Counts(); n.Dropped < 8 || n.Packets == 0 || n.Packets+n.Dropped != 50+7+1 {
		t.Errorf("%+v", n)
	}
	// The directory is gone: it is said, and counted.
	s, dir := openSpool(t, nil)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s.Keep("id").Message(true, doorAt, callerAt, "a", []byte("x"), time.Now())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := s.Counts(); n.Failed != 1 || n.Dropped != 1 || n.Packets != 0 {
		t.Errorf("without a directory: %+v", n)
	}
}

// Many calls at once, for the race detector.
func TestSpoolTogether(t *testing.T) {
	s, dir := openSpool(t, nil)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				k := s.Keep(fmt.Sprintf("id%dx%d", i, j))
				k.Message(true, doorAt, callerAt, fmt.Sprintf("%d-%d", i, j), []byte("INVITE"), time.Now())
				k.Payload(101, "telephone-event", 8000)
				k.Voices([2]Source{&heap{packets: [][]byte{[]byte("v")}, at: time.Now()}, &heap{}}, func() (netip.AddrPort, netip.AddrPort) { return callerAt, doorAt })
				k.End()
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := Find(dir, "7-49"); err != nil || c.Packets() != 2 {
		t.Errorf("%v, %+v", err, c)
	}
	if n := s.Counts(); n.Packets != 800 || n.Dropped != 0 {
		t.Errorf("%+v", n)
	}
}

// FuzzSpool: files of the directory may hold anything.
func FuzzSpool(f *testing.F) {
	f.Add(append(section("x"), packet{at: time.Unix(1, 2), src: callerAt, dst: doorAt, data: []byte("INVITE")}.append(nil, "id call")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "calls-20260101T000000Z-000001.pcapng"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Find(dir, "call")
		if err != nil {
			return
		}
		if err := errors.Join(c.WritePCAP(io.Discard), c.WritePCAPNG(io.Discard)); err != nil {
			t.Error(err)
		}
	})
}
