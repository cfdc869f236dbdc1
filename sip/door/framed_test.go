package door

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestFrame(t *testing.T) {
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
		{"keep-alive", "\r\n\r\n" + bye, 4, ""},
		{"no length", bye + "Content-Length: x\r\n\r\n", 0, "is not a number"},
		{"negative", bye + "Content-Length: -1\r\n\r\n", 0, "is not a number"},
		{"too long a body", bye + "Content-Length: 5000\r\n\r\n", 0, "larger than max_message"},
		{"too long a head", strings.Repeat("x", 2000), 0, "larger than max_message"},
	} {
		n, err := frame([]byte(c.in), 1024)
		if n != c.n || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got %d, %v; want %d, %q", c.name, n, err, c.n, c.err)
		}
	}
}

// However a stream is cut up, one Read gives one message.
func TestFramedConn(t *testing.T) {
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
		c := &framedConn{Conn: b, max: 1024}
		_ = b.SetReadDeadline(time.Now().Add(5 * time.Second))
		var got []string
		buf := make([]byte, 2048)
		for {
			n, err := c.Read(buf)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(buf[:n]))
		}
		// A keep-alive may come in pieces, a message never.
		if text := strings.Join(got, "|"); strings.ReplaceAll(text, "|", "") != strings.Join(msgs, "") ||
			!strings.HasPrefix(text, msgs[0]+"|") || !strings.HasSuffix(text, "|"+msgs[2]) {
			t.Errorf("pieces of %d: got %q", size, got)
		}
	}
}
