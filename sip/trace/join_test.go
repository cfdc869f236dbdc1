package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// recorded is a part whose opening and closing is counted.
type recorded struct {
	io.Reader
	open *int
}

func (r recorded) Close() error { *r.open--; return nil }

func partOf(name string, b []byte, open, most *int) Part {
	p := Part{Name: name, Open: func() (io.ReadCloser, error) {
		*open++
		*most = max(*most, *open)
		return recorded{bytes.NewReader(b), open}, nil
	}}
	if c, err := OpenCapture(bytes.NewReader(b)); err == nil {
		if first, err := c.Next(); err == nil {
			p.First = first.At
		}
	}
	return p
}

// TestJoin: what was captured at two places at once, and ten files one after the
// other, of which two are open at a time.
func TestJoin(t *testing.T) {
	// Every other packet of a call is in the one capture, the rest in the other.
	whole := newFilm(t)
	s := newScript(whole, "x")
	s.say("INVITE+sdp", "100", "180", "200+sdp", "ACK")
	whole.rtp(bRTP, aRTP, 5, 0, 1, 200)
	s.say("!BYE", "200")
	all, err := packets(t, whole.buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		parts int
		which func(i int) int
		most  int
	}{
		{"at once", 2, func(i int) int { return i % 2 }, 2},
		{"in turn", 10, func(i int) int { return i * 10 / len(all) }, 2},
	} {
		films := make([]*film, c.parts)
		for i := range films {
			films[i] = newFilm(t)
		}
		for i, p := range all {
			f := films[c.which(i)]
			f.now = p.At
			f.frame(p.Data)
		}
		open, most := 0, 0
		var parts []Part
		for i := range films { // the last first
			n := len(films) - 1 - i
			parts = append(parts, partOf(fmt.Sprint(n), films[n].buf.Bytes(), &open, &most))
		}
		var calls []*Call
		sum, err := ReadFrom(Join(parts), Options{}, func(c *Call) { calls = append(calls, c) })
		if err != nil || sum.Packets != len(all) || len(calls) != 1 || calls[0].Outcome != Answered || calls[0].Methods["BYE"] != 1 ||
			len(calls[0].Streams) != 1 || calls[0].Streams[0].Packets != 200 || calls[0].Streams[0].Lost != 0 {
			t.Errorf("%s: %d packets, %+v, %v", c.name, sum.Packets, calls, err)
		}
		if open != 0 || most > c.most {
			t.Errorf("%s: %d are still open, %d were at once", c.name, open, most)
		}
	}
}

func TestJoinFails(t *testing.T) {
	good := newFilm(t)
	newScript(good, "x").say("INVITE", "486", "ACK")
	open, most := 0, 0
	cut := good.buf.Bytes()[:good.buf.Len()-5]
	parts := []Part{
		partOf("good", good.buf.Bytes(), &open, &most),
		partOf("cut", cut, &open, &most),
		partOf("text", []byte("not a capture"), &open, &most),
		{Name: "gone", Open: func() (io.ReadCloser, error) { return nil, errors.New("is gone") }},
	}
	var told []string
	j := Join(parts)
	j.Failed = func(name string, err error) { told = append(told, name+": "+err.Error()) }
	n := 0
	for {
		p, err := j.Next()
		if err == io.EOF {
			break
		}
		if n++; err != nil || p.Number != n {
			t.Fatal(p.Number, n, err)
		}
	}
	if says := strings.Join(told, "\n"); n != 5 || open != 0 || len(told) != 3 || !strings.Contains(says, "cut: packet 3") || !strings.Contains(says, "text: not a capture") || !strings.Contains(says, "gone: is gone") {
		t.Errorf("%d packets, %d open, told %q", n, open, told)
	}
	// Too many of the same time.
	parts = nil
	for i := range maxOpenParts + 3 {
		parts = append(parts, partOf(fmt.Sprint(i), good.buf.Bytes(), &open, &most))
	}
	told = nil
	j = Join(parts)
	j.Failed = func(name string, err error) { told = append(told, name) }
	if _, err := j.Next(); err != nil || len(told) != 3 || open != maxOpenParts {
		t.Errorf("%v, %d left out, %d open", err, len(told), open)
	}
	if j.Close(); open != 0 { //nolint:errcheck // of a test
		t.Errorf("%d are open after Close", open)
	}
}

// TestIdle: what happens now is told when time has passed without a packet.
func TestIdle(t *testing.T) {
	f := newFilm(t)
	newScript(f, "x").say("INVITE", "486", "ACK")
	all, err := packets(t, f.buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	src := &dripping{packets: all, told: &told}
	sum, err := ReadFrom(src, Options{AsTheyEnd: true, Linger: 5 * time.Second}, func(*Call) { told++ })
	if err != nil || sum.Packets != len(all) || told != 1 {
		t.Errorf("%d packets, %d calls, %v", sum.Packets, told, err)
	}
	if src.toldAt < 5 || src.toldAt > 8 {
		t.Errorf("the call was told after %d s of silence", src.toldAt)
	}
}

// dripping gives packets, then nothing for 60 s, a second at a time.
type dripping struct {
	packets []Packet
	idle    int
	told    *int
	toldAt  int
	last    time.Time
}

func (d *dripping) Next() (Packet, error) {
	if len(d.packets) > 0 {
		p := d.packets[0]
		d.packets, d.last = d.packets[1:], p.At
		return p, nil
	}
	if *d.told > 0 && d.toldAt == 0 {
		d.toldAt = d.idle
	}
	if d.idle++; d.idle > 60 {
		return Packet{}, io.EOF
	}
	return Packet{At: d.last.Add(time.Duration(d.idle) * time.Second)}, ErrIdle
}
