package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func testLimits() *Limits {
	l := DefaultLimits()
	l.Message = 1024
	return &l
}

func TestNext(t *testing.T) {
	bye := "BYE sip:a SIP/2.0\r\nCall-ID: 1\r\n"
	for _, c := range []struct {
		name, in string
		n        int
		err      string
	}{
		{"nothing", "", 0, ""},
		{"half a head", bye, 0, ""},
		{"no body", bye + "\r\nNEXT", len(bye) + 2, ""},
		{"a body", bye + "Content-Length: 3\r\n\r\nabcNEXT", len(bye) + 24, ""},
		{"a body to come", bye + "Content-Length: 3\r\n\r\nab", 0, ""},
		{"compact and spaced", bye + "l :  3 \r\n\r\nabc", len(bye) + 14, ""},
		{"another name", bye + "Content-Lengthy: 9\r\nLength: 9\r\n\r\n", len(bye) + 33, ""},
		{"keep-alive", "\r\n\r\n" + bye, 4, ""},
		{"no length", bye + "Content-Length: x\r\n\r\n", 0, "is not a number"},
		{"two lengths", bye + "Content-Length: 0\r\nl: 0\r\n\r\n", 0, "there twice"},
		{"negative", bye + "Content-Length: -1\r\n\r\n", 0, "is not a number"},
		{"too long a body", bye + "Content-Length: 5000\r\n\r\n", 0, "larger than the limit"},
		{"too long a head", strings.Repeat("x", 2000), 0, "larger than the limit"},
	} {
		f := &framed{limits: testLimits(), buf: []byte(c.in)}
		n, err := f.next()
		if n != c.n || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got %d, %v; want %d, %q", c.name, n, err, c.n, c.err)
		}
	}
}

// However a stream is cut up, one read gives one message.
func TestFramedInPieces(t *testing.T) {
	msgs := []string{
		"INVITE sip:a SIP/2.0\r\nContent-Length: 4\r\n\r\nv=0\n",
		"\r\n\r\n",
		"ACK sip:a SIP/2.0\r\n\r\n",
	}
	for size := 1; size < 60; size += 7 {
		a, b := net.Pipe()
		go func() {
			all := strings.Join(msgs, "")
			for len(all) > 0 {
				n := min(size, len(all))
				if _, err := io.WriteString(a, all[:n]); err != nil {
					return
				}
				all = all[n:]
			}
			_ = a.Close()
		}()
		c := &framed{Conn: b, limits: testLimits()}
		var got []string
		for {
			data, err := c.read(true)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(data))
		}
		// A keep-alive may come in pieces, a message never.
		if text := strings.Join(got, "|"); strings.ReplaceAll(text, "|", "") != strings.Join(msgs, "") ||
			!strings.HasPrefix(text, msgs[0]+"|") || !strings.HasSuffix(text, "|"+msgs[2]) {
			t.Errorf("pieces of %d: got %q", size, got)
		}
	}
}

// Whoever sends a message too slowly, or nothing at all, is given up.
func TestFramedGivesUp(t *testing.T) {
	for name, first := range map[string]string{"silent": "", "slow": "INVITE sip:a SIP/2.0\r\n"} {
		a, b := net.Pipe()
		limits := testLimits()
		limits.First, limits.Whole = 50*time.Millisecond, 50*time.Millisecond
		go func() { _, _ = io.WriteString(a, first) }()
		_, err := (&framed{Conn: b, limits: limits}).read(true)
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%s: got %v, want a timeout", name, err)
		}
		_ = a.Close()
	}
}

func FuzzFramed(f *testing.F) {
	f.Add([]byte("BYE sip:a SIP/2.0\r\nl: 2\r\n\r\nab\r\n\r\nACK"), 3)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		if size < 1 || size > 4096 {
			return
		}
		c := &framed{Conn: &pieces{data: data, size: size}, limits: testLimits()}
		var got int
		for {
			m, err := c.read(true)
			if err != nil {
				break
			}
			if len(m) == 0 || len(m) > c.limits.Message || !bytes.Equal(m, data[got:got+len(m)]) {
				t.Fatalf("message %q at %d of %q", m, got, data)
			}
			got += len(m)
		}
	})
}

// pieces is a connection that gives so many bytes a read.
type pieces struct {
	net.Conn
	data []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.data[:min(p.size, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }
